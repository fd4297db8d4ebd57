"""The page of an executed notebook, in a browser without a network: formulas, widgets, title and links."""

from pathlib import Path

import nbformat
import pytest
from browser import BROWSER, FLAGS
from ipywidgets import HTML, IntSlider, RadioButtons, VBox
from ipywidgets.embed import embed_data
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import sync_playwright

from medlab.runs.page import STATE, VIEW, page

TEXT = r"""# 07. A title

A formula $a_1 < \hat b * c * d$ and

$$\frac{1}{n}\sum_{i=1}^{n} x_i^2$$

but no formula: `$a$`. [A term](../docs/glossary.md#dice), [a lesson](01_next.ipynb), [elsewhere](https://example.org/).

A broken one: $\frac$
"""


def executed(path: Path) -> Path:
    """A notebook that was run: text, a widget of a slider, choices and a picture, and one whose state is lost."""
    picture = HTML('<p>slice <b>4</b></p><img alt="a slice" src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">')
    slider = IntSlider(value=4, description="Slice <z>")
    widget = VBox([slider, RadioButtons(options=["heart", "lung"], index=1), picture])
    outputs = [
        new_output("display_data", {VIEW: {"model_id": name}, "text/plain": "VBox(children=...)"})
        for name in (widget.model_id, "lost")
    ]
    nb = new_notebook(cells=[new_markdown_cell(TEXT), new_code_cell("browse(draw)", outputs=outputs)])
    nb.metadata["widgets"] = {STATE: embed_data([widget])["manager_state"]}
    path.parent.mkdir(parents=True)
    nbformat.write(nb, path)
    return path


@pytest.fixture
def made(tmp_path) -> str:
    return page(executed(tmp_path / "runs" / "one" / "executed.ipynb"), tmp_path / "notebooks")


def test_a_page_shows_what_its_widgets_showed(made):
    assert "<title>07. A title</title>" in made
    assert "<b>4</b>" in made and 'alt="a slice"' in made
    assert "Slice &lt;z&gt; 4" in made and "heart, lung (chosen)" in made
    assert "See the notebook itself." in made and "VBox(" not in made
    assert "<code>\\frac</code>" in made and "<code>$a$</code>" in made


def test_links_of_a_page_lead_from_its_folder(made):
    for link in ("../../notebooks/../docs/glossary.md#dice", "../../notebooks/01_next.ipynb", "https://example.org/"):
        assert f'href="{link}"' in made


@pytest.mark.skipif(BROWSER is None, reason="needs a browser: install Chromium or Chrome")
def test_a_page_asks_no_other_host_and_shows_formulas(made, tmp_path):
    (tmp_path / "page.html").write_text(made, encoding="utf-8")
    (tmp_path / "far.html").write_text('<script src="https://example.org/x.js"></script>')
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        shown, asked = browser.new_page(), []
        shown.on("request", lambda request: asked.append(request.url))
        shown.goto((tmp_path / "page.html").as_uri())
        formulas = shown.locator("math")
        assert formulas.count() == 2
        assert formulas.nth(1).bounding_box()["height"] > 1.5 * formulas.nth(0).bounding_box()["height"]
        assert formulas.locator("em").count() == 0  # the two * are no emphasis
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        shown.goto((tmp_path / "far.html").as_uri())
        assert "https://example.org/x.js" in asked
        browser.close()
