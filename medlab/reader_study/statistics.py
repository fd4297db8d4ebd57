"""The visual Turing test: can a rater tell real images from synthetic ones, and how sure can we be of that?

The signal to be found is "synthetic". A *hit* is a synthetic image called synthetic, a *false alarm* a real one called
synthetic; with z the quantile of the normal distribution, ``d' = z(hits) - z(false alarms)`` and the criterion
``c = -(z(hits) + z(false alarms)) / 2``. d' says how well the two kinds are told apart, whatever the rater prefers to
say; c says what is preferred: below 0 "synthetic", above 0 "real". A rate of 0 or 1 has no quantile: it is replaced by
1 / 2N and 1 - 1 / 2N of its N images.

Macmillan, Creelman: Detection Theory. 2nd edition, Erlbaum, 2005. Variance of d': Gourevitch, Galanter: A significance
test for one parameter isosensitivity functions. Psychometrika 32:25-33, 1967. Kappa: Cohen, Educational and
Psychological Measurement 20:37-46, 1960; Fleiss, Psychological Bulletin 76:378-382, 1971.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import ndtri
from scipy.stats import binomtest, fisher_exact, norm

from medlab.metrics.intervals import Interval, check_level, plain, to_array

COLUMNS = ("images", "accuracy", "p", "real as real", "real as synth", "synth as real", "synth as synth", "d'", "c")


@dataclass(frozen=True)
class TuringReport:
    """What `turing_test` found.

    Attributes:
        real_as_real, real_as_synth, synth_as_real, synth_as_synth: counts, in the order of Han et al. 2018.
        accuracy: share of right answers, with the exact interval of Clopper and Pearson.
        p_value: of the exact two-sided binomial test against one half.
        d_prime: with its interval by the variance of Gourevitch and Galanter, which is rough below some 20 images
            of each kind.
        criterion: c, the bias.
        halves: accuracy in the first and in the second half of the answers; None where their order is not known.
        p_learning: of Fisher's exact test that both halves have the same accuracy; None as above.
        seconds: median response times by "all", "right" and "wrong"; empty where they are not known.
    """

    real_as_real: int
    real_as_synth: int
    synth_as_real: int
    synth_as_synth: int
    accuracy: Interval
    p_value: float
    d_prime: Interval
    criterion: float
    halves: tuple[Interval, Interval] | None
    p_learning: float | None
    seconds: dict[str, float]

    @property
    def images(self) -> int:
        """How many images were answered."""
        return self.real_as_real + self.real_as_synth + self.synth_as_real + self.synth_as_synth

    @property
    def bias(self) -> str:
        """What the rater prefers to say: "synthetic", "real" or "neither" (absolute value of c below 0.1)."""
        return "neither" if abs(self.criterion) < 0.1 else "synthetic" if self.criterion < 0 else "real"

    def row(self) -> tuple[str, ...]:
        """The cells of one line of `turing_table`, as `COLUMNS` names them."""
        counts = (self.real_as_real, self.real_as_synth, self.synth_as_real, self.synth_as_synth)
        accuracy = Interval(*(100 * part for part in self.accuracy))
        return (
            str(self.images), f"{accuracy:.0f} %", f"{self.p_value:.2g}", *map(str, counts),
            f"{self.d_prime:.2f}", f"{self.criterion:.2f}",
        )  # fmt: skip

    def to_dict(self) -> dict[str, object]:
        """The report as plain values, ready for JSON."""
        halves = None if self.halves is None else [half.to_dict() for half in self.halves]
        return plain(self) | {"halves": halves}

    def __str__(self) -> str:
        real, synthetic = self.real_as_real + self.real_as_synth, self.synth_as_real + self.synth_as_synth
        lines = [
            f"accuracy {self.accuracy:.2f} on {self.images} images; p = {self.p_value:.2g} against guessing",
            f"real called real {self.real_as_real} of {real}, synthetic called synthetic {self.synth_as_synth} "
            f"of {synthetic}",
            f"d' {self.d_prime:.2f} (0: no difference seen); criterion {self.criterion:.2f}, leaning to: {self.bias}",
        ]
        if self.halves is not None:
            first, second = self.halves
            lines.append(f"first half {first:.2f}, second half {second:.2f}; p = {self.p_learning:.2g} for no change")
        if self.seconds:
            lines.append("median response " + ", ".join(f"{name} {t:.1f} s" for name, t in self.seconds.items()))
        return "\n".join(lines)


def turing_test(synthetic: object, called: object, seconds: object = None, *, level: float = 0.95) -> TuringReport:
    """The statistics of one rater's answers, given in the order in which they were made.

    Chance is one half, whatever the rater prefers to say, where as many real as synthetic images were shown; with other
    numbers read d' instead of the accuracy.

    Args:
        synthetic: ``(N,)`` the truth, True for synthetic images.
        called: ``(N,)`` the answers, True for "synthetic".
        seconds: ``(N,)`` response times, or None.
        level: of the intervals.

    Raises:
        ValueError: lengths that differ, values other than True and False, only one kind of image, level outside (0, 1).
    """
    synthetic, called = _answers("synthetic", synthetic), _answers("called", called)
    if len(synthetic) != len(called):
        raise ValueError(f"{len(synthetic)} images but {len(called)} answers; give one answer per image")
    counts = [int(((synthetic == kind) & (called == answer)).sum()) for kind in (0, 1) for answer in (0, 1)]
    right = synthetic == called
    middle = (len(right) + 1) // 2
    halves, p_learning = None, None
    if len(right) >= 2:
        parts = right[:middle], right[middle:]
        halves = tuple(_exact(int(part.sum()), len(part), level)[0] for part in parts)
        p_learning = float(fisher_exact([[int(part.sum()), int((~part).sum())] for part in parts]).pvalue)
    times = {}
    if seconds is not None:
        seconds = to_array(seconds).astype(float)
        if seconds.shape != right.shape or not (seconds >= 0).all():
            raise ValueError(f"give one response time of at least 0 s per image, got shape {seconds.shape}")
        groups = {"all": np.ones_like(right), "right": right, "wrong": ~right}
        times = {name: float(np.median(seconds[where])) for name, where in groups.items() if where.any()}
    return _report(counts, halves, p_learning, times, level)


def turing_counts(
    real_as_real: int, real_as_synth: int, synth_as_real: int, synth_as_synth: int, *, level: float = 0.95
) -> TuringReport:
    """The statistics of a published table, of which only the four counts are known (in the order of Han et al. 2018).

    Raises:
        ValueError: counts that are not whole numbers from 0, only one kind of image, level outside (0, 1).
    """
    counts = [real_as_real, real_as_synth, synth_as_real, synth_as_synth]
    if any(count != int(count) or count < 0 for count in counts):
        raise ValueError(f"counts must be whole numbers from 0, got {counts}")
    return _report([int(count) for count in counts], None, None, {}, level)


def turing_table(reports: Mapping[str, TuringReport]) -> str:
    """Several reports as a Markdown table, one line each, by name; columns in the order of Han et al. 2018."""
    lines = [("rater", *COLUMNS), ("---",) * (len(COLUMNS) + 1)]
    lines += [(name.replace("|", "\\|"), *report.row()) for name, report in reports.items()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _answers(name: str, given: object) -> np.ndarray:
    values = to_array(given)
    if values.ndim != 1 or len(values) == 0 or not np.isin(values, (0, 1)).all():
        raise ValueError(f"`{name}` must be a flat list of True (synthetic) and False (real), got {given!r:.80}")
    return values.astype(bool)


def _exact(right: int, n: int, level: float) -> tuple[Interval, float]:
    """Share `right` of `n` with its exact interval, and p against one half."""
    test = binomtest(right, n)
    low, high = test.proportion_ci(level, method="exact")
    return Interval(right / n, float(low), float(high)), float(test.pvalue)


def _report(
    counts: list[int],
    halves: tuple[Interval, Interval] | None,
    p_learning: float | None,
    seconds: dict[str, float],
    level: float,
) -> TuringReport:
    check_level(level)
    real, synthetic = counts[0] + counts[1], counts[2] + counts[3]
    if not (real and synthetic):
        raise ValueError(
            f"{real} real and {synthetic} synthetic images: both kinds are needed to say whether they are told apart"
        )
    accuracy, p_value = _exact(counts[0] + counts[3], real + synthetic, level)
    rates = [
        min(max(count / n, 1 / (2 * n)), 1 - 1 / (2 * n)) for count, n in ((counts[3], synthetic), (counts[1], real))
    ]
    hit, false_alarm = (float(ndtri(rate)) for rate in rates)
    variance = sum(
        rate * (1 - rate) / (n * norm.pdf(z) ** 2) for rate, z, n in zip(rates, (hit, false_alarm), (synthetic, real))
    )
    half = float(ndtri((1 + level) / 2)) * math.sqrt(variance)
    d = hit - false_alarm
    return TuringReport(
        *counts, accuracy, p_value, Interval(d, d - half, d + half), -(hit + false_alarm) / 2,
        halves, p_learning, seconds,
    )  # fmt: skip


@dataclass(frozen=True)
class RaterAgreement:
    """What `rater_agreement` found on the `images` that all raters answered: kappa is 1 for full agreement, 0 for
    as much as chance gives, below 0 for less. `cohen` holds each pair; `fleiss` is None for fewer than three raters."""

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
    given = {name: _answers(name, values) for name, values in answers.items()}
    lengths = {name: len(values) for name, values in given.items()}
    if len(given) < 2 or len(set(lengths.values())) > 1:
        raise ValueError(f"agreement needs two raters or more who answered the same images, got {lengths}")
    cohen = {(a, b): cohen_kappa(given[a], given[b]) for a, b in combinations(given, 2)}
    votes = np.stack(list(given.values())).sum(0)
    both = np.stack([votes, len(given) - votes], 1)
    return RaterAgreement(len(votes), cohen, fleiss_kappa(both) if len(given) > 2 else None)


def cohen_kappa(a: object, b: object) -> float:
    """Agreement of two raters ``(N,)`` beyond chance, chance by each rater's own shares; 1 if both always say the same.

    Raises:
        ValueError: lengths that differ, or no image.
    """
    a, b = to_array(a), to_array(b)
    if a.shape != b.shape or a.ndim != 1 or len(a) == 0:
        raise ValueError(f"give one answer of both per image, got {a.shape} and {b.shape}")
    kinds = np.union1d(a, b)
    chance = sum((a == kind).mean() * (b == kind).mean() for kind in kinds)
    return _beyond((a == b).mean(), chance)


def fleiss_kappa(votes: object) -> float:
    """Agreement beyond chance of any number of raters, from ``votes (N, K)``: how many put image n into class k.

    Raises:
        ValueError: not a table, images with different numbers of votes, fewer than two votes.
    """
    votes = to_array(votes).astype(float)
    raters = votes.sum(1) if votes.ndim == 2 and len(votes) else np.zeros(1)
    if (raters != raters[0]).any() or raters[0] < 2:
        raise ValueError("give a table (images, classes) in which every image has the same number of votes, at least 2")
    n = raters[0]
    agreeing = ((votes**2).sum(1) - n) / (n * (n - 1))
    return _beyond(agreeing.mean(), ((votes.sum(0) / votes.sum()) ** 2).sum())


def _beyond(observed: float, chance: float) -> float:
    return float((observed - chance) / (1 - chance)) if chance < 1 else 1.0
