"""The cells of a lesson, executed one by one in a plain namespace; and folders of small lessons."""

import json
from pathlib import Path
from types import SimpleNamespace

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

UNSOLVED = "def window(hu, level, width):\n    raise NotImplementedError"
SOLVED = """\
def window(hu, level, width):
    return ((hu - (level - width / 2)) / width).clip(0, 1)


assert check.window(window, of="the solution")
"""


def tags(cell) -> set[str]:
    return set(cell["metadata"].get("tags", [])) if cell["cell_type"] == "code" else set()


def cells_of(path: Path) -> list[dict]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell | {"source": "".join(cell["source"])} for cell in cells]


def execute(code: str, namespace: dict) -> None:
    exec(compile(TransformerManager().transform_cell(code), "<cell>", "exec"), namespace)


def basis(path: Path) -> dict:
    """The namespace after the code of the sections Setup and Parameters; magics do nothing."""
    namespace = {"__name__": "__main__", "get_ipython": lambda: SimpleNamespace(run_line_magic=lambda *_: None)}
    section = ""
    for cell in cells_of(path):
        if cell["cell_type"] == "markdown":
            headings = [line for line in cell["source"].splitlines() if line.startswith("## ")]
            section = headings[-1] if headings else section
        elif section in ("## Setup", "## Parameters"):
            execute(cell["source"], namespace)
    return namespace


def small(*cells, title: str = "# A test") -> dict:
    start = [new_markdown_cell(title), new_markdown_cell("## Setup\n\nRun it.")]
    start += [new_code_cell("%matplotlib inline\nfrom medlab.classroom import check")]
    start += [new_markdown_cell("## Parameters"), new_code_cell("seed: int = 0", metadata={"tags": ["parameters"]})]
    end = [new_markdown_cell("## Long training"), new_code_cell("raise RuntimeError('not to be run in these tests')")]
    return new_notebook(cells=[*start, *end, *cells])


def code(source: str, *names: str) -> dict:
    return new_code_cell(source, metadata={"tags": list(names)} if names else {})


def lessons(folder: Path, *cells, **kwargs) -> Path:
    """Write a folder with one lesson of these cells, by default one exercise, and a second lesson."""
    folder.mkdir(parents=True)
    exercise = (code(UNSOLVED, "exercise"), code("check.window(window)"), code(SOLVED, "solution"))
    nbformat.write(small(*(cells or exercise), **kwargs), folder / "00_one.ipynb")
    nbformat.write(small(), folder / "01_two.ipynb")
    return folder
