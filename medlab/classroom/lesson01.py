"""The exercises of lesson 01: sizes of a convolution, convolution as a matrix product, macro F1."""

import math

import numpy as np
import torch
from torch.nn.functional import conv2d

from medlab.classroom.exercise import Attempt, Calls, exercise


@exercise
def conv_arithmetic(conv_shape: Attempt, conv_parameters: Attempt) -> None:
    """Write two functions that tell what a convolution makes, and what it costs.

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
                "off by one: a kernel as large as the image has one place, not none": room // stride,
                "off by one: one place too many": room // stride + 2,
                "a last place that sticks out does not count: round down, not up": math.ceil(room / stride) + 1,
                "the padding is added on both sides": (room - padding) // stride + 1,
                "`padding` is not used": (size - kernel) // stride + 1,
                "`stride` is not used": room + 1,
                "the size of the input: the kernel must fit inside": size,
                "off by one: add 1 after the division by the stride": (room + 1) // stride,
            },
            tolerance=1e-9,
        )
    cases = [(1, 16, 7), (3, 5, 2), *(tuple(rng.integers(1, 40, 3).tolist()) for _ in range(20))]
    for inputs, outputs, kernel in cases:
        weights = outputs * inputs * kernel**2
        conv_parameters.compare(
            conv_parameters(inputs, outputs, kernel),
            weights + outputs,
            {
                "the biases are missing: one per output channel": weights,
                "one bias per output channel, not one in all": weights + 1,
                "one bias per output channel, not per input channel": weights + inputs,
                "one bias per output channel, not per pair of channels": weights + inputs * outputs,
                "the kernel is a square: kernel * kernel weights": outputs * inputs * kernel + outputs,
                "every output channel sees all input channels": outputs * kernel**2 + outputs,
                "there is one kernel for every output channel": inputs * kernel**2 + outputs,
            },
            tolerance=1e-9,
        )


@exercise
def conv2d_unfold(conv2d_unfold: Attempt) -> None:
    """Write ``conv2d_unfold(images, weight, bias)``: a convolution as one matrix product.

    `images` ``(N, C, H, W)``, `weight` ``(O, C, k, k)`` and `bias` ``(O,)`` are tensors; the answer
    ``(N, O, H - k + 1, W - k + 1)`` equals ``torch.nn.functional.conv2d(images, weight, bias)`` to 1e-5. Cut the images
    into patches with ``torch.nn.functional.unfold`` (or ``Tensor.unfold``), multiply by the weights as a matrix
    ``(O, C * k * k)``, add the bias, and give the columns their place in the image back. The library's convolutions are
    not to be called.
    """
    generator = torch.Generator().manual_seed(0)
    small = (torch.arange(12.0).reshape(1, 1, 3, 4), torch.tensor([[[[0.0, 1.0], [2.0, 5.0]]]]), torch.tensor([0.5]))
    cases = [small]
    for n, c, o, h, w, k in [(2, 3, 4, 8, 7, 3), (3, 2, 5, 9, 9, 4), (2, 1, 3, 5, 11, 5), (2, 4, 3, 6, 6, 1)]:
        shapes = (n, c, h, w), (o, c, k, k), (o,)
        images, weight, bias = (torch.randn(shape, generator=generator) for shape in shapes)
        cases.append((images, weight / (c * k * k) ** 0.5, bias))
    for images, weight, bias in cases:
        with Calls({"conv1d", "conv2d", "conv3d", "conv_transpose2d", "convolution"}) as library:
            got = conv2d_unfold(images, weight, bias)
        if library.seen:
            mistake = "use unfold and a matrix product"
            conv2d_unfold.wrong(f"a call of torch's own {library.seen[0]}", "a convolution of your own", mistake)
        expected = conv2d(images, weight, bias)
        n, o, h, w = expected.shape
        unordered = expected.flatten(2).transpose(1, 2).reshape(n, o, h, w)
        conv2d_unfold.compare(
            got,
            expected,
            {
                "the bias is missing": conv2d(images, weight),
                "the kernel is flipped; deep learning does not flip it": conv2d(images, weight.flip(2, 3), bias),
                "rows and columns of the kernel are swapped": conv2d(images, weight.transpose(2, 3), bias),
                "rows and columns of the output are swapped": expected.transpose(2, 3),
                "the columns are not yet laid out as an image: reshape (N, O, L)": expected.flatten(2),
                "transpose to (N, O, L) before the reshape to an image": unordered,
                "channels come last; they must be axis 1": expected.permute(0, 2, 3, 1),
                "padded: the kernel must fit inside the image": conv2d(images, weight, bias, padding=1),
            },
        )


@exercise
def macro_f1(macro_f1: Attempt) -> None:
    """Write ``macro_f1(targets, predictions, classes)``: the mean of the F1 scores of all classes (a float).

    `targets` and `predictions` are NumPy arrays ``(N,)`` of whole numbers from 0 to ``classes - 1``. For class c let TP
    be the images of c that were called c, FP those called c that are not, FN those of c that were called something
    else. Then ``F1 = 2 TP / (2 TP + FP + FN)``, and 0 where that is 0 / 0: no image of c, and none called c. The
    answer is the mean over all classes 0 .. ``classes - 1``, each with the same weight. For targets ``[0, 0, 0, 1]``,
    predictions ``[0, 0, 1, 1]`` and 2 classes it is ``(0.8 + 0.667) / 2 = 0.733``.
    """
    rng = np.random.default_rng(0)
    cases = [
        (np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 2),
        (np.array([0, 1, 2, 2]), np.array([0, 1, 2, 2]), 3),
        (np.array([0, 0, 0, 0, 1, 1, 2]), np.array([0, 0, 0, 1, 1, 0, 1]), 3),  # class 2 is never called
        (np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 4),  # classes 2 and 3 are not there at all
        (np.array([0, 0, 1]), np.array([0, 2, 1]), 3),  # class 2 is called but not there
    ]
    for classes in (2, 3, 5, 8):
        share = rng.dirichlet(np.ones(classes))  # uneven classes, so that every mean is another number
        targets = rng.choice(classes, 60, p=share)
        noise = rng.integers(0, classes, 60)
        cases.append((targets, np.where(rng.random(60) < 0.6, targets, noise), classes))
    for targets, predictions, classes in cases:
        true = np.array([((targets == c) & (predictions == c)).sum() for c in range(classes)])
        called, there = np.bincount(predictions, minlength=classes), np.bincount(targets, minlength=classes)
        f1 = _divide(2 * true, called + there)
        precision, recall = _divide(true, called), _divide(true, there)
        means = precision.mean(), recall.mean()
        macro_f1.compare(
            macro_f1(targets, predictions, classes),
            float(f1.mean()),
            {
                "this is the accuracy (and micro F1): take F1 class by class": (targets == predictions).mean(),
                "this is weighted F1: every class must count the same": (f1 * there).sum() / there.sum(),
                "this is the F1 of the mean precision and the mean recall": 2 * means[0] * means[1] / sum(means),
                "the mean leaves out classes that have no image": f1[there > 0].mean(),
                "the mean leaves out classes that are never called": f1[called > 0].mean(),
                "the mean leaves out classes without image or call": f1[called + there > 0].mean(),
                "a class without image or call counts 0, not 1": np.where(called + there == 0, 1.0, f1).mean(),
                "this is the mean precision": precision.mean(),
                "this is the mean recall (balanced accuracy)": recall.mean(),
                "2 TP / (2 TP + FP + FN): the factor 2 is missing": _divide(true, called + there - true).mean(),
                "in per cent; the scale is 0 to 1": 100 * f1.mean(),
            },
            tolerance=1e-6,
        )


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Quotient, 0 where `b` is 0."""
    return np.where(b > 0, a / np.maximum(b, 1), 0.0)
