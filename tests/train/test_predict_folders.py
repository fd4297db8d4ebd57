"""`medlab predict` on a clinic's folders: color, many patients, broken files, and the scaling of the training set."""

import io

import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import pytest
import torch
from PIL import Image
from pydicom.data import get_testdata_file
from torch import nn
from typer.testing import CliRunner

from medlab.cli import app
from medlab.data import ImageSet, load_image_files
from medlab.models import SmallCNN, UNet, load_model, save_model
from medlab.train import predict, predict_files

LABELS = {"a": "ill", "b": "healthy"}


def write_dicom(path, patient, z=0.0, broken=False):
    image = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    image.PatientID, image.SeriesInstanceUID = patient, f"1.2.{ord(patient)}"
    image.ImagePositionPatient = [-158.1, -179.0, z]
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(path)
    if broken:
        path.write_bytes(path.read_bytes()[:-9000])


def saved(path, images, network):
    torch.manual_seed(0)
    save_model(path, network, images)
    return load_model(path)


def command(model, *paths):
    done = CliRunner().invoke(app, ["predict", *map(str, (model, *paths))])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def clinic(tmp_path):
    """Two patients of two CT slices each, at distances that make no regular series."""
    for patient, places in (("a", (0, 5, 30)), ("b", (0, 40))):
        for number, z in enumerate(places):
            write_dicom(tmp_path / "clinic" / patient / "CT" / f"IM{number}", patient, z)
    return tmp_path / "clinic"


def test_a_folder_of_many_patients_is_predicted_as_the_training_images_were_read(clinic):
    data = load_image_files(sorted(clinic.rglob("*")), 16, LABELS, window=(-160, 240))
    network = saved(clinic.parent / "net", data, SmallCNN(1, classes=2))
    found = dict(predict_files(network, clinic))
    assert list(found) == ["a/CT/IM0", "a/CT/IM1", "a/CT/IM2", "b/CT/IM0", "b/CT/IM1"]
    expected = [predict(network, image).double().numpy() for image in data.images]
    np.testing.assert_array_equal(pd.concat(found.values())[["healthy", "ill"]], expected)
    (alone,) = predict_files(network, clinic / "a/CT/IM0")
    assert alone[0] == "IM0" and alone[1]["ill"].tolist() == [expected[0][1]]
    code, _, said = command(clinic.parent / "net", clinic)
    assert code == 0 and "net takes gray values as: 0 = -160, 1 = 240 in the unit of the files. Not for" in said
    Image.new("L", (9, 9)).save(clinic / "a.png")
    with pytest.raises(ValueError, match="a.png is a picture, of gray values, but net takes 0 = -160.*DICOM or NIfTI"):
        list(predict_files(network, clinic / "a.png"))


def test_a_bad_file_is_a_row_that_says_why_and_the_others_go_on(clinic):
    data = load_image_files(sorted(clinic.rglob("*")), 16, LABELS, window=(-160, 240))
    saved(clinic.parent / "net", data, SmallCNN(1, classes=2))
    write_dicom(clinic / "a" / "CT" / "IM1", "a", broken=True)
    for name in ("IM9.DCM", "notes.txt"):
        (clinic / "b" / "CT" / name).write_text("none")
    code, table, said = command(clinic.parent / "net", clinic, "--out", clinic.parent / "table.csv")
    table = pd.read_csv(io.StringIO(table))
    assert code == 1 and said.endswith("error: 2 of the files could not be predicted, the first is a/CT/IM1\n")
    assert table["error"].notna().tolist() == table["class"].isna().tolist() == [False, True] + [False] * 3 + [True]
    assert "IM1: the pixels cannot be read, the file may be truncated" in table["error"][1]
    assert table["error"][5].endswith("b/CT/IM9.DCM is not a DICOM file")
    assert list(table)[-1] == "error" and len(pd.read_csv(clinic.parent / "table.csv")) == 6
    code, table, said = command(clinic.parent / "net", clinic / "a/CT/IM1")
    assert code == 2 and table == "" and said.startswith("error: ") and "may be truncated" in said


