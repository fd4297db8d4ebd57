"""Receptive fields have the sides that arithmetic gives."""

import numpy as np
import pytest
import torch
from torch import nn

from medlab.models import UNet, effective_receptive_field, receptive_field_size


def convolutions(*dilations: int, channels: int = 1) -> nn.Module:
    torch.manual_seed(0)
    widths = [channels] + [4] * len(dilations)
    return nn.Sequential(*(nn.Conv2d(a, b, 3, padding=d, dilation=d) for a, b, d in zip(widths, widths[1:], dilations)))


@pytest.mark.parametrize(("dilations", "side"), [((1,), 3), ((1, 1, 1), 7), ((1, 2, 4), 15)])
def test_field_of_convolutions_is_the_sum_of_their_reach(dilations, side):
    field = effective_receptive_field(convolutions(*dilations), 21)
    assert field.shape == (21, 21) and not field.requires_grad and (field >= 0).all()
    low, high = 10 - side // 2, 10 + side // 2
    assert (field[low : high + 1, low : high + 1] > 0).all() and receptive_field_size(field)[1] == side
    assert float(field.sum()) == pytest.approx(float(field[low : high + 1, low : high + 1].sum()))


def test_field_of_one_convolution_is_its_weight():
    model = convolutions(1, channels=2)
    field = effective_receptive_field(model, 9, in_channels=2)
    expected = model[0].weight.detach().sum(0).abs().mean(0)  # over logits, then over channels
    assert torch.allclose(field[3:6, 3:6], expected, atol=1e-6)


def test_field_of_u_net_by_arithmetic():
    """Two levels: the last two convolutions see 5 pixels, made of 3 at half the side; those see 7, which are 14 at full
    side; and those see 18."""
    torch.manual_seed(0)
    model = UNet(width=4, levels=2)
    for parameter in model.parameters():
        parameter.data.abs_()  # no path is closed by a ReLU
    assert receptive_field_size(effective_receptive_field(model, 32))[1] == 18


def test_field_leaves_the_model_as_it_was_and_is_repeatable():
    model = nn.Sequential(convolutions(1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Conv2d(4, 2, 3, padding=1))
    model.train()
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        first, second = (effective_receptive_field(model, 12) for _ in range(2))
    assert torch.equal(first, second) and not torch.equal(first, effective_receptive_field(model, 12, seed=1))
    assert model.training and model[3].training and not model[1].training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_sides_by_hand():
    field = np.zeros((9, 9))
    field[4, 4], field[4, 5], field[4, 7] = 90, 6, 4
    assert receptive_field_size(field) == (3, 4)  # the box runs from column 4 to 7
    assert receptive_field_size(field, 0.9) == (1, 4)
    assert receptive_field_size(field, 1) == (7, 4)


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (lambda: effective_receptive_field(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), 4), "must give logits"),
        (lambda: receptive_field_size(np.zeros((4, 4))), "influence"),
        (lambda: receptive_field_size(np.ones((4, 4)), 1.5), "a share in"),
    ],
)
def test_bad_input_says_what_to_do(measure, message):
    with pytest.raises(ValueError, match=message):
        measure()
