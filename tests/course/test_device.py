"""Every lesson on a pretend accelerator, with short trainings: no cell mixes devices."""

import contextlib
import io
import json
import multiprocessing
import os
import traceback
from pathlib import Path

import pytest
from project import NOTEBOOKS

CHILDREN = multiprocessing.get_context("forkserver")  # a lesson changes the library, and leaves its figures open
CHILDREN.set_forkserver_preload(["pretend_device", "reduced", "medlab.train", "medlab.metrics", "medlab.classroom"])
LIMIT = 3600  # seconds, on a busy machine; a lesson takes 5 to 20
WRONG_DEVICE = ("MixedDevicesError", "TypeError: can't convert pretend")


def child(path: Path, cache: Path, pipe) -> None:
    """Execute a lesson on phantoms alone; sends how many cells there are, and the errors by cell."""
    import torch
    from IPython.core.interactiveshell import InteractiveShell
    from matplotlib import pyplot
    from pretend_device import pretend_device
    from reduced import SHORT

    os.chdir(path.parent)
    os.environ.pop("MEDLAB_DATA", None)
    os.environ["MEDLAB_CACHE"] = str(cache)
    pyplot.switch_backend("agg")
    torch.set_num_threads(1)
    shell = InteractiveShell.instance()
    shell.display_pub.publish = lambda *args, **kwargs: None
    shell.displayhook.write_format_data = shell.displayhook.write_output_prompt = lambda *args, **kwargs: None
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    failed = {}
    with pretend_device(), contextlib.redirect_stdout(io.StringIO()):
        assert shell.run_cell(SHORT).success
        for number, cell in enumerate(cells):
            result = shell.run_cell("".join(cell["source"]))
            if error := result.error_in_exec or result.error_before_exec:
                where = traceback.format_list(traceback.extract_tb(error.__traceback__)[-6:])
                failed[number] = f"{type(error).__name__}: {error}\n{''.join(where)}"
            pyplot.close("all")
    pipe.send((len(cells), failed))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_runs_on_the_device(path, tmp_path):
    ours, theirs = CHILDREN.Pipe()
    process = CHILDREN.Process(target=child, args=(path, tmp_path, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        assert ours.poll(LIMIT), f"{path.name} took more than {LIMIT} s"
        cells, failed = ours.recv()
    finally:
        process.kill()
        process.join()
    mixed = {cell: error for cell, error in failed.items() if error.startswith(WRONG_DEVICE)}
    assert not mixed, "\n".join(f"code cell {cell}: {error}" for cell, error in mixed.items())
    # A training of one epoch is too short for some cells, which say so; where most fail, nothing was shown.
    assert len(failed) < cells / 4, failed
