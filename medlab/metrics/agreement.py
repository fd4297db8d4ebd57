"""Agreement of two methods of measurement: bias and limits of agreement (Bland-Altman analysis).

Bland, Altman: Measuring agreement in method comparison studies. Statistical Methods in Medical Research 8:135-160,
1999.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit

from medlab.metrics.intervals import Interval, check_level, mean_interval, to_array


@dataclass(frozen=True)
class LimitsOfAgreement:
    """Bias and 95 % limits of agreement `low` and `high`, each with its confidence interval.

    About 95 % of the differences lie between the limits, if they are normally distributed. `means` and `differences`
    ``(P,)`` are those of the patients with both measurements; `left_out` patients lack one.
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


def limits_of_agreement(measured: ArrayLike, reference: ArrayLike, level: float = 0.95) -> LimitsOfAgreement:
    """Bias and 95 % limits of agreement of ``measured - reference``, one value each per patient.

    The limits are bias ± 1.96 standard deviations; the confidence intervals are those of the t distribution, for the
    limits with the usual approximation of their standard error.

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
    bias, std = mean_interval(differences, level), float(differences.std(ddof=1))
    z, t = float(ndtri(0.975)), float(stdtrit(n - 1, (1 + level) / 2))
    half = t * std * math.sqrt(1 / n + z**2 / (2 * (n - 1)))
    limits = (bias.value - z * std, bias.value + z * std)
    low, high = (Interval(limit, limit - half, limit + half) for limit in limits)
    return LimitsOfAgreement(bias, low, high, (measured + reference)[known] / 2, differences, len(known) - n)
