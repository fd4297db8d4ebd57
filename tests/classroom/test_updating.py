"""A student's answers survive an update of the course, whenever it is killed."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from project import ROOT
from typer.testing import CliRunner

from medlab.classroom import lock_of, update_lessons
from medlab.cli import app
from medlab.storage import only_writer

# Calls update_lessons on two folders, and kills itself before it replaces or renames a file for the n-th time.
KILLED = """
import os, signal, sys
from pathlib import Path
from medlab.classroom import update_lessons

left = int(sys.argv[3])
def counted(does):
    def call(*arguments):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        does(*arguments)
    return call
os.replace, os.rename = counted(os.replace), counted(os.rename)
print(update_lessons(Path(sys.argv[1]), Path(sys.argv[2])))
"""


@pytest.fixture
def course(tmp_path) -> Path:
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns(".*", "answers"))
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=lambda _, names: {n for n in names if n[-3:] != ".md"})
    return tmp_path / "notebooks"


def lesson(folder: Path, *cells: tuple[str, str], name: str = "00_one.ipynb") -> Path:
    """Write a lesson of cells (id, source)."""
    folder.mkdir(exist_ok=True)
    nb = new_notebook(cells=[new_code_cell(source, id=name) for name, source in cells])
    nbformat.write(nb, folder / name)
    return folder / name


def sources(path: Path) -> list[str]:
    cells = json.loads(path.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells]


def edit(path: Path, change) -> None:
    nb = nbformat.read(path, 4)
    change(nb)
    nbformat.write(nb, path)


def test_a_copy_is_the_lesson_and_its_links_lead_somewhere(course, tmp_path):
    mine = tmp_path / "my-lessons"
    (line,) = update_lessons(course, mine)
    assert line.startswith("new in my-lessons: 00_start_here.ipynb, 01_") and "capstone.ipynb" in line
    for path in course.glob("*.ipynb"):
        original, copy = nbformat.read(path, 4), nbformat.read(mine / path.name, 4)
        text = nbformat.writes(nbformat.from_dict({**original, "metadata": copy.metadata}))
        pages = re.findall(r"\]\(\.\./docs/([a-z-]+\.md)", text)
        assert nbformat.writes(copy) == re.sub(r"\]\(\.\./docs/([a-z-]+\.md)", r"](\1", text)
        assert all((mine / page).exists() for page in pages)
    assert (mine / "glossary.md").read_bytes() == (ROOT / "docs" / "glossary.md").read_bytes()
    assert update_lessons(course, mine) == []


def solve(path: Path) -> list[str]:
    """Answer every exercise as a student does: by the solution, in one's own cell, with outputs; return the answers."""
    answers = []

    def change(nb):
        for cell, _, solution in zip(nb.cells, nb.cells[1:], nb.cells[2:]):
            if "exercise" in cell.metadata.get("tags", []):
                cell.source = solution.source + "\n# my own words"
                cell.execution_count = 7
                answers.append(cell.source)
        nb.cells.insert(3, new_markdown_cell(f"my notes on {path.stem}"))
        answers.append(f"my notes on {path.stem}")

    edit(path, change)
    return answers


def renew(path: Path, edition: int) -> list[str]:
    """Change a lesson as the course does: a text, the code of an exercise, two new cells; return what must arrive."""
    arrives = [f"a new text, edition {edition} of {path.stem}", f"first, edition {edition}", f"last = {edition}"]

    def change(nb):
        nb.cells[1].source = arrives[0]
        exercise = next(cell for cell in nb.cells if "exercise" in cell.metadata.get("tags", []))
        exercise.source += f"\n# task, edition {edition}"
        nb.cells.insert(2, new_markdown_cell(arrives[1], id=f"first-{edition}"))
        nb.cells.append(new_code_cell(arrives[2], id=f"last-{edition}"))

    edit(path, change)
    return arrives


