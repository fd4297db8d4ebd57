"""One run: a notebook executed by papermill into a folder of its own."""

import logging
import secrets
import sys
import time
import warnings
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from medlab.runs.parameters import check_parameters, find_notebook, run_facts, runs_folder
from medlab.runs.recording import FOLDER_VARIABLE, provenance
from medlab.runs.state import (
    EXECUTED,
    HTML,
    STATUS,
    RunResult,
    check_folder,
    fail_run,
    failed_cells,
    finish_run,
    read_run,
    start_run,
)
from medlab.storage import only_writer, write_file


def run(
    notebook: str | int | Path,
    parameters: dict | None = None,
    *,
    out: str | Path | None = None,
    timeout: int | None = None,
    progress: bool = True,
) -> RunResult:
    """Execute a notebook with the given parameters and keep its outputs and results in a folder of its own.

    A run that fails does not raise: the result says so, and the folder keeps the outputs so far. The kernel is the
    running Python, and its working folder that of the notebook.

    Args:
        notebook: a lesson number ("01"), a lesson name ("01_shallow_cnn") or the path of a notebook.
        parameters: values for names of the notebook's parameters cell; the others keep their defaults.
        out: the folder of this run; by default a new one, `runs/<notebook>/<time>-<random>`. A folder that holds a
            failed or killed run is reused.
        timeout: seconds that a single cell may take; no limit by default.
        progress: show a progress bar.

    Raises:
        FileNotFoundError: the notebook is not there.
        ValueError: unknown lesson, unknown parameter, value of the wrong type.
        FileExistsError: `out` holds a finished or running run, or other files.
        OSError: the folder cannot be written, or the disk is full.
    """
    path = find_notebook(notebook)
    chosen = check_parameters(path, parameters or {})
    stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    folder = Path(out).resolve() if out is not None else runs_folder(path) / stamp
    facts = run_facts(path, chosen) | {"started": datetime.now(UTC).isoformat(timespec="seconds")}
    check_folder(folder)
    with only_writer(folder / STATUS):
        start_run(folder, facts)
        clock = time.perf_counter()
        try:
            _execute(path, folder, chosen, timeout, progress)
            results = provenance(path.parent) | {"seconds": round(time.perf_counter() - clock, 1)}
            _write_html(folder, path)
            finish_run(folder, facts, results)
        except BaseException as error:  # Ctrl-C too: the record must not go on saying "running"
            fail_run(folder, facts, error)
            if not isinstance(error, Exception):
                raise
            _write_html(folder, path)
    return read_run(folder)


def _execute(path: Path, folder: Path, chosen: dict, timeout: int | None, progress: bool) -> None:
    import papermill
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    class ThisPython(AsyncKernelManager):
        """Starts the running Python, whatever this computer has registered as the kernel "python3"."""

        kernel_spec = KernelSpec(
            # log level: a kernel warns at every start that its loopback sockets are not encrypted
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"],
            language="python",
            env={FOLDER_VARIABLE: str(folder).replace("$", "$$")},
        )

    # papermill takes braces in a path for a format
    source, target = (str(file).replace("{", "{{").replace("}", "}}") for file in (path, folder / EXECUTED))
    logging.getLogger("papermill").setLevel(logging.ERROR)  # it warns of parameters that are in order
    try:
        papermill.execute_notebook(
            source,
            _written_at_once() + target,
            chosen,
            kernel_name="python3",
            language="python",
            progress_bar={"desc": path.stem} if progress else False,
            autosave_cell_every=5,
            execution_timeout=timeout,
            kernel_manager_class=ThisPython,
            resources={"metadata": {"path": str(path.parent)}},  # the kernel's folder; `cwd=` would move this process
        )
    except papermill.PapermillExecutionError:
        if failed_cells(folder):  # else all errors are those of cells tagged `raises-exception`
            raise
    else:
        if failed_cells(folder):  # SystemExit ends a notebook, and papermill takes that for success
            raise RuntimeError("the notebook ended itself with SystemExit; later cells did not run")


@cache
def _written_at_once() -> str:
    """What goes before a path for papermill to write a notebook there at once: a kill leaves no empty one."""
    from papermill.iorw import LocalHandler, papermill_io

    class AtOnce(LocalHandler):
        def write(self, buf: str, path: str) -> None:
            write_file(path.removeprefix(scheme), buf)

    scheme = "medlab:"
    papermill_io.register(scheme, AtOnce())
    return scheme


def _write_html(folder: Path, path: Path) -> None:
    from medlab.runs.page import page

    try:
        write_file(folder / HTML, page(folder / EXECUTED, path.parent))
    except Exception as error:  # a copy to read is not worth losing a run that took hours
        warnings.warn(f"no HTML copy in {folder}: {error}", stacklevel=2)
