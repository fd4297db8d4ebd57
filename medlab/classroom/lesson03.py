"""Exercises of lesson 03: Dice, receptive field, dense block."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import nan
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medlab.classroom.exercises import Attempt, exercise

Join = Callable[[list[Tensor]], Any]


@exercise
def dice(dice: Attempt) -> None:
    """Write ``dice(mask, target)``: the overlap of a segmented region with the true one (0 to 1).

    `mask` and `target` are boolean tensors of the same shape, with any number of axes, True inside the region. The
    answer is a float or a tensor without axes: ``2 |A and B| / (|A| + |B|)``, where ``|A|`` is the number of True in A,
    all axes together. Where one region is empty it is 0; where both are it is ``nan``, because there was nothing to
    find. For ``[[1, 1, 0], [0, 0, 0], [0, 0, 0]]`` and ``[[0, 1, 0], [0, 1, 0], [0, 1, 1]]``, 1 for True, it is
    ``2 * 1 / (2 + 4) = 0.333``.
    """
    generator = torch.Generator().manual_seed(0)
    mask = torch.tensor([[1, 1, 0], [0, 0, 0], [0, 0, 0]]).bool()
    target = torch.tensor([[0, 1, 0], [0, 1, 0], [0, 1, 1]]).bool()
    empty = torch.zeros_like(mask)
    cases = [(mask, target), (target, target), (mask, ~mask)]
    for shape in [(20,), (6, 7), (3, 5, 6), (2, 3, 4, 5)]:
        target = torch.rand(shape, generator=generator) < 0.3
        flip = torch.rand(shape, generator=generator) < torch.where(target, 0.3, 0.1)  # FN and FP differ
        cases.append((target ^ flip, target))
    cases += [(mask, empty), (empty, mask), (empty, empty), (empty[0], empty[0]), (torch.arange(3) == 0, empty[0])]
    for mask, target in cases:
        dice.compare(dice(mask, target), _dice(mask, target), _mistakes(mask, target), tolerance=1e-6)


def _mistakes(mask: Tensor, target: Tensor) -> dict:
    both, either = int((mask & target).sum()), int((mask | target).sum())
    total = both + either
    if total == 0:
        return {"empty_as_one": 1.0, "empty_as_zero": 0.0}
    return {
        "iou": both / either,
        "factor_missing": both / total,
        "accuracy": (mask == target).double().mean(),
        "smoothed": (2 * both + 1) / (total + 1),
        "precision": _divide(both, int(mask.sum())),
        "recall": _divide(both, int(target.sum())),
        "background": _dice(~mask, ~target),
        "percent": 200 * both / total,
        "mean_over_slices": torch.tensor([_dice(a, b) for a, b in zip(mask, target)]).nanmean(),
    }


def _dice(mask: Tensor, target: Tensor) -> float:
    return _divide(2 * int((mask & target).sum()), int(mask.sum()) + int(target.sum()))


def _divide(a: int, b: int) -> float:
    """Quotient, nan where `b` is 0."""
    return a / b if b else nan


@exercise
def receptive_field(receptive_field: Attempt) -> None:
    """Write ``receptive_field(layers)``: the side of the square of input pixels that one output pixel depends on.

    `layers` is a list of tuples ``(kernel, stride, dilation)``, convolutions or poolings from the input to the output,
    with square kernels. The answer is an int. The taps of a kernel are `dilation` pixels of the layer's input apart,
    and neighbors in the input of a layer are as many pixels of the image apart as the strides of all layers before it
    multiply to. Two convolutions 3 x 3, ``[(3, 1, 1), (3, 1, 1)]``, see 5; with a pooling 2 x 2 between them,
    ``[(3, 1, 1), (2, 2, 1), (3, 1, 1)]``, they see 8; ``[(3, 1, 2)]`` sees 5, and no layer at all sees 1.
    """
    rng = np.random.default_rng(0)
    convolution, pooling = (3, 1, 1), (2, 2, 1)
    cases = [[convolution] * 2, [convolution, pooling, convolution], [(3, 1, 2)], [(3, 1, 1), (3, 1, 2), (3, 1, 4)]]
    cases += [[(7, 2, 1), pooling, convolution], [convolution, convolution, pooling] * 4 + [convolution] * 2]  # U-Net
    for count in (1, 2, 3, 4, 5, 6):
        cases += [[tuple(row) for row in rng.integers(1, (8, 4, 5), (count, 3)).tolist()] for _ in range(4)]
    for layers in [*cases, []]:
        expected = _field(layers)
        receptive_field.compare(
            receptive_field(layers),
            expected,
            {
                "one_too_few": expected - 1,
                "sum_of_kernels": sum(k for k, _, _ in layers),
                "strides_unused": _field([(k, 1, d) for k, _, d in layers]),
                "dilations_unused": _field([(k, s, 1) for k, s, _ in layers]),
                "kernel_times_dilation": _field([(k * d, s, 1) for k, s, d in layers]),
                "stride_too_early": _field([(k, s, d) for k, s, d in layers], early=True),
                "reversed": _field(layers[::-1]),
                "dilation_too_long": _field([(k, s * d, d) for k, s, d in layers]),
                "last_stride_only": 1
                + sum((k - 1) * d * s for (k, _, d), s in zip(layers, [1, *(s for _, s, _ in layers)])),
                "own_stride": 1 + sum((k - 1) * d * s for k, s, d in layers),
            },
        )


def _field(layers: list[tuple[int, int, int]], early: bool = False) -> int:
    field, apart = 1, 1
    for kernel, stride, dilation in layers:
        field += (kernel - 1) * dilation * apart * (stride if early else 1)
        apart *= stride
    return field


@dataclass(frozen=True)  # so that a copy equals the original
class Layer:
    """A layer for `dense_block`: weighted sums over as many channels as come in; the order of these matters."""

    growth: int
    turn: float  # 0 makes all weights 1

    def __repr__(self) -> str:
        """What the student reads in the failing case."""
        kind = "weighted sums" if self.turn else "the sum"
        return f"<{kind}, {self.growth} channel{'s' * (self.growth > 1)}>"

    def __call__(self, features: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, growth, H, W)``."""
        places = torch.outer(torch.arange(features.shape[1]) + 1.0, torch.arange(self.growth) + 1.0)
        return torch.einsum("nchw,cg->nghw", features, (self.turn * places).cos())


