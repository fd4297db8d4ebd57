"""Recorded results: what is printed of them, and that those in the repository are whole."""

import json

import pytest

from medlab.runs import recorded
from medlab.runs.records import results_folder

NEEDED = {"values", "parameters", "command", "commit", "hardware", "versions", "seconds", "started"}


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


@pytest.mark.parametrize("file", sorted(results_folder().glob("*.json")), ids=lambda file: file.stem)
def test_records_in_the_repository_are_whole(file):
    details = recorded(file.stem).details
    assert details.keys() >= NEEDED
    assert details["commit"] and "dirty" not in details["commit"], "record from a committed state"
    assert file.stem in str(recorded(file.stem))
