"""Two classifiers on the same patients, and one classifier class by class, from whole numbers only."""

from math import comb

import numpy as np

from medlab.metrics.intervals import to_array


def sensitivity_specificity(confusion: object) -> np.ndarray:
    """Sensitivity and specificity ``(K, 2)``, each class against the rest, from a confusion matrix with true rows.

    NaN where no image is of the class, or none is of another. The mean of the sensitivities weighted by the size of the
    classes is the plain accuracy.

    Raises:
        ValueError: not a square table.
    """
    counts = to_array(confusion).astype(float)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"a confusion matrix is square, (K, K), got {counts.shape}")
    right, true, called = np.diag(counts), counts.sum(1), counts.sum(0)
    others = counts.sum() - true
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack([right / true, (others - (called - right)) / others], 1)


def mcnemar(first: object, second: object) -> float:
    """Exact McNemar test: the two-sided p-value of "both are right equally often", for the same images.

    Only images count that one classifier has right and the other wrong. If neither were better, each of these n would
    be a toss of a coin; p is twice the chance of a split as uneven as the one seen, at most 1, and 1 for n = 0.

    Args:
        first, second: ``(N,)`` of True where right. One image per patient: the tosses must be independent.

    Raises:
        ValueError: different lengths, or values that are not True and False.
    """
    first, second = to_array(first), to_array(second)
    if first.shape != second.shape or first.ndim != 1 or first.dtype != bool or second.dtype != bool:
        raise ValueError(
            f"give True or False per image in both, got {first.dtype} {first.shape} and {second.dtype} {second.shape}"
        )
    return coin_toss(int((first & ~second).sum()), int((second & ~first).sum()))


def coin_toss(heads: int, tails: int) -> float:
    """Two-sided p-value of so many heads and tails of a fair coin, exact."""
    n = heads + tails
    return min(1.0, 2 * sum(comb(n, k) for k in range(min(heads, tails) + 1)) / 2**n)
