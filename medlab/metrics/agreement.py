"""How well two ways to measure agree, patient by patient: bias and limits of agreement.

Bland, Altman: Measuring agreement in method comparison studies. Statistical Methods in Medical Research 8:135-160,
1999.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from medlab.metrics.intervals import Interval, check_level, to_array


@dataclass(frozen=True)
class Agreement:
    """What `agreement` found. `means` and `differences` ``(P,)`` are those of the patients where both are defined.

    About 95 % of the differences lie between the limits `low` and `high`, if they are normally distributed. Each of the
    three carries an interval that says how well it is known. `left_out` patients had no value.
    """

    bias: Interval
    low: Interval
    high: Interval
    means: np.ndarray
    differences: np.ndarray
    left_out: int

    def __str__(self) -> str:
        return (
            f"bias {self.bias:.3f}, limits of agreement {self.low:.3f} to {self.high:.3f} "
            f"({len(self.differences)} patients, {self.left_out} left out)"
        )


def agreement(measured: object, reference: object, level: float = 0.95) -> Agreement:
    """Bias and limits of agreement of ``measured - reference``, one value each per patient.

    The limits are bias ± 1.96 deviations; the intervals are those of the t distribution, for the limits with the usual
    approximation of their standard error.

    Raises:
        ValueError: different lengths, fewer than three patients with both values, level outside (0, 1).
    """
    check_level(level)
    measured, reference = to_array(measured).astype(float), to_array(reference).astype(float)
    if measured.shape != reference.shape or measured.ndim != 1:
        raise ValueError(f"give one value per patient in both, got {measured.shape} and {reference.shape}")
    known = ~np.isnan(measured) & ~np.isnan(reference)
    n = int(known.sum())
    if n < 3:
        raise ValueError(f"{n} patients with both values; at least 3 are needed for limits of agreement")
    differences = (measured - reference)[known]
    bias, deviation = float(differences.mean()), float(differences.std(ddof=1))
    wide, t = float(ndtri(0.975)), float(stdtrit(n - 1, (1 + level) / 2))
    around_bias = t * deviation / math.sqrt(n)
    around_limit = t * deviation * math.sqrt(1 / n + wide**2 / (2 * (n - 1)))
    limits = [bias - wide * deviation, bias + wide * deviation]
    low, high = (Interval(limit, limit - around_limit, limit + around_limit) for limit in limits)
    return Agreement(
        Interval(bias, bias - around_bias, bias + around_bias), low, high,
        (measured + reference)[known] / 2, differences, len(known) - n,
    )  # fmt: skip
