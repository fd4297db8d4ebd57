"""Exercises of lesson 05: IoU and Dice, losses of a critic and a segmenter, cardiothoracic ratio."""

from math import nan
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from medlab.classroom.exercises import Attempt, exercise


@exercise
def iou_and_dice(iou: Attempt, dice_from_iou: Attempt) -> None:
    """Write ``iou(mask, target)``, the intersection over union, and ``dice_from_iou(iou)``, the Dice that goes with it.

    `mask` and `target` are boolean tensors of the same shape, True inside the organ. `iou` gives the pixels that both
    cover over the pixels that at least one covers, a number from 0 to 1, and ``nan`` where both are empty.
    `dice_from_iou` takes that number alone and gives the Dice coefficient ``2 |A and B| / (|A| + |B|)`` of the same two
    regions. For ``[1, 1, 1, 0]`` and ``[0, 1, 1, 1]``, 1 for True, they are ``2 / 4 = 0.5`` and ``4 / 6 = 0.667``.
    """
    generator = torch.Generator().manual_seed(0)
    first = torch.arange(9)
    cases = [(first < 3, (first > 0) & (first < 6))]  # no two mistakes agree on it
    cases += [(torch.tensor([1, 1, 1, 0]).bool(), torch.tensor([0, 1, 1, 1]).bool())]
    for shape in [(20,), (6, 7), (3, 5, 6)]:
        target = torch.rand(shape, generator=generator) < 0.4
        flip = torch.rand(shape, generator=generator) < torch.where(target, 0.4, 0.1)  # FN and FP differ
        cases.append((target ^ flip, target))
    full, empty = torch.ones(3, 3).bool(), torch.zeros(3, 3).bool()
    for mask, target in [*cases, (full, full), (full, empty), (empty, full), (empty, empty)]:
        both, either = int((mask & target).sum()), int((mask | target).sum())
        mistakes = {}
        if either:
            mistakes = {
                "dice": 2 * both / (both + either),
                "sum_of_areas": both / (both + either),
                "accuracy": (mask == target).double().mean(),
                "precision": both / max(int(mask.sum()), 1),
                "recall": both / max(int(target.sum()), 1),
                "percent": 100 * both / either,
                "smoothed": (both + 1) / (either + 1),
            }
        iou.compare(iou(mask, target), both / either if either else nan, mistakes, tolerance=1e-6)
    for value in (0.25, 0.5, 0.0, 1.0, 0.929, 0.947):
        dice_from_iou.compare(
            dice_from_iou(value),
            2 * value / (1 + value),
            {
                "way_back": value / (2 - value),
                "doubled": 2 * value,
                "factor_missing": value / (1 + value),
                "unchanged": value,
            },
            tolerance=1e-6,
        )


@exercise
def critic_losses(critic_loss: Attempt, segmenter_loss: Attempt) -> None:
    """Write ``critic_loss(real, fake)`` and ``segmenter_loss(fake)``: what the critic and the segmenter minimize.

    `real` ``(N,)`` are the critic's logits for masks drawn by hand, `fake` ``(M,)`` those for masks of the segmenter;
    with ``p = sigmoid(logit)`` the critic's target is p = 1 for the first and p = 0 for the second. Its loss is the
    mean of ``-log p`` over `real` plus the mean of ``-log(1 - p)`` over `fake`. The segmenter's masks should be
    classified as real: its loss is the mean of ``-log p`` over `fake`. Both are tensors without axes through which
    gradients flow, exact for every logit from -60 to 60. For real ``[0.0]`` and fake ``[2.0]`` they are ``0.693 + 2.127
    = 2.820`` and ``0.127``.
    """
    generator = torch.Generator().manual_seed(0)
    cases = [(torch.tensor([0.5, -1.0]), torch.tensor([2.0, 0.3]))]  # no two mistakes agree on it
    cases += [(torch.tensor([0.0]), torch.tensor([2.0]))]
    for n, m in ((3, 3), (4, 2), (1, 6), (16, 16)):
        cases.append((1 + 2 * torch.randn(n, generator=generator), 2 * torch.randn(m, generator=generator) - 1))
    cases += [(torch.tensor([-60.0]), torch.tensor([60.0, -60.0]))]
    for real, fake in cases:
        on_real, on_fake = -logsigmoid(real), -logsigmoid(-fake)
        expected = on_real.mean() + on_fake.mean()
        got = critic_loss(real, fake)
        check_finite(critic_loss, got, expected)
        critic_loss.compare(
            got,
            expected,
            {
                "labels_swapped": -logsigmoid(-real).mean() - logsigmoid(fake).mean(),
                "sign": -expected,
                "fake_missing": on_real.mean(),
                "real_missing": on_fake.mean(),
                "halved": expected / 2,
                "one_mean": torch.cat([on_real, on_fake]).mean(),
                "sums": on_real.sum() + on_fake.sum(),
                "all_real": on_real.mean() - logsigmoid(fake).mean(),
                "two_sigmoids": -logsigmoid(real.sigmoid()).mean() - logsigmoid(-fake.sigmoid()).mean(),
                "clamped": expected.clamp(max=100),
            },
        )
    for _, fake in cases:
        expected = -logsigmoid(fake).mean()
        got = segmenter_loss(fake)
        check_finite(segmenter_loss, got, expected)
        segmenter_loss.compare(
            got,
            expected,
            {
                "loss_of_critic": -logsigmoid(-fake).mean(),
                "saturating": logsigmoid(-fake).mean(),
                "segmenter_sign": -expected,
                "segmenter_sum": expected * len(fake),
                "two_sigmoids": binary_cross_entropy_with_logits(fake.sigmoid(), torch.ones_like(fake)),
            },
        )
    segmenter_loss.check_gradient(torch.tensor([0.5, -1.0], requires_grad=True))


