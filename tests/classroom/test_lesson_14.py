"""The right answers of lesson 14: what they promise, against PyTorch's own counts."""

import pytest
import torch
from answers_14 import lower_of_two, of_conv, whole_steps
from torch import nn

from medlab.models import SmallCNN, count_parameters, multiply_adds


def test_the_worked_numbers():
    assert whole_steps(60, 10**9, 10**6, 32) == 625
    assert of_conv(1, 3, 16, 28, 3, 4) == (677_376, 61_312)
    assert lower_of_two(4, 100, 10) == (40.0, "memory") and lower_of_two(25, 100, 10) == (100.0, "compute")


@pytest.mark.parametrize(("kernel", "size"), [(3, 4), (5, 2)])
def test_a_convolution_costs_what_pytorch_counts(kernel, size):
    conv = nn.Conv2d(6, 10, kernel, padding="same", bias=False)
    images = torch.rand(4, 6, 12, 12)
    operations, moved = of_conv(4, 6, 10, 12, kernel, size)
    assert operations == 2 * multiply_adds(conv, images)
    assert moved == size * (images.numel() + conv(images).numel() + count_parameters(conv))


def test_the_steps_take_no_longer_than_the_budget_and_one_more_would():
    cost = multiply_adds(SmallCNN(1, 2, width=8), torch.rand(1, 1, 28, 28))
    steps = whole_steps(10, 10**9, cost, 48)
    assert steps * 3 * cost * 48 <= 10**10 < (steps + 1) * 3 * cost * 48


def test_at_the_corner_both_bounds_agree():
    just_below, _ = lower_of_two(9.999_999, 100.0, 10.0)
    assert just_below == pytest.approx(100, rel=1e-6) and lower_of_two(10.0, 100.0, 10.0) == (100.0, "compute")
