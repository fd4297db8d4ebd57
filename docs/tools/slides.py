"""A few slides of a lesson, to open the hour with: `make slides`. It takes lessons, and notebooks that were executed.

Title and question, the drawing of the idea, up to three predictions, each with the figure that answers it, the claims
with the record's verdict, summary and questions: one HTML file a lesson in build/slides, which asks no other host.
"""

import ast
import os
import re
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from medlab.runs import find_notebook, recorded, results_folder, run
from medlab.runs.page import Page
from medlab.storage import write_file

FOLDER = Path(__file__).resolve().parents[2] / "build" / "slides"
MOST = 3  # predictions
LOOK = """
@page { size: 32cm 18cm; margin: 0 }
html { scroll-snap-type: y mandatory; font: clamp(18px, 2.1vw, 40px)/1.35 sans-serif; counter-reset: slide }
body { margin: 0 }
section { min-height: 100vh; box-sizing: border-box; padding: 5vh 7vw; scroll-snap-align: start; position: relative;
  display: flex; flex-direction: column; justify-content: center; break-after: page; counter-increment: slide }
section::after { content: counter(slide); position: absolute; right: 3vw; bottom: 2vh; font-size: 0.6em }
h1, h2 { margin: 0 0 0.6em; line-height: 1.15 }
p { margin: 0.4em 0 }
.anchor-link { display: none }
figure { margin: 0; text-align: center }
img { max-width: 100%; max-height: 62vh }
figcaption { font-size: 0.7em; text-align: left }
"""


def slides(nb: NotebookNode) -> Iterator[str]:
    """The slides of an executed lesson, each as Markdown."""
    texts = "\n\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
    code = {cell.id: cell for cell in nb.cells if cell.cell_type == "code"}
    yield texts.partition("**Time:**")[0]
    drawn = [name for name in code if name.endswith("drawing")]
    for name in sorted(drawn, key=lambda name: name not in ("drawing", "idea-drawing"))[:1]:
        yield "## The idea\n\n" + figure(code[name])
    for question, answer in predictions(code)[:MOST]:
        yield question
        yield answer
    if judged := claims(texts[2:4]):
        yield "## Did the claim hold?\n\n" + judged
    if verdict := figure(code["claim-verdict"]):
        yield "## Against the margin" + verdict
    yield section(texts, "Summary")
    yield section(texts, "Check yourself")


def predictions(code: dict[str, NotebookNode]) -> list[tuple[str, str]]:
    """Of each prediction that a cell answers, not the record, two slides: the question; the answer and its figure."""
    asked, found = {}, []
    for cell in code.values():
        for call in (node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)):
            function, arguments = ast.unparse(call.func), call.args
            if function == "check.predict":
                name, question, choices = map(ast.literal_eval, [*arguments, ast.List([])][:3])
                asked[name] = question, "".join(f"\n- {choice}" for choice in choices)
            elif function == "check.predicted" and cell.id != "claim-verdict":
                said = "".join(output.get("text", "") for output in cell.outputs)
                answer = re.search(r"It is: .*", said)
                question, choices = asked[arguments[0].value]
                slide = f"{question} **{answer[0] if answer else ''}**{figure(cell)}"
                found.append((f"## {question}\n{choices}", slide))
    return found


def figure(cell: NotebookNode) -> str:
    """The first figure that a cell shows, with its alt text as caption; empty if there is none."""
    for output in cell.outputs:
        if png := output.get("data", {}).get("image/png"):
            alt = escape(output.metadata.get("image/png", {}).get("alt", ""))
            image = f'<img alt="{alt}" src="data:image/png;base64,{png.strip()}">'
            return f"\n\n<figure>{image}<figcaption>{alt}</figcaption></figure>\n"
    return ""


def claims(lesson: str) -> str:
    """What the lesson's records say of its claims, the primary one first; empty if there are none."""
    names = sorted(path.stem for path in results_folder().glob(f"{lesson}-*.json"))
    outcomes = [one for name in names for one in recorded(name).outcomes]
    lines = [str(one).splitlines() for one in sorted(outcomes, key=lambda one: not one.claim.primary)]
    return "\n".join(f"- **{one[0]}**  \n{one[1]};{one[2]}" for one in lines)


def section(texts: str, heading: str) -> str:
    """What stands under a heading, up to the next one; the heading first."""
    return f"## {heading}\n\n" + re.split(r"^## ", texts.partition(f"## {heading}\n")[2], flags=re.MULTILINE)[0]


def page(executed: Path) -> Path:
    """Write the slides of an executed lesson, and return their file."""
    nb = nbformat.read(executed, as_version=4)
    title = nb.cells[0].source.partition("\n")[0].removeprefix("# ")
    lesson, exporter = find_notebook(title[:2]), Page()
    exporter.base = Path(os.path.relpath(lesson.parent, FOLDER)).as_posix() + "/"
    body = "".join(f"<section>{exporter.markdown2html({}, each)}</section>\n" for each in slides(nb))
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{LOOK}</style>'
    FOLDER.mkdir(parents=True, exist_ok=True)
    target = FOLDER / f"{lesson.stem}.html"
    write_file(target, f'<!DOCTYPE html><html lang="en">{head}<body>{body}</body></html>')
    return target


if __name__ == "__main__":
    for name in sys.argv[1:] or [
        path.stem[:2] for path in sorted((FOLDER.parents[1] / "notebooks").glob("[0-9]*.ipynb"))
    ]:
        if not name.endswith(".ipynb"):
            print(result := run(name))
            name = result.folder / "executed.ipynb"
        print(page(Path(name)), flush=True)
