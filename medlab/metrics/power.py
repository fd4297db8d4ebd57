"""Planning a comparison over seeds: how many are needed, what a number of them can find, and what no number can.

The power of the paired t test, from the non-central t distribution (Cohen, Statistical Power Analysis for the
Behavioral Sciences, 2nd edition, 1988, chapter 2; scipy.stats.nct).
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from medlab.errors import whole_number
from medlab.metrics.intervals import LEAST, check_level, to_array, variances

MOST = 100_000  # seeds; a plan that needs more is no plan


def seeds_needed(differences: ArrayLike, margin: float, power: float = 0.8, level: float = 0.95) -> int:
    """The least number of seeds with which a true difference of `margin` is found with probability `power`.

    Found: the t interval of the mean difference at this level excludes 0. The deviation is that of the pilot, and is
    itself uncertain: that of five seeds is often a third off.

    Args:
        differences: paired differences of a pilot, one per seed ``(S,)``, at least three.
        margin: the smallest difference that matters, in the unit of the differences.
        power: probability to find it.
        level: of the interval.

    Raises:
        ValueError: fewer than three differences, NaN, a margin that is not positive, power or level outside (0, 1).
    """
    deviation = _deviation(differences)
    if not margin > 0:
        raise ValueError(f"margin must be positive, got {margin}: the smallest difference that would change a decision")
    check_level(level)
    check_level(power, name="power")
    low, high = LEAST, MOST
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(margin / deviation, middle, level) >= power else (middle + 1, high)
    return low


def smallest_detectable(
    differences: ArrayLike, seeds: int | None = None, power: float = 0.8, level: float = 0.95
) -> float:
    """The true difference that `seeds` seeds find with probability `power`, in the unit of the differences.

    Args:
        differences: paired differences, one per seed ``(S,)``, at least three.
        seeds: how many; as many as there are differences for None.
        power, level: as for `seeds_needed`.

    Raises:
        ValueError: fewer than three differences or seeds, NaN, power or level outside (0, 1).
    """
    from scipy.optimize import brentq

    deviation, seeds = _deviation(differences), len(to_array(differences)) if seeds is None else seeds
    whole_number("seeds", seeds, LEAST)
    check_level(level)
    check_level(power, name="power")
    return float(deviation * brentq(lambda effect: _power(effect, seeds, level) - power, 0, 100))


def interval_floor(differences: ArrayLike, level: float = 0.95) -> float:
    """Half-width of the interval that is left with infinitely many seeds on these patients: more patients are missing.

    Args:
        differences: paired differences of a pilot by seed and patient ``(S, P)``, the same patients for every seed.
        level: of the interval.

    Raises:
        ValueError: not ``(S, P)``, or fewer than three of either.
    """
    check_level(level)
    values = to_array(differences).astype(float)
    if values.ndim != 2 or min(values.shape) < LEAST:
        raise ValueError(f"give differences by seed and patient, at least 3 x 3, got shape {values.shape}")
    _, by_patient, rest = variances(values)
    seeds, patients = values.shape
    return float(stdtrit(patients - 1, (1 + level) / 2) * math.sqrt(max(by_patient - rest / seeds, 0) / patients))


def _deviation(differences: ArrayLike) -> float:
    values = to_array(differences).astype(float)
    if values.ndim != 1 or len(values) < LEAST or np.isnan(values).any():
        raise ValueError(f"give the differences of a pilot of at least {LEAST} seeds, without NaN, got {values}")
    return max(float(values.std(ddof=1)), 1e-12)


def _power(effect: float, seeds: int, level: float) -> float:
    """Power of the two-sided paired t test for a difference of `effect` standard deviations."""
    from scipy.stats import nct  # here: it takes a second to import

    critical, shift = stdtrit(seeds - 1, (1 + level) / 2), effect * math.sqrt(seeds)
    if shift > 30:  # nct underflows, and the power is 1
        return 1.0
    return float(nct.sf(critical, seeds - 1, shift))  # the other tail, a difference of the wrong sign, is no find
