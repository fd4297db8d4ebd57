"""How good a classifier is: one report with an interval, resampled by patient, behind every number.

A bootstrap resample only changes how often an image counts, so every metric is written here once, as a function of
image weights ``(R, N)``: weights of one give the value, drawn weights the interval, many resamples at a time. Calling
scikit-learn once per resample is too slow for a lesson; the tests hold the values to scikit-learn's and torchmetrics'.
"""

import warnings
from dataclasses import dataclass
from html import escape

import numpy as np

from medlab.metrics.intervals import (
    Interval,
    bootstrap_weights,
    check_groups,
    check_level,
    enough_groups,
    percentile_interval,
    plain,
    to_array,
)

BINS = 15


@dataclass(frozen=True)
class ClassScores:
    """One class against the rest. `images` is how many images of `targets` show it; without any, the rest is NaN."""

    images: int
    precision: Interval
    recall: Interval
    f1: Interval
    auc: Interval
    sensitivity: Interval


@dataclass(frozen=True)
class Calibration:
    """Per bin of confidence ``(bins,)``: mean confidence, share that came true (NaN if empty), number of answers."""

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray
    ece: float


@dataclass(frozen=True)
class Report:
    """What `classification_report` found; print it, or read its attributes.

    `sensitivity` is taken at `specificity`. `confusion` counts images, rows are true classes: ``(K, K)``, or one
    ``(2, 2)`` table per label, ``(L, 2, 2)``, for multi-label targets.
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

    def _rows(self) -> list[tuple[str, Interval]]:
        sensitivity = f"sensitivity at {self.specificity:.0%} specificity"
        names = ("AUC", "accuracy", "balanced accuracy", "macro F1", sensitivity, "calibration error")
        scores = (self.auc, self.accuracy, self.balanced_accuracy, self.macro_f1, self.sensitivity, self.ece)
        return list(zip(names, scores))

    def _title(self) -> str:
        return f"{self.images} images of {self.patients} patients, {self.level:.0%} intervals resampled by patient"

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self._rows())
        lines = [self._title(), *(f"{name:<{width}}  {score:.3f}" for name, score in self._rows()), ""]
        width = max(len("class"), *(len(name) for name in self.per_class))
        lines.append(f"{'class':<{width}}  images  precision  recall     F1    AUC")
        for name, one in self.per_class.items():
            scores = f"{one.precision.value:9.3f}  {one.recall.value:6.3f}  {one.f1.value:5.3f}  {one.auc.value:5.3f}"
            lines.append(f"{name:<{width}}  {one.images:6d}  {scores}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        top = "".join(f"<tr><th scope='row'>{name}</th><td>{score:.3f}</td></tr>" for name, score in self._rows())
        head = "".join(
            f"<th scope='col'>{name}</th>" for name in ("class", "images", "precision", "recall", "F1", "AUC")
        )
        rows = "".join(
            f"<tr><th scope='row'>{escape(name)}</th><td>{one.images}</td>"
            + "".join(f"<td>{score:.3f}</td>" for score in (one.precision, one.recall, one.f1, one.auc))
            + "</tr>"
            for name, one in self.per_class.items()
        )
        return f"<table><caption>{self._title()}</caption>{top}</table><table><tr>{head}</tr>{rows}</table>"

    def to_dict(self) -> dict:
        """Plain numbers, lists and dicts, ready for JSON; None stands for a value that is not defined."""
        return plain(self)


def classification_report(
    probs: object,
    targets: object,
    *,
    patients: object = None,
    classes: tuple[str, ...] | list[str] | None = None,
    specificity: float = 0.9,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Report:
    """Every score of a classifier, each with a bootstrap interval resampled by patient.

    Two classes: AUC and sensitivity are those of class 1. More: the mean over classes, one against the rest.
    Multi-label: every score is the mean over labels, decided at 0.5, and the calibration error is over all N * L
    answers. A class that `targets` never shows has NaN scores, the means leave it out, and a warning names it. A
    resample that misses a class leaves it out in the same way. Precision is 0 for a class that is never called.

    Args:
        probs: ``(N, K)`` softmax output, or ``(N, L)`` sigmoid output for multi-label; tensor or array.
        targets: ``(N,)`` classes 0..K-1, or ``(N, L)`` of 0 and 1.
        patients: ``(N,)`` ids; None counts every image as a patient of its own. One patient only: no intervals (NaN
            ends, and a warning).
        classes: K (or L) names; "0", "1", ... for None.
        specificity: at least this share of the negatives must be called negative when the sensitivity is read off.
        level: share of the resamples inside an interval.
        resamples: number of bootstrap resamples.
        seed: of the resampling.

    Raises:
        ValueError: lengths or shapes that differ, NaN, logits given for probabilities, targets out of range.
    """
    check_level(level)
    if not 0 < specificity <= 1:
        raise ValueError(f"specificity must lie in (0, 1], got {specificity}; 0.9 means 90 %")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}; 1000 is usual")
    probs, targets = _check(probs, targets)
    groups = check_groups(patients, len(probs))
    names = _check_names(classes, probs.shape[1])
    scorer = _Scorer(probs, targets, specificity)
    values = scorer(np.ones((1, len(probs))))[0]
    drawn = np.full((1, len(values)), np.nan)
    if enough_groups(groups, stacklevel=3):
        drawn = np.concatenate([scorer(weights) for weights in bootstrap_weights(groups, resamples, seed)])
    scores = [percentile_interval(value, column, level) for value, column in zip(values, drawn.T)]
    shown = scorer.hot.sum(0).astype(int)
    if (shown == 0).any():
        missing = ", ".join(name for name, count in zip(names, shown) if count == 0)
        warnings.warn(
            f"no image of class {missing} in targets: its scores are NaN, the means leave it out", stacklevel=2
        )
    per_class = {name: ClassScores(int(shown[k]), *scores[6 + k :: len(names)]) for k, name in enumerate(names)}
    return Report(
        *scores[:6],
        per_class=per_class,
        confusion=_confusion(probs, targets),
        images=len(probs),
        patients=len(np.unique(groups)),
        specificity=specificity,
        level=level,
    )


class _Scorer:
    """All scores as columns ``(R, 6 + 5 K)`` from weights ``(R, N)``: six means, then five scores, class by class."""

    def __init__(self, probs: np.ndarray, targets: np.ndarray, specificity: float) -> None:
        self.multi_label, self.specificity = targets.ndim == 2, specificity
        kinds = probs.shape[1]
        self.hot = targets.astype(float) if self.multi_label else np.eye(kinds)[targets]
        called = (probs >= 0.5).astype(float) if self.multi_label else np.eye(kinds)[probs.argmax(1)]
        self.called = called
        self.bins = _bins(*_answers(probs, targets), BINS)
        self.ranked = [_rank(column) for column in probs.T]
        self.means_of = [1] if kinds == 2 and not self.multi_label else range(kinds)

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        total = weights.sum(1, keepdims=True)
        hits, shown, called = (weights @ each for each in (self.hot * self.called, self.hot, self.called))
        with np.errstate(invalid="ignore", divide="ignore"):
            recall = hits / shown  # NaN where a class is not shown
            precision = np.where(shown > 0, np.divide(hits, called, where=called > 0, out=np.zeros_like(hits)), np.nan)
            f1 = np.where(shown > 0, 2 * hits / (shown + called), np.nan)
            curves = [self._curve(weights, k) for k in range(len(self.ranked))]
        auc, sensitivity = (np.stack(part, 1) for part in zip(*curves))
        if self.multi_label:
            right = total - shown - called + 2 * hits
            accuracy = (right / total).mean(1)
            with np.errstate(invalid="ignore", divide="ignore"):
                both = np.stack([recall, (right - hits) / (total - shown)])
            balanced = _mean(np.where(np.isnan(recall), np.nan, _mean(both, 0)))
        else:
            accuracy, balanced = hits.sum(1) / total[:, 0], _mean(recall)
        columns = [part[:, self.means_of] for part in (auc, sensitivity)]
        means = [_mean(columns[0]), accuracy, balanced, _mean(f1), _mean(columns[1]), self._ece(weights)]
        return np.concatenate([np.stack(means, 1), precision, recall, f1, auc, sensitivity], 1)

    def _curve(self, weights: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """AUC ``(R,)`` and sensitivity ``(R,)`` of class k from the weights in the order of its probabilities."""
        order, starts = self.ranked[k]
        sorted_weights, positive = weights[:, order], self.hot[order, k]
        positives = np.add.reduceat(sorted_weights * positive, starts, axis=1)  # one column per different probability
        negatives = np.add.reduceat(sorted_weights, starts, axis=1) - positives
        below = np.cumsum(negatives, 1) - negatives
        all_positive, all_negative = positives.sum(1), negatives.sum(1)
        auc = (positives * (below + negatives / 2)).sum(1) / (all_positive * all_negative)
        enough = below >= self.specificity * all_negative[:, None] - 1e-9
        first = np.where(enough.any(1), enough.argmax(1), -1)  # the lowest threshold that is specific enough
        missed = np.take_along_axis(np.cumsum(positives, 1) - positives, first[:, None], 1)[:, 0]
        caught = np.where(first >= 0, 1 - missed / all_positive, 0.0)
        return auc, np.where((all_positive > 0) & (all_negative > 0), caught, np.nan)

    def _ece(self, weights: np.ndarray) -> np.ndarray:
        """Sum over bins of the distance between what was promised and what came true, over all answers."""
        gaps, answers = self.bins[0] - self.bins[1], self.bins[2].sum(1)
        return np.abs(weights @ gaps).sum(1) / (weights @ answers)


def _confusion(probs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    from sklearn.metrics import confusion_matrix, multilabel_confusion_matrix  # here: it takes seconds to import

    if targets.ndim == 2:
        return multilabel_confusion_matrix(targets, probs >= 0.5, labels=range(targets.shape[1]))
    return confusion_matrix(targets, probs.argmax(1), labels=range(probs.shape[1]))


def _mean(values: np.ndarray, axis: int = 1) -> np.ndarray:
    """Mean along the axis without the NaN, NaN where there is nothing else."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(defined, values, 0).sum(axis) / defined.sum(axis)


