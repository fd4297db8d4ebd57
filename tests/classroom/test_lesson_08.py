"""Lesson 08: its exercises, its record, and what its text says of it."""

import math
import re

import nbformat
import numpy as np
import pytest
from answers_08 import nested_right, p_value, rates
from project import ROOT

from medlab.classroom import check
from medlab.runs import recorded
from medlab.runs.fingerprint import claim_cells

PATH = ROOT / "notebooks" / "08_gan_augmentation.ipynb"
LESSON = nbformat.read(PATH, 4)


def source(name: str) -> str:
    return next(cell.source for cell in LESSON.cells if cell.id == name)


def test_the_worked_numbers():
    assert p_value(np.array([1, 0, 0, 0, 0, 0], bool), np.array([0, 1, 1, 1, 1, 1], bool)) == pytest.approx(7 / 32)
    np.testing.assert_allclose(rates(np.array([[2, 1], [0, 3]])), [[2 / 3, 1], [1, 2 / 3]])
    assert [len(group) for group in nested_right(np.array([0, 0, 1, 1]), [2, 4], 0)] == [2, 4]
    broken = {(20, 7): 0.019, (33, 20): 0.098}
    for (repaired, lost), p in broken.items():
        pair = np.repeat([[1, 0], [0, 1]], [repaired, lost], axis=0).astype(bool)
        assert round(p_value(*pair.T), 3) == p and f"p = {p}" in source("survey") or f"against {p}" in source("survey")


def test_the_hints_of_mcnemars_test_pass_as_they_stand():
    count, chance = re.findall(r"<code>(.*?)</code>", source("exercise-3"))

    def mcnemar_exact(first, second):
        names = {"math": math, "first": first, "second": second}
        exec(count, names)
        names["c"] = eval(count.removeprefix("b = "), names | {"first": second, "second": first})
        names["n"] = names["b"] + names["c"]
        tail = sum(eval(chance, names | {"k": k}) for k in range(min(names["b"], names["c"]) + 1))
        return min(1.0, 2 * tail)

    assert check.mcnemar(mcnemar_exact, of="the solution")


def test_the_record_depends_on_the_cells_that_train():
    ids = {cell["id"] for cell in claim_cells(PATH)}
    assert {"arms", "score", "gans-train", "acgan-train", "claim-run"} <= ids
    assert not ids & {"gans-look", "claim-verdict", "curve-draw", "real-run"}


def test_the_text_gives_the_verdicts_of_the_record():
    outcomes = recorded("08-claim").outcomes
    assert len(outcomes) == 3
    for one in outcomes:
        assert re.search(f"{one.claim.name}: (it )?{one.verdict}", source("verdict"), re.IGNORECASE), one.claim.name


def test_the_figures_of_the_text_are_those_of_the_record():
    scores = {arm: np.array(values) for arm, values in recorded("08-claim").scores["accuracy"].items()}
    said = dict(re.findall(r"\*(none|classic|on the fly|oracle|classic \+ \w+)\* (\d\d\.\d) %", source("verdict")))
    assert said == {arm: f"{100 * values.mean():.1f}" for arm, values in scores.items()}
    way = (scores["oracle"] - scores["classic"]).mean()
    shares = dict(re.findall(r"(DCGAN|ACGAN) goes (-?\d+) % of the way", source("verdict").replace("−", "-")))
    assert shares == {
        gan: f"{100 * (scores[f'classic + {gan}'] - scores['classic']).mean() / way:.0f}" for gan in ("DCGAN", "ACGAN")
    }
    fresh = 100 * (scores["on the fly"] - scores["classic"]).mean() / way
    assert f"{fresh:.0f} % of the way to 3,000 new lesions" in source("verdict")
