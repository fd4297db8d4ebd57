"""The shape of the project: floors, a light start, docstrings, and nothing that holds on one machine only."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
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
    {"limits", "storage", "text"},
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


def modules() -> dict[str, Path]:
    """The modules of the library; a package goes by the name of its folder."""
    found = {}
    for path in sorted((ROOT / "medlab").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def circle(sources: dict[str, str]) -> list[str]:
    """Modules that import each other in a circle, the first one again at the end; `medlab` itself is the roof."""
    graph = {}
    for module, source in sources.items():
        names = {name if name in sources else name.rpartition(".")[0] for name in imports(source)}
        graph[module] = {name for name in names if name in sources and name != "medlab"}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_modules_do_not_import_each_other_in_a_circle():
    assert circle({module: path.read_text() for module, path in modules().items()}) == []


def test_a_circle_would_be_found():
    sources = {"medlab": "from medlab.a import x", "medlab.a": "from medlab.b import y", "medlab.b": "import medlab"}
    assert circle(sources) == []
    sources["medlab.b"] = "def f():\n    from medlab.a import x"
    assert circle(sources) in (["medlab.a", "medlab.b", "medlab.a"], ["medlab.b", "medlab.a", "medlab.b"])


LONGEST = 350  # lines


def test_no_module_is_too_long_to_read():
    lengths = {module: len(path.read_text().splitlines()) for module, path in modules().items()}
    assert {module: length for module, length in lengths.items() if length > LONGEST} == {}


def test_no_function_is_named_like_its_module():
    """`medlab.train.fit` is the function; its module, which bears the name of PyTorch's habit, is never asked for."""
    defined = {
        f"{module}.{node.name}"
        for module, path in modules().items()
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == module.rpartition(".")[2]
    }
    assert defined <= {"medlab.train.fit.fit"}
    hidden = {name for name, value in exported().items() if name in modules() and not inspect.ismodule(value)}
    assert hidden <= {"medlab.train.fit"}


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
# The one address that may stand in a file: PyTorch's own builds for processors alone.
TORCH_CPU = re.compile(
    r"(?:--index[-]url )?https://download[.]pytorch[.]org/whl/cpu(?![\w/])|--index[-]url \$\(TORCH_CPU\)"
)


def ties(text: str) -> set[str]:
    text = TORCH_CPU.sub("", text)
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
    ("before", "after"),
    [
        ("../sha", "red/data"),
        ("'/wo", "rk/main'"),
        ("https://py", "pi.org/x"),
        ("https://download.py", "torch.org/whl/cu130"),
    ],
)
def test_a_tie_would_be_found(before, after):
    assert len(ties(before + after)) == 1 and ties("a shared axis, 3/work, pip install") == set()
    assert ties("pip install --index" + "-url https://download.py" + "torch.org/whl/cpu torch") == set()


@pytest.mark.parametrize(("name", "command"), [("test", ".ci/run"), ("weekly", "make --keep-going hub colab")])
def test_a_workflow_runs_its_command_with_pinned_actions_and_no_secret(name, command):
    text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text()
    used = re.findall(r"uses: (\S+)", text)
    assert used and all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action) for action in used)
    assert f"run: {command}" in text and "secrets" not in text and "contents: read" in text
