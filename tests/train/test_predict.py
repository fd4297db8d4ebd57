"""Answers through a sliding window, and the Dice that a training is watched by."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from torch import nn
from torch.nn.functional import cross_entropy
from toys import CPU

from medlab.data import ImageSet, Info, Volume
from medlab.models import UNet
from medlab.train import fit, predict
from medlab.train.evaluate import validate


def images(*size: int, n: int = 3, task: str = "segmentation", classes: int = 3) -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(n, 1, *size, generator=generator)
    shape = {"segmentation": (n, *size), "multi-class": (n,), "multi-label": (n, classes)}[task]
    names = tuple(f"class {k}" for k in range(classes))
    top = 2 if task == "multi-label" else classes
    targets = torch.randint(0, top, shape, generator=generator)
    return ImageSet(pixels, targets, np.arange(n), Info("made", "CT", task, names, "MIT", "", True))


def pointwise(axes: int = 2) -> nn.Module:
    torch.manual_seed(0)
    conv = nn.Conv2d if axes == 2 else nn.Conv3d
    return nn.Sequential(conv(1, 8, 1), nn.ReLU(), conv(8, 3, 1))


def convolutional() -> nn.Module:
    """Sees 4 pixels far."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 3, 5, padding=2))


# --- sliding window --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [8, (16, 7), 64, (64, 9)])  # 64: larger than the images
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.75])
def test_a_pointwise_network_answers_the_same_through_a_window(window, overlap):
    data = images(20, 33)
    whole, slid = predict(pointwise(), data), predict(pointwise(), data, 4, window=window, overlap=overlap)
    assert slid.shape == (3, 3, 20, 33) and slid.dtype == torch.float32 and slid.device.type == "cpu"
    assert torch.allclose(slid, whole, atol=1e-5)
    assert torch.allclose(slid.sum(1), torch.ones(3, 20, 33), atol=1e-5)


def test_volumes_are_slid_over():
    data, model = images(6, 12, 10), pointwise(3)
    for window in (5, (6, 4, 8)):
        assert torch.allclose(predict(model, data, window=window), predict(model, data), atol=1e-5)


def test_a_convolution_agrees_where_a_window_sees_all_it_needs():
    data, model = images(40, 40), convolutional()
    whole, slid = predict(model, data), predict(model, data, window=24, overlap=0.5)
    edges = [0, 12, 16, 24, 36, 40]  # windows start at 0, 12 and 16, and end 24 pixels further on
    apart = torch.tensor([min(abs(i + 0.5 - edge) for edge in edges) for i in range(40)]) > 4
    inside = apart[:, None] & apart
    difference = (slid - whole).abs().amax((0, 1))
    assert inside.sum() > 30 and difference[inside].max() < 1e-5
    assert difference.max() > 1e-4  # elsewhere the padding of a window is felt
    assert torch.allclose(predict(model, data, window=40), whole, atol=1e-5)  # one window holds the image


def test_the_model_sees_windows_and_keeps_its_mode():
    seen, model = [], nn.Sequential(pointwise(), nn.Dropout(0.9))
    model.register_forward_pre_hook(lambda m, x: seen.append(tuple(x[0].shape)))
    model.train()
    model[0].eval()
    first, second = (predict(model, images(20, 20, n=2), 3, window=8) for _ in range(2))
    assert torch.equal(first, second) and model.training and not model[0].training
    assert {shape[1:] for shape in seen} == {(1, 8, 8)} and max(shape[0] for shape in seen) == 3


@pytest.mark.parametrize("task", ["multi-class", "multi-label"])
def test_a_window_is_for_label_maps(task):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    with pytest.raises(ValueError, match=f"made is a {task} set, with one prediction per image: leave out window"):
        predict(model, images(8, 8, task=task), window=4)
    assert predict(model, images(8, 8, task=task)).shape == (3, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": 0}, "window must be one side of at least 1 pixel, or 2, one per axis, got 0"),
        ({"window": (4, 4, 4)}, r"or 2, one per axis, got \(4, 4, 4\)"),
        ({"window": (4, 2.5)}, r"got \(4, 2.5\)"),
        ({"window": 4, "overlap": 1.0}, "overlap must be at least 0 and below 1, got 1.0"),
        ({"window": 4, "overlap": -0.1}, "overlap must be at least 0"),
    ],
)
def test_a_bad_window_says_what_to_do(arguments, message):
    with pytest.raises(ValueError, match=message):
        predict(pointwise(), images(8, 8), **arguments)


# --- what is no set with targets --------------------------------------------------------------------------------------


def leaning(axes: int = 2) -> nn.Module:
    """Sees what lies above and to the left of a voxel, so that a flip is felt."""
    model = pointwise(axes)
    layer = (nn.Conv2d if axes == 2 else nn.Conv3d)(1, 1, 3, padding=1, bias=False)
    layer.weight.data.zero_()
    layer.weight.data[..., 0, 0] = 5
    return nn.Sequential(layer, model)


@pytest.mark.parametrize("axes", [2, 3])
def test_one_image_an_array_and_a_set_without_targets_give_the_answers_of_the_set(axes):
    data = images(*(8, 12, 10)[-axes:])
    model, pixels = leaning(axes), data.images
    expected = predict(model, data)
    for given in (pixels, pixels.double(), pixels.numpy(), pixels.numpy()[..., ::-1][..., ::-1], ImageSet(pixels)):
        assert torch.equal(predict(model, given), expected)
    for one in (pixels[1], pixels[1, 0], pixels.numpy()[1, 0]):
        assert torch.allclose(predict(model, one), expected[1], atol=1e-6)
    scanned = (pixels * 255).round().byte()
    assert torch.equal(predict(model, scanned), predict(model, scanned.float() / 255))