def test_five_updates_each_killed_in_between_lose_no_answer(course, tmp_path):
    mine, names = tmp_path / "my-lessons", ["01_shallow_cnn", "03_unet_drinet", "09_improved_gans"]
    update_lessons(course, mine)
    answers = {name: solve(mine / f"{name}.ipynb") for name in names}
    assert min(len(each) for each in answers.values()) >= 3
    arrived = {name: [] for name in names}
    for edition in range(5):
        for name in names:
            arrived[name][:1] = renew(course / f"{name}.ipynb", edition)
        if edition == 4:  # lesson 09 becomes two
            shutil.copy(course / "09_improved_gans.ipynb", course / "15_improved_gans.ipynb")
            (course / "09_improved_gans.ipynb").rename(course / "09_reader_study.ipynb")
        command = [sys.executable, "-c", KILLED, str(course), str(mine), str(edition + 1)]
        killed = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=120)
        assert killed.returncode == -signal.SIGKILL
        for name in names:
            assert set(answers[name]) <= set(sources(mine / f"{name}.ipynb")), "an answer was lost by the kill"
        told = "\n".join(update_lessons(course, mine))
        for name in names[: 3 - (edition == 4)]:
            have = sources(mine / f"{name}.ipynb")
            assert set(answers[name]) <= set(have), "an answer was lost by the update"
            assert set(arrived[name]) <= set(have) and len(set(have)) == len(have)
            nbformat.validate(nbformat.read(mine / f"{name}.ipynb", 4))
        assert update_lessons(course, mine) == [line for line in told.splitlines() if "no longer part" in line]
        assert not list(mine.glob(".*.part")) and not list(mine.glob("*-yours*"))
    assert "09_improved_gans.ipynb: no longer part of the course; your copy stays" in told
    assert set(answers["09_improved_gans"]) <= set(sources(mine / "09_improved_gans.ipynb"))
    both = [sources(mine / f"{name}.ipynb")[1] for name in ("15_improved_gans", "09_reader_study")]
    assert both == [arrived[names[2]][0]] * 2


