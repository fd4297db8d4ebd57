"""Masks brought back to the grid of their scan: the file's own, whatever was resampled, cropped, padded or flipped."""

import os
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.spatial.transform import Rotation

from medlab.data import (
    ImageSet,
    join,
    load_dicom_series,
    load_nifti,
    load_nifti_labels,
    slice_set,
    to_nifti,
    volume_set,
)
from medlab.data.images import Info
from medlab.data.scans import Scan, list_slices
from medlab.data.volumes import Case

needs_data = pytest.mark.skipif("MEDLAB_DATA" not in os.environ, reason="needs real images: set MEDLAB_DATA")
INFO = Info("made", "MR", "segmentation", ("background", "near", "far"), "MIT", "", True)
ONE = Info("made", "MR", "multi-class", ("scan",), "MIT", "", True)
SHAPE = (30, 26, 22)
AXIAL = np.diag([1.0, 1.0, 1.0, 1.0])
ANISOTROPIC = np.diag([0.8, 0.8, 3.0, 1.0])
OBLIQUE = np.diag([1.0, 1.0, 2.0, 1.0])
OBLIQUE[:3, :3] = Rotation.from_euler("xyz", (12, -8, 20), degrees=True).as_matrix() @ OBLIQUE[:3, :3]
OBLIQUE[:3, 3] = -40, 25, 300


def write_case(folder: Path, affine=AXIAL, orientation="RAS", shape=SHAPE, name="a") -> Case:
    """Two ellipsoids that touch, in a scan whose axes run as `orientation` says; far from the borders."""
    at = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij"))
    inside = (at**2).sum(0) < 0.35
    labels = (inside * (1 + (at[0] + 0.3 * at[1] > 0))).astype(np.uint8)
    voxels = (100 * inside + 20 * at[2] + 50).astype(np.float32)
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(tuple(orientation))
    )
    paths = [folder / f"{name}_{kind}.nii.gz" for kind in ("image", "labels")]
    for path, array in zip(paths, (voxels, labels)):
        nib.save(nib.Nifti1Image(array, affine).as_reoriented(turn), path)
    return Case(name, *paths)


def dice(a, b) -> float:
    return 2 * ((a > 0) & (a == b)).sum() / ((a > 0).sum() + (b > 0).sum())


def assert_same_grid(image: nib.Nifti1Image, path: Path) -> np.ndarray:
    """The voxels of `image`, after a visit to the disk; its grid is that which nibabel reads from `path`."""
    stored = nib.load(path)
    nib.save(image, path.with_name("back.nii.gz"))
    again = nib.load(path.with_name("back.nii.gz"))
    assert again.shape == stored.shape and nib.aff2axcodes(again.affine) == nib.aff2axcodes(stored.affine)
    np.testing.assert_allclose(again.affine, stored.affine, atol=1e-4)
    assert again.header.get_xyzt_units()[0] == "mm"
    return np.asanyarray(again.dataobj)


@pytest.mark.parametrize("affine", [AXIAL, ANISOTROPIC, OBLIQUE], ids=["axial", "anisotropic", "oblique"])
@pytest.mark.parametrize("orientation", ["RAS", "LPS", "ASL", "IPR"])
@pytest.mark.parametrize("size", [32, 28, 24, 21], ids=["padded", "both", "cropped", "odd"])
def test_slices_come_back_voxel_by_voxel(tmp_path, affine, orientation, size):
    case = write_case(tmp_path, affine, orientation)
    data = slice_set([case], INFO, size)
    back = assert_same_grid(to_nifti(data.targets, like=data), case.image)
    np.testing.assert_array_equal(back, np.asanyarray(nib.load(case.mask).dataobj))
    assert back.dtype == np.uint8


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "ASL"])
@pytest.mark.parametrize("size", [(24, 32, 33), (18, 20, 22)], ids=["padded", "cropped"])
def test_volumes_come_back_voxel_by_voxel(tmp_path, orientation, size):
    case = write_case(tmp_path, ANISOTROPIC, orientation)
    data = volume_set([case], INFO, size)
    for mask in (data.targets, data.targets[0], data.targets.long().numpy()):
        back = assert_same_grid(to_nifti(mask, like=data), case.image)
        np.testing.assert_array_equal(back, np.asanyarray(nib.load(case.mask).dataobj))