@exercise
def dense_block(dense_block: Attempt) -> None:
    """Write ``dense_block(features, layers)``: every layer sees the outputs of all layers before it.

    `features` ``(N, C, H, W)`` is a tensor, `layers` a list of callables, each from ``(N, any, H, W)`` to
    ``(N, some, H, W)``. Each is called with the channels of `features` and of all outputs before it, concatenated:
    `features` first, then the outputs, the oldest first. The answer is `features` and all outputs, concatenated in the
    same order; without layers it is `features`. With three layers that add up all channels they see, a pixel ``[1]``
    becomes ``[1, 1, 2, 4]``.
    """
    generator = torch.Generator().manual_seed(0)
    small = torch.tensor([[[[1.0]], [[2.0]]]])
    cases = [(small, [Layer(2, 0.0)] * 3)]  # sums, small enough to show: 1, 2, then 3, 3, then 9, 9, then 27, 27
    cases += [(torch.ones(1, 1, 1, 1), [Layer(1, 0.0)] * 3), (small, [Layer(2, turn) for turn in (0.9, 0.5, 1.3)])]
    for channels, growths in [(3, [3, 3, 3]), (4, [2]), (2, [5, 1, 3]), (1, [2, 2, 4, 3])]:
        features = torch.randn(2, channels, 4, 5, generator=generator)
        cases.append((features, [Layer(growth, 0.6 + 0.3 * i) for i, growth in enumerate(growths)]))
    for features, layers in cases:
        channels, growths = features.shape[1], [layer.growth for layer in layers]
        expected, chain = _dense(features, layers, _joined), _dense(features, layers, lambda outputs: outputs[-1])
        mistakes = {
            "latest_only": chain,
            "chain": chain[:, -growths[-1] :],
            "input_only": _dense(features, layers, lambda outputs: outputs[0]),
            "newest_first": _dense(features, layers, _newest, _newest),
            "input_missing": expected[:, channels:],
            "last_output": expected[:, -growths[-1] :],
        }
        if {*growths} == {channels}:  # otherwise these end in an exception
            mistakes["added"] = _dense(features, layers, sum, sum)
            for key, axis in {"axis_0": 0, "axis_2": 2, "axis_3": 3}.items():
                join = partial(torch.cat, dim=axis)
                mistakes[key] = _dense(features, layers, join, join)
        dense_block.compare(dense_block(features, layers), expected, mistakes)
    dense_block.compare(dense_block(features, []), features, {})


def _joined(outputs: list[Tensor]) -> Tensor:
    return torch.cat(outputs, 1)


def _newest(outputs: list[Tensor]) -> Tensor:
    return torch.cat(outputs[::-1], 1)


def _dense(features: Tensor, layers: list[Layer], seen: Join, answer: Join = _joined) -> Tensor:
    """`answer` of the input and all outputs, when every layer gets `seen` of those before it."""
    outputs = [features]
    for layer in layers:
        outputs.append(layer(seen(outputs)))
    return answer(outputs)
