"""Student edition: the lessons without their solutions."""

import json
import re
from pathlib import Path
from urllib.parse import unquote

from medlab.storage import write_file

# links and pictures of Markdown and HTML; code and formulas, where brackets mean something else, are cut out first
LINK = re.compile(r"""\]\(<?([^)\s>]+)[^)]*\)|(?:src|href)=["']([^"']+)["']""")
NOT_TEXT = re.compile(r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$\n]*\$", re.DOTALL)
LESSON = re.compile(r"\d\d_[a-z0-9_]+|capstone")
PAGE = re.compile(r"\.\./docs/([a-z-]+\.md)")  # such as the glossary, seen from a lesson


def student_edition(notebooks: Path, out: Path) -> list[Path]:
    """Write every lesson of the folder `notebooks` into the new folder `out` without its cells tagged `solution`.

    All else stays as it is, the ids of the cells too. Pages of `docs/` that lessons link to come along and lie beside
    them; else only lessons are written: they import the installed medlab.

    Returns:
        The lessons written, in order.

    Raises:
        FileNotFoundError: there are no notebooks.
        FileExistsError: `out` is not empty, or is a file.
        ValueError: a lesson links to a file that only the original folder reaches, or is not a notebook; two lessons
            of one number.
    """
    notebooks, out = Path(notebooks), Path(out)
    lessons = read_lessons(notebooks, out)  # all of them, before the first is written
    for path, notebook in lessons.items():
        notebook["cells"] = [cell for cell in notebook["cells"] if "solution" not in tags(cell)]
        write_lesson(path, notebook, out)
    return [out / path.name for path in lessons]


def read_lessons(notebooks: Path, out: Path) -> dict[Path, dict]:
    """Read and validate the lessons of a folder, by path, before any is written to `out`; raises like the above.

    A lesson is called 00_name, the capstone too is one; copies and drafts of other names that lie there are left out.
    """
    paths = sorted(path for path in notebooks.glob("*.ipynb") if LESSON.fullmatch(path.stem))
    if not paths:
        raise FileNotFoundError(f"no lessons in {notebooks}; give the folder with 00_NAME.ipynb and so on.")
    for one, other in zip(paths, paths[1:]):
        if one.name[:3] == other.name[:3]:
            raise ValueError(f"{one.name} and {other.name} have the same number; move what is no lesson elsewhere.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} is already there and not an empty folder; name a new one, or remove it first.")
    lessons = {path: read_lesson(path) for path in paths}
    for path, notebook in lessons.items():
        for link in local_links(notebook):
            lost = (notebooks / link).exists() and not (out / link).exists()
            if lost and notebooks / link not in lessons and not PAGE.fullmatch(link):
                raise ValueError(
                    f"{path.name} links to {link}, which is not part of the student edition: put a picture into its "
                    "cell as an attachment, and link to a page ../docs/NAME.md or by its web address."
                )
    return lessons


def read_lesson(lesson: Path) -> dict:
    """Read a notebook; ValueError if it is none."""
    try:
        notebook = json.loads(lesson.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            tags(cell)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{lesson} is not a Jupyter notebook of format 4 ({error!r}).") from None
    return notebook


def write_lesson(lesson: Path, notebook: dict, folder: Path) -> None:
    """Write a lesson into `folder`, beside it the pages that it links to."""
    for link in filter(PAGE.fullmatch, local_links(notebook)):
        write_file(folder / Path(link).name, (lesson.parent / link).read_bytes())
    text = json.dumps(notebook, indent=1, ensure_ascii=False)  # as Jupyter writes it: the diff is the solutions
    write_file(folder / lesson.name, PAGE.sub(r"\1", text) + "\n")


def tags(cell: dict) -> list[str]:
    """The tags of a cell; KeyError or TypeError where there is no cell."""
    return cell["metadata"].get("tags", [])


def local_links(notebook: dict) -> list[str]:
    """The files that a notebook links to or shows, as paths relative to it."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    links = [a or b for cell in cells for a, b in LINK.findall(NOT_TEXT.sub("", "".join(cell["source"])))]
    return [unquote(link.partition("#")[0]) for link in links if not re.match(r"[a-z]+:|#|//", link, re.IGNORECASE)]
