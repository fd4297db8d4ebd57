"""The slides of a lesson: what is on them, and that they ask no other host."""

import sys

import nbformat
import pytest
from browser import BROWSER, FLAGS
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import sync_playwright
from project import LESSONS, ROOT

from medlab.runs import replication_rows

sys.path.insert(0, str(ROOT / "docs" / "tools"))
import slides

DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAG7buVgAAAABJRU5ErkJggg=="
TEXT = """# 03. A small lesson

**The question:** is $a < b$? [Dice](../docs/glossary.md#dice)

**Time:** long."""
END = """## Summary

- It is.

## Check yourself

1. Why?
<details><summary>Answer</summary>Because.</details>

## References

- A paper"""


def shown(name: str, source: str, alt: str = "", text: str = "") -> dict:
    """A cell that printed a text and showed a figure."""
    picture = new_output("display_data", {"image/png": DOT}, metadata={"image/png": {"alt": alt}})
    return new_code_cell(source, id=name, outputs=[new_output("stream", text=text)] + [picture] * bool(alt))


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setattr(slides, "FOLDER", tmp_path)
    cells = [
        new_markdown_cell(TEXT),
        shown("board-drawing", "2", "not the idea"),
        shown("drawing", "1", "boxes & arrows"),
        new_code_cell('check.predict("03-a", "How many?", ["one", "two"])'),
        shown("answer", 'print(check.predicted("03-a", 2))', "a curve", "No prediction yet. It is: two."),
        shown("claim-verdict", "", "a forest"),
        new_markdown_cell(END),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "executed.ipynb")
    return slides.page(tmp_path / "executed.ipynb")


@pytest.mark.skipif(BROWSER is None, reason="needs a browser: install Chromium or Chrome")
def test_the_slides_of_a_lesson(made):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        page, asked = browser.new_page(), []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(made.as_uri())
        texts = page.locator("section").all_inner_texts()
        first = ["03. A small lesson", "The idea", "How many?", "How many? It is: two.", "Did the claim hold?"]
        for text, start in zip(texts, [*first, "Against the margin", "Summary", "Check yourself"], strict=True):
            assert text.startswith(start)
        assert "long" not in texts[0] and "A paper" not in texts[-1]
        assert texts[2].split() == ["How", "many?", "one", "two"]
        (row,) = [row for row in replication_rows() if row["lesson"].startswith("03")]
        assert f"{row['claim']}: {row['verdict']}" in texts[4]
        alts = ["boxes & arrows", "a curve", "a forest"]
        assert page.locator("img").evaluate_all("images => images.map(image => image.alt)") == alts
        assert page.locator("figcaption").all_inner_texts() == alts
        assert (made.parent / page.locator("a", has_text="Dice").get_attribute("href").partition("#")[0]).exists()
        assert page.locator("math").is_visible() and page.locator("details:not([open])").count() == 1
        page.keyboard.press("PageDown")
        page.wait_for_function("scrollY == innerHeight")
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        browser.close()


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_each_lesson_has_slides(lesson):
    made = list(slides.slides(nbformat.read(lesson, as_version=4)))
    assert made[0].startswith("# ") and "**The question:**" in made[0]
    assert made[-2].count("\n- ") >= 2 and made[-1].count("<details>") >= 2
    for row in replication_rows():
        if row["lesson"][:2] == lesson.stem[:2] and row["outcome"]:
            assert f"- **{row['claim']}: {row['verdict']}" in "\n".join(made)
