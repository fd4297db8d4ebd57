"""Own images from a list of files: a clinic's DICOM and pictures, written here."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
from PIL import Image
from pydicom.data import get_testdata_file

from medlab.data import archives, load_image_files
from medlab.data.dicom import read_header


def write_dicom(path: Path, patient: str | None, hu: int, modality: str = "CT", shape=(128, 128)) -> Path:
    """An image of one value in HU, but for its first row, of the next one."""
    image = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    pixels = np.full(shape, hu + 1024, np.int16)
    pixels[0] += 1
    image.Rows, image.Columns, image.PixelData = *shape, pixels.tobytes()
    image.Modality, image.PatientID = modality, patient
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(path)
    return path


def test_a_clinics_dicom_of_many_patients(tmp_path):
    for number, patient in enumerate(("17", "17", "23")):
        path = tmp_path / f"P{patient}" / "CT" / f"IM{number}{'.dcm' * (number % 2)}"
        write_dicom(path, patient, 40 + 10 * number, shape=(64 + 8 * number, 48))
    (tmp_path / ".DS_Store").touch()
    files = sorted(tmp_path.rglob("*"))  # with folders
    data = load_image_files(files, 16, {17: "ill", 23: "healthy", 99: "ill"}, window=(-60, 140), name="clinic")
    assert data.patients.tolist() == ["17", "17", "23"] and data.info.classes == ("healthy", "ill")
    assert data.targets.tolist() == [1, 1, 0] and data.images.shape == (3, 1, 16, 16)
    np.testing.assert_allclose(data.images[:, 0, 8, 8], [0.5, 0.55, 0.6], atol=1e-6)
    assert data.info.window == (-60, 140) and data.info.unit == "0 = -60, 1 = 140 in the unit of the files"
    with pytest.raises(ValueError, match="1 patients have no target, the first is '23'"):
        load_image_files(files, 16, {"17": "ill"}, window=(-60, 140))
    with pytest.raises(ValueError, match=r"IM0 is CT, in HU: give window=\(low, high\)"):
        load_image_files(files, 16)
    write_dicom(tmp_path / "P5" / "IM5", None, 0)
    with pytest.raises(ValueError, match="P5/IM5 has no PatientID, others have: give patients"):
        load_image_files(sorted(tmp_path.rglob("*")), 16, window=(-60, 140))
    anonymous = load_image_files([tmp_path / "P5" / "IM5"], 16, window=(-60, 140))
    assert "no patient ids" in repr(anonymous) and anonymous.info.task == "unlabeled"


def test_dicom_without_a_unit_is_scaled_by_percentiles(tmp_path):
    files = [write_dicom(tmp_path / f"{k}", "a", 100 * k, modality="MR") for k in range(2)]
    for path in files:
        image = pydicom.dcmread(path)
        pixels = np.arange(128 * 128, dtype=np.int16) * (1 + (path.name == "1"))
        image.PixelData = pixels.tobytes()
        image.save_as(path)
    data = load_image_files(files, 128)
    assert data.info.unit == "0 = 0.5th, 1 = 99.5th percentile of the image" and data.info.window is None
    assert torch.equal(data.images[0], data.images[1]) and data.images.mean() == pytest.approx(0.5, abs=0.01)
    assert read_header(files[0]).Modality == "MR"


def test_pictures_with_a_table(tmp_path):
    files = []
    for name, color, size in (("a.png", (255, 0, 51), (40, 30)), ("b.JPG", (51, 51, 51), (20, 20))):
        Image.new("RGB", size, color).save(tmp_path / name, quality=95)
        files.append(str(tmp_path / name))
    data = load_image_files(files, 8, ["nevus", "melanoma"], patients=["p1", "p2"], license="own")
    assert data.images.shape == (2, 3, 8, 8) and data.targets.tolist() == [1, 0] and data.info.license == "own"
    np.testing.assert_allclose(data.images[0, :, 4, 4], [1, 0, 0.2], atol=1e-6)
    by_patient = load_image_files(files, 8, {"p1": "nevus", "p2": "melanoma"}, patients=["p1", "p2"])
    assert torch.equal(by_patient.targets, data.targets)
    assert load_image_files(files[1:], 8).images.shape == (1, 1, 8, 8)
    with pytest.raises(ValueError, match="targets by patient need to know the patient of each file"):
        load_image_files(files, 8, {"p1": "nevus"})
    files.append(write_dicom(tmp_path / "c.dcm", "a", 0))
    with pytest.raises(ValueError, match=r"do not mix DICOM with pictures.*3 files given .*\.dcm"):
        load_image_files(files, 8)
    with pytest.raises(FileNotFoundError, match="no file given; paths are looked up from"):
        load_image_files(tmp_path.glob("*.gif"), 8)
    for size, window in ((0, None), (8, (40, 40))):
        with pytest.raises(ValueError, match="size must be at least 1, and window .low, high."):
            load_image_files(files[:1], size, window=window)


def test_more_than_the_budget_is_mapped_from_disk(tmp_path, monkeypatch):
    files = [tmp_path / f"{k}.png" for k in range(5)]
    for k, path in enumerate(files):
        Image.new("L", (8, 8), 50 * k).save(path)
    small = load_image_files(files, 8)
    monkeypatch.setattr(archives, "BUDGET", 3 * 3 * 8 * 8 * 4)
    monkeypatch.setenv("MEDLAB_CACHE", str(tmp_path / "cache"))
    large = load_image_files(files, 8)
    assert large.images.dtype == torch.uint8 and large.images.shape == small.images.shape
    assert torch.equal(large.batch(torch.arange(4))[0], small.images[:4])
