"""Solutions with one operator, comparison, constant or return changed at a time: do the checks notice?"""

import ast
import contextlib
import io
import signal
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

from lesson_cells import basis, cells_of, tags

from medlab.classroom import check

SECONDS = 10  # of computing, after which a mutant counts as rejected
OTHER = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.And: ast.Or,
    ast.Or: ast.And, ast.USub: ast.UAdd, ast.Invert: ast.UAdd,
}  # fmt: skip
COMPARED = {
    ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.GtE), ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
}  # fmt: skip


def changes(node: ast.AST) -> Iterator[tuple[str, object]]:
    """A field of a node, and what it could wrongly be."""
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.UnaryOp | ast.AugAssign) and type(node.op) in OTHER:
        yield "op", OTHER[type(node.op)]()
    elif isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            for other in COMPARED.get(type(op), ()):
                yield "ops", [*node.ops[:i], other(), *node.ops[i + 1 :]]
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "value", not node.value
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield from (("value", node.value + 1), ("value", node.value - 1))
    elif isinstance(node, ast.Return):
        yield "value", ast.Constant(None)
        if isinstance(node.value, ast.Tuple):
            yield "value", ast.Tuple(node.value.elts[::-1], ast.Load())


def mutants(tree: ast.Module) -> Iterator[tuple[str, ast.Module]]:
    """Each mutant of a solution, with the lines that changed as `before -> after`."""
    lines = ast.unparse(tree).splitlines()
    inside = {id(node) for top in tree.body if isinstance(top, ast.FunctionDef) for node in ast.walk(top)}
    for place, node in enumerate(ast.walk(tree)):
        if id(node) not in inside:
            continue
        for field, value in changes(node):
            mutant = deepcopy(tree)
            setattr(list(ast.walk(mutant))[place], field, deepcopy(value))
            ast.fix_missing_locations(mutant)
            pairs = zip(lines, ast.unparse(mutant).splitlines())
            changed = [f"{old.strip()} -> {new.strip()}" for old, new in pairs if old != new]
            if changed:
                yield "; ".join(changed), mutant


def solutions(lesson: Path) -> Iterator[tuple[str, list[str], ast.Module, dict]]:
    """Of each exercise: the name of its check, those of the student's functions, the solution, what it may use."""
    names = basis(lesson)
    for cell in cells_of(lesson):
        if "solution" in tags(cell):
            tree = ast.parse(cell["source"])
            calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
            (call,) = [one for one in calls if ast.unparse(one.func).startswith("check.")]
            tree.body = [one for one in tree.body if not isinstance(one, ast.Assert)]
            yield call.func.attr, [argument.id for argument in call.args], tree, names


def passes(name: str, functions: list[str], tree: ast.Module, names: dict) -> bool:
    """Whether the check takes these functions for right."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            given = dict(names)
            exec(compile(tree, "<mutant>", "exec"), given)
            return getattr(check, name)(*(given[function] for function in functions))
    except KeyboardInterrupt:
        return False
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
