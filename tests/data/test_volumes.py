"""NIfTI, Decathlon and PNG: small files written here, and real ones where they are at hand."""

import hashlib
import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from loopback import address, serve
from PIL import Image

from medlab import limits
from medlab.data import archives, load_dicom_series, nifti, volumes
from medlab.data.images import Info
from medlab.data.png import load_png_folder

needs_data = pytest.mark.skipif("MEDLAB_DATA" not in os.environ, reason="needs real images: set MEDLAB_DATA")
INFO = Info("made", "MR", "segmentation", ("background", "object"), "MIT", "", True)


def write_nifti(path, array, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.diag([1.0, 2.0, 3.0, 1.0]) if affine is None else affine), path)
    return path


def scan(shape=(4, 5, 6)):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def test_nifti_axes_are_up_front_right_whatever_the_file_says(tmp_path):
    right_front_up = scan()
    plain = nifti.load_nifti(write_nifti(tmp_path / "ras.nii.gz", right_front_up))
    assert plain.voxels.shape == (6, 5, 4) and plain.voxels.dtype == np.float32
    assert plain.spacing == (3.0, 2.0, 1.0)
    assert plain.voxels[1, 2, 3] == right_front_up[3, 2, 1]
    turned = nib.Nifti1Image(right_front_up, plain.affine).as_reoriented([[1, -1], [2, 1], [0, -1]])
    assert nib.aff2axcodes(turned.affine) != ("R", "A", "S")
    nib.save(turned, tmp_path / "turned.nii")
    again = nifti.load_nifti(tmp_path / "turned.nii")
    np.testing.assert_array_equal(again.voxels, plain.voxels)
    np.testing.assert_allclose(again.affine, plain.affine)
    back = nib.Nifti1Image(plain.voxels.T, plain.affine)
    np.testing.assert_array_equal(back.get_fdata(), right_front_up)


def test_nifti_with_scale_factors_and_a_single_frame(tmp_path):
    image = nib.Nifti1Image(scan()[..., None].astype(np.int16), np.eye(4))
    image.header.set_slope_inter(2, -10)
    nib.save(image, tmp_path / "scaled.nii.gz")
    stored = nib.load(tmp_path / "scaled.nii.gz").get_fdata()[..., 0]
    np.testing.assert_array_equal(nifti.load_nifti(tmp_path / "scaled.nii.gz").voxels, stored.T)


def test_nifti_with_nan_says_how_many_and_how_to_repair(tmp_path):
    array = scan()
    array[0, 0, :2], array[1, 1, 1] = np.nan, np.inf
    with pytest.raises(ValueError, match="3 of 120 voxels are NaN or infinite; .*np.nan_to_num"):
        nifti.load_nifti(write_nifti(tmp_path / "nan.nii.gz", array))


def test_bad_nifti_files(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError):
        nifti.load_nifti(tmp_path / "none.nii")
    (tmp_path / "text.nii").write_text("hello")
    with pytest.raises(ValueError, match="text.nii is truncated or damaged, or of another format"):
        nifti.load_nifti(tmp_path / "text.nii")
    for name in ("a.nii", "a.nii.gz"):
        path = write_nifti(tmp_path / name, np.random.default_rng(0).normal(size=(9, 9, 9)))
        path.write_bytes(path.read_bytes()[:-500])
        with pytest.raises(ValueError, match=f"{name} is truncated or damaged"):
            nifti.load_nifti(path)
    with pytest.raises(ValueError, match=r"shape \(4, 5, 6, 2\), expected 3-D; split it with nib.four_to_three"):
        nifti.load_nifti(write_nifti(tmp_path / "four.nii.gz", scan((4, 5, 6, 2))))
    path = write_nifti(tmp_path / "large.nii.gz", scan())
    monkeypatch.setitem(limits._LIMITS, "volume_bytes", 4 * 119)
    monkeypatch.setattr(nifti, "canonical", None)  # the voxels are not touched
    with pytest.raises(ValueError, match=r"large.nii.gz: shape \(4, 5, 6\) needs 480 bytes, allowed are 476"):
        nifti.load_nifti(path)


