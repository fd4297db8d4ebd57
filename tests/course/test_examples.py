"""The examples in docstrings: each one runs, and gives the output that it states."""

import ast
import doctest
import importlib
import pkgutil
import re

import numpy as np
import pytest
import torch
from project import ROOT

import medlab


class Stated(doctest.OutputChecker):
    """Compares an output only where the example states one: what a notebook shows of a widget is not text."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return not want or super().check_output(want, got, optionflags)


def examples() -> list[doctest.DocTest]:
    """The examples of all modules, each with the public names of its package."""
    names = [
        module.name for module in pkgutil.walk_packages(medlab.__path__, "medlab.") if "__main__" not in module.name
    ]
    found = []
    for name in names:
        package = importlib.import_module(".".join(name.split(".")[:2]))
        found += doctest.DocTestFinder().find(importlib.import_module(name), extraglobs=vars(package))
    return [test for test in found if test.examples]


def given() -> dict:
    """What examples take for granted: small images of both kinds, volumes, and their targets."""
    random = torch.Generator().manual_seed(0)
    images = torch.rand(12, 1, 16, 16, generator=random)
    volumes = torch.rand(2, 1, 8, 16, 16, generator=random)
    return {
        "torch": torch,
        "images": images,
        "labels": torch.arange(12) % 3,
        "enlarged": np.arange(12) % 2 == 0,
        "real": images[:6],
        "synthetic": images[6:],
        "volumes": volumes,
        "masks": (volumes[:, 0] > 0.5).long(),
    }


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name.removeprefix("medlab."))
def test_an_example_runs(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    report = []
    example.globs |= given()
    doctest.DocTestRunner(Stated()).run(example, out=report.append)
    assert report == [], "".join(report)


def unwritten(source: str) -> list[str]:
    """Names of functions and classes whose docstring announces an example, but has none that could run."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    texts = {node.name: ast.get_docstring(node) or "" for node in nodes}
    return [
        name for name, text in texts.items() if re.search(r"^Examples?:$", text, re.MULTILINE) and ">>>" not in text
    ]


def test_an_example_is_written_so_that_it_can_run():
    found = {path.name: unwritten(path.read_text(encoding="utf-8")) for path in (ROOT / "medlab").rglob("*.py")}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
    assert unwritten('def f():\n    """F.\n\n    Example:\n        f()\n    """') == ["f"]


def test_examples_are_found_and_a_wrong_one_fails():
    assert {"medlab.data.augment.Augment", "medlab.reader_study.turing.TuringTest"} <= {
        test.name for test in examples()
    }
    report, parse = [], doctest.DocTestParser().get_doctest
    for source in (">>> 1 + 1\n3", ">>> nothing"):
        doctest.DocTestRunner(Stated()).run(parse(source, {}, "wrong", None, 0), out=report.append)
    assert "Expected:\n    3\nGot:\n    2" in "".join(report) and "NameError" in "".join(report)
