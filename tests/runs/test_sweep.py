"""Sweeps on Dask and the table that comes out of them."""

import json
import math
import re
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from distributed import LocalCluster
from notebook_files import write
from project import ROOT

from medlab.metrics import Claim
from medlab.runs import read_run, sweep, table
from medlab.runs.results import results_folder
from medlab.runs.sweeping import _fingerprint, read_plan

PARAMETERS = "seed: int = 0\nsize: int = 1\nlog: str = ''"
CODE = "with open(log, 'a') as file:\n    print(size, seed, file=file)"


def executions(log: Path) -> list[str]:
    return sorted(log.read_text().splitlines()) if log.exists() else []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("notebook: [", "is not valid YAML"),
        ("just words", "must hold the names notebook, parameters, grid, seeds; got 'just words'"),
        ("notebook: nb.ipynb\nsedes: [1]", "unknown name in .* 'sedes'. Did you mean 'seeds'"),
        ("seeds: [1]", "does not say which notebook"),
        ("notebook: nb.ipynb", "varies nothing"),
        ("notebook: nb.ipynb\ngrid: {}", "varies nothing"),
        ("notebook: nb.ipynb\ngrid: [1]", "grid must be names and values"),
        ("notebook: nb.ipynb\ngrid: {size: []}", "'size' must be a list with at least one value"),
        ("notebook: nb.ipynb\nseeds: 3", "'seed' must be a list with at least one value; got 3"),
        ("notebook: nb.ipynb\nseeds: [1]\ngrid: {seed: [2]}", "gives the seeds twice"),
        ("notebook: nb.ipynb\nparameters: {size: 1}\ngrid: {size: [2]}", "gives 'size' twice"),
        ("notebook: nb.ipynb\nseeds: [1, 1]", "same combination of parameters twice"),
        ("notebook: nb.ipynb\ngrid: {sise: [1]}", "unknown parameter of nb 'sise'. Did you mean 'size'"),
        ("notebook: nb.ipynb\ngrid: {size: [1, large]}", "'size' must be int, such as 1; got 'large'"),
        ("notebook: nb.ipynb\nnotebook: 01\nseeds: [1]", "is not valid YAML: 'notebook' is given twice"),
        ("notebook: nb.ipynb\ngrid: {size: [1], size: [2]}", "is not valid YAML: 'size' is given twice"),
        ("a: &a [x]\nb: [*a, *a]", "is not valid YAML: aliases .* are not read"),
        ("seeds: " + "[" * 50_000, "is not valid YAML"),
        ("seeds: [" + "9" * 5000 + "]", "is not valid YAML: Exceeds the limit"),
        ("seeds: [2026-13-45]", "is not valid YAML: month must be in"),
        ("# " + "x" * 200_000, "is not valid YAML: 200,002 characters, allowed are 100,000"),
        ("notebook: nb.ipynb\nseeds: [!!python/object/apply:os.getcwd []]", "is not valid YAML"),
    ],
)
def test_a_wrong_plan_is_refused_before_anything_runs(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "nb.ipynb", params=PARAMETERS)
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        sweep("plan.yaml")
    assert not (tmp_path / "runs").exists()


def test_numbers_of_a_plan_are_numbers_however_they_are_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "nb.ipynb", params="rate: float = 0.1\nsizes: list = []\nseed: int = 0")
    (tmp_path / "plan.yaml").write_text(
        "notebook: nb.ipynb\nparameters: {rate: 1e-3}\ngrid: {sizes: [[1e-3], [2, 1E-4]]}\nseeds: [010]"
    )
    _, runs, _ = read_plan("plan.yaml")
    assert runs == [{"rate": 0.001, "sizes": sizes, "seed": 10} for sizes in ([0.001], [2, 0.0001])]


@pytest.mark.parametrize("plan", sorted(results_folder().glob("*.yaml")), ids=lambda plan: plan.stem)
def test_the_plan_of_a_claim_fits_its_lesson(plan):
    notebook, runs, _ = read_plan(plan)
    assert notebook.name[:2] == plan.name[:2]
    trained = {seed for run in runs for seed in range(run["seed"], run["seed"] + run.get("seeds", 1))}
    repeat = plan.stem.endswith("-bfloat16")  # of a claim in the other precision: it decides nothing
    assert len(trained) >= (5 if plan.stem.endswith("-claim") else 1 if repeat else 3)


def test_a_missing_plan_and_wrong_workers_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="sweep file .*gone.yaml is not there"):
        sweep(tmp_path / "gone.yaml")
    with pytest.raises(ValueError, match="workers must be at least 1"):
        sweep({}, workers=0)


