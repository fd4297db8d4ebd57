"""`ImageSet` of own arrays and data sets: what is cast, named, completed and said."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from medlab.data.images import ImageSet, Info
from medlab.data.subsets import join

INFO = Info("made", "CT", "multi-class", ("a", "b", "c"), "MIT", "none", True)


def test_what_is_not_given_is_said_and_follows_from_the_targets():
    pixels = np.random.default_rng(0).random((4, 1, 4, 5))
    bare = ImageSet(pixels, [1, 0, 1, 0])
    assert (bare.info.task, bare.info.classes, bare.info.name) == ("multi-class", ("0", "1"), "own images")
    assert "multi-class, 2 classes, no patient ids: every image counts as its own)" in repr(bare)
    assert ImageSet(pixels, np.zeros((4, 3), int)).info.task == "multi-label"
    maps = ImageSet(pixels, np.arange(2).repeat(40).reshape(4, 4, 5), classes=["background", "organ"], name="clinic")
    assert (maps.info.task, maps.info.classes, maps.info.name) == ("segmentation", ("background", "organ"), "clinic")


def test_images_without_ids_are_never_taken_for_those_of_another_set():
    first, second = (ImageSet(np.full((4, 1, 4, 5), gray), [0, 1, 0, 1]) for gray in (0.2, 0.7))
    known = ImageSet(np.zeros((4, 1, 4, 5)), [0, 1, 0, 1], ["x", "x", "y", "y"])
    assert len(np.unique(join([first, second, known]).patients)) == 10
    assert "8 images without patient id: every image counts as its own)" in repr(join([first, second, known]))
    again = ImageSet(np.full((4, 1, 4, 5), 0.2), [0, 1, 0, 1])
    assert again.patients.tolist() == first.patients.tolist()  # or a training could not be resumed


@pytest.mark.parametrize("kind", [np.array, list, lambda names: np.array(names, object)])
def test_names_as_targets_become_numbers(kind):
    pixels = np.zeros((4, 1, 4, 5))
    images = ImageSet(pixels, kind(["ill", "healthy", "ill", "healthy"]))
    assert images.info.classes == ("healthy", "ill") and images.targets.tolist() == [1, 0, 1, 0]
    images = ImageSet(pixels, kind(["ill", "healthy", "ill", "healthy"]), classes=["ill", "healthy"])
    assert images.info.classes == ("ill", "healthy") and images.targets.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("dtype", ["f2", "f8", ">f4"])
def test_images_of_other_float_types_are_cast(dtype):
    pixels = np.linspace(0, 1, 80).reshape(4, 1, 4, 5).astype(dtype)[:, :, ::-1]
    images = ImageSet(pixels, [0, 1, 0, 1]).images
    assert images.dtype == torch.float32 and np.array_equal(images.numpy(), pixels.astype("f4"))


def test_classes_given_as_a_list_are_a_tuple():
    listed = Info(classes=["a", "b"])
    assert listed.classes == ("a", "b") and hash(listed)
    with pytest.raises(ValueError, match="classes must be several names, got 'ab'"):
        Info(classes="ab")
    with pytest.raises(TypeError, match=r"info must be an Info, got list; names of classes are classes=\[...\]"):
        ImageSet(torch.rand(2, 1, 4, 5), [0, 1], [0, 1], ["a", "b"])


def test_sets_without_targets():
    images = ImageSet(torch.rand(4, 1, 4, 5), None, ["x", "x", "y", "z"], INFO)
    assert images.info.task == "unlabeled" and "no targets, 3 patients)" in repr(images)
    assert sum(len(part) for part in images.split()) == 4
    batch, targets = next(images[1:].to("cpu").batches(3))
    assert batch.shape == (3, 1, 4, 5) and targets.shape == (3, 0)
    assert images.replace(targets=[0, 1, 2, 0]).info == INFO


def test_replace_checks_again():
    images = ImageSet(torch.rand(4, 1, 4, 5), [0, 1, 2, 0], [0, 0, 1, 2], INFO)
    assert images.replace(images=torch.ones(4, 1, 2, 2)).images.shape == (4, 1, 2, 2)
    assert images.replace(name="other").info.name == "other" and images.info.name == "made"
    assert images.replace(targets=None).info.task == "unlabeled"
    with pytest.raises(ValueError, match=r"targets must have shape \(3,\) to match images \(3, 1, 4, 5\)"):
        images.replace(images=torch.rand(3, 1, 4, 5))
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\] without NaN, got 0 to 2"):
        images.replace(images=torch.tensor([0.0, 2]).repeat_interleave(2)[:, None, None, None])


class Pictures(Dataset):
    """Four gray pictures; `kind` makes each from an array of bytes."""

    classes = ("a", "b")

    def __init__(self, kind, target=lambda k: k % 2):
        self.kind, self.target = kind, target

    def __len__(self):
        return 4

    def __getitem__(self, k):
        image = self.kind(np.full((4, 5), 10 * k, np.uint8))
        return image if self.target is None else (image, self.target(k))


@pytest.mark.parametrize("kind", [np.asarray, Image.fromarray, lambda pixels: torch.from_numpy(pixels)[None] / 255])
@pytest.mark.parametrize("loader", [False, True])
def test_a_data_set_of_pytorch_is_read(kind, loader):
    source = DataLoader(Pictures(kind), 3, shuffle=True) if loader else Pictures(kind)
    images = ImageSet.from_dataset(source, [5, 5, 6, 7], name="own")
    assert images.targets.tolist() == [0, 1, 0, 1] and images.patients.tolist() == [5, 5, 6, 7]
    assert images.info.classes == ("a", "b") and images.info.name == "own"
    batch = next(images.batches(4))[0]
    assert batch.shape == (4, 1, 4, 5) and (batch[:, 0, 0, 0] * 255).round().tolist() == [0, 10, 20, 30]


def test_colors_of_pillow_become_channels():
    images = ImageSet.from_dataset(Pictures(lambda gray: Image.fromarray(np.stack([gray, gray // 2, gray * 0], 2))))
    assert images.images.shape == (4, 3, 4, 5) and images.images[2, :, 0, 0].tolist() == [20, 10, 0]


def test_data_sets_without_targets_or_of_another_form():
    assert ImageSet.from_dataset(Pictures(np.asarray, None)).info.task == "unlabeled"
    with pytest.raises(TypeError, match=r"items of the data set must be \(image, target\)"):
        ImageSet.from_dataset(Pictures(lambda pixels: {"image": pixels}))
