"""The proof for a GPU (`make gpu`) tried on the CPU, with tiny networks: every stage ends, and says what it should."""

import json
import os
import re
import subprocess
import sys

from project import LESSONS, ROOT

SCRIPT = ROOT / "tests" / "benchmarks" / "prove_gpu.py"


def with_full_size():
    """The lessons that have a scale "full"."""
    return [path for path in LESSONS if '\\"full\\"' in path.read_text()]


def test_readme_has_the_estimated_minutes_of_every_lesson():
    printed = subprocess.run(
        [sys.executable, SCRIPT.with_name("gpu_work.py")], capture_output=True, text=True, check=True
    )
    estimated = {line[:2]: " / ".join(re.findall(r"(\d+) min", line)) for line in printed.stdout.splitlines()}
    assert estimated.keys() == {path.name[:2] for path in with_full_size()}
    for row in (ROOT / "README.md").read_text().splitlines():
        if found := re.match(r"\| \[(\d\d) .*?\| (\d[\d /]*) \(estimate\)", row):
            assert found[2] == estimated.pop(found[1])
    assert not estimated, "README leaves a lesson out"


def test_every_stage_runs_and_is_written(tmp_path):
    out = tmp_path / "gpu.json"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, SCRIPT, "--small", "--out", out], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    proof = json.loads(out.read_text())
    assert proof.pop("seconds").keys() == proof.keys() == {"machine", "team", "speed", "steps", "repeat", "lessons"}
    assert not {name: stage["failed"] for name, stage in proof.items() if "failed" in stage}
    trainings, minutes = proof["steps"]["trainings"], proof["steps"]["minutes of the trainings"]
    assert all(row["ms"] > 0 for row in trainings.values()), trainings
    assert minutes.keys() == proof["steps"]["estimated"].keys() == {path.name[:2] for path in with_full_size()}
    assert all(ways["cuDNN's"]["same bits"] for ways in proof["repeat"].values()) and proof["repeat"]
    assert all(value > 0 for value in proof["speed"].values())
