"""What the numbers of a NIfTI file mean: labels of every type, units of length, grids; written here."""

import nibabel as nib
import numpy as np
import pytest

from medlab.data import load_nifti, load_nifti_labels, load_nifti_pair
from medlab.data.nifti import read_grid

GRID = np.diag([2.0, 2.0, 3.0, 1.0])


def write(path, array, affine=GRID, unit=None, slope=None):
    image = nib.Nifti1Image(array, affine, dtype=array.dtype)
    if unit is not None:
        image.header["xyzt_units"] = unit
    if slope is not None:
        image.header.set_slope_inter(slope, 0)
    nib.save(image, path)
    return path


def labels(values, dtype):
    """Three values in a volume (4, 5, 6), in the order of nibabel."""
    return np.resize(np.array(values, dtype), 120).reshape(4, 5, 6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64])
def test_labels_keep_their_own_type(tmp_path, dtype):
    top = int(min(np.iinfo(dtype).max, np.iinfo(np.int64).max))
    values = [0, top - 1, top]
    path = write(tmp_path / "labels.nii.gz", labels(values, dtype))
    read, affine = load_nifti_labels(path)
    assert read.shape == (6, 5, 4) and read.dtype == dtype and np.unique(read).tolist() == values
    np.testing.assert_array_equal(affine, GRID)
    np.testing.assert_array_equal(read.T, labels(values, dtype))
    scan = write(tmp_path / "scan.nii.gz", np.ones((4, 5, 6), np.float32))
    paired = load_nifti_pair(scan, path)[1]
    assert paired.dtype == np.int64 and np.unique(paired).tolist() == values


def test_labels_are_oriented_like_their_scan(tmp_path):
    turned = nib.Nifti1Image(labels([0, 614454277, 614454278], np.uint32), GRID).as_reoriented(
        [[1, -1], [2, 1], [0, 1]]
    )
    nib.save(turned, tmp_path / "turned.nii.gz")
    plain = write(tmp_path / "plain.nii.gz", labels([0, 614454277, 614454278], np.uint32))
    np.testing.assert_array_equal(load_nifti_labels(tmp_path / "turned.nii.gz")[0], load_nifti_labels(plain)[0])
    scan = write(tmp_path / "scan.nii.gz", np.ones((4, 5, 6), np.float32))
    assert load_nifti_pair(scan, tmp_path / "turned.nii.gz")[1].max() == 614454278


@pytest.mark.parametrize("values", [[0, 0.99998, 2.00003], [0, 1.049, 1.951], [-0.04, 1, 2]])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_labels_near_whole_numbers_are_rounded(tmp_path, values, dtype):
    read, _ = load_nifti_labels(write(tmp_path / "labels.nii.gz", labels(values, dtype)))
    assert read.dtype == np.int64 and np.unique(read).tolist() == [0, 1, 2]


def test_labels_with_a_scale_factor_are_scaled(tmp_path):
    path = write(tmp_path / "labels.nii.gz", labels([0, 1, 2], np.uint8), slope=2)
    assert np.unique(load_nifti_labels(path)[0]).tolist() == [0, 2, 4]


@pytest.mark.parametrize(
    ("values", "dtype", "said"),
    [
        ([0, 0.3, 1], np.float32, "must hold whole numbers from 0; it may be a probability map, so threshold it"),
        ([0, 1.5, 2], np.float32, "values between labels come from interpolation: .*order 0"),
        ([0, 1, 1.06], np.float32, "values between labels come from interpolation"),
        ([0, -1, 2], np.int16, "must hold whole numbers from 0, the lowest is -1"),
        ([0, -1, 2], np.float32, "must hold whole numbers from 0, the lowest is -1"),
        ([0, np.nan, 2], np.float32, "holds NaN or infinite values"),
        (
            [0, 614454277, 614454278],
            np.float32,
            "labels up to 614454272 as float32, which merges labels above 16777216",
        ),
    ],
)
def test_what_is_no_label_map_is_refused(tmp_path, values, dtype, said):
    path = write(tmp_path / "labels.nii.gz", labels(values, dtype))
    with pytest.raises(ValueError, match=f"labels.nii.gz .*{said}"):
        load_nifti_labels(path)


def test_a_label_beyond_int64_is_refused_in_a_pair(tmp_path):
    path = write(tmp_path / "labels.nii.gz", labels([0, 1, 2**63], np.uint64))
    assert load_nifti_labels(path)[0].max() == 2**63
    with pytest.raises(ValueError, match="holds the label 9223372036854775808, more than int64"):
        load_nifti_pair(write(tmp_path / "scan.nii.gz", np.ones((4, 5, 6), np.float32)), path)


