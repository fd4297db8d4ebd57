"""Reader study: statistics of the visual Turing test, by signal detection theory, and agreement of raters.

The signal to be detected is "synthetic". A *hit* is a synthetic image that the rater answers as synthetic, a *false
alarm* a real one answered as synthetic; with z the quantile function of the normal distribution, the sensitivity index
is ``d' = z(hit rate) - z(false alarm rate)`` and the criterion ``c = -(z(hit rate) + z(false alarm rate)) / 2``. d'
says how well the two kinds are told apart, whatever the response bias; c is that bias: below 0 towards "synthetic",
above 0 towards "real". A rate of 0 or 1 has no quantile: it is replaced by 1 / 2N and 1 - 1 / 2N of its N images.

Macmillan, Creelman: Detection Theory. 2nd edition, Erlbaum, 2005. Variance of d': Gourevitch, Galanter: A significance
test for one parameter isosensitivity functions. Psychometrika 32:25-33, 1967. Kappa: Cohen, Educational and
Psychological Measurement 20:37-46, 1960; Fleiss, Psychological Bulletin 76:378-382, 1971.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri
from scipy.stats import binomtest, fisher_exact, norm

from medlab.metrics.intervals import Interval, check_level, to_array

if TYPE_CHECKING:  # pandas takes half a second to import
    from pandas import DataFrame

COLUMNS = ("images", "accuracy", "p", "real as real", "real as synth", "synth as real", "synth as synth", "d'", "c")


@dataclass(frozen=True)
class TuringReport:
    """Result of `turing_test`.

    Attributes:
        real_as_real, real_as_synth, synth_as_real, synth_as_synth: counts, in the order of Han et al. 2018.
        accuracy: share of correct answers, with the exact interval of Clopper and Pearson.
        p_value: of the exact two-sided binomial test against one half.
        d_prime: sensitivity index, its interval by the variance of Gourevitch and Galanter, which is rough below some
            20 images of each kind.
        criterion: c, the response bias.
        halves: accuracy in the first and in the second half of the answers; None where their order is not known.
        p_learning: of Fisher's exact test that both halves have the same accuracy; None as above.
        seconds: median response times by "all", "right" and "wrong" answers; empty where they are not known.
    """

    real_as_real: int
    real_as_synth: int
    synth_as_real: int
    synth_as_synth: int
    accuracy: Interval
    p_value: float
    d_prime: Interval
    criterion: float
    halves: tuple[Interval, Interval] | None = None
    p_learning: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """The four counts, in the order of Han et al. 2018."""
        return self.real_as_real, self.real_as_synth, self.synth_as_real, self.synth_as_synth

    @property
    def images(self) -> int:
        """Number of images answered."""
        return sum(self.counts)

    @property
    def bias(self) -> str:
        """Response bias in words: towards "synthetic", "real" or "neither" (absolute value of c below 0.1)."""
        return "neither" if abs(self.criterion) < 0.1 else "synthetic" if self.criterion < 0 else "real"

    def __str__(self) -> str:
        real, synthetic = self.real_as_real + self.real_as_synth, self.synth_as_real + self.synth_as_synth
        lines = [
            f"accuracy {self.accuracy:.2f} on {self.images} images; p = {self.p_value:.2g} against guessing",
            f"correct: {self.real_as_real} of {real} real, {self.synth_as_synth} of {synthetic} synthetic images",
            f"d' {self.d_prime:.2f} (0: chance); criterion {self.criterion:.2f}, biased towards: {self.bias}",
        ]
        if self.halves is not None:
            first, second = self.halves
            lines.append(f"first half {first:.2f}, second half {second:.2f}; p = {self.p_learning:.2g} for no change")
        if self.seconds:
            lines.append("median response " + ", ".join(f"{name} {t:.1f} s" for name, t in self.seconds.items()))
        return "\n".join(lines)


def turing_test(
    synthetic: ArrayLike, answers: ArrayLike, seconds: ArrayLike | None = None, *, level: float = 0.95
) -> TuringReport:
    """Statistics of the answers of one rater, in the order in which they were given.

    Chance is an accuracy of one half, whatever the response bias, where as many real as synthetic images were shown;
    with other numbers read d' instead.

    Args:
        synthetic: ``(N,)`` the truth, True for synthetic images.
        answers: ``(N,)`` the answers, True for "synthetic".
        seconds: ``(N,)`` response times, or None.
        level: of the intervals.

    Raises:
        ValueError: lengths that differ, values other than True and False, only one kind of image, level outside (0, 1).
    """
    synthetic, answers = _check_answers("synthetic", synthetic), _check_answers("answers", answers)
    if len(synthetic) != len(answers):
        raise ValueError(f"{len(synthetic)} images but {len(answers)} answers; give one answer per image")
    counts = [int(((synthetic == kind) & (answers == answer)).sum()) for kind in (0, 1) for answer in (0, 1)]
    report = turing_counts(*counts, level=level)
    right = synthetic == answers
    parts = np.split(right, [(len(right) + 1) // 2])
    first, second = (_exact(int(part.sum()), len(part), level)[0] for part in parts)
    p_learning = float(fisher_exact([[int(part.sum()), int((~part).sum())] for part in parts]).pvalue)
    times = {}
    if seconds is not None:
        seconds = to_array(seconds).astype(float)
        if seconds.shape != right.shape or not (seconds >= 0).all():
            raise ValueError(f"give one response time of at least 0 s per image, got shape {seconds.shape}")
        groups = {"all": np.ones_like(right), "right": right, "wrong": ~right}
        times = {name: float(np.median(seconds[where])) for name, where in groups.items() if where.any()}
    return replace(report, halves=(first, second), p_learning=p_learning, seconds=times)


def turing_counts(
    real_as_real: int, real_as_synth: int, synth_as_real: int, synth_as_synth: int, *, level: float = 0.95
) -> TuringReport:
    """Statistics of a published table, which has the four counts only (in the order of Han et al. 2018).

    Raises:
        ValueError: counts that are not whole numbers from 0, only one kind of image, level outside (0, 1).
    """
    counts = [real_as_real, real_as_synth, synth_as_real, synth_as_synth]
    if any(count != int(count) or count < 0 for count in counts):
        raise ValueError(f"counts must be whole numbers from 0, got {counts}")
    real_as_real, real_as_synth, synth_as_real, synth_as_synth = (int(count) for count in counts)
    check_level(level)
    real, synthetic = real_as_real + real_as_synth, synth_as_real + synth_as_synth
    if not (real and synthetic):
        raise ValueError(f"{real} real and {synthetic} synthetic images: answers to both kinds are needed")
    accuracy, p_value = _exact(real_as_real + synth_as_synth, real + synthetic, level)
    variance, zs = 0.0, []
    for count, n in ((synth_as_synth, synthetic), (real_as_synth, real)):
        rate = min(max(count / n, 1 / (2 * n)), 1 - 1 / (2 * n))
        zs.append(float(ndtri(rate)))
        variance += rate * (1 - rate) / (n * norm.pdf(zs[-1]) ** 2)
    hit, false_alarm = zs
    d, half = hit - false_alarm, float(ndtri((1 + level) / 2)) * math.sqrt(variance)
    d_prime, criterion = Interval(d, d - half, d + half), -(hit + false_alarm) / 2
    return TuringReport(
        real_as_real, real_as_synth, synth_as_real, synth_as_synth, accuracy, p_value, d_prime, criterion
    )


def turing_table(reports: Mapping[str, TuringReport]) -> DataFrame:
    """Table of several raters, one row each, by name; columns in the order of Han et al. 2018."""
    from pandas import DataFrame

    rows = [
        (r.images, f"{r.accuracy:.0%}", f"{r.p_value:.2g}", *r.counts, f"{r.d_prime:.2f}", f"{r.criterion:.2f}")
        for r in reports.values()
    ]
    return DataFrame(rows, index=list(reports), columns=COLUMNS)


def _check_answers(name: str, given: ArrayLike) -> np.ndarray:
    values = to_array(given)
    if values.ndim != 1 or len(values) == 0 or not np.isin(values, (0, 1)).all():
        raise ValueError(f"`{name}` must be a flat list of True (synthetic) and False (real), got {given!r:.80}")
    return values.astype(bool)


def _exact(right: int, n: int, level: float) -> tuple[Interval, float]:
    """Share `right` of `n` with its exact interval, and the p-value of the binomial test against one half."""
    test = binomtest(right, n)
    low, high = test.proportion_ci(level, method="exact")
    return Interval(right / n, float(low), float(high)), float(test.pvalue)


@dataclass(frozen=True)
class RaterAgreement:
    """Result of `rater_agreement` on the `images` answered by all raters.

    Kappa is 1 for full agreement, 0 for as much as by chance, below 0 for less. `cohen` holds that of each pair;
    `fleiss` is None for fewer than three raters.
    """

    images: int
    cohen: dict[tuple[str, str], float]
    fleiss: float | None

    def __str__(self) -> str:
        pairs = ", ".join(f"{a} and {b} {kappa:.2f}" for (a, b), kappa in self.cohen.items())
        all_of_them = "" if self.fleiss is None else f"; Fleiss' kappa of all {self.fleiss:.2f}"
        return f"{self.images} images answered by all. Cohen's kappa: {pairs}{all_of_them}"


def rater_agreement(answers: Mapping[str, Sequence[bool]]) -> RaterAgreement:
    """Cohen's kappa of every pair of raters, and Fleiss' kappa of all of them if there are three or more.

    Args:
        answers: by rater, True for "synthetic"; entry i is the same image for all.

    Raises:
        ValueError: fewer than two raters, lengths that differ, no image.
    """
    given = {name: _check_answers(name, values) for name, values in answers.items()}
    lengths = {name: len(values) for name, values in given.items()}
    if len(given) < 2 or len(set(lengths.values())) > 1:
        raise ValueError(f"agreement needs two raters or more who answered the same images, got {lengths}")
    cohen = {(a, b): _kappa(given[a], given[b]) for a, b in combinations(given, 2)}
    fleiss = _kappa(*given.values()) if len(given) > 2 else None
    return RaterAgreement(max(lengths.values()), cohen, fleiss)


def _kappa(*answers: np.ndarray) -> float:
    """Cohen's kappa of two raters ``(N,)``, Fleiss' kappa of more."""
    import torch  # here: these take seconds to import
    from sklearn.metrics import cohen_kappa_score
    from torchmetrics.functional.nominal import fleiss_kappa

    votes = np.sum(answers, 0)
    if np.isin(votes, (0, len(answers))).all():
        return 1.0  # full agreement; the libraries say NaN if there is one answer only
    if len(answers) == 2:
        return float(cohen_kappa_score(*answers))
    return float(fleiss_kappa(torch.from_numpy(np.stack([votes, len(answers) - votes], 1)), mode="counts"))
