"""Paired comparison of two classifiers, and sensitivity and specificity from a confusion matrix."""

import numpy as np
from numpy.typing import ArrayLike

from medlab.metrics.intervals import to_array


def sensitivity_specificity(confusion: ArrayLike) -> np.ndarray:
    """Sensitivity and specificity ``(K, 2)``, each class against the rest, from a confusion matrix with true rows.

    NaN where no image is of the class, or none is of another. The mean of the sensitivities weighted by the size of the
    classes is the accuracy.

    Raises:
        ValueError: not a square table.
    """
    counts = to_array(confusion).astype(float)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"a confusion matrix is square, (K, K), got {counts.shape}")
    correct, true, predicted = np.diag(counts), counts.sum(1), counts.sum(0)
    negative = counts.sum() - true
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack([correct / true, (negative - (predicted - correct)) / negative], 1)


def mcnemar(first: ArrayLike, second: ArrayLike) -> float:
    """Exact McNemar test: the two-sided p-value that two classifiers have the same accuracy, on the same images.

    Only the n discordant images count, which one classifier has right and the other wrong: p is that of a binomial test
    of n trials against one half, and 1 for n = 0.

    Args:
        first, second: ``(N,)`` of True where correct. One image per patient: the trials must be independent.

    Raises:
        ValueError: different lengths, or values that are not True and False.
    """
    from scipy.stats import binomtest  # here: it takes a second to import

    first, second = to_array(first), to_array(second)
    if first.shape != second.shape or first.ndim != 1 or first.dtype != bool or second.dtype != bool:
        raise ValueError(
            f"give True or False per image in both, got {first.dtype} {first.shape} and {second.dtype} {second.shape}"
        )
    n = int((first != second).sum())
    return float(binomtest(int((first & ~second).sum()), n).pvalue) if n else 1.0
