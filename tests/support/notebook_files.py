"""Small notebooks with a parameters cell, for the tests of runs."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PARAMETERS = """\
seed: int = 0  # which = comment
rate: float = 0.1  # learning rate
name: str = "lung"
fast: bool = False
sizes: list[int] = [1, 2]
options: dict = {}
depth: int | None = None
"""


def write(path: Path, *cells: str, params: str = PARAMETERS, tags: tuple[str, ...] = ()) -> Path:
    """Write a notebook: a title, a parameters cell, then the given code; `tags` go to the last cell."""
    code = [new_code_cell(cell) for cell in cells]
    if tags:
        code[-1].metadata["tags"] = list(tags)
    notebook = new_notebook(
        cells=[new_markdown_cell("# A test"), new_code_cell(params, metadata={"tags": ["parameters"]}), *code]
    )
    nbformat.write(notebook, path)
    return path