def test_labels_are_the_class_of_highest_probability():
    data = images(6, 7)
    maps = predict(pointwise(), data, batch_size=2, labels=True)
    assert maps.dtype == torch.uint8 and torch.equal(maps.long(), predict(pointwise(), data).argmax(1))
    assert predict(pointwise(), data.images[0, 0], labels=True).shape == (6, 7)
    flat = nn.Sequential(nn.Flatten(), nn.Linear(42, 3))
    classes = predict(flat, images(6, 7, task="multi-class"), labels=True)
    assert classes.dtype == torch.int64 and torch.equal(classes, predict(flat, data.images).argmax(1))
    several = images(6, 7, task="multi-label")
    assert torch.equal(predict(flat, several, labels=True).bool(), predict(flat, several) > 0.5)
    flat.card = {"task": "multi-label"}
    assert torch.equal(predict(flat, several.images), predict(flat, several))
    assert torch.equal(predict(flat, several.images[0], labels=True).bool(), predict(flat, several)[0] > 0.5)


@pytest.mark.parametrize("axes", [2, 3])
def test_a_volume_is_seen_upright_and_its_answer_lies_on_its_grid(axes):
    model, data = leaning(axes), images(5, 8, 9, n=1)
    upright = data.images[0, 0]
    volume = Volume(upright.flip(-2, -1).numpy(), (3.0, 1.0, 1.0), np.eye(4))
    seen = upright if axes == 3 else upright[:, None]
    assert torch.equal(predict(model, volume), predict(model, seen).flip(-2, -1))
    assert torch.equal(predict(model, volume, labels=True), predict(model, seen, labels=True).flip(-2, -1))
    pool, flat = (nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)[axes - 2](1), nn.Flatten()
    classifier = nn.Sequential(model, pool, flat)
    assert torch.equal(predict(classifier, volume), predict(classifier, seen))


def test_a_network_of_known_size_sees_windows_of_it():
    model = UNet(width=4, levels=3)
    data = images(21, 34, classes=2)
    with pytest.raises(ValueError, match="cannot pool images of side 21"):
        predict(model, data)
    model.card = {"task": "segmentation", "size": [16, 16]}
    expected = predict(model, data, window=16)
    assert torch.equal(predict(model, data), expected) and torch.equal(predict(model, data.images), expected)
    volume = Volume(data.images[:, 0].flip(-2, -1).numpy(), (3.0, 1.0, 1.0), np.eye(4))
    assert torch.equal(predict(model, volume), expected.flip(-2, -1))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.rand(2, 3, 8, 8), r"\(2, 3, 8, 8\) do not fit the network, which takes \(N, C, H, W\), .* with C = 1"),
        (torch.rand(20, 8, 8), r"several gray ones are images\[:, None\]"),
        (torch.rand(8), r"images of shape \(8,\) do not fit"),
        (
            torch.rand(8, 8) * 2000 - 1000,
            r"must lie in \[0, 1\] without NaN, got -.* to .*; scale them.*window .* in HU",
        ),
        (torch.full((8, 8), math.nan), "without NaN"),
        (torch.randint(0, 4096, (8, 8)), "of no known range: scale them"),
    ],
)
def test_images_that_do_not_fit_say_what_to_do(given, message):
    with pytest.raises(ValueError, match=message):
        predict(pointwise(), given)


# --- Dice in validation ----------------------------------------------------------------------------------------------


class Says(nn.Module):
    """Calls every pixel the class that the image's gray value times 10 names."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes, self.scale = classes, nn.Parameter(torch.tensor(10.0))

    def forward(self, images):
        called = (images[:, 0] * self.scale).round().long()
        return nn.functional.one_hot(called, self.classes).movedim(-1, 1).float()


def said(called: list, targets: list, classes: int = 3) -> dict[str, float]:
    """Scores of a network that calls these label maps ``(N, H, W)``."""
    pixels, info = torch.tensor(called)[:, None] / 10, images(4, 4, classes=classes).info
    data = ImageSet(pixels.float(), torch.tensor(targets), np.arange(len(pixels)), info)
    return validate(Says(classes), data, cross_entropy, CPU)


def test_validation_dice_pools_the_set_by_class():
    scores = said([[[1, 1, 0, 0]], [[1, 2, 2, 0]]], [[[1, 0, 0, 0]], [[1, 1, 2, 0]]])
    assert scores["dice"] == pytest.approx((2 * 2 / 6 + 2 * 1 / 3) / 2)  # class 1: 3 called, 3 true, 2 of them met
    assert scores["accuracy"] == pytest.approx(6 / 8) and set(scores) == {"loss", "accuracy", "dice"}


def test_validation_dice_leaves_out_classes_without_a_target():
    assert said([[[1, 2, 0, 0]]], [[[1, 1, 0, 0]]])["dice"] == pytest.approx(2 / 3)
    assert said([[[1, 0]]], [[[2, 0]]])["dice"] == 0
    assert math.isnan(said([[[1, 0]]], [[[0, 0]]])["dice"])


def test_validation_dice_equals_scikit_learn_over_several_batches():
    data, model = images(4, 6, n=300, classes=4), nn.Conv2d(1, 4, 3, padding=1)
    called = predict(model, data).argmax(1)
    expected = f1_score(data.targets.flatten(), called.flatten(), labels=[1, 2, 3], average="macro", zero_division=0)
    assert validate(model, data, cross_entropy, CPU)["dice"] == pytest.approx(expected, abs=1e-6)


def test_training_records_dice():
    data = images(8, 8, n=6)
    history = fit(pointwise(), data, data, epochs=2, batch_size=3, progress=False)
    assert len(history.metrics["dice"]) == 2 and all(0 <= value <= 1 for value in history.metrics["dice"])
