"""The files of this project, for the tests that read them rather than run them."""

import ast
import json
import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CAPSTONE = ROOT / "notebooks" / "capstone.ipynb"
LESSONS = [path for path in NOTEBOOKS if path != CAPSTONE]
NOT_OURS = {
    "__pycache__",
    "node_modules",
}  # beside all that begins with a dot, save .ci, .github, .gitignore and the like
MADE_HERE = {"my-lessons", "runs", "build", "data/cache", "medlab.egg-info"}


def files() -> Iterator[Path]:
    """Every file of the project, also in a copy without git; nothing that setting up or running made."""
    for folder, inside, names in os.walk(ROOT):
        here = Path(folder)
        inside[:] = [
            name
            for name in inside
            if name not in NOT_OURS
            and (name in (".ci", ".github") or not name.startswith("."))
            and (here / name).relative_to(ROOT).as_posix() not in MADE_HERE
        ]
        yield from (here / name for name in sorted(names) if name != ".git")  # a file in a worktree


def code(lesson: Path) -> str:
    """All code of a notebook, without the lines that are IPython's own."""
    cells = json.loads(lesson.read_text(encoding="utf-8"))["cells"]
    lines = [line for c in cells if c["cell_type"] == "code" for line in "".join(c["source"]).splitlines()]
    return "\n".join(line for line in lines if not line.startswith(("%", "!")))


def imports(source: str) -> set[str]:
    """The modules that Python source imports, at any level; relative imports begin with a dot."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found
