"""Runs: one notebook executed with other parameters, and every way in which that can go wrong."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from nbformat.v4 import new_notebook
from notebook_files import PARAMETERS as parameters_of_tests
from notebook_files import write

from medlab.runs import (
    RunResult,
    check_parameter,
    check_parameters,
    find_notebook,
    parameters,
    read_parameters,
    read_run,
    record,
    run,
    spread_seed,
)
from medlab.runs.state import failed_cell

MEDLAB = [sys.executable, "-c", "from medlab.cli import app; app()"]


@pytest.fixture(autouse=True)
def other_python3(tmp_path, monkeypatch):
    """Register a kernel "python3" that is of no use: a run must take the running Python all the same."""
    spec = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["false"], "display_name": "another Python", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))


# Parameters, without a kernel


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sede": 3}, r"unknown parameter of nb 'sede'\. Did you mean 'seed'\?"),
        ({"seed": "three"}, r"'seed' must be int, such as 0; got 'three' \(str\)"),
        ({"seed": True}, r"'seed' must be int, such as 0; got True \(bool\)"),
        ({"seed": 1.5}, r"'seed' must be int, such as 0; got 1.5 \(float\)"),
        ({"seed": None}, r"'seed' must be int"),
        ({"fast": 1}, r"'fast' must be bool, such as False; got 1 \(int\)"),
        ({"name": ["a"]}, r"'name' must be str, such as 'lung'"),
        ({"depth": "x"}, r"'depth' must be int or None, such as 3; got 'x' \(str\)"),
        ({"rate": float("nan")}, r"'rate' is nan, and only finite numbers"),
        ({"sizes": [1, {2}]}, r"'sizes'\[1\] is a set"),
    ],
)
def test_a_wrong_parameter_is_refused(tmp_path, given, message):
    with pytest.raises(ValueError, match=message):
        run(write(tmp_path / "nb.ipynb"), given, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_right_parameters_get_their_types(tmp_path):
    path = write(tmp_path / "nb.ipynb")
    assert read_parameters(path)["seed"].default == 0  # papermill's own inspection loses it: "=" in the comment
    given = {"rate": 1, "seed": np.int64(3), "depth": None, "sizes": (4,), "options": {"a": [1]}}
    right = check_parameters(path, given)
    assert right == {"rate": 1.0, "seed": 3, "depth": None, "sizes": [4], "options": {"a": [1]}}
    assert type(right["rate"]) is float and type(right["seed"]) is int


def test_text_becomes_the_annotated_type(tmp_path):
    path = write(tmp_path / "nb.ipynb")
    text = {"seed": "3", "rate": "1e-3", "name": "7", "fast": "True", "sizes": "[4, 5]", "depth": "none"}
    right = {"seed": 3, "rate": 0.001, "name": "7", "fast": True, "sizes": [4, 5], "depth": None}
    assert check_parameters(path, text, text=True) == right
    assert check_parameters(path, {"options": "{a: 1}"}, text=True) == {"options": {"a": 1}}
    numbers = '[1e-3, -2E5, 010, +4, .5, 5., 1_000, [1e2], 1:30, 1e, "7", v1]'
    right = [0.001, -2e5, 10, 4, 0.5, 5.0, 1000, [100.0], "1:30", "1e", "7", "v1"]
    assert check_parameters(path, {"sizes": numbers, "options": "{a: 1e-3}"}, text=True) == {
        "sizes": right,
        "options": {"a": 0.001},
    }
    for name, wrong in {"seed": "3.5", "rate": "nan", "fast": "1", "sizes": "4", "options": "[", "depth": "x"}.items():
        with pytest.raises(ValueError, match=f"'{name}' must be"):
            check_parameters(path, {name: wrong}, text=True)


VALUES = {
    "seed": [3, -1],
    "rate": [1e-05, 1.0, 1e300, -0.5],
    "name": ["", "7", "a b", "it's", '"q"', "a\nb", "-p", "none", "ä=b", "$HOME `id`"],
    "fast": [True, False],
    "sizes": [
        [],
        [1, 2.5, None, True],
        ["1", "1e-3", "true", "null", "it's", '"', "a\nb\\", "\x85\u2028\x7f€"],
        [[["x"]]],
    ],
    "options": [{}, {"a b": {"c": "d: e"}, "1": 2}],
    "depth": [None, 3],
    "maybe": [None, "none", "NULL", '"none"', '""Null""', "x", ""],
    "free": [None, "3", 3, "true", True, "1e-3", 1e-3, ["a"], "text: x"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in VALUES.items() for value in values])
def test_the_recorded_command_repeats_the_run(tmp_path, name, value):
    params = parameters_of_tests + "maybe: str | None = None\nfree = None\n"
    path = write(tmp_path / "it's a notebook.ipynb", params=params)
    command = parameters.run_facts(path, {name: value})["command"]
    words = shlex.split(command)
    assert words[:2] == ["medlab", "run"] and find_notebook(words[2]) == path and words[3:5] == ["-p", name]
    again = check_parameters(path, {name: words[5]}, text=True)[name]
    assert again == value and type(again) is type(value)


@pytest.mark.parametrize("wrong", ["[", "2026-01-31"])  # no YAML; YAML's date, which JSON cannot hold
def test_text_for_a_parameter_without_a_type_is_yaml(tmp_path, wrong):
    path = write(tmp_path / "nb.ipynb", params="x = None")
    assert check_parameters(path, {"x": "[4, a]"}, text=True) == {"x": [4, "a"]}
    with pytest.raises(ValueError, match=f"'x' must be YAML or None, such as 'text'; got '{re.escape(wrong)}'"):
        check_parameters(path, {"x": wrong}, text=True)


@pytest.mark.parametrize(
    "cell", ["x: int = 'a'", "x = open('f')", "x: Path = 1", "import os", "x: int", "x: int | str = 1"]
)
def test_a_parameters_cell_holds_typed_literals_only(tmp_path, cell):
    with pytest.raises(ValueError, match="write `name: type = literal`"):
        read_parameters(write(tmp_path / "nb.ipynb", params=cell))


def test_a_notebook_without_parameters_says_so(tmp_path):
    nbformat.write(new_notebook(), tmp_path / "nb.ipynb")
    with pytest.raises(ValueError, match="takes no parameters"):
        check_parameters(tmp_path / "nb.ipynb", {"seed": 1})


def test_a_lesson_takes_what_is_within_its_ranges():
    check_parameter("seeds", 1, least=1)
    check_parameter("seeds", np.int64(5), least=1, most=5)
    check_parameter("wrong", 0, least=0.0, most=1.0)
    check_parameter("weights", [0.0, 1], least=0.0)
    check_parameter("dataset", "skin", one_of=pd.Series(["lung", "skin"]))


@pytest.mark.parametrize(
    ("value", "allowed", "message"),
    [
        (0, {"least": 1}, r"parameter 'x' must be a whole number, at least 1; got 0\."),
        (7, {"least": 1, "most": 6}, r"must be a whole number, at least 1 and at most 6; got 7\."),
        (1.5, {"least": 1}, r"must be a whole number, at least 1; got 1\.5"),
        (True, {"least": 1}, r"must be a whole number, at least 1; got True"),
        ("3", {"least": 1}, r"must be a whole number, at least 1; got '3'"),
        (2, {"least": 0.0, "most": 1.0}, r"must be a number, at least 0\.0 and at most 1\.0; got 2\."),
        (float("nan"), {"least": 0.0}, r"must be a number, at least 0\.0; got nan"),
        ([0.1, -1], {"least": 0.0}, r"must be a number, at least 0\.0; got -1"),
        ([], {"least": 0.0}, r"'x' is an empty list"),
        ("gliomas", {"one_of": ["glioma", "pet"]}, r"'x': 'gliomas'\. Did you mean 'glioma'\? Allowed: glioma, pet"),
        (1, {"one_of": pd.Series(["glioma", "pet"])}, r"parameter 'x': 1\. Allowed: glioma, pet"),
    ],
)  # fmt: skip
def test_a_lesson_refuses_what_is_out_of_them(value, allowed, message):
    with pytest.raises(ValueError, match=message):
        check_parameter("x", value, **allowed)


def test_find_by_number_name_and_path(tmp_path, monkeypatch):
    monkeypatch.setattr(parameters, "lessons_folder", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match="no lessons in"):
        find_notebook("01")
    lesson = write(tmp_path / "01_shallow_cnn.ipynb")
    assert {find_notebook(name) for name in ("01", "1", 1, "01_shallow_cnn", lesson)} == {lesson}
    with pytest.raises(ValueError, match="Did you mean '01_shallow_cnn'"):
        find_notebook("01_shalow_cnn")
    with pytest.raises(ValueError, match=r"unknown lesson '02'.*Allowed: 01_shallow_cnn"):
        find_notebook("02")
    with pytest.raises(FileNotFoundError, match=r"notebook .*gone\.ipynb is not there"):
        find_notebook(tmp_path / "gone.ipynb")
    write(tmp_path / "01_copy.ipynb")
    with pytest.raises(ValueError, match="2 notebooks are numbered 01"):
        find_notebook("01")
    capstone = write(tmp_path / "capstone.ipynb")
    assert find_notebook("capstone") == capstone
    assert parameters.run_facts(capstone, {"seed": 1})["command"] == "medlab run capstone -p seed 1"
    (tmp_path / "02_broken.ipynb").write_text("{")
    with pytest.raises(ValueError, match="not a Jupyter notebook"):
        run("02")
    assert parameters.runs_folder(lesson) == tmp_path.parent / "runs" / "01_shallow_cnn"


# record


def test_record_converts_and_keeps(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MEDLAB_RUN_DIR", str(tmp_path))
    record(auc=np.float32(0.5), n=torch.tensor(3), name="a", history=[1.0, np.float64(2)], none=None, ok=np.bool_(True))
    record(name="b", more={"x": (1, 2)})
    kept = json.loads((tmp_path / "recorded.json").read_text())
    right = {"auc": 0.5, "n": 3, "name": "b", "history": [1.0, 2.0], "none": None, "ok": True, "more": {"x": [1, 2]}}
    assert kept == right
    assert "recorded: name='b'" in capsys.readouterr().out


def test_record_outside_a_run_stores_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("MEDLAB_RUN_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    record(auc=0.5)
    assert capsys.readouterr().out == "record: auc=0.5 (shown only; `medlab run` stores it)\n"
    assert [path.name for path in tmp_path.iterdir()] == ["jupyter"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("inf"), "value 'bad' is inf"),
        ([0.1, float("nan")], r"value 'bad'\[1\] is nan"),
        (np.ones(3), r"value 'bad' is a ndarray.*\.tolist\(\)"),
        (torch.tensor(float("nan")), "value 'bad' is nan"),
        ({"a": object()}, r"value 'bad'\['a'\] is a object"),
        ({1: 2}, "value 'bad' has the key 1"),
    ],
)
def test_record_names_what_it_cannot_keep(tmp_path, monkeypatch, value, message):
    monkeypatch.setenv("MEDLAB_RUN_DIR", str(tmp_path))
    with pytest.raises(ValueError, match=message):
        record(good=1, bad=value)
    assert not (tmp_path / "recorded.json").exists()


def test_importing_runs_is_light():
    heavy = "{'papermill', 'dask', 'distributed', 'torch', 'numpy', 'scipy', 'nbconvert', 'yaml', 'rich'}"
    code = f"import sys, medlab.runs, medlab.cli; assert not (found := {heavy} & set(sys.modules)), found"
    subprocess.run([sys.executable, "-c", code], check=True)


# Runs, each with a kernel of its own

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def test_a_good_run_keeps_notebook_html_and_results(tmp_path):
    path = write(
        tmp_path / "na{me}.ipynb",  # papermill takes braces in a path for a format
        "import base64, os, sys\nfrom IPython.display import Image, display\nfrom medlab.runs import record",
        "record(score=seed + rate, python=sys.executable, folder=os.getcwd())",
        f"display(Image(data=base64.b64decode('{PIXEL}'), alt='A <white> pixel'))",
        "raise ValueError('meant')",
        params=parameters_of_tests + 'precision: str = "float16"\n',
        tags=("raises-exception",),
    )
    before = os.getcwd()
    result = run(path, {"seed": 3}, out=tmp_path / "out", progress=False)
    assert (result.state, result.ok, os.getcwd()) == ("done", True, before)
    assert result.values == {"score": 3.1, "python": sys.executable, "folder": str(tmp_path)}
    defaults = {"rate": 0.1, "name": "lung", "fast": False, "sizes": [1, 2], "options": {}, "depth": None}
    assert result.parameters == {"seed": 3, "precision": "float16"} | defaults
    assert result.details["precision"] == "float16"  # what it trained in, not what this machine prefers
    assert result.details == json.loads((tmp_path / "out" / "results.json").read_text())
    assert {"notebook", "code", "commit", "hardware", "versions", "started", "seconds"} < set(result.details)
    assert result.details["hardware"]["cpu"] and result.details["versions"]["torch"]
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "executed.ipynb", "executed.html", "status.json", "results.json"
    }  # fmt: skip
    assert 'alt="A &lt;white&gt; pixel"' in (tmp_path / "out" / "executed.html").read_text()
    assert "done in" in str(result)
    with pytest.raises(FileExistsError, match="holds a run that is done"):
        run(path, out=tmp_path / "out")


def test_a_result_that_cannot_be_shown_is_a_failure(tmp_path):
    show = "class Broken:\n    def _repr_html_(self):\n        1 / 0\n\nBroken()"
    result = run(write(tmp_path / "nb.ipynb", show, "print('later')"), out=tmp_path / "out", progress=False)
    assert (result.state, result.error) == ("failed", "ZeroDivisionError: division by zero")
    assert failure(result) == (2, 3, "1 / 0")


def test_a_failing_cell_is_named_and_what_there_was_is_kept(tmp_path):
    path = write(tmp_path / "nb.ipynb", "import medlab.runs; medlab.runs.record(a=1)", "# why\n1 / 0", "print('later')")
    result = run(path, {"seed": 1}, out=tmp_path / "out", progress=False)
    assert (result.state, result.error, result.values) == ("failed", "ZeroDivisionError: division by zero", {"a": 1})
    assert failure(result) == (4, 2, "1 / 0")
    assert "failed in cell [4], line 2 `1 / 0`: ZeroDivisionError" in str(result)
    assert not (tmp_path / "out" / "results.json").exists()
    html = (tmp_path / "out" / "executed.html").read_text()
    assert "recorded: a=1" in html and "ZeroDivisionError" in html
    path = write(path, "pass")
    assert run(path, out=tmp_path / "out", progress=False).values == {}  # the folder of a failed run is used again


@pytest.mark.parametrize(
    ("code", "place"),
    [
        ("n = 2\n\nassert n < 2, 'too many'", (3, "assert n < 2, 'too many'")),
        ("half(1)\nprint(\n    half(0),\n)", (3, "half(0),")),  # not the line of the function, which is in another cell
        ("def inner():\n    return half(0)\n\n\ninner()", (2, "return half(0)")),
        ("try:\n    1 / 0\nexcept ZeroDivisionError:\n    json.loads('{')", (4, "json.loads('{')")),
        ("x = 1\nx ===", (2, "x ===")),
    ],
)  # fmt: skip
def test_the_failing_line_is_named(tmp_path, code, place):
    path = write(tmp_path / "nb.ipynb", "import json\n\n\ndef half(n):\n    assert n\n    return n / 2", code)
    assert failure(run(path, out=tmp_path / "out", progress=False)) == (3, *place)


@pytest.mark.parametrize(
    ("code", "error", "row"),
    [
        ("import os; os._exit(1)", "DeadKernelError: Kernel died", None),  # papermill marks every cell as completed
        ("import sys; sys.exit()", "ended itself with SystemExit", None),  # papermill takes it for success
        ("import time; time.sleep(60)", "CellTimeoutError", 1),
    ],
)
def test_an_end_before_the_last_cell_is_a_failure(tmp_path, code, error, row):
    path = write(tmp_path / "nb.ipynb", "x = 1", code, "print('later')")
    result = run(path, out=tmp_path / "out", progress=False, timeout=3)
    assert result.state == "failed" and error in result.error
    assert failure(result) == (3, row, code)
    assert not (tmp_path / "out" / "results.json").exists()
    assert (tmp_path / "out" / "executed.html").exists()


def test_a_killed_run_reads_as_killed_and_can_be_repeated(tmp_path):
    cells = "import os, time; from medlab.runs import record; record(kernel=os.getpid())", "time.sleep(seed)"
    path, out = write(tmp_path / "nb.ipynb", *cells), tmp_path / "out"
    arguments = ["run", str(path), "-p", "seed", "600", "--out", str(out)]
    process = subprocess.Popen([*MEDLAB, *arguments], start_new_session=True, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: (out / "recorded.json").exists() and started(out, "time.sleep(seed)"))
        kernel = psutil.Process(read_run(out).values["kernel"])
        assert read_run(out).state == "running"
        with pytest.raises(FileExistsError, match="holds a run that is running"):
            run(path, out=out)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
    wait_for(lambda: read_run(out).state == "killed")  # not reaped yet: a zombie counts as gone
    process.wait()
    result = read_run(out)
    assert (result.state, result.values) == ("killed", {"kernel": kernel.pid})
    assert f"killed in cell [4] `time.sleep(seed)`: process {process.pid} is gone" in str(result)
    wait_for(lambda: not kernel.is_running())
    assert run(path, {"seed": 0}, out=out, progress=False).ok


def test_a_damaged_results_file_is_not_good(tmp_path):
    (tmp_path / "results.json").write_text('{"values": {')
    result = read_run(tmp_path)
    assert result.state == "failed" and "results.json cannot be read" in result.error


def test_foreign_files_are_left_alone(tmp_path):
    path = write(tmp_path / "nb.ipynb")
    with pytest.raises(FileExistsError, match="something else than a run"):
        run(path, out=tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no run"):
        read_run(tmp_path)
    assert path.exists()


def failure(result: RunResult) -> tuple:
    assert result.state == "failed"
    return result.details["cell"], result.details.get("line_number"), result.details["line"]


def started(folder: Path, line: str) -> bool:
    return failed_cell(folder).get("line") == line


def wait_for(true, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def test_runs_share_no_seed():
    runs = [
        {spread_seed(seed) + each for each in (*range(100), *range(1000, 1100), *range(5000, 5100))}
        for seed in range(50)
    ]
    assert len(set().union(*runs)) == sum(map(len, runs)) and {0, 1, 2} <= runs[0]
