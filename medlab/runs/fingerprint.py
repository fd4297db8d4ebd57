"""The fingerprint of the cells that a recorded claim depends on: figures and texts may change, these may not."""

import ast
import hashlib
import symtable
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import UnionType
from typing import TypeGuard

from medlab.runs.parameters import code_cells, read_parameters

PLAN = {"parameters", "claims"}  # cells whose values stand in the record
EXERCISES = {"exercise", "solution"}  # these decide nothing
SHOWS = {"visualize", "display", "print", "check", "record", "metrics"}  # these leave what they are given as it is


def claim_cells(path: Path) -> list[dict]:
    """The code cells that the values given to `record` depend on, and those tagged `parameters` or `claims`, in order.

    Cells are followed backwards from those that call `record`: a cell counts if it defines, or may change, a name that
    is read further on.

    Raises:
        ValueError: a cell is not Python.
    """
    cells = [cell for cell in code_cells(path) if not EXERCISES & set(cell["metadata"].get("tags", []))]
    try:
        bodies = [ast.parse(cell["source"]).body for cell in cells]
    except SyntaxError as error:
        raise ValueError(f"{path.name}: a code cell is not plain Python ({error})") from None
    fixed = SHOWS | {(one.asname or one.name).partition(".")[0] for body in bodies for one in _walk(body, ast.alias)}
    fixed |= read_parameters(path).keys()  # literals
    needed: set[str] = set()
    kept: list[dict] = []
    for cell, body in reversed(list(zip(cells, bodies))):
        changed = _changed(body) - fixed
        if _is_plan(cell) or "record" in _calls(body) or needed & (_bound(body) | changed):
            kept.insert(0, cell)
            needed = (needed - _bound(body)) | needed & changed | _read(body)
    return kept


def claim_code(path: Path) -> str:
    """The SHA-256 of the cells that a record depends on, without its plan, blank lines and comments.

    Raises:
        ValueError: a cell is not Python.
    """
    sources = (cell["source"] for cell in claim_cells(path) if not _is_plan(cell))
    lines = (line.rstrip() for source in sources for line in source.splitlines())
    code = "\n".join(line for line in lines if line and not line.lstrip().startswith("#"))
    return hashlib.sha256(code.encode()).hexdigest()


def _is_plan(cell: dict) -> bool:
    return bool(PLAN & set(cell["metadata"].get("tags", [])))


def _walk(body: Sequence[ast.stmt], kind: type | UnionType) -> Iterator:
    return (node for statement in body for node in ast.walk(statement) if isinstance(node, kind))


def _calls(body: Sequence[ast.stmt]) -> set[str]:
    return {_root(call.func) for call in _walk(body, ast.Call)}


def _bound(body: Sequence[ast.stmt]) -> set[str]:
    """Names of the cell that its statements bind: variables, functions, classes, imports."""
    symbols = symtable.symtable("\n".join(map(ast.unparse, body)), "cell", "exec").get_symbols()
    return {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}


def _changed(body: Sequence[ast.stmt]) -> set[str]:
    """Names whose objects may change: stored into, or handed to a call that stands alone, such as ``fit(network)``."""
    body = [one for one in body if not isinstance(one, ast.FunctionDef | ast.ClassDef)]
    stored = [node for node in _walk(body, ast.Attribute | ast.Subscript) if isinstance(node.ctx, ast.Store)]
    alone = [node.value for node in _walk(body, ast.Expr) if isinstance(node.value, ast.Call)]
    alone = [call for call in alone if _root(call) not in SHOWS]
    return {_root(node) for node in [*stored, *alone, *(part for call in alone for part in call.args)]}


def _read(body: Sequence[ast.stmt]) -> set[str]:
    """Names that the statements read before they bind them."""
    read: set[str] = set()
    bound: set[str] = set()
    for statement in body:
        inner = [part for name in ("body", "orelse", "handlers", "finalbody") for part in getattr(statement, name, [])]
        if inner and not isinstance(statement, ast.FunctionDef | ast.ClassDef):
            heads = [node for node in ast.iter_child_nodes(statement) if node not in inner]
            targets = {node.id for head in heads for node in ast.walk(head) if _stores(node)}
            inner = [part for each in inner for part in (each.body if isinstance(each, ast.ExceptHandler) else [each])]
            used = {node.id for head in heads for node in ast.walk(head) if isinstance(node, ast.Name)} | _read(inner)
            used -= targets
        else:
            used = _free(symtable.symtable(ast.unparse(statement), "cell", "exec"))
        read |= used - bound
        bound |= _bound([statement])
    return read


def _stores(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _free(table: symtable.SymbolTable, top: bool = True) -> set[str]:
    """Names that a piece of code reads from the notebook: at its top level, or as globals of its functions."""
    names = {one.get_name() for one in table.get_symbols() if one.is_referenced() and (top or one.is_global())}
    return names.union(*(_free(child, False) for child in table.get_children()))


def _root(node: ast.AST) -> str:
    """The name that an expression such as ``name.part[0](...)`` begins with, or an empty one."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