def test_a_kill_at_any_step_of_the_first_copy_leaves_whole_notebooks(tmp_path):
    course, mine = tmp_path / "course", tmp_path / "mine"
    for name in ("00_one.ipynb", "01_two.ipynb"):
        lesson(course, ("a", name), name=name)
    for step in range(4):
        command = [sys.executable, "-c", KILLED, str(course), str(mine), str(step)]
        assert subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=120).returncode < 0
        assert [sources(path) for path in mine.glob("*.ipynb")] == [["00_one.ipynb"]] * (step // 2)
        update_lessons(course, mine)
        assert [sources(path) for path in sorted(mine.glob("*.ipynb"))] == [["00_one.ipynb"], ["01_two.ipynb"]]
        shutil.rmtree(mine)


@pytest.mark.parametrize(
    ("student", "course", "merged"),
    [
        ("abc", "abc", "abc"),
        ("aBc", "abc", "aBc"),  # a capital is a changed cell
        ("abc", "aBc", "aBc"),
        ("aBc", "axbc", "axBc"),
        ("axbc", "abyc", "axbyc"),
        ("abxc", "abyc", "abxyc"),
        ("ac", "abc", "ac"),  # removed by the student
        ("abc", "ac", "ac"),  # removed by the course
        ("aBc", "ac", "aBc"),  # but changed by the student
        ("ac", "aBc", "aBc"),  # and the other way round
        ("cab", "abxc", "cabx"),  # in the student's own order
        ("abc", "cab", "cab"),
        ("aBcx", "cyab", "cxyaB"),
        ("", "abc", ""),
        ("xyz", "abcd", "xyzd"),
    ],
)
def test_cells_are_merged(tmp_path, student, course, merged):
    def cells(text, who):
        return [(letter.lower(), letter + who * letter.isupper()) for letter in text]

    update_lessons(lesson(tmp_path / "course", *cells("abc", "")).parent, tmp_path / "mine")
    copy = tmp_path / "mine" / "00_one.ipynb"
    marked = nbformat.read(copy, 4).metadata
    edit(lesson(copy.parent, *cells(student, " mine")), lambda nb: nb.metadata.update(marked))
    update_lessons(lesson(tmp_path / "course", *cells(course, " new")).parent, tmp_path / "mine")
    assert [text[0] for text in sources(copy)] == list(merged)
    for text in sources(copy):
        assert text[1:] in ("", " mine" if text[0] in student else " new")


def test_where_both_changed_a_cell_the_students_stays_and_a_line_says_so(tmp_path):
    update_lessons(lesson(tmp_path / "course", ("a", "1"), ("b", "2"), ("c", "3")).parent, tmp_path / "mine")
    copy = tmp_path / "mine" / "00_one.ipynb"
    edit(copy, lambda nb: nb.cells[0].update(source="mine"))
    lesson(tmp_path / "course", ("a", "other"), ("b", "changed"), ("d", "added"))
    (line,) = update_lessons(tmp_path / "course", tmp_path / "mine")
    assert line == (
        "00_one.ipynb: 1 new, 1 changed, 1 gone of its cells; 1 changed by you and by the course: "
        "yours stays, the course's is in its own notebook"
    )
    assert sources(copy) == ["mine", "changed", "added"]


def test_outputs_stay_with_code_that_stays(tmp_path):
    update_lessons(lesson(tmp_path / "course", ("a", "1"), ("b", "2")).parent, tmp_path / "mine")
    copy = tmp_path / "mine" / "00_one.ipynb"
    edit(copy, lambda nb: [cell.update(execution_count=4, metadata={"collapsed": True}) for cell in nb.cells])
    path = lesson(tmp_path / "course", ("a", "1"), ("b", "new"))
    edit(path, lambda nb: nb.cells[0].metadata.update(tags=["x"]))
    update_lessons(tmp_path / "course", tmp_path / "mine")
    first, second = nbformat.read(copy, 4).cells
    assert first.execution_count == 4 and first.metadata == {"collapsed": True, "tags": ["x"]}
    assert second.source == "new" and second.execution_count is None


def test_a_page_that_was_open_all_the_while_takes_no_new_cell_away(tmp_path):
    """A browser saves its older notebook over the new one: the next update puts the new cells in again."""
    update_lessons(lesson(tmp_path / "course", ("a", "1")).parent, tmp_path / "mine")
    copy = tmp_path / "mine" / "00_one.ipynb"
    page = nbformat.read(copy, 4)
    update_lessons(lesson(tmp_path / "course", ("a", "1"), ("b", "new")).parent, tmp_path / "mine")
    page.cells[0].source = "answer"
    nbformat.write(page, copy)
    update_lessons(tmp_path / "course", tmp_path / "mine")
    assert sources(copy) == ["answer", "new"]


@pytest.mark.parametrize("content", ["", "{", '{"cells": 1}', '{"cells": [{"metadata": {}}]}', None])
def test_a_file_that_is_no_copy_makes_way(tmp_path, content):
    lesson(tmp_path / "course", ("a", "1"))
    copy = lesson(tmp_path / "mine", ("a", "an older edition"))
    if content is not None:
        copy.write_text(content)
    before = copy.read_text()
    (line,) = update_lessons(tmp_path / "course", tmp_path / "mine")
    assert "it is now 00_one-yours.ipynb" in line and sources(copy) == ["1"]
    assert (tmp_path / "mine" / "00_one-yours.ipynb").read_text() == before
    copy.write_text("again")
    assert "00_one-yours2.ipynb" in update_lessons(tmp_path / "course", tmp_path / "mine")[0]


def test_a_copy_that_names_a_file_elsewhere_is_no_copy(tmp_path):
    update_lessons(lesson(tmp_path / "course", ("a", "1")).parent, tmp_path / "mine")
    copy = tmp_path / "mine" / "00_one.ipynb"
    edit(copy, lambda nb: nb.metadata.medlab.update(version="../../course/00_one"))
    edit(copy, lambda nb: nb.cells[0].update(source="mine"))
    assert "-yours" in update_lessons(tmp_path / "course", tmp_path / "mine")[0]


def test_strange_copies_lose_nothing(tmp_path):
    update_lessons(lesson(tmp_path / "course", ("a", "1"), ("b", "2")).parent, tmp_path / "mine")
    copy = tmp_path / "mine" / "00_one.ipynb"
    nb = json.loads(copy.read_text())
    twice, without = deepcopy(nb["cells"][0]), deepcopy(nb["cells"][1])
    twice["source"], without["source"] = ["two cells", " of one id"], "a cell without one"
    del without["id"]
    nb["cells"] += [twice, without]
    copy.write_text(json.dumps(nb))
    update_lessons(lesson(tmp_path / "course", ("a", "1"), ("b", "2"), ("c", "3")).parent, tmp_path / "mine")
    assert sources(copy) == ["1", "2", "two cells of one id", "a cell without one", "3"]


def test_a_student_s_own_notebooks_are_left_alone(tmp_path):
    update_lessons(lesson(tmp_path / "course", ("a", "1")).parent, tmp_path / "mine")
    shutil.copy(tmp_path / "mine" / "00_one.ipynb", tmp_path / "mine" / "00_one-Copy1.ipynb")
    own = lesson(tmp_path / "mine", ("q", "mine"), name="01_my_own.ipynb")
    before = own.read_text()
    assert update_lessons(tmp_path / "course", tmp_path / "mine") == [] and own.read_text() == before


def test_the_command_says_what_it_did_and_waits_for_an_open_lab(tmp_path, monkeypatch):
    lesson(tmp_path / "notebooks", ("a", "1"))
    for module in ("medlab.lab", "medlab.runs.parameters"):
        monkeypatch.setattr(f"{module}.lessons_folder", lambda: tmp_path / "notebooks")
    mine = tmp_path / "my-lessons"

    def call(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["update", *arguments])
        return result.exit_code, result.output

    assert call() == (0, "new in my-lessons: 00_one.ipynb\n")
    assert call() == (0, f"{mine}: nothing new\n")
    assert call(str(tmp_path / "other")) == (0, "new in other: 00_one.ipynb\n")
    lesson(tmp_path / "notebooks", ("a", "2"))
    with only_writer(lock_of(mine)):
        code, told = call()
    assert code == 2 and f"the lessons in {mine} are in use by process {os.getpid()}" in told and "Ctrl-C" in told
    assert sources(mine / "00_one.ipynb") == ["1"]
    shutil.rmtree(tmp_path / "notebooks")
    code, told = call()
    assert code == 2 and "no lessons in" in told
