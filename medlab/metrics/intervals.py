"""Confidence intervals: the bootstrap over patients, and the t interval over seeds."""

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

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


def to_array(values: object) -> np.ndarray:
    """Convert a tensor (any device, any float type) or anything array-like to a NumPy array, floats to float64."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = (values.double() if values.is_floating_point() else values).numpy()
    values = np.asarray(values)
    return values.astype(np.float64) if values.dtype.kind == "f" else values


def nan_to_none(value: object) -> object:
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
    rng = np.random.default_rng(seed)
    rows = max(BLOCK // len(members), 1)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        yield rng.multinomial(count, np.full(count, 1 / count), size=size)[:, members].astype(np.float64)


def check_groups(groups: object, length: int) -> np.ndarray:
    """Validate `groups` ``(N,)``, each image its own group for None; ValueError if the length differs."""
    groups = np.arange(length) if groups is None else to_array(groups)
    if groups.shape != (length,):
        raise ValueError(f"{length} images but patients of shape {groups.shape}; give one patient id per image")
    return groups


def percentile_interval(value: float, resampled: np.ndarray, level: float) -> Interval:
    """Interval of `value` from bootstrap values ``(R,)``, those that are NaN left out."""
    defined = resampled[~np.isnan(resampled)]
    if math.isnan(value) or len(defined) == 0:
        return Interval(float(value), math.nan, math.nan)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high))


def weighted_bootstrap(
    metric: Callable[[np.ndarray], np.ndarray], groups: np.ndarray, resamples: int, level: float, seed: int
) -> list[Interval]:
    """Percentile bootstrap intervals of M scores at once, for a metric that takes image weights.

    A bootstrap sample only changes how often an image counts, so that `metric` maps weights ``(R, N)`` to scores
    ``(R, M)``; weights of one give the values. The ends are NaN, with a warning, if there is only one patient.
    """
    values = metric(np.ones((1, len(groups))))[0]
    resampled = np.full((1, len(values)), np.nan)
    if len(np.unique(groups)) == 1:
        warnings.warn("only one patient: the spread between patients is unknown, so no interval", stacklevel=3)
    else:
        resampled = np.concatenate([metric(weights) for weights in bootstrap_weights(groups, resamples, seed)])
    return [percentile_interval(value, column, level) for value, column in zip(values, resampled.T)]


def check_level(level: float, resamples: int = 1) -> None:
    """ValueError unless 0 < level < 1 and there is at least one resample."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}; 0.95 means a 95 % interval")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}; 1000 is usual")


def bootstrap_ci(
    metric: Callable[..., float],
    *arrays: object,
    groups: object = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of ``metric(*arrays)``.

    Images of one patient are not independent, so whole patients are sampled with replacement: pass them as `groups`.
    With ``groups=None`` every image counts as a patient of its own, and the interval is too narrow if that is not so.

    Args:
        metric: takes NumPy arrays, as many as `arrays`, and returns one number; NaN where it is not defined.
        arrays: arrays or tensors of the same length N.
        groups: ``(N,)`` patient ids, integers or strings.
        resamples: number of bootstrap samples.
        level: confidence level, the share of the bootstrap samples inside the interval.
        seed: of the sampling; the same seed gives the same interval.

    Returns:
        Interval; its ends are NaN, with a warning, when there is only one patient.

    Raises:
        ValueError: nothing to resample, lengths that differ, level outside (0, 1), resamples below 1.
    """
    check_level(level, resamples)
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

    return weighted_bootstrap(of, groups, resamples, level, seed)[0]


def mean_interval(values: object, level: float = 0.95) -> Interval:
    """Mean of one score per seed ``(S,)`` with its t interval; one seed gives NaN ends and a warning.

    Raises:
        ValueError: no value, a NaN among them, level outside (0, 1).
    """
    check_level(level)
    scores = to_array(values).astype(np.float64)
    if scores.ndim != 1 or len(scores) == 0:
        raise ValueError(f"give one score per seed as a flat list, got shape {scores.shape}")
    failed = int(np.isnan(scores).sum())
    if failed:
        raise ValueError(f"{failed} of {len(scores)} scores are NaN; find out why those runs failed")
    mean = float(scores.mean())
    if len(scores) == 1:
        warnings.warn("only one seed: the spread between seeds is unknown; run at least three", stacklevel=2)
        return Interval(mean, math.nan, math.nan)
    half = stdtrit(len(scores) - 1, (1 + level) / 2) * scores.std(ddof=1) / math.sqrt(len(scores))
    return Interval(mean, float(mean - half), float(mean + half))


def paired_difference(a: object, b: object, level: float = 0.95) -> Interval:
    """Mean of ``a - b`` over seeds with its t interval: a is better than b at this level if it lies above 0.

    Args:
        a, b: one score per seed ``(S,)``; entry i of both comes from the same seed and the same split.
        level: of the interval.

    Raises:
        ValueError: different numbers of seeds, and all that `mean_interval` raises.
    """
    a, b = to_array(a), to_array(b)
    if a.shape != b.shape:
        raise ValueError(f"a has shape {a.shape} and b {b.shape}; give one score per seed in each, in the same order")
    return mean_interval(a - b, level)


def verdict(difference: Interval, margin: float = 0.0) -> str:
    """Decide a superiority or non-inferiority claim, "the difference is above ``-margin``", by an interval.

    Args:
        difference: score of the method claimed to be better minus that of the other, e.g. from `paired_difference`.
        margin: non-inferiority margin, above 0 for a claim to be "as good as"; 0 for a claim to be better.

    Returns:
        "held" when the whole interval lies above ``-margin``, "did not hold" when all of it lies below, else
        "cannot tell" (also for an interval of NaN).
    """
    if difference.low > -margin:
        return "held"
    if difference.high < -margin:
        return "did not hold"
    return "cannot tell"