@pytest.mark.parametrize("affine", [AXIAL, ANISOTROPIC, OBLIQUE], ids=["axial", "anisotropic", "oblique"])
@pytest.mark.parametrize("make", [slice_set, volume_set])
def test_resampled_masks_come_back_to_within_a_voxel_of_their_border(tmp_path, affine, make):
    case = write_case(tmp_path, affine, "LAS")
    size = 64 if make is slice_set else (80, 64, 64)
    before = np.asanyarray(nib.load(case.mask).dataobj)
    for spacing, least in ((0.5, 0.97), (1.1, 0.9)):
        data = make([case], INFO, size, spacing=spacing)
        back = assert_same_grid(to_nifti(data.targets, like=data), case.image)
        assert dice(back, before) > least
        soft = to_nifti((data.targets == 1).float(), like=data).get_fdata()
        assert dice(soft > 0.5, before == 1) > least
    assert ((soft > 0.1) & (soft < 0.9)).any()  # interpolated


def test_a_mask_on_a_volume_comes_back_to_its_file(tmp_path):
    for affine in (ANISOTROPIC, OBLIQUE):
        case = write_case(tmp_path, affine, "PIR")
        volume, labels = load_nifti(case.image), load_nifti_labels(case.mask)[0]
        back = assert_same_grid(to_nifti(torch.from_numpy(labels), like=volume), case.image)
        np.testing.assert_array_equal(back, np.asanyarray(nib.load(case.mask).dataobj))
        np.testing.assert_allclose(to_nifti(volume.voxels, like=volume).get_fdata(), nib.load(case.image).get_fdata())


def test_what_a_crop_cut_off_is_background_and_missing_slices_are_too(tmp_path):
    case = write_case(tmp_path, ANISOTROPIC, "LPS")
    data = slice_set([case], INFO, 22)
    ones = to_nifti(np.ones(data.targets.shape, int), like=data).get_fdata()
    kept = ones[4:-4, 2:-2]
    assert kept.all() and ones.sum() == kept.size  # 30 x 26 pixels, of which 22 x 22 were kept
    some = data[[9, 4, 6]]
    voxels = to_nifti(some.targets, like=some).get_fdata()
    before = nib.load(case.mask).get_fdata()
    for k in range(22):
        np.testing.assert_array_equal(voxels[..., k], before[..., k] if k in (4, 6, 9) else 0)


def test_grids_stay_with_their_images(tmp_path):
    cases = [write_case(tmp_path, ANISOTROPIC, name=name) for name in "ab"]
    data = slice_set(cases, INFO, 32)
    np.testing.assert_allclose(data.spacing, np.tile([0.8, 0.8], (44, 1)))
    np.testing.assert_allclose(volume_set(cases, INFO, (24, 24, 24)).spacing, np.tile([3.0, 0.8, 0.8], (2, 1)))
    whole = join([data[data.patients == "b"], data[data.patients == "a"]])
    part = whole[whole.patients == "a"]
    np.testing.assert_array_equal(to_nifti(part.targets, like=part).get_fdata(), nib.load(cases[0].mask).get_fdata())
    again = part.replace(images=1 - part.images)
    np.testing.assert_array_equal(again.grids, part.grids)
    assert part.replace(images=part.images[..., 1:], targets=part.targets[..., 1:]).grids is None
    plain = ImageSet(data.images, data.targets, data.patients, data.info)
    assert plain.spacing is None and join([plain, data]).grids is None
    with pytest.raises(ValueError, match="44 images but 3 grids; give one per image"):
        ImageSet(data.images, data.targets, data.patients, data.info, grids=data.grids[:3])


