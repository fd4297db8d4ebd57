"""The course for nbgrader: what is written, and the marks of five students."""

import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from lesson_cells import basis, cells_of, code, execute, lessons, tags
from nbformat.v4 import new_code_cell, new_markdown_cell
from project import NOTEBOOKS
from typer.testing import CliRunner

from medlab.classroom import nbgrader_course, student_edition
from medlab.classroom.grading import PROJECT
from medlab.cli import app
from medlab.runs import parameters

# nbgrader's own: how it fills its database, and the cells it puts back
pytestmark = pytest.mark.filterwarnings("ignore:Object of type <Submitted", "ignore:Cell is missing an id field")

WINDOW = "def window(hu, level, width):\n    "
SPLIT = "def split_patients(patients, fraction, seed):\n    "
WINDOW_SOLVED = f"{WINDOW}return ((hu - level) / width + 0.5).clip(0, 1)"
SPLIT_SOLVED = f"""{SPLIT}everyone = np.unique(patients)
    size = min(max(round(fraction * len(everyone)), 1), len(everyone) - 1)
    chosen = np.random.default_rng(seed).permutation(everyone)[:size]
    return np.isin(patients, chosen)"""
EXERCISES = [
    new_code_cell("import numpy as np"),
    code(f"{WINDOW}raise NotImplementedError", "exercise"),
    code("check.window(window);"),
    code(f"{WINDOW_SOLVED}\n\n\nassert check.window(window, of='the solution')", "solution"),
    code(f"{SPLIT}raise NotImplementedError", "exercise"),
    code("check.split_patients(split_patients);"),
    code(f"{SPLIT_SOLVED}\n\n\nassert check.split_patients(split_patients, of='the solution')", "solution"),
]
# What students write into the two cells, and the points it is worth
WARNS = "import warnings; warnings.warn('all is well', stacklevel=1); print('still', file=__import__('sys').stderr)"
CHEAT = "import medlab.classroom.exercises as e; e.judge = lambda *a: (True, '')"
STUDENTS = {
    "right": (WINDOW_SOLVED.replace("return", f"{WARNS}\n    return"), SPLIT_SOLVED, [10, 10]),
    "wrong": (f"{WINDOW}return (hu - level) / width + 0.5\n\n\nclass check:\n    window = strict = id", None, [0, 0]),
    "cheating": (f"{WINDOW}return hu\n\n\n{CHEAT}", f"{SPLIT}return patients > 3", [0, 0]),
    "deleted": (WINDOW_SOLVED, f"{SPLIT}return patients > 3", [10, 0]),
    "endless": (f"{WINDOW}while True:\n        pass", SPLIT_SOLVED, [0, 10]),
}


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    monkeypatch.setenv("MEDLAB_STRICT", "0")


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """A course of all lessons."""
    out = tmp_path_factory.mktemp("course") / "out"
    paths = nbgrader_course(NOTEBOOKS[0].parent, out)
    assert paths == [out / "source" / path.stem / path.name for path in NOTEBOOKS]
    return out