def check_finite(attempt: Attempt, got: Any, expected: Tensor) -> None:
    """End the check of a loss that is not finite, with the two ways to get there."""
    if isinstance(got, Tensor) and got.ndim == 0 and not got.isfinite():
        attempt.wrong(got, expected, "log_of_sigmoid" if expected > 20 else "log_of_zero")


@exercise
def cardiothoracic_ratio(cardiothoracic_ratio: Attempt) -> None:
    """Write ``cardiothoracic_ratio(label)``: width of the heart over that of the chest.

    `label` ``(H, W)`` is a tensor of whole numbers: 1 right lung, 2 left lung, 3 heart, 0 the rest. The width of a
    structure is the number of columns from its first to its last pixel, both counted. The chest's width is that of both
    lungs together, with what lies between them. The answer is a number, ``nan`` where there is no heart or no lung at
    all. For the row ``[0, 1, 1, 0, 3, 3, 2, 2, 2, 0]`` it is ``2 / 8 = 0.25``.
    """
    cases, generator = [], torch.Generator().manual_seed(0)
    for _ in range(4):
        label = torch.zeros(12, 16, dtype=torch.long)
        a, b, c, d = (int(k) for k in torch.randint(0, 3, (4,), generator=generator))
        label[1:9, 1 + a : 6], label[1:10, 9 : 15 - b] = 1, 2
        label[6:9, 5 : 10 + c] = 3
        label[5, 4 : 8 + d] = 3
        label[7, 7] = 0  # a hole: pixels are not columns
        cases.append(label)
    cases.append(torch.tensor([[0, 1, 1, 0, 3, 3, 2, 2, 2, 0]]))
    stray = cases[0].clone()
    stray[2, 14] = 3  # a pixel of heart, apart from the others
    one_lung = torch.where(cases[1] == 2, 0, cases[1])
    no_heart, no_lung = torch.where(cases[1] == 3, 0, cases[1]), torch.where(cases[1] == 3, 3, 0)
    for label in [*cases, stray, one_lung, no_heart, no_lung]:
        heart, chest = label == 3, (label == 1) | (label == 2)
        lungs = _width(label == 1) + _width(label == 2)
        cardiothoracic_ratio.compare(
            cardiothoracic_ratio(label),
            _ratio(_width(heart), _width(chest)),
            {
                "inverted": _ratio(_width(chest), _width(heart)),
                "one_too_few": _ratio(_width(heart) - 1, _width(chest) - 1),
                "sum_of_lungs": _ratio(_width(heart), lungs),
                "areas": _ratio(int(heart.sum()), int(chest.sum())),
                "heights": _ratio(_width(heart.T), _width(chest.T)),
                "all_labels": _ratio(_width(heart), _width(label > 0)),
                "image_width": _ratio(_width(heart), label.shape[1]),
                "columns_of_heart": _ratio(int(heart.any(0).sum()), _width(chest)),
                "widest_row": _ratio(int(heart.sum(1).max()), int(chest.sum(1).max())),
            },
            tolerance=1e-6,
        )


def _width(where: Tensor) -> int:
    columns = where.any(0).nonzero()
    return int(columns.max() - columns.min()) + 1 if len(columns) else 0


def _ratio(a: int, b: int) -> float:
    """Quotient, nan where either is not above 0."""
    return a / b if a > 0 and b > 0 else nan