def test_bad_runs_do_not_hide_the_good_ones_and_a_second_sweep_repeats_only_them(tmp_path, capsys):
    """One cell fails, and one takes its worker down while others wait for that worker."""
    mend, path, log, out = (tmp_path / name for name in ("mended", "nb.ipynb", "log", "out"))
    bad = f"import os, signal, time\nif not os.path.exists({str(mend)!r}):\n    if size == 2:\n        1 / 0\n"
    bad += "    if size == 3:\n        os.kill(os.getppid(), signal.SIGKILL)\n        time.sleep(60)\n"
    good = "from medlab.runs import record\nrecord(threads=os.environ.get('OMP_NUM_THREADS'), score=size)"
    write(path, CODE, bad, good, params=PARAMETERS)
    plan = {"notebook": str(path), "parameters": {"log": str(log)}, "grid": {"size": [3, 1, 2, 4]}}
    first = sweep(plan, out=out, workers=1)
    assert [result.parameters["size"] for result in first] == [3, 1, 2, 4]
    assert [result.state for result in first] == ["failed", "done", "failed", "done"]
    assert "worker of this run died" in first[0].error and first[0].details["cell"] == 4
    assert first[2].error == "ZeroDivisionError: division by zero"
    assert first[1].values == {"threads": "1", "score": 1}
    assert executions(log) == ["1 0", "2 0", "3 0", "4 0"]  # the dying run too was executed once only
    assert "sweep: 4 runs: 2 failed, 2 done (0 of them not run again)" in capsys.readouterr().out
    made = table(out)
    assert made.states == {"failed": 2, "done": 2} and "not in the table: 2 failed." in str(made)

    mend.touch()
    kill(first[0].folder)
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        second = sweep(plan, cluster.scheduler_address, out)
    assert all(result.ok for result in second)
    assert executions(log) == ["1 0", "2 0", "2 0", "3 0", "3 0", "4 0"]
    assert "4 runs: 4 done (2 of them not run again)" in capsys.readouterr().out


def kill(folder: Path) -> None:
    """Make the record of a run say that it is running, in a process that is gone."""
    status = json.loads((folder / "status.json").read_text())
    process = subprocess.Popen(["true"])
    process.wait()
    status |= {"state": "running", "pid": process.pid, "process_started": 0.0, "host": socket.gethostname()}
    (folder / "status.json").write_text(json.dumps(status))
    assert read_run(folder).state == "killed"


def test_a_run_is_known_by_its_code_and_all_its_parameters(tmp_path):
    path = write(tmp_path / "nb.ipynb", CODE, params=PARAMETERS)
    first = _fingerprint(path, {"size": 2})
    assert first == _fingerprint(path, {"size": 2, "seed": 0})  # 0 is the default
    assert first != _fingerprint(path, {"size": 3})
    path.write_text(path.read_text().replace("# A test", "# Another title"))
    assert first == _fingerprint(path, {"size": 2})
    write(path, CODE + "  # changed", params=PARAMETERS)
    assert first != _fingerprint(path, {"size": 2})


# The table, from folders written by hand


def finished(folder: Path, parameters: dict, values: dict, code: str = "c0", started: str = "2026-01-01") -> None:
    folder.mkdir(parents=True)
    content = {"notebook": "nb", "code": code, "parameters": parameters, "values": values, "started": started}
    (folder / "results.json").write_text(json.dumps(content))


def test_table_against_numbers_by_hand(tmp_path):
    for seed, auc in enumerate((0.80, 0.90, 0.85)):
        values = {"auc": auc, "note": "x", "held": True, "curve": [1, 2]}
        finished(tmp_path / f"a{seed}", {"size": 1, "seed": seed, "same": "s"}, values)
    finished(tmp_path / "b0", {"size": 2, "seed": 0, "same": "s"}, {"auc": 0.7, "extra": 5})
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "status.json").write_text(json.dumps({"state": "failed", "parameters": {}}))
    made = table(tmp_path)
    assert [row["settings"] for row in made.rows] == [{"size": 1}, {"size": 2}]
    assert [row["runs"] for row in made.rows] == [3, 1]
    auc = made.rows[0]["values"]["auc"]
    # sd 0.05, t(0.975, 2) = 4.302653 from a printed table: half width 4.302653 * 0.05 / sqrt(3) = 0.1242069
    assert auc == (pytest.approx(0.85), pytest.approx(0.7257931, abs=1e-6), pytest.approx(0.9742069, abs=1e-6))
    assert made.rows[1]["values"]["auc"] == pytest.approx((0.7, math.nan, math.nan), nan_ok=True)
    assert [row["n"]["auc"] for row in made.rows] == [3, 1]
    assert made.states == {"done": 4, "failed": 1}
    assert str(made).splitlines() == [
        "| size | runs | auc | extra |",
        "| --- | --- | --- | --- |",
        "| 1 | 3 | 0.85 [0.7258, 0.9742] |  |",
        "| 2 | 1 | 0.7 [no interval] | 5 [no interval] |",
        "",
        "4 successful runs; not in the table: 1 failed. In brackets: 95 % t interval of the mean over the runs.",
    ]


