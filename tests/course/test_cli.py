"""The command line: exit codes, and one clear message for a wrong argument."""

import json
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import requests
from notebook_files import write
from project import ROOT
from typer.testing import CliRunner

import medlab
from medlab import runs
from medlab.cli import app
from medlab.models import load_model


def call(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def made(monkeypatch, tmp_path):
    """Replace the execution; return what the command asked for."""
    asked = []

    def fake(path, parameters, *, out, timeout):
        asked.append((path.name, parameters, out, timeout))
        state = "failed" if parameters.get("seed") == 13 else "done"
        return runs.RunResult(tmp_path, state, {}, parameters, error="", details={"seconds": 1.0})

    monkeypatch.setattr(runs, "run", fake)
    return asked


def test_run_hands_over_typed_parameters_and_tells_success_by_its_exit_code(tmp_path, made):
    path = write(tmp_path / "nb.ipynb")
    good = call("run", path, "-p", "seed", 3, "-p", "name", "a=b -p", "-p", "rate", -1, "--out", "x")
    assert good.exit_code == 0 and "done in 1.0 s" in good.output
    name, parameters, out, timeout = made[0]
    assert (name, parameters, str(out)) == ("nb.ipynb", {"seed": 3, "name": "a=b -p", "rate": -1.0}, "x")
    assert timeout is None and call("run", path, "-p", "seed", 13, "--timeout", 60).exit_code == 1
    assert made[1][-1] == 60


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "sede", "3"], "error: unknown parameter of nb 'sede'. Did you mean 'seed'?"),
        (["-p", "seed", "three"], "error: parameter 'seed' must be int, such as 0; got 'three'"),
        (["-p", "seed"], "write -p NAME VALUE, such as -p seed 3"),
        (["-p", "seed=3", "-p", "name", "x"], "write -p NAME VALUE"),
        (["-p"], "write -p NAME VALUE"),
    ],
)
def test_wrong_arguments_are_one_message_and_exit_code_2(tmp_path, made, arguments, message):
    result = call("run", write(tmp_path / "nb.ipynb"), *arguments)
    assert result.exit_code == 2 and message in result.output and "Traceback" not in result.output
    assert made == []


def test_missing_files_are_wrong_arguments(tmp_path):
    for arguments, message in {
        ("run", tmp_path / "no.ipynb"): "no.ipynb is not there",
        ("sweep", tmp_path / "no.yaml"): "no.yaml is not there",
        ("table", tmp_path): "there are no runs in",
    }.items():
        result = call(*arguments)
        assert result.exit_code == 2 and message in result.output and result.output.startswith("error: ")


def test_sweep_passes_its_options_and_fails_if_one_run_failed(tmp_path, monkeypatch):
    asked = []

    def fake(*arguments):
        asked.append(arguments)
        return [runs.RunResult(tmp_path, state, {}, {}) for state in ("done", "failed", "done")]

    monkeypatch.setattr(runs, "sweep", fake)
    result = call("sweep", "plan.yaml", "--scheduler", "tls://host:1", "--workers", "2", "--out", "there")
    assert result.exit_code == 1
    assert [str(argument) for argument in asked[0]] == ["plan.yaml", "tls://host:1", "there", "2", "43200"]


def test_the_version_is_told():
    assert call("--version").output == f"medlab {medlab.__version__}\n"


def test_without_the_course_a_line_says_where_to_go(tmp_path, monkeypatch):
    monkeypatch.setattr("medlab.runs.records.lessons_folder", lambda: tmp_path / "notebooks")
    told = f"{tmp_path / 'data' / 'results'} is not there: medlab is not installed from a checkout, so go to the folder"
    result = call("table")
    assert result.exit_code == 2 and result.output.startswith(f"error: {told}")
    assert str(runs.recorded("01-claim")).startswith(f"recorded result 01-claim: {told}")


def test_doctor_and_help(monkeypatch):
    monkeypatch.setattr(medlab, "doctor", lambda: print("all well"), raising=False)
    assert "all well" in call("doctor").output
    assert "NAME VALUE" in call("run", "--help").output


def test_train_prints_the_report_of_the_test_split_and_resumes(tmp_path):
    arguments = ["train", "ShallowCNN", "lung", "--epochs", 2, "--augment", "--checkpoint", tmp_path / "run.pt"]
    arguments += ["--save", tmp_path / "new" / "lung"]
    first = call(*arguments)
    assert first.exit_code == 0, first.output
    assert "ShallowCNN on lung: 900, 300, 300 images to train, validate, test on" in first.output
    assert "300 images of 10 patients, 95% intervals resampled by patient" in first.output
    assert "micronodules" in first.output and "History(2 epochs on" in first.output

    def report(result):
        return result.output[result.output.index("300 images of 10 patients") :]

    network = load_model(tmp_path / "new" / "lung")
    weights = network[1].classifier[-1].weight.clone()
    assert network.card["plan"].startswith(
        "medlab train ShallowCNN lung --augment --epochs 2 --batch-size 64 --lr 0.001"
    )
    assert f"{network.card['figures']['auc']['value']:.3f}" in report(first)
    again = call(*arguments, "--resume")  # nothing left to train: the same network, the same report
    assert again.exit_code == 0 and report(again) == report(first)
    assert load_model(tmp_path / "new" / "lung")[1].classifier[-1].weight.equal(weights)
    other = call(*arguments, "--seed", 1, "--no-augment", "--resume")
    assert other.exit_code == 2 and "was trained with other settings" in other.output


