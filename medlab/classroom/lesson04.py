"""Exercises of lesson 04: three planes through a voxel, a dense layer as a convolution, Dice at a threshold."""

from math import nan

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from medlab.classroom.exercises import Attempt, exercise


@exercise
def triplanar(triplanar: Attempt) -> None:
    """Write ``triplanar(volume, center, width)``: the three planes through a voxel, a tensor ``(3, width, width)``.

    `volume` is ``(D, H, W)``, `center` three whole numbers: depth, row, column. First the axial plane (H down, W
    across), then the coronal one (D down, W across), then the sagittal one (D down, H across), each cut to `width`
    around the center, which is voxel number ``width // 2`` along both sides. The patches lie inside the volume. In a
    volume whose voxel (d, h, w) is ``100 d + 10 h + w``, the axial plane of width 2 at (3, 4, 5) is
    ``[[334, 335], [344, 345]]``.
    """
    counted = torch.arange(600.0).reshape(6, 10, 10)
    noise = torch.rand(9, 11, 13, generator=torch.Generator().manual_seed(0))
    cases = [(counted, (3, 4, 5), 2), (counted, (3, 5, 4), 3), (noise, (4, 5, 6), 5), (noise, (4, 6, 5), 6)]
    cases.append((noise, (4, 3, 6), 4))
    for volume, center, width in cases:
        planes = _planes(volume, center, width)
        mistakes = {
            "order": planes.flip(0),
            "transposed": planes.mT,
            "one_plane": planes[:1].expand(3, -1, -1),
            "stacked": _stack(volume, center, width),
            "center_reversed": _planes(volume, center[::-1], width),
        }
        mistake, step = ("odd_center", -1) if width % 2 else ("even_center", 1)
        mistakes[mistake] = _planes(volume, tuple(c + step for c in center), width)
        triplanar.compare(triplanar(volume, center, width), planes, mistakes)


