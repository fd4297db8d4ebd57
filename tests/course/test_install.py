"""`make lab` sets up, from package servers on this computer: which PyTorch it takes, and what it says if it fails."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import wheels
from loopback import address, serve
from project import ROOT
from wheels import wheel

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")

PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
# A build of medlab that needs no other package: what it asks for is PyTorch alone.
BACKEND = """\
import sys
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parent))
from wheels import wheel

def build_editable(folder, settings=None, metadata=None):
    needs = ["torch>=2", "torchvision"]
    code = "import importlib.metadata as m; print('opened with', m.version('torch'))"
    return wheel(Path(folder), "medlab", "1.0", needs, {"medlab/__init__.py": "", "medlab/__main__.py": code}).name
"""


@pytest.fixture
def project(tmp_path) -> Path:
    """A project with the Makefile of this one, and two servers' folders of packages: `all/` and `cpu/`."""
    for server, local in (("all", ""), ("cpu", "+cpu")):
        for name, version in (("torch", "2.12.1"), ("torch", "2.13.0"), ("torchvision", "0.27.1")):
            folder = tmp_path / "servers" / server / name
            folder.mkdir(parents=True, exist_ok=True)
            needs = ["torch==2.12.1"] if name == "torchvision" else []
            wheel(folder, name, version + local, needs, {f"{name}/__init__.py": ""})
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copy(wheels.__file__, folder)
    (folder / "backend.py").write_text(BACKEND)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "constraints.txt").write_text("torch==2.12.1\ntorchvision==0.27.1\n")
    return folder


def make_lab(project: Path, server, *options: str) -> str:
    """Call `make lab` with the two servers; return all it prints."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "MAKE", "MFLAGS"))
    }
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": address(server, "all"), "PIP_RETRIES": "0"}
    command = ["make", "lab", f"PYTHON={sys.executable}", f"TORCH_CPU={address(server, 'cpu')}", *options]
    done = subprocess.run(
        command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1200
    )
    return done.stdout


def opened_with(told: str) -> str:
    found = re.search("opened with (.*)", told)
    assert found, told
    return found[1]


def renew(project: Path) -> None:
    """A change of the pins, after which `make lab` brings .venv up to date."""
    stamp = (project / ".venv" / ".set-up").stat().st_mtime
    os.utime(project / "constraints.txt", (stamp + 2, stamp + 2))


def test_builds_for_processors_are_taken_where_they_are_asked_for_and_kept(project, tmp_path):
    with serve(tmp_path / "servers") as server:
        told = make_lab(project, server, "TORCH=cpu")
        assert opened_with(told) == "2.12.1+cpu" and "setting up .venv" in told
        assert opened_with(make_lab(project, server)) == "2.12.1+cpu"
        renew(project)
        told = make_lab(project, server)
        assert opened_with(told) == "2.12.1+cpu" and "bringing .venv up to date" in told
    (project / "constraints.txt").write_text("torch==2.13.0\n")
    renew(project)
    told = make_lab(project, server)  # which has gone
    assert "== not everything is installed" in told and "call the same command again" in told and "opened" not in told


def test_a_torch_that_is_there_is_kept_and_a_half_failed_installation_goes_on(project, tmp_path):
    vision = tmp_path / "servers" / "all" / "torchvision"
    vision.rename(tmp_path / "away")
    with serve(tmp_path / "servers") as server:
        told = make_lab(project, server)
        assert "ERROR: " in told and "opened with" not in told
        assert "== not everything is installed" in told and "call the same command again" in told
        (tmp_path / "away").rename(vision)
        assert opened_with(make_lab(project, server)) == "2.12.1"
        renew(project)
        assert opened_with(make_lab(project, server, "TORCH=cpu")) == "2.12.1"
    assert "it may be cpu" in make_lab(project, server, "TORCH=gpu")