def test_train_quick_says_why_and_keeps_a_network_that_can_be_trained_again(tmp_path):
    result = call("train", "quick", "lung", "--n", 500, "--seconds", 2, "--epochs", 1, "--save", tmp_path / "lung")
    assert result.exit_code == 0, result.output
    assert "of 1.6e+11: 2 s at 8e+10 multiply-adds a second" in result.output and "History(1 epochs" in result.output
    card = load_model(tmp_path / "lung").card
    assert card["plan"].startswith("medlab train quick lung --n 500 --seconds 2.0 --epochs 1")
    assert "--lr" not in card["plan"]  # the recipe's


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["SmallCNN", "lung", "--seconds", "9"], 'seconds is the budget of the model "quick"; for SmallCNN say epochs'),
        (["quick", "lung", "--seconds", "0"], "seconds and rate must be positive, got 0.0 s"),
        (
            ["ShalowCNN", "lung"],
            "unknown model 'ShalowCNN'. Did you mean 'ShallowCNN'? Allowed: ShallowCNN, SmallCNN, quick, ",
        ),
        (["ShallowCNN", "lungs"], "unknown set 'lungs'. Did you mean 'lung'?"),
        (["ShallowCNN", "brain", "--n", "10"], "takes sets of 2-D images to classify, brain is ImageSet(brain"),
        (["ShallowCNN", "lung", "--lr", "-1"], "lr must be positive, got -1.0"),
        (["ShallowCNN", "lung", "--seed", "-1"], "seed must be a whole number of at least 0, got -1"),
        (["ShallowCNN", "lung", "--n", "60"], "only 2"),
        (["ShallowCNN", "lung", "--optimizer", "adam"], "unknown optimizer 'adam'. Did you mean 'adamw'?"),
        (["ShallowCNN", "lung", "--device", "cua"], "unknown device 'cua'."),
        (["ShallowCNN", "lung", "--save", "/dev/null/new/lung"], "Not a directory"),
        (["ShallowCNN", "lung", "--resume"], "resume=True needs `checkpoint`"),
        (
            ["ShallowCNN", "lung", "--checkpoint", "/dev/null/run.pt"],
            "could not write /dev/null/run.pt",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_train_refuses_in_one_message(arguments, message):
    result = call("train", *arguments)
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert [line for line in result.output.splitlines() if message in line][0].startswith("error: ")


def test_train_that_diverges_is_a_failed_run():
    result = call("train", "ShallowCNN", "lung", "--lr", "1e12", "--optimizer", "sgd")
    assert result.exit_code == 1 and "error: the loss became" in result.output and "at step" in result.output


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "medlab", "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "Usage: medlab" in done.stdout and "train" in done.stdout


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of its own, so that a lab makes no copies of the lessons in this one."""
    for folder in ("medlab", "notebooks"):
        shutil.copytree(ROOT / folder, tmp_path / "course" / folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "course"))
    monkeypatch.chdir(tmp_path / "course")
    for name in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / name))
    return tmp_path / "course"


@contextmanager
def opened_lab(*options: str):
    """A lab, and what it prints up to its address."""
    command = [sys.executable, "-m", "medlab", "lab", "--no-browser", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as lab:
        try:
            told = []
            while "JupyterLab: http" not in "".join(told[-1:]):
                told.append(lab.stdout.readline())
                assert told[-1], "the lab has ended"
            yield lab, told
        finally:
            lab.terminate()


def update() -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "medlab", "update"], capture_output=True, text=True, timeout=60)


def page_of(told: list[str]) -> str:
    address, deadline = re.search(r"http\S+", told[-1])[0], time.monotonic() + 120
    while True:  # the address is printed before the server listens
        try:
            return requests.get(address, timeout=60).text
        except requests.ConnectionError:
            assert time.monotonic() < deadline, "the lab does not come up"
            time.sleep(1)


def test_the_lab_opens_the_student_s_copies_and_asks_nobody_about_news(course):
    with opened_lab("--ServerApp.base_url=/of-jupyter/") as (lab, told):
        assert told[0].startswith("new in my-lessons: 00_start_here.ipynb, ")
        assert "/of-jupyter/lab/tree/my-lessons/00_start_here.ipynb?token=" in told[1]
        shown = json.loads(
            re.search(r'<script id="jupyter-config-data"[^>]*>(.*?)</script>', page_of(told), re.DOTALL)[1]
        )
        assert "@jupyterlab/apputils-extension:announcements" in shown["disabledExtensions"]
        with opened_lab() as (_, other):
            assert other[0] == "another lab is open: lessons are brought up to date when it has ended\n"
        refused = update()
        assert refused.returncode == 2 and f"in use by process {lab.pid} on " in refused.stderr
        lab.kill()
    assert update().stdout == f"{course / 'my-lessons'}: nothing new\n"  # a lab that was killed is in nobody's way


def test_the_lab_takes_jupyter_s_options_only():
    result = call("lab", "--no-browser", "--prot", "8899")
    assert (
        result.exit_code == 2 and "unknown option '--prot'; one of Jupyter's is written --Name.option=" in result.output
    )
