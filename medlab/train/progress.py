"""Progress of trainings: a bar on the terminal; in a notebook one line below the cell, for all its trainings."""

import io
import sys
from typing import Any

from IPython import get_ipython
from IPython.display import DisplayHandle, display
from tqdm import tqdm


class CellLine(io.StringIO):
    """A file of one training, shown by what was last written to it, in a line shared by all trainings of a cell."""

    cell, trainings = 0, 0  # of the cell that was the last to train
    line: DisplayHandle

    def __init__(self) -> None:
        super().__init__()
        self.number = 0

    def write(self, text: str) -> int:
        """Show `text` in place of what was there; blanks and line breaks are left out."""
        if text.strip():
            if CellLine.cell != get_ipython().execution_count:
                CellLine.cell, CellLine.trainings = get_ipython().execution_count, 0
                CellLine.line = display({"text/plain": ""}, raw=True, display_id=True)
            if not self.number:
                CellLine.trainings += 1
                self.number = CellLine.trainings
            self.line.update({"text/plain": f"Training {self.number}: {text.strip()}"}, raw=True)
        return len(text)


def progress_bar(**options: Any) -> tqdm:
    """A bar of tqdm with these options, shown as fits the place."""
    in_notebook = hasattr(get_ipython(), "kernel")
    return tqdm(**options, file=CellLine() if in_notebook else sys.stderr, ncols=88)
