"""The page of an executed notebook: it asks no other host, and shows formulas and widgets without scripts."""

import os
import re
from copy import deepcopy
from html import escape
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from nbconvert.exporters.html import HTMLExporter, contextfilter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode, reads

VIEW, STATE = "application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json"
SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL | re.IGNORECASE)
ADDRESS = re.compile(r"[a-z]+:|#|/", re.IGNORECASE)  # of a link that holds from everywhere
# JupyterLab's look, with the alt text of a figure taken from its output's metadata: nbconvert's template leaves it out.
TEMPLATE = """{% extends 'lab/index.html.j2' %}
{% macro described(image, alt) -%}
{{ image | replace('<img', '<img alt="' ~ (alt | escape_html) ~ '"', 1) if alt else image }}
{%- endmacro %}
{% block data_png scoped %}{{ described(super(), output | get_metadata('alt', 'image/png')) }}{% endblock %}
{% block data_jpg scoped %}{{ described(super(), output | get_metadata('alt', 'image/jpeg')) }}{% endblock %}
"""


class Page(HTMLExporter):
    """nbconvert's exporter; also nbgrader's, for feedback. `base`: what goes before links to files beside the notebook.

    Formulas become MathML, a widget what it showed last; scripts that ask another host are left out.
    """

    base = ""

    @contextfilter
    def markdown2html(self, context: Any, source: str) -> str:
        """Markdown to HTML, in place of nbconvert's filter of this name."""
        renderer = _Renderer(escape=False, attachments=context.get("cell", {}).get("attachments", {}))
        renderer.base = self.base
        return MarkdownWithMath(renderer=renderer).render(source)

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **options: Any) -> tuple[Any, dict[str, Any]]:
        """The page of a notebook, and nbconvert's resources."""
        nb = deepcopy(nb)
        state = nb.metadata.pop("widgets", {}).get(STATE, {}).get("state", {})
        for cell in nb.cells:
            for output in cell.get("outputs", []):
                if VIEW in output.get("data", {}):
                    shown = _static(output.data[VIEW]["model_id"], state)
                    output.data = NotebookNode({"text/html": shown or "<p><em>See the notebook itself.</em></p>"})
        page, resources = super().from_notebook_node(nb, resources, **options)
        return SCRIPT.sub(lambda script: "" if "https://" in script[0] else script[0], page), resources


def page(notebook: Path, beside: Path) -> str:
    """The page of an executed notebook, as HTML; its links lead from its folder to the files in the folder `beside`."""
    nb = reads(notebook.read_text(encoding="utf-8"), as_version=4)
    titles = (re.match(r"# (.+)", cell.source) for cell in nb.cells if cell.cell_type == "markdown")
    title = next((found[1] for found in titles if found), notebook.stem)
    exporter = Page(raw_template=TEMPLATE)
    exporter.base = Path(os.path.relpath(beside, notebook.parent)).as_posix() + "/"
    return exporter.from_notebook_node(nb, {"metadata": {"name": title}})[0]


class _Renderer(IPythonRenderer):
    base = ""

    def inline_math(self, body: str) -> str:
        return _formula(body, "inline")

    def block_math(self, body: str) -> str:
        return _formula(body, "block")

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return super().link(text, url if ADDRESS.match(url) else self.base + url, title)


def _formula(body: str, display: str) -> str:
    try:
        return convert(body, display=display)
    except Exception:  # a student's formula that is none
        return f"<code>{escape(body)}</code>"


def _static(model_id: str, state: dict) -> str:
    """What a widget showed last, as HTML: its pictures and texts, its controls with their values."""
    stored = state.get(model_id.removeprefix("IPY_MODEL_"), {})
    model = stored.get("state", {})
    if "children" in model:
        return "".join(_static(child, state) for child in model["children"])
    if stored.get("model_name") == "HTMLModel":
        return model.get("value", "")
    value = model.get("value", "")
    if "_options_labels" in model:
        chosen = model.get("index")
        labels = enumerate(model["_options_labels"])
        value = ", ".join(f"{label} (chosen)" if i == chosen else label for i, label in labels)
    return f"<p>{escape(model.get('description', ''))} {escape(str(value))}</p>" if value != "" else ""
