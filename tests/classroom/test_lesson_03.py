"""The right answers of lesson 03 against the course."""

import pytest
import torch
from answers_03 import dense_block, dice, receptive_field
from torch import nn
from torch.nn import functional as F

from medlab.models.drinet import DenseBlock


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([], 1),
        ([(3, 1, 1), (3, 1, 1)], 5),
        ([(3, 1, 1), (2, 2, 1), (3, 1, 1)], 8),
        ([(3, 1, 2)], 5),
        ([(7, 2, 1), (2, 2, 1), (3, 1, 2), (2, 3, 1), (3, 1, 1)], 53),
    ],
)
def test_the_receptive_field_is_what_a_network_sees(layers, expected):
    images = torch.zeros(1, 1, 200, 1, requires_grad=True)
    maps = images
    for kernel, stride, dilation in layers:
        maps = F.conv2d(maps, torch.ones(1, 1, kernel, 1), stride=(stride, 1), dilation=(dilation, 1))
    maps[0, 0, maps.shape[2] // 2, 0].backward()
    seen = images.grad[0, 0, :, 0].nonzero()
    assert receptive_field(layers) == int(seen.max() - seen.min()) + 1 == expected


def test_the_worked_numbers_and_the_courses_own_block():
    mask = torch.tensor([[1, 1, 0], [0, 0, 0], [0, 0, 0]]).bool()
    target = torch.tensor([[0, 1, 0], [0, 1, 0], [0, 1, 1]]).bool()
    assert float(dice(mask, target)) == pytest.approx(1 / 3)
    summing = [lambda maps: maps.sum(1, keepdim=True)] * 3
    assert dense_block(torch.ones(1, 1, 1, 1), summing).ravel().tolist() == [1, 1, 2, 4]
    own, maps = DenseBlock(in_channels=2, growth=3).eval(), torch.randn(1, 2, 4, 4)
    own.mix = nn.Identity()
    assert torch.allclose(dense_block(maps, own.layers), own(maps))
