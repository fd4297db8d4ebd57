"""Reader study: widgets of the visual Turing test and of the remote clinic."""

import time
from collections.abc import Callable
from html import escape
from io import BytesIO

import numpy as np
from ipywidgets import HTML, Button, HBox, Text, VBox
from PIL import Image

from medlab.reader_study.advice import NO_ADVICE
from medlab.reader_study.plots import advice_plot
from medlab.reader_study.remote_clinic import RemoteClinic
from medlab.reader_study.statistics import turing_table
from medlab.reader_study.turing import TuringTest
from medlab.visualize.figures import img_tag
from medlab.visualize.widgets import errors_shown

KEYS = {"r": "real", "s": "synthetic"}
WIDTH = 320  # of an image on the page, in pixels
PAUSE = 0.6  # seconds; a key that is held down begins to repeat after about half of one
TURING_HELP = (
    "<p>Is each image <b>real</b> or <b>synthetic</b>? There are as many of both. Type <b>R</b> or <b>S</b>, or click. "
    "Answers are saved one by one and cannot be taken back. There is no feedback before the end.</p>"
)
CLINIC_HELP = "<p>Decide each case. Some come with a program's advice, which may be wrong. No feedback meanwhile.</p>"


def turing_widget(test: TuringTest) -> VBox:
    """Widget that shows the images of `test` one by one, to be answered with the keys R and S or by click.

    The keys go into a text field, which gets the focus at the start and back after every answer: JupyterLab leaves
    letters typed into a field alone, while R and S outside of one would change the cell. Response times are measured
    here, in the kernel: with a remote server they include the way there and back. The report appears at the end.

    Args:
        test: its file has each answer before the next image is shown.
    """
    status, picture, report = HTML(), HTML(), HTML()
    begin = Button(description=f"Go on with image {test.trial}" if test.answers else "Start", button_style="primary")
    field = Text(description="R or S:", placeholder="type here", layout={"width": "16em"}, continuous_update=True)
    buttons = {kind: Button(description=f"{kind.capitalize()} ({key.upper()})") for key, kind in KEYS.items()}

    def show() -> None:
        where = f"Image {test.trial} of {len(test.order)}"
        if not test.done:
            status.value = _status(where)
            picture.value = _image(test.show(), f"{where}, real or synthetic?")
            field.focus()
            return
        status.value = _status(f"All {len(test.order)} images are answered, see {escape(str(test.file))}.")
        picture.value = ""
        table = turing_table({test.rater: test.report()})
        report.value = f"{table.to_html(border=0)}<pre>{escape(str(test.report()))}</pre>"
        for control in (begin, field, *buttons.values()):
            control.disabled = True

    def give(answer: str) -> None:
        with errors_shown(status):
            if begin.disabled and test.answer(answer) is not None:
                show()
            else:
                field.focus()

    def typed(change: dict) -> None:
        letter = change["new"][-1:].lower()
        if not letter:
            return
        field.value = ""
        if not begin.disabled:
            status.value = _status("Press the button first")
        elif letter in KEYS:
            give(KEYS[letter])
        else:
            status.value = _status(f"Image {test.trial} of {len(test.order)}: type R for real or S for synthetic")

    def start(_: Button) -> None:
        begin.disabled = True
        with errors_shown(status):
            show()

    begin.on_click(start)
    field.observe(typed, names="value")
    for kind, button in buttons.items():
        button.on_click(lambda _, kind=kind: give(kind))
    if test.done:
        show()
    return VBox([HTML(TURING_HELP), begin, status, picture, HBox([field, *buttons.values()]), report])


def clinic_widget(clinic: RemoteClinic, *, clock: Callable[[], float] = time.monotonic) -> VBox:
    """Widget that shows the cases of `clinic` one by one, to be decided by click, or by Tab and Enter.

    The button pressed last keeps the focus, so that a held Enter would run through the cases: a press within `PAUSE` of
    the image or of the press before decides nothing. The reader's own numbers appear at the end.

    Args:
        clinic: gets a decision with every press.
        clock: returns seconds.
    """
    status, picture, report = HTML(), HTML(), HTML()
    buttons = [Button(description=name) for name in clinic.names]

    def show() -> None:
        if clinic.done:
            status.value = _status(f"All {len(clinic.order)} cases are decided. Your numbers:")
            picture.value = advice_plot({"you": clinic.report()}).html()
            report.value = f"<pre>{escape(str(clinic.report()))}</pre>"
            for button in buttons:
                button.disabled = True
            return
        image, advice = clinic.case()
        where = f"Case {len(clinic.decisions) + 1} of {len(clinic.order)}"
        advised = f"The program advises: <b>{escape(clinic.names[advice])}</b>"
        status.value = _status(f"{where}. {'No advice: you decide alone.' if advice == NO_ADVICE else advised}")
        picture.value = _image((255 * image).round().astype(np.uint8), where)

    last = clock()

    def give(decision: bool) -> None:
        nonlocal last
        with errors_shown(status):
            if clock() - last >= PAUSE:
                clinic.decide(decision)
                show()
            elif "too quick" not in status.value:
                status.value += '<div role="alert">That was too quick and decided nothing.</div>'
            last = clock()

    for decision, button in zip((False, True), buttons):
        button.on_click(lambda _, decision=decision: give(decision))
    show()
    return VBox([HTML(CLINIC_HELP), status, picture, HBox(buttons), report])


def _status(text: str) -> str:
    return f'<div role="status">{text}</div>'


def _image(image: np.ndarray, alt: str) -> str:
    """An image, uint8 ``(H, W)`` or ``(H, W, 3)``, as ``<img>``."""
    file = BytesIO()
    Image.fromarray(image).save(file, format="png")
    return img_tag(file.getvalue(), WIDTH, alt, style="image-rendering: pixelated; ")
