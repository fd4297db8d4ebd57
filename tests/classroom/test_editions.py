"""The student edition, and the three states of every lesson: solved, unsolved, and unsolved in strict mode.

Nothing trains here: an exercise and its check run in one plain namespace after the sections Setup and Parameters only.
That a solved lesson runs as a whole is nbval's part.
"""

import ast
import json
import re
import symtable
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from lesson_cells import SOLVED, UNSOLVED, basis, cells_of, code, execute, lessons, tags
from nbformat.v4 import new_markdown_cell
from project import NOTEBOOKS
from typer.testing import CliRunner

from medlab.classroom import student_edition
from medlab.classroom.editions import local_links
from medlab.cli import app
from medlab.runs import parameters

CHECK = re.compile(r"\bcheck\.(?!predict)\w+\(")


def exercises(path: Path, solved: bool) -> list[list[dict]]:
    """Exercise, check and (if `solved`) solution cell of each exercise; AssertionError where the pattern is broken."""
    cells = cells_of(path)
    starts = [i for i, cell in enumerate(cells) if "exercise" in tags(cell)]
    size = 3 if solved else 2
    found = [cells[i : i + size] for i in starts]
    for group in found:
        what = f"{path.name}, exercise `{group[0]['source'].splitlines()[0]}`"
        assert len(group) > 1 and is_check(group[1]), f"{what}: its check must be the next cell"
        assert not solved or "solution" in tags(group[-1]), f"{what}: the solution must follow the check"
        assert group[0]["source"].rstrip().endswith("raise NotImplementedError"), f"{what}: must be unsolved"
    checks, solutions = sum(map(is_check, cells)), sum("solution" in tags(cell) for cell in cells)
    wanted = (len(starts), len(starts) * solved)
    assert (checks, solutions) == wanted, f"{path.name}: a check or a solution without an exercise"
    return found


def is_check(cell) -> bool:
    return cell["cell_type"] == "code" and "solution" not in tags(cell) and bool(CHECK.search(cell["source"]))


