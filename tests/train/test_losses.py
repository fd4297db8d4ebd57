"""Losses: worked out by hand, and what they are for."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from medlab.train import dice_cross_entropy


def test_dice_cross_entropy_is_what_its_formula_says():
    generator = torch.Generator().manual_seed(0)
    for shape in ((4, 6), (3, 4, 6)):
        logits = torch.randn(2, 3, *shape, generator=generator)
        targets = torch.randint(3, (2, *shape), generator=generator)
        probs, truth = logits.softmax(1), torch.stack([targets == k for k in range(3)], 1).float()
        axes = (0, *range(2, logits.ndim))
        dice = 2 * (probs * truth).sum(axes) / (probs.sum(axes) + truth.sum(axes))
        expected = cross_entropy(logits, targets) + 1 - dice[1:].mean()
        torch.testing.assert_close(dice_cross_entropy(logits, targets), expected, atol=1e-4, rtol=0)


def test_a_small_class_counts_as_much_as_a_large_one():
    targets = torch.zeros(1, 20, 20, dtype=torch.int64)
    targets[0, :10], targets[0, 15, 15] = 1, 2
    found = torch.nn.functional.one_hot(targets, 3).permute(0, 3, 1, 2) * 20.0
    missed = found.clone()
    missed[0, :, 15, 15] = torch.tensor([20.0, 0.0, 0.0])  # the one pixel of class 2 is called background
    extra = [float(loss(missed, targets) - loss(found, targets)) for loss in (dice_cross_entropy, cross_entropy)]
    assert extra[1] == pytest.approx(20 / 400, abs=1e-3)  # one pixel of 400
    assert extra[0] == pytest.approx(20 / 400 + 1 / 2, abs=1e-3)  # and half of the foreground's Dice


def test_bfloat16_logits_are_summed_in_float32():
    logits = torch.zeros(1, 2, 300, 300, dtype=torch.bfloat16, requires_grad=True)
    loss = dice_cross_entropy(logits, torch.ones(1, 300, 300, dtype=torch.int64))
    assert loss.dtype == torch.float32 and loss.item() == pytest.approx(0.6931 + 1 - 2 / 3, abs=1e-3)
    loss.backward()
    assert logits.grad.isfinite().all()
