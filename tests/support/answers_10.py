"""Right and wrong answers to the exercises of lesson 10, as students would write them."""

import numpy as np
from scipy.stats import mannwhitneyu

from medlab import metrics

# The right answers, as a student would write them


def pairs(members, others):
    gap = others[None, :] - members[:, None]
    return float(((gap > 0) + 0.5 * (gap == 0)).mean())


def shares(held, classes, count):
    return np.array([held.mean(), *(held[classes == k].mean() for k in range(count))])


def rates(probs, targets, threshold):
    return shares(probs[np.arange(len(targets)), targets] >= threshold, targets, probs.shape[1])


RIGHT = {"membership": [pairs], "coverage": [rates]}


# Other right answers


def from_course(probs, targets, threshold):
    held = metrics.prediction_sets(probs, threshold)[np.arange(len(targets)), targets]
    return shares(held, targets, probs.shape[1])


OTHER = [
    ("membership", [lambda a, b: mannwhitneyu(b, a).statistic / (len(a) * len(b))]),
    ("coverage", [from_course]),
]


# Wrong answers, and what the check must say to them


def one_threshold(a, b):
    middle = np.median(np.concatenate([a, b]))
    return ((a < middle).sum() + (b >= middle).sum()) / (len(a) + len(b))


def one_by_one(a, b):
    n = min(len(a), len(b))
    return float((a[:n] < b[:n]).mean() + (a[:n] == b[:n]).mean() / 2)


def by_predicted(probs, targets, threshold):
    with np.errstate(all="ignore"):
        return shares(probs[np.arange(len(targets)), targets] >= threshold, probs.argmax(1), probs.shape[1])


WRONG = [
    ("membership", [lambda a, b: pairs(b, a)], "members are *closer*"),
    ("membership", [lambda a, b: float((a[:, None] < b).mean())], "one half, not 0"),
    ("membership", [lambda a, b: float((a[:, None] <= b).mean())], "one half, not 1"),
    ("membership", [one_by_one], "not one with one"),
    ("membership", [one_threshold], "the accuracy of one threshold"),
    ("membership", [lambda a, b: b.mean() - a.mean()], "the difference of the means"),
    ("membership", [lambda a, b: 100 * pairs(a, b)], "in percent"),
    ("membership", [lambda a, b: a[:, None] < b], "a number"),
    ("coverage", [lambda p, y, t: rates(p, y, t)[1:]], "the shape is"),
    ("coverage", [lambda p, y, t: np.array([rates(p, y, t)[1:].mean(), *rates(p, y, t)[1:]])], "mean of the classes"),
    ("coverage", [lambda p, y, t: rates(p, y, t + 1e-9)], ">=, not >"),
    ("coverage", [lambda p, y, t: shares(p.argmax(1) == y, y, p.shape[1])], "this is the accuracy"),
    ("coverage", [lambda p, y, t: shares((p >= t).sum(1) == 1, y, p.shape[1])], "how often the set holds one class"),
    ("coverage", [by_predicted], "not by the predicted class"),
    ("coverage", [lambda p, y, t: 100 * rates(p, y, t)], "in percent"),
    ("coverage", [lambda p, y, t: float(rates(p, y, t)[0])], "not a NumPy array"),
]