def _rank(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order that sorts the column, and where each different value starts in it (ties are one value)."""
    order = np.argsort(column, kind="stable")
    return order, np.flatnonzero(np.diff(column[order], prepend=-np.inf))


def calibration(probs: object, targets: object, bins: int = BINS) -> Calibration:
    """Does 80 % sure come true 80 times in 100? Confidence against what came true, in `bins` equal bins from 0 to 1.

    Multi-class ``(N, K)``: the confidence is that of the class called, and "true" means it was right. Multi-label
    ``(N, L)``: it is the probability of each label, and "true" means the label is there. A confidence of exactly 1
    falls into the last bin (torchmetrics opens one more for it, otherwise its error is the same).

    Raises:
        ValueError: bins below 1, and the bad input that `classification_report` refuses.
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}; {BINS} is usual")
    promised, true, count = (part.sum(0) for part in _bins(*_answers(*_check(probs, targets)), bins))
    with np.errstate(invalid="ignore"):
        ece = float(np.abs(promised - true).sum() / count.sum())
        return Calibration(promised / count, true / count, count.astype(int), ece)


def _answers(probs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Confidence and whether it came true, both ``(N, A)``: one answer per image, or one per label."""
    if targets.ndim == 2:
        return probs, targets.astype(float)
    return probs.max(1, keepdims=True), (probs.argmax(1) == targets).astype(float)[:, None]


def _bins(confidence: np.ndarray, true: np.ndarray, bins: int) -> np.ndarray:
    """Per image and bin ``(3, N, bins)``: sum of confidence, sum of what came true, number of answers."""
    index = np.clip(np.searchsorted(np.linspace(0, 1, bins + 1), confidence, side="right") - 1, 0, bins - 1)
    n = len(confidence)
    flat = (np.arange(n)[:, None] * bins + index).ravel()
    parts = (confidence, true, np.ones_like(true))
    return np.stack([np.bincount(flat, part.ravel(), minlength=n * bins).reshape(n, bins) for part in parts])


def _check(probs: object, targets: object) -> tuple[np.ndarray, np.ndarray]:
    probs, targets = to_array(probs).astype(np.float64), to_array(targets)
    if probs.ndim != 2 or probs.shape[1] < 1 or (targets.ndim != 2 and probs.shape[1] < 2):
        raise ValueError(
            f"probs must be (N, K) with one column per class, got {probs.shape}; for two classes stack [1 - p, p]"
        )
    if len(probs) == 0:
        raise ValueError("probs and targets are empty; give at least one image")
    if len(probs) != len(targets):
        raise ValueError(f"{len(probs)} rows of probs but {len(targets)} targets; give one of each per image, in order")
    if targets.ndim not in (1, 2) or (targets.ndim == 2 and targets.shape != probs.shape):
        raise ValueError(f"targets must be (N,) classes, or (N, L) like probs {probs.shape}, got {targets.shape}")
    if np.isnan(probs).any():
        raise ValueError(
            f"probs hold NaN in {int(np.isnan(probs).any(1).sum())} rows; look at the loss of the training"
        )
    wanted = "sigmoid" if targets.ndim == 2 else "softmax"
    if probs.min() < 0 or probs.max() > 1:
        span = f"{probs.min():.3g} to {probs.max():.3g}"
        raise ValueError(f"probs run from {span}, not 0 to 1: these look like logits; apply {wanted} first")
    sums = probs.sum(1)
    if targets.ndim == 1 and np.abs(sums - 1).max() > 0.01:  # a softmax in bf16 is off by up to 0.004
        row = int(np.abs(sums - 1).argmax())
        raise ValueError(
            f"row {row} of probs adds up to {sums[row]:.3g}, not 1; apply softmax over the classes (dim=1)"
        )
    top = 1 if targets.ndim == 2 else probs.shape[1] - 1
    bad = targets[~np.isin(targets, np.arange(top + 1))]
    if bad.size:
        raise ValueError(f"target {bad[0]} is out of range: must be a whole number from 0 to {top}")
    return probs, targets.astype(int)


def _check_names(classes: object, count: int) -> list[str]:
    names = [str(name) for name in (range(count) if classes is None else classes)]
    if len(names) != count or len(set(names)) != count:
        raise ValueError(f"classes must be {count} different names, one per column of probs, got {names}")
    return names
