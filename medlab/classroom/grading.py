"""Course folder for nbgrader: every lesson is an assignment, and the checks of its exercises give the points.

The rubric of the capstone is a task that is marked by hand.

It is made from the same cells as the student edition. nbgrader removes what stands between BEGIN and END in the version
for students, keeps it in its database, and puts it back when it marks.
"""

from pathlib import Path

from medlab.classroom.editions import read_lessons, tags, write_lesson
from medlab.storage import write_file

POINTS = 10  # of an exercise; all or none
PROJECT = 100  # of the capstone; given by hand, after its rubric

CONFIG = """\
# nbgrader reads this file when it is called from this folder. All settings: nbgrader generate_config
c = get_config()
c.CourseDirectory.course_id = "medlab"
c.Execute.timeout = 300  # seconds for a cell; an endless loop is stopped then, and the notebook goes on
c.ClearSolutions.code_stub = {"python": ""}  # above a solution stands the exercise as students get it
c.GenerateFeedback.exporter_class = "medlab.runs.page.Page"  # asks no other host, and shows formulas offline
c.OverwriteCells.add_missing_cells = True  # a check that a student has deleted counts all the same
"""

# A check raises in strict mode only. nbgrader takes whatever is written to stderr, warnings too, for a failure.
HIDDEN_TESTS = """\
### BEGIN HIDDEN TESTS
import sys

from medlab.classroom import check

check.strict()
sys.stderr = sys.stdout
### END HIDDEN TESTS
"""

SOLUTION = """
### BEGIN SOLUTION
{}
### END SOLUTION"""


def nbgrader_course(notebooks: Path, out: Path) -> list[Path]:
    """Write nbgrader's course folder `out`: its configuration, and every lesson as `source/NAME/NAME.ipynb`.

    Returns:
        The notebooks written, in order. They are solved and run as they are.

    Raises:
        FileNotFoundError: there are no notebooks.
        FileExistsError: `out` is not empty, or is a file.
        ValueError: a lesson is not a notebook, links to a file that only the original folder reaches, or has an
            exercise that is not followed by its check and its solution.
    """
    notebooks, out = Path(notebooks), Path(out)
    lessons = read_lessons(notebooks, out)
    for path, notebook in lessons.items():
        _make_assignment(path.name, notebook)
        _relink(notebook, [other.name for other in lessons])
    for path, notebook in lessons.items():
        write_lesson(path, notebook, out / "source" / path.stem)
    write_file(out / "nbgrader_config.py", CONFIG)
    return [out / "source" / path.stem / path.name for path in lessons]


def _make_assignment(name: str, notebook: dict) -> None:
    cells, none, number = notebook["cells"], {"metadata": {}, "source": ""}, 0
    for exercise, check, solution in zip(cells, [*cells[1:], none], [*cells[2:], none, none]):
        if "exercise" not in tags(exercise):
            continue
        number += 1
        if "check." not in _text(check) or "solution" not in tags(solution):
            raise ValueError(f"{name}: exercise cell {number} must be followed by its check, then by its solution.")
        exercise["source"] = _text(exercise) + SOLUTION.format(_text(solution))
        exercise["metadata"]["nbgrader"] = _role(f"exercise-{number}", solution=True)
        check["source"] = HIDDEN_TESTS + _text(check)
        check["metadata"]["nbgrader"] = _role(f"check-{number}", grade=True, locked=True) | {"points": POINTS}
    for rubric in (cell for cell in cells if "rubric" in tags(cell)):
        rubric["metadata"]["nbgrader"] = _role("project", locked=True) | {
            "cell_type": "markdown", "task": True, "points": PROJECT,
        }  # fmt: skip
    notebook["cells"] = [cell for cell in cells if "solution" not in tags(cell)]


def _role(name: str, solution: bool = False, grade: bool = False, locked: bool = False) -> dict:
    """What nbgrader is to do with a cell, in the form it stores."""
    role = {"schema_version": 3, "grade_id": name, "cell_type": "code", "task": False}
    return role | {"solution": solution, "grade": grade, "locked": locked}


def _relink(notebook: dict, names: list[str]) -> None:
    """Make links between lessons go through the parent folder, as every lesson has a folder of its own here."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = _text(cell)
            for name in names:
                cell["source"] = cell["source"].replace(f"]({name}", f"](../{Path(name).stem}/{name}")


def _text(cell: dict) -> str:
    return "".join(cell["source"])
