"""Exercises of lesson 01: macro F1, size and parameters of a convolution, convolution as a matrix product, momentum."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from medlab.classroom.exercises import Attempt, exercise


@exercise
def conv_arithmetic(conv_shape: Attempt, conv_parameters: Attempt) -> None:
    """Write two functions: the output size of a convolution, and its number of parameters.

    ``conv_shape(size, kernel, padding=0, stride=1)`` is the side of the output (an int) for a square image of side
    `size` with `padding` pixels added on every side: as many as there are places for the kernel, `stride` apart; a last
    place that sticks out is left out. Li's network: ``conv_shape(32, 7)`` is 26.

    ``conv_parameters(in_channels, out_channels, kernel)`` is the number of weights and biases (an int), one bias per
    output channel. Li's network: ``conv_parameters(1, 16, 7)`` is 800.
    """
    rng = np.random.default_rng(0)
    cases = [(32, 7, 0, 1), (26, 2, 0, 2), (28, 3, 1, 1), (224, 7, 3, 2), (5, 5, 0, 1)]
    cases += [tuple(rng.integers((10, 1, 0, 1), (65, 10, 4, 5)).tolist()) for _ in range(20)]
    for size, kernel, padding, stride in cases:
        options = {"padding": padding, "stride": stride} if (padding, stride) != (0, 1) else {}
        room = size + 2 * padding - kernel
        conv_shape.compare(
            conv_shape(size, kernel, **options),
            room // stride + 1,
            {
                "one_too_few": room // stride,
                "one_too_many": room // stride + 2,
                "rounded_up": math.ceil(room / stride) + 1,
                "padding_once": (room - padding) // stride + 1,
                "padding_unused": (size - kernel) // stride + 1,
                "stride_unused": room + 1,
                "input_size": size,
                "one_before_division": (room + 1) // stride,
            },
        )
    cases = [(1, 16, 7), (3, 5, 2), *(tuple(rng.integers(1, 40, 3).tolist()) for _ in range(20))]
    for inputs, outputs, kernel in cases:
        weights = outputs * inputs * kernel**2
        conv_parameters.compare(
            conv_parameters(inputs, outputs, kernel),
            weights + outputs,
            {
                "no_biases": weights,
                "one_bias": weights + 1,
                "bias_per_input": weights + inputs,
                "bias_per_pair": weights + inputs * outputs,
                "kernel_not_squared": outputs * inputs * kernel + outputs,
                "inputs_unused": outputs * kernel**2 + outputs,
                "outputs_unused": inputs * kernel**2 + outputs,
            },
        )


@exercise
def conv2d_unfold(conv2d_unfold: Attempt) -> None:
    """Write ``conv2d_unfold(images, weight, bias)``: a convolution as one matrix product.

    `images` ``(N, C, H, W)``, `weight` ``(O, C, k, k)`` and `bias` ``(O,)`` are tensors; the answer
    ``(N, O, H - k + 1, W - k + 1)`` equals ``torch.nn.functional.conv2d(images, weight, bias)`` to 1e-5. Cut the images
    into patches with ``torch.nn.functional.unfold`` (or ``Tensor.unfold``), multiply by the weights as a matrix
    ``(O, C * k * k)``, add the bias, and reshape the columns to an image. The library's convolutions are not to be
    called.
    """
    generator = torch.Generator().manual_seed(0)
    small = (torch.arange(12.0).reshape(1, 1, 3, 4), torch.tensor([[[[0.0, 1.0], [2.0, 5.0]]]]), torch.tensor([0.5]))
    cases = [small]
    for n, c, o, h, w, k in [(2, 3, 4, 8, 7, 3), (3, 2, 5, 9, 9, 4), (2, 1, 3, 5, 11, 5), (2, 4, 3, 6, 6, 1)]:
        shapes = (n, c, h, w), (o, c, k, k), (o,)
        images, weight, bias = (torch.randn(shape, generator=generator) for shape in shapes)
        cases.append((images, weight / (c * k * k) ** 0.5, bias))
    conv2d_unfold.forbidden = {"conv1d", "conv2d", "conv3d", "conv_transpose2d", "convolution"}
    for images, weight, bias in cases:
        expected = conv2d(images, weight, bias)
        n, o, h, w = expected.shape
        unordered = expected.flatten(2).transpose(1, 2).reshape(n, o, h, w)
        conv2d_unfold.compare(
            conv2d_unfold(images, weight, bias),
            expected,
            {
                "no_bias": conv2d(images, weight),
                "kernel_flipped": conv2d(images, weight.flip(2, 3), bias),
                "kernel_transposed": conv2d(images, weight.transpose(2, 3), bias),
                "output_transposed": expected.transpose(2, 3),
                "still_columns": expected.flatten(2),
                "not_transposed": unordered,
                "channels_last": expected.permute(0, 2, 3, 1),
                "padded": conv2d(images, weight, bias, padding=1),
            },
        )


@exercise
def macro_f1(macro_f1: Attempt) -> None:
    """Write ``macro_f1(targets, predictions, classes)``: the mean of the F1 scores of all classes (a float).

    `targets` and `predictions` are NumPy arrays ``(N,)`` of whole numbers from 0 to ``classes - 1``. For class c let TP
    be the images of c that were predicted as c, FP those predicted as c that are not, FN those of c that were predicted
    as another class. Then ``F1 = 2 TP / (2 TP + FP + FN)``, and 0 where that is 0 / 0: no image of c, and none
    predicted as c. The answer is the mean over all classes 0 .. ``classes - 1``, each with the same weight. For targets
    ``[0, 0, 0, 1]``, predictions ``[0, 0, 1, 1]`` and 2 classes it is ``(0.8 + 0.667) / 2 = 0.733``.
    """
    rng = np.random.default_rng(0)
    cases = [
        (np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 2),
        (np.array([0, 1, 2, 2]), np.array([0, 1, 2, 2]), 3),
        (np.array([0, 0, 0, 0, 1, 1, 2]), np.array([0, 0, 0, 1, 1, 0, 1]), 3),  # class 2 is never predicted
        (np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 4),  # classes 2 and 3 are absent
        (np.array([0, 0, 1]), np.array([0, 2, 1]), 3),  # class 2 is predicted but absent
    ]
    for classes in (2, 3, 5, 8):
        share = rng.dirichlet(np.ones(classes))  # uneven classes, so that every mean is another number
        targets = rng.choice(classes, 60, p=share)
        noise = rng.integers(0, classes, 60)
        cases.append((targets, np.where(rng.random(60) < 0.6, targets, noise), classes))
    for targets, predictions, classes in cases:
        true = np.array([((targets == c) & (predictions == c)).sum() for c in range(classes)])
        predicted, present = np.bincount(predictions, minlength=classes), np.bincount(targets, minlength=classes)
        f1 = _divide(2 * true, predicted + present)
        precision, recall = _divide(true, predicted), _divide(true, present)
        means = precision.mean(), recall.mean()
        macro_f1.compare(
            macro_f1(targets, predictions, classes),
            float(f1.mean()),
            {
                "accuracy": (targets == predictions).mean(),
                "weighted": (f1 * present).sum() / present.sum(),
                "f1_of_means": 2 * means[0] * means[1] / sum(means),
                "without_absent": f1[present > 0].mean(),
                "without_unpredicted": f1[predicted > 0].mean(),
                "without_empty": f1[predicted + present > 0].mean(),
                "empty_as_one": np.where(predicted + present == 0, 1.0, f1).mean(),
                "precision": precision.mean(),
                "recall": recall.mean(),
                "factor_missing": _divide(true, predicted + present - true).mean(),
                "percent": 100 * f1.mean(),
            },
            tolerance=1e-6,
        )


@exercise
def momentum_descent(momentum_descent: Attempt) -> None:
    """Write ``momentum_descent(weight, curvature, rate, momentum, decay, steps)``: what an optimizer does.

    `weight` and `curvature` are tensors of one shape; the loss is the sum of ``curvature * weight**2 / 2``, so its
    derivative is ``curvature * weight``. Every step adds ``decay * weight`` to the derivative, adds the sum to
    `momentum` times the velocity of the step before (zeros at first), and moves the weight by `rate` times the new
    velocity against it. The answer is the weight after so many steps, that of ``torch.optim.SGD``. For weight 1,
    curvature 1, rate 0.1, momentum 0.9, no decay and two steps it is 0.72: the velocity is 1, then 1.8.
    """
    generator = torch.Generator().manual_seed(0)
    cases: list[tuple] = [(torch.ones(1), torch.ones(1), 0.1, 0.9, 0.0, 2)]
    for recipe in [(0.1, 0.9, 0.5, 3), (0.05, 0.0, 0.0, 4), (0.02, 0.5, 0.1, 5), (0.3, 0.9, 0.0, 1)]:
        cases.append((torch.randn(2, 3, generator=generator), torch.arange(1.0, 7).reshape(2, 3), *recipe))
    for weight, curvature, rate, momentum, decay, steps in cases:
        momentum_descent.compare(
            momentum_descent(weight, curvature, rate, momentum, decay, steps),
            _moved(weight, curvature, rate, momentum, decay, steps),
            {
                "no_momentum": _moved(weight, curvature, rate, 0.0, decay, steps),
                "no_decay": _moved(weight, curvature, rate, momentum, 0.0, steps),
                "uphill": _moved(weight, curvature, -rate, momentum, decay, steps),
                "no_rate": _moved(weight, curvature, 1.0, momentum, decay, steps),
                "averaged": _moved(weight, curvature, rate * (1 - momentum), momentum, decay, steps),
                "decay_grows": _moved(weight, curvature, rate, momentum, -decay, steps),
                "one_step_more": _moved(weight, curvature, rate, momentum, decay, steps + 1),
                "one_step_less": _moved(weight, curvature, rate, momentum, decay, steps - 1),
                "no_curvature": _moved(weight, torch.ones_like(weight), rate, momentum, decay, steps),
            },
        )


def _moved(weight: Tensor, curvature: Tensor, rate: float, momentum: float, decay: float, steps: int) -> Tensor:
    """The weight after so many steps."""
    velocity = torch.zeros_like(weight)
    for _ in range(steps):
        velocity = momentum * velocity + (curvature + decay) * weight
        weight = weight - rate * velocity
    return weight


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Quotient, 0 where `b` is 0."""
    return np.where(b > 0, a / np.maximum(b, 1), 0.0)
