"""Lessons reduced to their widgets: the cells that call a widget, those that they need, few images, short training."""

import ast
import dis
import inspect
from collections.abc import Iterator
from types import CodeType

import ipywidgets
import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbformat.v4 import new_code_cell, new_notebook

from medlab import reader_study, visualize

# Runs before a lesson: short trainings, few draws of the bootstrap. Whether networks learn is tested on whole lessons.
SHORT = """
import ast, functools, inspect, sys
import medlab.data, medlab.metrics, medlab.train

class WithoutAssertions(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.copy_location(ast.Pass(), node)

def briefly(arguments):
    few = min(128, max(32, 4 * arguments.get("batch_size", 64)))
    for name in ("train", "val"):
        if (images := arguments.get(name)) is not None:
            arguments[name] = images[images.order(0)[:few]]
    arguments["epochs"] = 1
    for name in {"steps_per_epoch", "pretrain"} & arguments.keys():
        arguments[name] = min(arguments[name] or 1, 1)

def roughly(arguments):
    arguments["resamples"] = min(arguments.get("resamples", 20), 20)

def change(function, arguments_of):
    signature = inspect.signature(function)

    @functools.wraps(function)
    def changed(*given, **named):
        bound = signature.bind(*given, **named)
        arguments_of(bound.arguments)
        return function(*bound.args, **bound.kwargs)

    for module in [module for name, module in sys.modules.items() if name.startswith("medlab.")]:
        if getattr(module, function.__name__, None) is function:
            setattr(module, function.__name__, changed)

get_ipython().ast_transformers.append(WithoutAssertions())
for function in [getattr(medlab.train, name) for name in medlab.train.__all__]:
    if inspect.isfunction(function) and "epochs" in inspect.signature(function).parameters:
        change(function, briefly)
for function in [getattr(medlab.metrics, name) for name in medlab.metrics.__all__]:
    if inspect.isfunction(function) and "resamples" in inspect.signature(function).parameters:
        change(function, roughly)
"""

# Runs before a reduced lesson: a quarter of the images, too.
QUICK = (
    SHORT
    + """
def few(arguments):
    for number in {"n", "patients"} & arguments.keys():
        if arguments[number]:
            arguments[number] = max(arguments[number] // 4, min(arguments[number], 30))


change(medlab.data.load, few)
"""
)


def makes_widgets() -> set[str]:
    """The public names of both rooms that make a widget: classes of widgets, and functions said to return one."""
    made = {name: getattr(room, name) for room in (visualize, reader_study) for name in room.__all__}
    made = {name: thing if inspect.isclass(thing) else _returned(thing) for name, thing in made.items()}
    return {name for name, kind in made.items() if inspect.isclass(kind) and issubclass(kind, ipywidgets.Widget)}


def _returned(thing: object) -> object:
    kind = inspect.signature(thing).return_annotation if callable(thing) else None
    return getattr(ipywidgets, kind, None) if isinstance(kind, str) else kind


def python(cell: nbformat.NotebookNode) -> str:
    return TransformerManager().transform_cell(cell.source)


def calls(cell: nbformat.NotebookNode) -> set[str]:
    """The names of the functions that a cell calls, without what comes before their last dot."""
    called = [node.func for node in ast.walk(ast.parse(python(cell))) if isinstance(node, ast.Call)]
    return {getattr(function, "attr", getattr(function, "id", "")) for function in called}


def names(cell: nbformat.NotebookNode) -> tuple[set[str], set[str]]:
    """Names that a cell takes from other cells, and names that it gives a value."""
    taken, given = set(), set()
    top, *inner = _code_objects(compile(python(cell), "cell", "exec"))
    for step in dis.get_instructions(top):
        if step.opname == "STORE_NAME":
            given.add(step.argval)
        elif step.opname == "LOAD_NAME" and step.argval not in given:
            taken.add(step.argval)
    for code in inner:  # functions and classes; called once the cell has given its names their values
        loaded = {step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
        taken |= loaded - given
    return taken, given


def _code_objects(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code_objects(constant)


def needed(cells: list[nbformat.NotebookNode], wanted: set[int]) -> set[int]:
    """The indices of the `wanted` cells and of all before them that give a value to what these take, and so on."""
    reads, writes = zip(*map(names, cells))
    while True:
        taken = set().union(*(reads[i] for i in wanted))
        more = {i for i in range(max(wanted)) if writes[i] & taken} | wanted
        if more == wanted:
            return wanted
        wanted = more


def reduced(nb: nbformat.NotebookNode, wanted: set[str]) -> nbformat.NotebookNode:
    """A notebook of the code cells that call one of the `wanted` functions and of those that they need."""
    cells = [cell for cell in nb.cells if cell.cell_type == "code"]
    kept = needed(cells, {i for i, cell in enumerate(cells) if calls(cell) & wanted})
    return new_notebook(cells=[new_code_cell(QUICK), *(cells[i] for i in sorted(kept))], metadata=nb.metadata)
