"""The rules of the form of a lesson: each is given a notebook and its path, and yields what is wrong with it."""

import ast
import re
import tokenize
from io import StringIO
from urllib.parse import unquote

import nbformat

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
    sections = [line for line in sections if line != "The plan"]  # of lessons whose claims are planned
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
    if not 25 <= len(nb.cells) <= 60:
        yield f"{len(nb.cells)} cells, expected 25 to 60"
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


def parsed(source: str) -> ast.Module:
    """The tree of a code cell, without the lines that are IPython's own; empty if it is not Python."""
    try:
        return ast.parse("\n".join(line for line in source.splitlines() if not line.startswith(("%", "!"))))
    except SyntaxError:
        return ast.Module([], [])


def checks_every_parameter(nb, path):
    for i in tagged(nb, "parameters"):
        parameters = {line.target.id for line in parsed(nb.cells[i].source).body if isinstance(line, ast.AnnAssign)}
        following = next((cell.source for cell in nb.cells[i + 1 :] if cell.cell_type == "code"), "")
        checked = set()
        for node in ast.walk(parsed(following)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "check_parameter":
                name, value = map(ast.unparse, node.args)
                checked |= {value} if name == repr(value) else set()
            elif isinstance(node, ast.Assert):  # what is neither a number nor a choice
                checked |= {each.id for each in ast.walk(node.test) if isinstance(each, ast.Name)}
        for name in sorted(parameters - checked):
            yield f'the code cell after the parameters has no `check_parameter("{name}", {name}, ...)`'


def spreads_its_seeds(nb, path):
    """Seeds in a row would be those of the run with the next `seed`."""
    code = "\n".join(cell.source for cell in code_cells(nb))
    if "range(seed" in code and "seed = spread_seed(seed)" not in code:
        yield "uses several seeds in a row: write `seed = spread_seed(seed)` below the check of `seed`"


def asserts_with_a_message(nb, path):
    for cell in code_cells(nb):
        for node in ast.walk(parsed(cell.source)):
            if isinstance(node, ast.Assert) and not (
                isinstance(node.msg, ast.Constant | ast.JoinedStr) and re.search(r"\w", ast.unparse(node.msg))
            ):
                yield f"{cell.id}: `{ast.unparse(node)}` does not say what was expected"


def raises_not_implemented(source: str) -> bool:
    functions = [node for node in ast.walk(parsed(source)) if isinstance(node, ast.FunctionDef)]
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
        elif not re.search(r"\bcheck\.\w+\(.*, of=\"the solution\"\)", solution.source):
            yield f'{solution.id} does not check its answer with of="the solution"'


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
    checks_every_parameter,
    spreads_its_seeds,
    asserts_with_a_message,
    has_exercises_of_four_cells,
    describes_its_images,
    says_it_is_not_for_clinical_use,
    links_to_what_is_there,
]
OF_LESSONS = [has_its_number_and_title, has_the_sections_in_order, has_exercises_of_four_cells]
