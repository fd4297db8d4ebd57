"""Right and wrong answers to the exercises of lesson 10, as students would write them."""

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import mannwhitneyu

# The right answers, as a student would write them


def pairs(members, others):
    gap = others[None, :] - members[:, None]
    return float(((gap > 0) + 0.5 * (gap == 0)).mean())


def share(synthetic, training, held_out, of=lambda distances: distances.min(1)):
    near, far = (of(np.sqrt(((synthetic[:, None] - others) ** 2).sum(2))) for others in (training, held_out))
    return float(((near < far) + 0.5 * (near == far)).mean())


RIGHT = {"membership": [pairs], "nearer_to_training": [share]}


# Other right answers


def by_scipy(synthetic, training, held_out):
    gap = cdist(synthetic, held_out).min(1) - cdist(synthetic, training).min(1)
    return np.mean(np.where(np.abs(gap) < 1e-9, 0.5, gap > 0))


OTHER = [
    ("membership", [lambda a, b: mannwhitneyu(b, a).statistic / (len(a) * len(b))]),
    ("nearer_to_training", [by_scipy]),
]


# Wrong answers, and what the check must say to them


def one_threshold(a, b):
    middle = np.median(np.concatenate([a, b]))
    return ((a < middle).sum() + (b >= middle).sum()) / (len(a) + len(b))


def one_by_one(a, b):
    n = min(len(a), len(b))
    return float((a[:n] < b[:n]).mean() + (a[:n] == b[:n]).mean() / 2)


def strictly(synthetic, training, held_out):
    return float((cdist(synthetic, training).min(1) < cdist(synthetic, held_out).min(1)).mean())


WRONG = [
    ("membership", [lambda a, b: pairs(b, a)], "members are *closer*"),
    ("membership", [lambda a, b: float((a[:, None] < b).mean())], "one half, not 0"),
    ("membership", [lambda a, b: float((a[:, None] <= b).mean())], "one half, not 1"),
    ("membership", [one_by_one], "not one with one"),
    ("membership", [one_threshold], "the accuracy of one threshold"),
    ("membership", [lambda a, b: b.mean() - a.mean()], "the difference of the means"),
    ("membership", [lambda a, b: 100 * pairs(a, b)], "in percent"),
    ("membership", [lambda a, b: a[:, None] < b], "a number"),
    ("nearer_to_training", [lambda p, t, h: share(p, h, t)], "the wrong way round"),
    ("nearer_to_training", [strictly], "one half, not 0"),
    ("nearer_to_training", [lambda p, t, h: 1 - strictly(p, h, t)], "one half, not 1"),
    ("nearer_to_training", [lambda p, t, h: share(p, t, h, lambda d: d.mean(1))], "not the mean distance"),
    ("nearer_to_training", [lambda p, t, h: share(p, t, h, lambda d: d.min(0))], "not the other way round"),
    ("nearer_to_training", [lambda p, t, h: 100 * share(p, t, h)], "in percent"),
    ("nearer_to_training", [lambda p, t, h: np.array([share(p, t, h)] * 2)], "a number"),
]
