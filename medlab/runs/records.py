"""Recorded results, `data/results/NAME.json`: read, judged, compared with the lesson of today, and grown seed by seed.

A record grows from its plan `NAME.yaml`, one run a seed, until the plan is met; each run keeps its commit. It belongs
to the cells that it was made by (`claim_code`): with other cells it is out of date, and says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medlab.errors import unknown_name_error
from medlab.runs.fingerprint import claim_cells, claim_code
from medlab.runs.parameters import find_notebook, lessons_folder, read_parameters, run_facts
from medlab.runs.recording import provenance
from medlab.runs.state import load_json, write_json
from medlab.runs.sweeping import read_plan, sweep
from medlab.runs.tables import to_interval
from medlab.storage import only_writer, write_file
from medlab.text import code_markdown, escape_markdown

if TYPE_CHECKING:  # importing this room is light
    from medlab.metrics import Outcome

NOT_HERE = "{} is not there: medlab is not installed from a checkout, so go to the folder of the course first"


@dataclass(frozen=True)
class Recorded:
    """One recorded result. Printing it gives its verdicts, scores and provenance.

    `details` is what the file holds, None while there is none of this name. A record grown from a plan has "runs", one
    per seed, each with its "values", "commit", "hardware", "threads", "precision", "versions", "seconds" and "started",
    and "claims"; one of a single run has those entries itself. `other` says in which settings it differs from those
    asked for: then it is not shown.
    """

    name: str
    details: dict | None
    other: dict = field(default_factory=dict)

    @property
    def runs(self) -> list[dict]:
        """The runs, one per seed; empty while there is no record."""
        if self.details is None or self.other:
            return []
        return self.details.get("runs", [self.details])

    @property
    def values(self) -> dict:
        """What a single run recorded, or that of the first seed of a grown record; empty while there is no record."""
        return self.runs[0]["values"] if self.runs else {}

    @property
    def scores(self) -> dict[str, dict[str, list]]:
        """By metric and method, one score per seed (or a list per seed, by patient); empty for a single run."""
        if not self.details or "runs" not in self.details or self.other:
            return {}
        first = self.values["scores"]
        return {m: {arm: [run["values"]["scores"][m][arm] for run in self.runs] for arm in first[m]} for m in first}

    @property
    def outcomes(self) -> list[Outcome]:
        """The record's claims, judged; empty for a single run."""
        from medlab.metrics import Claim, judge

        if self.details is None or not self.scores:
            return []
        return judge([Claim(**one) for one in self.details["claims"]], self.scores)

    @property
    def outdated(self) -> bool:
        """Whether the cells of the lesson that it depends on have changed since."""
        if self.details is None or "notebook" not in self.details:  # made by a script
            return False
        path = find_notebook(self.details["notebook"])
        return self.details["code"] != (claim_code(path) if "runs" in self.details else run_facts(path, {})["code"])

    @property
    def origin(self) -> str:
        """Command, time and machine, and whether the lesson has changed since, in Markdown."""
        details: dict = self.details or {}
        first, seconds = self.runs[0], sum(run["seconds"] for run in self.runs)
        hardware = first["hardware"]
        device = hardware["gpu"] or f"{hardware['cpu']}, {hardware['cores']} core{'s' * (hardware['cores'] > 1)}"
        command = f"medlab record {self.name}" if "runs" in details else details["command"]
        how = ""
        if "threads" in first:
            precision = details["parameters"].get("precision", first["precision"])
            how = f", {precision}, {first['threads']} thread{'s' * (first['threads'] > 1)}"
        old = "; the lesson's code has changed since" if self.outdated else ""
        where = escape_markdown(f"{seconds:,.0f} s on {device}{how}, {first['started'][:10]}{old}")
        return f"{code_markdown(command)}, {where}"

    def __str__(self) -> str:
        if self.details is None:
            folder = results_folder()
            return f"recorded result {self.name}: {'none yet' if folder.is_dir() else NOT_HERE.format(folder)}"
        if self.other:
            made = ", ".join(f"{name} = {value!r}" for name, value in self.other.items())
            return f"recorded result {self.name}: made with {made}, so it says nothing about this run"
        lines = [f"recorded result {self.name} ({self.origin}):"]
        lines += [line for outcome in self.outcomes for line in f"  {outcome}".replace("\n", "\n  ").splitlines()]
        verdicts, scores = self.values.get("verdicts", {}), self.values.get("scores", {}) if not self.scores else {}
        wide = max(map(len, [*verdicts, *scores]), default=0)
        for claim, outcome in verdicts.items():
            difference = to_interval(self.values["differences"][claim])
            lines.append(f"  {claim:{wide}} difference {difference:.3f}   {outcome}")
        lines += [f"  {name:{wide}} {to_interval(score):.3f}" for name, score in scores.items()]
        return "\n".join(lines)


def results_folder() -> Path:
    """Return the folder of the recorded results, `data/results/` beside the lessons."""
    return lessons_folder().parent / "data" / "results"


