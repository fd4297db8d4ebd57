"""`ImageSet`: what it takes and refuses, indexing, batches, and splits that keep patients apart."""

import re

import numpy as np
import pandas as pd
import pytest
import torch

from medlab.data.images import ImageSet, Info
from medlab.data.subsets import channels_as_images

CLASSES = ("a", "b", "c")


def info(task="multi-class", classes=CLASSES):
    return Info("made", "CT", task, classes, "MIT", "none", True)


def image_set(n=12, per_patient=3, task="multi-class", published_split=None, seed=0):
    """Image k holds k / 1000 everywhere, so that it is known again after any reordering."""
    images = (torch.arange(n) / 1000).reshape(n, 1, 1, 1).expand(n, 1, 4, 5).contiguous()
    generator = torch.Generator().manual_seed(seed)
    shape = {"multi-class": (n,), "multi-label": (n, 3), "segmentation": (n, 4, 5)}[task]
    targets = torch.randint(0, 2 if task == "multi-label" else 3, shape, generator=generator)
    return ImageSet(images, targets, np.arange(n) // per_patient, info(task), published_split)


def positions(part):
    return (part.batch(torch.arange(len(part)))[0][:, 0, 0, 0] * 1000).round().int().tolist()


def given(**changes):
    arguments = {"images": torch.rand(4, 1, 4, 5), "targets": torch.tensor([0, 1, 2, 0]), "patients": [0, 0, 1, 2]}
    return arguments | {"info": info()} | changes


def with_value(value):
    images = torch.rand(4, 1, 4, 5)
    images[1, 0, 2, 3] = value
    return images


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"images": torch.rand(4, 4, 5)}, "images must be (N, C, H, W) or (N, C, D, H, W), got (4, 4, 5)"),
        ({"images": torch.rand(0, 1, 4, 5)}, "the set holds no image"),
        ({"images": torch.rand(4, 4, 5)}, "gray images have one channel: give images[:, None]"),
        (
            {"images": np.zeros((4, 1, 4, 5), np.int16)},
            "must be float in [0, 1] or uint8, got torch.int16, of no known",
        ),
        ({"images": np.zeros((4, 1, 4, 5), "U1")}, "images must be one array of numbers, all of one shape"),
        (
            {"images": [np.zeros((1, 4, 5)), np.zeros((1, 5, 5))]},
            "images must be one array of numbers, all of one shape",
        ),
        ({"images": np.zeros((4, 64, 60, 3))}, "would be 3 pixels wide and have 64 channels; channels come second"),
        ({"images": np.full((4, 1, 4, 5), 300.0)}, "images must lie in [0, 1] without NaN, got 300 to 300; scale them"),
        ({"images": with_value(torch.nan)}, "images must lie in [0, 1] without NaN"),
        ({"images": with_value(torch.inf)}, "images must lie in [0, 1] without NaN"),
        ({"images": with_value(1.001)}, "images must lie in [0, 1] without NaN"),
        ({"images": with_value(-0.001)}, "images must lie in [0, 1] without NaN"),
        ({"targets": torch.zeros(3).int()}, "multi-class targets must have shape (4,) to match images (4, 1, 4, 5)"),
        ({"targets": torch.tensor([0, 1, 3, 0])}, "target 3 is out of range 0..2 for classes ('a', 'b', 'c')"),
        ({"targets": torch.tensor([0, -1, 2, 0])}, "target -1 is out of range 0..2"),
        ({"targets": torch.tensor([0, 1, 2, 0.5])}, "targets must be whole numbers, got torch.float32"),
        ({"targets": np.array([0, 1, 2, 0.5])}, "measured values (regression) are out of scope"),
        ({"targets": ["a", "b", "c", "d"]}, "targets hold 'd', not among the classes ('a', 'b', 'c')"),
        ({"targets": np.array(["a", None, "c", "b"], object)}, "1 of 4 targets are missing (None or NaN)"),
        ({"targets": [0, 3, 3, 0], "info": info("unlabeled", ())}, "count 0, 1, 2, ..., but these hold 0, 3: number"),
        ({"targets": [[0], [1], [0], [1]], "info": info("unlabeled", ())}, "are of one column: give targets[:, 0]"),
        ({"patients": np.array([1, 2, np.nan, 4])}, "1 of 4 patients are missing (empty, None or NaN)"),
        (
            {"patients": ["a", "b", " ", ""]},
            "2 of 4 patients are missing (empty, None or NaN), the first is that of image 2",
        ),
        ({"patients": np.array(["a", np.nan, "c", "d"])}, "1 of 4 patients are missing (empty"),
        ({"patients": pd.array(["a", None, "c", "d"], dtype="string")}, "1 of 4 patients are missing (empty"),
        (
            {"info": info("unlabeled", ()), "targets": np.eye(4, dtype=int)},
            "(4, 4) have a single 1 in each row, as classes in one-hot",
        ),
        ({"info": info("multi-label"), "targets": torch.zeros(4, 2).int()}, "must have shape (4, 3)"),
        ({"info": info("multi-label"), "targets": torch.full((4, 3), 2)}, "target 2 is out of range 0..1"),
        ({"info": info("segmentation"), "targets": torch.zeros(4, 5, 4).int()}, "must have shape (4, 4, 5)"),
        ({"info": info("segmentation"), "targets": torch.full((4, 4, 5), 256)}, "target 256 is out of range 0..2"),
        (
            {"info": info("segmentation", [f"{k}" for k in range(257)]), "targets": torch.zeros(4, 4, 5).int()},
            "label maps hold at most 256 classes, got 257",
        ),
        ({"patients": [0, 1, 2]}, "4 images but patients of shape (3,); give one patient id per image"),
        (
            {"published_split": ["train", "val", "test"]},
            "`published_split` must hold one of ('train', 'val', 'test') per image",
        ),
        ({"published_split": ["train", "val", "test", "tests"]}, "`published_split` must hold one of"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=f"^made: .*{re.escape(message)}"):
        ImageSet(**given(**changes))


