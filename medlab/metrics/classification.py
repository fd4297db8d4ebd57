"""Classification metrics with bootstrap confidence intervals by patient, calibration and temperature scaling.

A bootstrap sample only changes how often an image counts, so every metric is written here once, as a function of image
weights ``(R, N)``, many bootstrap samples at a time. Calling scikit-learn once per bootstrap sample is too slow for a
lesson; the tests hold the values to scikit-learn's and torchmetrics'.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from medlab.errors import whole_number
from medlab.metrics.intervals import Interval, check_groups, check_level, to_array, weighted_bootstrap
from medlab.metrics.report import Report

BINS = 15
ECE = 5  # its place among the scores of `_Scorer`
MAX_TEMPERATURE = 20.0  # probabilities are close to 1 / K at it


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class against the rest; NaN where `images`, the number of its images in the targets, is 0."""

    images: int
    precision: Interval
    recall: Interval
    f1: Interval
    auc: Interval
    sensitivity: Interval


@dataclass(frozen=True)
class Calibration:
    """Reliability diagram: mean confidence, accuracy (NaN if empty) and predictions ``(bins,)`` per bin of confidence.

    `ece` is the expected calibration error.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray
    ece: float


@dataclass(frozen=True)
class ClassificationReport(Report):
    """Result of `classification_report`: print it, read its attributes, or take `to_frame`.

    `sensitivity` is taken at `specificity`; `ece` is the expected calibration error. `confusion` counts images, rows
    are true classes: ``(K, K)``, or one ``(2, 2)`` table per label, ``(L, 2, 2)``, for multi-label targets.
    """

    auc: Interval
    accuracy: Interval
    balanced_accuracy: Interval
    macro_f1: Interval
    sensitivity: Interval
    ece: Interval
    per_class: dict[str, ClassScores]
    confusion: np.ndarray
    images: int
    patients: int
    specificity: float
    level: float

    def _title(self) -> str:
        return f"{super()._title()}; sensitivity at {self.specificity:.0%} specificity"


def classification_report(
    probs: ArrayLike,
    targets: ArrayLike,
    *,
    patients: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    specificity: float = 0.9,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> ClassificationReport:
    """Scores of a classifier, each with a bootstrap confidence interval resampled by patient.

    Two classes: AUC and sensitivity are those of class 1. More: the mean over classes, one against the rest.
    Multi-label: every score is the mean over labels, predicted at 0.5, and the calibration error is over all N * L
    predictions. A class without an image in `targets` has NaN scores, the means leave it out, and a warning names it; a
    bootstrap sample without a class leaves it out in the same way. Precision is 0 for a class that is never predicted.

    Args:
        probs: ``(N, K)`` softmax output, or ``(N, L)`` sigmoid output for multi-label; tensor or array.
        targets: ``(N,)`` classes 0..K-1, or ``(N, L)`` of 0 and 1.
        patients: ``(N,)`` ids; None counts every image as a patient of its own. One patient only: no intervals (NaN
            ends, and a warning).
        classes: K (or L) names; "0", "1", ... for None.
        specificity: the sensitivity is that at the lowest threshold of at least this specificity.
        level: confidence level of the intervals.
        resamples: number of bootstrap samples.
        seed: of the resampling.

    Raises:
        ValueError: lengths or shapes that differ, NaN, logits given for probabilities, targets out of range.
    """
    check_level(level, resamples)
    if not 0 < specificity <= 1:
        raise ValueError(f"specificity must lie in (0, 1], got {specificity}; 0.9 means 90 %")
    probs, targets = check_predictions(probs, targets)
    groups = check_groups(patients, len(probs))
    names = check_names(classes, probs.shape[1])
    scorer = _Scorer(probs, targets, specificity)
    units = scorer.units(groups)
    scores = weighted_bootstrap(scorer, groups, resamples, level, seed, units=units, bounds=(0.0, 1.0), biased=[ECE])
    images = scorer.one_hot.sum(0).astype(int)
    if (images == 0).any():
        missing = ", ".join(name for name, count in zip(names, images) if count == 0)
        warnings.warn(f"no image of class {missing}: its scores are NaN, the means leave it out", stacklevel=2)
    per_class = {name: ClassScores(int(images[k]), *scores[6 + k :: len(names)]) for k, name in enumerate(names)}
    auc, accuracy, balanced_accuracy, macro_f1, sensitivity, ece = scores[:6]
    return ClassificationReport(
        auc, accuracy, balanced_accuracy, macro_f1, sensitivity, ece, per_class=per_class,
        confusion=_confusion(probs, targets), images=len(probs), patients=len(np.unique(groups)),
        specificity=specificity, level=level,
    )  # fmt: skip


class _Scorer:
    """All scores as columns ``(R, 6 + 5 K)`` from weights ``(R, N)``: six means, then five scores, class by class."""

    def __init__(self, probs: np.ndarray, targets: np.ndarray, specificity: float) -> None:
        self.multi_label, self.specificity = targets.ndim == 2, specificity
        k = probs.shape[1]
        self.one_hot = targets.astype(float) if self.multi_label else np.eye(k)[targets]
        self.predicted = (probs >= 0.5).astype(float) if self.multi_label else np.eye(k)[probs.argmax(1)]
        self.bins = _bins(*_confidence(probs, targets), BINS)
        self.ranked = [_rank(column) for column in probs.T]
        self.averaged = [1] if k == 2 and not self.multi_label else range(k)

    def units(self, groups: np.ndarray) -> np.ndarray:
        """Patients that each score depends on ``(6 + 5 K,)``: those of the class; for its AUC also those of others."""
        patients = len(np.unique(groups))
        have, lack = (
            np.array([len(np.unique(groups[of])) for of in part.T > 0]) for part in (self.one_hot, 1 - self.one_hot)
        )
        curves = np.minimum(have, lack)
        ranked = curves[1] if len(self.averaged) == 1 and not self.multi_label else patients
        return np.concatenate(
            [[ranked, patients, patients, patients, ranked, patients], have, have, have, curves, curves]
        )

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        total = weights.sum(1, keepdims=True)
        both = self.one_hot * self.predicted
        tp, positives, predicted = (weights @ each for each in (both, self.one_hot, self.predicted))
        with np.errstate(invalid="ignore", divide="ignore"):
            recall = tp / positives  # NaN for a class without an image
            precision = np.divide(tp, predicted, where=predicted > 0, out=np.zeros_like(tp))
            precision = np.where(positives > 0, precision, np.nan)
            f1 = np.where(positives > 0, 2 * tp / (positives + predicted), np.nan)
            curves = [self._curve(weights, k) for k in range(len(self.ranked))]
        auc, sensitivity = (np.stack(part, 1) for part in zip(*curves))
        if self.multi_label:
            correct = total - positives - predicted + 2 * tp
            accuracy = (correct / total).mean(1)
            with np.errstate(invalid="ignore", divide="ignore"):
                rates = np.stack([recall, (correct - tp) / (total - positives)])
            balanced = nan_mean(np.where(np.isnan(recall), np.nan, nan_mean(rates, 0)))
        else:
            accuracy, balanced = tp.sum(1) / total[:, 0], nan_mean(recall)
        columns = [part[:, self.averaged] for part in (auc, sensitivity)]
        means = [nan_mean(columns[0]), accuracy, balanced, nan_mean(f1), nan_mean(columns[1]), self._ece(weights)]
        return np.concatenate([np.stack(means, 1), precision, recall, f1, auc, sensitivity], 1)

    def _curve(self, weights: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """AUC ``(R,)`` and sensitivity ``(R,)`` of class k from the weights in the order of its probabilities."""
        order, starts = self.ranked[k]
        sorted_weights, positive = weights[:, order], self.one_hot[order, k]
        positives = np.add.reduceat(sorted_weights * positive, starts, axis=1)  # one column per different probability
        negatives = np.add.reduceat(sorted_weights, starts, axis=1) - positives
        below = np.cumsum(negatives, 1) - negatives
        all_positive, all_negative = positives.sum(1), negatives.sum(1)
        auc = (positives * (below + negatives / 2)).sum(1) / (all_positive * all_negative)
        enough = below >= self.specificity * all_negative[:, None] - 1e-9
        first = np.where(enough.any(1), enough.argmax(1), -1)  # the lowest threshold that is specific enough
        missed = np.take_along_axis(np.cumsum(positives, 1) - positives, first[:, None], 1)[:, 0]
        sensitivity = np.where(first >= 0, 1 - missed / all_positive, 0.0)
        return auc, np.where((all_positive > 0) & (all_negative > 0), sensitivity, np.nan)

    def _ece(self, weights: np.ndarray) -> np.ndarray:
        """Expected calibration error: mean over all predictions of the bins' |confidence - accuracy|."""
        gaps, count = self.bins[0] - self.bins[1], self.bins[2].sum(1)
        return np.abs(weights @ gaps).sum(1) / (weights @ count)


