"""Conformal prediction and selective classification.

Probabilities are ``(N, K)``, targets ``(N,)`` classes 0..K-1; tensors or arrays. What is fitted here is fitted on a
calibration set: cases used neither for training nor for the final test.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from medlab.metrics.classification import check_probs, check_single_label
from medlab.metrics.intervals import check_level, to_array


class RiskCoverage(NamedTuple):
    """Risk-coverage curve: shares of cases covered ``(N,)``, the error rates among these, and the area under it."""

    coverage: np.ndarray
    risk: np.ndarray
    area: float


def conformal_threshold(probs: ArrayLike, targets: ArrayLike, coverage: float = 0.9) -> float:
    """Threshold of split conformal prediction: the probability from which on a class is in the prediction set.

    For a new case from the same distribution, the set of `prediction_sets` holds the true class with a probability of
    at least `coverage`, however poor the network; a poor one has large sets. The same distribution (exchangeability) is
    the catch. Angelopoulos, Bates: A Gentle Introduction to Conformal Prediction. 2021, arXiv:2107.07511, section 1.

    Raises:
        ValueError: coverage outside (0, 1), or more than so few cases can guarantee; otherwise as `fit_temperature`.
    """
    check_level(coverage, name="coverage")
    probs, targets = check_single_label(probs, targets)
    n = len(targets)
    rank = int(np.ceil((n + 1) * coverage - 1e-9))
    if rank > n:
        needed = int(np.ceil(coverage / (1 - coverage) - 1e-9))
        raise ValueError(f"{n} cases cannot guarantee a coverage of {coverage:g}: take {needed} or more, or cover less")
    return float(np.sort(probs[np.arange(n), targets])[::-1][rank - 1])


def prediction_sets(probs: ArrayLike, threshold: float) -> np.ndarray:
    """Conformal prediction sets ``(N, K)`` of True and False: the classes at or above a `conformal_threshold`.

    Raises:
        ValueError: no probabilities, a threshold that is NaN.
    """
    if np.isnan(threshold):
        raise ValueError(f"threshold must be a number, got {threshold}; conformal_threshold gives one")
    return check_probs(probs) >= threshold


def risk_coverage(confidence: ArrayLike, correct: ArrayLike) -> RiskCoverage:
    """Risk-coverage curve of selective classification: error rates if the least confident predictions are rejected.

    Geifman, El-Yaniv: Selective Classification for Deep Neural Networks. NeurIPS 2017, arXiv:1705.08500. Cases of equal
    confidence share their errors evenly.

    Args:
        confidence: ``(N,)``, any number that is larger for more confident predictions.
        correct: ``(N,)``, whether the prediction was correct.

    Raises:
        ValueError: lengths that differ, no case, NaN.
    """
    confidence, correct = to_array(confidence).astype(float), to_array(correct).astype(bool)
    if confidence.shape != correct.shape or confidence.ndim != 1 or not len(correct):
        raise ValueError(f"confidence and correct must be (N,) both, got {confidence.shape} and {correct.shape}")
    if np.isnan(confidence).any():
        raise ValueError(f"{int(np.isnan(confidence).sum())} confidences are NaN; look at the loss of the training")
    values, group = np.unique(-confidence, return_inverse=True)
    error = np.bincount(group, ~correct, len(values)) / np.bincount(group, minlength=len(values))
    covered = np.arange(1, len(correct) + 1)
    risk = np.cumsum(error[np.sort(group)]) / covered
    return RiskCoverage(covered / len(correct), risk, float(risk.mean()))