def recorded(name: str, **settings: Any) -> Recorded:
    """Load a recorded result by name, e.g. "01-claim"; printing it gives its verdicts, scores and provenance.

    Args:
        name: of the record.
        settings: parameters of the lesson that must be those of the record, such as ``dataset=dataset``: a lesson run
            on another set does not show the record of the first.

    Raises:
        ValueError: a setting that is no parameter of the lesson.
    """
    file = results_folder() / f"{name}.json"
    if not file.is_file():
        return Recorded(name, None)
    details, other = load_json(file), {}
    for setting, value in settings.items():
        known = read_parameters(find_notebook(details["notebook"]))
        if setting not in known:
            raise unknown_name_error(f"parameter of {details['notebook']}", setting, known)
        if (made := details["parameters"].get(setting, "unknown")) != value:
            other[setting] = made
    return Recorded(name, details, other)


def grow_record(name: str, workers: int | None = None) -> Recorded:
    """Run the seeds that the plan ``data/results/NAME.yaml`` asks for and the record lacks, and add them one by one.

    A run executes the cells that the claims depend on (`claim_cells`), and no other. After each round of `workers` runs
    the file is written, so that what is done stays. Where the record holds seeds of another commit, one of them is
    repeated first: its figures must come out the same.

    Raises:
        FileNotFoundError: there is no such plan.
        ValueError: `name` is no name of a record, the plan is not valid, the lesson records no claims, the record was
            made by other cells of the lesson, a repeated seed gives other figures, a margin was widened.
        BlockingIOError: another process grows the same record.
        RuntimeError: a run failed.
    """
    if not re.fullmatch(r"[\w-]+", name):
        raise ValueError(
            f"{name!r} is no name of a record, such as 09-claim; it is that of a plan in {results_folder()}"
        )
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    path, combinations, _ = read_plan(results_folder() / f"{name}.yaml")
    with only_writer(results_folder() / f"{name}.json"):
        _grow(name, path, combinations, workers or 1)
    return recorded(name)


def _grow(name: str, path: Path, combinations: list[dict], rounds: int) -> None:
    """Grow a record, of which this process is the only writer, by the runs that it lacks, `rounds` at a time."""
    file, code = results_folder() / f"{name}.json", claim_code(path)
    shared = {key: value for key, value in combinations[0].items() if key != "seed"}
    before = recorded(name)
    details = before.details or {"notebook": path.stem, "code": code, "parameters": shared, "claims": [], "runs": []}
    if (details["code"], details["parameters"]) != (code, shared):
        raise ValueError(f"{file} was made by other cells or settings; remove it to record anew, or undo the change")
    known, commit = {run["seed"]: run for run in details["runs"]}, provenance(path.parent)["commit"]
    todo = [one for one in combinations if one["seed"] not in known]
    if todo and any(run["commit"] != commit for run in details["runs"]):
        todo = [shared | {"seed": min(known)}, *todo]
    part = _write_part(path, name)
    out = part.parent / name / str(commit)  # a sweep skips what is done there, and a repeated seed must run again
    for start in range(0, len(todo), rounds):
        plan = {"notebook": part, "grid": _grid(todo[start : start + rounds])}
        for result in sweep(plan, out=out, workers=rounds):
            if not result.ok:
                raise RuntimeError(f"seed {result.parameters['seed']}: {result}")
            _add(details, result.details, known)
            write_json(file, details)


def _write_part(path: Path, name: str) -> Path:
    """Write the notebook of the cells that a record depends on, to ``runs/records/NAME.ipynb`` beside the lessons."""
    import nbformat

    cells = [nbformat.v4.new_code_cell(one["source"], metadata=one["metadata"]) for one in claim_cells(path)]
    part = path.parent.parent / "runs" / "records" / f"{name}.ipynb"
    write_file(part, nbformat.writes(nbformat.v4.new_notebook(cells=cells)) + "\n")
    return part


def _grid(combinations: list[dict]) -> dict[str, list]:
    return {name: list(dict.fromkeys(one[name] for one in combinations)) for name in combinations[0]}


def _add(details: dict, run: dict, known: dict[int, dict]) -> None:
    """Add the run of one seed to a record, or compare it with that seed's in the record."""
    seed, values = run["parameters"]["seed"], run["values"]
    if missing := {"claims", "scores"} - values.keys():
        raise ValueError(f"{run['notebook']} does not record its {missing.pop()}; add them to a call of record()")
    margins = {claim["name"]: claim["margin"] for claim in details["claims"]}
    claims = values.pop("claims")
    for claim in claims:
        if claim["margin"] > (was := margins.get(claim["name"], claim["margin"])):
            raise ValueError(f"{claim['name']}: its margin was {was}; it may be tightened, not widened")
    details["claims"] = claims
    if seed in known:
        if values["scores"] != known[seed]["values"]["scores"]:
            raise ValueError(f"seed {seed} gives other figures than in the record; remove the file to record anew")
        return
    keys = ("commit", "started", "seconds", "hardware", "threads", "precision", "versions", "values")
    details["runs"] = sorted([*details["runs"], {"seed": seed} | {key: run[key] for key in keys}], key=_seed)


def _seed(run: dict) -> int:
    return run["seed"]
