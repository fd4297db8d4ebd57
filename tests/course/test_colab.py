"""The lessons' widgets with the older Jupyter packages of Colab: `make colab`, which puts these into build/colab."""

import sys

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell
from project import LESSONS, ROOT
from reduced import calls, makes_widgets, reduced

COLAB = ROOT / "build" / "colab"
VERSIONS = {"IPython": "7.34", "ipykernel": "6.17", "ipywidgets": "7.7"}
WIDGETS = makes_widgets()
WITH_WIDGETS = [
    path
    for path in LESSONS
    if any(cell.cell_type == "code" and calls(cell) & WIDGETS for cell in nbformat.read(path, as_version=4).cells)
]
CHECK = "\n".join(f"import {n}; assert {n}.__version__.startswith({v!r}), {n}.__version__" for n, v in VERSIONS.items())
pytestmark = pytest.mark.skipif(not COLAB.is_dir(), reason="needs Colab's versions: call make colab")


class Kernel(AsyncKernelManager):
    """A kernel that finds Colab's packages before its own."""

    kernel_spec = KernelSpec(
        argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        language="python",
        env={"PYTHONPATH": f"{COLAB}:{ROOT}", "MEDLAB_STRICT": "0"},
    )


@pytest.mark.parametrize("lesson", WITH_WIDGETS, ids=lambda lesson: lesson.stem)
def test_the_widgets_of_a_lesson_work_as_in_colab(lesson, tmp_path):
    nb = reduced(nbformat.read(lesson, as_version=4), WIDGETS)
    nb.cells.insert(0, new_code_cell(CHECK))
    client = NotebookClient(nb, timeout=600, kernel_manager_class=Kernel, resources={"metadata": {"path": tmp_path}})
    client.execute()  # raises where a cell fails
    shown = [cell for cell in nb.cells if calls(cell) & WIDGETS]
    outputs = [str(output.get("data", {}).keys()) for cell in shown for output in cell.outputs]
    assert any("application/vnd.jupyter.widget-view+json" in keys for keys in outputs)
