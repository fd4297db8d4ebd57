"""CT in units, slices resampled in plane, and crops that must not lose labels, on scans made here and real ones."""

import os
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from medlab.data.grids import resample_slices, resample_volume
from medlab.data.images import Info
from medlab.data.scans import Scan, list_slices
from medlab.data.volumes import Case, slice_set, volume_set

needs_data = pytest.mark.skipif("MEDLAB_DATA" not in os.environ, reason="needs real images: set MEDLAB_DATA")
CT = Info("made", "CT", "segmentation", ("background", "liver", "spleen"), "MIT", "", True)
MR = replace(CT, modality="MR")


def case(folder, name, voxels, mask=None, affine=None):
    """A case of `voxels`, whose axes are to the right, to the front, up."""
    arrays = {"image": np.asarray(voxels, np.float32), "mask": np.zeros(voxels.shape) if mask is None else mask}
    for kind, array in arrays.items():
        scan = nib.Nifti1Image(
            array.astype(np.uint8 if kind == "mask" else np.float32), np.eye(4) if affine is None else affine
        )
        nib.save(scan, folder / f"{name}_{kind}.nii.gz")
    return Case(name, folder / f"{name}_image.nii.gz", folder / f"{name}_mask.nii.gz")


def scale(x, y, z=1.0):
    return np.diag([x, y, z, 1.0])


def body(**changes):
    """Air around a body of 40 HU with a vessel of 110 HU (8 x 8 x 4 voxels), changed at some of them."""
    voxels = np.full((8, 8, 4), -1000.0)
    voxels[2:6, 2:6] = 40
    voxels[4, 4] = 110
    for at, value in changes.values():
        voxels[at] = value
    return voxels


@pytest.mark.parametrize(
    "make", [lambda cases, info: slice_set(cases, info, 8), lambda cases, info: volume_set(cases, info, (4, 8, 8))]
)
def test_a_tissue_has_one_gray_value_in_every_ct_also_beside_metal(tmp_path, make):
    cases = [
        case(tmp_path, "plain", body()),
        case(tmp_path, "metal", body(implant=(np.s_[2:4, 2:6], 3000))),
        case(tmp_path, "no_air", np.maximum(body(), -100)),
    ]
    images = make(cases, CT)
    values = images.images.reshape(3, -1, 8, 8).flip(2)  # row 0 is the back now, column 0 the patient's right
    assert (values[:, :, 4, 7 - 4] == np.float32((110 + 160) / 400)).all()
    assert (values[:, :, 4, 7 - 5] == 0.5).all()
    assert (values[1, :, 2:6, 7 - 2] == 1).all() and (values[:2, :, 0] == 0).all() and (values[2, :, 0] > 0).all()
    assert images.info.unit == "0 = -160 HU, 1 = 240 HU; padding is 0"
    mr = make(cases, MR)
    assert mr.info.unit == "0 = 0.5th, 1 = 99.5th percentile of the case; padding is 0"
    assert len(mr.images.reshape(3, -1, 8, 8).flip(2)[:, 0, 4, 7 - 5].unique()) == 3  # each case on its own


def test_another_window_is_taken_and_written_down(tmp_path):
    lungs = slice_set([case(tmp_path, "a", body())], replace(CT, modality="chest CT"), 8, window=(-1000, 400))
    assert lungs.info.unit == "0 = -1000 HU, 1 = 400 HU; padding is 0"
    assert lungs.images.unique().tolist() == np.float32([0, 1040 / 1400, 1110 / 1400]).tolist()


@pytest.mark.parametrize("window", [(240, -160), (40, 40), (float("nan"), 240), (-160, float("inf")), (1, 2, 3)])
def test_a_window_that_is_none_says_what_one_is(tmp_path, window):
    with pytest.raises(
        ValueError, match=r"window must be \(low, high\) in HU with low below high, got .*; \(-160, 240\)"
    ):
        slice_set([case(tmp_path, "a", body())], CT, 8, window=window)


@pytest.mark.parametrize("modality", ["MR", "PET", "retinal OCT", "MRI, T2"])
def test_a_window_is_for_ct(tmp_path, modality):
    info = replace(CT, modality=modality)
    with pytest.raises(ValueError, match=f"made: a window is in HU, but the modality is {modality}, of no unit: leave"):
        volume_set([case(tmp_path, "a", body())], info, (4, 8, 8), window=(-160, 240))


@pytest.mark.parametrize("added, found", [(1240, "240 to 1350"), (-900, "-1900 to -790")])
def test_a_ct_beyond_the_window_may_not_be_in_hu(tmp_path, added, found):
    with pytest.raises(
        ValueError, match=f"a_image.nii.gz has no voxel between -160 and 240 HU, but {found}: take anot"
    ):
        slice_set([case(tmp_path, "a", body() + added)], CT, 8)


