"""Marks of submissions: right answers of all lessons, and one-line cheats, which give no points or are named."""

import inspect
import json
import os
import re
import subprocess
import sys
import time

import nbformat
import numpy as np
import pytest
import torch
from answers import OTHER, RIGHT, WRONG, with_first
from lesson_cells import SOLVED, UNSOLVED, code, lessons
from nbformat.v4 import new_code_cell, new_markdown_cell
from project import NOTEBOOKS, ROOT
from typer.testing import CliRunner

from medlab.classroom import check, mark
from medlab.classroom.exercises import MISTAKES, Attempt, judge
from medlab.classroom.marking import lesson_checks, needed, suspect
from medlab.classroom.worker import RemoteAttempt, Worker, decode, encode
from medlab.cli import app
from medlab.runs import parameters

CHECK = "check.window(window);"
WRONG_WINDOW = "def window(hu, level, width):\n    return hu * 0.5"
ANSWER = SOLVED.partition("\n\n")[0]


def submit(folder, *sources, title="# 00. A test", name="00_one.ipynb"):
    """Write a submission of these code cells."""
    folder.mkdir(parents=True, exist_ok=True)
    cells = [new_markdown_cell(title), *map(new_code_cell, ("from medlab.classroom import check", *sources))]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / name)
    return folder / name


@pytest.fixture
def course(tmp_path):
    """The lesson of `submit`: one exercise."""
    cells = code(UNSOLVED, "exercise"), code(CHECK), code(SOLVED, "solution")
    return lessons(tmp_path / "course", *cells, title="# 00. A test")


# What a cheat changes stands before the answer or in it, in a line; the last is a file beside the notebook
STACK = "def window(hu, level, width):\n    return __import__('sys')._getframe(2).f_locals['expected']"
CHEATS = {
    "no check cell": ([WRONG_WINDOW], "the cell check.window(window); is missing or changed"),
    "a replaced check": (["check.window = lambda *a, **k: True", WRONG_WINDOW, CHECK], "'check.window = '"),
    "no strict mode": (["import os; os.environ['MEDLAB_STRICT'] = '0'", WRONG_WINDOW, CHECK], "'MEDLAB_STRICT'"),
    "a patched library": (["import numpy; numpy.allclose = lambda *a, **k: True", WRONG_WINDOW, CHECK], ""),
    "a patched judge": (["check.window.__wrapped__.__globals__['exercise']; import medlab.classroom.exercises as e; "
                         "e.judge = lambda *a: (True, '')", WRONG_WINDOW, CHECK], "'medlab.classroom.'"),
    "the expected value": ([STACK, CHECK], "'_getframe'"),
    "an end": (["import atexit, os; atexit.register(os._exit, 0)", WRONG_WINDOW + "; exit()", CHECK], ""),
    "an equal value": (["class Yes(float):\n    shape = ()", WRONG_WINDOW.replace("hu * 0.5", "Yes()"), CHECK], ""),
    "a file": ([WRONG_WINDOW, CHECK], ""),
}  # fmt: skip


@pytest.fixture(scope="module")
def cheated(tmp_path_factory):
    """The course, the folder with a submission of each cheat, and their marks."""
    folder = tmp_path_factory.mktemp("cheats")
    cells = code(UNSOLVED, "exercise"), code(CHECK), code(SOLVED, "solution")
    course = lessons(folder / "course", *cells, title="# 00. A test")
    for name, (sources, _) in CHEATS.items():
        submit(folder / "submitted" / name, *sources)
    shadow = folder / "submitted" / "a file" / "medlab"
    shadow.mkdir()
    (shadow / "__init__.py").write_text("")
    (shadow / "classroom.py").write_text("class check:\n    window = print")
    return folder / "submitted", {one.path.parent.name: one for one in mark(course, folder / "submitted")}


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_gives_no_points(name, cheated):
    result, flag = cheated[1][name], CHEATS[name][1]
    assert [(one.exercise, one.passed) for one in result.marks] == [("window", False)] and not result.ok
    assert flag in str(result.flags) and bool(result.flags) == bool(flag)
    assert "0 of 1 exercises solved" in str(result) and "the answer is not right yet" in str(result)


