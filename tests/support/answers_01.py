"""Right and wrong answers to the exercises of lesson 01, as students would write them."""

from fractions import Fraction
from math import floor
from statistics import mean

import numpy as np
import torch
from sklearn.metrics import confusion_matrix, f1_score
from torch import nn
from torch.nn import functional as F

# The right answers, as a student would write them


def conv_shape(size, kernel, padding=0, stride=1):
    return (size + 2 * padding - kernel) // stride + 1


def conv_parameters(in_channels, out_channels, kernel):
    return out_channels * (in_channels * kernel**2 + 1)


def conv2d_unfold(images, weight, bias):
    n, _, h, w = images.shape
    o, _, _, k = weight.shape
    columns = F.unfold(images, k)
    return (weight.reshape(o, -1) @ columns + bias[:, None]).reshape(n, o, h - k + 1, w - k + 1)


def macro_f1(targets, predictions, classes):
    scores = []
    for c in range(classes):
        true = ((targets == c) & (predictions == c)).sum()
        of_class = (targets == c).sum() + (predictions == c).sum()
        scores.append(2 * true / of_class if of_class else 0.0)
    return float(np.mean(scores))


def momentum_descent(weight, curvature, rate, momentum, decay, steps):
    velocity = 0 * weight
    for _ in range(steps):
        velocity = momentum * velocity + curvature * weight + decay * weight
        weight = weight - rate * velocity
    return weight


RIGHT = {
    "conv_arithmetic": [conv_shape, conv_parameters],
    "conv2d_unfold": conv2d_unfold,
    "macro_f1": macro_f1,
    "momentum_descent": momentum_descent,
}


# Other right answers


def unfold_by_views(images, weight, bias):
    k = weight.shape[-1]
    patches = images.unfold(2, k, 1).unfold(3, k, 1)
    return torch.einsum("nchwij,ocij->nohw", patches, weight) + bias[:, None, None]


def step_by_step(size, kernel, padding=0, stride=1):
    places, start = 0, -padding
    while start + kernel <= size + padding:
        places, start = places + 1, start + stride
    return places


def by_trying(size, kernel, padding=0, stride=1):
    layer = nn.Conv2d(1, 1, kernel, stride=stride, padding=padding)
    return layer(torch.zeros(1, 1, size, size)).shape[-1]


def counted(in_channels, out_channels, kernel):
    return sum(parameter.numel() for parameter in nn.Conv2d(in_channels, out_channels, kernel).parameters())


def channel_by_channel(in_channels, out_channels, kernel):
    total = 0
    for _ in range(out_channels):
        total += 1
        for _ in range(in_channels):
            total += kernel * kernel
    return total


def image_by_image(images, weight, bias):
    k = weight.shape[-1]
    height, width = images.shape[2] - k + 1, images.shape[3] - k + 1
    outputs = []
    for image in images:
        columns = F.unfold(image[None], k)[0]
        outputs.append((weight.flatten(1) @ columns).view(-1, height, width) + bias.view(-1, 1, 1))
    return torch.stack(outputs)


def with_the_bias_as_a_weight(images, weight, bias):
    n, _, h, w = images.shape
    k = weight.shape[-1]
    columns = nn.Unfold(k)(images)
    columns = torch.cat([columns, torch.ones(n, 1, columns.shape[2])], 1)
    return (torch.cat([weight.flatten(1), bias[:, None]], 1) @ columns).unflatten(2, (h - k + 1, w - k + 1))


def by_linear(images, weight, bias):
    k = weight.shape[-1]
    rows = F.linear(F.unfold(images, k).transpose(1, 2), weight.flatten(1), bias)
    return F.fold(rows.transpose(1, 2), (images.shape[2] - k + 1, images.shape[3] - k + 1), 1)


def by_numpy(images, weight, bias):
    k = weight.shape[-1]
    patches = np.lib.stride_tricks.sliding_window_view(images.numpy(), (k, k), axis=(2, 3))
    answer = np.tensordot(patches, weight.numpy(), axes=([1, 4, 5], [1, 2, 3])) + bias.numpy()
    return torch.from_numpy(answer).permute(0, 3, 1, 2)


def heavy_ball(weight, curvature, rate, momentum, decay, steps):
    """Without a velocity: the last move goes on."""
    before = weight
    for _ in range(steps):
        move = momentum * (weight - before) - rate * (curvature * weight + decay * weight)
        before, weight = weight, weight + move
    return weight


def by_autograd(weight, curvature, rate, momentum, decay, steps):
    weight, velocity = weight.clone().requires_grad_(), 0
    for _ in range(steps):
        loss = (curvature * weight**2 / 2 + decay * weight**2 / 2).sum()
        velocity = momentum * velocity + torch.autograd.grad(loss, weight)[0]
        weight = (weight - rate * velocity).detach().requires_grad_()
    return weight


