"""Text of files that others hand in: on a page it is text, in a spreadsheet it is no formula."""

import json
from html.parser import HTMLParser

import pytest
from nbconvert.filters import markdown2html

from medlab.reader_study import collect_answers, read_answers, turing_counts, turing_plot
from medlab.reader_study.answers import Answer, append_answers
from medlab.runs import results_page, table
from medlab.runs.tables import markdown_table
from medlab.text import code_markdown, from_spreadsheet, to_spreadsheet

ATTACKS = [
    "<script>alert(1)</script>",
    "\\<img src=x onerror=alert(1)>",
    "\\\\<svg onload=alert(1)>",
    "[here](javascript:alert(1))",
    "![](http://192.0.2.1/seen.png)",
    "a | b |\n\n<iframe src=x>",
    "\n\n<b>bold</b>",
    "`</code><u>x</u>`",
    "$</td><i>x</i>$",
    "&lt;b&gt; &amp; & $x$",
]
ALLOWED = {"table", "thead", "tbody", "tr", "th", "td", "p", "em", "strong", "code", "h2", "h3", "a"}


class Page(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.links = set(), "", []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_cell_of_a_table_is_shown_as_it_is(attack):
    page = Page(markdown2html(markdown_table([attack], [[attack], [f"A {attack} Z"]])))
    assert page.tags == {"table", "thead", "tbody", "tr", "th", "td"} and page.links == []
    assert f"A {' '.join(attack.split())} Z" in " ".join(page.text.split())


@pytest.mark.parametrize("attack", ATTACKS)
def test_code_is_shown_as_code(attack):
    page = Page(markdown2html(code_markdown(attack)))
    assert page.tags == {"p", "code"} and page.links == []


@pytest.mark.parametrize("attack", ATTACKS)
def test_runs_of_others_are_text_in_the_table(tmp_path, attack):
    for number, value in enumerate((attack, "plain")):
        (tmp_path / str(number)).mkdir()
        run = {"notebook": "nb", "code": "c", "started": "2026", "parameters": {attack: value}, "values": {attack: 1}}
        (tmp_path / str(number) / "results.json").write_text(json.dumps(run))
    (tmp_path / "status.json").write_text(json.dumps({"state": f"|{attack}", "parameters": {}}))
    page = Page(markdown2html(table(tmp_path)._repr_markdown_()))
    assert page.tags <= ALLOWED - {"a"} and " ".join(attack.split()) in " ".join(page.text.split())
    assert "1 failed" in page.text and "Left out: .: status.json cannot be read" in page.text


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_record_is_text_on_the_page_of_results(tmp_path, monkeypatch, attack):
    record = {
        "values": {"verdicts": {attack: attack}, "differences": {attack: 0.5}, attack: {attack: 1, "b": 2}},
        "command": attack,
        "seconds": 1,
        "commit": attack,
        "started": attack,
        "hardware": {"cpu": attack, "cores": 1, "gpu": None},
        "versions": {attack: attack},
    }
    (tmp_path / "01-claim.json").write_text(json.dumps(record))
    for module in ("records", "results"):
        monkeypatch.setattr(f"medlab.runs.{module}.results_folder", lambda: tmp_path)
    page = Page(markdown2html(results_page()))
    links = [link for link in page.links if "01-claim.json" in link]
    assert "javascript" not in "".join(page.links) and "192.0.2.1" not in "".join(page.links)
    assert len(links) == 1 and not page.tags & {"script", "img", "svg", "iframe", "b", "u", "i"}


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "'=1", "''-1", "'quoted'", "plain", "", "=cmd|' /C calc'!A0"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_cell_is_no_formula_and_reads_back(text):
    cell = to_spreadsheet(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")) and from_spreadsheet(cell) == text


def test_the_name_of_a_rater_is_no_formula_and_no_html(tmp_path):
    name = "=HYPERLINK(<script>,$x$)"
    truth = ("real", "synthetic") * 2
    lines = [Answer(name, "abc", 1, i + 1, 4, i, kind, "real", 1.0) for i, kind in enumerate(truth)]
    append_answers(tmp_path / "a.csv", *lines)
    assert "\n\"'=HYPERLINK" in (tmp_path / "a.csv").read_text()
    assert read_answers(tmp_path / "a.csv") == lines
    found = collect_answers(tmp_path)
    assert list(found.reports) == [name] and "<script" not in found._repr_html_()


def test_a_dollar_in_a_name_is_no_formula_in_the_figure():
    assert turing_plot({"$\\frac$": turing_counts(1, 2, 3, 4)}).png()
