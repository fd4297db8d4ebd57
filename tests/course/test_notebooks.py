"""The form of every lesson, read and not run: each rule returns what is wrong with a notebook."""

import ast
import re
import tokenize
from io import StringIO
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, reads
from project import CAPSTONE, LESSONS, NOTEBOOKS

from medlab.classroom.grading import PROJECT

HEADINGS = [
    "What you will be able to do",
    "Setup",
    "Parameters",
    "Look at the images first",
    "1. ",  # the numbered sections
    "Did the claim hold?",
    "On real images",
    "What the survey says, and what is true",
    "Summary",
    "Check yourself",
    "References",
]
OF_HTML = re.compile(r"<img\b[^>]*>")
OF_MARKDOWN = re.compile(r"!\[([^\]]*)\]\(([^)\s]*)[^)]*\)")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(<?([^)\s>]+)[^)]*\)")


def text(nb) -> str:
    return "\n\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")


def code_cells(nb) -> list:
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def tagged(nb, tag: str) -> list[int]:
    return [i for i, cell in enumerate(nb.cells) if tag in cell.metadata.get("tags", [])]


def headings(nb) -> list[str]:
    """The lines `# ...`, `## ...` of the text, those within code blocks left out."""
    return re.findall(r"^#+ .*", re.sub(r"^```.*?^```", "", text(nb), flags=re.DOTALL | re.MULTILINE), re.MULTILINE)


def is_valid(nb, path):
    ids = [cell.get("id") for cell in nb.cells]
    if None in ids or len(set(ids)) < len(ids):
        yield "cells without an id, or two with the same"
    else:
        try:
            nbformat.validate(nb)  # it would repair ids and go on
        except nbformat.ValidationError as error:
            yield str(error)
    if nb.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "the kernel is not python3"


def is_stripped(nb, path):
    if "widgets" in nb.metadata:
        yield "stored state of widgets"
    for cell in code_cells(nb):
        if cell.outputs or cell.execution_count is not None:
            yield f"{cell.id} holds outputs; run nbstripout --keep-id"


def has_its_number_and_title(nb, path):
    titles = [line for line in headings(nb) if line.startswith("# ")]
    if len(titles) != 1 or not re.match(rf"# {re.escape(path.stem[:2])}\. \S", titles[0]):
        yield f"expected one H1 `# {path.stem[:2]}. Title`, got {titles}"
    if not re.fullmatch(r"\d\d_[a-z0-9_]+", path.stem):
        yield f"{path.name} should be named like 01_shallow_cnn.ipynb"


def has_the_sections_in_order(nb, path):
    sections = [line[3:] for line in headings(nb) if line.startswith("## ")]
    numbers = [int(line.split(".")[0]) for line in sections if re.match(r"\d+\. ", line)]
    found = [line for line in sections if line in HEADINGS or line.startswith("1. ")]
    found = ["1. " if line.startswith("1. ") else line for line in found]
    if found != HEADINGS:
        yield f"sections are {found}, expected {HEADINGS}"
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"sections are numbered {numbers}"
    other = [line for line in sections if line not in HEADINGS and not re.match(r"\d+\. \S", line)]
    if other:
        yield f"sections without a number: {other}"


def has_the_right_size(nb, path):
    if not 25 <= len(nb.cells) <= 45:
        yield f"{len(nb.cells)} cells, expected 25 to 45"
    for cell in code_cells(nb):
        if (lines := len(cell.source.splitlines())) > 25:
            yield f"{cell.id} has {lines} lines of code, at most 25"
    if path.exists() and path.stat().st_size > 100_000:
        yield f"{path.stat().st_size} bytes, at most 100 kB"


def has_one_cell_of_commented_parameters(nb, path):
    where = tagged(nb, "parameters")
    if len(where) != 1:
        yield f"{len(where)} cells are tagged `parameters`"
        return
    source = nb.cells[where[0]].source
    comments = {t.start[0] for t in tokenize.generate_tokens(StringIO(source).readline) if t.type == tokenize.COMMENT}
    for line in ast.parse(source).body:
        literal = isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value is not None
        try:
            ast.literal_eval(line.value if literal else "")
        except (ValueError, SyntaxError):
            literal = False
        if not literal or line.end_lineno not in comments:
            yield f"`{ast.unparse(line)}`: write NAME: TYPE = LITERAL  # what it is"


