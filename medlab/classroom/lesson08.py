"""Exercises of lesson 08: nested groups, sensitivity and specificity from a confusion matrix, McNemar's test."""

import math
from math import comb

import numpy as np
from scipy.stats import chi2

from medlab.classroom.exercises import Attempt, exercise


@exercise
def nested_groups(nested_groups: Attempt) -> None:
    """Write ``nested_groups(classes, sizes, seed)``, which draws groups of images of which each holds the one before.

    `classes` ``(N,)`` is a NumPy array with the class of each image, 0 .. K - 1 in any order; `sizes` is a rising list.
    The answer is a list of NumPy arrays of positions in `classes`, one array per size: exactly so many positions, none
    twice, all of the group before among them. In every group the classes are as even as can be: their counts differ by
    at most 1 (no size asks for more than a class has). All else is random: the same seed gives the same groups, another
    seed others.

    For ``[0, 0, 1, 1]`` and sizes ``[2, 4]`` a right answer is ``[array([1, 2]), array([1, 2, 0, 3])]``.
    """
    rng = np.random.default_rng(0)
    cases = [(np.array([0, 0, 1, 1]), [2, 4])]
    cases += [(rng.permutation(np.arange(k).repeat(20)), sizes) for k, sizes in ((2, [7, 8, 30]), (3, [3, 20, 40, 60]))]
    uneven = np.repeat([0, 1, 2], [40, 30, 90])
    cases += [(uneven, [10, 45, 90]), (uneven[::-1].copy(), [1, 30, 31]), (rng.permutation(uneven), [0, 50])]
    for classes, sizes in cases:
        groups = _check_groups(nested_groups, classes, sizes, seed=1)
        if any(not np.array_equal(*pair) for pair in zip(groups, _check_groups(nested_groups, classes, sizes, seed=1))):
            nested_groups.wrong("other groups", "the same groups for the same seed", "other_randomness")
    classes = rng.permutation(np.arange(3).repeat(60))
    drawn = [set(_check_groups(nested_groups, classes, [30, 90], seed)[0].tolist()) for seed in range(12)]
    if len(set(map(frozenset, drawn))) < len(drawn):
        nested_groups.wrong("the same group for two seeds", "another group", "seed_unused")
    if len(set.union(*drawn)) < 150:  # 12 draws of 30 of 180 reach 160 to 165
        nested_groups.wrong(f"{len(set.union(*drawn))} of 180 images in 12 first groups", "about 160", "never_drawn")


def _check_groups(attempt: Attempt, classes: np.ndarray, sizes: list[int], seed: int) -> list[np.ndarray]:
    groups = attempt(classes, sizes, seed)
    if not isinstance(groups, list | tuple) or len(groups) != len(sizes):
        attempt.wrong(groups, f"a list of {len(sizes)} arrays", "count")
    for group, size in zip(groups, sizes):
        if not isinstance(group, np.ndarray) or group.ndim != 1 or (size and group.dtype.kind not in "iu"):
            attempt.wrong(group, "a NumPy array (n,) of whole numbers", "kind")
        if len(group) != size:
            attempt.wrong(f"a group of {len(group)}", f"a group of {size}", "increments")
        if size and not (0 <= group.min() and group.max() < len(classes)):
            attempt.wrong(group, f"positions 0 .. {len(classes) - 1}")
        if len(np.unique(group)) < size:
            attempt.wrong("a position twice in one group", "every position once", "twice")
    for small, large in zip(groups, groups[1:]):
        if not np.isin(small, large).all():
            attempt.wrong("a group without all images of the group before", "nested groups", "not_nested")
    for group in groups:
        counts = np.bincount(classes[group.astype(int)], minlength=classes.max() + 1)
        if np.ptp(counts) > 1:
            got = f"{counts.tolist()} images of the classes"
            attempt.wrong(got, "counts that differ by at most 1", "uneven")
    return list(groups)


