"""Runs as a table: one row per setting, with means and intervals over its runs."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medlab.runs.state import RESULTS, STATUS, read_run
from medlab.text import escape_markdown

LARGEST = 1e300  # of a recorded number

if TYPE_CHECKING:  # importing this room is light
    from medlab.metrics.intervals import Interval


@dataclass(frozen=True)
class Table:
    """The rows that `table` returns. Printing it, or showing it in a notebook, gives Markdown.

    Each row is a dict: "settings" (name and value), "runs" (how many), "values" (the `Interval` of each recorded
    number, and of the difference of each recorded claim to its baseline; its ends are NaN for fewer than three runs)
    and "n" (how many runs recorded the number). `states` counts all runs found; `repeats` counts successful runs
    that only repeat another one; `damaged` says, by file, why a run could not be read: it is left out and counts as
    failed.
    """

    rows: list[dict]
    states: dict[str, int]
    repeats: int
    damaged: dict[str, str]

    def __str__(self) -> str:
        bad = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()) if state != "done")
        notes = f"{self.states.get('done', 0)} successful runs; not in the table: {escape_markdown(bad or 'none')}."
        if self.repeats:
            notes += f" {self.repeats} repeats of the same code, parameters and seed left out."
        for folder, reason in self.damaged.items():
            notes += escape_markdown(f" Left out: {folder}: {reason}.")
        if not self.rows:
            return notes
        names = list(dict.fromkeys(name for row in self.rows for name in row["values"]))
        lines = [
            [*map(str, row["settings"].values()), str(row["runs"]), *(_cell(row, name) for name in names)]
            for row in self.rows
        ]
        table = markdown_table([*self.rows[0]["settings"], "runs", *names], lines)
        return f"{table}\n\n{notes} In brackets: 95 % t interval of the mean over the runs."

    _repr_markdown_ = __str__


def table(folder: str | Path) -> Table:
    """Summarize the successful runs below a folder: mean and 95 % t interval of every recorded number, by setting.

    A setting is a combination of the parameters that differ between the runs, except `seed`. Runs of different
    notebooks, or of different versions of a notebook's code, never share a row.

    Args:
        folder: where the runs are, at any depth.

    Raises:
        FileNotFoundError: there is no run in the folder.
    """
    folders = sorted({file.parent for name in (STATUS, RESULTS) for file in Path(folder).rglob(name)})
    if not folders:
        raise FileNotFoundError(f"there are no runs in {folder}.")
    found = [read_run(each) for each in folders]
    good = sorted((result.details for result in found if result.ok), key=lambda run: run["started"])
    # The same seed twice is one observation, not two: the later run counts.
    runs = list({repr([run["notebook"], run["code"], sorted(run["parameters"].items())]): run for run in good}.values())
    names = list(dict.fromkeys(name for run in runs for name in run["parameters"]))
    names = [name for name in names if name != "seed" and _varies([run["parameters"].get(name) for run in runs])]
    origin = [name for name in ("notebook", "code") if _varies([run[name] for run in runs])]
    groups: dict[str, tuple[dict, list]] = {}
    for run in runs:
        settings = {name: run[name] for name in origin} | {name: run["parameters"].get(name) for name in names}
        groups.setdefault(repr(settings), (settings, []))[1].append(_numbers(run["values"]))
    rows = [_row(settings, group) for settings, group in groups.values()]
    damaged = {str(each.folder.relative_to(folder)): each.error for each in found if not each.details}
    return Table(rows, dict(Counter(result.state for result in found)), len(good) - len(runs), damaged)


def _varies(values: list) -> bool:
    return len({repr(value) for value in values}) > 1


def _numbers(values: dict) -> dict[str, float]:
    """Return the numbers that a run recorded, and the difference of each of its claims to the baseline."""
    numbers = {name: value for name, value in (values | _differences(values)).items() if isinstance(value, int | float)}
    return {name: value for name, value in numbers.items() if not isinstance(value, bool) and abs(value) < LARGEST}


def _differences(values: dict) -> dict[str, float]:
    """Return the mean difference of every claim whose scores are there; above 0 the claim is right."""
    from medlab.metrics.claims import Claim

    found = {}
    for one in values["claims"] if isinstance(values.get("claims"), list) else []:
        try:
            claim = Claim(**one)
            found[claim.name] = float(claim.difference(values["scores"][claim.metric]).mean())
        except (AttributeError, KeyError, TypeError, ValueError):  # written by another program
            continue
    return found


def _row(settings: dict, group: list[dict[str, float]]) -> dict:
    import pandas as pd

    frame = pd.DataFrame(group)
    values = {name: to_interval(column.dropna().tolist()) for name, column in frame.items()}
    return {"settings": settings, "runs": len(group), "values": values, "n": frame.count().to_dict()}


def _cell(row: dict, name: str) -> str:
    if name not in row["values"]:
        return ""
    return f"{row['values'][name]:.4g}" + (f" n={row['n'][name]}" if row["n"][name] != row["runs"] else "")


def to_interval(value: Any) -> Interval | None:
    """Return a recorded interval (a dict of value, low, high), or the mean of one number per run with its t interval.

    None for any other value. The ends are NaN where there is no interval.
    """
    from medlab.metrics.intervals import Interval, mean_interval

    if isinstance(value, dict) and value.keys() == {"value", "low", "high"}:
        return Interval(**{name: math.nan if number is None else number for name, number in value.items()})
    if isinstance(value, list) and value and all(isinstance(item, int | float) for item in value):
        return mean_interval(value) if len(value) > 2 else Interval(sum(value) / len(value), math.nan, math.nan)
    return None


def markdown_table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown, its cells escaped (`escape_markdown`)."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(escape_markdown, line)) + " |" for line in lines)
