"""Widgets where students meet them: in JupyterLab, in a browser, by the keyboard.

Every lesson that calls a widget of `medlab.visualize` is opened and run, each slider is moved by an arrow key (where a
widget has none, its first button is pressed), the picture must change, no cell may fail, and the page may ask for
nothing on another computer. Lessons are found by what they call, so a new one is tested too.

What is opened is not the whole lesson, which takes a minute, but the cells that its widgets need, with a quarter of the
images, one short epoch of training and no assertions: whole lessons are run, without a browser, by `make notebooks`.
Not covered: other browsers than Chromium, phones, screen readers, and Jupyter servers on another computer.
"""

import shutil
from pathlib import Path

import nbformat
import pytest
from browser import BROWSER, PATIENCE, Lab, Notebook, open_lab, wait_until
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import Locator
from project import LESSONS, ROOT, code, imports
from reduced import calls, makes_widgets, names, reduced

from medlab.reader_study import read_answers

in_browser = pytest.mark.skipif(BROWSER is None, reason="needs a browser: install Chromium or Chrome")
WIDGETS = makes_widgets()


def read(lesson: Path) -> nbformat.NotebookNode:
    return nbformat.read(lesson, as_version=4)


def has_widgets(lesson: Path) -> bool:
    return any(cell.cell_type == "code" and calls(cell) & WIDGETS for cell in read(lesson).cells)


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Lab:
    with open_lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


def notebook(*sources: str) -> nbformat.NotebookNode:
    kernel = {"name": "python3", "display_name": "Python 3"}
    return new_notebook(cells=[new_code_cell(source) for source in sources], metadata={"kernelspec": kernel})


def picture(output: Locator) -> list[str]:
    """All images that an output shows, each with its alt text."""
    return output.locator("img").evaluate_all("images => images.map(image => image.alt + ' ' + image.src)")


def press(lab: Lab, output: Locator, control: Locator, key: str, seconds: float = PATIENCE) -> None:
    """Press a key on a control; what the output shows must change."""
    before = picture(output)
    control.focus()
    lab.page.keyboard.press(key)
    wait_until(lambda: picture(output) != before, f"{key} changed nothing", lab.page, seconds)


def use(lab: Lab, output: Locator) -> None:
    """Move all sliders of a widget by one step, or press its first button."""
    output.locator(".jupyter-widgets").first.wait_for()
    sliders = output.get_by_role("slider")
    for slider in sliders.all():
        wait_until(lambda slider=slider: slider.get_attribute("aria-label"), "a handle without a name", lab.page)
        at_the_end = slider.get_attribute("aria-valuenow") == slider.get_attribute("aria-valuemax")
        press(lab, output, slider, "ArrowLeft" if at_the_end else "ArrowRight")
    if not sliders.count():
        lab.page.wait_for_timeout(1000)  # a press right after a case is shown decides nothing
        press(lab, output, output.locator("button").first, "Enter")
    assert all(not shown.startswith(" ") for shown in picture(output)), "an image without alt text"
    assert output.get_by_role("alert").count() == 0, output.get_by_role("alert").all_inner_texts()


@in_browser
@pytest.mark.parametrize("lesson", [one for one in LESSONS if has_widgets(one)], ids=lambda lesson: lesson.stem)
def test_the_widgets_of_a_lesson_answer_to_keys(lab, lesson):
    nb = reduced(read(lesson), WIDGETS)
    with lab.open(nb, lesson.stem) as opened:
        opened.run_all()
        assert opened.errors() == []
        for index, cell in enumerate(nb.cells):
            if calls(cell) & WIDGETS:
                use(lab, opened.output(index))
        assert opened.errors() == [] and not lab.elsewhere


@in_browser
def test_what_is_wrong_in_a_notebook_is_seen(lab):
    deaf = 'import ipywidgets as w\nw.VBox([w.IntSlider(), w.HTML(\'<img src="data:," alt="a scan">\')])'
    far = "from IPython.display import HTML\nHTML('<img src=\"https://example.org/x.png\">')"
    with lab.open(notebook(deaf, far, "1 / 0"), "wrong") as wrong:
        wrong.run_all()
        assert wrong.errors() == ["ZeroDivisionError: division by zero"]
        assert lab.elsewhere == {"https://example.org/x.png"}
        with pytest.raises(AssertionError, match="ArrowRight changed nothing"):
            press(lab, wrong.output(0), wrong.output(0).get_by_role("slider"), "ArrowRight", seconds=2)


@in_browser
def test_a_link_to_the_glossary_lands_on_its_term(lab):
    (lab.folder / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "glossary.md", lab.folder / "docs")
    nb = notebook()
    nb.cells.append(new_markdown_cell("[a window](docs/glossary.md#window)"))
    with lab.open(nb, "linked"):
        lab.page.get_by_role("link", name="a window").click()
        term = lab.page.locator(".jp-MarkdownViewer").get_by_role("heading", name="Window", exact=True)
        wait_until(
            lambda: term.count() and (term.bounding_box() or {}).get("y", 9e9) < 300, "not at the term", lab.page
        )


PREDICTION = """\
from medlab.classroom import check

check.predict("00-organ", "Which organ drowns first?", ["the lungs", "the heart"])
check.predict("00-hu", "What is the smallest HU?")
"""
RESULT = 'print(check.predicted("00-organ", "the heart"))\nprint(check.predicted("00-hu", "-907 HU"))'