RUN_ALL = """
import os, sys
from medlab.classroom import check
for number, cells in enumerate(eval(sys.stdin.read())):
    child = os.fork()
    if not child:
        exec(cells, {"check": check, "__name__": "__main__"})
        sys.exit()
    print(number, os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_the_cheats_work_where_the_notebook_runs():
    """So that the test above tests something."""
    cheats = ["\n".join(sources) for name, (sources, _) in CHEATS.items() if name not in ("an equal value", "a file")]
    environment = os.environ | {"MEDLAB_STRICT": "1"}
    run = subprocess.run(
        [sys.executable, "-c", RUN_ALL], input=repr([*cheats, f"{WRONG_WINDOW}\n{CHECK}"]), env=environment, text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    codes = [line.split()[1] for line in run.stdout.splitlines() if line[0].isdecimal()]
    assert codes == ["0"] * len(cheats) + ["256"]


RIGHT_LATER = """
import numpy as np
HALF = 0.5


def scaled(hu, level, width):
    return (hu - level) / width + HALF"""


def test_submissions_are_named_and_marked_as_they_are(course, tmp_path):
    """Renamed, doubled, handed in by two, of no lesson, no notebook; and an answer that needs other cells."""
    answer = "def window(hu, level, width):\n    return scaled(hu, level, width).clip(0, 1)"
    sources = ["raise RuntimeError('long training')", RIGHT_LATER, "1 / 0", answer, CHECK]
    submitted = tmp_path / "submitted"
    (submitted / "ben").mkdir(parents=True)
    submit(submitted / "ann", *sources, "def window(): pass", name="00_one (1).ipynb")
    submitted.joinpath("ben", "00_one.ipynb").write_bytes(submit(submitted / "ann", *sources).read_bytes())
    submit(submitted / "cleo", title="# Other", name="other.ipynb")
    (submitted / "dan.ipynb").write_text("[]")
    copy, ann, ben, cleo, dan = mark(course, submitted)
    assert [one.ok for one in (copy, ann, ben, cleo, dan)] == [True, True, True, False, False]
    assert copy.notes == ["renamed: it is 00_one"] and ben.notes == [f"the same file as {ann.path}"]
    assert ann.notes == ["one more of this lesson in its folder, beside 00_one (1).ipynb"]
    assert cleo.lesson is None and "neither its name nor its title" in str(cleo)
    assert dan.lesson is None and "not a Jupyter notebook" in str(dan)
    for folder, message in ((tmp_path / "none", "no notebooks in"), (course, "")):
        with pytest.raises(FileNotFoundError, match=message or "no lessons in"):
            mark(tmp_path / "none" if not message else course, folder)


PASS = [*RIGHT.items(), *OTHER]
FAIL = [(name, with_first(name, wrong)) for name, wrong, said in WRONG if not re.search("random|alone", said)]
FUNCTIONS = """
from test_marking import FAIL, PASS
for i, (_, functions) in enumerate(PASS + FAIL):
    for k, function in enumerate(functions):
        globals()[f"f{i}_{k}"] = function
"""


def plain(judged):
    """Without what may differ: NumPy's numbers come back as Python's, a generator's new seed stays where it is."""
    return judged[0], re.sub(r"\n  got: .*|Generator of seed \d+", "", judged[1])


@pytest.mark.filterwarnings("ignore")  # what wrong answers divide by
def test_a_check_says_the_same_of_an_answer_in_another_process():
    here = [str(ROOT / "tests" / folder) for folder in ("support", "classroom")]
    worker = Worker(ROOT, 300)
    try:
        worker.run(0, f"import sys; sys.path[:0] = {here!r}")
        worker.run(1, FUNCTIONS)
        for i, (name, functions) in enumerate(PASS + FAIL):
            worker.restart_clock()
            body = inspect.unwrap(getattr(check, name))
            names = list(inspect.signature(body).parameters)
            there = [RemoteAttempt(worker, name, each, f"f{i}_{k}") for k, each in enumerate(names)]
            near = [Attempt(each, function, MISTAKES[name]) for each, function in zip(names, functions, strict=True)]
            said = judge(body, near, "it") if i >= len(PASS) else (True, "it passed")
            assert plain(judge(body, there, "it")) == plain(said), (name, functions)
    finally:
        worker.close()