@exercise
def sensitivity_specificity(sensitivity_specificity: Attempt) -> None:
    """Write ``sensitivity_specificity(confusion)``: one class against the rest.

    `confusion` is a NumPy array ``(K, K)`` of whole numbers, entry (i, j) the images of class i predicted as j. The
    answer is a floating-point array ``(K, 2)``. Column 0 is the sensitivity: the share of a class's images that were
    predicted as this class. Column 1 is the specificity: of the images of the *other* classes, the share that were
    *not* predicted as this class (as which other class does not matter). Every class has images, and so have its
    others. For ``[[2, 1], [0, 3]]`` it is ``[[0.667, 1], [1, 0.667]]``.
    """
    rng = np.random.default_rng(0)
    cases = [np.array([[2, 1], [0, 3]]), np.array([[52, 1, 0], [2, 44, 18], [0, 18, 47]])]
    cases += [rng.integers(1, 40, (k, k)) for k in (3, 4, 6)]
    for confusion in cases:
        counts = confusion.astype(float)
        right, true, predicted, total = np.diag(counts), counts.sum(1), counts.sum(0), counts.sum()
        sensitivity, specificity = right / true, 1 - (predicted - right) / (total - true)
        sensitivity_specificity.compare(
            sensitivity_specificity(confusion),
            np.stack([sensitivity, specificity], 1),
            {
                "swapped": np.stack([specificity, sensitivity], 1),
                "precision": np.stack([right / predicted, 1 - (true - right) / (total - predicted)], 1),
                "transposed": np.stack([sensitivity, specificity]),
                "percent": 100 * np.stack([sensitivity, specificity], 1),
                "others_right": np.stack([sensitivity, (right.sum() - right) / (total - true)], 1),
                "share_of_all": np.stack([sensitivity, (total - true - predicted + right) / total], 1),
                "complement": np.stack([sensitivity, 1 - specificity], 1),
            },
        )


@exercise
def mcnemar(mcnemar: Attempt) -> None:
    """Write ``mcnemar(first, second)``: the exact two-sided p-value of McNemar's test, a float.

    `first` and `second` are NumPy arrays ``(N,)`` of True and False: whether each of two classifiers has patient i
    right. Count b, the patients only the first has right, and c, those only the second has right. If neither were
    better, each of these n = b + c patients would be the toss of a coin. p is twice the probability of at most min(b,
    c) heads in n tosses, but at most 1; for n = 0 it is 1. For b = 1 and c = 5 it is 2 (1 + 6) / 64 = 0.219.
    """
    rng = np.random.default_rng(0)
    cases = [(1, 5, 3, 1), (6, 0, 2, 2), (0, 0, 4, 1), (4, 4, 5, 2), (8, 7, 20, 3), (3, 14, 40, 5), (60, 47, 60, 15)]
    for b, c, both, neither in cases:
        pairs = rng.permutation(np.repeat([[1, 0], [0, 1], [1, 1], [0, 0]], [b, c, both, neither], axis=0)).astype(bool)
        n, total, low = b + c, b + c + both + neither, min(b, c)
        tail = sum(comb(n, k) for k in range(low + 1)) / 2**n
        mcnemar.compare(
            mcnemar(pairs[:, 0].copy(), pairs[:, 1].copy()),
            min(1.0, 2 * tail),
            {
                "no_cap": 2 * tail,
                "one_sided": tail,
                "all_patients": min(1.0, 2 * sum(comb(total, k) for k in range(low + 1)) / 2**total),
                "this_split": min(1.0, 2 * comb(n, low) / 2**n),
                "tail_too_short": 2 * (tail - comb(n, low) / 2**n),
                "chi_squared": _chi2(abs(b - c), n),
                "chi_squared_corrected": _chi2(max(abs(b - c) - 1, 0), n),
                "mid_p": 2 * tail - comb(n, low) / 2**n,
            }
            | ({"overflow": 1.0} if n > 62 else {}),
            tolerance=1e-6,
        )


def _chi2(difference: float, n: int) -> float:
    return float(chi2.sf(difference**2 / n, 1)) if n else math.nan
