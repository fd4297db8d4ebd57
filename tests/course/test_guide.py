"""The commands of the instructor guide: each runs, slow ones on a small notebook in the place of a lesson.

Two are asked for their help only: nbgrader's marking runs whole lessons (tests/classroom/test_grading.py marks), and a
Dask cluster needs several machines (tests/runs/test_sweep.py starts one here).
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from notebook_files import write
from project import ROOT

GUIDE = (ROOT / "docs" / "instructor-guide.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
# What stands in a command, and what it is run with here.
SMALLER = {
    "medlab run 01 -p": "medlab run small.ipynb --out class/one -p",
    r"(classroom_load\.py) 01 --students 30": r"\1 --help",
    r"^(nbgrader (?!generate_assignment)\w+) ?[^#\n]*": r"\1 --help > /dev/null ",
    r"^(dask \w+) [^#\n]*": r"\1 --help > /dev/null ",
    r"^medlab sweep plan.yaml --scheduler \S+": "medlab sweep --help > /dev/null ",
}
LISTED = [re.search(r"^(?:\w+=\S+ )*(?!mkdir)[a-z(][^\n]*", block, re.MULTILINE)[0][:50] for block in BLOCKS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A clone of the course, in which the blocks are run in their order."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs git: git archive makes the edition for students")
    where = tmp_path_factory.mktemp("guide") / "course-of-mine"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(where)], check=True, timeout=300)
    write(where / "small.ipynb", "from medlab.runs import record\nrecord(value=seed)")
    return where


@pytest.mark.parametrize("block", BLOCKS, ids=LISTED)
def test_the_commands_of_the_guide_run(block, folder):
    for wanted, smaller in SMALLER.items():
        block = re.sub(wanted, smaller, block, flags=re.MULTILINE)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(folder), "MPLBACKEND": "agg"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_the_edition_for_students_has_no_solution(folder):
    made = list((folder.parent / "course-for-students" / "notebooks").glob("*.ipynb"))
    if not made:
        pytest.skip("only after the block that makes it")
    assert len(made) == len(list((folder / "notebooks").glob("*.ipynb")))
    assert not any('"solution"' in path.read_text(encoding="utf-8") for path in made)


def test_the_options_of_the_lab_are_jupyter_s():
    from jupyterlab.labapp import LabApp

    classes = {each.__name__: each for each in LabApp.serverapp_class.classes}
    commands = re.findall(r'make lab LAB="(.*?)"', GUIDE)
    assert commands == ["--MappingKernelManager.cull_idle_timeout=1800"]
    make = shutil.which("make")
    if make:
        told = subprocess.run([make, "-n", "lab", f"LAB={commands[0]}"], cwd=ROOT, capture_output=True, text=True)
        assert f"-m medlab lab {commands[0]}" in told.stdout
    assert classes["MappingKernelManager"].class_traits()["cull_idle_timeout"]
