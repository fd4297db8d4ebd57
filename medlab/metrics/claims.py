"""A claim: declared before anything is trained, and judged by the interval of a paired difference.

Five verdicts, so that an experiment that was planned has an answer:

| verdict                     | when                                                                                |
| --------------------------- | ----------------------------------------------------------------------------------- |
| held                        | the interval lies above 0; it matters if it lies above the margin                    |
| did not hold                | the interval lies below 0                                                           |
| no difference that matters  | the interval lies inside plus and minus the margin, whatever its sign               |
| no room                     | else or inside, and the experiment could not have answered: the baseline is at its  |
|                             | ceiling, or the control, whose effect is known, did not move                        |
| cannot tell                 | else: the outcome says which difference could have been found                       |

A claim to be "as good as" holds where the interval lies above minus the margin, and does not where it lies below.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from medlab.metrics.intervals import LEAST, Interval, paired_difference, to_array
from medlab.metrics.power import smallest_detectable

HELD, NOT_HELD, SAME = "held", "did not hold", "no difference that matters"
NO_ROOM, UNDECIDED = "no room", "cannot tell"


@dataclass(frozen=True)
class Claim:
    """What is compared, and the smallest difference that matters; printing it gives the plan.

    Args:
        name: the claim in words, such as "three convolutions beat one".
        better: name of the method that is claimed to be better.
        baseline: name of the method that it is compared with, at equal budget.
        metric: the score, such as "balanced accuracy".
        margin: smallest difference that matters, in the unit of the score.
        reason: why a smaller one would change nothing.
        seeds: planned number of seeds, from a pilot (`seeds_needed`).
        images: what it is tested on, and which patients a seed has.
        control: name of a method that is known to beat the baseline: the experiment must see that.
        floor, ceiling: score by chance, and the best possible one.
        paper: the paper's own figures, with where they were read.
        primary: whether it is the lesson's main claim; the others share a family.
        lower_is_better: for errors and distances.
        as_good_as: the claim is not to be better, but to be worse by less than the margin.

    Raises:
        ValueError: a margin that is not positive, fewer than three seeds, a floor above the ceiling.
    """

    name: str
    better: str
    baseline: str
    metric: str
    margin: float
    reason: str
    seeds: int
    images: str
    control: str | None = None
    floor: float | None = None
    ceiling: float | None = None
    paper: str = ""
    primary: bool = False
    lower_is_better: bool = False
    as_good_as: bool = False

    def __post_init__(self) -> None:
        if not self.margin > 0:
            raise ValueError(f"{self.name}: margin must be positive, got {self.margin}; name a difference that matters")
        if self.seeds < LEAST:
            raise ValueError(f"{self.name}: {self.seeds} seeds planned; there is no interval from fewer than {LEAST}")
        if self.floor is not None and self.ceiling is not None and not self.floor < self.ceiling:
            raise ValueError(f"{self.name}: floor {self.floor} must lie below ceiling {self.ceiling}")

    def __str__(self) -> str:
        versus = "as good as" if self.as_good_as else "less than" if self.lower_is_better else "more than"
        ends = [
            f"{end} {value:g}" for end, value in (("floor", self.floor), ("ceiling", self.ceiling)) if value is not None
        ]
        return "\n".join(
            [
                f"{'Primary claim' if self.primary else 'Claim'}: {self.name}",
                f"  {self.metric}: {self.better} {versus} {self.baseline}, on {self.images}",
                f"  margin {self.margin:g}: {self.reason}",
                f"  {self.seeds} seeds; " + ", ".join([f"control: {self.control or 'none'}", *ends]),
            ]
        )

    def to_dict(self) -> dict:
        """The claim as JSON holds it; ``Claim(**claim.to_dict())`` is the same claim."""
        return asdict(self)

    def difference(self, scores: Mapping[str, Sequence], arm: str | None = None) -> np.ndarray:
        """Differences to the baseline ``(S,)`` or ``(S, P)``, of `arm` or of the better method; above 0 is better.

        Raises:
            ValueError: no scores of a method of this claim, or scores of other seeds or patients than the baseline's.
        """
        names = (arm or self.better, self.baseline)
        if missing := [name for name in names if name not in scores]:
            raise ValueError(f"{self.name}: no scores of {missing[0]!r}; there are those of {', '.join(scores)}")
        a, b = (to_array(scores[name]).astype(float) for name in names)
        if a.shape != b.shape:
            raise ValueError(f"{self.name}: {names[0]} has scores of shape {a.shape}, {names[1]} {b.shape}; pair them")
        return b - a if self.lower_is_better else a - b


@dataclass(frozen=True)
class Outcome:
    """What came out of a claim: `difference` and `control` to the baseline, above 0 where the claim is right.

    `matters` is True where all of the interval lies above the margin; `detectable` is the difference that so many seeds
    find in 80 % of experiments. `seeds` may be fewer than the claim's plan: then nothing is decided yet.
    """

    claim: Claim
    difference: Interval
    control: Interval | None
    baseline: float
    detectable: float
    seeds: int
    level: float
    verdict: str

    @property
    def matters(self) -> bool:
        """Whether it held and the whole interval lies above the margin."""
        return self.verdict == HELD and self.difference.low > self.claim.margin

    @property
    def decided(self) -> bool:
        """Whether the verdict is an answer."""
        return self.verdict not in (NO_ROOM, UNDECIDED)

    @property
    def words(self) -> str:
        """The verdict; where a claim to be better held, also whether that matters."""
        if self.verdict != HELD or self.claim.as_good_as:
            return self.verdict
        return f"{HELD}, {'and it matters' if self.matters else 'by how much is open'}"

    def __str__(self) -> str:
        lines = [f"{self.claim.name}: {self.words}"]
        seeds = f"{self.seeds} of {self.claim.seeds} planned seeds, {100 * self.level:.4g} % interval"
        lines += [
            f"  {self.claim.metric}, {self.claim.better} against {self.claim.baseline}: {self.difference:.3g}",
            f"  margin {self.claim.margin:g}; {seeds}",
        ]
        if self.control is not None:
            lines += [f"  control {self.claim.control}: {self.control:.3g}"]
        if not self.decided and np.isfinite(self.detectable):  # of one or two seeds nothing is
            lines += [f"  this run could have found a difference of {self.detectable:.3g}"]
        return "\n".join(lines)


def verdict(difference: Interval, margin: float = 0.0, *, as_good_as: bool = False, room: bool = True) -> str:
    """The verdict on a claim by the interval of its difference, see the table of this module.

    Args:
        difference: score of the method claimed to be better minus that of the other, e.g. from `paired_difference`.
        margin: the smallest difference that matters, 0 or above.
        as_good_as: the claim is that the difference is above ``-margin``.
        room: False where the experiment could not have shown a difference.

    Raises:
        TypeError: a difference that is no `Interval`.
        ValueError: a negative margin.
    """
    if not isinstance(difference, Interval):
        raise TypeError(f"difference must be an Interval, as paired_difference gives it, got {difference!r}")
    if margin < 0:
        raise ValueError(f"margin must be 0 or above, got {margin}; it is the size of a difference, without a sign")
    low, high = difference.low, difference.high
    if as_good_as:
        return HELD if low > -margin else NOT_HELD if high < -margin else UNDECIDED
    if -margin < low and high < margin:
        return SAME if room else NO_ROOM
    if low > 0:
        return HELD
    if high < 0:
        return NOT_HELD
    return UNDECIDED if room else NO_ROOM


def judge(claims: Sequence[Claim], scores: Mapping[str, Mapping[str, Sequence]], level: float = 0.95) -> list[Outcome]:
    """Judge the claims of one experiment.

    The primary claim is judged at this level. The others share a family: with k of them each is judged at
    ``1 - (1 - level) / k`` (Bonferroni, stricter than Holm), so that all their intervals hold together.

    Args:
        claims: at most one of them primary.
        scores: by metric, then by method: one score per seed ``(S,)``, in the same order, or per seed and patient
            ``(S, P)`` where all seeds share their patients.
        level: of the intervals.

    Raises:
        ValueError: two primary claims, a metric or a method without scores, different numbers of seeds.
    """
    if sum(claim.primary for claim in claims) > 1:
        raise ValueError(f"one claim is primary, not {sum(claim.primary for claim in claims)}: choose")
    family = sum(not claim.primary for claim in claims)
    return [_outcome(claim, scores, level if claim.primary else 1 - (1 - level) / family) for claim in claims]


def _outcome(claim: Claim, scores: Mapping[str, Mapping[str, Sequence]], level: float) -> Outcome:
    if claim.metric not in scores:
        raise ValueError(f"{claim.name}: no scores of {claim.metric!r}; there are those of {', '.join(scores)}")
    scores = scores[claim.metric]
    gaps = claim.difference(scores)
    baseline = float(to_array(scores[claim.baseline]).mean())
    difference, control = _interval(claim, gaps, level), None
    room = True
    if claim.control is not None:
        control = _interval(claim, claim.difference(scores, claim.control), level)
        room = control.value >= claim.margin and control.low > 0
    best = claim.floor if claim.lower_is_better else claim.ceiling
    if best is not None:
        room = room and abs(best - baseline) >= claim.margin
    seeds = len(gaps)
    by_seed = gaps if gaps.ndim == 1 else gaps.mean(1)
    found = verdict(difference, claim.margin, as_good_as=claim.as_good_as, room=room)
    return Outcome(
        claim,
        difference,
        control,
        baseline,
        smallest_detectable(by_seed, level=level) if seeds >= LEAST else float("inf"),
        seeds,
        level,
        found if seeds >= claim.seeds else UNDECIDED,
    )


def _interval(claim: Claim, gaps: np.ndarray, level: float) -> Interval:
    """Interval of the mean difference; where all seeds are alike, from the ends of the score."""
    if len(gaps) < LEAST:
        return Interval(float(gaps.mean()), float("nan"), float("nan"))
    bounds = None
    if claim.floor is not None and claim.ceiling is not None:
        bounds = claim.floor - claim.ceiling, claim.ceiling - claim.floor
    return paired_difference(gaps, np.zeros_like(gaps), level, bounds)