class Odd:
    def __repr__(self):
        raise RuntimeError("no")


def test_an_answer_of_another_process_is_data():
    values = [None, True, 3, 0.5, "a", [1, (2.0, [])], np.arange(6).reshape(2, 3), np.zeros((0, 3)), np.bool_(True)]
    values += [torch.ones(2, requires_grad=True), torch.tensor(3), torch.ones(2, dtype=torch.bfloat16), np.int64(7)]
    values += [{"a", 2}, np.array([1j, 2]), torch.tensor([1j])]
    for value in values:
        got = decode(json.loads(json.dumps(encode(value))))
        if not isinstance(value, np.ndarray | torch.Tensor):
            assert got == value
        else:
            assert type(got) is type(value) and got.shape == value.shape and bool((got == value).all())
        assert getattr(got, "requires_grad", None) == getattr(value, "requires_grad", None)
    assert isinstance(decode(encode(np.int64(7))), int) and decode(encode(float("nan"))) != 0
    foreign = [Odd(), {}, 1j, np.array(["a"]), np.array([None]), torch.zeros(1, 1).to_sparse()]
    for value in foreign:
        got = decode(json.loads(json.dumps(encode(value))))
        assert type(got).__name__ == type(value).__name__ and not isinstance(got, np.ndarray | torch.Tensor | complex)
    array = encode(np.zeros(2))
    for wrong in ({"dtype": "O"}, {"dtype": "V8"}, {"shape": [3]}, {"data": "AA"}):
        with pytest.raises(ValueError):
            decode(array | wrong)


def worker_of(tmp_path, source, seconds=60.0):
    worker = Worker(tmp_path, seconds)
    worker.run(0, source)
    return worker


@pytest.mark.parametrize(
    "line",
    [
        "import os; os._exit(0)",
        "while True: pass",
        "__import__('sys')._getframe(2).f_locals['answers'].write('[1, {}]\\n')",
    ],
)
def test_a_process_that_ends_or_hangs_or_raves_is_no_answer(tmp_path, line):
    worker = worker_of(tmp_path, f"def window(hu, level, width):\n    {line}")
    worker.until = time.monotonic() + (2 if "while" in line else 60)
    passed, text = judge(
        inspect.unwrap(check.window), [RemoteAttempt(worker, "window", "window", "window")], "the answer"
    )
    assert not passed and "its code ended the process, or took more than 60 s" in text and worker.ended


def test_cells_that_an_answer_needs():
    cells = ["import numpy as np", "big = 1", "def a():\n    return b() + big", "def b():\n    return np.ones(1)", "("]
    assert needed(cells, ["b"]) == [0, 3] and needed(cells, ["a"]) == [0, 1, 2, 3]
    assert needed(["from math import *", "x = [y for y in z]", "z = 1", "y = 2"], ["x"]) == [0, 1, 2]


@pytest.mark.parametrize("lesson", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_lesson_looks_like_a_cheat_and_each_check_is_counted(lesson):
    cells = json.loads(lesson.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert suspect(sources) == []
    exercises = sum("exercise" in cell["metadata"].get("tags", []) for cell in cells)
    assert len(lesson_checks(cells)) == exercises


def test_in_strict_mode_a_run_counts_the_checks_of_the_lesson(course, tmp_path, monkeypatch):
    monkeypatch.setattr(parameters, "lessons_folder", lambda: course)
    monkeypatch.setenv("MEDLAB_STRICT", "1")
    monkeypatch.chdir(tmp_path)
    path = submit(tmp_path / "ann", ANSWER)
    result = CliRunner().invoke(app, ["run", str(path), "--out", str(tmp_path / "run")])
    assert result.exit_code == 1 and "the cell check.window(window); is missing or changed" in result.output
    assert ": done" in result.output or "1 of 1 exercises solved" in result.output
    submit(tmp_path / "ann", ANSWER, CHECK)
    result = CliRunner().invoke(app, ["mark", str(tmp_path / "ann")])
    assert (result.exit_code, result.output) == (0, f"{path}: 00_one, 1 of 1 exercises solved\n")