def again_and_again(weight, curvature, rate, momentum, decay, steps, velocity=0.0):
    if steps == 0:
        return weight
    velocity = momentum * velocity + (curvature + decay) * weight
    return again_and_again(weight - rate * velocity, curvature, rate, momentum, decay, steps - 1, velocity)


def number_by_number(weight, curvature, rate, momentum, decay, steps):
    answer = []
    for w, c in zip(weight.flatten().tolist(), curvature.flatten().tolist()):
        v = 0.0
        for _ in range(steps):
            v = momentum * v + c * w + decay * w
            w -= rate * v
        answer.append(w)
    return torch.tensor(answer).reshape(weight.shape)


def on_copies(weight, curvature, rate, momentum, decay, steps):
    weight, velocity = weight.clone(), torch.zeros_like(weight)
    for _ in range(steps):
        velocity.mul_(momentum).addcmul_(curvature, weight).add_(weight, alpha=decay)
        weight.sub_(velocity, alpha=rate)
    return weight


def by_matrix(weight, curvature, rate, momentum, decay, steps):
    """Weight and velocity are a vector that every step multiplies by a matrix."""
    answer = np.empty(weight.shape)
    for at, g in np.ndenumerate(curvature.numpy() + decay):
        step = np.array([[1 - rate * g, -rate * momentum], [g, momentum]])
        answer[at] = (np.linalg.matrix_power(step, steps) @ [float(weight[at]), 0])[0]
    return torch.from_numpy(answer)


def by_confusion(targets, predictions, classes):
    counts = confusion_matrix(targets, predictions, labels=range(classes))
    return np.mean(2 * np.diag(counts) / np.maximum(counts.sum(0) + counts.sum(1), 1))


def by_sets(targets, predictions, classes):
    scores = []
    for c in range(classes):
        true, said = set(np.flatnonzero(targets == c)), set(np.flatnonzero(predictions == c))
        scores.append(2 * len(true & said) / (len(true) + len(said)) if true or said else 0.0)
    return mean(scores)


def exactly(targets, predictions, classes):
    scores = [Fraction(0)] * classes
    for c in range(classes):
        hits = sum(t == p == c for t, p in zip(targets.tolist(), predictions.tolist()))
        misses = sum((t == c) != (p == c) for t, p in zip(targets.tolist(), predictions.tolist()))
        scores[c] = Fraction(2 * hits, 2 * hits + misses) if hits else Fraction(0)
    return sum(scores) / classes


def by_precision_and_recall(targets, predictions, classes):
    total = 0.0
    for c in range(classes):
        tp = np.sum((targets == c) & (predictions == c))
        fp = np.sum((targets != c) & (predictions == c))
        fn = np.sum((targets == c) & (predictions != c))
        if tp > 0:
            precision, recall = tp / (tp + fp), tp / (tp + fn)
            total += 2 * precision * recall / (precision + recall)
    return total / classes


def by_torch(weight, curvature, rate, momentum, decay, steps):
    weight = torch.nn.Parameter(weight.clone())
    optimizer = torch.optim.SGD([weight], rate, momentum, weight_decay=decay)
    for _ in range(steps):
        weight.grad = curvature * weight.detach()
        optimizer.step()
    return weight.detach()


OTHER = [
    ("conv_arithmetic", [lambda *a, **k: np.int64(conv_shape(*a, **k)), conv_parameters]),
    ("conv_arithmetic", [step_by_step, channel_by_channel]),
    ("conv_arithmetic", [by_trying, counted]),
    ("conv_arithmetic", [lambda n, k, padding=0, stride=1: len(range(0, n + 2 * padding - k + 1, stride)), counted]),
    (
        "conv_arithmetic",
        [
            lambda size, kernel, padding=0, stride=1: floor((size + 2 * padding - kernel) / stride) + 1,
            lambda i, o, k: np.prod([i, o, k, k]) + o,
        ],
    ),
    (
        "conv_arithmetic",
        [lambda *a, **k: torch.tensor(conv_shape(*a, **k)), lambda i, o, k: torch.Size([o, i, k, k]).numel() + o],
    ),
    ("conv2d_unfold", unfold_by_views),
    ("conv2d_unfold", image_by_image),
    ("conv2d_unfold", with_the_bias_as_a_weight),
    ("conv2d_unfold", by_linear),
    ("conv2d_unfold", by_numpy),
    ("momentum_descent", by_torch),
    ("momentum_descent", heavy_ball),
    ("momentum_descent", by_autograd),
    ("momentum_descent", again_and_again),
    ("momentum_descent", number_by_number),
    ("momentum_descent", on_copies),
    ("momentum_descent", by_matrix),
    ("macro_f1", lambda t, p, c: f1_score(t, p, average="macro", labels=range(c), zero_division=0)),
    ("macro_f1", lambda t, p, c: torch.tensor(macro_f1(t, p, c))),
    ("macro_f1", by_confusion),
    ("macro_f1", by_sets),
    ("macro_f1", exactly),
    ("macro_f1", by_precision_and_recall),
]


