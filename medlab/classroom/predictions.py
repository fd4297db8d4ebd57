"""Predictions: what a student expects of a cell not yet run, kept in ``answers/NAME.txt`` beside the lesson."""

import re
from collections.abc import Sequence
from pathlib import Path

from IPython.display import display
from ipywidgets import HTML, RadioButtons, Text, VBox

from medlab.storage import write_file
from medlab.visualize.widgets import errors_shown

LONGEST = 200  # characters of an answer


def predict(name: str, question: str, choices: Sequence[str] = ()) -> None:
    """Ask for a prediction: print the question, and show the choices, or a field to type in if there are none.

    Nothing is chosen at the start but what was kept earlier. A choice is kept at once, in place of the one before.

    Args:
        name: the lesson and a word or two, such as "00-smallest-hu"; `predicted` finds the prediction by it.
        question: one sentence.
        choices: at least two, one of them right.

    Raises:
        ValueError: `name` is not of this form.
    """
    file, kept = _file(name), _kept(name)
    status = HTML()

    def keep(change: dict) -> None:
        with errors_shown(status):
            write_file(file, " ".join(change["new"].split())[:LONGEST] + "\n")
            status.value = '<div role="status">Kept. Now run the next cell.</div>'

    print(f"Predict: {question}")
    if choices:
        options = list(choices)
        field = RadioButtons(options=options, index=options.index(kept) if kept in options else None)
        field.layout.width = "auto"
    else:
        field = Text(value=kept, description="Your prediction:", placeholder="then Enter", continuous_update=False)
        field.style.description_width = "initial"
    field.observe(keep, names="value")
    display(VBox([field, status]))


def predicted(name: str, result: object) -> str:
    """One line with the prediction kept under `name` beside the `result`, to be printed or to be a figure's title.

    Raises:
        ValueError: `name` is not of the form that `predict` takes.
    """
    kept = _kept(name)
    return f"You said: {kept}. It is: {result}." if kept else f"No prediction yet. It is: {result}."


def _kept(name: str) -> str:
    try:
        with _file(name).open(encoding="utf-8", errors="replace") as file:
            return file.read(LONGEST).strip()
    except OSError:  # none yet
        return ""


def _file(name: str) -> Path:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", name):
        raise ValueError(f'a prediction cannot be called {name!r}: give lesson and word, such as "00-smallest-hu"')
    return Path("answers") / f"{name}.txt"
