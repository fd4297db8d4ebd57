"""Does advice help, and what does wrong advice do? A reader's calls alone and with advice, case by case.

Automation bias is following advice against one's own better judgement: Goddard, Roudsari, Wyatt: Automation bias.
Journal of the American Medical Informatics Association 19(1):121-127, 2012, DOI 10.1136/amiajnl-2011-000089. Here it is
the share of errors under wrong advice, minus the share of errors of the same reader alone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from medlab.metrics.intervals import Interval, check_level, plain, to_array

ALONE = -1  # in place of the advice, where the reader was given none


@dataclass(frozen=True)
class AdviceReport:
    """What `advice_report` found; shares of errors with their intervals, not defined where there was no such case.

    Attributes:
        alone, advised: without advice, and with any.
        right_advice, wrong_advice: the advised cases, parted by whether the advice was right.
        benefit: errors alone minus errors advised; above 0 the advice helped.
        bias: errors under wrong advice minus errors alone: automation bias, if above 0.
        cases: how many there were "alone", with "right advice" and with "wrong advice".
    """

    alone: Interval
    advised: Interval
    right_advice: Interval
    wrong_advice: Interval
    benefit: Interval
    bias: Interval
    cases: dict[str, int]

    def to_dict(self) -> dict:
        """Plain numbers, lists and dicts, ready for JSON; None stands for a value that is not defined."""
        return plain(self)

    def __str__(self) -> str:
        alone, right, wrong = self.cases.values()
        return "\n".join(
            [
                f"errors alone              {self.alone:.2f}  of {alone} cases",
                f"errors with right advice  {self.right_advice:.2f}  of {right}",
                f"errors with wrong advice  {self.wrong_advice:.2f}  of {wrong}",
                f"saved by advice           {self.benefit:+.2f}  errors alone minus advised; below 0: advice cost",
                f"automation bias           {self.bias:+.2f}  errors under wrong advice minus errors alone",
            ]
        )


def advice_report(truth: object, calls: object, advice: object, *, level: float = 0.95) -> AdviceReport:
    """A reader's errors alone, with right and with wrong advice, and what advice did to them.

    The cases of the three groups are others, drawn at random from the same; intervals are Wilson's for a share, and
    Newcombe's for the difference of two (Statistics in Medicine 17:873-890, 1998, method 10).

    Args:
        truth: ``(N,)`` of True and False.
        calls: ``(N,)`` of True and False, the reader's.
        advice: ``(N,)`` whole numbers: 1 or 0 where True or False was advised, `ALONE` where nothing was.
        level: of the intervals.

    Raises:
        ValueError: lengths that differ, no case, other values, level outside (0, 1).
    """
    check_level(level)
    truth, calls, advice = to_array(truth), to_array(calls), to_array(advice)
    if not truth.shape == calls.shape == advice.shape or truth.ndim != 1 or not len(truth):
        raise ValueError(
            f"give a truth, a call and an advice per case, got {truth.shape}, {calls.shape}, {advice.shape}"
        )
    if truth.dtype != bool or calls.dtype != bool or not np.isin(advice, (ALONE, 0, 1)).all():
        raise ValueError(f"truth and calls are True or False, advice is 1, 0, or {ALONE} for none")
    wrong, alone = calls != truth, advice == ALONE
    misled = ~alone & (advice != truth)
    groups = {"alone": alone, "right advice": ~alone & ~misled, "wrong advice": misled}
    counts = {name: (int(wrong[group].sum()), int(group.sum())) for name, group in groups.items()}
    both = tuple(map(sum, zip(counts["right advice"], counts["wrong advice"])))
    return AdviceReport(
        alone=_share(*counts["alone"], level),
        advised=_share(*both, level),
        right_advice=_share(*counts["right advice"], level),
        wrong_advice=_share(*counts["wrong advice"], level),
        benefit=_difference(counts["alone"], both, level),
        bias=_difference(counts["wrong advice"], counts["alone"], level),
        cases={name: n for name, (_, n) in counts.items()},
    )


def _share(k: int, n: int, level: float) -> Interval:
    if n == 0:
        return Interval(math.nan, math.nan, math.nan)
    found = binomtest(k, n).proportion_ci(level, method="wilson")
    return Interval(k / n, float(found.low), float(found.high))


def _difference(one: tuple[int, int], other: tuple[int, int], level: float) -> Interval:
    """Share of `one` minus that of `other`, each (errors, cases): the two Wilson intervals, put together."""
    a, b = _share(*one, level), _share(*other, level)
    value = a.value - b.value
    low = value - math.hypot(a.value - a.low, b.high - b.value)
    return Interval(value, low, value + math.hypot(a.high - a.value, b.value - b.low))


def simulated_reader(skill: float, trust: float, seed: int = 0) -> Callable[[bool, int], bool]:
    """A stand-in for a reader, for when nobody sits at the screen: a function from truth and advice to a call.

    Alone it is right with chance `skill`. Given advice it takes it over with chance `trust`, and otherwise judges as it
    does alone. So its automation bias is known: ``trust * skill`` more errors under wrong advice, for any seed in the
    long run; one session of few cases may lie far from it. It is an assumption put to use, not a finding about people.
    Its chances are drawn apart from those of a session with the same seed.

    Raises:
        ValueError: a chance outside [0, 1].
    """
    for name, chance in {"skill": skill, "trust": trust}.items():
        if not 0 <= chance <= 1:
            raise ValueError(f"{name} is a chance from 0 to 1, got {chance}")
    rng = np.random.default_rng(seed).spawn(1)[0]

    def read(truth: bool, advice: int) -> bool:
        follows, right = rng.random() < trust, rng.random() < skill
        if advice != ALONE and follows:
            return bool(advice)
        return bool(truth) if right else not truth

    return read