@in_browser
def test_a_prediction_is_made_by_keys_and_stands_beside_its_result(lab):
    with lab.open(notebook(PREDICTION, RESULT), "prediction") as opened:
        opened.run_all()
        asked, result, keyboard = opened.output(0), opened.output(1), opened.page.keyboard
        assert result.inner_text().splitlines() == [
            "No prediction yet. It is: the heart.",
            "No prediction yet. It is: -907 HU.",
        ]
        first = asked.get_by_role("radio", name="the lungs")
        first.focus()
        keyboard.press("Tab")
        keyboard.press("Space")
        asked.get_by_text("Kept").first.wait_for()
        asked.get_by_role("textbox", name="Your prediction:").focus()
        keyboard.type("about -900")
        keyboard.press("Enter")
        wait_until(lambda: asked.get_by_text("Kept").count() == 2, "what was typed is not kept", lab.page)
        opened.run_all()
        assert result.inner_text().splitlines() == [
            "You said: the heart. It is: the heart.",
            "You said: about -900. It is: -907 HU.",
        ]
        assert asked.get_by_role("radio", name="the heart").is_checked()
        assert opened.errors() == [] and not lab.elsewhere


TURING = """\
import numpy as np
from medlab.reader_study import TuringTest, turing_widget

real, synthetic = np.random.default_rng(0).random((2, 10, 32, 32))
turing_widget(TuringTest(real, synthetic, "ann.csv", seed=1))
"""


def answer(opened: Notebook, first: int, last: int) -> list[str]:
    """Answer the images `first` to `last` of 20, by keys alone; return what was shown."""
    shown, keyboard, output = [], opened.page.keyboard, opened.output(0)
    output.get_by_role("button", name="Start" if first == 1 else f"Go on with image {first}").focus()
    keyboard.press("Enter")
    for trial in range(first, last + 1):
        output.get_by_role("img", name=f"Image {trial} of 20").wait_for()
        shown += picture(output)
        opened.page.wait_for_timeout(400)  # one cannot judge an image faster; the widget knows that too
        keyboard.press("rs"[trial % 2])
    return shown


@in_browser
def test_a_visual_turing_test_goes_on_after_its_kernel_was_killed(lab):
    file = lab.folder / "ann.csv"
    with lab.open(notebook(TURING), "turing") as opened:
        opened.run_all()
        shown = answer(opened, 1, 12)
        opened.output(0).get_by_role("img", name="Image 13 of 20").wait_for()
        opened.kill_kernel()
        assert [one.trial for one in read_answers(file)] == list(range(1, 13))

        opened.run_all()
        shown += answer(opened, 13, 20)
        opened.output(0).get_by_text("All 20 images are answered").wait_for()
        answers = read_answers(file)
        assert opened.errors() == [] and not lab.elsewhere
    assert [one.trial for one in answers] == list(range(1, 21)) and len(set(shown)) == 20
    assert [one.answer for one in answers] == ["synthetic", "real"] * 10
    assert len({(one.truth, one.image) for one in answers}) == 20


CLINIC = """\
import numpy as np
from medlab.reader_study import RemoteClinic, clinic_widget

images = np.random.default_rng(0).random((4, 1, 32, 32))
clinic_widget(RemoteClinic(images, np.array([True, False] * 2), wrong=0.5, names=("normal", "enlarged")))
"""


@in_browser
def test_a_sitting_in_the_remote_clinic_ends_with_the_readers_own_numbers(lab):
    with lab.open(notebook(CLINIC), "clinic") as opened:
        opened.run_all()
        output, advised = opened.output(0), 0
        for case in range(1, 5):
            status = output.get_by_text(f"Case {case} of 4. ")
            status.wait_for()
            advised += "The program advises" in status.inner_text()
            opened.page.wait_for_timeout(800)  # a press sooner after a case is shown decides nothing
            press(lab, output, output.get_by_role("button", name="enlarged"), "Enter")
        output.get_by_text("All 4 cases are decided").wait_for()
        assert advised == 2 and "errors alone" in output.locator("pre").inner_text()
        assert opened.errors() == [] and not lab.elsewhere


def test_a_reduced_notebook_has_what_its_widgets_need():
    nb = notebook(
        "import numpy as np\nfrom medlab import visualize",
        "n = 3",
        "unused = np.zeros(n)",
        "def volume():\n    return np.zeros((n, side, side))",
        "side = 4\nfor i in range(2):\n    print(i)",
        "for i in range(9):\n    unused += i",
        "%matplotlib inline\nvisualize.slice_widget(volume())",
        "n = 5",
    )
    small = [cell.source for cell in reduced(nb, {"slice_widget"}).cells[1:]]
    assert small == [nb.cells[i].source for i in (0, 1, 3, 4, 6)]
    assert names(nb.cells[5]) == ({"range", "unused"}, {"i", "unused"})
    assert names(nb.cells[3]) == ({"np", "n", "side"}, {"volume"})


def test_widgets_are_found_by_what_they_return():
    assert {"browse", "slice_widget", "turing_widget"} <= WIDGETS
    assert not {"Figure", "image_grid", "PALETTE"} & WIDGETS
    assert {lesson.stem[:2] for lesson in LESSONS if has_widgets(lesson)} >= {"00", "03", "04"}
    by_hand = [lesson.stem for lesson in LESSONS if any("ipywidgets" in name for name in imports(code(lesson)))]
    assert by_hand == [], "these make widgets that are not tried: put them into medlab.visualize"