def test_unknown_task_gives_the_nearest():
    with pytest.raises(ValueError, match="unknown task 'segmentatoin'. Did you mean 'segmentation'"):
        info("segmentatoin")


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int16, torch.int32, torch.int64, torch.uint16])
@pytest.mark.parametrize("task, kept", [("multi-class", torch.int64), ("segmentation", torch.uint8)])
def test_targets_of_any_whole_type_are_narrow_in_memory_and_int64_in_batches(dtype, task, kept):
    shape = (4,) if task == "multi-class" else (4, 4, 5)
    targets = torch.randint(0, 2, shape)
    images = ImageSet(**given(targets=targets.to(dtype), info=info(task)))
    assert images.targets.dtype == kept and torch.equal(images.targets.long(), targets)
    batch = next(images.batches(4))[1]
    assert batch.dtype == torch.int64 and torch.equal(batch, targets)


def test_numpy_arrays_and_volumes():
    labels = np.zeros((2, 3, 4, 5), np.int16)
    labels[1, 2] = 2
    images = ImageSet(np.zeros((2, 1, 3, 4, 5), np.float32), labels, ["x", "y"], info("segmentation"))
    assert images.counts() == {"a": 100, "b": 0, "c": 20}
    assert "segmentation, 3 classes, each image its own patient)" in repr(images)
    assert "3 classes, 1 patients)" in repr(ImageSet(images.images, labels, ["x", "x"], images.info))


def test_counts():
    images = ImageSet(**given())
    assert images.counts() == {"a": 2, "b": 1, "c": 1}
    several = torch.tensor([[1, 0, 1], [1, 0, 0], [0, 0, 1], [1, 0, 0]])
    assert ImageSet(**given(targets=several, info=info("multi-label"))).counts() == {"a": 3, "b": 0, "c": 2}


