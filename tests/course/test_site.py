"""The site, built without executing a lesson: no other host, no dead link, no image without alt text, no barrier."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import nbformat
import pytest
from browser import BROWSER, FLAGS
from ipywidgets.embed import embed_data
from loopback import address, serve
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import sync_playwright
from project import LESSONS, NOTEBOOKS, ROOT

import medlab
from medlab import visualize
from medlab.data import available
from medlab.runs import replication_rows

sys.path.insert(0, str(ROOT / "docs" / "tools"))
from scripts import FOLDER, SCRIPTS, Script, fetch

if missing := [name for name in ("sphinx", "myst_nb", "sphinx_book_theme", "sphinx_copybutton") if not find_spec(name)]:
    pytest.skip(f"no {', '.join(missing)}: pip install -e '.[site]'", allow_module_level=True)

HERE = "http://site/"  # where the pages stand, for joining addresses
LOADED = {"script": "src", "img": "src", "source": "src", "iframe": "src", "video": "src", "link": "href"}
NOT_LOADED = {"index", "search", "next", "prev", "author", "copyright", "canonical"}  # what a <link> may only name


class Page(HTMLParser):
    """What one page loads, links to, and shows."""

    def __init__(self, file: Path, folder: Path) -> None:
        super().__init__()
        self.name = file.relative_to(folder).as_posix()
        self.loaded, self.links, self.ids, self.images, self.language = [], [], set(), [], None
        self.text = file.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        has = dict(attributes)
        self.ids |= {has["id"]} if has.get("id") else set()
        if tag in LOADED and has.get(LOADED[tag]) and has.get("rel") not in NOT_LOADED:
            self.loaded.append(urljoin(HERE + self.name, has[LOADED[tag]]))
        if tag == "a" and has.get("href"):
            self.links.append(urljoin(HERE + self.name, has["href"]))
        if tag == "img":
            self.images.append(has)
        if tag == "html":
            self.language = has.get("lang")

    handle_startendtag = handle_starttag


def build(source: Path, out: Path) -> Path:
    """Build the pages of a folder laid out like the repository; a warning is an error, no notebook is executed."""
    options = ["-W", "--keep-going", "-q", "-D", "nb_execution_mode=off"]
    options += ["-c", ROOT / "docs" / "tools", "-d", out / "read"]
    command = [sys.executable, "-m", "sphinx", *options, source, out / "html"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out / "html"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def pages(site) -> dict[str, Page]:
    found = [Page(file, site) for file in sorted(site.rglob("*.html")) if "_static" not in file.parts]
    return {page.name: page for page in found}


def foreign(addresses: list[str]) -> list[str]:
    return [each for each in addresses if not each.startswith((HERE, "data:"))]


def test_pages_and_their_styles_load_nothing_from_another_host(site, pages):
    assert {name: wrong for name, page in pages.items() if (wrong := foreign(page.loaded))} == {}
    for style in site.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", style.read_text(encoding="utf-8"), flags=re.DOTALL)
        urls = [url.strip("'\"") for url in re.findall(r"url\(([^)]*)\)", text)]
        imported = re.findall(r"""@import\s+["']([^"']+)""", text)
        assert foreign([urljoin(HERE, url) for url in urls + imported]) == [], style.name
    assert foreign([HERE + "a.js", "data:image/png;base64,x", "https://elsewhere/b.js"]) == ["https://elsewhere/b.js"]


def test_what_is_loaded_or_linked_is_there(site, pages):
    made = {Path(script.file).name for script in SCRIPTS}  # by docs/tools/scripts.py, which asks npm
    broken = []
    for page in pages.values():
        for target in {*page.loaded, *page.links}:
            if not target.startswith(HERE):
                continue
            path, fragment = unquote(urlsplit(target).path[1:]), unquote(urlsplit(target).fragment)
            if not (site / path).is_file() and Path(path).name not in made:
                broken.append((page.name, path))
            elif fragment and path in pages and fragment not in pages[path].ids:
                broken.append((page.name, f"{path}#{fragment}"))
    assert broken == []


def test_links_to_elsewhere_are_safe(pages):
    elsewhere = {link for page in pages.values() for link in page.links if not link.startswith(HERE)}
    assert elsewhere and [link for link in elsewhere if not link.startswith(("https://", "mailto:"))] == []


def test_every_image_is_described(pages):
    assert [(page.name, image) for page in pages.values() for image in page.images if not image.get("alt")] == []
    assert pages["docs/index.html"].images


def test_every_page_says_its_language_and_title(pages):
    for page in pages.values():
        assert page.language == "en" and re.search(r"<title>[^<]*medlab", page.text), page.name


def test_every_lesson_is_on_it_and_leads_back_to_its_notebook(site, pages):
    listed = {urlsplit(link).path[1:] for link in pages["docs/index.html"].links}
    for lesson in NOTEBOOKS:
        name = f"notebooks/{lesson.stem}.html"
        assert name in listed
        copies = [unquote(urlsplit(link).path[1:]) for link in pages[name].links if link.endswith(lesson.name)]
        assert copies and (site / copies[0]).read_bytes() == lesson.read_bytes()


def test_solutions_are_folded(pages):
    for lesson in LESSONS:
        page = pages[f"notebooks/{lesson.stem}.html"].text
        folded = re.findall(r'class="cell tag_solution[^>]*>\s*<details', page)
        assert len(folded) == page.count('class="cell tag_solution') >= 2, lesson.name


def test_results_show_every_record(pages):
    text = pages["docs/results.html"].text
    names = {file.stem for file in (ROOT / "data" / "results").glob("[0-9]*.json")}  # others are no lesson's
    repeats = {name for name in names if name.endswith("-bfloat16")}  # they decide nothing
    assert [name for name in names - repeats if f">{name}<" not in text] == []
    table = pages["docs/replication.html"].text
    assert [row["claim"] for row in replication_rows() if row["claim"] not in table] == []


@pytest.mark.parametrize("room", [module.name for module in pkgutil.iter_modules(medlab.__path__) if module.ispkg])
def test_the_api_reference_has_every_public_name_and_no_other(pages, room):
    package, ids = importlib.import_module(f"medlab.{room}"), pages[f"docs/api/{room}.html"].ids
    public = {name: getattr(package, name) for name in getattr(package, "__all__", [])}
    modules = {name for name, value in public.items() if inspect.ismodule(value)}
    assert {name for name in ids if re.fullmatch(rf"medlab\.{room}\.\w+", name)} == {
        f"medlab.{room}.{name}" for name in public.keys() - modules
    }
    inside = [f"{public[name].__name__}.{each}" for name in modules for each in getattr(public[name], "__all__", [])]
    assert {f"module-medlab.{room}", *(f"module-medlab.{room}.{name}" for name in modules), *inside} <= ids


# In a browser

AXE = Script(  # the checks of accessibility that can be made by machine
    "axe-core@4.14.1",
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    "axe.min.js",
)
BARRIERS = ("serious", "critical")


@pytest.fixture(scope="module")
def browser():
    if BROWSER is None:
        pytest.skip("needs a browser: install Chromium or Chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield browser
        browser.close()


def fetched(*wanted: Script, folder: Path) -> list[Path]:
    try:
        return [fetch(script, folder) for script in wanted]
    except OSError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def axe() -> str:
    return fetched(AXE, folder=ROOT / "build" / "axe")[0].read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def scripts() -> list[Path]:
    return fetched(*SCRIPTS, folder=FOLDER)


def visit(browser, folder: Path, names: list[str], axe: str, width: int, scheme: str, look=lambda page: None) -> None:
    """Open pages: no request off the machine, no error, nothing wider than the window, no serious barrier."""
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page, asked, errors = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    with serve(folder) as server:
        for name in names:
            page.goto(address(server, name), wait_until="load")
            look(page)
            page.evaluate(axe)
            found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
            assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in BARRIERS] == [], name
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
            filters = "images => images.map(image => getComputedStyle(image).filter)"
            assert set(page.locator(".bd-content img").evaluate_all(filters)) <= {"none"}, name  # gray values are data
        away = [url for url in asked if not url.startswith((address(server, ""), "data:"))]
    context.close()
    assert (away, errors) == ([], [])


WINDOWS = pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")], ids=["desktop", "phone"])


@WINDOWS
def test_pages_in_a_browser(site, pages, browser, axe, width, scheme):
    names = [
        "docs/index.html",
        "docs/results.html",
        "docs/glossary.html",
        "docs/api/metrics.html",
        f"notebooks/{LESSONS[0].stem}.html",
    ]
    visit(browser, site, [name for name in names if name in pages], axe, width, scheme)


def executed_notebook() -> nbformat.NotebookNode:
    """A notebook with each kind of output that lessons have: text, a figure, a table, a slider."""

    def draw(height):
        return visualize.bars({"one": 1.0, "two": height}, "height")

    figure, embedded = draw(2.0), embed_data([visualize.browse(draw, height=(1.0, 3.0, 0.5, 2.0))])
    view, state = embedded["view_specs"][0], embedded["manager_state"]
    data, metadata = figure._repr_mimebundle_()
    outputs = [
        new_output("stream", text="text"),
        new_output("display_data", data=data, metadata=metadata),
        new_output("display_data", data={"text/html": available()._repr_html_(), "text/plain": ""}),
        new_output("display_data", data={"application/vnd.jupyter.widget-view+json": view, "text/plain": ""}),
    ]
    cells = [new_markdown_cell("# 99. Shown\n\n$x^2$"), new_code_cell("1", outputs=outputs, execution_count=1)]
    widgets = {"application/vnd.jupyter.widget-state+json": state}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "widgets": widgets})


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> Path:
    """A site of one lesson, laid out like the repository, with stored outputs in place of an execution."""
    source = tmp_path_factory.mktemp("shown")
    for folder in ("docs", "notebooks"):
        (source / folder).mkdir()
    (source / "docs" / "index.md").write_text("# medlab\n\n```{toctree}\nuse\n../notebooks/99_shown\n```\n")
    (source / "docs" / "use.md").write_text("# Use\n")
    nbformat.write(executed_notebook(), source / "notebooks" / "99_shown.ipynb")
    return build(source, source / "out")


@WINDOWS
def test_outputs_of_a_lesson_in_a_browser(scripts, shown, browser, axe, width, scheme):
    def look(page) -> None:
        page.wait_for_selector("mjx-container")  # the formula is typeset
        page.wait_for_selector(".widget-slider")
        assert page.locator(".jupyter-widgets:not([inert])").count() == 0
        assert page.locator("img:not([alt])").count() == 0 and page.locator("img").count() == 2

    visit(browser, shown, ["notebooks/99_shown.html"], axe, width, scheme, look)
