"""Marks of submitted notebooks, by the lesson's own checks: the code of a submission runs in another process.

Of each lesson every check counts, whether or not the submission still holds its cell.
"""

import inspect
import os
import re
import symtable
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from medlab.classroom.editions import LESSON, read_lesson, tags

SECONDS = 300  # of an exercise, as in nbgrader's configuration
CHECK = re.compile(r"check\.(\w+)\(([\w, ]+)\);?")
# What an answer has no need of: ways to the code of the checks, to this process, or to other checks
SUSPECT = re.compile(
    r"medlab\.classroom\.|medlab\.classroom import (?!check\b)|from medlab import classroom|importlib|sys\.modules"
    r"|_getframe|currentframe|f_back|f_locals|get_objects|/proc/|ptrace|MEDLAB_STRICT|NBGRADER"
    r"|\bcheck(\.\w+)?\s*=[^=]|class check\b"
)


class Check(NamedTuple):
    """A check of a lesson: its name, the names of the functions it is given, and its cell."""

    name: str
    functions: list[str]
    source: str


@dataclass(frozen=True)
class Mark:
    """Whether an exercise is solved, and what its check says."""

    exercise: str
    passed: bool
    text: str


@dataclass(frozen=True)
class Marks:
    """What a submission is worth. Printing it gives a line, and one for each thing to look at.

    `lesson` is None where the file is none; `flags` are reasons to look at it, and `notes` what its name or place says.
    """

    path: Path
    lesson: str | None
    marks: list[Mark] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all exercises are solved, and nothing is to be looked at."""
        return self.lesson is not None and all(mark.passed for mark in self.marks) and not self.flags

    def __str__(self) -> str:
        passed = sum(mark.passed for mark in self.marks)
        lines = [f"{self.path}: {self.lesson or 'no lesson'}, {passed} of {len(self.marks)} exercises solved"]
        lines += [mark.text for mark in self.marks if not mark.passed]
        lines += [f"look at it: {flag}" for flag in self.flags] + self.notes
        return "\n  ".join(line.replace("\n", "\n  ") for line in lines)


def mark(notebooks: Path, submissions: Path, seconds: float = SECONDS) -> list[Marks]:
    """Mark a submitted notebook, or all of a folder and its folders, by the lessons of the folder `notebooks`.

    A submission belongs to the lesson of its file's name, else to that of its title. It is marked under any name, and
    so is each of several; `notes` say so. Nothing is written, and no lesson runs: only the cells that an answer needs.

    Args:
        notebooks: the lessons.
        submissions: a notebook or a folder.
        seconds: what an exercise may take.

    Raises:
        FileNotFoundError: there are no lessons, or no submissions.
        ValueError: no seconds.
    """
    if not seconds > 0:
        raise ValueError(f"seconds must be above 0, got {seconds}")
    notebooks, submissions = Path(notebooks), Path(submissions)
    lessons = {
        path.stem: read_lesson(path)["cells"] for path in notebooks.glob("*.ipynb") if LESSON.fullmatch(path.stem)
    }
    if not lessons:
        raise FileNotFoundError(f"no lessons in {notebooks}; give the folder with 00_NAME.ipynb and so on.")
    paths = [submissions] if submissions.is_file() else sorted(submissions.rglob("*.ipynb"))
    paths = [path for path in paths if ".ipynb_checkpoints" not in path.parts]
    if not paths:
        raise FileNotFoundError(f"no notebooks in {submissions}; give a submitted notebook, or the folder of several.")
    results: list[Marks] = []
    contents: dict[str, Path] = {}
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:  # each waits for a process of its own
        found = list(pool.map(lambda path: _mark_one(path, lessons, seconds), paths))
    for path, result in zip(paths, found):
        same = contents.setdefault(sha256(path.read_bytes()).hexdigest(), path)
        if same != path:
            result.notes.append(f"the same file as {same}")
        if others := [
            one.path.name for one in results if (one.path.parent, one.lesson) == (path.parent, result.lesson)
        ]:
            result.notes.append(f"one more of this lesson in its folder, beside {', '.join(others)}")
        results.append(result)
    return results


def _mark_one(path: Path, lessons: dict[str, list[dict]], seconds: float) -> Marks:
    try:
        cells = read_lesson(path)["cells"]
    except ValueError as error:
        return Marks(path, None, notes=[str(error)])
    by_title = {_title(lesson): name for name, lesson in lessons.items()}
    name = path.stem if path.stem in lessons else by_title.get(_title(cells))
    if name is None:
        return Marks(path, None, notes=["neither its name nor its title is that of a lesson"])
    sources, checks = [_text(cell) for cell in _code(cells)], lesson_checks(lessons[name])
    flags = [f"the cell {check.source} is missing or changed" for check in checks if check.source not in sources]
    result = Marks(path, name, mark_cells(sources, checks, path.parent, seconds), flags + suspect(sources))
    if path.stem != name:
        result.notes.append(f"renamed: it is {name}")
    return result


def lesson_checks(cells: list[dict]) -> list[Check]:
    """The checks of a lesson, in order: cells such as ``check.window(window);``."""
    found = [CHECK.fullmatch(_text(cell)) for cell in _code(cells)]
    return [Check(one[1], [name.strip() for name in one[2].split(",")], one[0]) for one in found if one]


def mark_cells(sources: Sequence[str], checks: list[Check], folder: Path, seconds: float) -> list[Mark]:
    """Mark the code cells of a submission; each check is given what stands above its cell, or all if that is gone."""
    from medlab.classroom import check as module
    from medlab.classroom.exercises import Wrong, judge
    from medlab.classroom.worker import RemoteAttempt, Worker

    if not checks:  # the capstone
        return []
    worker, marks = Worker(folder, seconds), []
    try:
        for name, functions, source in checks:
            if worker.ended:
                worker = Worker(folder, seconds)
            worker.restart_clock()
            body = inspect.unwrap(getattr(module, name))
            attempts = [
                RemoteAttempt(worker, name, *pair) for pair in zip(inspect.signature(body).parameters, functions)
            ]
            below = [number for number, text in enumerate(sources) if text == source]
            above = sources[: below[-1]] if below else sources
            try:
                for number in needed(above, functions):
                    worker.run(number, above[number])
                passed, text = judge(body, attempts, "the answer")
            except Wrong as wrong:
                passed, text = False, f"the answer is {wrong}"
            marks.append(Mark(name, passed, f"Exercise {name}: {text}"))
    finally:
        worker.close()
    return marks


def needed(sources: Sequence[str], names: list[str]) -> list[int]:
    """The positions of the cells that define these names, or what those cells read; star imports count always."""
    from IPython.core.inputtransformer2 import TransformerManager

    bound, read = [], []
    for source in sources:
        try:
            table = symtable.symtable(TransformerManager().transform_cell(source), "cell", "exec")
        except (SyntaxError, ValueError):
            bound.append(set[str]())
            read.append(set[str]())
            continue
        bound.append({one.get_name() for one in table.get_symbols() if one.is_assigned() or one.is_imported()})
        read.append(set(_read(table)))
    kept = {
        number for number, source in enumerate(sources) if re.search(r"^\s*from .* import \*", source, re.MULTILINE)
    }
    wanted, before = set(names), -1
    while before < len(kept):  # a function may use what a later cell defines
        before = len(kept)
        kept |= {number for number in range(len(sources)) if bound[number] & wanted}
        wanted = wanted.union(*(read[number] for number in kept))
    return sorted(kept)


def _read(table: symtable.SymbolTable, top: bool = True) -> Iterator[str]:
    yield from (one.get_name() for one in table.get_symbols() if one.is_referenced() and (top or one.is_global()))
    for child in table.get_children():
        yield from _read(child, False)


def suspect(sources: Sequence[str]) -> list[str]:
    """What stands in the code that no answer needs, each once."""
    found = {match[0] for source in sources for match in SUSPECT.finditer(source)}
    return [f"its code has {text!r}" for text in sorted(found)]


def _code(cells: list[dict]) -> list[dict]:
    return [cell for cell in cells if cell["cell_type"] == "code" and "solution" not in tags(cell)]


def _text(cell: dict) -> str:
    return "".join(cell["source"]).strip()


def _title(cells: list[dict]) -> str:
    return next((_text(cell).split("\n")[0] for cell in cells if cell["cell_type"] == "markdown"), "")
