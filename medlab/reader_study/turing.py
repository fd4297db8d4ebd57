"""The visual Turing test as an instrument: `TuringTest` is its logic, `turing_widget` its face; and its figure.

Protocol after Salimans et al., arXiv:1606.03498, section 4: real and synthetic images one by one in random order, no
feedback, since raters get better when they are told about their mistakes.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from html import escape
from io import BytesIO
from pathlib import Path
from traceback import format_exc

import numpy as np
import torch
from ipywidgets import HTML, Button, HBox, Text, VBox
from PIL import Image
from torch import Tensor

from medlab.errors import unknown_name
from medlab.metrics.intervals import to_array
from medlab.reader_study.answers import KINDS, Answer, append_answer, read_answers, report_answers, start_answers
from medlab.reader_study.statistics import TuringReport, turing_table
from medlab.visualize.figures import LINES, MARKERS, PALETTE, Figure, subplots
from medlab.visualize.images import pixels

KEYS = {"r": "real", "s": "synthetic"}
FASTEST = 0.2  # seconds; no one judges an image faster, a key held down or pressed twice does


class TuringTest:
    """One rater's test: which image comes next, what was answered, and the file that keeps it.

    All images are shown once, in an order that `seed` decides; the rater is not told which is which. Every answer is in
    the file before the next image is shown, so that a test with the same images, seed and file goes on where it
    stopped, also after the kernel died.

    Args:
        real, synthetic: ``(N, C, H, W)`` or ``(N, H, W)`` in [0, 1] or uint8, as many of each; tensors or arrays.
        file: the rater's answer file, made if it is not there.
        rater: a name for the tables; by default that of the file.
        seed: of the order. Raters of the same images may each have their own.
        clock: gives seconds, to measure response times with.

    Raises:
        ValueError: images of different sizes or numbers, outside [0, 1], or the same image twice; a file of another
            test, or one that `read_answers` refuses.
        OSError: the file cannot be written.

    Example:
        >>> test = TuringTest(real, synthetic, "answers/ann.csv", seed=1)
        >>> turing_widget(test)  # answer by R and S, or by click; `test.report()` gives the statistics
    """

    def __init__(
        self,
        real: object,
        synthetic: object,
        file: str | Path,
        *,
        rater: str | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.images = dict(zip(KINDS, _as_bytes(real, synthetic)))
        n = len(self.images["real"])
        self.file, self.seed, self.clock = Path(file), seed, clock
        self.rater = self.file.stem if rater is None else rater
        if not self.rater.strip() or not self.rater.isprintable():
            raise ValueError(f"rater {self.rater!r} is no name: give one line of letters")
        digest = sha256(str(self.images["real"].shape).encode())
        for images in self.images.values():
            digest.update(images.tobytes())
        self.fingerprint = digest.hexdigest()[:12]
        places = [(kind, index) for kind in KINDS for index in range(n)]
        self.order = [places[at] for at in np.random.default_rng(seed).permutation(2 * n)]
        start_answers(self.file)
        self.answers = read_answers(self.file, mend=True)
        self._check_file()
        self._size, self._shown = self.file.stat().st_size, None

    def _check_file(self) -> None:
        given = {"rater": self.rater, "test": self.fingerprint, "seed": self.seed, "of": len(self.order)}
        names = {"test": "images", "of": "number of images"}
        for answer, place in zip(self.answers[:1], self.order):
            differ = [names.get(name, name) for name, value in given.items() if getattr(answer, name) != value]
            if differ or (answer.truth, answer.image) != place:
                raise ValueError(
                    f"{self.file} belongs to a test with another {', another '.join(differ or ['order'])} (rater "
                    f"{answer.rater!r}, seed {answer.seed}, {answer.of} images). Go on with the same images, seed and "
                    "rater, or name a new file."
                )

    @property
    def trial(self) -> int:
        """Number of the image to be answered, from 1; one more than there are images when the test is over."""
        return len(self.answers) + 1

    @property
    def done(self) -> bool:
        """Whether all images are answered."""
        return len(self.answers) == len(self.order)

    def show(self) -> np.ndarray:
        """The image to be answered, uint8 ``(H, W)`` or ``(H, W, 3)``, and start the clock.

        Raises:
            ValueError: all are answered.
        """
        if self.done:
            raise ValueError("all images are answered: look at report()")
        kind, index = self.order[len(self.answers)]
        self._shown = self.clock()
        return (255 * pixels(self.images[kind][index])).round().astype(np.uint8)

    def answer(self, called: str, *, fastest: float = FASTEST) -> Answer | None:
        """Keep the answer "real" or "synthetic" to the image shown; None, and nothing kept, within `fastest` seconds.

        Raises:
            ValueError: another word, no image shown, or a file that someone else has written to meanwhile.
            OSError: the file cannot be written; the image is still to be answered.
        """
        if called not in KINDS:
            raise unknown_name("answer", called, KINDS)
        if self._shown is None:
            raise ValueError("no image is shown: call show() first")
        seconds = self.clock() - self._shown
        if seconds < fastest:
            return None
        if not self.file.exists() or self.file.stat().st_size != self._size:
            raise ValueError(f"{self.file} was changed by someone else: make the test anew, and it goes on")
        truth, index = self.order[len(self.answers)]
        line = (self.rater, self.fingerprint, self.seed, self.trial, len(self.order), index, truth, called)
        answer = Answer(*line, round(seconds, 3))
        append_answer(self.file, answer)
        self.answers.append(answer)
        self._size, self._shown = self.file.stat().st_size, None
        return answer

    def answer_all(self, rate: Callable[[Tensor], Tensor]) -> None:
        """Let a machine answer what is left, image by image: `rate` maps ``(1, C, H, W)`` in [0, 1] to True, synthetic.

        Raises:
            ValueError, OSError: as `answer`.
        """
        while not self.done:
            kind, index = self.order[len(self.answers)]
            self.show()
            called = bool(rate(torch.from_numpy(self.images[kind][index : index + 1]) / 255))
            self.answer(KINDS[called], fastest=0.0)

    def report(self) -> TuringReport:
        """The statistics of the answers so far.

        Raises:
            ValueError: no answer yet, or only one kind of image so far.
        """
        return report_answers(self.answers)


def _as_bytes(real: object, synthetic: object) -> list[np.ndarray]:
    """Both sets as uint8 ``(N, C, H, W)``, checked: what the rater will see, and nothing finer."""
    found = []
    for name, images in zip(KINDS, (real, synthetic)):
        images = to_array(images)
        images = images[:, None] if images.ndim == 3 else images
        if images.ndim != 4 or len(images) == 0 or images.shape[1] not in (1, 3):
            raise ValueError(f"{name} images must be (N, 1 or 3, H, W) or (N, H, W), got {images.shape}")
        if images.dtype != np.uint8:
            if not (images.min() >= 0 and images.max() <= 1):
                raise ValueError(
                    f"{name} images must lie in [0, 1], got {images.min():.3g} to {images.max():.3g}; "
                    "medlab.train.sample gives such images"
                )
            images = (255 * images).round().astype(np.uint8)
        found.append(np.ascontiguousarray(images))
    one, other = found
    if one.shape[1:] != other.shape[1:]:
        raise ValueError(
            f"real images are {one.shape[1:]}, synthetic ones {other.shape[1:]}: size alone tells them apart; load "
            f"the real ones with size={other.shape[-1]}, or take a generator of size {one.shape[-1]}"
        )
    if len(one) != len(other):
        raise ValueError(
            f"{len(one)} real and {len(other)} synthetic images: give as many of each, so that guessing scores one half"
        )
    seen = {}
    for name, images in zip(KINDS, found):
        for index, image in enumerate(images):
            twin = seen.setdefault(image.tobytes(), (name, index))
            if twin != (name, index):
                raise ValueError(
                    f"{name} image {index} is the same as {twin[0]} image {twin[1]}, pixel by pixel, and no image may "
                    "be shown twice; leave one out (a generator that repeats itself or its training images shows so)"
                )
    return found


def turing_widget(test: TuringTest, *, width: int = 320) -> VBox:
    """Show the images of `test` one by one; answer with the keys R and S, or by click, until the report appears.

    The keys go into a text field, which gets the focus at the start and back after every answer: JupyterLab leaves
    letters typed into a field alone, while R and S outside of one would change the cell. Response times are measured
    here, in the kernel: through a remote server they hold the way there and back.

    Args:
        test: answered further with every key; its file has each answer before the next image is shown.
        width: of the image on the page, in pixels.

    Example:
        >>> turing_widget(TuringTest(real, synthetic, "answers/ann.csv", seed=1))
    """
    begin, status, picture, report = Button(button_style="primary"), HTML(), HTML(), HTML()
    begin.description = f"Go on with image {test.trial}" if test.answers else "Start"
    field = Text(description="R or S:", placeholder="type here", layout={"width": "16em"}, continuous_update=True)
    buttons = {kind: Button(description=f"{kind.capitalize()} ({key.upper()})") for key, kind in KEYS.items()}
    everything = VBox([HTML(HELP), begin, status, picture, HBox([field, *buttons.values()]), report])

    def say(text: str, role: str = "status") -> None:
        status.value = f'<div role="{role}">{text}</div>'

    def show() -> None:
        if not test.done:
            say(f"Image {test.trial} of {len(test.order)}")
            picture.value = _img(test.show(), width, f"Image {test.trial} of {len(test.order)}, real or synthetic?")
            field.focus()
            return
        say(f"All {len(test.order)} images are answered. The answers are in {escape(str(test.file))}.")
        picture.value = ""
        report.value = _report_html(test)
        for control in (begin, field, *buttons.values()):
            control.disabled = True

    def guarded(step: Callable[[], None]) -> None:
        try:
            step()
        except Exception:
            say(f"<pre>{escape(format_exc())}</pre>", role="alert")
            raise

    def give(called: str) -> None:
        if begin.disabled and test.answer(called) is not None:
            show()
        else:
            field.focus()

    def typed(change: dict) -> None:
        letter = change["new"][-1:].lower()
        if not letter:
            return
        field.value = ""
        if letter in KEYS and begin.disabled:
            guarded(lambda: give(KEYS[letter]))
        elif begin.disabled:
            say(f"Image {test.trial} of {len(test.order)}: type R for real or S for synthetic")
        else:
            say("Press the button first")

    def started(_: object) -> None:
        begin.disabled = True
        guarded(show)

    begin.on_click(started)
    field.observe(typed, names="value")
    for kind, button in buttons.items():
        button.on_click(lambda _, kind=kind: guarded(lambda: give(kind)))
    if test.done:
        show()
    return everything


HELP = (
    "<p>Is each image <b>real</b> or <b>synthetic</b>? There are as many of both. Type <b>R</b> or <b>S</b>, or click. "
    "Answers are saved one by one and cannot be taken back. There is no feedback before the end.</p>"
)


def _img(image: np.ndarray, width: int, alt: str) -> str:
    file = BytesIO()
    Image.fromarray(image).save(file, format="png")
    source = b64encode(file.getvalue()).decode()
    style = "image-rendering: pixelated; max-width: 100%; height: auto"
    return f'<img alt="{escape(alt)}" width="{width}" style="{style}" src="data:image/png;base64,{source}">'


def _report_html(test: TuringTest) -> str:
    report = test.report()
    head, _, row = (line.strip("| ").split(" | ") for line in turing_table({test.rater: report}).splitlines())
    left = 'style="text-align: left"'
    cells = [f"<{tag} {left}>{escape(cell)}</{tag}>" for tag, line in (("th", head), ("td", row)) for cell in line]
    table = f"<table><tr>{''.join(cells[: len(head)])}</tr><tr>{''.join(cells[len(head) :])}</tr></table>"
    return f"{table}<pre>{escape(str(report))}</pre>"


def turing_plot(reports: Mapping[str, TuringReport]) -> Figure:
    """Who can tell: accuracy with its exact interval, and what was called synthetic among real and synthetic images.

    On the diagonal of the right panel both kinds are called synthetic equally often: a rater sees no difference there,
    whatever the accuracy. The further above it, the larger d'; lower left prefers "real", upper right "synthetic".

    Raises:
        ValueError: no report.
    """
    if not reports:
        raise ValueError("nothing to draw: give at least one report with its name")
    said = "; ".join(
        f"{name} {100 * one.accuracy.value:.0f} % ({100 * one.accuracy.low:.0f} to {100 * one.accuracy.high:.0f}), "
        f"d' {one.d_prime.value:.2f}, leaning to {one.bias}"
        for name, one in reports.items()
    )
    alt = f"Accuracy with 95 % interval, chance is 50 %; and d': {said}."
    fig, (left, right) = subplots(1, 2, alt=alt, size=(9, max(3.6, 0.32 * len(reports) + 1.2)))
    for i, (name, one) in enumerate(reports.items()):
        style = {"color": PALETTE[i % len(PALETTE)], "marker": MARKERS[i % len(MARKERS)]}
        value, low, high = (100 * part for part in one.accuracy)
        left.plot([low, high], [i, i], color=style["color"], linestyle="-", marker="|", linewidth=1.6)
        left.plot(value, i, linestyle="", **style)
        alarms = 100 * one.real_as_synth / (one.real_as_real + one.real_as_synth)
        hits = 100 * one.synth_as_synth / (one.synth_as_real + one.synth_as_synth)
        right.plot(alarms, hits, linestyle="", label=f"{name}, d' {one.d_prime.value:.2f}", **style)
    left.axvline(50, color="0.4", linestyle=LINES[3], marker="")
    left.set_yticks(range(len(reports)), list(reports))
    left.invert_yaxis()
    left.margins(y=0.15)
    left.set(xlabel="right answers (%), exact 95 % interval", xlim=(-2, 102))
    right.plot([0, 100], [0, 100], color="0.4", linestyle=LINES[3], marker="", label="no difference seen")
    right.set(xlabel="real images called synthetic (%)", ylabel="synthetic images\ncalled synthetic (%)")
    right.set(xlim=(-3, 103), ylim=(-3, 103), aspect="equal")
    right.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return fig
