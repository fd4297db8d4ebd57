"""Reader study: the visual Turing test of one rater, without its widget.

Protocol after Salimans et al., arXiv:1606.03498, section 4: real and synthetic images one by one in random order, no
feedback, since raters get better when they are told about their mistakes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from medlab.errors import unknown_name_error, whole_number
from medlab.metrics.image_checks import check_images
from medlab.metrics.intervals import to_array
from medlab.reader_study.answers import KINDS, Answer, append_answers, read_answers, report_answers
from medlab.reader_study.statistics import TuringReport
from medlab.visualize.images import pixels

MIN_SECONDS = 0.2  # no one judges an image faster; a key held down or pressed twice does


class TuringTest:
    """Visual Turing test of one rater: images in random order, and a file of the answers.

    All images are shown once, in an order decided by `seed`; the rater is blinded to which is which. Every answer is in
    the file before the next image is shown, so that a test with the same images, seed and file resumes where it
    stopped, also after the kernel died.

    Args:
        real, synthetic: ``(N, C, H, W)`` or ``(N, H, W)`` in [0, 1] or uint8, as many of each; tensors or arrays.
        file: answer file of the rater, created if it is not there.
        rater: name in the tables; by default that of the file.
        seed: of the order. Raters of the same images may each have their own.
        clock: returns seconds, to measure response times.

    Raises:
        ValueError: images of different sizes or numbers, outside [0, 1], or the same image twice; a file of another
            test, or one that `read_answers` refuses.
        OSError: the file cannot be written.

    Example:
        >>> import numpy as np
        >>> from medlab.reader_study import TuringTest
        >>> real, synthetic = np.random.default_rng(0).random((2, 10, 32, 32))
        >>> test = TuringTest(real, synthetic, "answers/ann.csv", seed=1)
        >>> test.trial, len(test.order)
        (1, 20)
    """

    def __init__(
        self,
        real: ArrayLike,
        synthetic: ArrayLike,
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
            raise ValueError(f"rater {self.rater!r} is no name: give one printable line")
        shown = [str(self.images["real"].shape).encode(), *(images.tobytes() for images in self.images.values())]
        self.fingerprint = sha256(b"".join(shown)).hexdigest()[:12]
        places = [(kind, index) for kind in KINDS for index in range(n)]
        self.order = [places[at] for at in np.random.default_rng(whole_number("seed", seed, 0)).permutation(2 * n)]
        append_answers(self.file)  # none yet: a file that cannot be written is found now
        self.answers = read_answers(self.file, repair=True)
        self._check_file()
        self._size = self.file.stat().st_size
        self._shown: float | None = None

    def _check_file(self) -> None:
        given = {"rater": self.rater, "test": self.fingerprint, "seed": self.seed, "of": len(self.order)}
        names = {"test": "images", "of": "number of images"}
        for answer, place in zip(self.answers[:1], self.order):
            differ = [names.get(name, name) for name, value in given.items() if getattr(answer, name) != value]
            if differ or (answer.truth, answer.image) != place:
                raise ValueError(
                    f"{self.file} belongs to a test of another kind: {', '.join(differ or ['order'])} differ (rater "
                    f"{answer.rater!r}, seed {answer.seed}, {answer.of} images). Resume with the same images, seed "
                    "and rater, or name a new file."
                )

    @property
    def trial(self) -> int:
        """Number of the current image, from 1; one more than there are images when the test is done."""
        return len(self.answers) + 1

    @property
    def done(self) -> bool:
        """Whether all images have been answered."""
        return len(self.answers) == len(self.order)

    def show(self) -> np.ndarray:
        """Return the current image, uint8 ``(H, W)`` or ``(H, W, 3)``, and start the clock.

        Raises:
            ValueError: all are answered.
        """
        if self.done:
            raise ValueError("all images are answered: look at report()")
        kind, index = self.order[len(self.answers)]
        self._shown = self.clock()
        return (255 * pixels(self.images[kind][index])).round().astype(np.uint8)

    def answer(self, answer: str, *, min_seconds: float = MIN_SECONDS) -> Answer | None:
        """Save the answer "real" or "synthetic" to the image shown; None, and nothing saved, within `min_seconds`.

        Raises:
            ValueError: another word, no image shown, or a file that someone else has written to meanwhile.
            OSError: the file cannot be written; the image is still to be answered.
        """
        if answer not in KINDS:
            raise unknown_name_error("answer", answer, KINDS)
        if self._shown is None:
            raise ValueError("no image is shown: call show() first")
        seconds = self.clock() - self._shown
        if seconds < min_seconds:
            return None
        if not self.file.exists() or self.file.stat().st_size != self._size:
            raise ValueError(f"{self.file} was changed by someone else: create the test again, and it resumes")
        truth, index = self.order[len(self.answers)]
        line = (self.rater, self.fingerprint, self.seed, self.trial, len(self.order), index, truth, answer)
        saved = Answer(*line, round(seconds, 3))
        append_answers(self.file, saved)
        self.answers.append(saved)
        self._size, self._shown = self.file.stat().st_size, None
        return saved

    def answer_all(self, rate: Callable[[Tensor], Tensor]) -> None:
        """Answer the remaining images by a machine rater: `rate` maps ``(1, C, H, W)`` in [0, 1] to True, synthetic.

        Raises:
            ValueError, OSError: as `answer`.
        """
        while not self.done:
            kind, index = self.order[len(self.answers)]
            self.show()
            synthetic = bool(rate(torch.from_numpy(self.images[kind][index : index + 1]) / 255))
            self.answer(KINDS[synthetic], min_seconds=0.0)

    def report(self) -> TuringReport:
        """Statistics of the answers so far.

        Raises:
            ValueError: no answer yet, or only one kind of image so far.
        """
        return report_answers(self.answers)


def _as_bytes(real: ArrayLike, synthetic: ArrayLike) -> list[np.ndarray]:
    """Both sets as uint8 ``(N, C, H, W)``, checked: exactly what the rater will see."""
    sets = []
    for name, images in zip(KINDS, (real, synthetic)):
        images = to_array(images)
        images = check_images(images[:, None] if images.ndim == 3 else images, f"{name} images")
        if images.shape[1] not in (1, 3):
            raise ValueError(f"{name} images must have 1 or 3 channels, got {tuple(images.shape)}")
        sets.append((255 * images.double()).round().byte().numpy())
    one, other = (images.shape for images in sets)
    if one[1:] != other[1:]:
        raise ValueError(
            f"real images are {one[1:]}, synthetic ones {other[1:]}: the size tells them apart; load the real ones "
            f"with size={other[-1]}, or take a generator of size {one[-1]}"
        )
    if one[0] != other[0]:
        raise ValueError(f"{one[0]} real and {other[0]} synthetic images: give as many of each, so chance is one half")
    seen: dict[bytes, str] = {}
    for name, image in zip([f"{kind} image {i}" for kind in KINDS for i in range(one[0])], np.concatenate(sets)):
        twin = seen.setdefault(image.tobytes(), name)
        if twin != name:
            raise ValueError(
                f"{name} is the same as {twin}, pixel by pixel, and no image may be shown twice; leave one out (a "
                "generator may repeat itself or its training images)"
            )
    return sets
