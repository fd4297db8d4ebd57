"""Shape of label maps and agreement of measurements, against values worked out by hand or by simulation."""

import math
import re

import numpy as np
import pytest
import torch

from medlab.metrics import (
    Interval,
    border_irregularity,
    cardiothoracic_ratio,
    extra_components,
    keep_largest_component,
    limits_of_agreement,
)
from medlab.visualize import Figure, bland_altman

CLASSES = ("background", "right lung", "left lung", "heart")


def chest() -> np.ndarray:
    """Two lungs and a heart on a grid of 10 columns."""
    label = np.zeros((8, 10), np.uint8)
    label[1:7, 1:4], label[1:7, 6:9], label[3:6, 4:7] = 1, 2, 3
    return label


def disc(radius: float, size: int = 64) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return (x**2 + y**2 < radius**2).astype(int)


def test_components_beside_the_largest():
    label = chest()
    label[0, 9] = 3
    label[7, 9] = 2  # touches the lung at a corner only: the same component
    label[0, 4] = label[7, 0] = 1  # both touch
    found = extra_components(np.stack([label, np.zeros_like(label)]), CLASSES)
    assert {name: count.tolist() for name, count in found.items()} == {
        "right lung": [0, 0],
        "left lung": [0, 0],
        "heart": [1, 0],
    }
    cleaned = keep_largest_component(label[None])[0]
    assert cleaned[0, 9] == 0 and (cleaned != label).sum() == 1


@pytest.mark.parametrize("radius", [8.0, 15.3, 27.0])
def test_a_disc_has_a_border_irregularity_of_1_and_other_shapes_more(radius):
    assert border_irregularity(disc(radius)[None], ("b", "o"))["o"][0] == pytest.approx(1, abs=0.07)
    square = np.zeros((1, 64, 64), int)
    square[:, 10:40, 10:40] = 1
    assert border_irregularity(square, ("b", "o"))["o"][0] == pytest.approx(4 / math.pi, rel=0.12)


def test_teeth_and_extra_components_make_a_border_irregular():
    smooth = disc(20)[None]
    teeth, extra = smooth.copy(), smooth.copy()
    teeth[:, :, ::2] = 0
    extra[:, 2:5, 2:5] = 1
    of = lambda masks: border_irregularity(masks, ("b", "o"))["o"][0]  # noqa: E731
    assert of(teeth) > 10 * of(smooth) and of(extra) > 1.1 * of(smooth)
    assert np.isnan(of(0 * smooth))


def test_the_largest_component_of_the_foreground_has_all_its_classes():
    masks = np.zeros((3, 5, 5, 5), np.uint8)
    masks[0, 1, 1, 1:4], masks[0, 2, 1, 3] = 1, 2  # one component of two classes, four voxels
    masks[0, 4, 4, 2:5] = 2  # another component, of three
    masks[0, 2, 2, 4] = 1  # touches by an edge only: another component
    masks[1, 0, 0, 0] = 2
    kept = keep_largest_component(torch.from_numpy(masks), independent=False, connectivity=1)
    assert kept[0].sum() == 5 and (kept[0] == 2).sum() == 1 and not kept[0, 4].any() and kept[0, 2, 2, 4] == 0
    assert (kept[1] == masks[1]).all() and not kept[2].any()  # one component; an empty mask
    assert masks[0, 4, 4, 2] == 2, "the input must stay as it was"


def test_cardiothoracic_ratio():
    label = chest()
    stray = label.copy()
    stray[0, 9] = 3
    missing = np.where(label == 3, 0, label)
    found = cardiothoracic_ratio(torch.tensor(np.stack([label, stray, missing])))
    assert found[:2].tolist() == [3 / 8, 6 / 8] and np.isnan(found[2])
    assert cardiothoracic_ratio(keep_largest_component(stray[None])).tolist() == [3 / 8]
    assert cardiothoracic_ratio(label[None], lungs=(1, 3), heart=2).tolist() == [3 / 6]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: extra_components(np.zeros((4, 4), int), CLASSES),
            r"masks must be label maps \(N, H, W\) or \(N, D, H, W\)",
        ),
        (
            lambda: border_irregularity(np.zeros((1, 4, 4)), CLASSES),
            r"label maps \(N, H, W\) of whole numbers, got float64",
        ),
        (lambda: extra_components(np.full((1, 4, 4), 4), CLASSES), "masks hold labels from 4 to 4, allowed are 0 to 3"),
        (lambda: cardiothoracic_ratio(torch.rand(2, 4, 8, 8)), r"take argmax\(1\) of probabilities"),
    ],
)
def test_bad_label_maps(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_agreement_by_hand():
    reference = np.array([0.4, 0.5, 0.6, 0.5, np.nan])
    found = limits_of_agreement(reference + [0.01, 0.03, 0.02, np.nan, 0.5], reference)
    assert found.left_out == 2 and found.bias.value == pytest.approx(0.02)
    assert found.high.value - found.low.value == pytest.approx(2 * 1.959964 * 0.01)
    half = 4.302653 * 0.01 / math.sqrt(3)
    assert found.bias.high - found.bias.value == pytest.approx(half)
    np.testing.assert_allclose(found.means, [0.405, 0.515, 0.61])


def test_the_intervals_of_an_agreement_hold_what_they_promise():
    rng = np.random.default_rng(0)
    inside = np.zeros(2)
    for _ in range(400):
        found = limits_of_agreement(rng.normal(0.1, 1, 40), np.zeros(40))
        truth = ((found.bias, 0.1), (found.high, 0.1 + 1.959964))
        inside += [one.low < value < one.high for one, value in truth]
    assert (inside / 400 > 0.92).all() and (inside / 400 < 0.98).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([0.1, 0.2], [0.1, 0.2]), "2 patients with both values"),
        (([0.1, 0.2, 0.3], [0.1, 0.2]), "one value per patient in both"),
    ],
)
def test_bad_measurements(given, message):
    with pytest.raises(ValueError, match=message):
        limits_of_agreement(*given)


def test_the_plot_of_bland_and_altman_says_what_it_shows():
    rng = np.random.default_rng(0)
    true = rng.normal(0.45, 0.05, 30)
    both = {
        name: limits_of_agreement(true + rng.normal(0.01, s, 30), true)
        for name, s in (("S", 0.03), ("S and critic", 0.02))
    }
    fig = bland_altman(both, "ratio")
    assert isinstance(fig, Figure) and re.search(r"ratio\. S: bias 0\.0.*; S and critic: bias", fig.alt)
    assert fig.png() == bland_altman(both, "ratio").png() and len(fig.png()) < 150_000
    assert len(fig.axes) == 2 and fig.axes[0].get_ylim() == fig.axes[1].get_ylim()
    with pytest.raises(ValueError, match="nothing to draw"):
        bland_altman({}, "ratio")
    assert isinstance(both["S"].bias, Interval)
