"""Right and wrong answers to the exercises of lesson 09, as students would write them."""

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import torch
from scipy import stats
from scipy.special import rel_entr, xlogy
from scipy.stats import binomtest
from torch.nn import functional as F

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


def by_cdist(matrices):
    rows = matrices.permute(1, 0, 2)
    return torch.exp(-torch.cdist(rows, rows, p=1)).sum(2).T


def by_numpy(matrices):
    values = matrices.numpy()
    apart = np.abs(values[:, np.newaxis] - values[np.newaxis]).sum(axis=-1)
    return torch.from_numpy(np.exp(-apart).sum(axis=0))


def image_by_image(matrices):
    return torch.stack([(-(matrices - one).abs().sum(-1)).exp().sum(0) for one in matrices])


def row_by_row(matrices):
    answer = torch.empty(matrices.shape[:2])
    for b in range(matrices.shape[1]):
        rows = matrices[:, b]
        answer[:, b] = torch.exp(-(rows.unsqueeze(0) - rows.unsqueeze(1)).norm(p=1, dim=2)).sum(dim=0)
    return answer


def pairs_once(matrices):
    """Each image is at distance 0 of itself; every other pair counts for both."""
    answer = torch.ones(matrices.shape[:2])
    for i in range(len(matrices)):
        for j in range(i):
            near = torch.exp(-F.l1_loss(matrices[i], matrices[j], reduction="none").sum(1))
            answer[i] += near
            answer[j] += near
    return answer


def of_lists(matrices):
    values = matrices.tolist()
    answer = [
        [
            sum(math.exp(-sum(abs(x - y) for x, y in zip(own, other[b]))) for other in values)
            for b, own in enumerate(one)
        ]
        for one in values
    ]
    return torch.tensor(answer)


def row_after_row(probs):
    mean, divergences = probs.mean(axis=0), []
    for row in probs:
        divergence = 0.0
        for p, m in zip(row, mean):
            if p > 0:
                divergence += p * math.log(p / m)
        divergences.append(divergence)
    return math.exp(sum(divergences) / len(divergences))


def by_entropies(probs):
    """The entropy of the mean, less the mean entropy."""
    return np.exp(stats.entropy(probs.mean(0)) - stats.entropy(probs, axis=1).mean())


def by_mask(probs):
    terms, mean = np.zeros_like(probs), np.broadcast_to(probs.mean(0), probs.shape)
    some = probs > 0
    terms[some] = probs[some] * np.log(probs[some] / mean[some])
    return np.exp(terms.sum() / len(probs))


def nan_to_zero(probs):
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.nan_to_num(probs * np.log(probs / probs.mean(0, keepdims=True)))
    return np.exp(np.mean(np.sum(terms, axis=1)))


def with_a_little_added(probs):
    return np.exp((probs * (np.log(probs + 1e-16) - np.log(probs.mean(0) + 1e-16))).sum(1).mean())


def score_by_torch(probs):
    rows = torch.from_numpy(probs)
    mean = rows.mean(0).clamp(min=1e-300).log()
    return F.kl_div(mean.expand_as(rows), rows, reduction="batchmean").exp()


def in_fractions(right, n):
    total = Fraction(0)
    for k in range(n + 1):
        if abs(2 * k - n) >= abs(2 * right - n):
            total += math.comb(n, k)
    return total / 2**n


def in_decimals(right, n):
    with localcontext() as context:
        context.prec = 50
        ways = sum(math.comb(n, k) for k in range(n + 1) if abs(k - n / 2) >= abs(right - n / 2))
        return Decimal(ways) / Decimal(2) ** n


def by_logarithms(right, n):
    k = np.arange(n + 1)
    logs = np.array([math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) for i in k]) - n * np.log(2)
    return np.exp(logs)[np.abs(k - n / 2) >= abs(right - n / 2)].sum()


def by_tails(right, n):
    few, many = min(right, n - right), max(right, n - right)
    if few == many:
        return 1.0
    return stats.binom.cdf(few, n, 0.5) + stats.binom.sf(many - 1, n, 0.5)


def twice_one_tail(right, n):
    return min(1.0, 2 * stats.binom.cdf(min(right, n - right), n, 0.5))


def without_the_middle(right, n):
    few = min(right, n - right)
    return 1 - sum(math.comb(n, k) for k in range(few + 1, n - few)) / 2**n


def by_pascal(right, n):
    """How many of the 2^n ways of guessing give k right, from one n to the next."""
    ways = [1]
    for _ in range(n):
        ways = [a + b for a, b in zip([0, *ways], [*ways, 0])]
    return sum(w for k, w in enumerate(ways) if abs(2 * k - n) >= abs(2 * right - n)) / sum(ways)


OTHER = [
    ("minibatch_discrimination", [by_loops]),
    ("minibatch_discrimination", [course_layer]),
    ("minibatch_discrimination", [by_cdist]),
    ("minibatch_discrimination", [by_numpy]),
    ("minibatch_discrimination", [image_by_image]),
    ("minibatch_discrimination", [row_by_row]),
    ("minibatch_discrimination", [pairs_once]),
    ("minibatch_discrimination", [of_lists]),
    ("minibatch_discrimination", [lambda m: torch.exp(-(m[:, None] - m).abs().sum(-1)).double().sum(0)]),
    ("inception_score", [row_after_row]),
    ("inception_score", [by_entropies]),
    ("inception_score", [by_mask]),
    ("inception_score", [nan_to_zero]),
    ("inception_score", [with_a_little_added]),
    ("inception_score", [score_by_torch]),
    ("inception_score", [lambda probs: np.exp(rel_entr(probs, probs.mean(0)).sum(axis=1).mean())]),
    ("inception_score", [lambda p: np.exp((xlogy(p, p) - xlogy(p, p.mean(0))).sum() / len(p))]),
    ("inception_score", [lambda probs: metrics.inception_score(probs, splits=1).mean]),
    ("better_than_chance", [lambda right, n: binomtest(right, n).pvalue]),
    ("better_than_chance", [in_fractions]),
    ("better_than_chance", [in_decimals]),
    ("better_than_chance", [by_logarithms]),
    ("better_than_chance", [by_tails]),
    ("better_than_chance", [twice_one_tail]),
    ("better_than_chance", [without_the_middle]),
    ("better_than_chance", [by_pascal]),
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
