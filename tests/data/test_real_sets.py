"""The real sets that are at hand: their counts are those of the tables beside them, and images match their tables."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from medlab.data import available, load, read_volume
from medlab.data.real_sets import REAL

pytestmark = pytest.mark.skipif("MEDLAB_DATA" not in os.environ, reason="needs real images: set MEDLAB_DATA")


def rows(file):
    """The rows of a table under MEDLAB_DATA."""
    with (Path(os.environ["MEDLAB_DATA"]) / file).open() as lines:
        return list(csv.DictReader(lines))


def values(file, column):
    return [row[column] for row in rows(file)]


def people(data):
    return len(np.unique(data.patients))


COUNTS = {  # images, patients, classes; those of the tables, or of the READMEs where a set has no table
    "isic2017": (1899, 1899, 3),
    "isic2017_masks": (1899, 1899, 2),
    "mednist": (3600, 3600, 6),
    "pancreas_ct": (208, 48, 2),
    "liver_ct": (509, 98, 2),
    "lung_ct_patches": (260, 26, 2),
    "lung_ct": (236, 3, 1),
    "nih_chestxray": (808, 546, 2),
    "sts_pet": (2639, 40, 2),
    "brain_pet_maps": (273, 7, 1),
    "ixi": (1388, 27, 1),
    "brain_tumor_t1": (1007, 69, 3),
    "tcga_lgg": (197, 2, 4),
}


@pytest.mark.parametrize("name", COUNTS)
def test_a_set_is_complete_and_keeps_the_contract(name):
    size = 64 if name == "mednist" else REAL[name].sizes[0]
    data, some = load(name, size=size), load(name, n=8)
    images, patients, classes = COUNTS[name]
    assert (len(data), people(data), len(data.info.classes)) == COUNTS[name]
    assert str(images) in str(available().set_index("name").loc[name, "images"])
    assert some.images.shape[0] == 8 and some.images.shape[-1] == REAL[name].size
    assert 0 <= some.images.min() < some.images.max() <= 1 and "0" in some.info.unit and some.info.note
    assert people(load(name, patients=2)) == 2
    assert min(data.counts().values()) > 0
    if name != "tcga_lgg":
        parts = [load(name, split, seed=1, size=size) for split in ("train", "val", "test")]
        found = [set(part.patients) for part in parts]
        assert sum(map(len, found)) == patients and len(set.union(*found)) == patients


def test_classes_and_patients_are_those_of_the_tables():
    lesions = load("isic2017", size=16)
    assert lesions.patients.tolist() == values("isic2017/labels.csv", "image_id")
    names = [lesions.info.classes[target].replace(" ", "_") for target in lesions.targets]
    assert names == values("isic2017/labels.csv", "class")
    assert load("pancreas_ct", size=16).patients.tolist() == values("pancreas_ct_slices/slices.csv", "patient")
    assert load("liver_ct", size=16).patients.tolist() == values("liver_ct_msd/slices.csv", "volume")
    subjects = set(values("ixi_t1_2mm/participants.csv", "subject"))
    assert set(load("ixi", size=16).patients) == subjects
    pet = [row["patient"] for row in rows("sts_pet_ct_mr/volumes.csv") if row["modality"] == "PET"]
    assert sorted(set(load("sts_pet", size=16).patients)) == sorted(pet)
    mednist = load("mednist", size=28)
    assert [len(part) for part in mednist.split()] == [8400, 1500, 2100] and set(mednist.counts().values()) == {2000}
    assert load("nih_chestxray", size=28).counts() == {"no finding": 396, "pneumonia": 412}
    assert load("brain_tumor_t1", size=16).counts() == {"meningioma": 338, "glioma": 348, "pituitary tumor": 321}


def test_masks_are_those_of_the_tables():
    pancreas = load("pancreas_ct", size=256)
    assert pancreas.targets.sum((1, 2)).tolist() == list(
        map(int, values("pancreas_ct_slices/slices.csv", "mask_pixels_256"))
    )
    liver = load("liver_ct", size=256)
    assert liver.targets.sum((1, 2)).tolist() == list(map(int, values("liver_ct_msd/slices.csv", "liver_pixels")))
    lesions = load("isic2017_masks", size=256, n=100, seed=1)
    share = dict(zip(values("isic2017/labels.csv", "image_id"), values("isic2017/labels.csv", "mask_fraction")))
    for name, part in zip(lesions.patients, lesions.targets.float().mean((1, 2)).tolist()):
        assert part == pytest.approx(float(share[name]), abs=1e-4)


def test_uptake_in_tumors_is_that_of_the_table():
    data = load("sts_pet", size=128)
    for row in rows("sts_pet_ct_mr/volumes.csv"):
        if row["modality"] == "PET" and float(row["max"]) < 10:  # nothing is cut
            own = data[data.patients == row["patient"]]
            inside = own.images[:, 0][own.targets == 1].mean().item()
            assert 10 * inside == pytest.approx(float(row["tumour_mean"]), rel=0.05), row["patient"]


def test_volumes_are_those_of_the_table():
    for row in rows("sts_pet_ct_mr/volumes.csv")[::4]:
        case = row["patient"] + ("" if row["modality"] == "PET" else f"_{row['modality']}")
        volume, labels = read_volume("sts_pet", case)
        assert "x".join(map(str, volume.voxels.shape[::-1])) == row["shape"]
        assert volume.voxels.max() == pytest.approx(float(row["max"]), abs=0.01)
        assert (labels > 0).sum() == int(row["tumour_voxels"])


@pytest.mark.parametrize(
    "name, case, shape, low, high, top",
    [
        ("abdomen_ct", "ct", (30, 101, 122), -1100, 1207, 117),
        ("brain_pet_maps", "cn_fdg_template", (91, 109, 91), 0, 1.69, None),
        ("hippocampus", "hippocampus_017", (32, 48, 35), None, None, 2),
        ("ixi", "IXI013-HH-1212", (120, 120, 90), 0, 4466, 207),
        ("lung_ct", "LIDC-IDRI-0314_3mm", (92, 133, 133), -1000, 1811, None),
        ("mni152", "gm", (189, 233, 197), 0, 255, None),
        ("tcga_lgg", "TCGA-FG-6692_t1c", (155, 240, 240), -3, 1098, 4),
        ("tcga_lgg", "BraTS2021_01646_flair", (104, 160, 160), 0, 631, 1),
    ],
)
def test_volumes_are_in_their_own_units(name, case, shape, low, high, top):
    volume, labels = read_volume(name, case)
    assert volume.voxels.shape == shape and volume.affine.shape == (4, 4)
    if low is not None:
        assert (volume.voxels.min(), volume.voxels.max()) == pytest.approx((low, high), rel=0.01)
    assert (None if labels is None else labels.max()) == top


def near_water(picture):
    """The share of a picture near 0 HU in the window from -1000 to 400."""
    return float(np.mean(np.abs(np.asarray(picture) - 1000 / 1400) < 0.06))


def test_water_is_where_the_unit_says():
    scans = load("lung_ct", size=128)
    volume, _ = read_volume("lung_ct", "LIDC-IDRI-0314_3mm")
    window = (volume.voxels[46] + 1000).clip(0, 1400) / 1400
    own = scans[scans.patients == "LIDC-IDRI-0314"]  # the 20 fine slices come first
    assert len(own) == 112
    assert near_water(own.images[20 + 46]) * 432**2 == pytest.approx(near_water(window) * 399**2, rel=0.1)
