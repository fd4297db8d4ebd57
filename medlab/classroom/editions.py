"""The student edition: the lessons without their solutions."""

import json
import re
from pathlib import Path
from urllib.parse import unquote

# links and pictures of Markdown and HTML; code and formulas, where brackets mean something else, are cut out first
LINK = re.compile(r"""\]\(<?([^)\s>]+)[^)]*\)|(?:src|href)=["']([^"']+)["']""")
NOT_TEXT = re.compile(r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$\n]*\$", re.DOTALL)


def student_edition(notebooks: Path, out: Path) -> list[Path]:
    """Write every lesson of the folder `notebooks` into the new folder `out` without its cells tagged `solution`.

    All else stays as it is, the ids of the cells too. Only lessons are written: they import the installed medlab.

    Returns:
        The files written, in order.

    Raises:
        FileNotFoundError: there are no notebooks.
        FileExistsError: `out` is not empty, or is a file.
        ValueError: a lesson links to a file that only the original folder reaches, or is not a notebook.
    """
    notebooks, out = Path(notebooks), Path(out)
    lessons = sorted(notebooks.glob("*.ipynb"))
    if not lessons:
        raise FileNotFoundError(f"no notebooks in {notebooks}; give the folder of the lessons.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} is already there and not an empty folder; name a new one, or remove it first.")
    texts = {lesson.name: _without_solutions(lesson) for lesson in lessons}  # all of them, before the first is written
    for name, text in texts.items():
        for link in local_links(text):
            if (notebooks / link).exists() and link not in texts and not (out / link).exists():
                raise ValueError(
                    f"{name} links to {link}, which is not part of the student edition: put a picture into its cell "
                    "as an attachment, and link to a page by its web address."
                )
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
    return [out / name for name in texts]


def _without_solutions(lesson: Path) -> str:
    try:
        notebook = json.loads(lesson.read_text(encoding="utf-8"))
        notebook["cells"] = [c for c in notebook["cells"] if "solution" not in c["metadata"].get("tags", [])]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{lesson} is not a Jupyter notebook of format 4 ({error!r}).") from None
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"  # as Jupyter writes it: the diff is the solutions


def local_links(text: str) -> list[str]:
    """The files that a notebook, given as its text, links to or shows, as paths relative to it."""
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
    links = [a or b for cell in cells for a, b in LINK.findall(NOT_TEXT.sub("", "".join(cell["source"])))]
    return [unquote(link.partition("#")[0]) for link in links if not re.match(r"[a-z]+:|#|//", link, re.IGNORECASE)]