def test_table_has_the_difference_of_every_claim(tmp_path):
    kept = {"margin": 0.1, "reason": "", "seeds": 3, "images": "phantom"}
    claims = [Claim("A beats B", "A", "B", "auc", **kept), Claim("C errs less", "C", "B", "error", **kept)]
    claims[1] = replace(claims[1], lower_is_better=True)
    for seed, value in enumerate((0.1, 0.3)):
        scores = {"auc": {"A": 0.5 + value, "B": 0.5}, "error": {"B": [4, 6], "C": [3, 3]}}
        values = {"claims": [claim.to_dict() for claim in claims], "scores": scores}
        finished(tmp_path / str(seed), {"seed": seed}, values)
    (row,) = table(tmp_path).rows
    assert {name: round(each.value, 6) for name, each in row["values"].items()} == {
        "A beats B": 0.2,
        "C errs less": 2.0,
    }


def test_table_counts_a_repeated_run_once_and_keeps_versions_of_the_code_apart(tmp_path):
    finished(tmp_path / "early", {"seed": 0}, {"auc": 0.1}, started="2026-01-01")
    finished(tmp_path / "deep" / "late", {"seed": 0}, {"auc": 0.5}, started="2026-01-02")
    made = table(tmp_path)
    assert made.repeats == 1 and made.rows[0]["values"]["auc"].value == 0.5 and made.rows[0]["runs"] == 1
    assert "1 repeats of the same code, parameters and seed left out" in str(made)
    finished(tmp_path / "other", {"seed": 1}, {"auc": 0.9}, code="c1")
    assert [row["settings"] for row in table(tmp_path).rows] == [{"code": "c0"}, {"code": "c1"}]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("results.json", ""),
        ("results.json", "[1, 2]"),
        ("results.json", '{"values": {}, "parameters": {}}'),
        ("results.json", '{"notebook": "nb", "code": "c", "started": 3, "parameters": {}, "values": {}}'),
        ("results.json", '{"notebook": "nb", "code": "c", "started": "s", "parameters": [], "values": {}}'),
        ("results.json", '{"notebook": "nb", "code": "c", "started": "s", "parameters": {}, "values": {"a": NaN}}'),
        ("results.json", "[" * 100_000),
        ("results.json", b"\xff\xfe"),
        ("status.json", '{"state": "done", "parameters": {}}'),
        ("status.json", '{"state": "running", "parameters": {}}'),
        ("status.json", '{"state": ["x"], "parameters": {}}'),
    ],
)
def test_a_damaged_run_spoils_itself_only(tmp_path, file, text):
    finished(tmp_path / "good", {"size": 1}, {"auc": 0.8})
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    made = table(tmp_path)
    assert made.rows[0]["values"]["auc"].value == 0.8 and made.states == {"done": 1, "failed": 1}
    assert list(made.damaged) == ["bad"] and f"Left out: bad: {file} cannot be read (" in str(made)


ODD = Claim("A beats B", "A", "B", "auc", margin=0.1, reason="", seeds=3, images="phantom").to_dict()


def test_odd_values_of_a_run_are_no_numbers_of_the_table(tmp_path):
    odd = {"huge": 10**400, "most": 1e308, "claims": [3, {"name": "x"}, ODD], "scores": "x", "list": [[]], "none": None}
    finished(tmp_path / "odd", {"size": 1}, odd | {"auc": 0.8})
    finished(tmp_path / "odder", {"size": {"a": [1]}}, {"claims": "x"})
    first, second = table(tmp_path).rows
    assert list(first["values"]) == ["auc"] and second["values"] == {}


def test_the_plan_of_the_readme_is_one():
    (text,) = re.findall(r"```yaml\n(notebook.*?)```", (ROOT / "README.md").read_text(), re.S)
    notebook, runs, _ = read_plan(yaml.safe_load(text))
    assert notebook.is_file() and len(runs) == 6


def test_table_of_no_runs_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="there are no runs in"):
        table(tmp_path)


def test_seeds_tells_which_runs_of_which_lesson_passed(tmp_path):
    write(tmp_path / "good.ipynb", params="seed: int = 0")
    write(tmp_path / "bad.ipynb", "assert seed != 3, 'three'", params="seed: int = 0")
    command = [sys.executable, ROOT / "tests" / "seeds.py"]
    done = subprocess.run([*command, "good.ipynb"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "| good | done | done | done | done | done |" in done.stdout
    done = subprocess.run([*command, "bad.ipynb", "good.ipynb"], cwd=tmp_path, capture_output=True, text=True)
    head, _, *rows = done.stdout.splitlines()[-4:]
    assert done.returncode == 1 and head == "| lesson | seed 0 | seed 1 | seed 2 | seed 3 | seed 4 |"
    assert rows == [
        "| bad | done | done | done | failed | done |",
        "| good | done | done | done | done | done |",
    ]
    assert "line 1 `assert seed != 3, 'three'`: AssertionError: three" in done.stdout
