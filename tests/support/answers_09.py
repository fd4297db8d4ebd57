"""Right and wrong answers to the exercises of lesson 09, as students would write them."""

import math

import numpy as np
import torch
from scipy.stats import binomtest

from medlab import metrics
from medlab.models import MinibatchDiscrimination

# The right answers, as a student would write them


def closeness(matrices):
    distance = (matrices[:, None] - matrices[None]).abs().sum(3)
    return torch.exp(-distance).sum(1)


def inception_score(probs):
    ratio = np.log(np.where(probs > 0, probs, 1)) - np.log(np.where(probs > 0, probs.mean(0), 1))
    return float(np.exp((probs * ratio).sum(1).mean()))


def p_value(right, n):
    far = max(right, n - right)
    ways = sum(math.comb(n, k) for k in range(n + 1) if max(k, n - k) >= far)
    return ways / 2**n


RIGHT = {
    "minibatch_discrimination": [closeness],
    "inception_score": [inception_score],
    "better_than_chance": [p_value],
}


# Other right answers


def by_loops(matrices):
    n, kernels, _ = matrices.shape
    out = torch.zeros(n, kernels)
    for i in range(n):
        for j in range(n):
            out[i] += torch.exp(-(matrices[i] - matrices[j]).abs().sum(1))
    return out


def course_layer(matrices):
    n, kernels, dims = matrices.shape
    layer = MinibatchDiscrimination(kernels * dims, kernels, dims)
    layer.weight.data = torch.eye(kernels * dims).reshape(-1, kernels, dims)
    return layer(matrices.flatten(1))[:, kernels * dims :].detach()


OTHER = [
    ("minibatch_discrimination", [by_loops]),
    ("minibatch_discrimination", [course_layer]),
    ("inception_score", [lambda probs: metrics.inception_score(probs, splits=1).mean]),
    ("better_than_chance", [lambda right, n: binomtest(right, n).pvalue]),
]


# Wrong answers, and what the check must say to them


def distances(matrices):
    return (matrices[:, None] - matrices).abs()


def score(of):
    """An `inception_score` of rows, their mean and their distances with a mistake."""

    def wrong(probs):
        mean = probs.mean(0)
        ratio = np.log(np.where(probs > 0, probs, 1) / np.where((probs > 0) & (mean > 0), mean, 1))
        return float(of(probs, mean, (probs * ratio).sum(1)))

    return [wrong]


def entropy(probs):
    return -(probs * np.log(np.where(probs > 0, probs, 1))).sum(-1)


def nan_score(probs):
    with np.errstate(all="ignore"):
        return float(np.exp((probs * np.log(probs / probs.mean(0))).sum(1).mean()))


WRONG = [
    ("minibatch_discrimination", [lambda matrices: closeness(matrices) - 1], "the image itself is left out"),
    ("minibatch_discrimination", [lambda matrices: closeness(matrices) / len(matrices)], "take the sum"),
    (
        "minibatch_discrimination",
        [lambda matrices: torch.exp(distances(matrices).sum(3)).sum(1)],
        "minus sign is missing",
    ),
    ("minibatch_discrimination", [lambda matrices: torch.exp(-distances(matrices).square().sum(3)).sum(1)], "squared"),
    (
        "minibatch_discrimination",
        [lambda matrices: torch.exp(-(matrices[:, None] - matrices).norm(dim=3)).sum(1)],
        "Euclidean",
    ),
    ("minibatch_discrimination", [lambda matrices: torch.exp(-distances(matrices).mean(3)).sum(1)], "the mean over C"),
    ("minibatch_discrimination", [lambda matrices: distances(matrices).sum((1, 3))], "not closeness"),
    (
        "minibatch_discrimination",
        [lambda matrices: torch.exp(-distances(matrices)).sum((1, 3))],
        "sum the distances first",
    ),
    (
        "minibatch_discrimination",
        [lambda matrices: torch.exp(-distances(matrices).sum((2, 3))).sum(1)[:, None].expand(matrices.shape[:2])],
        "each of the B rows has its own",
    ),
    ("minibatch_discrimination", [lambda matrices: torch.exp(-distances(matrices).sum(3))], "the answer is (N, B)"),
    ("minibatch_discrimination", [lambda matrices: closeness(matrices).T], "swapped"),
    ("minibatch_discrimination", [lambda matrices: closeness(matrices).sum(1)], "summed over the rows b"),
    ("inception_score", score(lambda p, m, kl: kl.mean()), "without the exponential"),
    ("inception_score", score(lambda p, m, kl: np.exp(kl).mean()), "average the divergences first"),
    ("inception_score", score(lambda p, m, kl: np.exp(kl.sum())), "not the mean"),
    ("inception_score", score(lambda p, m, kl: np.exp(kl.mean() / p.shape[1])), "the mean over classes too"),
    ("inception_score", score(lambda p, m, kl: np.exp(kl.mean() / np.log(2))), "base 2"),
    ("inception_score", score(lambda p, m, kl: np.exp(entropy(p).mean())), "the mean of all rows is missing"),
    ("inception_score", score(lambda p, m, kl: np.exp(entropy(m))), "the entropy of the mean"),
    ("inception_score", score(lambda p, m, kl: np.exp(np.log(p.shape[1]) - entropy(p).mean())), "equal shares 1 / K"),
    ("inception_score", [nan_score], "0 log 0 is nan"),
    ("inception_score", [lambda probs: None], "there is no `return`"),
    ("better_than_chance", [lambda right, n: binomtest(right, n, alternative="greater").pvalue], "one-sided"),
    ("better_than_chance", [lambda right, n: p_value(right, n) / 2], "one tail only"),
    (
        "better_than_chance",
        [lambda r, n: p_value(max(r, n - r) + 1, n) if r != n - r else 1.0],
        "`right` itself counts",
    ),
    ("better_than_chance", [lambda right, n: math.comb(n, right) / 2**n], "exactly this result"),
    (
        "better_than_chance",
        [lambda right, n: math.erfc(abs(right - n / 2) / math.sqrt(n / 2))],
        "the normal approximation",
    ),
    ("better_than_chance", [lambda right, n: 1 - p_value(right, n)], "subtract from 1"),
    ("better_than_chance", [lambda right, n: right / n], "no probability under guessing"),
    ("better_than_chance", [lambda right, n: math.comb(n, right) / 2.0**n], "expected"),
]
