"""The form of every lesson, read and not run."""

import re
from pathlib import Path

import nbformat
import pytest
from lesson_rules import HEADINGS, OF_LESSONS, RULES, tagged, text
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, reads
from project import CAPSTONE, LESSONS, NOTEBOOKS

from medlab.classroom.grading import PROJECT

KEPT = [(path, rule) for path in NOTEBOOKS for rule in RULES if path in LESSONS or rule not in OF_LESSONS]


def test_there_are_lessons():
    numbers = [path.stem[:2] for path in LESSONS]
    assert numbers == [f"{number:02d}" for number in range(len(LESSONS))] and LESSONS


@pytest.mark.parametrize(("path", "rule"), KEPT, ids=lambda each: getattr(each, "stem", None) or each.__name__)
def test_notebook(path, rule):
    assert list(rule(reads(path.read_text(encoding="utf-8")), path)) == []


def test_the_capstone_asks_for_text_in_every_section_and_its_rubric_gives_a_hundred_points():
    nb = reads(CAPSTONE.read_text(encoding="utf-8"))
    sections = [part for part in re.split(r"^## ", text(nb), flags=re.MULTILINE) if re.match(r"\d+\. ", part)]
    silent = [part.splitlines()[0] for part in sections if "**Write:**" not in part]
    assert len(sections) == 10 and silent == ["9. The card"]  # which is written in its code cell
    (rubric,) = (nb.cells[i].source for i in tagged(nb, "rubric"))
    assert sum(int(points) for points in re.findall(r"^\| [^|]* \| (\d+) \|", rubric, re.MULTILINE)) == PROJECT


EXERCISE = [
    new_markdown_cell("### Exercise 1: add"),
    new_code_cell("def add(a, b):\n    raise NotImplementedError", metadata={"tags": ["exercise"]}),
    new_code_cell("check.add(add)"),
    new_code_cell(
        'def add(a, b):\n    return a + b\n\n\nassert check.add(add, of="the solution"), "the check must pass"',
        metadata={"tags": ["solution"]},
    ),
]


def good():
    """A notebook that keeps all the rules."""
    sections = [f"## {line}" if line != "1. " else "## 1. Idea" for line in HEADINGS]
    cells = [new_markdown_cell("# 07. Title\n\nNot for clinical use. ![a scan](x.png)")]
    cells += [new_markdown_cell(section) for section in sections]
    cells += [
        new_code_cell(
            "seed: int = 0  # for all draws\nname: str | None = None  # a set", metadata={"tags": ["parameters"]}
        )
    ]
    cells += [new_code_cell('check_parameter("seed", seed, least=0)\nassert name in (None, "skin"), "name a set"')]
    cells += [nbformat.from_dict(dict(cell)) for cell in 2 * EXERCISE]
    cells += [new_code_cell("print(1)") for _ in range(6)]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    return new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})


def complaints(nb, name: str = "07_good.ipynb") -> set[str]:
    return {rule.__name__ for rule in RULES if list(rule(nb, Path(name)))}


def test_a_good_notebook_keeps_the_rules():
    assert complaints(good()) == set()
    assert complaints(good(), "08_other.ipynb") == {"has_its_number_and_title"}


@pytest.mark.parametrize(
    ("where", "source", "rule"),
    [
        (0, "# Title\n\nNot for clinical use.", "has_its_number_and_title"),
        (0, "# 07. Title\n\n# 08. Title\n\nNot for clinical use.", "has_its_number_and_title"),
        (0, "# 07. Title", "says_it_is_not_for_clinical_use"),
        (0, "# 07. Title\n\nNot for clinical use. ![](x.png)", "describes_its_images"),
        (0, "# 07. Title\n\nNot for clinical use. <img src='x.png'>", "describes_its_images"),
        (0, "# 07. Title\n\nNot for clinical use. [next](08_gone.ipynb#x)", "links_to_what_is_there"),
        (1, "## Parameters", "has_the_sections_in_order"),
        (5, "## 2. Idea", "has_the_sections_in_order"),
        (5, "## 1. Idea\n\n## 3. Idea", "has_the_sections_in_order"),
        (6, "## Did the claim hold?\n\n## More", "has_the_sections_in_order"),
        (12, "seed: int = 0", "has_one_cell_of_commented_parameters"),
        (12, "seed = 0  # no type", "has_one_cell_of_commented_parameters"),
        (12, "seed: int = 1 + 2  # no literal", "has_one_cell_of_commented_parameters"),
        (13, "print(seed, name)", "checks_every_parameter"),
        (13, 'check_parameter("seed", name)\nassert name, "a name"', "checks_every_parameter"),
        (26, "for each in range(seed, seed + 3):\n    print(each)", "spreads_its_seeds"),
        (26, "assert 1 < 2", "asserts_with_a_message"),
        (26, "for x in y:\n    assert x, x", "asserts_with_a_message"),
        (14, "an exercise", "has_exercises_of_four_cells"),
        (15, "def add(a, b):\n    ...", "has_exercises_of_four_cells"),
        (15, "def add(a, b):\n    raise NotImplementedError(", "has_exercises_of_four_cells"),
        (16, "print(add)", "has_exercises_of_four_cells"),
        (17, "def add(a, b):\n    raise NotImplementedError", "has_exercises_of_four_cells"),
        (26, "x = 1\n" * 26, "has_the_right_size"),
    ],
)
def test_a_broken_rule_is_found(where, source, rule):
    nb = good()
    nb.cells[where].source = source
    assert complaints(nb) == {rule}


def test_more_broken_rules_are_found():
    for change, rule in [
        (lambda nb: nb.cells[26].update(execution_count=1), "is_stripped"),
        (lambda nb: nb.metadata.update(widgets={}), "is_stripped"),
        (lambda nb: nb.cells[1].update(id="cell-0"), "is_valid"),
        (lambda nb: nb.metadata.kernelspec.update(name="conda-old"), "is_valid"),
        (lambda nb: nb.cells.pop(16), "has_exercises_of_four_cells"),
        (lambda nb: nb.cells[12].metadata.update(tags=[]), "has_one_cell_of_commented_parameters"),
        (lambda nb: nb.cells.extend([new_markdown_cell("more") for _ in range(40)]), "has_the_right_size"),
    ]:
        nb = good()
        change(nb)
        assert complaints(nb) == {rule}
