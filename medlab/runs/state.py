"""The folder of a run: its files, and what they say about how the run went.

    executed.ipynb   the notebook with the parameters injected and the outputs so far
    executed.html    the same to read in a browser (once the run has ended)
    status.json      running (with process id and start), failed (with cell, line, error) or done
    recorded.json    what `record` has kept so far (until the run is done)
    results.json     written last, and only by a run that went through: without it a run does not count

The notebook's own metadata is not asked: papermill marks every cell as completed when a kernel dies.
"""

import json
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path

EXECUTED, HTML = "executed.ipynb", "executed.html"
STATUS, RECORDED, RESULTS = "status.json", "recorded.json", "results.json"


@dataclass(frozen=True)
class RunResult:
    """One run as its folder tells it.

    `state` is "done", "failed", "killed" or "running"; `values` is what the notebook recorded (so far);
    `details` is all of `results.json`, or of `status.json` while there are no results.
    """

    folder: Path
    state: str
    values: dict = field(repr=False)
    parameters: dict
    error: str = ""
    details: dict = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        return self.state == "done"

    def __str__(self) -> str:
        if self.ok:
            return f"done in {self.details['seconds']:.1f} s: {self.folder}"
        place = f" in cell [{self.details['cell']}] `{self.details['line']}`" if "cell" in self.details else ""
        return f"{self.state}{place}{': ' if self.error else ''}{self.error}\nkept: {self.folder}"


def read_run(folder: str | Path) -> RunResult:
    """Read how a run went from its folder.

    Raises:
        FileNotFoundError: the folder holds no run.
    """
    folder = Path(folder)
    for name in (RESULTS, STATUS):
        if not (folder / name).is_file():
            continue
        try:
            details = load_json(folder / name)
            if name == RESULTS:
                return RunResult(folder, "done", details["values"], details["parameters"], details=details)
            values = load_json(folder / RECORDED) if (folder / RECORDED).exists() else {}
            state, error = details["state"], details.get("error", "")
            if state == "running" and not _alive(details):
                state, error = "killed", f"process {details['pid']} is gone"
                details |= failed_cell(folder)
            return RunResult(folder, state, values, details["parameters"], error, details)
        except (ValueError, KeyError, TypeError) as damage:
            return RunResult(folder, "failed", {}, {}, f"{name} cannot be read ({damage!r})")
    raise FileNotFoundError(f"{folder} holds no run: neither {RESULTS} nor {STATUS} is there.")


def failed_cell(folder: Path) -> dict:
    """Return number and first line of the cell that failed, else of the last one started; nothing if there is none."""
    started = _started_cells(folder)
    if not started:
        return {}
    cell = (failed_cells(folder) or started)[-1]
    number = cell["execution_count"] or 1 + max(each["execution_count"] or 0 for each in started)
    lines = [line.strip() for line in "".join(cell["source"]).splitlines()]
    return {"cell": number, "line": next((line for line in lines if line and line[0] != "#"), "")}


def failed_cells(folder: Path) -> list[dict]:
    """Return the cells with an error, in the code or in showing its result, except those that are meant to have one."""
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


def this_process() -> dict:
    """Return what tells the running process from a later one with the same number."""
    import psutil

    return {"pid": os.getpid(), "process_started": psutil.Process().create_time(), "host": socket.gethostname()}


def _alive(status: dict) -> bool:
    import psutil

    if status["host"] != socket.gethostname():
        return True  # another machine of a cluster: its processes cannot be seen from here
    try:
        process = psutil.Process(status["pid"])
        same = abs(process.create_time() - status["process_started"]) < 5
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def load_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, content: dict) -> None:
    """Write all of the file or nothing: to a temporary name first, then `os.replace`."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