def test_pair_of_image_and_mask(tmp_path):
    image = write_nifti(tmp_path / "image.nii.gz", scan())
    mask = write_nifti(tmp_path / "mask.nii.gz", (scan() > 50).astype(np.uint8))
    volume, labels = nifti.load_nifti_pair(image, mask)
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, volume.voxels > 50)
    other = write_nifti(tmp_path / "other.nii.gz", np.zeros((4, 5, 7), np.uint8))
    with pytest.raises(ValueError, match=r"has shape \(6, 5, 4\) \(D, H, W\) but mask .*other.nii.gz has \(7, 5, 4\)"):
        nifti.load_nifti_pair(image, other)
    moved = write_nifti(tmp_path / "moved.nii.gz", np.zeros((4, 5, 6), np.uint8), np.eye(4))
    with pytest.raises(ValueError, match="same shape but another affine .*resample it to the image"):
        nifti.load_nifti_pair(image, moved)
    soft = write_nifti(tmp_path / "soft.nii.gz", scan() / 240)
    with pytest.raises(ValueError, match="must hold whole numbers from 0; it may be a probability map"):
        nifti.load_nifti_pair(image, soft)


def write_decathlon(folder, cases=3):
    for number in range(cases):
        array = scan((6, 7, 3 + number)) * 10.0 ** (4 * number)  # ranges differ 10 000-fold
        write_nifti(folder / "imagesTr" / f"case_{number}.nii.gz", array)
        write_nifti(folder / "labelsTr" / f"case_{number}.nii.gz", (array > np.median(array)).astype(np.uint8))
    listed = [
        {"image": f"./imagesTr/case_{n}.nii.gz", "label": f"./labelsTr/case_{n}.nii.gz"} for n in range(cases + 1)
    ]
    about = {"name": "Made", "labels": {"0": "background", "1": "Object"}, "modality": {"0": "MRI"}, "training": listed}
    (folder / "dataset.json").write_text(json.dumps(about | {"license": "CC0"}))
    return folder


def test_decathlon_cases_that_are_there(tmp_path):
    cases, info = volumes.load_decathlon(write_decathlon(tmp_path))
    assert [case.patient for case in cases] == ["case_0", "case_1", "case_2"]  # case_3 is listed only
    assert (info.name, info.modality, info.classes, info.license) == ("made", "MRI", ("background", "object"), "CC0")
    volume, mask = cases[1].load()
    assert volume.voxels.shape == mask.shape == (4, 7, 6)


def test_decathlon_slices_and_volumes(tmp_path):
    cases, info = volumes.load_decathlon(write_decathlon(tmp_path))
    slices = volumes.slice_set(cases, info, 16)
    assert slices.images.shape == (3 + 4 + 5, 1, 16, 16) and slices.targets.shape == (12, 16, 16)
    assert slices.patients.tolist() == ["case_0"] * 3 + ["case_1"] * 4 + ["case_2"] * 5
    for patient in np.unique(slices.patients):  # each case has the whole range, whatever its own was
        part = slices[slices.patients == patient]
        assert part.images.max() == 1 and 0.4 < part.images[:, :, 4:11, 5:11].mean() < 0.6
        assert 0.45 < part.targets[:, 4:11, 5:11].float().mean() <= 0.5
    assert slices.images[:, :, :4].abs().sum() == 0 and slices.images[:, :, 11:].abs().sum() == 0  # padding
    inside = slices.images[:, 0, 4:11, 5:11]
    whole = volumes.volume_set(cases, info, (8, 7, 6))
    assert whole.images.shape == (3, 1, 8, 7, 6) and whole.targets.shape == (3, 8, 7, 6)
    np.testing.assert_array_equal(whole.images[0, 0, 2:5], inside[:3])
    assert whole.targets[0, 5:].sum() == 0
    for case in cases:
        write_nifti(case.mask, np.zeros(nib.load(case.mask).shape, np.uint8))
    np.testing.assert_array_equal(volumes.slice_set(cases, info, 4).images[:, 0], inside[:, 1:5, 1:5])  # cropping