# Wrong answers, and what the check must say to them


class OneConvolution(nn.Module):
    def forward(self, images, weight, bias):
        layer = nn.Conv2d(*weight.shape[1::-1], weight.shape[-1])
        layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
        return layer(images)


def not_transposed(images, weight, bias):
    k, (n, _, h, w) = weight.shape[-1], images.shape
    rows = F.unfold(images, k).transpose(1, 2) @ weight.flatten(1).T + bias
    return rows.reshape(n, -1, h - k + 1, w - k + 1)


def sk(**options):
    return lambda t, p, c: float(f1_score(t, p, labels=range(c), zero_division=0, **options))


def f1_of_means(t, p, c):
    true = np.array([((t == k) & (p == k)).sum() for k in range(c)])
    precision = np.mean(true / np.maximum(np.bincount(p, minlength=c), 1))
    recall = np.mean(true / np.maximum(np.bincount(t, minlength=c), 1))
    return 2 * precision * recall / (precision + recall)


WRONG = [
    ("conv_arithmetic", lambda n, k, padding=0, stride=1: (n + 2 * padding - k) // stride, "off by one"),
    ("conv_arithmetic", lambda n, k, padding=0, stride=1: (n + 2 * padding - k) / stride + 1, "divide with //"),
    (
        "conv_arithmetic",
        lambda n, k, padding=0, stride=1: -(-(n + 2 * padding - k) // stride) + 1,
        "round down, not up",
    ),
    ("conv_arithmetic", lambda n, k, padding=0, stride=1: float(conv_shape(n, k, padding, stride)), "float, not int"),
    ("conv_arithmetic", lambda n, k, padding=0, stride=1: conv_shape(n, k, 0, stride), "`padding` is not used"),
    ("conv_arithmetic", lambda n, k, padding=0, stride=1: conv_shape(n, k, padding), "`stride` is not used"),
    ("conv_arithmetic", lambda n, k, padding=0, stride=1: (n + padding - k) // stride + 1, "on both sides"),
    ("conv_arithmetic", lambda n, k, padding=0, stride=1: 26, "expected: 13"),
    ("conv2d_unfold", lambda i, w, b: conv2d_unfold(i, w, 0 * b), "the bias is missing"),
    ("conv2d_unfold", lambda i, w, b: conv2d_unfold(i, w.flip(2, 3), b), "the kernel is flipped"),
    ("conv2d_unfold", lambda i, w, b: conv2d_unfold(i, w.mT, b), "columns of the kernel are swapped"),
    ("conv2d_unfold", lambda i, w, b: conv2d_unfold(i, w, b).mT, "columns of the output are swapped"),
    ("conv2d_unfold", lambda i, w, b: conv2d_unfold(i, w, b).flatten(2), "not yet laid out as an image"),
    ("conv2d_unfold", not_transposed, "before the reshape"),
    ("conv2d_unfold", F.conv2d, "use unfold and a matrix product"),
    ("conv2d_unfold", OneConvolution(), "use unfold and a matrix product"),
    ("conv2d_unfold", lambda i, w, b: torch.conv2d(i, w) + b[:, None, None], "use unfold and a matrix product"),
    ("momentum_descent", lambda w, g, r, m, d, n: momentum_descent(w, g, r, 0, d, n), "the velocity forgets"),
    ("momentum_descent", lambda w, g, r, m, d, n: momentum_descent(w, g, r, m, 0, n), "the weight decay is missing"),
    ("momentum_descent", lambda w, g, r, m, d, n: momentum_descent(w, g, -r, m, d, n), "uphill"),
    ("momentum_descent", lambda w, g, r, m, d, n: momentum_descent(w, g, r * (1 - m), m, d, n), "not times (1"),
    ("momentum_descent", lambda w, g, r, m, d, n: momentum_descent(w, 1, r, m, d, n), "derivative is curvature"),
    ("momentum_descent", lambda w, g, r, m, d, n: momentum_descent(w, g, r, m, d, n - 1), "one step is missing"),
    ("macro_f1", lambda t, p, c: float((t == p).mean()), "this is the accuracy"),
    ("macro_f1", sk(average="micro"), "this is the accuracy (and micro F1)"),
    ("macro_f1", sk(average="weighted"), "this is weighted F1"),
    ("macro_f1", f1_of_means, "F1 of the mean precision and the mean recall"),
    ("macro_f1", lambda t, p, c: macro_f1(t, p, len(np.unique(t))), "no image"),
    ("macro_f1", lambda t, p, c: f1_score(t, p, average=None, labels=range(c)), "returned ndarray, not a number"),
    ("macro_f1", lambda t, p, c: 100 * macro_f1(t, p, c), "in percent"),
    ("macro_f1", lambda t, p, c: np.nan, "divided by 0"),
]