def _planes(volume: Tensor, center: tuple[int, ...], width: int) -> Tensor:
    d, h, w = (slice(c - width // 2, c - width // 2 + width) for c in center)
    depth, row, column = center
    return torch.stack([volume[depth, h, w], volume[d, row, w], volume[d, h, column]])


def _stack(volume: Tensor, center: tuple[int, ...], width: int) -> Tensor:
    return torch.stack([_planes(volume, (center[0] + step, *center[1:]), width)[0] for step in (-1, 0, 1)])


@exercise
def dense_as_convolution(dense_as_convolution: Attempt) -> None:
    """Write ``dense_as_convolution(maps, weight, bias, side)``: a dense layer at every place of feature maps.

    `maps` are ``(N, C, H, W)``; `weight` ``(units, C * side * side)`` and `bias` ``(units,)`` are those of a fully
    connected (dense) layer that was trained on flattened maps ``(C, side, side)``. The answer is ``(N, units,
    H - side + 1, W - side + 1)``: at each place what the layer gives for the maps of `side` x `side` that begin there.
    For one map ``[[1, 2, 3], [4, 5, 6], [7, 8, 9]]``, side 2, one unit with the weights 1, 0, 0, 1 and bias 10 it is
    ``[[16, 18], [22, 24]]``.
    """
    counted = torch.arange(1.0, 10).view(1, 1, 3, 3)
    cases = [(counted, torch.tensor([[1.0, 0, 0, 1]]), torch.tensor([10.0]), 2)]
    generator = torch.Generator().manual_seed(0)
    for n, channels, units, height, width, side in [(1, 2, 3, 4, 6, 3), (2, 3, 5, 8, 7, 4), (3, 4, 2, 6, 5, 1)]:
        maps = torch.randn(n, channels, height, width, generator=generator)
        weight = torch.randn(units, channels * side**2, generator=generator)
        cases.append((maps, weight, torch.randn(units, generator=generator), side))
    for maps, weight, bias, side in cases:
        kernels = weight.view(len(weight), maps.shape[1], side, side)
        last = weight.view(len(weight), side, side, maps.shape[1]).movedim(3, 1)
        expected = conv2d(maps, kernels, bias)
        mistakes = {
            "no_bias": conv2d(maps, kernels),
            "flipped": conv2d(maps, kernels.flip(2, 3), bias),
            "transposed": conv2d(maps, kernels.mT, bias),
            "channels_last": conv2d(maps, last, bias),
            "relu": expected.relu(),
            "padded": conv2d(pad(maps, 2 * ((side - 1) // 2, side // 2)), kernels, bias),
            "stride": conv2d(maps, kernels, bias, stride=side),
        }
        dense_as_convolution.compare(dense_as_convolution(maps, weight, bias, side), expected, mistakes)


@exercise
def dice_at(dice_at: Attempt) -> None:
    """Write ``dice_at(probs, target, thresholds)``: Dice of voxel probabilities at each of some thresholds, ``(T,)``.

    `probs` are floating point and `target` boolean, of one shape with any number of axes; `thresholds` is a tensor
    ``(T,)``, in no order. A voxel is predicted as structure where its probability is at least the threshold. Dice is
    ``2 |A and B| / (|A| + |B|)`` over all voxels together, nan where both are empty. For probabilities
    ``[0.9, 0.6, 0.4, 0.1]``, target ``[1, 0, 1, 0]`` and thresholds ``[0.5, 0.3]`` it is ``[0.5, 0.8]``.
    """
    generator = torch.Generator().manual_seed(0)
    cases = [(torch.tensor([0.9, 0.6, 0.4, 0.1]), torch.tensor([1, 0, 1, 0]).bool(), torch.tensor([0.5, 0.3]))]
    for shape in [(12,), (5, 6), (3, 4, 5)]:
        target = torch.rand(shape, generator=generator) < 0.3
        probs = (torch.rand(shape, generator=generator) * 0.8 + 0.25 * target).clamp(0, 1)
        cases.append((probs, target, torch.tensor([0.5, 0.2, 0.8, 0.0, 0.65])))
    tenths = torch.tensor([0.25, 0.5, 0.75, 0.5, 0.25, 1.0])  # probabilities that are thresholds too
    cases.append((tenths, torch.tensor([0, 1, 1, 0, 1, 1]).bool(), torch.tensor([0.25, 0.5, 0.75, 1.0])))
    cases.append((tenths * 0.9, torch.zeros(6).bool(), torch.tensor([0.5, 1.0])))  # nothing to find, nothing predicted
    for probs, target, thresholds in cases:
        expected = _dice_at(probs, target, thresholds)
        predicted = torch.stack([probs >= t for t in thresholds])
        each = torch.stack([2 * (p & target).sum() / (2 * (p & target).sum() + (p ^ target).sum()) for p in predicted])
        soft = 2 * (probs * target).sum() / (probs.sum() + target.sum())
        mistakes = {
            "above": _dice_at(probs, target, thresholds, strict=True),
            "thresholds_unused": _dice_at(probs, target, torch.full_like(thresholds, 0.5)),
            "below": _dice_at(-probs, target, -thresholds),
            "accuracy": torch.stack([(p == target).double().mean() for p in predicted]),
            "iou": each / (2 - each),
            "soft": soft.expand(len(thresholds)),
            "empty_as_zero": expected.nan_to_num(0.0),
            "empty_as_one": expected.nan_to_num(1.0),
            "sorted": _dice_at(probs, target, thresholds.sort().values),
        }
        dice_at.compare(dice_at(probs, target, thresholds), expected, mistakes)


def _dice_at(probs: Tensor, target: Tensor, thresholds: Tensor, strict: bool = False) -> Tensor:
    answers = []
    for threshold in thresholds:
        predicted = probs > threshold if strict else probs >= threshold
        total = int(predicted.sum() + target.sum())
        answers.append(2 * int((predicted & target).sum()) / total if total else nan)
    return torch.tensor(answers, dtype=torch.float64)