def test_masks_of_folders_lie_in_folders_and_a_bad_scan_is_a_line(tmp_path):
    data = ImageSet(np.zeros((1, 1, 16, 16)), np.eye(16, dtype=int)[None], window=(0, 100))
    saved(tmp_path / "net", data, UNet(width=4, levels=2))
    for name in ("a", "b"):
        (tmp_path / "scans" / name).mkdir(parents=True)
        voxels = np.random.default_rng(0).random((16, 20, 3)) * 100
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "scans" / name / "scan.nii.gz")
    broken = tmp_path / "scans" / "a" / "scan.nii.gz"
    broken.write_bytes(broken.read_bytes()[:2000])
    code, lines, said = command(tmp_path / "net", tmp_path / "scans", "--out", tmp_path / "masks")
    first, second = lines.splitlines()
    assert code == 1 and first.startswith("a/scan.nii.gz: error: ") and "truncated or damaged" in first
    assert second == f"b/scan.nii.gz: {tmp_path}/masks/b/scan_mask.nii.gz" and "0 = 0, 1 = 100 in the unit" in said
    assert nib.load(tmp_path / "masks/b/scan_mask.nii.gz").shape == (16, 20, 3)


def test_color_pictures_and_scans_of_other_channels(tmp_path, clinic):
    for name, color in (("red", (200, 20, 20)), ("gray", (90, 90, 90))):
        Image.new("RGB", (30, 20), color).save(tmp_path / f"{name}.png")
    data = load_image_files([tmp_path / "red.png", tmp_path / "gray.png"], 16, ["ill", "healthy"])
    network = saved(tmp_path / "net", data, SmallCNN(3, classes=2))
    for name, image in zip(("red", "gray"), data.images):
        ((_, table),) = predict_files(network, tmp_path / f"{name}.png")
        np.testing.assert_array_equal(table[["healthy", "ill"]].to_numpy()[0], predict(network, image).double())
    with pytest.raises(ValueError, match="IM0 has one channel, but net takes 3: give it color pictures"):
        list(predict_files(network, clinic / "a/CT/IM0"))
    four = saved(tmp_path / "four", ImageSet(np.zeros((2, 4, 16, 16)), [0, 1]), SmallCNN(4, classes=2))
    with pytest.raises(ValueError, match="red.png has 1 or 3 channels, but four takes 4: stack them, and call predict"):
        list(predict_files(four, tmp_path / "red.png"))


class Gray(nn.Conv2d):
    """Gives back what it sees."""

    def __init__(self, unit: str) -> None:
        super().__init__(1, 1, 1, bias=False)
        self.weight.data[:] = 1
        self.card = {"name": "net", "task": "multi-label", "classes": ["gray"], "channels": 1, "size": [16, 16]}
        self.card |= {"unit": unit}

    def forward(self, images):
        return super().forward(images).mean((2, 3))


@pytest.mark.parametrize(
    ("unit", "first", "second"),
    [
        ("0 = 0.5th, 1 = 99.5th percentile of the case; padding is 0", 0.0, 1.0),
        ("0 = 0, 1 = 99.5th percentile of the scan", 0.5, 1.0),
    ],
)
def test_the_percentiles_of_the_training_set_scale_a_scan(tmp_path, unit, first, second):
    voxels = np.full((16, 16, 2), 100.0)
    voxels[..., 1] = 200
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "scan.nii.gz")
    ((_, table),) = predict_files(Gray(unit), tmp_path / "scan.nii.gz")
    np.testing.assert_allclose(table["gray"], 1 / (1 + np.exp([-first, -second])), atol=1e-4)


def test_a_network_whose_card_does_not_say_how_scans_were_scaled_refuses_them(clinic):
    with pytest.raises(ValueError, match=r"IM0: the card of net does not say .* \(0 = darkest, .*window=\(low, high\)"):
        list(predict_files(Gray("0 = darkest, 1 = brightest"), clinic / "a/CT/IM0"))
    with pytest.raises(TypeError, match="predict takes images, not the path '.*IM0': predict_files reads"):
        predict(Gray("0 = darkest, 1 = brightest"), str(clinic / "a/CT/IM0"))
