"""The remote clinic: cases decided with and without a program's advice. `RemoteClinic` is its logic."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from html import escape
from traceback import format_exc
from typing import NamedTuple

import numpy as np
from ipywidgets import HTML, Button, HBox, VBox

from medlab.metrics.intervals import to_array
from medlab.reader_study.advice import ALONE, AdviceReport, advice_report
from medlab.visualize.figures import PALETTE, Figure, subplots
from medlab.visualize.images import image_grid, pixels


class Case(NamedTuple):
    """What the reader sees: the image ``(H, W)`` or ``(H, W, 3)`` in [0, 1], and 1, 0 or `ALONE` for no advice."""

    image: np.ndarray
    advice: int


class RemoteClinic:
    """One reader's session: which case comes next, which advice stands beside it, and what was called.

    Every case is shown once, in random order. Every second one comes without advice; of the advised ones a fixed share
    is advised wrongly. The reader is told neither the truth nor the share before the end.

    Args:
        images: ``(N, C, H, W)`` in [0, 1].
        truth: ``(N,)`` of True and False.
        wrong: share of wrong advice among the advised cases, such as 0.1 or 0.3; rounded to whole cases, at least one.
        names: what False and True are called.
        seed: of the order, of who is advised, and of which advice is wrong.

    Raises:
        ValueError: fewer than four cases, truths of another number or kind, a share that leaves no wrong or no right
            advice.

    Example:
        >>> clinic = RemoteClinic(images, enlarged, wrong=0.3, names=("normal heart", "enlarged heart"))
        >>> clinic_widget(clinic)  # decide by click; `clinic.report()` gives the errors so far
    """

    def __init__(
        self, images: object, truth: object, *, wrong: float = 0.3, names: Sequence[str] = ("no", "yes"), seed: int = 0
    ) -> None:
        truth = to_array(truth)
        if truth.dtype != bool or truth.shape != (len(images),) or len(images) < 4:
            raise ValueError(f"give True or False for each of at least 4 images, got {truth.dtype} {truth.shape}")
        advised = len(truth) // 2
        misled = max(1, round(wrong * advised))
        if not 0 < wrong < 1 or misled == advised:
            raise ValueError(f"wrong is a share between 0 and 1, got {wrong} of {advised} advised cases")
        self.images, self.truth, self.names = images, truth, tuple(names)
        rng = np.random.default_rng(seed)
        self.order = rng.permutation(len(truth))
        given = rng.permutation(np.arange(len(truth)) % 2 == 1)  # by place in the order
        chosen = np.flatnonzero(given)
        self.advice = np.where(given, truth[self.order], ALONE).astype(int)
        self.advice[rng.permutation(chosen)[:misled]] ^= 1
        self.calls: list[bool] = []

    @property
    def done(self) -> bool:
        """Whether all cases are decided."""
        return len(self.calls) == len(self.order)

    def case(self) -> Case:
        """The case to be decided.

        Raises:
            ValueError: all are decided.
        """
        if self.done:
            raise ValueError("all cases are decided: look at report()")
        at = len(self.calls)
        return Case(pixels(self.images[self.order[at]]), int(self.advice[at]))

    def call(self, called: bool) -> None:
        """Keep the reader's call of the case shown; it cannot be taken back.

        Raises:
            ValueError: all are decided.
        """
        self.case()
        self.calls.append(bool(called))

    def call_all(self, reader: Callable[[bool, int], bool]) -> None:
        """Let `reader_study.simulated_reader` decide what is left: a function from truth and advice to a call."""
        while not self.done:
            at = len(self.calls)
            self.call(reader(bool(self.truth[self.order[at]]), int(self.advice[at])))

    def report(self) -> AdviceReport:
        """The reader's errors so far, alone and with advice.

        Raises:
            ValueError: no case decided yet.
        """
        n = len(self.calls)
        return advice_report(self.truth[self.order[:n]], np.array(self.calls, bool), self.advice[:n])


PAUSE = 0.6  # seconds; a key that is held down begins to repeat after about half of one


def clinic_widget(clinic: RemoteClinic, *, clock: Callable[[], float] = time.monotonic) -> VBox:
    """Decide the cases of `clinic` by click, or by Tab and Enter, until the reader's own numbers appear.

    The button pressed last keeps the focus, so that a held Enter would run through the cases: a press within `PAUSE` of
    the image or of the press before decides nothing.

    Args:
        clinic: decided further with every press.
        clock: gives seconds.
    """
    status, picture, told = HTML(), HTML(), HTML()
    buttons = [Button(description=name) for name in clinic.names]

    def show() -> None:
        if clinic.done:
            status.value = f'<div role="status">All {len(clinic.order)} cases are decided. Your numbers:</div>'
            picture.value = advice_plot({"you": clinic.report()}).html()
            told.value = f"<pre>{escape(str(clinic.report()))}</pre>"
            for button in buttons:
                button.disabled = True
            return
        image, advice = clinic.case()
        where = f"Case {len(clinic.calls) + 1} of {len(clinic.order)}"
        picture.value = image_grid(image[None], ncols=1, title=where).html()
        said = (
            "No advice: you decide alone." if advice == ALONE else f"The program advises: <b>{clinic.names[advice]}</b>"
        )
        status.value = f'<div role="status">{where}. {said}</div>'

    last = clock()

    def give(called: bool) -> None:
        nonlocal last
        try:
            if clock() - last < PAUSE:
                if "too quick" not in status.value:
                    status.value += '<div role="alert">That was too quick and decided nothing.</div>'
            else:
                clinic.call(called)
                show()
            last = clock()
        except Exception:
            status.value = f'<pre role="alert">{escape(format_exc())}</pre>'
            raise

    for called, button in zip((False, True), buttons):
        button.on_click(lambda _, called=called: give(called))
    show()
    return VBox([HTML(HELP), status, picture, HBox(buttons), told])


HELP = "<p>Decide each case. Some come with a program's advice, which may be wrong. No feedback before the end.</p>"


def advice_plot(reports: Mapping[str, AdviceReport]) -> Figure:
    """Shares of errors with their intervals, for each reader alone, with right and with wrong advice.

    Raises:
        ValueError: no report.
    """
    if not reports:
        raise ValueError("nothing to draw: give at least one report with its name")
    kinds = {"alone": "alone", "right advice": "right_advice", "wrong advice": "wrong_advice"}
    said = "; ".join(
        f"{name}: " + ", ".join(f"{kind} {100 * getattr(one, field).value:.0f} %" for kind, field in kinds.items())
        for name, one in reports.items()
    )
    fig, ax = subplots(alt=f"Errors of {said}.", size=(max(2.2 * len(reports) + 1.6, 4.6), 3.7))
    for k, (kind, field) in enumerate(kinds.items()):
        value, low, high = 100 * np.array([getattr(one, field) for one in reports.values()]).T
        places = np.arange(len(reports)) + 0.22 * (k - 1)
        ax.errorbar(places, value, [value - low, high - value], color=PALETTE[k], linestyle="", capsize=4, label=kind)
    ax.set_xticks(range(len(reports)), list(reports))
    ax.set(ylabel="errors (%), 95 % interval", ylim=(-2, 102), xlim=(-0.5, len(reports) - 0.5))
    ax.grid(False, axis="x")
    fig.legend(loc="outside upper center", ncols=len(kinds), fontsize=9)  # bars may reach anywhere within the axes
    return fig