@pytest.mark.parametrize(
    "index, expected",
    [
        (slice(2, 5), [2, 3, 4]),
        ([5, 1], [5, 1]),
        (3, [3]),
        (-1, [11]),
        (np.arange(12) % 6 == 0, [0, 6]),
        (torch.tensor([4, 4]), [4, 4]),
    ],
)
def test_indexing(index, expected):
    whole = image_set(published_split=["train"] * 6 + ["val"] * 6)
    part = whole[index]
    assert positions(part) == expected
    assert part.targets.tolist() == whole.targets[expected].tolist()
    assert part.patients.tolist() == [position // 3 for position in expected]
    assert part.published_split.tolist() == whole.published_split[expected].tolist()


def test_a_slice_shares_memory_and_positions_copy():
    whole = image_set()
    assert whole[2:5].images.data_ptr() == whole.images[2:].data_ptr()
    copied = whole[[2, 3]]
    copied.images.fill_(0)
    assert positions(whole) == list(range(12))


@pytest.mark.parametrize("index", [slice(0, 0), np.zeros(12, bool)])
def test_an_empty_selection_is_refused(index):
    with pytest.raises(ValueError, match="made: the set holds no image"):
        image_set()[index]


@pytest.mark.parametrize("size, sizes", [(1, [1] * 12), (5, [5, 5, 2]), (12, [12]), (100, [12])])
def test_batches_of_any_size_hold_every_image_once(size, sizes):
    whole = image_set()
    batches = list(whole.batches(size, shuffle=True, seed=3))
    assert [len(images) for images, _ in batches] == sizes
    order = (torch.cat([images for images, _ in batches])[:, 0, 0, 0] * 1000).round().long()
    assert sorted(order.tolist()) == list(range(12))
    assert torch.equal(torch.cat([targets for _, targets in batches]), whole.targets[order])  # still with their image


def test_order_repeats_by_seed():
    whole = image_set()
    assert whole.order().tolist() == list(range(12))
    assert whole.order(1).tolist() == whole.order(1).tolist() != whole.order(2).tolist()
    first = next(whole.batches(12, shuffle=True, seed=1))[1]
    assert torch.equal(first, whole.targets[whole.order(1)])


@pytest.mark.parametrize("size", [0, -1])
def test_batch_size_below_one(size):
    with pytest.raises(ValueError, match=f"batch size must be at least 1, got {size}"):
        next(image_set().batches(size))


def test_bytes_stay_bytes_and_come_as_floats():
    pixels = torch.arange(240, dtype=torch.uint8).reshape(12, 1, 4, 5)
    images = ImageSet(pixels, torch.zeros(12).int(), range(12), info())
    moved = images.to("cpu")
    assert images.images.dtype == moved.images.dtype == moved[:4].images.dtype == torch.uint8
    batch = torch.cat([batch for batch, _ in images.batches(5)])
    torch.testing.assert_close(batch, pixels / 255)


def test_images_mapped_from_disk(tmp_path):
    stored = np.lib.format.open_memmap(tmp_path / "images.npy", "w+", np.uint8, (12, 1, 4, 5))
    stored[:] = np.arange(12, dtype=np.uint8).reshape(12, 1, 1, 1)
    stored.flush()
    mapped = np.load(tmp_path / "images.npy", mmap_mode="c")
    images = ImageSet(mapped, torch.zeros(12).int(), range(12), info())
    assert images.images.data_ptr() == images[0:3].images.data_ptr() == mapped.ctypes.data  # never copied as a whole
    assert (next(images[4:].batches(1))[0] * 255).unique().tolist() == [4]


def test_to_keeps_everything():
    whole = image_set(task="segmentation", published_split=["val"] * 12)
    moved = whole.to("cpu")
    assert torch.equal(moved.images, whole.images) and torch.equal(moved.targets, whole.targets)
    assert moved.info is whole.info and moved.published_split is whole.published_split and moved is not whole


@pytest.mark.parametrize("seed", range(6))
def test_patient_splits_share_no_patient_and_lose_no_image(seed):
    random = np.random.default_rng(seed)
    n = int(random.integers(10, 200))
    whole = image_set(n, seed=seed)
    whole.patients = random.integers(0, random.integers(3, n), n)
    whole.patients[:3] = [-1, -2, -3]  # three at least
    parts = whole.split(tuple(random.dirichlet([5, 5, 5])), seed=seed)
    assert sorted(sum((positions(part) for part in parts), [])) == list(range(n))
    found = [set(part.patients) for part in parts]
    assert not found[0] & found[1] and not found[0] & found[2] and not found[1] & found[2]


def test_splits_repeat_by_seed_and_have_the_fractions_asked_for():
    whole = image_set(300)
    parts = whole.split((0.5, 0.3, 0.2), seed=1)
    assert [len(part) for part in parts] == [150, 90, 60]
    assert [positions(part) for part in parts] == [positions(part) for part in whole.split((0.5, 0.3, 0.2), seed=1)]
    assert positions(parts[0]) != positions(whole.split((0.5, 0.3, 0.2), seed=2)[0])
    assert positions(parts[0]) == sorted(positions(parts[0]))


def test_splitting_by_image_leaks_patients():
    parts = image_set(60, per_patient=6).split(by="image")
    assert [len(part) for part in parts] == [36, 12, 12]
    assert set(parts[0].patients) & set(parts[2].patients)


def test_classes_are_spread_evenly_over_the_parts():
    images = image_set(200, per_patient=2)
    images.targets = (torch.arange(200) // 2 % 10 == 0).long()  # one patient in ten
    for seed in range(5):
        assert [part.counts()["b"] for part in images.split(seed=seed)] == [12, 4, 4]


def test_three_patients_are_enough():
    parts = image_set(9, per_patient=3).split()
    assert [len(np.unique(part.patients)) for part in parts] == [1, 1, 1]


def test_a_class_of_one_patient_does_not_stop_the_split():
    images = image_set(30)
    images.targets = (torch.arange(30) < 3).long()
    assert sum(part.counts()["b"] for part in images.split()) == 3


@pytest.mark.parametrize("task", ["multi-label", "segmentation"])
def test_other_tasks_split_by_patient_too(task):
    parts = image_set(30, task=task).split()
    assert [len(part) for part in parts] == [18, 6, 6]
    assert not set(parts[0].patients) & set(parts[1].patients)


@pytest.mark.parametrize("patients", [1, 2])
def test_too_few_patients(patients):
    message = f"made has only {patients} patients?, too few for training, validation and test: load more"
    with pytest.raises(ValueError, match=message):
        image_set(12, per_patient=12 // patients).split()
    assert len(image_set(12, per_patient=12).split(by="image")) == 3


@pytest.mark.parametrize("fractions", [(0.5, 0.5, 0.5), (1.0, 0.0, 0.0), (1.2, -0.1, -0.1), (0.8, 0.2)])
def test_bad_fractions(fractions):
    with pytest.raises(ValueError, match=r"fractions must be three positive numbers that add up to 1, got \("):
        image_set().split(fractions)


def test_unknown_way_to_split():
    with pytest.raises(ValueError, match="unknown way to split by 'patients'. Did you mean 'patient'"):
        image_set().split(by="patients")


def test_published_splits_win():
    published = ["test"] * 4 + ["train"] * 5 + ["val"] * 3
    parts = image_set(published_split=published).split((0.1, 0.1, 0.8), seed=5)
    assert [positions(part) for part in parts] == [[4, 5, 6, 7, 8], [9, 10, 11], [0, 1, 2, 3]]


def test_splitting_a_split_says_what_it_is():
    whole = image_set(published_split=["train"] * 6 + ["val"] * 6)
    with pytest.raises(
        ValueError, match="made holds no image of the 'train' split, only of val: use it as it is, or load the set"
    ):
        whole[6:].split()
    with pytest.raises(ValueError, match="made holds no image of the 'test' split"):
        whole.split()


def test_channels_become_images_with_their_slice_and_patient():
    images = ImageSet(torch.rand(6, 3, 4, 5), torch.zeros(6, 4, 5).long(), np.arange(6) // 2, info("segmentation"))
    pooled = channels_as_images(images, ("T1", "T2", "FLAIR"))
    assert pooled.images.shape == (18, 1, 4, 5) and pooled.info.classes == ("T1", "T2", "FLAIR")
    assert torch.equal(pooled.images[3 * 4 + 1, 0], images.images[4, 1]) and pooled.targets[13] == 1
    assert pooled.patients.tolist() == [0] * 6 + [1] * 6 + [2] * 6 and pooled.info.task == "multi-class"
    with pytest.raises(ValueError, match="made has 3 channels, but 2 names are given"):
        channels_as_images(images, ("T1", "T2"))
