"""What is installed is written down once in pyproject.toml, and the other places agree with it."""

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
import torch
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from project import NOTEBOOKS, ROOT, code, files, imports

import medlab

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NEEDED = {r.name: r for r in map(Requirement, PROJECT["dependencies"])}
EXTRAS = PROJECT["optional-dependencies"]
PINNED = NEEDED | {r.name: r for extra in EXTRAS.values() for r in map(Requirement, extra)}
OWNERS = packages_distributions()
# Where conda-forge's name for a package is another than pip's.
CONDA_NAMES = {
    "torch": "pytorch",
    "matplotlib": "matplotlib-base",
    "dask": "dask-core",
    "jupyter-client": "jupyter_client",
}
FROM_PIP = {"medmnist"}


def pins() -> dict[str, str]:
    """The pinned version of each package on this computer."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    here = [pin for pin in found if pin.marker is None or pin.marker.evaluate()]
    assert len({pin.name for pin in here}) == len(here), "a package is pinned twice"
    assert all([each.operator for each in pin.specifier] == ["=="] for pin in found)
    return {pin.name: str(pin.specifier)[2:] for pin in here}


def needed(requirements: Iterable[Requirement]) -> Iterator[Requirement]:
    """These requirements, and those of the packages they name, as far as they are installed here."""
    todo, seen = list(requirements), set()
    while todo:
        one = todo.pop()
        key = (canonicalize_name(one.name), frozenset(one.extras))
        yield one
        if key not in seen:
            seen.add(key)
            try:
                texts = requires(one.name) or []
            except PackageNotFoundError:  # what the tests can do without
                continue
            of_it = map(Requirement, texts)
            todo += [r for r in of_it if r.marker is None or any(map(r.marker.evaluate, extras(one)))]


def extras(requirement: Requirement) -> list[dict[str, str]]:
    return [{"extra": name} for name in ("", *requirement.extras)]


def test_every_package_is_pinned_inside_the_range_that_each_other_asks_for():
    pinned, wrong = pins(), []
    for one in needed(PINNED.values()):
        name = canonicalize_name(one.name)
        if name not in pinned:
            wrong.append(f"{one} is not pinned; call make pins")
        elif not one.specifier.contains(pinned[name], prereleases=True):
            wrong.append(f"{name}=={pinned[name]} is outside {one}")
    assert wrong == []
    assert len(pinned) > 150 and set(PINNED) <= set(pinned)


def environment() -> tuple[dict, list[str], list[str]]:
    content = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda = [item for item in content["dependencies"] if isinstance(item, str)]
    (pip,) = [item["pip"] for item in content["dependencies"] if isinstance(item, dict) and list(item) == ["pip"]]
    assert len(conda) + 1 == len(content["dependencies"])
    return content, conda, pip


def test_environment_file_has_the_form_conda_reads():
    content, conda, _ = environment()
    assert set(content) == {"name", "channels", "dependencies"}
    assert content["channels"] == ["conda-forge"]
    try:
        from rattler import MatchSpec  # has no wheel on every platform
    except ImportError:
        one = r"(>=|<=|==|!=|>|<|=)[0-9][0-9a-z.*]*"
        assert all(re.fullmatch(rf"[a-z0-9_-]+( {one}(,{one})*)?", spec) for spec in conda), conda
    else:
        for spec in conda:
            MatchSpec(spec)  # raises on what conda would not understand
        with pytest.raises(Exception, match="parse"):
            MatchSpec("numpy=>2.0")


def test_environment_file_states_the_ranges_of_pyproject():
    _, conda, pip = environment()
    found = dict(spec.partition(" ")[::2] for spec in conda)
    assert len(found) == len(conda) and found.pop("pip") == ""
    assert SpecifierSet(found.pop("python")) == SpecifierSet(PROJECT["requires-python"])
    expected = {CONDA_NAMES.get(name, name): r.specifier for name, r in NEEDED.items() if name not in FROM_PIP}
    assert {name: SpecifierSet(text) for name, text in found.items()} == expected
    assert {r.name: r.specifier for r in map(Requirement, pip)} == {n: NEEDED[n].specifier for n in FROM_PIP}


def test_the_oldest_python_is_the_same_everywhere():
    oldest = re.fullmatch(r">=3\.(\d+)", PROJECT["requires-python"])[1]
    makefile = (ROOT / "Makefile").read_text()
    assert f"sys.version_info < (3, {oldest})" in makefile and f"needs Python 3.{oldest} or newer" in makefile
    named = [int(minor) for minor in re.findall(r"python3\.(\d+)", re.search("NEWEST_FIRST = .*", makefile)[0])]
    assert min(named) == int(oldest) and named == sorted(named, reverse=True)
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["target-version"] == f"py3{oldest}"
    assert f"Python 3.{oldest} or newer" in (ROOT / "README.md").read_text()


def test_every_file_of_the_library_is_installed():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    installed = {f for package, names in patterns.items() for n in names for f in folder_of(package).glob(n)}
    beside_modules = {path for path in files() if path.is_relative_to(ROOT / "medlab") and path.suffix != ".py"}
    assert installed == beside_modules and ROOT / "medlab" / "py.typed" in installed


def folder_of(package: str) -> Path:
    return ROOT.joinpath(*package.split("."))


def undeclared(source: str, declared: dict) -> set[str]:
    """Imported modules that are neither Python's, nor ours, nor of a declared package."""
    ours = {"medlab", *(path.stem for folder in ("tests", "docs") for path in (ROOT / folder).rglob("*.py"))}
    tops = {name.partition(".")[0] for name in imports(source)} - set(sys.stdlib_module_names) - ours - {""}
    return {top for top in tops if not {canonicalize_name(owner) for owner in OWNERS.get(top, [top])} & set(declared)}


def test_every_imported_package_is_declared():
    sources = {path: (path.read_text(), NEEDED) for path in (ROOT / "medlab").rglob("*.py")}
    sources |= {path: (code(path), NEEDED) for path in NOTEBOOKS}
    sources |= {path: (path.read_text(), PINNED) for path in (ROOT / "tests").rglob("*.py")}
    found = {path.relative_to(ROOT).as_posix(): undeclared(*each) for path, each in sources.items()}
    assert {path: names for path, names in found.items() if names} == {}


def test_an_undeclared_package_would_be_found():
    source = "import os\ndef f():\n    import PIL.Image, pytest\n    from nowhere.at import all"
    assert undeclared(source, NEEDED) == {"pytest", "nowhere"} and undeclared(source, PINNED) == {"nowhere"}


def test_the_doctor_tells_versions_device_and_data_in_one_line():
    line = medlab.doctor()
    assert line.startswith(
        f"medlab {medlab.__version__}, Python {sys.version.split()[0]}, PyTorch {torch.__version__}, "
    )
    assert "whole sets of real images at hand: " in line and "MEDLAB_DATA" in line and "\n" not in line


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "version", "license"} <= set(citation)
    assert str(citation["version"]) == PROJECT["version"] == medlab.__version__
    assert PROJECT["license"] in citation["license"] and (ROOT / "LICENSE").read_text().startswith("MIT License")
