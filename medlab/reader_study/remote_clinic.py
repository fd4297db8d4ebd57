"""Reader study: the remote clinic, where a reader decides cases with and without advice; without its widget."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from medlab.errors import whole_number
from medlab.metrics.intervals import to_array
from medlab.reader_study.advice import NO_ADVICE, AdviceReport, advice_report
from medlab.visualize.images import pixels


class RemoteClinic:
    """Session of one reader: cases in random order, the advice given with each, and the decisions.

    Half of the cases, chosen at random, come without advice; for a fixed share of the others the advice is wrong. The
    reader is told neither the truth nor the share before the end.

    Args:
        images: ``(N, C, H, W)`` in [0, 1].
        truth: ``(N,)`` of True and False.
        wrong: share of wrong advice among the advised cases, such as 0.1 or 0.3; rounded to whole cases, at least one.
        names: of the decisions False and True.
        seed: of the order, of who is advised, and of which advice is wrong.

    Raises:
        ValueError: fewer than four cases, truths of another number or kind, a share that leaves no wrong or no right
            advice.

    Example:
        >>> import numpy as np
        >>> from medlab.reader_study import RemoteClinic, simulated_reader
        >>> images, enlarged = np.random.default_rng(0).random((40, 1, 32, 32)), np.arange(40) % 2 == 0
        >>> clinic = RemoteClinic(images, enlarged, wrong=0.3, names=("normal heart", "enlarged heart"))
        >>> clinic.decide_all(simulated_reader(skill=0.8, trust=0.5))
        >>> clinic.report().cases
        {'alone': 20, 'right advice': 14, 'wrong advice': 6}
    """

    def __init__(
        self,
        images: Tensor | np.ndarray,
        truth: ArrayLike,
        *,
        wrong: float = 0.3,
        names: Sequence[str] = ("no", "yes"),
        seed: int = 0,
    ) -> None:
        truth = to_array(truth)
        if truth.dtype != bool or truth.shape != (len(images),) or len(images) < 4:
            raise ValueError(f"give True or False for each of at least 4 images, got {truth.dtype} {truth.shape}")
        advised = len(truth) // 2
        misled = max(1, round(wrong * advised))
        if not 0 < wrong < 1 or misled == advised:
            raise ValueError(f"wrong is a share between 0 and 1, got {wrong} of {advised} advised cases")
        if len(names) != 2:
            raise ValueError(f"names are two, of the decisions False and True, got {names}")
        self.images, self.truth, self.names = images, truth, tuple(names)
        rng = np.random.default_rng(whole_number("seed", seed, 0))
        self.order = rng.permutation(len(truth))
        given = rng.permutation(np.arange(len(truth)) % 2 == 1)  # by position in the order
        self.advice = np.where(given, truth[self.order], NO_ADVICE).astype(int)
        self.advice[rng.permutation(np.flatnonzero(given))[:misled]] ^= 1
        self.decisions: list[bool] = []

    @property
    def done(self) -> bool:
        """Whether all cases are decided."""
        return len(self.decisions) == len(self.order)

    def case(self) -> tuple[np.ndarray, int]:
        """The current case: image ``(H, W)`` or ``(H, W, 3)`` in [0, 1], and the advice, 1, 0 or `NO_ADVICE`.

        Raises:
            ValueError: all are decided.
        """
        if self.done:
            raise ValueError("all cases are decided: look at report()")
        at = len(self.decisions)
        return pixels(self.images[self.order[at]]), int(self.advice[at])

    def decide(self, decision: bool) -> None:
        """Save the reader's decision of the current case; it cannot be taken back.

        Raises:
            ValueError: all are decided.
        """
        self.case()
        self.decisions.append(bool(decision))

    def decide_all(self, reader: Callable[[bool, int], bool]) -> None:
        """Decide the remaining cases by a `simulated_reader`: a function from truth and advice to a decision."""
        while not self.done:
            at = len(self.decisions)
            self.decide(reader(bool(self.truth[self.order[at]]), int(self.advice[at])))

    def report(self) -> AdviceReport:
        """Errors of the reader so far, alone and with advice.

        Raises:
            ValueError: no case decided yet.
        """
        n = len(self.decisions)
        return advice_report(self.truth[self.order[:n]], np.array(self.decisions, bool), self.advice[:n])
