"""DICOM series, written here from the sample that pydicom carries; single images are in test_dicom_image.py."""

import warnings

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from medlab.data import load_dicom_series


def write_series(folder, heights=(0, 2, 4, 6), **tags):
    """Axial CT slices made from pydicom's sample: all pixels of a slice hold its height + 1024, first named last.

    A list of tags has one value a slice.
    """
    folder.mkdir(exist_ok=True)
    for number, height in enumerate(heights):
        slice_ = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
        slice_.ImagePositionPatient, slice_.ImageOrientationPatient = [10, 20, height], [1, 0, 0, 0, 1, 0]
        slice_.PixelSpacing = [0.5, 0.75]
        pixels = np.full((128, 128), height + 1024, np.int16)
        pixels[0, 127] = 2024  # front left of the patient
        slice_.PixelData = pixels.tobytes()
        for tag, value in tags.items():
            setattr(slice_, tag, value[number] if isinstance(value, list) else value)
        slice_.save_as(folder / f"{len(heights) - number:02}.dcm")
    return folder


def test_dicom_series_is_sorted_by_position_and_in_hu(tmp_path):
    folder = write_series(tmp_path / "series")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing to say
        volume = load_dicom_series(folder)
    assert volume.info == ""
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
        ((0, 1, 2, 3, 6, 9), "spacing of the slices varies between 1.00 and 3.00 mm .first at 03.dcm.; take a part"),
        ((0, 2, 4, 7), "spacing of the slices varies between 2.00 and 3.00 mm"),
        ((0, 2, 6), "slices 02.dcm and 01.dcm are 4.00 mm apart, the others 2.00 mm; a slice is missing"),
        ((0, 2, 2, 4), r"slices 0[23].dcm and 0[23].dcm lie at the same position \(2.00 mm\); a slice is repeated"),
        ((0,), "holds 1 DICOM files with an image, a series needs two; read one with load_dicom"),
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


def test_the_numbers_of_slices_tell_gaps_from_another_spacing(tmp_path):
    heights = (0, 2, 6, 8, 12)
    with pytest.raises(ValueError, match="spacing of the slices varies between 2.00 and 4.00 mm"):
        load_dicom_series(write_series(tmp_path / "varies", heights, InstanceNumber=[1, 2, 3, 4, 5]))
    with pytest.raises(ValueError, match="a slice is missing between them"):
        load_dicom_series(write_series(tmp_path / "missing", heights, InstanceNumber=[7, 6, 4, 3, 1]))


NEXT = {"InstanceNumber": [1, 2, 3, 4]}


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"SliceThickness": 2, "InstanceNumber": [1, 3, 5, 7]}, "2.00 mm apart, but InstanceNumber counts by 2"),
        ({"SliceThickness": 5, "InstanceNumber": [9, 6, 3, 0]}, "2.00 mm apart, but InstanceNumber counts by 3"),
        ({"SliceThickness": 1, **NEXT}, "slices may be missing: they are 2.00 mm apart, but SliceThickness is 1.00 mm"),
        ({"SliceThickness": 1, "SpacingBetweenSlices": 2, **NEXT}, ""),  # a gap that was meant
        ({"SliceThickness": 1.8, **NEXT}, ""),
        ({"SliceThickness": 5, "InstanceNumber": [1, 3, 6, 8]}, ""),  # numbered through several series
        ({"SliceThickness": None, "InstanceNumber": None}, ""),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_thinned_series_is_suspected(tmp_path, tags, said):
    volume = load_dicom_series(write_series(tmp_path / "series", **tags))
    assert volume.spacing[0] == 2 and (said in volume.info if said else volume.info == "")


@pytest.mark.parametrize(
    ("tag", "values", "said"),
    [
        ("TemporalPositionIdentifier", [1, 1, 1, 2, 2, 2], "with up to 2 slices each: Temporal.* .1, 2. tells"),
        ("EchoTime", [10, 10, 10, 80, 80, 80], "EchoTime .10.*80.* tells its parts apart"),
        ("AcquisitionNumber", [1, 1, 1, 2, 2, 2], "AcquisitionNumber .1, 2. tells its parts apart"),
        ("DiffusionBValue", [0, 0, 0, 900, 900, 900], "DiffusionBValue"),
        ("ImageType", [["ORIGINAL", "PRIMARY", kind] for kind in "MMMPPP"], "ImageType"),
        ("TriggerTime", [1, 2, 3, 4, 5, 6], "its parts differ in TriggerTime"),
    ],
)
def test_a_4d_series_says_what_tells_its_parts_apart(tmp_path, tag, values, said):
    folder = write_series(tmp_path / "series", (0, 2, 4, 0, 2, 4), **{tag: values})
    with pytest.raises(ValueError, match=f"is a 4-D series, 3 positions .*{said}.*folder of its own"):
        load_dicom_series(folder)