def used_and_set(code: str) -> tuple[set[str], set[str]]:
    """Global names that a cell reads, and those that it sets."""
    used, given = set(), set()
    tables = [symtable.symtable(TransformerManager().transform_cell(code), "<cell>", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            if table.get_type() == "module" and (symbol.is_assigned() or symbol.is_imported()):
                given.add(symbol.get_name())
            if symbol.is_referenced() and (table.get_type() == "module" or symbol.is_global()):
                used.add(symbol.get_name())
    return used, given


class WithoutTrials(ast.NodeTransformer):
    """A cell without what stands in ``try: ... except Exception: ...``."""

    def visit_code(self, code: str) -> str:
        return ast.unparse(self.visit(ast.parse(TransformerManager().transform_cell(code))))

    def visit_Try(self, node: ast.Try) -> ast.AST:
        caught = [ast.unparse(handler.type) for handler in node.handlers if handler.type]
        return node if caught != ["Exception"] else [statement for h in node.handlers for statement in h.body]


def leaning_on_exercises(path: Path) -> list[str]:
    """What later cells of the lesson take from an exercise: it would break a lesson with unsolved exercises.

    What they try, and do without where it fails, is not among it.
    """
    answers, found = set(), []
    for cell in cells_of(path):
        if cell["cell_type"] != "code":
            continue
        used, given = used_and_set(WithoutTrials().visit_code(cell["source"]))
        if tags(cell) & {"exercise", "solution"}:
            answers |= given
        elif not is_check(cell):
            found += sorted(used & (answers - given))
            answers -= given
    return found


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def lesson(request, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(request.param.parent)  # as nbval and Jupyter do
    return request.param


@pytest.fixture(autouse=True)
def lenient(monkeypatch):
    monkeypatch.setenv("MEDLAB_STRICT", "0")


def show_three_states(path: Path, edition: Path, capsys, monkeypatch) -> None:
    solved, unsolved = exercises(path, True), exercises(edition, False)
    namespace = basis(path)
    assert len(solved) == len(unsolved)
    for exercise, check, solution in solved:
        state = dict(namespace)
        execute(exercise["source"], state)
        capsys.readouterr()
        execute(solution["source"], state)
        execute(check["source"], state)
        first, again = (line for line in capsys.readouterr().out.splitlines() if line.startswith("Exercise "))
        assert first == again and first.endswith(": the solution passed")
    namespace = basis(edition)
    for exercise, check in unsolved:
        state = dict(namespace)
        execute(exercise["source"], state)
        capsys.readouterr()
        execute(check["source"], state)
        assert capsys.readouterr().out.endswith(": not attempted yet\n")
        with monkeypatch.context() as strict, pytest.raises(AssertionError, match="not attempted yet"):
            strict.setenv("MEDLAB_STRICT", "1")
            execute(check["source"], state)


def test_a_lesson_is_right_solved_unsolved_and_fails_unsolved_in_strict_mode(lesson, tmp_path, capsys, monkeypatch):
    edition = next(path for path in student_edition(lesson.parent, tmp_path / "out") if path.name == lesson.name)
    show_three_states(lesson, edition, capsys, monkeypatch)


def test_a_lesson_does_not_lean_on_its_exercises(lesson):
    assert leaning_on_exercises(lesson) == []


def test_a_lesson_links_to_what_is_there(lesson):
    links = local_links(json.loads(lesson.read_text(encoding="utf-8")))
    assert [link for link in links if not (lesson.parent / link).exists()] == []


# The same tools on small notebooks


def test_the_edition_is_the_lesson_without_its_solutions(tmp_path):
    source = lessons(tmp_path / "source", title="# Grün, see [two](01_two.ipynb#setup), ![dot](attachment:dot.png)")
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    paths = student_edition(source, tmp_path / "deep" / "out")
    assert paths == [tmp_path / "deep" / "out" / name for name in ("00_one.ipynb", "01_two.ipynb")]
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before
    assert paths[1].read_bytes() == before["01_two.ipynb"]
    lesson, edition = json.loads(before["00_one.ipynb"]), json.loads(paths[0].read_bytes())
    assert len(edition["cells"]) == len(lesson["cells"]) - 1
    assert edition == lesson | {"cells": [cell for cell in lesson["cells"] if "solution" not in tags(cell)]}
    nbformat.validate(nbformat.read(paths[0], as_version=4))
    assert "Grün" in paths[0].read_text(encoding="utf-8")


def test_three_states_of_a_small_lesson(tmp_path, capsys, monkeypatch):
    source = lessons(tmp_path / "source")
    edition = student_edition(source, tmp_path / "out")[0]
    show_three_states(source / "00_one.ipynb", edition, capsys, monkeypatch)
    assert leaning_on_exercises(source / "00_one.ipynb") == []


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([code(UNSOLVED, "exercise"), code(SOLVED, "solution")], "its check must be the next cell"),
        ([code(UNSOLVED, "exercise")], "its check must be the next cell"),
        ([code(UNSOLVED, "exercise"), code("check.window(window)")], "the solution must follow the check"),
        ([code(SOLVED, "exercise"), code("check.window(window)"), code(SOLVED, "solution")], "must be unsolved"),
        ([code("check.window(window)")], "a check or a solution without an exercise"),
        ([code(SOLVED, "solution")], "a check or a solution without an exercise"),
    ],
)
def test_a_broken_pattern_is_found(tmp_path, cells, message):
    with pytest.raises(AssertionError, match=message):
        exercises(lessons(tmp_path / "source", *cells) / "00_one.ipynb", solved=True)


@pytest.mark.parametrize(
    ("later", "found"),
    [
        ("window(hu, 40, 400)", ["window"]),
        ("def draw(hu):\n    return window(hu, 40, 400)", ["window"]),
        ("def draw(window):\n    return window.level", []),
        ("from medlab.visualize import window\nwindow(hu, 40, 400)", []),
    ],
)
def test_a_cell_that_needs_an_answer_is_found(tmp_path, later, found):
    cells = [code(UNSOLVED, "exercise"), code("check.window(window)"), code(SOLVED, "solution"), code(later)]
    assert leaning_on_exercises(lessons(tmp_path / "source", *cells) / "00_one.ipynb") == found


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("![a scan](pictures/scan.png)", "pictures/scan.png"),
        ('<img alt="a scan" src="pictures/a%20scan.png">', "pictures/a scan.png"),
        ("see [the results](../data/results.md#hu)", "../data/results.md"),
    ],
)
def test_a_link_that_would_break_is_refused_before_anything_is_written(tmp_path, text, link):
    source = lessons(tmp_path / "deep" / "source", new_markdown_cell(text))
    target = source / link.partition("#")[0]
    target.parent.mkdir(exist_ok=True)
    target.write_text("")
    with pytest.raises(ValueError, match=f"00_one.ipynb links to {link}, which is not part of the student edition"):
        student_edition(source, tmp_path / "out" / "deep")
    assert not (tmp_path / "out").exists()


