"""The right answers of lesson 07 against the course."""

import ast
import re
from pathlib import Path

import nbformat
import torch
from answers_07 import clip_weights, critic_loss, d_prime, mode_count

from medlab.reader_study import turing_counts
from medlab.runs import recorded

LESSON = nbformat.read(Path(__file__).parents[2] / "notebooks" / "07_wgan_mr.ipynb", 4)


def test_the_worked_numbers():
    assert float(critic_loss(torch.tensor([1.0, 3.0]), torch.tensor([0.5]))) == -1.5
    clipped = clip_weights([torch.tensor([0.02, -0.5, 0.004])], 0.01)[0]
    torch.testing.assert_close(clipped, torch.tensor([0.01, -0.01, 0.004]))
    points = torch.tensor([[0.0, 0.1], [0.0, -0.1], [0.5, 0.0], [0.9, 0.0]])
    centers = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    assert mode_count(points, centers, 0.2, 0.25) == 2 and mode_count(points, centers, 0.2, 0.3) == 1
    assert round(d_prime(26, 24, 6, 44), 2) == 1.23


def test_the_table_of_the_lesson_adds_up():
    """Counts of 50 real and 50 synthetic images; accuracies as quoted beside them: 70, 71, 64, 54, 77 and 54 %."""
    source = next(cell.source for cell in LESSON.cells if cell.id == "turing")
    assigned = next(line.value for line in ast.parse(source).body if isinstance(line, ast.Assign))
    table = ast.literal_eval(assigned)
    accuracy = dict(zip(table, (70, 71, 64, 54, 77, 54), strict=True))
    for name, (a, b, c, d) in table.items():
        assert a + b == c + d == 50 and a + d == accuracy[name]
        assert abs(d_prime(a, b, c, d) - turing_counts(a, b, c, d).d_prime.value) < 1e-9
    inside = [name for name, right in accuracy.items() if 40 <= right <= 60]
    assert inside == ["FLAIR", "Concat, 64"]  # those that may be guessing


def test_the_text_gives_the_verdicts_of_the_records():
    text = next(cell.source for cell in LESSON.cells if cell.id == "verdict")
    outcomes = recorded("07-ring").outcomes + recorded("07-brains").outcomes
    assert len(outcomes) == 3
    for one in outcomes:
        assert re.search(f"{one.claim.name}: (it )?{one.verdict}", text, re.IGNORECASE), one.claim.name


def test_the_counts_of_the_text_are_those_of_the_record():
    modes = recorded("07-ring").scores["modes covered"]
    assert modes["WGAN-GP"].count(8) == modes["plain, faster opponent"].count(8) == 16 and len(modes["plain"]) == 20
    assert min(modes["WGAN-GP"]) == 5 and max(modes["plain"]) <= 1 and max(modes["WGAN-GP, slow opponent"]) == 2
    assert (min(modes["plain, 5 to 1"]), max(modes["plain, 5 to 1"])) == (1, 6)