def test_what_lies_outside_a_resampled_ct_is_air_not_water(tmp_path):
    angle = np.deg2rad(20)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    images = volume_set([case(tmp_path, "turned", np.minimum(body(), 40), None, affine)], CT, (4, 16, 16), spacing=1.0)
    assert images.images.max() > 0.4 and (images.images[0, 0, :, [0, 1, 14, 15]] == 0).all()


def a_square(folder, name, affine, side=24.0):
    """A square of 12 mm of 40 HU and label 1 in air, in the middle of a slice of `side` mm, sampled by `affine`."""
    spacing = np.diag(affine)[:3]
    shape = np.rint(np.array([side, side, 3 * spacing[2]]) / spacing).astype(int)
    x, y = (np.abs((np.arange(n) - (n - 1) / 2) * mm) < 6 for n, mm in zip(shape[:2], spacing))
    inside = np.broadcast_to((x[:, None] & y)[..., None], shape)
    return case(folder, name, np.where(inside, 40.0, -1000.0), inside.astype(np.uint8), affine)


def test_slices_of_mixed_pixels_are_refused_or_resampled(tmp_path):
    cases = [a_square(tmp_path, "a", scale(1, 1)), a_square(tmp_path, "b", scale(0.5, 0.5, 5))]
    cases += [a_square(tmp_path, "c", scale(1.5, 1, 2))]
    for other, pixels in ((cases[1], "0.50 x 0.50"), (cases[2], "1.50 x 1.00")):
        said = f"{other.patient}_image.nii.gz has pixels of {pixels} mm; those of the first case have 1.00 x 1.00 mm: "
        with pytest.raises(ValueError, match=said + "give spacing=1.0"):
            slice_set([cases[0], other], CT, 24)
    images = slice_set(cases, CT, 24, spacing=1.0)
    assert images.targets.sum((1, 2)).tolist() == [144] * 9
    assert torch.equal(images.targets, images.targets[:1].expand(9, -1, -1))  # the same square, in mm
    inner = images.images[:, 0, 7:17, 7:17]
    assert (inner == 0.5).all() and (images.images[:, 0, :5] == 0).all()
    alone = slice_set(cases[:1], CT, 24)
    assert torch.equal(alone.images, images.images[:3]) and torch.equal(alone.targets, images.targets[:3])
    nearly = a_square(tmp_path, "d", scale(1.04, 1.04))  # like enough
    assert len(slice_set([cases[0], nearly], CT, 24)) == 6


def test_slices_are_resampled_linearly_about_the_same_place(tmp_path):
    ramp = np.broadcast_to(np.arange(12.0)[:, None, None], (12, 10, 2))
    labels = (ramp >= 6).astype(np.uint8)
    volume, mask = case(tmp_path, "a", ramp, labels, scale(2, 3, 4)).load()
    finer, finer_mask = resample_slices(volume, 1.0, mask)
    assert finer.voxels.shape == finer_mask.shape == (2, 30, 24) and finer.spacing == (4, 1, 1)
    x = nib.affines.apply_affine(finer.affine, np.stack([np.arange(24), np.zeros(24), np.zeros(24)], 1))[:, 0]
    np.testing.assert_allclose(finer.voxels[0, 4, 1:-1], x[1:-1] / 2, atol=1e-5)  # value x / 2 at x mm
    assert finer_mask[:, :, :12].sum() == 0 and finer_mask[:, :, 12:].all()


@pytest.mark.parametrize("spacing", [0, -1.0, float("nan"), float("inf")])
def test_a_spacing_that_is_no_length(tmp_path, spacing):
    for make, size in ((slice_set, 8), (volume_set, (4, 8, 8))):
        with pytest.raises(ValueError, match="spacing must be a positive length in mm, got"):
            make([case(tmp_path, "a", body())], CT, size, spacing=spacing)


def test_a_spacing_too_fine_for_memory_is_refused_before_it_is_allocated(tmp_path):
    for make, size in ((slice_set, 8), (volume_set, (4, 8, 8))):
        with pytest.raises(ValueError, match=r"0.0001 mm: shape .* needs .* bytes, allowed are"):
            make([case(tmp_path, "a", body())], CT, size, spacing=1e-4)


def test_labels_keep_their_numbers_when_they_are_resampled(tmp_path):
    labels = np.full((8, 8, 4), 614454278)
    labels[:4] -= 1
    one = case(tmp_path, "a", body())
    nib.save(nib.Nifti1Image(labels.astype(np.uint32), np.eye(4)), one.mask)
    volume, mask = one.load()
    assert np.unique(resample_volume(volume, 0.5, mask)[1]).tolist() == [614454277, 614454278]


def test_a_damaged_case_is_named_before_its_voxels_are_read(tmp_path):
    cases = [case(tmp_path, "a", body()), case(tmp_path, "b", body())]
    Path(cases[1].image).write_bytes(Path(cases[1].image).read_bytes()[:60])
    with pytest.raises(ValueError, match="b_image.nii.gz is truncated or damaged, or of another format"):
        slice_set(cases, CT, 8)
    with pytest.raises(ValueError, match="b_image.nii.gz is truncated or damaged, or of another format"):
        list_slices([Scan("b", (cases[1].image,))], replace(CT, task="multi-class", classes=("scan",)), 8, 8)


