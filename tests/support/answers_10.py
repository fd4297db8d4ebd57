"""Right and wrong answers to the exercises of lesson 10, as students would write them."""

import bisect
from fractions import Fraction

import numpy as np
import torch
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from scipy.stats import mannwhitneyu, rankdata
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

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


def by_ranks(members, others):
    ranks = rankdata(np.concatenate([members, others]))[len(members) :]
    return (ranks.sum() - len(others) * (len(others) + 1) / 2) / (len(members) * len(others))


def by_sorting(members, others):
    ordered = np.sort(members)
    below, up_to = np.searchsorted(ordered, others, "left"), np.searchsorted(ordered, others, "right")
    return ((below + up_to) / 2).mean() / len(members)


def by_bisection(members, others):
    ordered = sorted(float(one) for one in members)
    ends = [bisect.bisect_left(ordered, one) + bisect.bisect_right(ordered, one) for one in others]
    return sum(ends) / (2 * len(ordered) * len(ends))


def by_loops(members, others):
    won = 0.0
    for member in members:
        for other in others:
            if member < other:
                won += 1
            elif member == other:
                won += 0.5
    return won / (len(members) * len(others))


def by_auc(members, others):
    labels = [1] * len(members) + [0] * len(others)
    return roc_auc_score(labels, -np.concatenate([members, others]))


def by_trapezoids(members, others):
    """The area under the curve of caught members over falsely accused others, one threshold after another."""
    thresholds = np.unique(np.concatenate([[-np.inf], members, others]))
    caught, accused = ([(one <= t).mean() for t in thresholds] for one in (members, others))
    return np.trapezoid(caught, accused)


def by_fractions(members, others):
    won = sum(Fraction(1 + (a < b) - (a > b), 2) for a in members.tolist() for b in others.tolist())
    return float(won / (len(members) * len(others)))


def by_signs(members, others):
    return (1 + np.sign(np.subtract.outer(others, members)).mean()) / 2


def by_torch(members, others):
    a, b = torch.as_tensor(members), torch.as_tensor(others)
    return torch.heaviside(b - a[:, None], torch.tensor(0.5, dtype=a.dtype)).mean()


def by_steps(members, others):
    return np.heaviside(np.subtract.outer(others, members), 0.5).mean()


def compared(near, far):
    """The share of synthetic images of which `near` is the smaller, a tie being half of one."""
    return np.mean([0.5 if a == b else float(a < b) for a, b in zip(near, far)])


def by_image(synthetic, training, held_out):
    near, far = [], []
    for image in synthetic:
        near.append(min(np.linalg.norm(image - one) for one in training))
        far.append(min(np.linalg.norm(image - one) for one in held_out))
    return compared(near, far)


def by_squares(synthetic, training, held_out):
    near, far = (((synthetic[:, None] - others) ** 2).sum(-1).min(1) for others in (training, held_out))
    return compared(near, far)


def by_neighbors(synthetic, training, held_out):
    near, far = (
        NearestNeighbors(n_neighbors=1, algorithm="brute").fit(others).kneighbors(synthetic)[0][:, 0]
        for others in (training, held_out)
    )
    return np.where(np.isclose(near, far), 0.5, near < far).mean()


def by_tree(synthetic, training, held_out):
    near, far = (cKDTree(others).query(synthetic)[0] for others in (training, held_out))
    return compared(near, far)


def by_torch_distances(synthetic, training, held_out):
    points = [torch.as_tensor(one, dtype=torch.float64) for one in (synthetic, training, held_out)]
    near, far = ((points[0][:, None] - others).norm(dim=2).amin(1) for others in points[1:])
    return ((near < far).double() + 0.5 * (near == far).double()).mean().item()


def by_steps_of_gaps(synthetic, training, held_out):
    gap = cdist(synthetic, held_out).min(axis=1) - cdist(synthetic, training).min(axis=1)
    return np.heaviside(np.round(gap, 12), 0.5).mean()


def by_counts(synthetic, training, held_out):
    near, far = cdist(synthetic, training).min(1), cdist(synthetic, held_out).min(1)
    won, tied = np.count_nonzero(near < far), np.count_nonzero(near == far)
    return (2 * won + tied) / (2 * len(synthetic))


def by_both_sides(synthetic, training, held_out):
    near, far = cdist(synthetic, training).min(1), cdist(synthetic, held_out).min(1)
    return ((near < far).mean() + (near <= far).mean()) / 2


OTHER = [
    ("membership", [lambda a, b: mannwhitneyu(b, a).statistic / (len(a) * len(b))]),
    ("membership", [by_ranks]),
    ("membership", [by_sorting]),
    ("membership", [by_bisection]),
    ("membership", [by_loops]),
    ("membership", [by_auc]),
    ("membership", [by_trapezoids]),
    ("membership", [by_fractions]),
    ("membership", [by_signs]),
    ("membership", [by_torch]),
    ("membership", [by_steps]),
    ("membership", [lambda a, b: np.float32(pairs(a, b))]),
    ("nearer_to_training", [by_scipy]),
    ("nearer_to_training", [by_image]),
    ("nearer_to_training", [by_squares]),
    ("nearer_to_training", [by_neighbors]),
    ("nearer_to_training", [by_tree]),
    ("nearer_to_training", [by_torch_distances]),
    ("nearer_to_training", [by_steps_of_gaps]),
    ("nearer_to_training", [by_counts]),
    ("nearer_to_training", [by_both_sides]),
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