def test_masks_that_belong_to_no_one_scan_are_refused(tmp_path):
    cases = [write_case(tmp_path, ANISOTROPIC, name=name) for name in "ab"]
    data, volumes = slice_set(cases, INFO, 32), volume_set(cases, INFO, (24, 24, 24))
    for images in (data, volumes, data[[0, 0]]):
        with pytest.raises(ValueError, match=r"not of one scan; select it first, such as data\[data.patients == 'a'\]"):
            to_nifti(images.targets, like=images)
    plain = ImageSet(data.images, data.targets, data.patients, data.info)
    with pytest.raises(ValueError, match="made does not know where its images lie; slice_set and volume_set keep that"):
        to_nifti(plain.targets, like=plain)
    with pytest.raises(ValueError, match=r"shape \(1, 2, 32, 32\) does not fit \(1, 32, 32\).*predict"):
        to_nifti(torch.rand(1, 2, 32, 32), like=data[:1])
    with pytest.raises(ValueError, match="holds the label -1; labels are whole numbers from 0"):
        to_nifti(-np.ones((1, 32, 32), int), like=data[:1])


def test_labels_keep_their_numbers_in_the_smallest_type(tmp_path):
    volume = load_nifti(write_case(tmp_path).image)
    mask = np.zeros(volume.voxels.shape, np.int64)
    for label, kind in ((1, np.uint8), (300, np.uint16), (70000, np.uint32)):
        mask[3, 4, 5] = label
        image = to_nifti(mask, like=volume)
        assert image.get_data_dtype() == kind and image.get_fdata()[5, 4, 3] == label
    assert to_nifti(mask > 0, like=volume).get_data_dtype() == np.uint8


@pytest.mark.parametrize("field", [20, 24, 27, 40])
@pytest.mark.parametrize("side", [0.8, 1.1])
def test_slices_of_one_field_of_view_lie_where_their_pixels_say(tmp_path, field, side):
    case = write_case(tmp_path, np.diag([side, 1.0, 3.0, 1.0]), "PSL")
    grid = nib.load(case.image)

    def listed(values):
        nib.save(nib.Nifti1Image(values.astype(np.float32), grid.affine), tmp_path / "values.nii.gz")
        return list_slices(
            [Scan("a", (tmp_path / "values.nii.gz",))], replace(ONE, window=(-100, 100)), 16, field
        ).read()

    inside = ndimage.binary_erosion(np.ones(grid.shape), np.ones((5, 5, 5)))
    whole = listed(200.0 * inside - 100).images[:, 0].numpy() > 1 - 1e-6  # pixels that see no padding
    rows, columns = np.mgrid[:16, :16]
    places = nib.affines.apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
    assert whole.sum() > 200
    for axis in range(3):  # voxels that hold their place in mm
        data = listed(places[..., axis])
        for d, grid_of in enumerate(data.grids):
            expected = nib.affines.apply_affine(grid_of.affine, np.stack([columns, rows, 0 * rows], -1))[..., axis]
            shown = (data.images[d, 0].numpy() - 0.5) * 200
            np.testing.assert_allclose(shown[whole[d]], expected[whole[d]], atol=0.2)  # the filter ripples
    data = list_slices(
        [Scan("a", (case.image,), case.mask)], replace(INFO, window=(0, 200)), 30, field, labels=(0, 1, 2)
    ).read()
    np.testing.assert_allclose(data.spacing[0], [round(field) / 30, round(field / side) * side / 30])
    if field > 24:
        before = nib.load(case.mask).get_fdata()
        assert dice(to_nifti(data.targets, like=data).get_fdata(), before) > 0.9


@needs_data
def test_real_scans_come_back():
    folder = Path(os.environ["MEDLAB_DATA"])
    for image, labels in (("abdomen_ct/ct", "abdomen_ct/organs"), ("hippocampus_msd/imagesTr/hippocampus_017",) * 2):
        path, mask = folder / f"{image}.nii.gz", folder / f"{labels.replace('imagesTr', 'labelsTr')}.nii.gz"
        back = to_nifti(load_nifti_labels(mask)[0], like=load_nifti(path))
        np.testing.assert_array_equal(back.get_fdata(), nib.load(mask).get_fdata())
        np.testing.assert_allclose(back.affine, nib.load(path).affine)
    series = load_dicom_series(folder / "dicom" / "brain_series")
    back = to_nifti(series.voxels, like=series)
    assert back.shape == series.source[0]
    np.testing.assert_allclose(back.affine, series.source[1])
