"""Answers of a visual Turing test on disk: one CSV file per rater, one line per answer, written and flushed at once.

A line is complete when its line break is there. If the computer fails in the middle of a line, that one answer is lost:
`read_answers` refuses such a file, `read_answers(..., mend=True)` (what a test that goes on uses) cuts the piece off,
and the image is asked again. Everything else that does not fit is refused, never guessed.
"""

import csv
import os
from collections import defaultdict
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medlab.reader_study.statistics import RaterAgreement, TuringReport, rater_agreement, turing_table, turing_test

KINDS = ("real", "synthetic")


class Answer(NamedTuple):
    """One line of an answer file.

    `test` is a fingerprint of the images, the same for all who see the same ones; `seed` decides the order; `trial`
    counts from 1 to `of`; `image` is the position in its own set, from 0; `truth` and `answer` are "real" or
    "synthetic"; `seconds` is the response time.
    """

    rater: str
    test: str
    seed: int
    trial: int
    of: int
    image: int
    truth: str
    answer: str
    seconds: float


HEADER = ",".join(Answer._fields)


def append_answer(path: str | Path, answer: Answer) -> None:
    """Add one line to the file, which is made if it is not there; it is on disk when this returns.

    Raises:
        OSError: the file cannot be written.
    """
    start_answers(path)
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerow([*answer[:-1], f"{answer.seconds:.3f}"])
    _append(path, text.getvalue())


def start_answers(path: str | Path) -> None:
    """Make the file, and its folder, with nothing but the header, if it is not there or empty.

    Raises:
        OSError: it cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.stat().st_size == 0:
        _append(path, HEADER + "\n")


def _append(path: str | Path, text: str) -> None:
    with Path(path).open("a", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read_answers(path: str | Path, *, mend: bool = False) -> list[Answer]:
    """The answers in a file, in the order in which they were given.

    Args:
        path: the file.
        mend: cut off an incomplete last line, in the file too, instead of refusing it.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: no answer file, cut short, or with lines that do not fit; says in which line and what to do.
    """
    path = Path(path)
    data = path.read_bytes()
    whole, cut = data[: data.rfind(b"\n") + 1], data[data.rfind(b"\n") + 1 :]
    try:
        lines = [line.rstrip("\r") for line in whole.decode().split("\n")[:-1]]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not an answer file: it is no text in UTF-8 ({error.reason})") from None
    piece = cut.decode(errors="replace")
    if lines[0] != HEADER if lines else not HEADER.startswith(piece):
        found = [*lines, piece][0]
        raise ValueError(
            f"{path} is not an answer file: its columns are `{found:.120}`, expected `{HEADER}`. Give the file that "
            "the test wrote; if a spreadsheet saved it anew, ask for the original."
        )
    if cut and not mend:
        raise ValueError(
            f"{path}: line {len(lines) + 1} is cut short ({piece!r:.60}), so the file was not written to its end. Open "
            "the test again with this file: it drops the piece and asks that image again. Or delete that line."
        )
    if cut:
        with path.open("rb+") as file:
            file.truncate(len(whole))
    rows = list(csv.reader(lines))
    answers = [_parse(path, line, row) for line, row in enumerate(rows[1:], start=2)]
    for line, answer in enumerate(answers, start=2):
        first = answers[0]
        if answer.trial != line - 1 or answer.trial > answer.of:
            raise ValueError(
                f"{path}: line {line} is trial {answer.trial} of {answer.of}, expected trial {line - 1}: lines are "
                "missing, doubled or out of order. Ask for the file as the test wrote it."
            )
        if (answer.rater, answer.test, answer.seed, answer.of) != (first.rater, first.test, first.seed, first.of):
            raise ValueError(
                f"{path}: line {line} belongs to another test or rater than line 2. Give every rater and every test a "
                "file of its own."
            )
    seen = {(answer.truth, answer.image) for answer in answers}
    if len(seen) < len(answers):
        raise ValueError(f"{path}: an image was answered twice. Ask for the file as the test wrote it.")
    return answers


def _parse(path: Path, line: int, row: list[str]) -> Answer:
    try:
        answer = Answer(*(field(cell) for field, cell in zip(Answer.__annotations__.values(), row, strict=True)))
    except ValueError:
        answer = None
    if answer is None or {answer.truth, answer.answer} - set(KINDS) or not 0 <= answer.seconds < float("inf"):
        raise ValueError(
            f"{path}: line {line} does not hold {HEADER}: {','.join(row)!r:.120}. Ask for the file as written."
        )
    return answer


def report_answers(answers: list[Answer], *, level: float = 0.95) -> TuringReport:
    """`turing_test` of the answers of one file.

    Raises:
        ValueError: no answer yet, or only one kind of image so far.
    """
    if not answers:
        raise ValueError("no answer yet: answer at least one real and one synthetic image")
    truth, called = (np.array([answer[at] == "synthetic" for answer in answers]) for at in (6, 7))
    return turing_test(truth, called, [answer.seconds for answer in answers], level=level)


@dataclass(frozen=True)
class ClassAnswers:
    """What `collect_answers` found: one report per rater, and per test (fingerprint) the agreement of its raters.

    `unfinished` says of whom not all images were answered. Printing it, or showing it, gives a Markdown table in the
    order of Han et al. 2018.
    """

    reports: dict[str, TuringReport]
    agreement: dict[str, RaterAgreement]
    unfinished: dict[str, str]

    def __str__(self) -> str:
        lines = [turing_table(self.reports), ""]
        lines += [f"Agreement, test {test}: {agreed}" for test, agreed in self.agreement.items()]
        lines += [f"Unfinished: {name} ({progress})" for name, progress in self.unfinished.items()]
        return "\n".join(lines)

    _repr_markdown_ = __str__


def collect_answers(folder: str | Path) -> ClassAnswers:
    """The answer files ``*.csv`` of a class in one table, with the agreement of those who saw the same images.

    Raises:
        FileNotFoundError: there is no file.
        ValueError: a file that `read_answers` refuses, a rater with two files, a file with one kind of image only.
    """
    files = sorted(Path(folder).glob("*.csv"))
    if not files:
        raise FileNotFoundError(f"no answer files (*.csv) in {folder}; give the folder into which you put the class's")
    found: dict[str, list[Answer]] = {}
    for file in files:
        answers = read_answers(file)
        name = answers[0].rater if answers else file.stem
        if name in found:
            raise ValueError(
                f"{file}: another file of rater {name!r} is there; keep one per rater (the name stands in its lines)"
            )
        found[name] = answers
    reports = {}
    for name, answers in found.items():
        try:
            reports[name] = report_answers(answers)
        except ValueError as error:
            raise ValueError(f"rater {name!r}: {error}. Ask to go on with the test, or leave the file out.") from None
    tests = defaultdict(dict)
    for name, answers in found.items():
        tests[answers[0].test][name] = {(each.truth, each.image): each.answer == "synthetic" for each in answers}
    agreement = {}
    for test, raters in tests.items():
        same = sorted(set.intersection(*(set(answers) for answers in raters.values())))
        if len(raters) > 1 and same:
            agreement[test] = rater_agreement({name: [said[key] for key in same] for name, said in raters.items()})
    unfinished = {
        name: f"{len(answers)} of {answers[0].of}" for name, answers in found.items() if len(answers) < answers[0].of
    }
    return ClassAnswers(reports, agreement, unfinished)