def test_slices_and_volumes_are_upright_with_the_right_on_the_left(tmp_path):
    folder = write_decathlon(tmp_path, cases=1)
    image = np.zeros((6, 7, 3), np.float32)  # axes: to the right, to the front, up
    image[5, 3, 1], image[2, 6, 1], image[0, 0, 2] = 1, 2, 3
    write_nifti(folder / "imagesTr" / "case_0.nii.gz", image)
    write_nifti(folder / "labelsTr" / "case_0.nii.gz", image.astype(np.uint8))
    cases, info = volumes.load_decathlon(folder)
    info = replace(info, classes=("background", "right", "front", "left, back and up"))
    slices = volumes.slice_set(cases, info, 7)
    assert slices.targets.dtype == torch.uint8
    places = [(slices.targets == label).nonzero()[0].tolist() for label in (1, 2, 3)]
    assert places == [[1, 3, 0], [1, 0, 3], [2, 6, 5]]  # slice from the feet, row from the top, column
    np.testing.assert_array_equal(slices.images[:, 0] > 0, slices.targets > 0)
    assert torch.equal(volumes.volume_set(cases, info, (3, 7, 7)).targets[0], slices.targets)


def a_box(folder, affine, number=0):
    """One case with a bright box of 12 x 12 x 12 mm in the middle of 24 mm, sampled on the grid of `affine`."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    shape = np.rint(24 / spacing).astype(int)
    affine[:3, 3] = -affine[:3, :3] @ ((shape - 1) / 2)  # the middle is at 0 mm
    index = np.stack(np.meshgrid(*[np.arange(side) for side in shape], indexing="ij"), -1)
    box = (np.abs(nib.affines.apply_affine(affine, index)) < 6).all(-1)
    for kind in ("imagesTr", "labelsTr"):
        write_nifti(
            folder / kind / f"case_{number}.nii.gz", box.astype(np.float32 if kind == "imagesTr" else np.uint8), affine
        )


def turned(degrees):
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[cos, -sin, 0, 0], [sin, cos, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


@pytest.mark.parametrize(
    ("affine", "said"),
    [
        (np.diag([1.0, 1, 3, 1]), "1.00 x 1.00 x 3.00 mm, turned by up to 0 degrees"),
        (np.diag([0.5, 0.5, 0.5, 1]), "0.50 x 0.50 x 0.50 mm"),
        (turned(20), "turned by up to 20 degrees"),
    ],
)
def test_volumes_on_unlike_grids_are_refused_or_resampled_as_asked(tmp_path, affine, said):
    folder = write_decathlon(tmp_path, cases=2)
    a_box(folder, np.eye(4), 0)
    a_box(folder, affine, 1)
    cases, info = volumes.load_decathlon(folder)
    with pytest.raises(ValueError, match=rf"case_1.nii.gz has voxels of .*{said}.*1.00 x 1.00 x 1.00 mm: give spacing"):
        volumes.volume_set(cases, info, (24, 24, 24))
    both = volumes.volume_set(cases, info, (24, 24, 24), spacing=1.0)
    first, second = both.targets.bool()
    assert first.sum() == 12**3 and abs(int(second.sum()) - 12**3) < 0.25 * 12**3
    overlap = 2 * (first & second).sum() / (first.sum() + second.sum())
    assert overlap > 0.8 and both.images[1, 0][second].mean() > 0.8  # the same box, in mm, in image and mask
    assert volumes.volume_set(cases[1:], info, (24, 24, 24)) if said.startswith(("1.00", "0.50")) else True


def test_a_case_without_structure_stays_in_the_set(tmp_path):
    folder = write_decathlon(tmp_path, cases=2)
    write_nifti(folder / "labelsTr" / "case_1.nii.gz", np.zeros((6, 7, 3), np.uint8))
    write_nifti(folder / "imagesTr" / "case_1.nii.gz", scan((6, 7, 3)))
    cases, info = volumes.load_decathlon(folder)
    both = volumes.volume_set(cases, info, (4, 7, 6))
    assert both.targets[1].sum() == 0 and len(both) == 2


@pytest.mark.parametrize("make, size", [(volumes.slice_set, 16), (volumes.volume_set, (8, 7, 6))])
def test_a_set_above_the_budget_is_mapped_from_disk(tmp_path, monkeypatch, make, size):
    cases, info = volumes.load_decathlon(write_decathlon(tmp_path / "made"))
    small = make(cases, info, size)
    monkeypatch.setattr(archives, "BUDGET", small.images.numel() * 4 * 2 // 3)  # exceeded by the last case
    monkeypatch.setenv("MEDLAB_CACHE", str(tmp_path / "cache"))
    large = make(cases, info, size)
    assert large.images.dtype == torch.uint8 and isinstance(small.images, torch.Tensor)
    for (left, maps), (right, same) in zip(large.batches(5), small.batches(5), strict=True):
        assert left.shape == right.shape and (left - right).abs().max() <= 0.5 / 255 + 1e-6 and torch.equal(maps, same)
    assert "in 256 steps" in large.info.unit and "in 256 steps" not in small.info.unit
    assert large[1:].images.data_ptr() == large.images[1:].data_ptr() and not list((tmp_path / "cache").iterdir())
    (tmp_path / "file").touch()
    monkeypatch.setenv("MEDLAB_CACHE", str(tmp_path / "file"))
    with pytest.raises(OSError, match="set MEDLAB_CACHE to a folder"):
        make(cases, info, size)


def test_bad_decathlon_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="dataset.json"):
        volumes.load_decathlon(tmp_path)
    folder = write_decathlon(tmp_path)
    cases, info = volumes.load_decathlon(folder)
    write_nifti(folder / "imagesTr" / "case_0.nii.gz", np.zeros((6, 7, 3)))
    with pytest.raises(ValueError, match="case_0.nii.gz is constant"):
        volumes.slice_set(cases, info, 16)
    for path in folder.glob("labelsTr/*"):
        path.unlink()
    with pytest.raises(ValueError, match="none of the 4 cases of dataset.json is there"):
        volumes.load_decathlon(folder)
    about = json.loads((folder / "dataset.json").read_text())
    about["training"][0]["image"] = "../../secret.nii.gz"
    (folder / "dataset.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="names a file outside the folder .*secret"):
        volumes.load_decathlon(folder)
    (folder / "dataset.json").write_text('{"labels": []}')
    with pytest.raises(ValueError, match="is not that of a Decathlon task"):
        volumes.load_decathlon(folder)


def test_decathlon_download(tmp_path, monkeypatch):
    from monai.apps import DecathlonDataset

    task = "Task04_Hippocampus"
    write_decathlon(tmp_path / "made" / task)
    (tmp_path / "data/decathlon").mkdir(parents=True)
    packed = tmp_path / "data/decathlon" / f"{task}.tar"
    with tarfile.open(packed, "w") as archive:
        archive.add(tmp_path / "made" / task, task)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("MEDLAB_CACHE", str(tmp_path / "archives"))
    monkeypatch.delenv("MEDLAB_DATA", raising=False)
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    md5 = hashlib.md5(packed.read_bytes()).hexdigest()
    monkeypatch.setitem(DecathlonDataset.md5, task, md5)
    with serve(packed.parent) as server:
        monkeypatch.setitem(DecathlonDataset.resource, task, address(server, packed.name))
        cases, _ = volumes.load_decathlon(tmp_path / "cache" / task, download=True)
        assert len(cases) == 3 and [path.name for path in (tmp_path / "cache").iterdir()] == [task]
        volumes.load_decathlon(tmp_path / "cache" / task, download=True)
        assert server.requests == 1 and not list((tmp_path / "archives/decathlon").iterdir())
        monkeypatch.setitem(DecathlonDataset.md5, task, "0" * 32)
        with pytest.raises(ValueError, match=f"the download from .*{task}.tar has the wrong hash"):
            volumes.load_decathlon(tmp_path / "other" / task, download=True)
    with pytest.raises(
        ConnectionError,
        match=r'cannot download Task04_Hippocampus.tar .*put it into .*decathlon; .*load\("brain"\)',
    ) as error:
        volumes.load_decathlon(tmp_path / "other" / task, download=True)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="unknown Decathlon task 'Task4_Hippocampus'. Did you mean 'Task04_Hippo"):
        volumes.load_decathlon(tmp_path / "other" / "Task4_Hippocampus", download=True)
    monkeypatch.setenv("MEDLAB_DATA", str(tmp_path / "data"))
    with pytest.raises(ValueError, match="Task04_Hippocampus.tar is not the published file, its MD5 is not 0000"):
        volumes.load_decathlon(tmp_path / "other" / task, download=True)
    monkeypatch.setitem(DecathlonDataset.md5, task, md5)
    assert len(volumes.load_decathlon(tmp_path / "more" / task, download=True)[0]) == 3
    assert packed.exists() and not (tmp_path / "other").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write to the cache folder"):
        volumes.load_decathlon(tmp_path / "file" / task, download=True)


def write_pngs(folder, count=3, size=(8, 6)):
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for number in range(count):
        image = np.arange(size[0] * size[1], dtype=np.uint8).reshape(size) * 5
        Image.fromarray(image).save(folder / "images" / f"{number}.png")
        Image.fromarray((image > 100).astype(np.uint8) * 255).save(folder / "masks" / f"{number}.png")
    return folder / "images", folder / "masks"


def test_png_folder(tmp_path):
    images = load_png_folder(*write_pngs(tmp_path), INFO)
    assert images.images.shape == (3, 1, 8, 6) and images.targets.shape == (3, 8, 6)
    assert images.patients.tolist() == ["0", "1", "2"] and images.info is INFO
    np.testing.assert_allclose(images.images[0, 0].numpy() * 255, np.arange(48).reshape(8, 6) * 5, atol=1e-4)
    np.testing.assert_array_equal(images.targets[0], images.images[0, 0] * 255 > 100.5)
    assert load_png_folder(tmp_path / "images", tmp_path / "masks").info.name == "images"


def test_bad_png_folders(tmp_path, monkeypatch):
    images, masks = write_pngs(tmp_path)

    def refused(message):
        with pytest.raises(ValueError, match=message):
            load_png_folder(images, masks)

    def put(path, array):
        Image.fromarray(array).save(path)

    with monkeypatch.context() as patch:
        patch.setitem(limits._LIMITS, "volume_bytes", 100)
        refused(r"\.png: shape \(8, 6\) needs")
    put(masks / "1.png", np.arange(48, dtype=np.uint8).reshape(8, 6))
    refused(r"mask 1.png must hold 0 and one other value, got \[0, 1, 2, 3, 4\]")
    put(masks / "1.png", np.zeros((8, 7), np.uint8))
    refused("masks/1.png is 8 x 7, expected 8 x 6: use one size")
    put(masks / "1.png", np.eye(8, 6, dtype=np.uint8))
    put(images / "2.png", np.zeros((8, 6), np.uint16))
    refused("images/2.png is not an 8-bit image .mode I;16.: convert it")
    (masks / "1.png").unlink()
    refused("1 of 3 images have no mask in .*, the first is 1.png")
    with pytest.raises(ValueError, match="holds no .png file"):
        load_png_folder(tmp_path, masks)


@needs_data
def test_real_files():
    data = Path(os.environ["MEDLAB_DATA"])
    brain = load_dicom_series(data / "dicom" / "brain_series")
    assert brain.voxels.shape == (17, 128, 88) and brain.spacing == (2.0, 2.0, 2.0)
    ct, organs = nifti.load_nifti_pair(data / "abdomen_ct" / "ct.nii.gz", data / "abdomen_ct" / "organs.nii.gz")
    assert ct.voxels.shape == (30, 101, 122) and ct.voxels.min() == -1100
    center = {organ: np.argwhere(organs == label).mean(0) for organ, label in (("liver", 5), ("spleen", 1))}
    assert center["liver"][2] > center["spleen"][2]  # the liver is on the right, where W ends
    cases, info = volumes.load_decathlon(data / "hippocampus_msd")
    whole = volumes.volume_set(cases[:3], info, (48, 64, 64))
    assert len(cases) == 100 and whole.images.shape == (3, 1, 48, 64, 64)
    assert min(whole.counts().values()) > 1000
    fitted, large = (volumes.volume_set(cases, info, size).counts() for size in ((40, 48, 32), (48, 64, 48)))
    assert all(fitted[name] == large[name] for name in info.classes[1:])  # no labelled voxel is cut off
