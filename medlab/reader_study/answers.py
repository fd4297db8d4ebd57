"""Reader study: answer files of the visual Turing test, a CSV file per rater, a line per answer, flushed at once.

A line is complete when its line break is there. If the computer fails in the middle of a line, that one answer is lost:
`read_answers` refuses such a file, `read_answers(..., repair=True)` (as a test that is resumed does) cuts the partial
line off, and the image is asked again. Everything else that does not fit is refused, never guessed.
"""

import csv
from collections import defaultdict
from dataclasses import dataclass
from html import escape
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medlab.reader_study.statistics import RaterAgreement, TuringReport, rater_agreement, turing_table, turing_test
from medlab.storage import append
from medlab.text import from_spreadsheet, to_spreadsheet

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
ASK = "Ask for the file as the test wrote it, not as a spreadsheet saved it."


def append_answers(path: str | Path, *answers: Answer) -> None:
    """Append answers to a file, created with its folder and header if need be; they are on disk on return.

    Raises:
        OSError: the file cannot be written; it is left as it was.
    """
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([to_spreadsheet(answer.rater), *answer[1:-1], f"{answer.seconds:.3f}"] for answer in answers)
    append(path, text.getvalue(), head=HEADER + "\n")


def read_answers(path: str | Path, *, repair: bool = False) -> list[Answer]:
    """Read the answers of a file, in the order in which they were given.

    Args:
        path: the file.
        repair: cut off an incomplete last line, in the file too, instead of refusing it.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: not an answer file, cut short, or with lines that do not fit.
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
        raise ValueError(f"{path} is not an answer file: its columns are `{found:.120}`, expected `{HEADER}`. {ASK}")
    if cut and not repair:
        raise ValueError(
            f"{path}: line {len(lines) + 1} is cut short ({piece!r:.60}); resume the test to repair it, or delete it"
        )
    if cut:
        with path.open("rb+") as file:
            file.truncate(len(whole))
    try:
        rows = list(csv.reader(lines))[1:]
    except csv.Error as error:
        raise ValueError(f"{path} is not an answer file: {error}. {ASK}") from None
    answers = [_parse(path, line, row) for line, row in enumerate(rows, start=2)]
    for line, answer in enumerate(answers, start=2):
        first = answers[0]
        if answer.trial != line - 1 or answer.trial > answer.of:
            raise ValueError(
                f"{path}: line {line} is trial {answer.trial} of {answer.of}, expected {line - 1}: missing lines? {ASK}"
            )
        if (answer.rater, answer.test, answer.seed, answer.of) != (first.rater, first.test, first.seed, first.of):
            raise ValueError(f"{path}: line {line} belongs to another test or rater than line 2. {ASK}")
    if len({(answer.truth, answer.image) for answer in answers}) < len(answers):
        raise ValueError(f"{path}: an image was answered twice. {ASK}")
    return answers


def _parse(path: Path, line: int, row: list[str]) -> Answer:
    try:
        answer = Answer(*(field(cell) for field, cell in zip(Answer.__annotations__.values(), row, strict=True)))
        answer = answer._replace(rater=from_spreadsheet(answer.rater))
    except ValueError:
        answer = None
    if (
        answer is None
        or {answer.truth, answer.answer} - set(KINDS)
        or not 0 <= answer.seconds < float("inf")
        or not (answer.rater.strip() and answer.rater.isprintable())
    ):
        raise ValueError(f"{path}: line {line} does not hold {HEADER}: {','.join(row)!r:.120}. {ASK}")
    return answer


def report_answers(answers: list[Answer]) -> TuringReport:
    """Statistics of the answers of one file, see `turing_test`.

    Raises:
        ValueError: no answer yet, or only one kind of image so far.
    """
    if not answers:
        raise ValueError("no answer yet: answer at least one real and one synthetic image")
    truth = np.array([one.truth == "synthetic" for one in answers])
    given = np.array([one.answer == "synthetic" for one in answers])
    return turing_test(truth, given, [one.seconds for one in answers])


@dataclass(frozen=True)
class CollectedAnswers:
    """Result of `collect_answers`: a report per rater, and per test (fingerprint) the agreement of its raters.

    `unfinished` has the progress of raters who have not answered all images; `left_out` says, by file, why it could not
    be read or counted. Printed or displayed, it is the `turing_table` of the raters with these.
    """

    reports: dict[str, TuringReport]
    agreement: dict[str, RaterAgreement]
    unfinished: dict[str, str]
    left_out: dict[str, str]

    def _notes(self) -> str:
        lines = [f"Agreement, test {test}: {agreement}" for test, agreement in self.agreement.items()]
        lines += [f"Unfinished: {name} ({progress})" for name, progress in self.unfinished.items()]
        lines += [f"{len(self.left_out)} left out:"] * bool(self.left_out)
        return "\n".join(lines + [f"  {name}: {reason}" for name, reason in self.left_out.items()])

    def __str__(self) -> str:
        return f"{turing_table(self.reports).to_string()}\n\n{self._notes()}"

    def _repr_html_(self) -> str:
        return f"{turing_table(self.reports).to_html(border=0)}<pre>{escape(self._notes())}</pre>"


def collect_answers(folder: str | Path) -> CollectedAnswers:
    """Collect the reports of all answer files ``*.csv`` in a folder, with the agreement of raters of the same images.

    A file that `read_answers` refuses, the second one of a rater, and one with answers to one kind of image only are
    left out, and named.

    Raises:
        FileNotFoundError: there is no file.
        ValueError: no answer in any file.
    """
    files = sorted(Path(folder).glob("*.csv"))
    if not files:
        raise FileNotFoundError(f"no answer files (*.csv) in {folder}; give the folder with those of the class")
    tests: defaultdict[str, dict] = defaultdict(dict)
    reports, agreement, unfinished, left_out = {}, {}, {}, {}
    for file in files:
        try:
            answers = read_answers(file)
            if not answers:  # opened and not begun
                unfinished[file.stem] = "none"
                continue
            name = answers[0].rater
            if name in reports:
                raise ValueError(f"another file of rater {name!r} is there; keep one per rater")
            reports[name] = report_answers(answers)
        except (OSError, ValueError) as error:
            left_out[file.name] = str(error).removeprefix(f"{file}: ")
            continue
        tests[answers[0].test][name] = {(one.truth, one.image): one.answer == "synthetic" for one in answers}
        if len(answers) < answers[0].of:
            unfinished[name] = f"{len(answers)} of {answers[0].of}"
    if not reports:
        reasons = [*unfinished, *(f"{name} ({reason})" for name, reason in left_out.items())]
        raise ValueError(f"no answers yet in the files of {folder}: {', '.join(reasons)}")
    for test, raters in tests.items():
        same = sorted(set.intersection(*map(set, raters.values())))
        if len(raters) > 1 and same:
            agreement[test] = rater_agreement({name: [given[key] for key in same] for name, given in raters.items()})
    return CollectedAnswers(reports, agreement, unfinished, left_out)
