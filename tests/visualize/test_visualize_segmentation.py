"""Pictures of label maps draw what the maps hold; receptive fields have the sides that arithmetic gives."""

import math
import re

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba
from torch import nn

from medlab import visualize
from medlab.metrics import Interval
from medlab.models import UNet
from medlab.visualize.figures import Figure
from medlab.visualize.segmentation import ERRORS

CLASSES = ("background", "liver", "spleen")
IMAGES = torch.rand(5, 1, 12, 16, generator=torch.Generator().manual_seed(0))
TRUTH = torch.zeros(5, 12, 16, dtype=torch.uint8)
TRUTH[2, 2:6, 2:10] = 1  # 32 pixels
TRUTH[3, 2:6, 2:10], TRUTH[3, 8:10, 2:6] = 1, 2  # 8 of spleen
CALLED = TRUTH.clone()
CALLED[3, 2:3] = 0  # 8 missed
CALLED[3, 8:10, 2:4] = 1  # 4 wrong
CALLED[3, 0, 10:13] = 2  # 3 false alarms
MASKS = {"truth": TRUTH, "U-Net": CALLED.numpy()}
SCORES = {
    "U-Net": {"liver": Interval(0.95, 0.94, 0.96), "spleen": Interval(0.7, math.nan, math.nan)},
    "DRINet": {"spleen": Interval(0.8, 0.7, 0.85), "liver": Interval(0.96, 0.95, 0.97)},
}
FIELD = np.pad([[1e-3, 0.1, 1e-3], [0.1, 1.0, 0.1], [1e-3, 0.1, 0.0]], 4)
FIGURES = {
    "grid": (lambda: visualize.segmentation_grid(IMAGES, MASKS, CLASSES, n=2), "U-Net: liver 60, spleen 7"),
    "grid_alt": (lambda: visualize.segmentation_grid(IMAGES, MASKS, CLASSES, alt="Two organs."), "^Two organs.$"),
    "grid_empty": (lambda: visualize.segmentation_grid(IMAGES[:, 0], {"t": TRUTH * 0}, CLASSES), "t: none"),
    "color": (lambda: visualize.segmentation_grid(IMAGES.expand(-1, 3, -1, -1), MASKS, CLASSES), "3 slices in rows"),
    "errors": (
        lambda: visualize.error_map(IMAGES[3], {"U-Net": CALLED[3], "none": TRUTH[3] * 0}, TRUTH[3], CLASSES),
        r"\(40 of structure\)\. U-Net: missed 8, false alarm 3, wrong organ 4; none: missed 40, false alarm 0, wrong",
    ),
    "one": (lambda: visualize.error_map(np.zeros((12, 16)), CALLED[3], TRUTH[3], CLASSES), "network: missed 8"),
    "field": (
        lambda: visualize.receptive_field_map(FIELD, title="Net"),
        "^Net: .* within 3 x 3 .*all of it within 3 x 3.",
    ),
    "image": (lambda: visualize.receptive_field_map(torch.tensor(FIELD), np.eye(11)), "^Receptive field: influence"),
    "organs": (
        lambda: visualize.organ_bars(SCORES, "Dice"),
        r"spleen: U-Net 0\.7 \[no interval\], DRINet 0\.8 \[0\.7,",
    ),
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
        assert np.array_equal(painted[top:, left:, 3] > 0, CALLED[3] == k)  # slice 3 shows most structures
        assert np.array_equal(painted[top:, left - 17 : left - 1, 3] > 0, TRUTH[3] == k)
        assert not painted[:, :16].any()  # the image alone
    assert np.allclose(sheet[top:, left:], IMAGES[3, 0])


def test_grid_takes_the_slices_with_most_structures():
    several = TRUTH[[0, 3, 2, 3, 0, 3]]
    fig = visualize.segmentation_grid(torch.rand(6, 12, 16), {"t": several}, CLASSES, n=2)
    assert "liver 64, spleen 16" in fig.alt
    assert "6 slices" in visualize.segmentation_grid(torch.rand(6, 12, 16), {"t": several}, CLASSES, n=9).alt


def test_error_map_paints_each_error_in_its_own_way():
    fig = visualize.error_map(IMAGES[3], CALLED[3], TRUTH[3], CLASSES)
    _, *painted = (image.get_array() for image in fig.axes[0].images)
    truth, called = TRUTH[3].numpy(), CALLED[3].numpy()
    where = [(truth > 0) & (called == 0), (truth == 0) & (called > 0), (truth == 2) & (called == 1)]
    for sheet, pixels, (color, _) in zip(painted, where, ERRORS.values()):
        assert np.array_equal(sheet[..., 3] == 1, pixels) and np.allclose(sheet[pixels], to_rgba(color))
    grays = [np.dot(to_rgba(color)[:3], (0.299, 0.587, 0.114)) for color, _ in ERRORS.values()]
    assert grays[0] > 0.75 and grays[1] < 0.3 and ERRORS["wrong organ"][1]  # the image is drawn from 0.3 to 0.75


def test_organs_are_drawn_by_name_with_their_intervals():
    ax = visualize.organ_bars(SCORES, "Dice").axes[0]
    unet, drinet = ax.containers
    assert unet[0].get_ydata().tolist() == [0.95, 0.7] and drinet[0].get_ydata().tolist() == [0.96, 0.8]
    low, high = drinet[2][0].get_segments()[1][:, 1]
    assert (low, high) == pytest.approx((0.7, 0.85)) and ax.get_ylabel() == "Dice"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["liver", "spleen"]


# --- receptive fields ------------------------------------------------------------------------------------------------


def convolutions(*dilations: int, channels: int = 1) -> nn.Module:
    torch.manual_seed(0)
    widths = [channels] + [4] * len(dilations)
    return nn.Sequential(*(nn.Conv2d(a, b, 3, padding=d, dilation=d) for a, b, d in zip(widths, widths[1:], dilations)))


@pytest.mark.parametrize(("dilations", "side"), [((1,), 3), ((1, 1, 1), 7), ((1, 2, 4), 15)])
def test_field_of_convolutions_is_the_sum_of_their_reach(dilations, side):
    field = visualize.receptive_field(convolutions(*dilations), 21)
    assert field.shape == (21, 21) and not field.requires_grad and (field >= 0).all()
    low, high = 10 - side // 2, 10 + side // 2
    assert (field[low : high + 1, low : high + 1] > 0).all() and visualize.effective_receptive_field(field)[1] == side
    assert float(field.sum()) == pytest.approx(float(field[low : high + 1, low : high + 1].sum()))


def test_field_of_one_convolution_is_its_weight():
    model = convolutions(1, channels=2)
    field = visualize.receptive_field(model, 9, in_channels=2)
    expected = model[0].weight.detach().sum(0).abs().mean(0)  # over logits, then over channels
    assert torch.allclose(field[3:6, 3:6], expected, atol=1e-6)


def test_field_of_u_net_by_arithmetic():
    """Two levels: the last two convolutions see 5 pixels, made of 3 at half the side; those see 7, which are 14 at full
    side; and those see 18."""
    torch.manual_seed(0)
    model = UNet(width=4, levels=2)
    for parameter in model.parameters():
        parameter.data.abs_()  # no path is closed by a ReLU
    assert visualize.effective_receptive_field(visualize.receptive_field(model, 32))[1] == 18


def test_field_leaves_the_model_as_it_was_and_is_repeatable():
    model = nn.Sequential(convolutions(1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Conv2d(4, 2, 3, padding=1))
    model.train()
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        first, second = (visualize.receptive_field(model, 12) for _ in range(2))
    assert torch.equal(first, second) and not torch.equal(first, visualize.receptive_field(model, 12, seed=1))
    assert model.training and model[3].training and not model[1].training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_sides_by_hand():
    field = np.zeros((9, 9))
    field[4, 4], field[4, 5], field[4, 7] = 90, 6, 4
    assert visualize.effective_receptive_field(field) == (3, 4)  # the box runs from column 4 to 7
    assert visualize.effective_receptive_field(field, 0.9) == (1, 4) and visualize.effective_receptive_field(
        field, 1
    ) == (7, 4)


def test_a_field_cut_off_by_the_image_is_called_so():
    assert "all of it within 8 x 8 or more (cut off by the image)" in visualize.receptive_field_map(np.ones((8, 8))).alt
    fig = visualize.receptive_field_map(FIELD, np.eye(11))
    for ax in fig.axes[:2]:
        whole, effective = ax.patches
        assert whole.get_xy() == (3.5, 3.5) and (whole.get_width(), effective.get_width()) == (3, 3)


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: visualize.segmentation_grid(IMAGES, {}, CLASSES), "give at least one of each"),
        (lambda: visualize.segmentation_grid(IMAGES, MASKS, CLASSES, n=0), "give at least one of each"),
        (lambda: visualize.segmentation_grid(IMAGES[:2], MASKS, CLASSES), r"masks\['truth'\] is \(5, 12, 16\), but"),
        (lambda: visualize.segmentation_grid([], MASKS, CLASSES), "there are 0 images"),
        (lambda: visualize.segmentation_grid(IMAGES, MASKS, CLASSES[:2]), "whole numbers from 0 to 1"),
        (lambda: visualize.segmentation_grid(IMAGES, {"t": TRUTH / 2}, CLASSES), "whole numbers from 0 to 2"),
        (lambda: visualize.error_map(IMAGES[3], TRUTH[3], TRUTH, CLASSES), "share one height and width"),
        (lambda: visualize.error_map(IMAGES[3], {}, TRUTH[3], CLASSES), "0 masks"),
        (lambda: visualize.error_map(IMAGES[3], TRUTH[3] * 5, TRUTH[3], CLASSES), "whole numbers from 0 to 2"),
        (lambda: visualize.receptive_field(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), 4), "must give label maps"),
        (lambda: visualize.effective_receptive_field(np.zeros((4, 4))), "influence"),
        (lambda: visualize.effective_receptive_field(np.ones((4, 4)), 1.5), "a share in"),
        (lambda: visualize.receptive_field_map(FIELD, np.eye(4)), "give both the same size"),
        (lambda: visualize.organ_bars({}, "Dice"), "same organs"),
        (lambda: visualize.organ_bars({**SCORES, "x": {"liver": Interval(1, 1, 1)}}, "Dice"), "same organs"),
    ],
)
def test_bad_input_says_what_to_do(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
