"""The folder of a run: its files, and the state of the run that they tell.

    executed.ipynb   the notebook with the parameters injected and the outputs so far
    executed.html    the same to read in a browser (once the run has ended)
    status.json      running (with process id), failed (with cell, failing line, error) or done
    recorded.json    what `record` has stored so far (until the run is done)
    results.json     written last, and only by a run that went through

A run that says that it is running is alive if its process holds the lock of status.json: clocks and the numbers of
processes, which are given again, do not count. Neither does the notebook's own metadata: papermill marks every cell as
completed when a kernel dies.
"""

import json
import math
import os
import re
import socket
from dataclasses import dataclass, field
from pathlib import Path

from medlab.storage import holder, is_held, write_file

EXECUTED, HTML = "executed.ipynb", "executed.html"
STATUS, RECORDED, RESULTS = "status.json", "recorded.json", "results.json"
STATUS_FORM: dict[str, type] = {"state": str, "parameters": dict}
RESULTS_FORM: dict[str, type] = {"notebook": str, "code": str, "started": str, "parameters": dict, "values": dict}
LEFT = re.compile(r"\..*\.(part|lock)$")  # by a writer that was killed


@dataclass(frozen=True)
class RunResult:
    """The state and the results of one run, read from its folder.

    `state` is "done", "failed", "killed" or "running"; `values` is what the notebook recorded (so far);
    `details` is all of `results.json`, or of `status.json` while there are no results; empty where it is damaged.
    """

    folder: Path
    state: str
    values: dict = field(repr=False)
    parameters: dict
    error: str = ""
    details: dict = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        """Whether the run went through."""
        return self.state == "done"

    def __str__(self) -> str:
        if self.ok:
            return f"done in {self.details.get('seconds', math.nan):.1f} s: {self.folder}"
        place = ""
        if "cell" in self.details:
            row = f", line {self.details['line_number']}" if "line_number" in self.details else ""
            place = f" in cell [{self.details['cell']}]{row} `{self.details['line']}`"
        return f"{self.state}{place}{': ' if self.error else ''}{self.error}\nkept: {self.folder}"


def check_folder(folder: Path) -> None:
    """Refuse a folder that a new run must not use.

    Raises:
        FileExistsError: it holds a finished or running run, or other files.
    """
    if (folder / STATUS).exists() or (folder / RESULTS).exists():
        if (before := read_run(folder)).state in ("done", "running"):
            by = f" ({holder(folder / STATUS)})" if before.state == "running" else ""
            raise FileExistsError(f"{folder} holds a run that is {before.state}{by}; choose another folder.")
    elif folder.exists() and (not folder.is_dir() or any(not LEFT.match(each.name) for each in folder.iterdir())):
        raise FileExistsError(f"{folder} holds something else than a run; choose an empty or new folder.")


def clear_folder(folder: Path) -> None:
    """Remove the files of a failed or killed run."""
    for each in [folder / name for name in (EXECUTED, HTML, STATUS, RECORDED, RESULTS)] + [*folder.glob(".*.part")]:
        each.unlink(missing_ok=True)


def start_run(folder: Path, facts: dict) -> None:
    """Remove what a failed or killed run left, and record that this process executes the run, whose lock it holds.

    Raises:
        FileExistsError: another process has finished a run there meanwhile.
    """
    if (folder / RESULTS).exists() and read_run(folder).ok:
        raise FileExistsError(f"{folder} holds a run that is done; choose another folder.")
    clear_folder(folder)
    write_json(folder / STATUS, facts | {"state": "running", "pid": os.getpid(), "host": socket.gethostname()})


def finish_run(folder: Path, facts: dict, results: dict) -> None:
    """Record the results of a run that went through, and the values that the notebook recorded."""
    write_json(folder / RESULTS, facts | {"values": recorded_values(folder)} | results)
    write_json(folder / STATUS, facts | {"state": "done", "seconds": results["seconds"]})
    (folder / RECORDED).unlink(missing_ok=True)


def fail_run(folder: Path, facts: dict, error: BaseException) -> None:
    """Record that a run failed, for which reason and in which cell."""
    # papermill's error carries the name and the text of the one in the kernel
    name, text = getattr(error, "ename", type(error).__name__), getattr(error, "evalue", error)
    reason = f"{name}: {text}".strip(": \n")
    write_json(folder / STATUS, facts | {"state": "failed", "error": reason} | failed_cell(folder))


