"""Designs of which the truth is known: each draws data, and gives the interval made of them and the true value."""

from collections.abc import Callable
from functools import partial

import numpy as np

from medlab.metrics import Interval, bootstrap_ci, classification_report, mean_interval, paired_difference, success_rate
from medlab.metrics.intervals import weighted_bootstrap

RESAMPLES = 400


def covered(make: Callable, trials: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """Share of the intervals that hold the truth, share of trials without an interval, and the mean half-width."""
    hits, widths = [], []
    for _ in range(trials):
        interval, truth = make(rng)
        if not np.isnan(interval.low):
            hits.append(interval.low - 1e-9 <= truth <= interval.high + 1e-9)
            widths.append((interval.high - interval.low) / 2)
    return float(np.mean(hits)), 1 - len(hits) / trials, float(np.mean(widths))


def _seeds(draw: Callable, truth: float, n: int, rng: np.random.Generator, bounds=None) -> tuple[Interval, float]:
    return mean_interval(draw(rng, n), bounds=bounds), truth


def _normal(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.normal(0.3, 1, n)


def _skewed(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.lognormal(0, 0.5, n)


def _logs(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.log(_skewed(rng, n))


MODES = np.array([7, 8, 7, 0, 2, 1, 1, 8, 7, 8, 1, 7, 6, 1, 0, 7, 8, 2, 6, 8])  # differences on the ring of lesson 09


def _modes(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.choice(MODES, n).astype(float)


def _collapses(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.where(rng.random(n) < 0.1, -0.3, 0.0) + rng.normal(0, 0.02, n)


def _successes(rate: float, n: int, rng: np.random.Generator) -> tuple[Interval, float]:
    return success_rate(rng.binomial(n, rate), n), rate


def _crossed(seeds: int, patients: int, rng: np.random.Generator) -> tuple[Interval, float]:
    a = rng.normal(0, 0.02, (seeds, 1)) + rng.normal(0, 0.1, (1, patients)) + rng.normal(0, 0.15, (seeds, patients))
    return paired_difference(a, np.zeros_like(a)), 0.0


def _clustered(patients: int, rng: np.random.Generator) -> tuple[Interval, float]:
    """Accuracy of four images a patient that are alike."""
    right = (rng.random((patients, 4)) < rng.beta(4, 1, (patients, 1))).ravel().astype(float)
    groups = np.repeat(np.arange(patients), 4)
    [interval] = weighted_bootstrap(
        lambda w: (w @ right / w.sum(1))[:, None], groups, RESAMPLES, 0.95, int(rng.integers(2**31)), bounds=(0.0, 1.0)
    )
    return interval, 0.8


def _dice(patients: int, rng: np.random.Generator) -> tuple[Interval, float]:
    values = rng.beta(8, 2, patients)
    return bootstrap_ci(np.mean, values, bounds=(0, 1), resamples=RESAMPLES, seed=int(rng.integers(2**31))), 0.8


def _report(score: str, sick: int, rng: np.random.Generator, healthy: int = 40) -> tuple[Interval, float]:
    """A report on few patients of a class; the truth is that of a very large set."""
    targets = np.repeat([0, 1], [healthy, sick])
    p = 1 / (1 + np.exp(-(rng.normal(0, 1, len(targets)) + 2.0 * targets - 1)))
    report = classification_report(np.stack([1 - p, p], 1), targets, resamples=RESAMPLES, seed=int(rng.integers(2**31)))
    if score == "recall":
        return report.per_class["1"].recall, 0.8413  # P(N(1, 1) > 0)
    return report.auc, 0.9214  # P(N(2, 2) > 0)


def _ece(n: int, truth: float, rng: np.random.Generator) -> tuple[Interval, float]:
    """Calibration error of an overconfident classifier; the truth is its mean over sets of as many images."""
    z = rng.normal(size=n) * 1.5
    p, q = 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(-z / 1.6))
    targets = (rng.random(n) < q).astype(int)
    report = classification_report(np.stack([1 - p, p], 1), targets, resamples=RESAMPLES, seed=int(rng.integers(2**31)))
    return report.ece, truth


DESIGNS = {
    **{("mean_interval", f"{n} seeds, normal"): partial(_seeds, _normal, 0.3, n) for n in (3, 5, 10, 20)},
    **{("mean_interval", f"{n} seeds, skewed"): partial(_seeds, _skewed, np.exp(0.125), n) for n in (5, 20)},
    **{("mean_interval", f"{n} seeds, logs of skewed"): partial(_seeds, _logs, 0.0, n) for n in (5, 20)},
    **{
        ("mean_interval", f"{n} seeds, modes 0 to 8"): lambda rng, n=n: _seeds(_modes, MODES.mean(), n, rng, (-8, 8))
        for n in (5, 10, 20)
    },
    **{("mean_interval", f"{n} seeds, one in ten collapses"): partial(_seeds, _collapses, -0.03, n) for n in (5, 20)},
    **{("success_rate", f"{n} trials, rate {r}"): partial(_successes, r, n) for n in (5, 20) for r in (0.5, 0.9)},
    **{
        ("paired_difference (S, P)", f"{s} seeds, {p} patients"): partial(_crossed, s, p)
        for s, p in ((3, 8), (3, 30), (5, 8), (5, 60), (10, 300))
    },
    **{("weighted_bootstrap", f"accuracy, {p} patients of 4"): partial(_clustered, p) for p in (3, 5, 8, 16, 60)},
    **{("bootstrap_ci", f"Dice, {p} patients"): partial(_dice, p) for p in (3, 5, 8, 16, 60)},
    **{("classification_report", f"recall, {p} of the class"): partial(_report, "recall", p) for p in (3, 5, 10, 40)},
    **{("classification_report", f"AUC, {p} of the class"): partial(_report, "auc", p) for p in (5, 10, 40)},
    **{("classification_report", f"ECE, {n} images"): partial(_ece, n, t) for n, t in ((60, 0.142), (300, 0.0857))},
}
EXCEPTIONS = {
    ("mean_interval", "5 seeds, skewed"): "too narrow: take logarithms, or more seeds",
    ("mean_interval", "20 seeds, skewed"): "take logarithms",
    ("mean_interval", "5 seeds, modes 0 to 8"): "too narrow: plan twenty seeds",
    ("mean_interval", "10 seeds, modes 0 to 8"): "nearly: plan twenty seeds",
    ("mean_interval", "5 seeds, one in ten collapses"): "wrong: count successes with success_rate",
    ("mean_interval", "20 seeds, one in ten collapses"): "wrong: count successes with success_rate",
    **{("success_rate", f"{n} trials, rate {r}"): "exact: 95 or more" for n in (5, 20) for r in (0.5, 0.9)},
    ("paired_difference (S, P)", "3 seeds, 8 patients"): "wide with so few",
    ("weighted_bootstrap", "accuracy, 3 patients of 4"): "wide with so few",
    ("classification_report", "recall, 3 of the class"): "wide with so few",
    ("classification_report", "recall, 5 of the class"): "wide with so few",
    ("classification_report", "recall, 10 of the class"): "wide with so few",
    ("classification_report", "AUC, 10 of the class"): "nearly: a point too narrow, take twenty of the class",
}
