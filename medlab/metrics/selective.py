"""When may a classifier answer alone? Temperature scaling, conformal prediction, and risk against coverage.

Probabilities are ``(N, K)``, targets ``(N,)`` classes 0..K-1; tensors or arrays. What is fitted here is fitted on cases
that were used neither for training nor for the final test.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from medlab.metrics.intervals import to_array

LARGEST = 20.0  # temperature that is tried; at it nothing but even odds is left


class RiskCoverage(NamedTuple):
    """Share of cases answered ``(N,)``, rising, the share of errors among these, and the mean of the latter."""

    coverage: np.ndarray
    risk: np.ndarray
    area: float


def fit_temperature(probs: object, targets: object) -> float:
    """The temperature T at which ``softmax(log(probs) / T)`` has the least cross-entropy on these cases.

    One number for all classes, so no call changes: above 1 the network was too sure, below 1 not sure enough. Guo et
    al.: On Calibration of Modern Neural Networks. ICML 2017, arXiv:1706.04599, section 4.2.

    Raises:
        ValueError: shapes that do not fit, values that are no probabilities, no case.
    """
    probs, targets = _checked(probs, targets)

    def loss(log_temperature: float) -> float:
        scaled = scale_temperature(probs, np.exp(log_temperature))
        return -np.log(np.maximum(scaled[np.arange(len(targets)), targets], 1e-12)).mean()

    ends = (-np.log(LARGEST), np.log(LARGEST))
    return float(np.exp(minimize_scalar(loss, bounds=ends, method="bounded").x))


def scale_temperature(probs: object, temperature: float) -> np.ndarray:
    """Probabilities ``(N, K)`` at another temperature: ``softmax(log(probs) / T)``.

    Raises:
        ValueError: a temperature that is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}; 1 changes nothing")
    return softmax(np.log(np.maximum(to_array(probs).astype(float), 1e-12)) / temperature, axis=1)


def conformal_threshold(probs: object, targets: object, coverage: float = 0.9) -> float:
    """The probability from which on a class belongs to the prediction set, so that sets hold the truth often enough.

    Split conformal prediction: for a new case drawn like these, the set of `prediction_sets` holds the true class with
    a chance of at least `coverage`, whatever the network is worth; a poor one pays with large sets. Drawn like these
    is the catch. Angelopoulos, Bates: A Gentle Introduction to Conformal Prediction. 2021, arXiv:2107.07511, section 1.

    Raises:
        ValueError: coverage outside (0, 1), or more than so few cases can promise; otherwise as `fit_temperature`.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage must lie in (0, 1), got {coverage}; 0.9 is usual")
    probs, targets = _checked(probs, targets)
    n = len(targets)
    rank = int(np.ceil((n + 1) * coverage - 1e-9))
    if rank > n:
        needed = int(np.ceil(coverage / (1 - coverage) - 1e-9))
        raise ValueError(f"{n} cases cannot promise a coverage of {coverage:g}: take {needed} or more, or promise less")
    return float(np.sort(probs[np.arange(n), targets])[::-1][rank - 1])


def prediction_sets(probs: object, threshold: float) -> np.ndarray:
    """The classes ``(N, K)``, True or False, that `conformal_threshold` keeps; one class means an answer."""
    return to_array(probs) >= threshold


def risk_coverage(confidence: object, right: object) -> RiskCoverage:
    """What abstaining is worth: the errors among the cases answered, if the surest are answered first.

    Geifman, El-Yaniv: Selective Classification for Deep Neural Networks. NeurIPS 2017, arXiv:1705.08500. Cases of equal
    confidence share their errors evenly.

    Args:
        confidence: ``(N,)``, any number that is larger for surer answers.
        right: ``(N,)``, whether the answer was right.

    Raises:
        ValueError: lengths that differ, no case, NaN.
    """
    confidence, right = to_array(confidence).astype(float), to_array(right).astype(bool)
    if confidence.shape != right.shape or confidence.ndim != 1 or not len(right):
        raise ValueError(f"give one confidence and one answer per case, got {confidence.shape} and {right.shape}")
    if np.isnan(confidence).any():
        raise ValueError(f"{int(np.isnan(confidence).sum())} confidences are NaN; look at the loss of the training")
    values, group = np.unique(-confidence, return_inverse=True)
    wrong = np.bincount(group, ~right, len(values)) / np.bincount(group, minlength=len(values))
    errors = np.cumsum(wrong[np.sort(group)])
    answered = np.arange(1, len(right) + 1)
    risk = errors / answered
    return RiskCoverage(answered / len(right), risk, float(risk.mean()))


def _checked(probs: object, targets: object) -> tuple[np.ndarray, np.ndarray]:
    probs, targets = to_array(probs).astype(float), to_array(targets)
    if probs.ndim != 2 or targets.shape != probs.shape[:1] or not len(probs):
        raise ValueError(f"give probabilities (N, K) and one class per case, got {probs.shape} and {targets.shape}")
    if not (probs.min() >= 0 and np.abs(probs.sum(1) - 1).max() < 0.01):
        raise ValueError("rows of probs must add up to 1 without negative numbers; apply softmax(1) to logits first")
    if targets.dtype.kind not in "iu" or not 0 <= targets.min() <= targets.max() < probs.shape[1]:
        raise ValueError(f"targets must be whole numbers from 0 to {probs.shape[1] - 1}")
    return probs, targets
