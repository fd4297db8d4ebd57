"""Runs as a table: one line per setting, mean and interval over its seeds."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from medlab.errors import unknown_name
from medlab.runs.state import RESULTS, STATUS, read_run


@dataclass(frozen=True)
class Table:
    """The rows that `table` made. Printing it, or showing it in a notebook, gives Markdown.

    Each row is a dict: "settings" (name and value), "runs" (how many), and "values": for each recorded number, and for
    the difference of each claim in the recorded "differences", a dict with "mean", "low", "high" (both None for a
    single run) and "n". `states` counts all runs found; `repeats` counts the good ones that only repeat another one.
    """

    rows: list[dict]
    states: dict[str, int]
    repeats: int

    def __str__(self) -> str:
        lines = []
        if self.rows:
            settings = list(self.rows[0]["settings"])
            values = list(dict.fromkeys(name for row in self.rows for name in row["values"]))
            lines = [[*settings, "runs", *values], ["---"] * (len(settings) + 1 + len(values))]
            for row in self.rows:
                cells = [str(row["settings"][name]) for name in settings] + [str(row["runs"])]
                lines.append(cells + [_text(row["values"].get(name), row["runs"]) for name in values])
        bad = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()) if state != "done")
        notes = f"{self.states.get('done', 0)} good runs; not in the table: {bad or 'none'}."
        if self.repeats:
            notes += f" {self.repeats} repeats of the same code, parameters and seed left out."
        if self.rows:
            notes += " In brackets: 95 % t interval of the mean over the runs."
        rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
        return "\n".join([*rows, ""] * bool(rows) + [notes])

    _repr_markdown_ = __str__


def table(folder: str | Path, by: list[str] | None = None) -> Table:
    """Turn the good runs below a folder into rows of mean and 95 % interval.

    Args:
        folder: where the runs are, at any depth.
        by: parameters that make a row; by default those that differ between the runs, except `seed`. Runs of different
            notebooks, or of different versions of a notebook's code, never share a row.

    Raises:
        FileNotFoundError: there is no run in the folder.
        ValueError: `by` names a parameter that no run has.
    """
    folders = sorted({file.parent for name in (STATUS, RESULTS) for file in Path(folder).rglob(name)})
    if not folders:
        raise FileNotFoundError(f"there are no runs in {folder}.")
    found = [read_run(each) for each in folders]
    good = sorted((result.details for result in found if result.ok), key=lambda run: run["started"])
    # The same seed twice is one observation, not two: the later run counts.
    runs = list({repr([run["notebook"], run["code"], sorted(run["parameters"].items())]): run for run in good}.values())
    names = list(dict.fromkeys(name for run in runs for name in run["parameters"]))
    if by is None:
        by = [name for name in names if name != "seed" and _varies([run["parameters"].get(name) for run in runs])]
    for name in by:
        if runs and name not in names:
            raise unknown_name("parameter", name, names)
    origin = [name for name in ("notebook", "code") if _varies([run[name] for run in runs])]
    groups = {}
    for run in runs:
        settings = {name: run[name] for name in origin} | {name: run["parameters"].get(name) for name in by}
        groups.setdefault(repr(settings), (settings, []))[1].append(run["values"])
    rows = [{"settings": settings, "runs": len(group), "values": _values(group)} for settings, group in groups.values()]
    return Table(rows, dict(Counter(result.state for result in found)), len(good) - len(runs))


def _varies(values: list) -> bool:
    return len({repr(value) for value in values}) > 1


def _values(group: list[dict]) -> dict[str, dict]:
    """Return mean and interval of every number recorded in a group of runs."""
    numbers = {}
    for values in group:
        for name, value in (values | _claims(values)).items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                numbers.setdefault(name, []).append(value)
    return {name: interval(each) for name, each in numbers.items()}


def _claims(values: dict) -> dict:
    """Return the difference that a run found for each of its claims, as lessons record them."""
    gaps = values.get("differences")
    if not isinstance(gaps, dict):
        return {}
    return {claim: gap.get("value") for claim, gap in gaps.items() if isinstance(gap, dict)}


def interval(numbers: list[float]) -> dict:
    """Return mean, ends of the 95 % t interval (None for a single number), and how many numbers there were."""
    from scipy.stats import t

    n, mean = len(numbers), fmean(numbers)
    if n == 1:
        return {"mean": mean, "low": None, "high": None, "n": 1}
    half = float(t.ppf(0.975, n - 1)) * stdev(numbers) / math.sqrt(n)
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": n}


def _text(value: dict | None, runs: int) -> str:
    if value is None:
        return ""
    spread = f"[{value['low']:.4g}, {value['high']:.4g}]" if value["n"] > 1 else "(one run, no interval)"
    return f"{value['mean']:.4g} {spread}" + (f" n={value['n']}" if value["n"] != runs else "")