def test_channels_of_a_slice_lie_on_one_grid(tmp_path):
    files = [
        case(tmp_path, name, body(), affine=affine).image for name, affine in (("a", np.eye(4)), ("b", scale(1, 1, 2)))
    ]
    pair = Scan("p", tuple(files))
    with pytest.raises(ValueError, match="a_image.nii.gz and the other images of p lie on unlike grids"):
        list_slices([pair], replace(CT, task="multi-class", classes=("scan",), window=(-1000, 0)), 8, 8).read()


def test_a_crop_that_loses_an_organ_says_which_and_what_to_do(tmp_path):
    labels = np.zeros((64, 48, 4), np.uint8)
    labels[10:20, 20:24] = 1
    labels[56:60, 20:30] = 2  # 60 of 64 on the right: 32 - 4 = 28 from the middle, so 56 pixels hold it
    scan = np.where(labels, 40.0, -1000.0)
    one = case(tmp_path, "a", scan, labels, scale(0.8, 0.8))
    said = (
        "would remove 96 of 160 voxels of liver, 160 of 160 voxels of spleen; take size=56 or more, or larger voxels, "
    )
    said = rf"a_image.nii.gz: a crop to 32 x 32 {said}spacing=1.4 \(mm\)"
    with pytest.raises(ValueError, match=said):
        slice_set([one], CT, 32)
    whole = {"background": 4 * 56 * 56 - 320, "liver": 160, "spleen": 160}
    assert slice_set([one], CT, 56).counts() == whole and slice_set([one], CT, 56).info.note == ""
    coarse = slice_set([one], CT, 32, spacing=1.6).counts()
    assert (coarse["liver"], coarse["spleen"]) == (40, 40)  # a pixel has the area of four
    with pytest.raises(ValueError, match="would remove 96 of 160 voxels of 1, 160 of 160 voxels of 2"):
        slice_set([one], replace(CT, classes=()), 32)
    with pytest.raises(ValueError, match="a_image.nii.gz: its label map holds 2, but there are 2 classes at most"):
        slice_set([one], replace(CT, classes=("background", "liver")), 64)
    with pytest.raises(
        ValueError, match=r"a crop to 2 x 48 x 56 would remove 80 of .*liver, 80 of .*; take size=\(4, 48, 56\) or"
    ):
        volume_set([one], CT, (2, 48, 56))


def test_a_few_voxels_that_a_crop_removes_are_counted(tmp_path):
    labels = np.zeros((20, 20, 4), np.uint8)
    labels[2:18, 2:18] = 1
    labels[1, 10, :] = 1  # 4 of 1028, outside of 18 x 18
    cases = [case(tmp_path, "a", labels * 40.0, labels), case(tmp_path, "b", labels * 40.0, labels * (labels > 1))]
    images = slice_set([replace(cases[0], patient="first"), cases[1]], replace(CT, note="Made."), 16)
    assert images.info.note == "Made. Cropping removed 4 labeled voxels of 1 of 2 cases (first)."


@needs_data
def test_real_scans_of_three_hospitals_agree_on_40_hu(tmp_path):
    data = Path(os.environ["MEDLAB_DATA"])
    organs = nib.load(data / "abdomen_ct" / "organs.nii.gz")
    nib.save(
        nib.Nifti1Image((np.asarray(organs.dataobj) == 1).astype(np.uint8) * 2, organs.affine),
        tmp_path / "spleen.nii.gz",
    )
    cases = [Case("abdomen", data / "abdomen_ct" / "ct.nii.gz", tmp_path / "spleen.nii.gz")]
    for path in sorted((data / "lung_ct_tcia").glob("*256.nii.gz")):
        scan = nib.load(path)
        nib.save(nib.Nifti1Image(np.zeros(scan.shape, np.uint8), scan.affine), tmp_path / path.name)
        cases.append(Case(path.name, path, tmp_path / path.name))
    for one in cases:
        volume, _ = one.load()
        images = slice_set([one], CT, 256).images[:, 0].numpy()
        inside = volume.voxels[:, ::-1, ::-1]
        top, left = ((256 - n) // 2 for n in inside.shape[1:])
        shown = images[:, top : top + inside.shape[1], left : left + inside.shape[2]]
        assert (inside == 40).sum() > 50 and (shown[inside == 40] == 0.5).all()
    with pytest.raises(ValueError, match="has pixels of 1.68 x 1.68 mm; those of the first case have 3.00 x 3.00 mm"):
        slice_set(cases, CT, 160)
    assert slice_set(cases, CT, 160, spacing=3.0).counts()["spleen"] == (np.asarray(organs.dataobj) == 1).sum()
    with pytest.raises(
        ValueError, match=r"ct.nii.gz: a crop to 64 x 64 would remove \d+ of \d+ voxels of spleen; take size="
    ):
        slice_set(cases[:1], CT, 64)
