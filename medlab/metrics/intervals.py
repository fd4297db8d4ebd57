"""Confidence intervals: the bootstrap over patients, the t interval over seeds, and both crossed.

What each covers is simulated in ``tests/benchmarks/coverage.py``. Two rules hold for all: no interval from fewer than
three patients or seeds, and none without width, since n outcomes alike say little about the next (`alike_interval`).
"""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, stdtrit

from medlab.errors import whole_number

LEAST = 3  # units of which an interval can be made
FEW = 10  # up to so many units resampling does not reach the tails
BLOCK = 1 << 19  # weights sampled at a time: 4 MB of float64 stay in the processor's cache


class Interval(NamedTuple):
    """A value with the lower and upper end of its interval; ``f"{interval:.2f}"`` reads "0.94 [0.91, 0.97]"."""

    value: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        spec = spec or ".3f"
        if math.isnan(self.value):
            return "not defined"
        if math.isnan(self.low):
            return f"{self.value:{spec}} [no interval]"
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def __str__(self) -> str:
        return format(self, "")

    def to_dict(self) -> dict[str, float | None]:
        """The three numbers; None where not defined, so that it is valid JSON."""
        return nan_to_none(self)


def to_array(values: ArrayLike) -> np.ndarray:
    """Convert a tensor (any device, any float type) or anything array-like to a NumPy array, floats to float64."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = (values.double() if values.is_floating_point() else values).numpy()
    values = np.asarray(values)
    return values.astype(np.float64) if values.dtype.kind == "f" else values


def nan_to_none(value: Any) -> Any:
    """Convert a report, or a part of one, to numbers, lists and dicts ready for JSON; NaN becomes None."""
    if isinstance(value, Interval):
        value = value._asdict()
    elif is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    elif isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return {name: nan_to_none(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [nan_to_none(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    return value


def bootstrap_weights(groups: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield blocks ``(r, N)`` of bootstrap weights, `resamples` rows in all: how often each image is sampled."""
    members = np.unique(groups, return_inverse=True)[1]
    count = members.max() + 1
    rng = np.random.default_rng(whole_number("seed", seed, 0))
    rows = max(BLOCK // len(members), 1)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        yield rng.multinomial(count, np.full(count, 1 / count), size=size)[:, members].astype(np.float64)


def check_groups(groups: ArrayLike | None, length: int) -> np.ndarray:
    """Validate `groups` ``(N,)``, each image its own group for None; ValueError if the length differs."""
    groups = np.arange(length) if groups is None else to_array(groups)
    if groups.shape != (length,):
        raise ValueError(f"{length} images but patients of shape {groups.shape}; give one patient id per image")
    return groups


def alike_interval(value: float, units: int, level: float, bounds: tuple[float, float] | None) -> Interval:
    """Interval of a mean of which all units have the same `value`: "10 of 10" is [0.69, 1] at 95 %.

    At this level up to ``q = 1 - ((1 - level) / 2) ** (1 / units)`` of further units may come out otherwise (the exact
    interval of Clopper and Pearson, Biometrika 26:404, 1934), each of them anywhere in `bounds`. NaN ends without
    bounds, or with fewer than three units.
    """
    if bounds is None or units < LEAST:
        return Interval(float(value), math.nan, math.nan)
    other = 1 - ((1 - level) / 2) ** (1 / units)
    return Interval(float(value), *(float(value + other * (bound - value)) for bound in bounds))


def percentile_interval(
    value: float, resampled: np.ndarray, level: float, units: int, bounds: tuple[float, float] | None = None
) -> Interval:
    """Interval of `value` from bootstrap values ``(R,)``, those that are NaN left out: expanded percentiles.

    The bootstrap of n units is too narrow by the factor sqrt((n - 1) / n), and by that of the normal to the t
    distribution; the percentiles are moved outwards by both (Hesterberg, The American Statistician 69:371, 2015,
    section 5.3). With ten units or fewer resampling does not reach the tails: there the interval is as wide as the t
    interval with the bootstrap's standard error at least. The value lies in it, also where resampling is biased.

    Args:
        value: the estimate.
        resampled: bootstrap values.
        level: confidence level.
        units: patients that the value depends on.
        bounds: least and largest possible value, for an interval where all resampled values are alike.
    """
    defined = resampled[~np.isnan(resampled)]
    if math.isnan(value) or len(defined) == 0 or units < LEAST:
        return Interval(float(value), math.nan, math.nan)
    if np.ptp(defined) < 1e-12:
        return alike_interval(value, units, level, bounds)
    wide, t = math.sqrt(units / (units - 1)), stdtrit(units - 1, (1 + level) / 2)
    low, high = np.quantile(defined, [ndtr(-wide * t), ndtr(wide * t)])
    if units <= FEW:
        half, (least, most) = t * wide * defined.std(), bounds or (-math.inf, math.inf)
        low, high = min(low, max(value - half, least)), max(high, min(value + half, most))
    return Interval(float(value), min(float(low), float(value)), max(float(high), float(value)))


def weighted_bootstrap(
    metric: Callable[[np.ndarray], np.ndarray],
    groups: np.ndarray,
    resamples: int,
    level: float,
    seed: int,
    *,
    units: np.ndarray | None = None,
    bounds: tuple[float, float] | Sequence[tuple[float, float] | None] | None = None,
    biased: Sequence[int] = (),
) -> list[Interval]:
    """Percentile bootstrap intervals of M scores at once, for a metric that takes image weights.

    A bootstrap sample only changes how often an image counts, so that `metric` maps weights ``(R, N)`` to scores
    ``(R, M)``; weights of one give the values.

    Args:
        metric: maps weights to scores.
        groups: ``(N,)`` patient ids.
        resamples, level, seed: see `bootstrap_ci`.
        units: ``(M,)`` patients that each score depends on, such as those with a class; all of them for None.
        bounds: least and largest possible score, of all scores or one pair (or None) for each.
        biased: numbers of the scores that resampling inflates, such as a calibration error: their resampled values are
            centered on the value, so that the interval is that of the score of as many images.
    """
    values, patients = metric(np.ones((1, len(groups))))[0], len(np.unique(groups))
    resampled = np.full((1, len(values)), np.nan)
    if patients < LEAST:
        few = "only one patient" if patients == 1 else f"only {patients} patients"
        warnings.warn(f"{few}: the spread between patients is unknown, so no interval", stacklevel=3)
    else:
        resampled = np.concatenate([metric(weights) for weights in bootstrap_weights(groups, resamples, seed)])
        for column in biased:
            resampled[:, column] = np.maximum(resampled[:, column] - resampled[:, column].mean() + values[column], 0)
    units = np.full(len(values), patients) if units is None else units
    bounds = bounds if isinstance(bounds, list) else [bounds] * len(values)
    return [percentile_interval(*one) for one in zip(values, resampled.T, [level] * len(values), units, bounds)]


def check_level(level: float, resamples: int = 1, name: str = "level", bounds: Sequence[float] | None = None) -> None:
    """ValueError unless 0 < level < 1 (the message calls it `name`), at least one resample, and the bounds in order."""
    if not 0 < level < 1:
        raise ValueError(f"{name} must lie between 0 and 1, got {level}; 0.95 means 95 %")
    whole_number("resamples", resamples, 1)
    if bounds is not None and not bounds[0] < bounds[1]:
        raise ValueError(f"bounds are the least and the largest possible value, got {bounds}")


def bootstrap_ci(
    metric: Callable[..., float],
    *arrays: ArrayLike,
    groups: ArrayLike | None = None,
    bounds: tuple[float, float] | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Expanded percentile bootstrap interval of ``metric(*arrays)``.

    Images of one patient are not independent, so whole patients are sampled with replacement: pass them as `groups`.
    With ``groups=None`` every image counts as a patient of its own, and the interval is too narrow if that is not so.

    Args:
        metric: takes NumPy arrays, as many as `arrays`, and returns one number; NaN where it is not defined.
        arrays: arrays or tensors of the same length N.
        groups: ``(N,)`` patient ids, integers or strings.
        bounds: least and largest possible value, such as (0, 1) for an accuracy. With them ten correct answers of ten
            give [0.69, 1]; without, values that are all alike give no interval.
        resamples: number of bootstrap samples.
        level: confidence level.
        seed: of the sampling; the same seed gives the same interval.

    Returns:
        Interval; its ends are NaN, with a warning, when there are fewer than three patients.

    Raises:
        ValueError: nothing to resample, lengths that differ, level outside (0, 1), resamples below 1.
    """
    check_level(level, resamples, bounds=bounds)
    data = [to_array(array) for array in arrays]
    if not data or len(data[0]) == 0:
        raise ValueError("nothing to resample: give at least one array with at least one image")
    lengths = [len(array) for array in data]
    if len(set(lengths)) > 1:
        raise ValueError(f"the arrays have different lengths {lengths}; give one entry per image in each")
    groups = check_groups(groups, lengths[0])

    def of(weights: np.ndarray) -> np.ndarray:
        samples = (np.repeat(np.arange(lengths[0]), counts) for counts in weights.astype(int))
        return np.array([[metric(*(array[sample] for array in data))] for sample in samples], np.float64)

    return weighted_bootstrap(of, groups, resamples, level, seed, bounds=bounds)[0]


def mean_interval(values: ArrayLike, level: float = 0.95, bounds: tuple[float, float] | None = None) -> Interval:
    """Mean of one score per seed ``(S,)`` with its t interval; fewer than three seeds give NaN ends and a warning.

    It covers what it promises where the scores are bell-shaped. Give logarithms of skewed ones, such as FID, and count
    successes where trainings end one way or the other (`success_rate`).

    Args:
        values: the scores; new patients and a new training for each, or the interval lacks what did not vary.
        level: confidence level.
        bounds: least and largest possible score, for an interval where all scores are alike.

    Raises:
        ValueError: no value, a NaN among them, level outside (0, 1).
    """
    check_level(level, bounds=bounds)
    scores = to_array(values).astype(np.float64)
    if scores.ndim != 1 or len(scores) == 0:
        raise ValueError(f"give one score per seed as a flat list, got shape {scores.shape}")
    failed = int(np.isnan(scores).sum())
    if failed:
        raise ValueError(f"{failed} of {len(scores)} scores are NaN; find out why those runs failed")
    mean, n = float(scores.mean()), len(scores)
    if n < LEAST:
        few = "only one seed" if n == 1 else f"only {n} seeds"
        warnings.warn(f"{few}: the spread between seeds is unknown; run at least three", stacklevel=2)
        return Interval(mean, math.nan, math.nan)
    if np.ptp(scores) < 1e-12:
        return alike_interval(mean, n, level, bounds)
    half = stdtrit(n - 1, (1 + level) / 2) * scores.std(ddof=1) / math.sqrt(n)
    low, high = bounds or (-math.inf, math.inf)
    return Interval(mean, max(float(mean - half), low), min(float(mean + half), high))


def paired_difference(
    a: ArrayLike, b: ArrayLike, level: float = 0.95, bounds: tuple[float, float] | None = None
) -> Interval:
    """Mean of ``a - b`` over seeds with its t interval: a is better than b at this level if it lies above 0.

    With scores by patient, ``(S, P)``, the same patients for every seed, seeds and patients are crossed: both a new
    training and new patients could have come out otherwise, and the interval holds both.

    Args:
        a, b: one score per seed ``(S,)``, or per seed and patient ``(S, P)``; entry i of both comes from the same seed
            (and patient).
        level: of the interval.
        bounds: least and largest possible difference, for an interval where all are alike.

    Raises:
        ValueError: different shapes, and all that `mean_interval` raises.
    """
    a, b = to_array(a), to_array(b)
    if a.shape != b.shape:
        raise ValueError(f"a has shape {a.shape} and b {b.shape}; give one score per seed in each, in the same order")
    if a.ndim != 2:
        return mean_interval(a - b, level, bounds)
    check_level(level)
    return _crossed(a - b, level)


def _crossed(values: np.ndarray, level: float) -> Interval:
    """Mean of ``(S, P)`` with seeds and patients as random factors; degrees of freedom after Satterthwaite (1946)."""
    seeds, patients = values.shape
    mean = float(values.mean())
    if min(seeds, patients) < LEAST:
        warnings.warn(f"{seeds} seeds, {patients} patients: at least three of each are needed", stacklevel=3)
        return Interval(mean, math.nan, math.nan)
    by_seed, by_patient, rest = variances(values)
    parts = np.array([by_seed / seeds, by_patient / patients, -rest / (seeds * patients)])
    variance = max(parts.sum(), *parts[:2])
    freedom = np.array([seeds - 1, patients - 1, (seeds - 1) * (patients - 1)])
    df = max(variance**2 / np.sum(parts**2 / freedom), min(seeds, patients) - 1) if variance > 0 else math.inf
    half = stdtrit(df, (1 + level) / 2) * math.sqrt(variance)
    return Interval(mean, mean - half, mean + half) if half > 0 else Interval(mean, math.nan, math.nan)


def variances(values: np.ndarray) -> tuple[float, float, float]:
    """Variances of ``(S, P)``: of the means of seeds, of the means of patients, and of what neither explains."""
    rows, columns = values.mean(1), values.mean(0)
    rest = values - rows[:, None] - columns + values.mean()
    freedom = (len(rows) - 1) * (len(columns) - 1)
    return float(rows.var(ddof=1)), float(columns.var(ddof=1)), float(np.square(rest).sum() / freedom)


def success_rate(successes: int, trials: int, level: float = 0.95) -> Interval:
    """Share of trials that succeeded, with its exact interval (Clopper and Pearson 1934).

    For trainings that end one way or the other, such as a GAN that keeps its modes or collapses, and for answers that
    are right or wrong, one per patient.

    Raises:
        ValueError: no trial, or more successes than trials.
    """
    from scipy.stats import binomtest  # here: it takes a second to import

    check_level(level)
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} successes of {trials} trials; give counts, of at least one trial")
    ends = binomtest(int(successes), int(trials)).proportion_ci(level)
    return Interval(successes / trials, float(ends.low), float(ends.high))
