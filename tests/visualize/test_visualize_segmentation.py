"""Figures of label maps draw what the maps hold, and those of receptive fields their sides."""

import re

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba

from medlab import visualize
from medlab.visualize.figures import Figure
from medlab.visualize.segmentation import ERRORS

CLASSES = ("background", "liver", "spleen")
IMAGES = torch.rand(5, 1, 12, 16, generator=torch.Generator().manual_seed(0))
TRUTH = torch.zeros(5, 12, 16, dtype=torch.uint8)
TRUTH[2, 2:6, 2:10] = 1  # 32 pixels
TRUTH[3, 2:6, 2:10], TRUTH[3, 8:10, 2:6] = 1, 2  # 8 of spleen
PREDICTED = TRUTH.clone()
PREDICTED[3, 2:3] = 0  # 8 missed
PREDICTED[3, 8:10, 2:4] = 1  # 4 wrong
PREDICTED[3, 0, 10:13] = 2  # 3 false positives
MASKS = {"truth": TRUTH, "U-Net": PREDICTED.numpy()}
FIGURES = {
    "grid": (lambda: visualize.segmentation_grid(IMAGES, MASKS, CLASSES, n=2), "U-Net: liver 60, spleen 7"),
    "grid_alt": (lambda: visualize.segmentation_grid(IMAGES, MASKS, CLASSES, alt="Two organs."), "^Two organs.$"),
    "grid_empty": (lambda: visualize.segmentation_grid(IMAGES[:, 0], {"t": TRUTH * 0}, CLASSES), "t: none"),
    "color": (lambda: visualize.segmentation_grid(IMAGES.expand(-1, 3, -1, -1), MASKS, CLASSES), "3 slices in rows"),
    "errors": (
        lambda: visualize.error_map(IMAGES[3], {"U-Net": PREDICTED[3], "none": TRUTH[3] * 0}, TRUTH[3], CLASSES),
        r"\(40 of structure\)\. U-Net: missed 8, false positive 3, wrong organ 4; none: missed 40, false",
    ),
    "one": (lambda: visualize.error_map(np.zeros((12, 16)), {"a": PREDICTED[3]}, TRUTH[3], CLASSES), "a: missed 8"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_says_what_it_shows(name):
    draw, alt = FIGURES[name]
    fig = draw()
    assert isinstance(fig, Figure) and re.search(alt, fig.alt), fig.alt
    assert fig.png() == draw().png() and len(fig.png()) < 150_000


def test_grid_lays_each_map_over_its_image():
    ax = visualize.segmentation_grid(IMAGES, MASKS, CLASSES, n=1).axes[0]
    sheet, liver, spleen = (image.get_array() for image in ax.images)
    assert [text.get_text() for text in ax.texts] == ["image", "truth", "U-Net"]
    top, left = sheet.shape[0] - 12, sheet.shape[1] - 16  # of the last column
    for painted, k in ((liver, 1), (spleen, 2)):
        assert np.array_equal(painted[top:, left:, 3] > 0, PREDICTED[3] == k)  # slice 3 shows most structures
        assert np.array_equal(painted[top:, left - 17 : left - 1, 3] > 0, TRUTH[3] == k)
        assert not painted[:, :16].any()  # the image alone
    assert np.allclose(sheet[top:, left:], IMAGES[3, 0])


def test_grid_takes_the_slices_with_most_structures():
    several = TRUTH[[0, 3, 2, 3, 0, 3]]
    fig = visualize.segmentation_grid(torch.rand(6, 12, 16), {"t": several}, CLASSES, n=2)
    assert "liver 64, spleen 16" in fig.alt
    assert "6 slices" in visualize.segmentation_grid(torch.rand(6, 12, 16), {"t": several}, CLASSES, n=9).alt


def test_error_map_paints_each_error_in_its_own_way():
    fig = visualize.error_map(IMAGES[3], {"U-Net": PREDICTED[3]}, TRUTH[3], CLASSES)
    _, *painted = (image.get_array() for image in fig.axes[0].images)
    truth, predicted = TRUTH[3].numpy(), PREDICTED[3].numpy()
    where = [(truth > 0) & (predicted == 0), (truth == 0) & (predicted > 0), (truth == 2) & (predicted == 1)]
    for sheet, pixels, (color, _) in zip(painted, where, ERRORS.values()):
        assert np.array_equal(sheet[..., 3] == 1, pixels) and np.allclose(sheet[pixels], to_rgba(color))
    grays = [np.dot(to_rgba(color)[:3], (0.299, 0.587, 0.114)) for color, _ in ERRORS.values()]
    assert grays[0] > 0.75 and grays[1] < 0.3 and ERRORS["wrong organ"][1]  # the image is drawn from 0.3 to 0.75


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: visualize.segmentation_grid(IMAGES, {}, CLASSES), "give at least one of each"),
        (lambda: visualize.segmentation_grid(IMAGES, MASKS, CLASSES, n=0), "give at least one of each"),
        (lambda: visualize.segmentation_grid(IMAGES[:2], MASKS, CLASSES), r"masks\['truth'\] is \(5, 12, 16\), but"),
        (lambda: visualize.segmentation_grid([], MASKS, CLASSES), "there are 0 images"),
        (lambda: visualize.segmentation_grid(IMAGES, MASKS, CLASSES[:2]), "labels from 0 to 2, allowed are 0 to 1"),
        (lambda: visualize.segmentation_grid(IMAGES, {"t": TRUTH / 2}, CLASSES), "of whole numbers, got float64"),
        (lambda: visualize.error_map(IMAGES[3], {"t": TRUTH[3]}, TRUTH, CLASSES), "share one height and width"),
        (lambda: visualize.error_map(IMAGES[3], {}, TRUTH[3], CLASSES), "0 masks"),
        (
            lambda: visualize.error_map(IMAGES[3], {"t": TRUTH[3] * 5}, TRUTH[3], CLASSES),
            "labels from 0 to 10, allowed are 0 to 2",
        ),
    ],
)
def test_bad_input_says_what_to_do(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
