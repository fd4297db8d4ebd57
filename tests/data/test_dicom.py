"""DICOM: single images and series, written here from the sample that pydicom carries."""

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from medlab.data import load_dicom, load_dicom_series, nifti


def write_series(folder, heights=(0, 2, 4, 6), **tags):
    """Axial CT slices made from pydicom's sample: all pixels of a slice hold its height + 1024, first named last."""
    folder.mkdir(exist_ok=True)
    for number, height in enumerate(heights):
        slice_ = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
        slice_.ImagePositionPatient, slice_.ImageOrientationPatient = [10, 20, height], [1, 0, 0, 0, 1, 0]
        slice_.PixelSpacing = [0.5, 0.75]
        pixels = np.full((128, 128), height + 1024, np.int16)
        pixels[0, 127] = 2024  # front left of the patient
        slice_.PixelData = pixels.tobytes()
        for tag, value in tags.items():
            setattr(slice_, tag, value)
        slice_.save_as(folder / f"{len(heights) - number:02}.dcm")
    return folder


def test_dicom_series_is_sorted_by_position_and_in_hu(tmp_path):
    folder = write_series(tmp_path / "series")
    (folder / "README.txt").write_text("not DICOM")
    volume = load_dicom_series(folder)
    assert volume.voxels.shape == (4, 128, 128) and volume.spacing == (2.0, 0.5, 0.75)
    np.testing.assert_array_equal(volume.voxels[:, 60, 60], [0, 2, 4, 6])
    assert volume.voxels[0, 127, 0] == 1000  # H from back to front, W from left to right
    corner = volume.affine @ [0, 127, 0, 1]  # (w, h, d): mm right, front, up
    np.testing.assert_allclose(corner[:3], [-10 - 127 * 0.75, -20, 0])


def test_dicom_series_of_another_plane_and_slope(tmp_path):
    folder = write_series(tmp_path / "series", RescaleSlope=2, RescaleIntercept=-2048)
    for path in folder.iterdir():
        slice_ = pydicom.dcmread(path)
        height = slice_.ImagePositionPatient[2]
        slice_.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]  # sagittal
        slice_.ImagePositionPatient = [height, 0, 0]
        slice_.save_as(path)
    volume = load_dicom_series(folder)
    assert volume.voxels.shape == (128, 128, 4) and volume.spacing == (0.5, 0.75, 2.0)
    np.testing.assert_array_equal(volume.voxels[60, 60], [12, 8, 4, 0])  # x runs to the left, W to the right


@pytest.mark.parametrize(
    "heights, message",
    [
        ((0, 2, 6, 8), "slices 03.dcm and 02.dcm are 4.00 mm apart, the others 2.00 mm; a slice is missing"),
        ((0, 2, 6), "slices 02.dcm and 01.dcm are 4.00 mm apart, the others 2.00 mm; a slice is missing"),
        ((0, 2, 2, 4), r"slices 0[23].dcm and 0[23].dcm lie at the same position \(2.00 mm\); a slice is repeated"),
        ((0,), "holds 1 DICOM files, a series needs two; read one with load_dicom"),
    ],
)
def test_dicom_series_with_missing_or_repeated_slices(tmp_path, heights, message):
    with pytest.raises(ValueError, match=message):
        load_dicom_series(write_series(tmp_path / "series", heights))


def test_dicom_folder_that_is_no_single_series(tmp_path):
    folder = write_series(tmp_path / "series")

    def change(name, tag, value):
        slice_ = pydicom.dcmread(folder / name)
        setattr(slice_, tag, value)
        slice_.save_as(folder / name)

    first = pydicom.dcmread(folder / "01.dcm").SeriesInstanceUID
    change("04.dcm", "SeriesInstanceUID", "1.2.3.4")
    with pytest.raises(
        ValueError, match=rf"holds 2 series: {first} \(3 files\), 1.2.3.4 \(1 files\); give each a folder"
    ):
        load_dicom_series(folder)
    change("04.dcm", "SeriesInstanceUID", first)
    change("03.dcm", "PixelSpacing", [1, 1])
    with pytest.raises(ValueError, match="03.dcm: PixelSpacing differs from that of 01.dcm"):
        load_dicom_series(folder)
    change("03.dcm", "PixelSpacing", [0.5, 0.75])
    change("02.dcm", "ImagePositionPatient", None)
    with pytest.raises(ValueError, match="02.dcm has no ImagePositionPatient"):
        load_dicom_series(folder)


def test_one_dicom_image_in_hu():
    image, spacing = load_dicom(get_testdata_file("CT_small.dcm"))
    assert image.shape == (128, 128) and image.dtype == np.float32
    assert (image.min(), image.max()) == (128 - 1024, 2191 - 1024)
    assert spacing == (0.661468, 0.661468)


def test_bad_dicom_files(tmp_path, monkeypatch):
    (tmp_path / "text.dcm").write_text("hello")
    with pytest.raises(ValueError, match="text.dcm is not a DICOM file"):
        load_dicom(tmp_path / "text.dcm")
    whole = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    whole.PixelData = whole.PixelData[:1000]
    whole.save_as(tmp_path / "short.dcm")
    with pytest.raises(ValueError, match="short.dcm: the pixels cannot be read, the file may be truncated"):
        load_dicom(tmp_path / "short.dcm")
    whole.NumberOfFrames = 3
    whole.save_as(tmp_path / "frames.dcm")
    with pytest.raises(ValueError, match="frames.dcm is a color or multi-frame image"):
        load_dicom(tmp_path / "frames.dcm")
    monkeypatch.setattr(nifti, "LIMIT", 1000)
    with pytest.raises(ValueError, match=r"CT_small.dcm: shape \(128, 128\) needs"):
        load_dicom(get_testdata_file("CT_small.dcm"))