def raises_not_implemented(source: str) -> bool:
    try:
        functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    except SyntaxError:
        return False
    raised = [node.exc for function in functions for node in ast.walk(function) if isinstance(node, ast.Raise)]
    return any("NotImplementedError" in ast.unparse(exc) for exc in raised if exc)


def has_exercises_of_four_cells(nb, path):
    exercises, solutions = tagged(nb, "exercise"), tagged(nb, "solution")
    if len(exercises) < 2:
        yield f"{len(exercises)} exercises with a check, expected two or more"
    if solutions != [i + 2 for i in exercises]:
        yield "an `exercise` cell is followed by its check and then its `solution`, and by nothing else"
        return
    for i in exercises:
        task, exercise, check, solution = nb.cells[i - 1 : i + 3]
        if task.cell_type != "markdown" or not re.search(r"^### Exercise \d", task.source, re.MULTILINE):
            yield f"no `### Exercise N` before {exercise.id}"
        if not raises_not_implemented(exercise.source):
            yield f"{exercise.id} is not valid Python with a function that raises NotImplementedError"
        if check.cell_type != "code" or not re.search(r"\bcheck\.\w+\(", check.source):
            yield f"{exercise.id} is not followed by its check"
        if solution.cell_type != "code" or raises_not_implemented(solution.source):
            yield f"{solution.id} does not solve the exercise"


def describes_its_images(nb, path):
    markdown = text(nb)
    for alt, target in OF_MARKDOWN.findall(markdown):
        if not alt.strip():
            yield f"image {target[:60]} has no alt text"
    for tag in OF_HTML.findall(markdown):
        if not re.search(r"""\balt=("[^"]*\w[^"]*"|'[^']*\w[^']*')""", tag):
            yield f"{tag[:60]} has no alt text"


def says_it_is_not_for_clinical_use(nb, path):
    if "not for clinical use" not in text(nb).lower():
        yield "`Not for clinical use` is missing"


def links_to_what_is_there(nb, path):
    for link in LINK.findall(text(nb)):
        target = unquote(link.partition("#")[0])
        if target and not re.match(r"[a-z]+:", target) and not (path.parent / target).exists():
            yield f"{link} leads nowhere"


RULES = [
    is_valid,
    is_stripped,
    has_its_number_and_title,
    has_the_sections_in_order,
    has_the_right_size,
    has_one_cell_of_commented_parameters,
    has_exercises_of_four_cells,
    describes_its_images,
    says_it_is_not_for_clinical_use,
    links_to_what_is_there,
]
OF_LESSONS = [has_its_number_and_title, has_the_sections_in_order, has_exercises_of_four_cells]
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
    new_code_cell("def add(a, b):\n    return a + b", metadata={"tags": ["solution"]}),
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
        (13, "an exercise", "has_exercises_of_four_cells"),
        (14, "def add(a, b):\n    ...", "has_exercises_of_four_cells"),
        (14, "def add(a, b):\n    raise NotImplementedError(", "has_exercises_of_four_cells"),
        (15, "print(add)", "has_exercises_of_four_cells"),
        (16, "def add(a, b):\n    raise NotImplementedError", "has_exercises_of_four_cells"),
        (25, "x = 1\n" * 26, "has_the_right_size"),
    ],
)
def test_a_broken_rule_is_found(where, source, rule):
    nb = good()
    nb.cells[where].source = source
    assert complaints(nb) == {rule}


def test_more_broken_rules_are_found():
    for change, rule in [
        (lambda nb: nb.cells[25].update(execution_count=1), "is_stripped"),
        (lambda nb: nb.metadata.update(widgets={}), "is_stripped"),
        (lambda nb: nb.cells[1].update(id="cell-0"), "is_valid"),
        (lambda nb: nb.metadata.kernelspec.update(name="conda-old"), "is_valid"),
        (lambda nb: nb.cells.pop(15), "has_exercises_of_four_cells"),
        (lambda nb: nb.cells[12].metadata.update(tags=[]), "has_one_cell_of_commented_parameters"),
        (lambda nb: nb.cells.extend([new_markdown_cell("more") for _ in range(20)]), "has_the_right_size"),
    ]:
        nb = good()
        change(nb)
        assert complaints(nb) == {rule}
