"""What each package of the library makes public: all that it imports, used or expected, and imported in one way."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from project import NOTEBOOKS, ROOT, code, imports

import medlab

# A phantom is a module of its own, and several have constants of the same name: `medlab.phantoms.chest.FIELD_OF_VIEW`.
PACKAGES = [each.name for each in pkgutil.iter_modules(medlab.__path__) if each.ispkg and each.name != "phantoms"]
ALL_NOTEBOOKS = [*NOTEBOOKS, *sorted((ROOT / "data").rglob("*.ipynb"))]
# Public although nothing in the course outside their package uses them: a user would look for them.
EXPECTED = {
    "classroom.Marks": "what `mark` returns",
    "data.find_repeats": "leaves repeated images out of one's own split",
    "data.load_decathlon": "reads a task of the Medical Segmentation Decathlon",
    "data.load_nifti_labels": "reads one's own label map",
    "data.load_nifti_pair": "reads one's own volume with its label map",
    "data.load_png_folder": "reads one's own images and label maps",
    "data.raise_limits": "reads one's own file that is larger than allowed",
    "data.volume_set": "makes a set for training of one's own volumes",
    "metrics.interval_floor": "tells before a run whether more seeds can help",
    "metrics.seeds_needed": "plans one's own comparison from a pilot",
    "metrics.smallest_detectable": "what a comparison could have found",
    "models.pretrained_names": "lists what load_pretrained takes",
    "reader_study.advice_report": "the errors of a reader whose answers were collected elsewhere",
    "reader_study.rater_agreement": "the agreement of raters whose answers were collected elsewhere",
    "reader_study.turing_table": "the results of several raters side by side",
    "reader_study.turing_test": "the statistics of answers that were collected elsewhere",
    "runs.Recorded": "what `recorded` returns",
    "runs.RunResult": "what `run` and `sweep` return",
    "runs.read_parameters": "tells what `run` and `sweep` can set",
    "runs.read_run": "reads the folder of a run that was started on the command line",
    "train.CheckpointError": "what to catch when a checkpoint may be damaged",
    "train.GANLoss": "the base of one's own loss for fit_gan",
    "train.HistoricalAveraging": "the one technique of lesson 09 that no recorded training takes",
    "train.load_checkpoint": "one's own training loop resumes",
    "train.save_checkpoint": "one's own training loop is kept",
    "train.QuickRecipe": "what `quick_recipe` returns",
    "train.Saturating": "the loss of the first GAN, to compare with",
}


@pytest.mark.parametrize("package", PACKAGES)
def test_all_is_what_the_package_imports(package):
    tree = ast.parse((ROOT / "medlab" / package / "__init__.py").read_text())
    imported = {a.asname or a.name for node in tree.body if isinstance(node, ast.ImportFrom) for a in node.names}
    public = importlib.import_module(f"medlab.{package}").__all__
    assert (sorted(imported - set(public)), sorted(set(public) - imported)) == ([], [])


def sources() -> Iterator[tuple[str, str]]:
    """All Python that may use the library, with the package it belongs to: notebooks, the library, pages, scripts."""
    for path in ALL_NOTEBOOKS:
        yield "notebooks", code(path)
    for path in sorted((ROOT / "medlab").rglob("*.py")):
        yield path.relative_to(ROOT / "medlab").parts[0], path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "docs" / "tools").glob("*.py")):
        yield "docs", path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for block in re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            yield "docs", block


def used(source: str) -> set[str]:
    """Names of packages that Python source uses, as "package.name": imported, or taken from what was imported."""
    found, bound = set(), {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "medlab":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                bound[alias.asname or alias.name] = full
                found.add(full)
        elif isinstance(node, ast.Import):
            ours = [alias for alias in node.names if alias.name.partition(".")[0] == "medlab"]
            bound |= {alias.asname or "medlab": alias.name if alias.asname else "medlab" for alias in ours}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            root, dot, path = ast.unparse(node).partition(".")
            found |= {f"{bound[root]}{dot}{path}"} if root in bound else set()
    parts = [name.split(".") for name in found]
    return {f"{each[1]}.{each[-1]}" for each in parts if len(each) > 2}


def test_every_public_name_is_used_outside_its_package_or_expected_by_users():
    outside = {name for package, source in sources() for name in used(source) if name.partition(".")[0] != package}
    rooms = {package: importlib.import_module(f"medlab.{package}") for package in PACKAGES}
    public = {f"{package}.{name}" for package, room in rooms.items() for name in room.__all__}
    unused = sorted(public - outside - EXPECTED.keys())
    assert not unused, f"not used: remove them, or say above who would look for them: {', '.join(unused)}"
    assert sorted(EXPECTED.keys() & outside) == [], "used by now: no reason is needed any more"
    assert sorted(EXPECTED.keys() - public) == [], "not public any more"


def test_uses_are_found_however_a_name_is_reached():
    source = "from medlab import runs as r\nfrom medlab.data import load\nimport medlab.train\n"
    source += "from medlab.models.unet import UNet\nr.table(load)\nmedlab.train.fit()\nload.x"
    assert used(source) == {"data.load", "data.x", "models.UNet", "runs.table", "train.fit"}
    assert used("import medlab\nmedlab.models.UNet(1)") == {"models.UNet"}


def from_modules(source: str) -> set[str]:
    """What Python source imports from a module within a package instead of from the package."""
    deep = {name for name in imports(source) if name.startswith("medlab.") and name.count(".") > 2}
    return {name for name in deep if not name.startswith("medlab.phantoms.")}


@pytest.mark.parametrize("path", ALL_NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_imports_from_packages_only(path: Path):
    assert sorted(from_modules(code(path))) == []


def test_an_import_from_a_module_would_be_found():
    source = (
        "import medlab.runs\nfrom medlab import data\nfrom medlab.data import load\nfrom medlab.data.images import Info"
    )
    assert from_modules(source) == {"medlab.data.images.Info"}