def test_a_page_that_a_lesson_links_to_comes_along(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "glossary.md").write_text("# Glossary")
    (tmp_path / "docs" / "other.md").write_text("# Not linked")
    source = lessons(tmp_path / "notebooks", new_markdown_cell("see [HU](../docs/glossary.md#hu)"))
    student_edition(source, tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["00_one.ipynb", "01_two.ipynb", "glossary.md"]
    assert "see [HU](glossary.md#hu)" in (tmp_path / "out" / "00_one.ipynb").read_text()


def test_code_formulas_and_web_addresses_are_not_links(tmp_path):
    text = "`net[0](images)`, $f[x](y)$, [DOI](https://doi.org/10.1/1), [up](#setup), <a href='mailto:a@b.org'>a</a>"
    text += "\n```python\nlayers[0](images)\n```\n$$\nf[x](y)\n$$"
    assert len(student_edition(lessons(tmp_path / "source", new_markdown_cell(text)), tmp_path / "out")) == 2


def test_a_folder_in_use_and_a_folder_without_lessons_are_refused(tmp_path):
    source = lessons(tmp_path / "source")
    (tmp_path / "empty").mkdir()
    student_edition(source, tmp_path / "empty")
    for out in (source, tmp_path / "empty", source / "00_one.ipynb"):
        with pytest.raises(FileExistsError, match="already there and not an empty folder"):
            student_edition(source, out)
    with pytest.raises(FileNotFoundError, match="no lessons in"):
        student_edition(tmp_path / "none", tmp_path / "out")
    (source / "02_bad.ipynb").write_text("[]")
    with pytest.raises(ValueError, match="02_bad.ipynb is not a Jupyter notebook"):
        student_edition(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_drafts_and_copies_are_not_handed_out(tmp_path):
    source = lessons(tmp_path / "source")
    for name in ("Untitled", "exam_solved", "01_two-Copy1", ".~00_one", "00_one (1)"):
        (source / f"{name}.ipynb").write_text('{"cells": []}')
    written = student_edition(source, tmp_path / "out")
    assert [path.name for path in written] == ["00_one.ipynb", "01_two.ipynb"]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.ipynb")) == ["00_one.ipynb", "01_two.ipynb"]
    (source / "01_old.ipynb").write_text('{"cells": []}')
    with pytest.raises(ValueError, match="01_old.ipynb and 01_two.ipynb have the same number"):
        student_edition(source, tmp_path / "again")


def test_the_command_writes_the_edition_and_tells_bad_arguments(tmp_path, monkeypatch):
    source = lessons(tmp_path / "source")
    monkeypatch.setattr(parameters, "lessons_folder", lambda: source)
    result = CliRunner().invoke(app, ["student", str(tmp_path / "out")])
    assert result.exit_code == 0
    assert result.output.splitlines() == [str(tmp_path / "out" / name) for name in ("00_one.ipynb", "01_two.ipynb")]
    again = CliRunner().invoke(app, ["student", str(tmp_path / "out")])
    assert again.exit_code == 2 and again.output.startswith("error: ") and "remove it first" in again.output
