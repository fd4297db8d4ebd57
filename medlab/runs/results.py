"""Recorded results that come with the course, `data/results/NAME.json`: one of them, and all as tables in Markdown."""

import re
from dataclasses import dataclass
from pathlib import Path

from medlab.runs.parameters import lessons_folder
from medlab.runs.state import load_json
from medlab.runs.tables import interval

CLAIM = "## Did the claim hold?"  # the section of a lesson
VERDICTS = ["claim", "difference [95 % interval]", "verdict"]  # columns


@dataclass(frozen=True)
class Recorded:
    """One recorded result; `details` is None while nobody has recorded it.

    `details` holds "values" (what the run recorded, figures per seed among them), "command", "commit", "hardware",
    "versions", "seconds" and "started".
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
        d = self.details
        where = d["hardware"]["gpu"] or f"{d['hardware']['cpu']}, {d['hardware']['cores']} cores"
        lines = [
            f"recorded result {self.name} (`{d['command']}`, {d['seconds']:.0f} s on {where}, {d['started'][:10]}):"
        ]
        verdicts, scores = self.values.get("verdicts", {}), self.values.get("scores", {})
        wide = max(map(len, [*verdicts, *scores]), default=0)
        for claim, outcome in verdicts.items():
            gap = self.values["differences"][claim]
            lines.append(
                f"  {claim:{wide}} difference {gap['value']:.3f} [{gap['low']:.3f}, {gap['high']:.3f}]   {outcome}"
            )
        for name, score in scores.items():
            lines.append(f"  {name:{wide}} {score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]")
        return "\n".join(lines)


def results_folder() -> Path:
    """Return `data/results/` beside the lessons."""
    return lessons_folder().parent / "data" / "results"


def recorded(name: str) -> Recorded:
    """Return the recorded result `name`, e.g. "01-claim"; printing it gives its scores, verdicts and origin."""
    file = results_folder() / f"{name}.json"
    return Recorded(name, load_json(file) if file.is_file() else None)


def claims_table() -> str:
    """Return one line per recorded claim: what was claimed, the difference with its interval, the verdict, the record."""
    rows = []
    for name in _names():
        result = recorded(name)
        for claim, outcome in result.values.get("verdicts", {}).items():
            rows.append([claim, _figure(result.values["differences"][claim]), outcome, name])
    return _table([*VERDICTS, "record"], rows)


def results_page() -> str:
    """Return what is recorded, lesson by lesson; links start from a folder beside `notebooks/` and `data/`.

    Of each lesson: its claim and the paper's figures in the lesson's own words, then each record with verdicts, our
    figures and origin. Nothing is written by hand, so nothing can differ from the lesson or the record.
    """
    parts = ["## All claims", claims_table()]
    for path in sorted(lessons_folder().glob("*.ipynb")):
        text = path.read_text(encoding="utf-8")
        asked = set(re.findall(r'recorded\(\\"([\w-]+)\\"\)', text))
        names = sorted(asked | {name for name in _names() if name.startswith(f"{path.stem[:2]}-")})
        title, claim = _claim(path)
        if claim:
            parts += [f"## {title}", claim]
            parts += [f"How it was tested: [the lesson](../notebooks/{path.name}#did-the-claim-hold)."]
            parts += [_section(recorded(name)) for name in names] or ["Nothing is recorded: the lesson computes it."]
    return "\n\n".join(parts) + "\n"


def _names() -> list[str]:
    return sorted(path.stem for path in results_folder().glob("*.json"))


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
    d, values = result.details, result.values
    verdicts, gaps = values.get("verdicts", {}), values.get("differences", {})
    if verdicts:
        rows = [[claim, _figure(gaps[claim]), outcome] for claim, outcome in verdicts.items()]
        parts.append(_table(VERDICTS, rows))
    known = {"verdicts", "differences", "per_seed", *gaps}
    parts += _figures({name: value for name, value in values.items() if name not in known})
    cores = d["hardware"]["cores"]
    where = d["hardware"]["gpu"] or f"{d['hardware']['cpu']}, {cores} core{'s' * (cores > 1)}"
    versions = ", ".join(f"{name} {version}" for name, version in d["versions"].items())
    plan = f"{result.name}.yaml"
    parts.append(
        f"`{d['command']}`, {d['seconds']:,.0f} s on {where}, {d['started'][:10]}; commit `{d['commit'][:12]}`, "
        f"{versions}. Seed by seed: [{result.name}.json](../data/results/{result.name}.json)"
        + (f"; plan: [{plan}](../data/results/{plan})." if (results_folder() / plan).is_file() else ".")
    )
    return "\n\n".join(parts)


def _figures(values: dict) -> list[str]:
    """Return tables of whatever numbers a record holds: by variant, by variant and measure, or single ones."""
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
            tables.append(_grid(nested, title=name))
    return [_grid(group) for group in groups] + [table for table in tables if table]


def _grid(columns: dict[str, dict[str, str | None]], title: str = "") -> str:
    """Return columns of cells as a table; the longer side runs down the page. Empty if a cell is no number."""
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    if any(cell is None for column in columns.values() for cell in column.values()):
        return ""
    corner = title or ("measure" if len(columns) > len(names) else "variant")
    if len(columns) > len(names):
        columns, names = {name: {key: columns[key].get(name, "") for key in columns} for name in names}, list(columns)
    rows = [[name, *(column.get(name, "") for column in columns.values())] for name in names]
    return _table([corner, *columns], rows)


def _figure(value: object) -> str | None:
    """Return a number, an interval, or the mean over seeds with its t interval as text; None if it is none of these."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _numbers(value)
    if isinstance(value, dict) and value.keys() == {"value", "low", "high"}:
        value = value | {"mean": value["value"]}
    elif isinstance(value, list) and value and all(isinstance(item, int | float) for item in value):
        value = interval(value)
    else:
        return None
    if value["mean"] is None:
        return "not defined"
    if value["low"] is None:
        return f"{_numbers(value['mean'])} [one run]"
    return "{} [{}, {}]".format(*_numbers(value["mean"], value["low"], value["high"]).split())


def _numbers(*numbers: float) -> str:
    """Return numbers with as many digits as the largest of them needs, a space between."""
    size = max(map(abs, numbers))
    digits = 0 if size >= 1000 or isinstance(numbers[0], int) else 2 if size >= 2 else 3 if size >= 0.01 else 4
    return " ".join(f"{number:,.{digits}f}" for number in numbers)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [[name.replace("_", " ") for name in head], ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(re.sub(r"([|*$<`])", r"\\\1", cell) for cell in line) + " |" for line in lines)
