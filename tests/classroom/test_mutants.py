"""The checks reject every solution with one thing changed, save those in mutants.toml, which compute the same."""

import tomllib
from pathlib import Path

import pytest
from mutants import mutants, passes, solutions
from project import LESSONS

SAME = tomllib.loads(Path(__file__).with_name("mutants.toml").read_text(encoding="utf-8"))  # by exercise and change


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of mutants that divide by 0
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_only_changes_that_change_nothing_pass(lesson, monkeypatch):
    monkeypatch.setenv("MEDLAB_STRICT", "0")
    for name, functions, tree, names in solutions(lesson):
        assert passes(name, functions, tree, names)
        survivors = {text for text, mutant in mutants(tree) if passes(name, functions, mutant, names)}
        assert (name, sorted(survivors)) == (name, sorted(SAME.get(name, {})))
