"""Recorded results that come with the course, `data/results/NAME.json`: one of them, and all as tables in Markdown."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from medlab.runs.parameters import lessons_folder
from medlab.runs.state import load_json
from medlab.runs.tables import markdown_table, to_interval

CLAIM = "## Did the claim hold?"  # the section of a lesson
VERDICTS = ["claim", "difference [95 % interval]", "verdict"]  # columns


@dataclass(frozen=True)
class Recorded:
    """One recorded result. Printing it gives its verdicts, scores and provenance.

    `details` holds "values" (what the run recorded, figures per seed among them), "command", "commit", "hardware",
    "versions", "seconds" and "started"; it is None while there is no record of this name.
    """

    name: str
    details: dict | None

    @property
    def values(self) -> dict:
        """What the run recorded; empty while there is no record."""
        return self.details["values"] if self.details else {}

    def __str__(self) -> str:
        if self.details is None:
            return f"recorded result {self.name}: none yet"
        lines = [f"recorded result {self.name} ({_provenance(self.details)}):"]
        verdicts, scores = self.values.get("verdicts", {}), self.values.get("scores", {})
        wide = max(map(len, [*verdicts, *scores]), default=0)
        for claim, outcome in verdicts.items():
            difference = to_interval(self.values["differences"][claim])
            lines.append(f"  {claim:{wide}} difference {difference:.3f}   {outcome}")
        lines += [f"  {name:{wide}} {to_interval(score):.3f}" for name, score in scores.items()]
        return "\n".join(lines)


def results_folder() -> Path:
    """Return the folder of the recorded results, `data/results/` beside the lessons."""
    return lessons_folder().parent / "data" / "results"


def recorded(name: str) -> Recorded:
    """Load a recorded result by name, e.g. "01-claim"; printing it gives its verdicts, scores and provenance."""
    file = results_folder() / f"{name}.json"
    return Recorded(name, load_json(file) if file.is_file() else None)


def claims_table() -> str:
    """Tabulate all recorded claims in Markdown: the difference with its interval, the verdict, the record's name."""
    rows = [[*row, name] for name in _names() for row in _verdicts(recorded(name).values)]
    return markdown_table([*VERDICTS, "record"], rows)


def results_page() -> str:
    """Write the page of results in Markdown, lesson by lesson; links are relative to a folder beside `notebooks/`.

    Of each lesson: its claim and the paper's figures in the lesson's own words, then each record with verdicts, our
    figures and provenance. Nothing is written by hand, so nothing can differ from the lesson or the record.
    """
    parts = ["## All claims", claims_table()]
    for path in sorted(lessons_folder().glob("*.ipynb")):
        asked = set(re.findall(r'recorded\(\\"([\w-]+)\\"\)', path.read_text(encoding="utf-8")))
        names = sorted(asked | {name for name in _names() if name.startswith(f"{path.stem[:2]}-")})
        title, claim = _claim(path)
        if claim:
            parts += [f"## {title}", claim]
            parts += [f"How it was tested: [the lesson](../notebooks/{path.name}#did-the-claim-hold)."]
            parts += [_section(recorded(name)) for name in names] or ["Nothing is recorded: the lesson computes it."]
    return "\n\n".join(parts) + "\n"


def _names() -> list[str]:
    return sorted(path.stem for path in results_folder().glob("*.json"))


def _verdicts(values: dict) -> list[list[str]]:
    differences = values.get("differences", {})
    return [[claim, _figure(differences[claim]), outcome] for claim, outcome in values.get("verdicts", {}).items()]


def _provenance(details: dict) -> str:
    hardware = details["hardware"]
    device = hardware["gpu"] or f"{hardware['cpu']}, {hardware['cores']} core{'s' * (hardware['cores'] > 1)}"
    return f"`{details['command']}`, {details['seconds']:,.0f} s on {device}, {details['started'][:10]}"


def _claim(path: Path) -> tuple[str, str]:
    """Return the title of a lesson and its words on the claim: what follows that heading, up to the first code."""
    import nbformat

    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    found = [source.partition(CLAIM)[2] for source in cells if CLAIM in source]
    text = re.split(r"^#", found[0] if found else "", flags=re.MULTILINE)[0].strip()
    return cells[0].partition("\n")[0].removeprefix("# "), re.sub(r"\]\((?!\w+:|#)", "](../notebooks/", text)


def _section(result: Recorded) -> str:
    parts = [f"### {result.name}"]
    if result.details is None:
        return f"{parts[0]}\n\nNot recorded yet."
    if rows := _verdicts(result.values):
        parts.append(markdown_table(VERDICTS, rows))
    known = {"verdicts", "differences", "per_seed", *result.values.get("differences", {})}
    parts += _figures({name: value for name, value in result.values.items() if name not in known})
    versions = ", ".join(f"{name} {version}" for name, version in result.details["versions"].items())
    plan = f"{result.name}.yaml"
    parts.append(
        f"{_provenance(result.details)}; commit `{result.details['commit'][:12]}`, {versions}. "
        f"Seed by seed: [{result.name}.json](../data/results/{result.name}.json)"
        + (f"; plan: [{plan}](../data/results/{plan})." if (results_folder() / plan).is_file() else ".")
    )
    return "\n\n".join(parts)


def _figures(values: dict) -> list[str]:
    """Return tables of all numbers in a record: by variant, by variant and measure, or single ones."""
    groups, tables = [], []  # a group: measures of the same variants share a table, one column each
    for name, value in values.items():
        cells = {key: _figure(item) for key, item in (value if isinstance(value, dict) else {}).items()}
        if (alone := _figure(value)) is not None:
            cells = {"run": alone}
        if cells and None not in cells.values():
            group = next((each for each in groups if any(cells.keys() & column.keys() for column in each.values())), {})
            groups += [] if group else [group]
            group[name] = cells
        elif cells and all(isinstance(item, dict) for item in value.values()):
            nested = {key: {inner: _figure(leaf) for inner, leaf in item.items()} for key, item in value.items()}
            if all(cell is not None for column in nested.values() for cell in column.values()):
                tables.append(_grid(nested, title=name))
    return [_grid(group) for group in groups] + tables


def _grid(columns: dict[str, dict[str, str]], title: str = "") -> str:
    """Return columns of cells as a table in Markdown; the longer side runs down the page."""
    import pandas as pd

    frame = pd.DataFrame(columns, dtype=object).fillna("")
    wide = len(frame.columns) > len(frame)
    frame = (frame.T if wide else frame).rename_axis(title or ("measure" if wide else "variant")).reset_index()
    return markdown_table([name.replace("_", " ") for name in frame.columns], frame.to_numpy().tolist())


def _figure(value: object) -> str | None:
    """Return a number, an interval, or the mean over seeds with its t interval as text; None for any other value."""
    if (interval := to_interval(value)) is not None:
        value = interval
    elif not isinstance(value, int | float) or isinstance(value, bool):
        return None
    numbers = interval or (value,)
    size = max((abs(number) for number in numbers if not math.isnan(number)), default=0)
    digits = 0 if size >= 1000 or isinstance(numbers[0], int) else 2 if size >= 2 else 3 if size >= 0.01 else 4
    return f"{value:,.{digits}f}"
