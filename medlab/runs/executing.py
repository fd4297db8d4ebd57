"""One run: a notebook executed by papermill into a folder of its own."""

import logging
import secrets
import shlex
import sys
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path

from medlab.runs.parameters import (
    check_parameters,
    code_hash,
    command_name,
    complete_parameters,
    find_notebook,
    lessons_folder,
)
from medlab.runs.recording import FOLDER_VARIABLE, commit, hardware, versions
from medlab.runs.state import (
    EXECUTED,
    HTML,
    RECORDED,
    RESULTS,
    STATUS,
    RunResult,
    failed_cell,
    failed_cells,
    load_json,
    read_run,
    this_process,
    write_json,
)


def run(
    notebook: str | int | Path,
    parameters: dict[str, object] | None = None,
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
    """
    path = find_notebook(notebook)
    chosen = check_parameters(path, parameters or {})
    stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    folder = Path(out).resolve() if out is not None else runs_folder(path) / stamp
    prepare_folder(folder)
    words = [word for name, value in chosen.items() for word in ("-p", name, str(value))]
    facts = {
        "notebook": path.stem,
        "code": code_hash(path),
        "command": shlex.join(["medlab", "run", command_name(path), *words]),
        "parameters": complete_parameters(path, chosen),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json(folder / STATUS, facts | {"state": "running"} | this_process())
    clock = time.perf_counter()
    try:
        _execute(path, folder, chosen, timeout, progress)
        values = load_json(folder / RECORDED) if (folder / RECORDED).exists() else {}
        surroundings = {"commit": commit(path.parent), "hardware": hardware(), "versions": versions()}
        seconds = {"seconds": round(time.perf_counter() - clock, 1)}
        _write_html(folder)
        write_json(folder / RESULTS, facts | {"values": values} | surroundings | seconds)
        write_json(folder / STATUS, facts | {"state": "done"} | seconds)
        (folder / RECORDED).unlink(missing_ok=True)
    except BaseException as error:  # Ctrl-C too: the process may live on, so the record must not go on saying "running"
        mark_failed(folder, facts, error)
        if not isinstance(error, Exception):
            raise
        _write_html(folder)
    return read_run(folder)


def runs_folder(path: Path) -> Path:
    """Return the folder of a notebook's runs: in `runs/` beside the lessons' folder, else in the current folder."""
    beside = path.parent.parent if path.parent == lessons_folder() else Path.cwd()
    return beside / "runs" / path.stem


def prepare_folder(folder: Path) -> None:
    """Create the folder of a run, or remove the files that a failed or killed run left in it.

    Raises:
        FileExistsError: it holds a finished or running run, or other files.
    """
    if (folder / STATUS).exists() or (folder / RESULTS).exists():
        if (before := read_run(folder)).state in ("done", "running"):
            raise FileExistsError(f"{folder} holds a run that is {before.state}; choose another folder.")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} holds something else than a run; choose an empty or new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for name in (EXECUTED, HTML, STATUS, RECORDED, RESULTS):
        (folder / name).unlink(missing_ok=True)


def mark_failed(folder: Path, facts: dict, error: BaseException) -> None:
    """Record that a run failed, why, and in which cell."""
    if hasattr(error, "ename"):
        reason = f"{error.ename}: {error.evalue}"
    else:
        reason = f"{type(error).__name__}: {error}"
    write_json(folder / STATUS, facts | {"state": "failed", "error": reason.strip(": \n")} | failed_cell(folder))


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

    def literal(file: Path) -> str:
        return str(file).replace("{", "{{").replace("}", "}}")  # papermill formats its paths

    logging.getLogger("papermill").setLevel(logging.ERROR)  # it warns of parameters that `check` has found in order
    try:
        papermill.execute_notebook(
            literal(path),
            literal(folder / EXECUTED),
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


# JupyterLab's look, with the alt text of a figure taken from its output's metadata: nbconvert's template leaves it out.
_TEMPLATE = """{% extends 'lab/index.html.j2' %}
{% macro described(image, alt) -%}
{{ image | replace('<img', '<img alt="' ~ (alt | escape_html) ~ '"', 1) if alt else image }}
{%- endmacro %}
{% block data_png scoped %}{{ described(super(), output | get_metadata('alt', 'image/png')) }}{% endblock %}
{% block data_jpg scoped %}{{ described(super(), output | get_metadata('alt', 'image/jpeg')) }}{% endblock %}
"""


def _write_html(folder: Path) -> None:
    from nbconvert import HTMLExporter

    try:
        html, _ = HTMLExporter(raw_template=_TEMPLATE).from_filename(str(folder / EXECUTED))
        (folder / HTML).write_text(html, encoding="utf-8")
    except Exception as error:  # a copy to read is not worth losing a run that took hours
        warnings.warn(f"no HTML copy in {folder}: {error}", stacklevel=2)
