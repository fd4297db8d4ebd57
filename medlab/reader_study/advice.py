"""Reader study: the effect of right and wrong advice on a reader's decisions, and automation bias.

Automation bias is to follow advice against one's own better judgment: Goddard, Roudsari, Wyatt: Automation bias.
Journal of the American Medical Informatics Association 19(1):121-127, 2012, DOI 10.1136/amiajnl-2011-000089. Here it is
the error rate with wrong advice, minus the error rate of the same reader alone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from medlab.errors import not_negative, whole_number
from medlab.metrics.intervals import Interval, check_level, to_array

NO_ADVICE = -1  # in place of the advice, where the reader decided alone


@dataclass(frozen=True)
class AdviceReport:
    """Result of `advice_report`: error rates with their intervals, NaN where there was no such case.

    Attributes:
        alone, advised: without advice, and with any.
        right_advice, wrong_advice: the advised cases, by whether the advice was right.
        benefit: error rate alone minus advised; above 0 the advice helped.
        bias: error rate with wrong advice minus alone: automation bias, if above 0.
        cases: number of cases "alone", with "right advice" and with "wrong advice".
    """

    alone: Interval
    advised: Interval
    right_advice: Interval
    wrong_advice: Interval
    benefit: Interval
    bias: Interval
    cases: dict[str, int]

    def __str__(self) -> str:
        alone, right, wrong = self.cases.values()
        return (
            f"errors alone              {self.alone:.2f}  of {alone} cases\n"
            f"errors with right advice  {self.right_advice:.2f}  of {right}\n"
            f"errors with wrong advice  {self.wrong_advice:.2f}  of {wrong}\n"
            f"saved by advice           {self.benefit:+.2f}  errors alone minus advised; below 0: advice cost\n"
            f"automation bias           {self.bias:+.2f}  errors with wrong advice minus alone"
        )


def advice_report(truth: ArrayLike, decisions: ArrayLike, advice: ArrayLike, *, level: float = 0.95) -> AdviceReport:
    """Error rates of a reader alone, with right and with wrong advice, and their differences.

    The three groups are different cases, random samples of the same population; intervals are Wilson's for a rate, and
    Newcombe's for the difference of two (Statistics in Medicine 17:873-890, 1998, method 10).

    Args:
        truth: ``(N,)`` of True and False.
        decisions: ``(N,)`` of True and False, the reader's.
        advice: ``(N,)`` whole numbers: 1 or 0 where True or False was advised, `NO_ADVICE` where nothing was.
        level: of the intervals.

    Raises:
        ValueError: lengths that differ, no case, other values, level outside (0, 1).
    """
    check_level(level)
    truth, decisions, advice = to_array(truth), to_array(decisions), to_array(advice)
    shapes = truth.shape, decisions.shape, advice.shape
    if len(set(shapes)) > 1 or truth.ndim != 1 or not len(truth):
        raise ValueError(f"give a truth, a decision and an advice per case, got {shapes}")
    if truth.dtype != bool or decisions.dtype != bool or not np.isin(advice, (NO_ADVICE, 0, 1)).all():
        raise ValueError(f"truth and decisions are True or False, advice is 1, 0, or {NO_ADVICE} for none")
    error, unaided = decisions != truth, advice == NO_ADVICE
    misled = ~unaided & (advice != truth)
    groups = (unaided, ~unaided & ~misled, misled)
    alone, right, wrong = ((int(error[group].sum()), int(group.sum())) for group in groups)
    advised = (right[0] + wrong[0], right[1] + wrong[1])
    return AdviceReport(
        alone=_rate(*alone, level), advised=_rate(*advised, level), right_advice=_rate(*right, level),
        wrong_advice=_rate(*wrong, level), benefit=_difference(alone, advised, level),
        bias=_difference(wrong, alone, level),
        cases={"alone": alone[1], "right advice": right[1], "wrong advice": wrong[1]},
    )  # fmt: skip


def _rate(k: int, n: int, level: float) -> Interval:
    if n == 0:
        return Interval(math.nan, math.nan, math.nan)
    low, high = binomtest(k, n).proportion_ci(level, method="wilson")
    return Interval(k / n, float(low), float(high))


def _difference(one: tuple[int, int], other: tuple[int, int], level: float) -> Interval:
    """Error rate of `one` minus that of `other`, each (errors, cases), with Newcombe's interval."""
    a, b = _rate(*one, level), _rate(*other, level)
    value = a.value - b.value
    low = value - math.hypot(a.value - a.low, b.high - b.value)
    return Interval(value, low, value + math.hypot(a.high - a.value, b.value - b.low))


def simulated_reader(skill: float, trust: float, seed: int = 0) -> Callable[[bool, int], bool]:
    """Simulated reader with a known automation bias: a function from truth and advice to a decision.

    Alone it is right with probability `skill`. Given advice it follows it with probability `trust`, and otherwise
    decides as it does alone. So its expected automation bias is ``trust * skill``; one session of few cases may lie far
    from it. It is a model, not a finding about people. Its random numbers are independent of those of a `RemoteClinic`
    with the same seed.

    Raises:
        ValueError: a probability outside [0, 1].
    """
    not_negative("skill", skill, 1)
    not_negative("trust", trust, 1)
    rng = np.random.default_rng(whole_number("seed", seed, 0)).spawn(1)[0]

    def read(truth: bool, advice: int) -> bool:
        follows, right = rng.random() < trust, rng.random() < skill
        if advice != NO_ADVICE and follows:
            return bool(advice)
        return bool(truth) if right else not truth

    return read
