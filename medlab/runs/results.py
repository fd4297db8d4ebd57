"""All recorded results as tables in Markdown: claim by claim, lesson by lesson, and paper by paper."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medlab.runs.parameters import lessons_folder
from medlab.runs.records import NOT_HERE, Recorded, recorded, results_folder
from medlab.runs.tables import markdown_table, to_interval
from medlab.text import code_markdown, escape_markdown

CLAIM = "## Did the claim hold?"  # the section of a lesson
DIFFERENCE = "difference [95 % interval]"
VERDICTS = ["claim", DIFFERENCE, "margin", "control", "detectable", "seeds", "verdict"]  # columns
VERDICT = VERDICTS.index("verdict")
REPEAT = "-bfloat16"  # records of a few seeds in the other precision: they decide nothing


def claims_table() -> str:
    """Tabulate all recorded claims in Markdown: difference, margin, control, seeds, verdict, the record's name.

    "older code" stands behind a record whose lesson has changed since.

    Raises:
        FileNotFoundError: the course is not here, as medlab alone was installed.
    """
    from medlab.metrics.claims import NO_ROOM, UNDECIDED

    results = [recorded(name) for name in _names()]
    rows = [[*row, one.name + " (older code)" * one.outdated] for one in results for row in _verdicts(one)]
    undecided = sum(row[VERDICT] in (NO_ROOM, UNDECIDED) for row in rows)
    table = markdown_table([*VERDICTS, "record"], rows)
    return f"{table}\n\n{undecided} of {len(rows)} claims are undecided (*{UNDECIDED}* or *{NO_ROOM}*)."


def replication_rows() -> list[dict]:
    """The surveyed claims, one per lesson, as the replication table shows them: the primary claim of its record.

    Each is a dict of texts: "lesson", "claim", "paper" (its own figures), "ours" (difference with its interval),
    "margin", "verdict", "images", "cpu_hours", "record" and "link"; "outcome" is the `Outcome`, None for a record of a
    single run, of which margin, paper and images are not known.
    """
    rows = []
    for path in sorted(lessons_folder().glob("[0-9]*.ipynb")):
        names = [name for name in _names() if name.startswith(f"{path.stem[:2]}-")]
        results = [recorded(name) for name in sorted(names, key=lambda name: not name.endswith("-claim"))]
        found = [(one, result) for result in results for one in result.outcomes if one.claim.primary]
        old = [result for result in results if not result.scores and result.values.get("verdicts")]
        if not found and not old:
            continue
        outcome, result = found[0] if found else (None, old[0])
        place = next((i for i, one in enumerate(result.outcomes) if one is outcome), 0)
        row = dict(zip(VERDICTS, _verdicts(result)[place]))
        rows.append(
            {
                "lesson": _claim(path)[0],
                "claim": outcome.claim.name if outcome else row["claim"],
                "paper": outcome.claim.paper if outcome else "",
                "ours": row[DIFFERENCE],
                "margin": row["margin"],
                "verdict": outcome.words if outcome else row["verdict"],
                "images": outcome.claim.images if outcome else "",
                "cpu_hours": f"{sum(run['seconds'] for run in result.runs) / 3600:.1f}",
                "record": result.name,
                "link": f"../notebooks/{path.name}#did-the-claim-hold",
                "outcome": outcome,
            }
        )
    return rows


def replication_table() -> str:
    """The replication table in Markdown: what each surveyed paper claims, and what came out here."""
    head = ["lesson", "claim", "the paper", "here", "margin", "verdict", "images", "CPU hours"]
    keys = ("claim", "paper", "ours", "margin", "verdict", "images", "cpu_hours")
    rows = replication_rows()
    table = markdown_table(head, [["{lesson}", *(row[key] for key in keys)] for row in rows])
    for row in rows:  # links are Markdown, which the cells of the table escape
        table = table.replace("{lesson}", f"[{row['lesson']}]({row['link']})", 1)
    return table


def results_page() -> str:
    """Write the page of results in Markdown, lesson by lesson; links are relative to a folder beside `notebooks/`.

    Of each lesson: its claim and the paper's figures in the lesson's own words, then each record with verdicts, our
    figures and provenance. Nothing is written by hand, so nothing can differ from the lesson or the record.
    """
    parts = ["## All claims", claims_table()]
    for path in sorted(lessons_folder().glob("*.ipynb")):
        asked = set(re.findall(r'recorded\(\\"([\w-]+)\\"', path.read_text(encoding="utf-8")))
        names = sorted(asked | {name for name in _names() if name.startswith(f"{path.stem[:2]}-")})
        title, claim = _claim(path)
        if claim:
            parts += [f"## {title}", claim]
            parts += [f"How it was tested: [the lesson](../notebooks/{path.name}#did-the-claim-hold)."]
            parts += [_section(recorded(name)) for name in names] or ["Nothing is recorded: the lesson computes it."]
    return "\n\n".join(parts) + "\n"


def _names() -> list[str]:
    if not (folder := results_folder()).is_dir():
        raise FileNotFoundError(NOT_HERE.format(folder))
    names = sorted(path.stem for path in folder.glob("[0-9][0-9]-*.json"))  # others are no records of lessons
    return [name for name in names if not name.endswith(REPEAT)]


def _verdicts(result: Recorded) -> list[list[str]]:
    """The claims of a record, one a row in the columns of `VERDICTS`; what a single run does not know is empty."""
    rows = [
        [
            one.claim.name + " (primary)" * one.claim.primary,
            _figure(one.difference._asdict()),
            f"{one.claim.margin:g}",
            "" if one.control is None else f"{one.claim.control}: {_figure(one.control._asdict())}",
            f"{one.detectable:.2g}",
            str(one.seeds) if one.seeds == one.claim.seeds else f"{one.seeds} of {one.claim.seeds}",
            one.verdict,
        ]
        for one in result.outcomes
    ]
    differences = result.values.get("differences", {})
    old = result.values.get("verdicts", {}).items()
    return rows + [[claim, _figure(differences[claim]) or "", "", "", "", "", outcome] for claim, outcome in old]


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
    if rows := _verdicts(result):
        parts.append(markdown_table(VERDICTS, rows))
    if result.scores:
        parts += _figures(result.scores)
    else:
        known = {"verdicts", "differences", "per_seed", *result.values.get("differences", {})}
        parts += _figures({name: value for name, value in result.values.items() if name not in known})
    versions = escape_markdown(", ".join(f"{name} {version}" for name, version in result.runs[0]["versions"].items()))
    commits = ", ".join(code_markdown(commit[:12]) for commit in dict.fromkeys(run["commit"] for run in result.runs))
    plan = f"{result.name}.yaml"
    parts.append(
        f"{result.origin}; commit {commits}, {versions}. "
        f"Seed by seed: [{result.name}.json](../data/results/{result.name}.json)"
        + (f"; plan: [{plan}](../data/results/{plan})." if (results_folder() / plan).is_file() else ".")
    )
    return "\n\n".join(parts)


def _figures(values: dict) -> list[str]:
    """Return tables of all numbers in a record: by variant, by variant and measure, or single ones."""
    groups: list[dict] = []
    tables: list[str] = []  # a group: measures of the same variants share a table, one column each
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


def _grid(columns: Mapping[str, Mapping[str, str | None]], title: str = "") -> str:
    """Return columns of cells as a table in Markdown; the longer side runs down the page."""
    import pandas as pd

    frame = pd.DataFrame(columns, dtype=object).fillna("")
    wide = len(frame.columns) > len(frame)
    frame = (frame.T if wide else frame).rename_axis(title or ("measure" if wide else "variant")).reset_index()
    return markdown_table([name.replace("_", " ") for name in frame.columns], frame.to_numpy().tolist())


def _figure(value: Any) -> str | None:
    """Return a number, an interval, or the mean over seeds with its t interval as text; None for any other value."""
    if (interval := to_interval(value)) is not None:
        value = interval
    elif not isinstance(value, int | float) or isinstance(value, bool):
        return None
    numbers: Sequence[Any] = interval or (value,)
    size = max((abs(number) for number in numbers if not math.isnan(number)), default=0)
    digits = 0 if size >= 1000 or isinstance(numbers[0], int) else 2 if size >= 2 else 3 if size >= 0.01 else 4
    return f"{value:,.{digits}f}"