@pytest.mark.parametrize("lesson", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_source_of_a_lesson_is_solved(lesson, course, capsys, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(lesson.parent)
    cells = cells_of(course / "source" / lesson.stem / lesson.name)
    answers = [i for i, cell in enumerate(cells) if "exercise" in tags(cell)]
    assert len(answers) == sum("exercise" in tags(cell) for cell in cells_of(lesson))
    assert not [cell for cell in cells if "solution" in tags(cell)]
    namespace = basis(lesson)
    for i in answers:
        execute(cells[i]["source"], state := dict(namespace))
        capsys.readouterr()
        execute(cells[i + 1]["source"], state)
        assert capsys.readouterr().out.endswith(": the solution passed\n")


@pytest.mark.parametrize("lesson", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_released_is_the_student_edition(lesson, course, tmp_path):
    clear = pytest.importorskip("nbgrader.preprocessors", reason="nbgrader is not installed (extra [classroom])")
    released = nbformat.read(course / "source" / lesson.stem / lesson.name, as_version=4)
    for step in (clear.ClearSolutions(code_stub={"python": ""}), clear.CheckCellMetadata(), clear.ClearHiddenTests()):
        released, _ = step.preprocess(released, {})
    (edition,) = (path for path in student_edition(lesson.parent, tmp_path / "out") if path.name == lesson.name)
    expected = [cell["source"] for cell in cells_of(edition)]
    for other in NOTEBOOKS:
        expected = [source.replace(f"]({other.name}", f"](../{other.stem}/{other.name}") for source in expected]
    assert [cell.source.rstrip() for cell in released.cells] == [source.rstrip() for source in expected]


def test_the_rubric_of_the_capstone_is_a_task_marked_by_hand(course):
    nb = nbformat.read(course / "source" / "capstone" / "capstone.ipynb", as_version=4)
    (task,) = (cell.metadata.nbgrader for cell in nb.cells if "nbgrader" in cell.metadata)
    assert (task.task, task.points, task.locked) == (True, PROJECT, True) and not (task.grade or task.solution)
    checks = pytest.importorskip("nbgrader.nbgraderformat", reason="nbgrader is not installed (extra [classroom])")
    checks.MetadataValidator().validate_nb(nb)


def test_a_link_leads_to_the_folder_of_the_other_lesson(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "glossary.md").write_text("# Glossary")
    text = "[two](01_two.ipynb#setup), [HU](../docs/glossary.md#hu)"
    source = lessons(tmp_path / "notebooks", *EXERCISES, new_markdown_cell(text))
    one, two = nbgrader_course(source, tmp_path / "out")
    assert "[two](../01_two/01_two.ipynb#setup), [HU](glossary.md#hu)" in one.read_text()
    assert (one.parent / "glossary.md").is_file() and not (two.parent / "glossary.md").exists()
    nbformat.validate(nbformat.read(one, as_version=4))


@pytest.mark.parametrize("kept", [[1, 3], [1, 2], [2, 1]])
def test_an_exercise_without_its_check_or_solution_is_refused(tmp_path, kept):
    source = lessons(tmp_path / "source", *(EXERCISES[i] for i in kept))
    with pytest.raises(ValueError, match="00_one.ipynb: exercise cell 1 must be followed by its check, then"):
        nbgrader_course(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_writes_the_course_and_tells_bad_arguments(tmp_path, monkeypatch):
    source = lessons(tmp_path / "source", *EXERCISES)
    monkeypatch.setattr(parameters, "lessons_folder", lambda: source)
    result = CliRunner().invoke(app, ["nbgrader", str(tmp_path / "out")])
    assert result.exit_code == 0
    written = ["source/00_one/00_one.ipynb", "source/01_two/01_two.ipynb"]
    assert result.output.splitlines() == [str(tmp_path / "out" / name) for name in written]
    again = CliRunner().invoke(app, ["nbgrader", str(tmp_path / "out")])
    assert again.exit_code == 2 and "remove it first" in again.output


# With nbgrader: a course of one small lesson, from the source to the marks


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """nbgrader's own interface to the course, in which it has released the lesson and marked all students."""
    nbgrader = pytest.importorskip("nbgrader.apps", reason="nbgrader is not installed (extra [classroom])")
    folder = tmp_path_factory.mktemp("nbgrader")
    # small() ends in a cell that raises: nbgrader goes on, as with a student's broken cell
    nbgrader_course(lessons(folder / "lessons", *EXERCISES), folder / "course")
    config = nbgrader.NbGraderAPI().config
    exec((folder / "course" / "nbgrader_config.py").read_text(), {"get_config": lambda: config})  # as nbgrader does
    assert config.Execute.timeout == 300
    config.Execute.timeout_func = lambda cell: 4 if "check.window(" in cell.source else 120
    config.MarkChecks.timeout = 30
    config.CourseDirectory.root = str(folder / "course")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLAB_STRICT", "0")
        # nbgrader calls alembic by its name, and its kernels find medlab as this process does
        patch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        api = nbgrader.NbGraderAPI(config=config)
        done = api.generate_assignment("00_one")
        assert done["success"], done["log"]
        for student, (window, split, _) in STUDENTS.items():
            submit(folder / "course", student, window, split)
            done = api.autograde("00_one", student)
            assert done["success"], done["log"]
    return api


def submit(course: Path, student: str, window: str, split: str | None) -> None:
    notebook = nbformat.read(course / "release" / "00_one" / "00_one.ipynb", as_version=4)
    cells = {cell.metadata.nbgrader.grade_id: cell for cell in notebook.cells if "nbgrader" in cell.metadata}
    assert list(cells) == ["exercise-1", "check-1", "exercise-2", "check-2"]
    assert "HIDDEN" not in str(notebook) and "clip" not in str(notebook)
    cells["exercise-1"].source = window
    cells["exercise-2"].source = split or cells["exercise-2"].source
    if student == "deleted":
        notebook.cells = [cell for cell in notebook.cells if cell not in (cells["check-1"], cells["check-2"])]
    out = course / "submitted" / student / "00_one"
    out.mkdir(parents=True)
    nbformat.write(notebook, out / "00_one.ipynb")


@pytest.mark.parametrize("student", STUDENTS)
def test_marks(student, graded):
    with graded.gradebook as gradebook:
        marks = [gradebook.find_grade(f"check-{n}", "00_one", "00_one", student) for n in (1, 2)]
        assert [mark.score for mark in marks] == STUDENTS[student][2]
        assert [mark.max_score for mark in marks] == [10, 10] and not any(mark.needs_manual_grade for mark in marks)


def test_the_feedback_of_a_cheat_says_what_to_look_at(graded):
    path = Path(graded.coursedir.root) / "autograded" / "cheating" / "00_one" / "00_one.ipynb"
    outputs = [cell.outputs for cell in nbformat.read(path, as_version=4).cells if "check.window(" in cell.source]
    assert "look at it: its code has 'medlab.classroom.'" in str(outputs)


def test_a_student_who_validates_is_told_what_lacks(graded, monkeypatch):
    from nbgrader.validator import Validator

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    released = Path(graded.coursedir.root) / "release" / "00_one" / "00_one.ipynb"
    failed = Validator().validate(str(released))["failed"]
    assert ["not attempted yet" in cell["error"] for cell in failed] == [True, True]


def test_feedback_asks_no_other_host(graded):
    done = graded.generate_feedback("00_one", "right")
    assert done["success"], done["log"]
    page = (Path(graded.coursedir.root) / "feedback" / "right" / "00_one" / "00_one.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script\b.*?</script>", page, re.DOTALL)
    assert "def window" in re.sub("<[^>]*>", "", page) and [one for one in scripts if "https://" in one] == []
    assert re.findall(r"""<(?:link|img)\b[^>]*=["']https?://[^>]*>|@import[^;]*https?:""", page) == []
