"""The student's own copy of the lessons, brought up to date around what the student changed.

Three versions of a lesson are merged cell by cell, by the cells' ids: the course's version that the copy was made from,
the course's version of today, and the copy. A copy carries the first one's fingerprint in its metadata, and that
version itself is kept under `.course/`, so one write changes both the copy and what it counts as changed.
"""

import hashlib
import json
import os
import re
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

from medlab.classroom.editions import LESSON, PAGE, local_links, read_lesson
from medlab.storage import holder, only_writer, write_file

KEPT = ".course"  # folder of the course's versions, in the folder of the copies
MARK = "medlab"  # in the metadata of a copy

Cells = dict[Hashable, dict]  # by id


def lock_of(folder: Path) -> Path:
    """The path whose `only_writer` may change the copies in `folder`."""
    return folder / KEPT / "copies"


def update_lessons(notebooks: Path, folder: Path) -> list[str]:
    """Copy the lessons of the folder `notebooks` into `folder`, and bring copies that are there up to date.

    A cell that the student changed, added or removed stays so; all else becomes the course's. A cell that the course
    has added arrives, and one that the student removed comes back if the course changed it. No copy is removed:
    that of a lesson which has left the course stays, and a file that is no copy makes way under another name. However
    this is ended, each copy is the old one or the new one, and the next call does the rest. Pages that lessons
    link to come along and lie beside them.

    Returns:
        What was done, in lines for the student; none if there was nothing to do.

    Raises:
        FileNotFoundError: there are no lessons.
        ValueError: a lesson is not a notebook.
        BlockingIOError: the copies are being changed, or are open in a lab; the message says by whom.
        OSError: a file cannot be written.
    """
    paths = sorted(path for path in notebooks.glob("*.ipynb") if LESSON.fullmatch(path.stem))
    if not paths:
        raise FileNotFoundError(f"no lessons in {notebooks}; go to the folder of the course.")
    lessons = {path: read_lesson(path) for path in paths}
    try:
        with only_writer(lock := lock_of(folder)):
            return _update_all(lessons, folder)
    except BlockingIOError:
        raise BlockingIOError(
            f"the lessons in {folder} are in use by {holder(lock)}: save your notebooks, end the lab with Ctrl-C, "
            "and call this again."
        ) from None


def _update_all(lessons: dict[Path, dict], folder: Path) -> list[str]:
    for part in folder.glob(".*.part"):  # of a writer that was killed
        part.unlink(missing_ok=True)
    new, lines = [], []
    for path, lesson in lessons.items():
        for page in {path.parent / link for link in local_links(lesson) if link.endswith(".md")}:
            if page.is_file() and page.read_bytes() != _bytes(folder / page.name):
                write_file(folder / page.name, page.read_bytes())
        copy, text = folder / path.name, PAGE.sub(r"\1", json.dumps(lesson, ensure_ascii=False))
        line = _update(copy, json.loads(text), text)
        if line == "":
            new.append(copy.name)
        elif line:
            lines.append(f"{copy.name}: {line}")
    for copy in sorted(folder.glob("*.ipynb")):
        if copy.name not in {path.name for path in lessons} and _mark(_read(copy)).get("lesson") == copy.name:
            lines.append(
                f"{copy.name}: no longer part of the course; your copy stays (rename it, and no line names it again)"
            )
    return [f"new in {folder.name}: {', '.join(new)}"] * bool(new) + lines


def _update(copy: Path, course: dict, text: str) -> str | None:
    """Bring one copy up to date; return what happened, an empty text if the copy is new, None if nothing did."""
    version = hashlib.sha256(text.encode()).hexdigest()[:16]
    marked = {"lesson": copy.name, "version": version}
    kept = copy.parent / KEPT / f"{version}.ipynb"
    if not kept.exists():
        write_file(kept, text)
    mine, line = _read(copy), ""
    mark = _mark(mine)
    if mark == marked:
        return None
    if mine and mark and (base := _read(kept.with_stem(mark["version"]))):
        course, line = _merge(base, course, mine)
    elif copy.exists():
        free = (copy.with_stem(f"{copy.stem}-yours{number}") for number in ("", *range(2, 10_000)))
        aside = next(path for path in free if not path.exists())
        os.rename(copy, aside)
        line = f"the file that was there is no copy of this lesson: it is now {aside.name}, and the lesson beside it"
    course["metadata"] = course["metadata"] | {MARK: marked}
    write_file(copy, json.dumps(course, indent=1, ensure_ascii=False) + "\n")
    return line


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _read(path: Path) -> dict | None:
    """The notebook, or None if there is none that can be merged."""
    try:
        notebook = read_lesson(path)
        for cell in notebook["cells"]:
            _content(cell)
        return notebook | {"metadata": dict(notebook["metadata"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _mark(notebook: dict | None) -> dict[str, str]:
    """The lesson and the version that a copy was made from; empty if it does not say."""
    mark = notebook["metadata"].get(MARK) if notebook else None
    if isinstance(mark, dict) and re.fullmatch("[0-9a-f]{16}", str(mark.get("version"))):  # it becomes a file name
        return mark
    return {}


def _content(cell: dict) -> Any:
    """What counts as a change of a cell; outputs do not."""
    return cell["cell_type"], "".join(cell["source"]), cell.get("attachments") or {}


def _cells(notebook: dict) -> Cells:
    """Cells by id; one that has none, or that of another cell, is like no other."""
    found: Cells = {}
    for cell in notebook["cells"]:
        name = cell.get("id")
        found[name if isinstance(name, str) and name not in found else object()] = cell
    return found


def _merge(base: dict, course: dict, copy: dict) -> tuple[dict, str]:
    """Return the copy with what the course changed since `base`, and that in words."""
    old, new, own = _cells(base), _cells(course), _cells(copy)
    moved = [name for name in old if name in own] != [name for name in own if name in old]
    cells, count = [], {"new": 0, "changed": 0, "gone": 0, "kept": 0}
    for name in _woven(own, new) if moved else _woven(new, own):
        theirs, mine = new.get(name), own.get(name)
        changed = theirs is not None and (name not in old or _content(theirs) != _content(old[name]))
        if mine and (name not in old or _content(mine) != _content(old[name])):  # the student's
            count["kept"] += changed
            cells.append(mine)
        elif mine and theirs:
            count["changed"] += changed
            cells.append(theirs if changed else mine | {"metadata": mine["metadata"] | theirs["metadata"]})
        elif theirs and changed:
            count["new"] += 1
            cells.append(theirs)
        elif mine:
            count["gone"] += 1
    told = [f"{number} {what}" for what, number in count.items() if number and what != "kept"]
    line = f"{', '.join(told)} of its cells" if told else "brought up to date"
    if count["kept"]:
        line += f"; {count['kept']} changed by you and by the course: yours stays, the course's is in its own notebook"
    minor = max(copy.get("nbformat_minor", 0), course.get("nbformat_minor", 0))
    return copy | {"cells": cells, "nbformat_minor": minor}, line


def _woven(first: Iterable[Hashable], other: Iterable[Hashable]) -> list[Hashable]:
    """`first` in its order, and what only `other` has, each behind what stands before it there."""
    order, place = list(first), 0
    for name in other:
        if name not in order:
            order.insert(place, name)
        place = order.index(name) + 1
    return order
