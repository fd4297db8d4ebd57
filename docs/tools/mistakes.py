"""Write docs/likely-mistakes.md from the checks themselves: `python docs/tools/mistakes.py`."""

import ast
import inspect
import re
from pathlib import Path

from medlab.classroom import check

PAGE = Path(__file__).parents[1] / "likely-mistakes.md"
HEAD = """\
# Likely mistakes

Every exercise has a check that runs the student's function on many cases. At the first wrong one it prints the case,
the answer, the expected answer and, where it knows one, the likely mistake. These are all that it knows, exercise by
exercise, so that you see what may come; which of them are common, your class will tell. An ellipsis stands for what
depends on the case.

Some mistakes every check tells: no `return`; a list or a number where a tensor is asked for; whole numbers where
floating point is asked for; a wrong shape; the input changed in place; an exception, with its line. A mistake that
would have shown in a case already passed is not offered.

This page is made from the checks by `python docs/tools/mistakes.py`. Do not edit it.
"""


def page() -> str:
    """The page as it should be."""
    functions = [getattr(check, name) for name in check.__all__ if name != "strict"]
    lessons = sorted({inspect.getmodule(function) for function in functions}, key=lambda module: module.__name__)
    return HEAD + "".join(of_lesson(Path(module.__file__).read_text(encoding="utf-8"), module) for module in lessons)


def of_lesson(source: str, module) -> str:
    """The section of one lesson: its exercises in the order of their checks, each with its task and the mistakes."""
    functions = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    lines = [f"\n## Lesson {module.__name__[-2:]}\n"]
    for name, node in functions.items():
        if any(getattr(decorator, "id", "") == "exercise" for decorator in node.decorator_list):
            task = re.sub(r"\s+", " ", ast.get_docstring(node).replace("``", "`"))
            task = re.match(r".*?[.?](?= |$)", task)[0]
            lines.append(f"\n### {name}\n\n{task}\n\n")
            lines += [f"- {mistake}\n" for mistake in dict.fromkeys(mistakes(node, functions))]
    return "".join(lines)


def mistakes(function: ast.FunctionDef, functions: dict[str, ast.FunctionDef]):
    """The texts on mistakes in a check and in the helpers it calls, in the order of the source."""
    nodes = [node for node in ast.walk(function) if isinstance(node, ast.Dict | ast.Assign | ast.Call)]
    for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset)):
        texts = []
        if isinstance(node, ast.Dict):  # {mistake: the answer it gives}
            texts = node.keys
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):  # mistakes[mistake] = answer
            texts = [node.targets[0].slice]
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "mistake":
            texts = [node.value]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "wrong":
            texts = node.args[2:]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in functions and node.func.id[0] == "_":
            yield from mistakes(functions[node.func.id], functions)
        for text in filter(None, texts):
            yield from written(text)


def written(node: ast.expr):
    """The texts that an expression may be; what an f-string fills in becomes an ellipsis."""
    if isinstance(node, ast.IfExp):
        yield from [*written(node.body), *written(node.orelse)]
    elif isinstance(node, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
        yield node.value


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.name}")
