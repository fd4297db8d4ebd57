"""The site, see `make site`. Sphinx reads the lessons where they lie, so that a link is right there and here."""

import hashlib
import re
from pathlib import Path

import nbformat

from medlab.runs.results import replication_table, results_page

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "site"

project = html_title = "medlab"
author = "The medlab authors"
copyright = "the medlab authors. Text and pictures CC BY 4.0, code MIT. Not for clinical use"
language = "en"

extensions = ["myst_nb", "sphinx_copybutton", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = ["docs/*.md", "docs/api/*.md", "data/README.md", "data/*/README.md", "notebooks/*.ipynb"]
include_patterns += ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
exclude_patterns = [".*", "build", "runs", "data/cache", "medlab", "tests"]

html_theme = "sphinx_book_theme"
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_theme_options = {
    "home_page_in_toc": True,
    "navbar_persistent": [],  # the search is in the sidebar already
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_static_path = ["static", *(str(folder) for folder in [BUILD / "scripts"] if folder.is_dir())]
html_css_files, html_js_files = ["site.css"], ["site.js"]
html_favicon = "static/icon.svg"
html_extra_path = ["entry"]  # index.html, which leads to docs/index.html
html_copy_source = False

autodoc_member_order = "bysource"  # of a package: in the order of its __all__
default_role = "code"  # docstrings write names as in Markdown, in single backticks

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
mathjax_path = "tex-svg.js"
nb_ipywidgets_js = {"require.js": {}, "embed-amd.js": {"data-jupyter-widgets-cdn": ""}}
nb_execution_timeout = 600  # seconds for one cell
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_code_prompt_show, nb_code_prompt_hide = "Show the solution", "Hide the solution"


def state() -> str:
    """What a lesson's figures come from beside its own code: the library, and the results and networks it loads."""
    digest = hashlib.sha256()
    for folder in ("medlab", "data/results", "data/checkpoints"):
        for file in sorted((ROOT / folder).rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


nb_execution_mode = "cache"  # a lesson runs again when its code has changed, and all of them when `state` has
nb_execution_cache_path = str(BUILD / f"executed-{state()}")


def lesson(text: str, name: str) -> str:
    """A notebook as the site shows it: on top a link to its file and the way to run it; solutions folded."""
    nb = nbformat.reads(text, as_version=4)
    title, _, rest = nb.cells[0].source.partition("\n")
    nb.cells[0].source = (
        f"{title}\n\n*This page shows the notebook [{name}](path:{name}) as it runs with its defaults. Sliders move "
        f"the picture only in the notebook itself: [`make lab`](../docs/use.md) opens it.*\n{rest}"
    )
    for cell in nb.cells:
        if cell.metadata.get("jupyter", {}).get("source_hidden"):
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]
    return nbformat.writes(nb)


def complete(app, docname: str, source: list[str]) -> None:
    """Prepare a page that is not shown as it lies in the repository."""
    if docname.startswith("notebooks/"):
        source[0] = lesson(source[0], f"{Path(docname).name}.ipynb")
    elif docname == "docs/glossary":
        source[0] = re.sub(r'<a id="[\w-]+"></a>\n', "", source[0])  # for JupyterLab; here a heading has its own
    elif docname == "docs/results":
        source[0] += results_page()
    elif docname == "docs/replication":
        source[0] += replication_table() + "\n"


def from_docs(app, path: Path, parent: str, content: list[str]) -> None:
    """Let the links of README.md start from docs/, where its text is included."""
    content[0] = re.sub(r"\]\((?!\w+:|#)", "](../", content[0])


def skip(app, what: str, name: str, member: object, skipped: bool, options: object) -> bool | None:
    """Leave out the members of a class that others wrote: fields of named tuples, matplotlib's `set`."""
    foreign = not getattr(member, "__module__", "medlab").startswith("medlab")
    if what == "class" and (foreign or (member.__doc__ or "").startswith("Alias for field")):
        return True


def setup(app) -> None:
    """Tell Sphinx of the functions above."""
    app.connect("source-read", complete)
    app.connect("include-read", from_docs)
    app.connect("autodoc-skip-member", skip)
    app.connect("env-get-outdated", lambda *_: ["docs/results", "docs/replication"])
