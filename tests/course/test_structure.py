"""The shape of the project: floors, a light start, docstrings, and nothing that holds on one machine only."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT, files, imports

import medlab

# From top to bottom; a room imports only from rooms further down.
FLOORS = [
    {"__main__", "cli", "lab", "environment"},
    {"runs"},
    {"reader_study"},
    {"classroom"},
    {"visualize"},
    {"train"},
    {"metrics"},
    {"models"},
    {"data"},
    {"phantoms"},
    {"errors"},
]
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in sorted(rooms)}  # the same order in every process
HEAVY = ["torch", "numpy", "matplotlib"]


def test_every_room_has_its_floor():
    assert {module.name for module in pkgutil.iter_modules(medlab.__path__)} == set(FLOOR)


def upward(room: str, source: str) -> set[str]:
    """What a file of `room` imports although it is not further down; `medlab` itself is the roof."""
    wrong = set()
    for name in imports(source):
        package, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if name.startswith("."):
            wrong.add(name)  # absolute imports show the floor
        elif package == "medlab" and target != room and FLOOR.get(target, -1) <= FLOOR[room]:
            if not (FLOOR[room] == 0 and FLOOR.get(target, 0) == 0):
                wrong.add(name)
    return wrong


@pytest.mark.parametrize("room", FLOOR)
def test_a_room_imports_only_from_rooms_below(room):
    package = ROOT / "medlab" / room
    sources = sorted(package.rglob("*.py")) if package.is_dir() else [package.with_suffix(".py")]
    found = {path.relative_to(ROOT).as_posix(): upward(room, path.read_text()) for path in sources}
    assert {path: names for path, names in found.items() if names} == {}


def test_an_import_upwards_would_be_found():
    source = (
        "import torch, medlab\nfrom medlab.errors import x\ndef f():\n    from medlab import runs\n    from . import y"
    )
    assert upward("data", source) == {"medlab", "medlab.runs", "..y"}
    assert upward("cli", source.replace("from . import y", "from medlab import lab")) == set()


@pytest.mark.parametrize("module", ["medlab", "medlab.cli"])
def test_importing_is_light(module):
    script = f"import sys, time; t = time.perf_counter(); import {module}; t = time.perf_counter() - t\n"
    script += f"print(t, *[name for name in {HEAVY} if name in sys.modules])"
    runs = [subprocess.check_output([sys.executable, "-c", script], cwd=ROOT, text=True).split() for _ in range(5)]
    assert runs[0][1:] == []
    if module == "medlab":
        assert min(float(run[0]) for run in runs) < 0.3  # seconds; the best of five: the machine may be busy


def exported() -> dict[str, object]:
    """The public functions and classes of all rooms, by the name they are imported under."""
    found = {}
    for room in set(FLOOR) - {"__main__"}:  # importing that one would run it
        package = importlib.import_module(f"medlab.{room}")
        inside = [f"medlab.{room}.{module.name}" for module in pkgutil.iter_modules(getattr(package, "__path__", []))]
        for module in [package] if hasattr(package, "__all__") or not inside else map(importlib.import_module, inside):
            for name in getattr(module, "__all__", None) or [name for name in vars(module) if name[0] != "_"]:
                value = getattr(module, name)
                mine = hasattr(module, "__all__") or getattr(value, "__module__", "") == module.__name__
                if mine and (inspect.isclass(value) or inspect.isroutine(value)):
                    found[f"{module.__name__}.{name}"] = value
    return found


def test_every_public_name_has_a_docstring():
    public = exported()
    assert {"medlab.data.load", "medlab.train.fit", "medlab.phantoms.lung.make", "medlab.cli.run"} <= set(public)
    made_by_dataclass = [name for name, v in public.items() if (v.__doc__ or "").startswith(f"{v.__name__}(")]
    assert [name for name, value in public.items() if not (value.__doc__ or "").strip()] + made_by_dataclass == []
    modules = (ROOT / "medlab").rglob("*.py")
    assert [path.name for path in modules if not ast.get_docstring(ast.parse(path.read_text()))] == []


# What would tie the project to one machine or one registry; in brackets, so that this file passes its own test.
TIES = {
    "a folder beside the repository": re.compile(r"""\bshared[/\\]|["']shared["']"""),
    "an absolute path": re.compile(r"(?<![\w.])/(?:work|root|home|Users)[/][\w.]"),
    "a package registry": re.compile(
        r"\b(?:pypi[.]org|pythonhosted[.]org|npmjs[.](?:org|com)|anaconda[.](?:org|com)|download[.]pytorch[.]org)|index[-]url"
    ),
}
MAY_NAME = {".ci/run"}


def ties(text: str) -> set[str]:
    return {what for what, pattern in TIES.items() if pattern.search(text)}


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:  # a picture, a checkpoint
        return ""


def test_no_file_is_tied_to_one_machine():
    found = {path.relative_to(ROOT).as_posix(): ties(text_of(path)) for path in files()}
    assert {"README.md", "Makefile", ".ci/run", "medlab/cli.py"} <= set(found)
    assert {path: what for path, what in found.items() if what and path not in MAY_NAME} == {}
    assert found[".ci/run"] == {"a folder beside the repository"}


@pytest.mark.parametrize(
    ("before", "after"), [("../sha", "red/data"), ("'/wo", "rk/main'"), ("https://py", "pi.org/x")]
)
def test_a_tie_would_be_found(before, after):
    assert len(ties(before + after)) == 1 and ties("a shared axis, 3/work, pip install") == set()
