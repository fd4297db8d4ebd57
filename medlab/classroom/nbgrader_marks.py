"""The step of nbgrader's marking in which the checks are made, by a process that no code of the submission reaches."""

from pathlib import Path
from typing import Any

from nbconvert.preprocessors import Preprocessor
from nbformat.v4 import new_output
from traitlets import Bool, Integer

from medlab.classroom.marking import SECONDS, lesson_checks, mark_cells, suspect


class MarkChecks(Preprocessor):
    """Put the marks of `mark_cells` in the place of what the checks said when the notebook ran.

    nbgrader's configuration names it after the step that executes the notebook; before that, nbgrader has put the
    lesson's own check cells into the submission. nbgrader gives no points for a cell whose output is an error.
    """

    enabled = Bool(True).tag(config=True)
    timeout = Integer(SECONDS, help="Seconds that an exercise may take.").tag(config=True)

    def preprocess(self, nb: Any, resources: dict) -> tuple[Any, dict]:
        """Mark one submission."""
        graded = [cell for cell in nb.cells if cell.metadata.get("nbgrader", {}).get("grade") and "source" in cell]
        sources = [cell.source.strip() for cell in nb.cells if cell.cell_type == "code"]
        folder = Path(resources.get("metadata", {}).get("path") or ".")
        flags = "".join(f"\nlook at it: {flag}" for flag in suspect(sources))
        cells = {check.source: cell for cell in graded for check in lesson_checks([cell])}
        for mark, cell in zip(
            mark_cells(sources, lesson_checks(graded), folder, self.timeout), cells.values(), strict=True
        ):
            text = mark.text + flags
            output = new_output("stream", text=text + "\n")
            if not mark.passed:
                output = new_output("error", ename="AssertionError", evalue=mark.text, traceback=text.splitlines())
            cell.outputs = [output]
        return nb, resources
