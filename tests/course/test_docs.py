"""The pages in docs/: their links and anchors, and that they agree with the lessons and the checks."""

import inspect
import json
import re
import runpy
from pathlib import Path

import pytest
from project import LESSONS, NOTEBOOKS, ROOT

from medlab.classroom import check
from medlab.classroom.exercises import MISTAKES, Attempt
from medlab.data import available

PAGES = sorted((ROOT / "docs").glob("*.md"))
LINK = re.compile(r"\]\(<?([^)\s>]+)[^)]*\)")
TERM = re.compile(r"\.\./docs/glossary\.md#([\w-]+)")
NOT_PROSE = re.compile(r"^#[^\n]*$|<details>.*?</details>", re.MULTILINE | re.DOTALL)  # headings, folded answers


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def anchors(text: str) -> list[str]:
    """The anchors of all headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def broken(text: str, folder: Path) -> list[str]:
    """Links to files, or to headings in them, that are not there."""
    found = []
    for link in LINK.findall(re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)):
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = folder / name if name else None
        if target and not target.exists():
            found.append(link)
        elif anchor and (target is None or target.suffix == ".md"):
            if anchor not in anchors(target.read_text(encoding="utf-8") if target else text):
                found.append(link)
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    assert broken(text, path.parent) == []
    assert len(set(anchors(text))) == len(anchors(text))


def prose(lesson: Path) -> str:
    """The text of a lesson."""
    cells = json.loads(lesson.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_links_to_the_glossary(path):
    text = prose(path)
    terms = TERM.findall(text)
    assert broken(text, path.parent) == []
    assert 4 <= len(terms) <= 12 and len(set(terms)) == len(terms), "a few terms, each where it first comes"
    assert TERM.findall(NOT_PROSE.sub("", text)) == terms


def test_a_link_into_the_void_would_be_found():
    text = (
        "# D′ and more\n[](glossary.md#dice) [](glossary.md#dicee) [](no.md) [](#d-and-more) [](#d) [](https://x.org)"
    )
    assert broken(text, ROOT / "docs") == ["glossary.md#dicee", "no.md", "#d"]


def test_the_likely_mistakes_are_those_of_the_checks():
    made = runpy.run_path(str(ROOT / "docs" / "tools" / "mistakes.py"))["page"]()
    assert page("likely-mistakes.md") == made, "run: python docs/tools/mistakes.py"
    assert re.findall("^### (.*)", made, re.MULTILINE) == list(MISTAKES)
    assert sorted(MISTAKES) == sorted(set(check.__all__) - {"predict", "predicted", "strict"})
    for section in made.split("\n### ")[1:]:
        assert len(re.findall("^- .{8,}", section, re.MULTILINE)) >= 5, section


def test_every_image_set_has_its_row():
    made = runpy.run_path(str(ROOT / "docs" / "tools" / "image_sets.py"))["page"]()
    assert page("image-sets.md") == made, "run: python docs/tools/image_sets.py"
    rows = {row[1].strip(" `"): row for row in (line.split("|") for line in made.splitlines()) if len(row) > 8}
    assert set(available()["name"]) == set(rows) - {"name", "---"}
    empty = {name: [cell for cell in row[1:8] if cell.strip() in ("", "-")] for name, row in rows.items()}
    assert {name for name, cells in empty.items() if cells} == set()


@pytest.mark.parametrize("name", MISTAKES)
def test_a_check_uses_every_mistake_of_its_table(name):
    lesson = inspect.getmodule(getattr(check, name))
    # a check may take a helper, with its mistakes, from another lesson
    helpers = {inspect.getmodule(one) for one in vars(lesson).values() if inspect.isfunction(one)}
    source = "".join(map(inspect.getsource, helpers | {lesson})) + inspect.getsource(Attempt)
    assert [key for key in MISTAKES[name] if f'"{key}"' not in source] == []


def test_the_guide_plans_every_lesson():
    guide = page("instructor-guide.md")
    table = dict(re.findall(r"^\| (\d\d) \|(.*)\|$", guide.split("## Twelve weeks")[0], re.MULTILINE))
    assert [path.stem[:2] for path in LESSONS if path.stem[:2] not in table] == []
    for weeks, plan in ((12, "Twelve weeks"), (6, "Six weeks")):
        section = guide.split(f"## {plan}\n")[1].split("\n## ")[0]
        assert re.findall(r"^\| (\d+) ", section, re.MULTILINE) == [str(week + 1) for week in range(weeks)]
        assert [number for number in table if not re.search(rf"\b{number}\b", section)] == []
    for names in (line.split("|")[-1] for line in table.values()):
        assert set(re.findall(r"`(\w+)`", names)) <= set(check.__all__)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_guide_knows_every_exercise(path):
    titles = re.findall(r"^### Exercise (\d.*)$", prose(path), re.MULTILINE)
    rows = re.findall(rf"^\| {path.stem[:2]} \| ([\d, ]+) \| ([\d, ]+) \|$", page("instructor-guide.md"), re.MULTILINE)
    ((minutes, difficulty),) = [[each.split(", ") for each in row] for row in rows]
    assert len(minutes) == len(difficulty) == len(titles)
    for title, time, grade in zip(titles, minutes, difficulty):
        stated = re.search(r"\((?:(\d+) minutes|[^,]*), (?:difficulty )?(\d) of 3\)", title)
        assert stated is None or (stated[1] in (None, time) and stated[2] == grade), title
    section = page("open-exercises.md").split(f"\n## {path.stem[:2]}: ")[1].split("\n## ")[0]
    assert re.findall(r"^- (\w+): ", section, re.MULTILINE) == ["Full", "Half", "None"] and "open" in titles[-1]


def test_half_an_hour_of_pytorch_runs(capsys):
    names: dict = {}
    for block in re.findall(r"^```python\n(.*?)^```", page("prerequisites.md"), re.DOTALL | re.MULTILINE):
        exec(block, names)
    assert names["w"].item() == pytest.approx(1 / 3, abs=0.01) and names["right"].float().mean() > 0.85


def test_a_link_to_a_term_lands_there_also_in_jupyterlab():
    """JupyterLab keeps the capitals of a heading in its anchor, so the anchor of the links stands above it."""
    glossary = page("glossary.md")
    above = re.findall(r'^<a id="([\w-]+)"></a>\n\n### (.*)$', glossary, re.MULTILINE)
    assert [name for name, _ in above] == anchors("\n".join(f"### {term}" for _, term in above))
    linked = {term for path in NOTEBOOKS for term in TERM.findall(prose(path))} | set(
        re.findall(r"\]\(#(.+?)\)", glossary)
    )
    assert len(above) == len(re.findall("^### ", glossary, re.MULTILINE)) and linked <= {name for name, _ in above}


def test_the_terms_of_the_glossary_are_in_order_and_say_where_they_are_taught():
    glossary = page("glossary.md")
    assert not re.search(r"\]\((?!#)", glossary)  # it is also copied beside the lessons of an edition
    for section in glossary.split("\n## ")[1:]:
        terms = re.findall(r"^### (.*)", section, re.MULTILINE)
        assert terms == sorted(terms, key=str.lower)
        for entry in re.sub(r"<a id=.*\n", "", section).split("\n### ")[1:]:
            assert re.search(r"\(\d\d(, \d\d)*\)\n*$", entry), entry


def test_the_errata_are_fourteen_with_their_sources():
    entries = page("survey-errata.md").split("\n### ")[1:]
    assert [entry.split(".")[0] for entry in entries] == [str(number) for number in range(1, 15)]
    for entry in entries:
        parts = re.findall(r"\*\*(Says|True|Source|Lessons?):\*\*", entry)
        assert [part.rstrip("s") for part in parts] == ["Say", "True", "Source", "Lesson"]
        assert re.search(r"\]\(https://(doi\.org/10\.|arxiv\.org/abs/)\S+\)", entry)


def test_readme_quotes_the_record_of_the_breaker():
    record = json.loads((ROOT / "data" / "results" / "breaker.json").read_text(encoding="utf-8"))
    tried, *ends = (record["values"][name] for name in ("tried", "lost", "half files", "unequal"))
    kills = sum(number for what, number in tried.items() if what.startswith("kills"))
    numbers = [kills, *(tried[what] for what in ("two writers", "full disk", "clock steps", "changed files"))]
    numbers += [sum(found.values()) for found in ends]
    quoted = re.search(r"Tried to break on (\S+) .*?\n\n", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert quoted[1] == record["started"][:10]
    assert re.findall(r"(?<=\s)\d+(?=\s)", quoted[0].partition("):")[2]) == [str(number) for number in numbers]


def test_readme_quotes_the_record_of_the_benchmark():
    record = json.loads((ROOT / "data" / "results" / "bench.json").read_text(encoding="utf-8"))
    ratios, shares = record["values"]["ratios"], record["values"]["shares"]
    quoted = re.search(
        r"How fast \(`make bench`, (\S+), (.*?)\n\n", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert quoted[1] == record["started"][:10]
    trainings = "fit, resnet18 at 28 pixels", "fit, shallow at 28 pixels", "fit_gan, DCGAN at 64 pixels"
    rounded = [f"{ratios[name]:.2f}" for name in trainings] + [
        f"{ratios['Augment, 28 pixels, beside v2 image by image']:.1f}"
    ]
    assert re.findall(r"\d+\.\d+(?= times)", quoted[2]) == rounded
    assert f"{shares[trainings[0]]:.0%}".replace("%", " %") in quoted[2]