@pytest.mark.parametrize(("unit", "factor"), [(0, 1), (1, 1000), (2, 1), (3, 0.001), (1 + 8, 1000), (3 + 16, 0.001)])
def test_units_of_length_become_mm(tmp_path, unit, factor):
    affine = np.array([[0.0, -2, 0, 10], [2, 0, 0, 20], [0, 0, 3, 30], [0, 0, 0, 1]])
    path = write(tmp_path / "scan.nii.gz", labels([1, 2, 3], np.int16), affine, unit)
    volume, (_, grid) = load_nifti(path), load_nifti_labels(path)
    np.testing.assert_allclose(volume.spacing, np.array([3, 2, 2]) * factor)
    turned = nib.as_closest_canonical(nib.load(path)).affine
    np.testing.assert_allclose(volume.affine, np.diag([factor] * 3 + [1]) @ turned)
    np.testing.assert_array_equal(grid, volume.affine)
    name = {1000: "meter", 0.001: "micron"}.get(factor)
    assert volume.info == (f"converted from {name} to mm" if name else "")


def test_an_unknown_unit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="scan.nii.gz: the code of its unit of length is unknown"):
        load_nifti(write(tmp_path / "scan.nii.gz", labels([1, 2, 3], np.int16), unit=7))


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((12, 10), "it is a single slice: stack the slices"),
        ((12,), "take one scan of it first"),
        ((4, 5, 6, 2), "split it with nib.four_to_three first"),
        ((4, 5, 6, 1, 3), r"take one scan of it first, such as image.slicer\[..., 0, 0\]"),
    ],
)
def test_what_is_not_3d_gets_the_right_advice(tmp_path, shape, said):
    path = write(tmp_path / "scan.nii.gz", np.ones(shape, np.int16))
    for load in (load_nifti, load_nifti_labels):
        with pytest.raises(ValueError, match=f"scan.nii.gz has shape .*expected 3-D; {said}"):
            load(path)


@pytest.mark.parametrize(
    ("dtype", "said"),
    [
        ([("R", "u1"), ("G", "u1"), ("B", "u1")], "colors .R, G, B."),
        ([("R", "u1"), ("G", "u1"), ("B", "u1"), ("A", "u1")], "colors .R, G, B, A."),
        (np.complex64, "complex numbers"),
    ],
)
def test_colors_and_complex_numbers_are_refused(tmp_path, dtype, said):
    path = write(tmp_path / "scan.nii.gz", np.zeros((4, 5, 6), dtype))
    for load in (load_nifti, load_nifti_labels):
        with pytest.raises(ValueError, match=f"scan.nii.gz holds {said}, expected one number a voxel"):
            load(path)


def test_sheared_and_impossible_grids_are_refused(tmp_path):
    scan = labels([1, 2, 3], np.int16)
    shear = GRID.copy()
    shear[1, 2] = 3 * np.tan(np.deg2rad(12))
    with pytest.raises(ValueError, match="scan.nii.gz: its grid is sheared by 12.0 degrees.*resample_to_output"):
        load_nifti(write(tmp_path / "scan.nii.gz", scan, shear))
    image = nib.load(write(tmp_path / "zero.nii", scan))
    image.header["srow_z"], image.header["sform_code"] = 0, 1
    raw = bytearray((tmp_path / "zero.nii").read_bytes())
    raw[: image.header.sizeof_hdr] = image.header.binaryblock
    (tmp_path / "zero.nii").write_bytes(raw)
    with pytest.raises(ValueError, match="zero.nii: its affine is no grid"):
        load_nifti(tmp_path / "zero.nii")


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 2, 0]])
def test_a_grid_is_read_without_voxels_as_with_them(tmp_path, order):
    turned = nib.Nifti1Image(np.ones((4, 5, 6), np.float32), GRID).as_reoriented(np.stack([order, [1, -1, -1]], 1))
    nib.save(turned, tmp_path / "scan.nii")
    volume, (shape, affine) = load_nifti(tmp_path / "scan.nii"), read_grid(tmp_path / "scan.nii")
    assert shape == volume.voxels.shape[::-1] == (4, 5, 6)
    np.testing.assert_array_equal(affine, volume.affine)


def test_an_orientation_that_the_file_does_not_give_is_said_to_be_a_guess(tmp_path):
    nib.save(nib.Nifti1Image(np.ones((4, 5, 6), np.float32), None), tmp_path / "scan.nii")
    assert load_nifti(tmp_path / "scan.nii").info == "sform_code and qform_code are 0, so left and right are a guess"
    assert load_nifti(write(tmp_path / "placed.nii", labels([1, 2, 3], np.int16))).info == ""


def test_an_impossible_type_of_voxels_is_a_damaged_file(tmp_path):
    path = write(tmp_path / "scan.nii", labels([1, 2, 3], np.int16))
    damaged = bytearray(path.read_bytes())
    damaged[70:72] = b"\x51\x00"  # the code of the type
    path.write_bytes(damaged)
    for read in (load_nifti, load_nifti_labels, read_grid):
        with pytest.raises(ValueError, match="scan.nii is truncated or damaged.*81"):
            read(path)


def test_other_formats_are_refused(tmp_path):
    nib.save(nib.MGHImage(np.ones((4, 5, 6), np.float32), GRID), tmp_path / "scan.mgz")
    with pytest.raises(ValueError, match="scan.mgz is not a NIfTI file but of MGHImage; convert it"):
        load_nifti(tmp_path / "scan.mgz")
