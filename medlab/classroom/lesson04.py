"""Exercises of lesson 04: three planes through a voxel, parameters of a fully connected layer, Dice at a threshold."""

from math import nan

import torch
from torch import Tensor

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
def dense_parameters(dense_parameters: Attempt) -> None:
    """Write ``dense_parameters(width, kernel, channels, units, axes=2, streams=1)``: parameters of a dense layer.

    The network: each of `streams` inputs is a patch `width` wide along each of `axes` axes; two convolutions without
    padding, their kernels `kernel` wide, the second with `channels` output channels; then one fully connected (dense)
    layer of `units` units on all feature maps of all streams. The answer counts the dense layer alone, an int. A single
    patch in 2-D: ``dense_parameters(24, 5, 50, 1000)`` is 12 801 000. A tiny one: patches 6 wide and kernels 3 wide
    leave 2 x 2 places, so with 5 channels and 7 units it is ``2 * 2 * 5 * 7 + 7 = 147``.
    """
    cases = [
        ((6, 3, 5, 7), {}),
        ((24, 5, 50, 1000), {}),
        ((24, 5, 50, 1000), {"streams": 3}),
        ((24, 5, 50, 1000), {"axes": 3}),
        ((12, 3, 16, 64), {"axes": 3}),
        ((9, 4, 6, 10), {"axes": 2, "streams": 2}),
        ((9, 1, 2, 3), {"axes": 3, "streams": 4}),
    ]
    for given, more in cases:
        width, kernel, channels, units = given
        axes, streams = more.get("axes", 2), more.get("streams", 1)

        def count(side: int, axes: int = axes, streams: int = streams, c: int = channels, n: int = units) -> int:
            return streams * c * side**axes * n + n

        side = width - 2 * (kernel - 1)
        mistakes = {
            "no_biases": count(side) - units,
            "one_bias": count(side) - units + 1,
            "one_convolution": count(width - kernel + 1),
            "whole_kernel": count(max(width - 2 * kernel, 0)),
            "patch_size": count(width),
            "axes_unused": count(side, axes=2),
            "streams_unused": count(side, streams=1),
            "bias_per_stream": count(side) + (streams - 1) * units,
            "channels_unused": count(side, c=1),
            "times_axes": count(side * axes, axes=1),
        }
        dense_parameters.compare(dense_parameters(*given, **more), count(side), mistakes)


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