def _confusion(probs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    from sklearn.metrics import confusion_matrix, multilabel_confusion_matrix  # here: it takes seconds to import

    if targets.ndim == 2:
        return multilabel_confusion_matrix(targets, probs >= 0.5, labels=range(targets.shape[1]))
    return confusion_matrix(targets, probs.argmax(1), labels=range(probs.shape[1]))


def nan_mean(values: np.ndarray, axis: int = 1) -> np.ndarray:
    """Mean along the axis without the NaN, NaN where there is nothing else."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(defined, values, 0).sum(axis) / defined.sum(axis)


def _rank(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order that sorts the column, and where each different value starts in it (ties are one value)."""
    order = np.argsort(column, kind="stable")
    return order, np.flatnonzero(np.diff(column[order], prepend=-np.inf))


def calibration(probs: ArrayLike, targets: ArrayLike, bins: int = BINS) -> Calibration:
    """Reliability diagram and expected calibration error, in `bins` equal bins of confidence from 0 to 1.

    Multi-class ``(N, K)``: the confidence is that of the predicted class, the accuracy how often it was correct.
    Multi-label ``(N, L)``: the confidence is the probability of each label, the accuracy how often it is present. A
    confidence of exactly 1 falls into the last bin (torchmetrics opens one more for it, otherwise its error is the
    same). Guo et al.: On Calibration of Modern Neural Networks. ICML 2017, arXiv:1706.04599.

    Raises:
        ValueError: bins below 1, and the bad input that `classification_report` refuses.
    """
    whole_number("bins", bins, 1)
    confidence, correct, count = (part.sum(0) for part in _bins(*_confidence(*check_predictions(probs, targets)), bins))
    with np.errstate(invalid="ignore"):
        ece = float(np.abs(confidence - correct).sum() / count.sum())
        return Calibration(confidence / count, correct / count, count.astype(int), ece)


def _confidence(probs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Confidence and whether it was correct, both ``(N, A)``: one prediction per image, or one per label."""
    if targets.ndim == 2:
        return probs, targets.astype(float)
    return probs.max(1, keepdims=True), (probs.argmax(1) == targets).astype(float)[:, None]


def _bins(confidence: np.ndarray, correct: np.ndarray, bins: int) -> np.ndarray:
    """Per image and bin ``(3, N, bins)``: sum of the confidence, number of correct predictions, of all predictions."""
    index = np.clip(np.searchsorted(np.linspace(0, 1, bins + 1), confidence, side="right") - 1, 0, bins - 1)
    n = len(confidence)
    flat = (np.arange(n)[:, None] * bins + index).ravel()
    parts = (confidence, correct, np.ones_like(correct))
    return np.stack([np.bincount(flat, part.ravel(), minlength=n * bins).reshape(n, bins) for part in parts])


def fit_temperature(probs: ArrayLike, targets: ArrayLike) -> float:
    """Fit the temperature T at which ``softmax(log(probs) / T)`` has the least cross-entropy on these cases.

    One number for all classes, so no prediction changes: above 1 the network was overconfident, below 1 underconfident.
    Guo et al.: On Calibration of Modern Neural Networks. ICML 2017, arXiv:1706.04599, section 4.2.

    Raises:
        ValueError: shapes that do not fit, values that are no probabilities, no case, multi-label targets.
    """
    probs, targets = check_single_label(probs, targets)

    def loss(log_temperature: float) -> float:
        scaled = scale_temperature(probs, np.exp(log_temperature))
        return -np.log(np.maximum(scaled[np.arange(len(targets)), targets], 1e-12)).mean()

    bounds = (-np.log(MAX_TEMPERATURE), np.log(MAX_TEMPERATURE))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def scale_temperature(probs: ArrayLike, temperature: float) -> np.ndarray:
    """Apply temperature scaling to probabilities ``(N, K)``: ``softmax(log(probs) / T)``.

    Raises:
        ValueError: a temperature that is not positive, no probabilities.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}; 1 changes nothing")
    return softmax(np.log(np.maximum(check_probs(probs), 1e-12)) / temperature, axis=1)


def check_probs(probs: ArrayLike, multi_label: bool = False) -> np.ndarray:
    """Class probabilities ``(N, K)``, or ``(N, L)`` of labels, validated, as an array; ValueError for others."""
    probs = to_array(probs).astype(np.float64)
    if probs.ndim != 2 or probs.shape[1] < (1 if multi_label else 2):
        raise ValueError(f"probs must be (N, K), one column per class, got {probs.shape}; for two stack [1 - p, p]")
    if len(probs) == 0:
        raise ValueError("probs are empty; give at least one image")
    rows = int(np.isnan(probs).any(1).sum())
    if rows:
        raise ValueError(f"probs hold NaN in {rows} rows; look at the loss of the training")
    if probs.min() < 0 or probs.max() > 1:
        span, function = f"{probs.min():.3g} to {probs.max():.3g}", "sigmoid" if multi_label else "softmax"
        raise ValueError(f"probs run from {span}, not 0 to 1: these look like logits; apply {function} first")
    sums = probs.sum(1)
    if not multi_label and np.abs(sums - 1).max() > 0.01:  # a softmax in bf16 is off by up to 0.004
        row = int(np.abs(sums - 1).argmax())
        raise ValueError(f"row {row} of probs adds up to {sums[row]:.3g}, not 1; apply softmax(dim=1) to logits")
    return probs


def check_predictions(probs: ArrayLike, targets: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities ``(N, K)`` and classes ``(N,)``, or labels ``(N, L)``, validated, as arrays; else ValueError."""
    targets = to_array(targets)
    probs = check_probs(probs, multi_label=targets.ndim == 2)
    if len(probs) != len(targets):
        raise ValueError(f"{len(probs)} rows of probs but {len(targets)} targets; give one of each per image, in order")
    if targets.ndim not in (1, 2) or (targets.ndim == 2 and targets.shape != probs.shape):
        raise ValueError(f"targets must be (N,) classes, or (N, L) like probs {probs.shape}, got {targets.shape}")
    top = 1 if targets.ndim == 2 else probs.shape[1] - 1
    bad = targets[~np.isin(targets, np.arange(top + 1))]
    if bad.size:
        raise ValueError(f"target {bad[0]} is out of range: must be a whole number from 0 to {top}")
    return probs, targets.astype(int)


def check_single_label(probs: ArrayLike, targets: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """`check_predictions`, and ValueError for multi-label targets."""
    probs, targets = check_predictions(probs, targets)
    if targets.ndim != 1:
        raise ValueError(f"targets must be one class per case, (N,), got {targets.shape}")
    return probs, targets


def check_names(classes: Sequence[str] | None, count: int) -> list[str]:
    """The names of `count` classes, validated; "0", "1", ... for None."""
    names = [str(name) for name in (range(count) if classes is None else classes)]
    if len(names) != count or len(set(names)) != count:
        raise ValueError(f"classes must be {count} different names, in the order of their numbers, got {names}")
    return names
