"""Recorded results: what is printed of them, and that those in the repository are whole."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from medlab.runs import claims_table, recorded, replication_rows, replication_table, results_folder, results_page
from medlab.runs.parameters import lessons_folder
from medlab.runs.sweeping import read_plan

NEEDED = {"values", "commit", "hardware", "versions", "seconds", "started"}


def test_a_missing_record_says_so():
    assert str(recorded("99-nothing")) == "recorded result 99-nothing: none yet"
    assert recorded("99-nothing").values == {}


def test_a_record_prints_verdicts_scores_and_origin(tmp_path, monkeypatch):
    interval = {"value": 0.5, "low": 0.4, "high": 0.625}
    values = {"verdicts": {"A beats B": "held"}, "differences": {"A beats B": interval}, "scores": {"auc": interval}}
    hardware = {"cpu": "some CPU", "cores": 2, "gpu": None}
    facts = {"command": "medlab run 01", "seconds": 61.4, "started": "2026-01-02T03:04:05+00:00"}
    (tmp_path / "01-x.json").write_text(json.dumps({"values": values, "hardware": hardware, **facts}))
    monkeypatch.setattr("medlab.runs.records.results_folder", lambda: tmp_path)
    text = str(recorded("01-x"))
    assert "`medlab run 01`, 61 s on some CPU, 2 cores, 2026-01-02" in text
    assert "A beats B" in text and "0.500 [0.400, 0.625]   held" in text
    assert text.splitlines()[-1].split() == ["auc", "0.500", "[0.400,", "0.625]"]


def test_a_record_of_no_lesson_is_not_in_the_table_of_claims(tmp_path, monkeypatch):
    (tmp_path / "breaker.json").write_text('["of another form"]')
    monkeypatch.setattr("medlab.runs.results.results_folder", lambda: tmp_path)
    assert claims_table().endswith("0 of 0 claims are undecided (*cannot tell* or *no room*).")


@pytest.mark.parametrize("file", sorted(results_folder().glob("[0-9]*.json")), ids=lambda file: file.stem)
def test_records_in_the_repository_are_whole(file):
    result = recorded(file.stem)
    for run in result.runs:
        assert run.keys() >= NEEDED
        assert run["commit"] and "dirty" not in run["commit"], "record from a committed state"
    assert result.outcomes if "runs" in result.details else result.details["command"]
    assert file.stem in str(result)


PLANNED = [file.stem for file in sorted(results_folder().glob("[0-9]*.json")) if recorded(file.stem).scores]


@pytest.mark.parametrize("name", PLANNED)
def test_a_planned_record_belongs_to_the_lesson_of_today(name):
    result = recorded(name)
    assert not result.outdated, f"its cells have changed: remove the file, run `medlab record {name}`"
    plan, _ = read_plan(results_folder() / f"{name}.yaml")[1:]
    seeds, planned = [run["seed"] for run in result.runs], sorted(one["seed"] for one in plan)
    assert seeds == planned[: len(seeds)], "seeds that are not in the plan, or out of its order"
    if len(seeds) < len(planned):
        assert {outcome.verdict for outcome in result.outcomes} == {"cannot tell"}, "decided before the plan is met"
    elif name.endswith("-claim"):
        assert all(outcome.seeds == outcome.claim.seeds for outcome in result.outcomes), "the plan names other seeds"
    named = result.details["parameters"].get("precision")  # runs said that of the machine once
    assert len({(named or run["precision"], run["threads"]) for run in result.runs}) == 1


def test_the_table_of_claims_has_every_recorded_verdict():
    lines = claims_table().splitlines()
    names = [file.stem for file in sorted(results_folder().glob("[0-9]*.json")) if not file.stem.endswith("-bfloat16")]
    assert lines[0].split(" | ")[1:] == ["difference [95 % interval]", "margin", "control", "detectable", "seeds"] + [
        "verdict", "record |"
    ]  # fmt: skip
    cells = [[cell.strip() for cell in line.split("|")] for line in lines[2:-2]]
    claims = [(one.claim.name, one.verdict, n) for n in names for one in recorded(n).outcomes]
    claims += [(claim, outcome, n) for n in names for claim, outcome in recorded(n).values.get("verdicts", {}).items()]
    shown = [(cell[1].removesuffix(" (primary)"), cell[7], cell[8].removesuffix(" (older code)")) for cell in cells]
    assert sorted(shown) == sorted(claims) and claims
    older = {cell[8].split()[0] for cell in cells if cell[8].endswith(" (older code)")}
    assert older == {name for name in names if recorded(name).outdated} & {name for *_, name in claims}
    undecided = sum(outcome in ("cannot tell", "no room") for _, outcome, _ in claims)
    assert lines[-1].startswith(f"{undecided} of {len(claims)} claims are undecided")


def test_every_primary_claim_has_its_row_in_the_replication_table():
    primary = [(o.claim, n) for n in PLANNED if n.endswith("-claim") for o in recorded(n).outcomes if o.claim.primary]
    rows = replication_rows()
    assert {(claim.name, name) for claim, name in primary} <= {(row["claim"], row["record"]) for row in rows}
    lessons = {path.stem[:2] for path in lessons_folder().glob("[0-9]*.ipynb")}
    assert {row["lesson"][:2] for row in rows} == lessons, "a lesson's claim has no row"
    table = replication_table()
    for row in rows:
        line = next(line for line in table.splitlines() if f"]({row['link']})" in line)
        assert row["verdict"] in line and row["cpu_hours"] in line and row["paper"][:20] in line


def test_a_record_of_one_seed_has_its_row(tmp_path, monkeypatch):
    record = json.loads((results_folder() / "11-claim.json").read_text())
    (tmp_path / "11-claim.json").write_text(json.dumps(record | {"runs": record["runs"][:1]}))
    for module in ("records", "results"):
        monkeypatch.setattr(f"medlab.runs.{module}.results_folder", lambda: tmp_path)
    [row] = replication_rows()
    assert row["record"] == "11-claim" and row["verdict"] == "cannot tell"


def test_the_page_of_results_shows_claim_figures_and_origin(tmp_path, monkeypatch):
    """Against figures by hand: mean and t interval over seeds, 0.6 +- 2.776 * 0.1 * sqrt(2.5 / 5)."""
    gap = {"value": -0.5, "low": -0.75, "high": -0.25}
    values = {
        "verdicts": {"A beats B": "did not hold"},
        "differences": {"A beats B": gap},
        "A beats B": -0.5,
        "auc": {"A": [0.4, 0.5, 0.6, 0.7, 0.8], "B": [0.5]},
        "hd95_mm": {"A": {"value": 12.0, "low": 11.0, "high": 13.125}, "B": {"value": None, "low": None, "high": None}},
        "by_organ": {"A": {"liver": 1_234_567, "a|b": 0.001}, "B": {"liver": 7}},
        "patients": ["p1", "p2"],
        "per_seed": {"A": [1.0]},
    }
    record = {
        "values": values,
        "command": "medlab run 07",
        "seconds": 1234.5,
        "commit": "0123456789abcdef",
        "started": "2026-01-02T03:04:05+00:00",
        "hardware": {"cpu": "some CPU", "cores": 1, "gpu": None},
        "versions": {"python": "3.12.1"},
    }
    (tmp_path / "data").mkdir()
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "data" / "07-claim.json").write_text(json.dumps(record))
    (tmp_path / "data" / "gpu.json").write_text("{}")  # of `make gpu`: no record of a lesson
    text = "# 07. Lesson\n\n## Did the claim hold?\n\nA gains 3 points ([00](00_x.ipynb)).\n\n### Next\n\nno more"
    cells = [new_markdown_cell(text), new_code_cell('print(recorded("07-full"))')]
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / "07_lesson.ipynb")
    for module in ("records", "results"):
        monkeypatch.setattr(f"medlab.runs.{module}.results_folder", lambda: tmp_path / "data")
    monkeypatch.setattr("medlab.runs.results.lessons_folder", lambda: tmp_path / "notebooks")
    lines = results_page().splitlines()
    assert "## 07. Lesson" in lines and "A gains 3 points ([00](../notebooks/00_x.ipynb))." in lines
    assert "no more" not in lines
    assert "| A beats B | -0.500 [-0.750, -0.250] |  |  |  |  | did not hold |" in lines
    assert lines[lines.index("| variant | auc | hd95 mm |") :][2:4] == [
        "| A | 0.600 [0.404, 0.796] | 12.00 [11.00, 13.12] |",
        "| B | 0.500 [no interval] | not defined |",
    ]
    by_organ = lines[lines.index("| by organ | A | B |") :]
    assert by_organ[2:4] == ["| liver | 1,234,567 | 7 |", "| a\\|b | 0.0010 |  |"]
    assert not [line for line in lines if "p1" in line or "per seed" in line]
    origin = "`medlab run 07`, 1,234 s on some CPU, 1 core, 2026-01-02; commit `0123456789ab`, python 3.12.1."
    assert [line for line in lines if line.startswith(origin) and "[07-claim.json](../data/results/" in line]
    assert lines[lines.index("### 07-full") + 2] == "Not recorded yet."