def read_run(folder: str | Path) -> RunResult:
    """Read the state and the results of a run from its folder.

    Raises:
        FileNotFoundError: the folder holds no run.
    """
    folder = Path(folder)
    name = RESULTS if (folder / RESULTS).is_file() else STATUS
    if not (folder / name).is_file():
        raise FileNotFoundError(f"{folder} holds no run: neither {RESULTS} nor {STATUS} is there.")
    try:
        details = load_json(folder / name)
        if name == RESULTS:
            _check_form(details, RESULTS_FORM)
            return RunResult(folder, "done", details["values"], details["parameters"], details=details)
        _check_form(details, STATUS_FORM)
        state, error = details["state"], details.get("error", "")
        if state not in ("running", "failed"):
            raise ValueError(f"its state is {state!r}, and there is no {RESULTS}")
        if state == "running" and not _alive(folder, details):
            state, error = "killed", f"process {details['pid']} is gone"
            details |= failed_cell(folder)
        return RunResult(folder, state, recorded_values(folder), details["parameters"], error, details)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as damage:
        return RunResult(folder, "failed", {}, {}, f"{name} cannot be read ({damage!r:.200})")


def _check_form(details: dict, form: dict[str, type]) -> None:
    """Refuse a file that was not written here: every entry of `form` must be there, and of its type."""
    for name, kind in form.items():
        if not isinstance(details[name], kind):
            raise ValueError(f"{name} is no {kind.__name__}")


def recorded_values(folder: Path) -> dict:
    """Return what `record` has stored so far in the folder of an unfinished run."""
    return load_json(folder / RECORDED) if (folder / RECORDED).exists() else {}


def failed_cell(folder: Path) -> dict:
    """Return "cell", its number, "line_number" and "line" of the failure; nothing if no cell was started.

    Without a traceback (a cell that was killed, or ended the notebook itself) it is the last cell started, "line" is
    its first one, and there is no "line_number".
    """
    started = _started_cells(folder)
    if not started:
        return {}
    cell = (failed_cells(folder) or started)[-1]
    number = cell["execution_count"] or 1 + max(each["execution_count"] or 0 for each in started)
    lines = [line.strip() for line in "".join(cell["source"]).splitlines()]
    if row := _failing_line(cell, number):
        return {"cell": number, "line_number": row, "line": lines[row - 1]}
    return {"cell": number, "line": next((line for line in lines if line and line[0] != "#"), "")}


def _failing_line(cell: dict, number: int) -> int | None:
    """The last line of this cell, from 1, in the traceback of its error, where it is called "Cell In[4], line 2"."""
    errors = [output["traceback"] for output in cell["outputs"] if output["output_type"] == "error"]
    if not errors:
        return None
    plain = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(errors[-1]))  # without its colors
    rows = re.findall(rf"^ *Cell In\[{number}\], line (\d+)", plain, re.MULTILINE)
    return int(rows[-1]) if rows else None


def failed_cells(folder: Path) -> list[dict]:
    """Return the cells with an error, in code or in displaying its result, except those tagged `raises-exception`."""
    return [
        cell
        for cell in _started_cells(folder)
        if any(output["output_type"] == "error" for output in cell["outputs"])
        and "raises-exception" not in cell["metadata"].get("tags", [])
    ]


def _started_cells(folder: Path) -> list[dict]:
    try:
        cells = [cell for cell in load_json(folder / EXECUTED)["cells"] if cell["cell_type"] == "code"]
    except (OSError, ValueError):  # killed before, or while, the notebook was written
        return []
    return [cell for cell in cells if cell["metadata"].get("papermill", {}).get("start_time")]


def _alive(folder: Path, status: dict) -> bool:
    if status["host"] != socket.gethostname():
        return True  # another machine of a cluster: its processes cannot be seen from here
    return is_held(folder / STATUS)


def load_json(path: Path) -> dict:
    """Read a JSON file that holds a dict, of finite numbers.

    Raises:
        ValueError: it does not.
    """
    content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, not a dict")
    return content


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def write_json(path: Path, content: dict) -> None:
    """Write a JSON file at once, as `medlab.storage.write_files` does."""
    write_file(path, json.dumps(content, indent=2, allow_nan=False))