def test_a_series_taken_twice_is_not_4d(tmp_path):
    times = [f"1200{second:02}" for second in range(8)]
    with pytest.raises(ValueError, match="lie at the same position .*a slice is repeated, remove one"):
        load_dicom_series(write_series(tmp_path / "a", (0, 2, 2, 4), ContentTime=times))
    with pytest.raises(ValueError, match="a slice is repeated, remove one"):
        load_dicom_series(write_series(tmp_path / "b", (0, 2, 4, 0, 2, 4)))


def orientation(axis, degrees):
    """Row and column directions of axial slices, turned about an axis of the body."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return [1, 0, 0, 0, cos, -sin] if axis == "x" else [cos, 0, sin, 0, 1, 0]


@pytest.mark.parametrize(("axis", "degrees"), [("x", 20), ("x", -7.5), ("y", 12), ("y", -30)])
def test_a_tilted_gantry_is_refused_or_resampled_as_asked(tmp_path, axis, degrees):
    heights = range(0, 60, 2)
    folder = write_series(tmp_path / "tilted", heights)
    directions = np.array(orientation(axis, degrees)).reshape(2, 3)
    row, column = np.mgrid[:128, :128]
    center = np.array([10, 20, 30]) + 64 * directions.sum(0)  # mm left, back, up: of a ball in the middle of the stack
    for path in folder.iterdir():
        slice_ = pydicom.dcmread(path)
        slice_.PixelSpacing, slice_.ImageOrientationPatient = [1, 1], directions.ravel().tolist()
        places = (
            np.array(slice_.ImagePositionPatient) + column[..., None] * directions[0] + row[..., None] * directions[1]
        )
        ball = np.linalg.norm(places - center, axis=-1) < 20
        slice_.PixelData = (1024 + 100 * ball).astype(np.int16).tobytes()
        slice_.save_as(path)
    with pytest.raises(ValueError, match=f"gantry was tilted by {abs(degrees):.1f} degrees.*resample=True"):
        load_dicom_series(folder)
    with pytest.warns(UserWarning, match=f"resampled, since the gantry was tilted by {abs(degrees):.1f} degrees"):
        volume = load_dicom_series(folder, resample=True)
    assert volume.spacing == (2.0, 1.0, 1.0)
    np.testing.assert_allclose(volume.affine[:3, :3], np.diag([1, 1, 2]), atol=1e-6)
    inside = np.argwhere(volume.voxels > 50)[:, ::-1]  # (w, h, d)
    middle = (volume.affine @ [*inside.mean(0), 1])[:3]
    np.testing.assert_allclose(middle, center * [-1, -1, 1], atol=0.5)  # mm right, front, up
    np.testing.assert_allclose(np.ptp(inside, axis=0) * [1, 1, 2], 40, atol=3)  # a ball again, not an egg


def test_slices_along_their_normal_are_not_tilted_whatever_their_plane(tmp_path):
    folder = write_series(tmp_path / "oblique")
    directions = np.array(orientation("x", 20)).reshape(2, 3)
    for path in folder.iterdir():
        slice_ = pydicom.dcmread(path)
        slice_.ImageOrientationPatient = directions.ravel().tolist()
        height = float(slice_.ImagePositionPatient[2])
        slice_.ImagePositionPatient = np.round(height * np.cross(*directions), 2).tolist()
        slice_.save_as(path)
    np.testing.assert_allclose(load_dicom_series(folder).spacing, (2, 0.5, 0.75), atol=0.01)


def test_slices_shifted_sideways_are_refused(tmp_path):
    folder = write_series(
        tmp_path / "series", ImagePositionPatient=[[10, 20, 0], [10, 25, 2], [10, 20, 4], [10, 20, 6]]
    )
    with pytest.raises(ValueError, match="slices are shifted sideways against each other by up to 5.00 mm"):
        load_dicom_series(folder)


@pytest.mark.parametrize(
    ("tag", "value", "said"),
    [
        ("PixelSpacing", [0, 0], "PixelSpacing is .0.0, 0.0. mm, but must be above 0"),
        ("PixelSpacing", [0.5, -0.5], "PixelSpacing is .0.5, -0.5. mm, but must be above 0"),
        ("ImageOrientationPatient", [0] * 6, "ImageOrientationPatient is .* must hold two vectors of length 1"),
        ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0], "ImageOrientationPatient is .* at right angles"),
        ("ImageOrientationPatient", [1, 0, 0], "ImageOrientationPatient is .*, expected 6 finite numbers"),
        ("ImagePositionPatient", [1, 2], "ImagePositionPatient is .*, expected 3 finite numbers"),
    ],
)
def test_an_impossible_geometry_is_refused_with_tag_and_file(tmp_path, tag, value, said):
    folder = write_series(tmp_path / "series")
    for path in folder.iterdir():
        slice_ = pydicom.dcmread(path)
        setattr(slice_, tag, value)
        slice_.save_as(path)
    with pytest.raises(ValueError, match=rf"series/01.dcm: {said}"):
        load_dicom_series(folder)


def test_what_is_no_image_is_passed_over_and_counted(tmp_path):
    folder = write_series(tmp_path / "series")
    directory = pydicom.dcmread(get_testdata_file("DICOMDIR"))
    directory.save_as(folder / "DICOMDIR")
    report = pydicom.dcmread(folder / "01.dcm")
    for tag in ("Rows", "Columns", "PixelData"):
        del report[tag]
    report.SeriesInstanceUID = "1.2.3.4"
    report.save_as(folder / "report.dcm")
    (folder / "README.txt").write_text("not DICOM")
    (folder / "._01.dcm").write_bytes((folder / "01.dcm").read_bytes())  # hidden: not counted
    (folder / "Thumbs.db").write_text("")
    with pytest.warns(UserWarning, match="3 files without an image passed over") as said:
        volume = load_dicom_series(folder)
    assert volume.voxels.shape[0] == 4 and len(said) == 1
    assert "(1 without suffix, 1 .txt, 1 .dcm)" in volume.info


def test_a_scout_is_refused(tmp_path):
    folder = write_series(tmp_path / "series")
    scout = pydicom.dcmread(folder / "01.dcm")
    scout.ImageType, scout.ImageOrientationPatient = ["ORIGINAL", "PRIMARY", "LOCALIZER"], [0, 1, 0, 0, 0, -1]
    scout.save_as(folder / "scout.dcm")
    with pytest.raises(ValueError, match="scout.dcm: ImageOrientationPatient differs .*remove what is not"):
        load_dicom_series(folder)


def test_slopes_may_differ_by_slice_but_not_be_missing_in_some(tmp_path):
    folder = write_series(tmp_path / "slopes", RescaleSlope=[1, 2, 3, 4], RescaleIntercept=0)
    np.testing.assert_array_equal(load_dicom_series(folder).voxels[:, 60, 60], [1024, 2052, 3084, 4120])
    folder = write_series(tmp_path / "some", RescaleSlope=[1, 1, None, 1])
    with pytest.raises(ValueError, match="some slices are in HU and others are not"):
        load_dicom_series(folder)
    folder = write_series(tmp_path / "none", RescaleSlope=None)
    with pytest.warns(UserWarning, match="a CT without RescaleSlope: stored values, not HU"):
        assert load_dicom_series(folder).info


def test_monochrome1_is_inverted_alike_in_all_slices_of_a_series(tmp_path):
    folder = write_series(tmp_path / "series", PhotometricInterpretation=["MONOCHROME1"] * 2 + ["MONOCHROME2"] * 2)
    for path in folder.iterdir():
        slice_ = pydicom.dcmread(path)
        slice_.Modality, slice_.RescaleIntercept, slice_.PixelRepresentation, slice_.BitsStored = "MR", 0, 0, 12
        slice_.HighBit = 11
        slice_.save_as(path)
    with pytest.warns(UserWarning, match="2 of 4: inverted, since MONOCHROME1"):
        volume = load_dicom_series(folder)
    np.testing.assert_array_equal(volume.voxels[:, 60, 60], [4095 - 1024, 4095 - 1026, 1028, 1030])
    assert "MONOCHROME1" in volume.info
