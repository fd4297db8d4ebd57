"""Records that grow seed by seed, and the cells that they belong to."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from medlab.metrics import Claim
from medlab.runs import grow_record, recorded
from medlab.runs.fingerprint import claim_cells, claim_code
from medlab.runs.recording import provenance

SETUP = "import math\nfrom medlab import metrics, visualize\nfrom medlab.runs import record"
PARAMETERS = 'seed: int = 0\nscale: str = "laptop"'
CLAIMS = """claims = [metrics.Claim(
    "A beats B", "A", "B", "score", margin=MARGIN, reason="so", seeds=3, images="none", primary=True)]
record(claims=[claim.to_dict() for claim in claims])"""
LOOK = "pictures = [seed]\nfor name in 'ab':\n    print(name, pictures)"
TRAIN = """def score(name):
    return (2.0 if name == 'A' else 1.0) + 0.1 * seed


history = {}
history['B'] = score('B')"""
EMPTY = "history = {}\n"
RECORD = "history['A'] = score('A')\nrecord(scores={'score': history})"
SHOW = "print(claims)"


def lesson(folder, margin="0.5", **changes):
    parts = {"setup": SETUP, "parameters": PARAMETERS, "claims": CLAIMS, "look": LOOK, "train": TRAIN}
    parts |= {"record": RECORD, "show": SHOW} | changes
    parts["claims"] = parts["claims"].replace("MARGIN", margin)
    tags = {"parameters": ["parameters"], "claims": ["claims"], "exercise": ["exercise"]}
    cells = [new_code_cell(text, id=name, metadata={"tags": tags.get(name, [])}) for name, text in parts.items()]
    path = folder / "notebooks" / "07_lesson.ipynb"
    path.parent.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_a_record_depends_on_the_cells_that_its_values_come_from(tmp_path):
    kept = [cell["id"] for cell in claim_cells(lesson(tmp_path))]
    assert kept == ["setup", "parameters", "claims", "train", "record"]


@pytest.mark.parametrize(
    "changes",
    [
        {"look": "pictures = []"},
        {"show": "print('other')"},
        {"train": "# why\n\n" + TRAIN},
        {"parameters": PARAMETERS.replace("laptop", "full")},
        {"margin": "0.4"},
        {"exercise": "def score(name):\n    raise NotImplementedError"},
        {"record": RECORD, "after": "score = None"},
    ],
)
def test_other_cells_may_change(tmp_path, changes):
    assert claim_code(lesson(tmp_path)) == claim_code(lesson(tmp_path, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"train": TRAIN.replace("0.1", "0.2")},
        {"record": RECORD.replace("'A'] =", "'B'] =")},
        {"setup": SETUP.replace("math", "cmath as math")},
        {"look": LOOK + "\nhistory = 3", "train": TRAIN.replace(EMPTY, "")},
        {
            "look": "class Box(dict):\n    pass\n\n\nhistory = Box()\nhistory.x = 1",
            "train": TRAIN.replace(EMPTY, ""),
        },
        {"look": "numbers = []", "train": "numbers.append(2)\n" + TRAIN.replace("2.0", "numbers[0]")},
    ],
)
def test_a_change_of_what_it_depends_on_shows(tmp_path, changes):
    assert claim_code(lesson(tmp_path)) != claim_code(lesson(tmp_path, **changes))


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("scaled = 2\nfit(history)", True),  # a call that stands alone may change what it is given
        ("visualize.bars(history)", False),
        ("print(history)", False),
        ("for history in [{}]:\n    pass", True),
        ("def f():\n    history = 3", False),
        ("[history for history in [1]]", False),
        ("import json as history", True),
    ],
)
def test_what_changes_a_name(tmp_path, cell, expected):
    kept = [one["id"] for one in claim_cells(lesson(tmp_path, record="middle = 1", middle=cell, last=RECORD))]
    assert ("middle" in kept) == expected


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of one lesson, with a plan of three seeds."""
    results = tmp_path / "data" / "results"
    results.mkdir(parents=True)
    lesson(tmp_path)
    plan = {"notebook": str(tmp_path / "notebooks/07_lesson.ipynb"), "parameters": {"scale": "record"}}
    (results / "07-claim.yaml").write_text(json.dumps(plan | {"seeds": [0, 1, 2]}))
    monkeypatch.setattr("medlab.runs.records.results_folder", lambda: results)
    monkeypatch.setattr("medlab.runs.parameters.lessons_folder", lambda: tmp_path / "notebooks")
    return tmp_path


def executed(course):
    return sorted(path.parent.name for path in (course / "runs").rglob("results.json"))


def test_a_record_grows_by_the_seeds_that_it_lacks(course, monkeypatch):
    plan = course / "data/results/07-claim.yaml"
    whole = plan.read_text()
    plan.write_text(whole.replace("[0, 1, 2]", "[0, 1]"))
    early = grow_record("07-claim", workers=2)
    assert [run["seed"] for run in early.runs] == [0, 1] and early.scores == {
        "score": {"A": [2.0, 2.1], "B": [1.0, 1.1]}
    }
    assert early.outcomes[0].verdict == "cannot tell" and early.outcomes[0].claim.seeds == 3
    assert all(
        run.keys() >= {"commit", "seconds", "hardware", "threads", "precision", "versions"} for run in early.runs
    )
    before = executed(course)

    monkeypatch.setattr("medlab.runs.records.provenance", lambda folder: {"commit": early.runs[0]["commit"]})
    plan.write_text(whole)
    late = grow_record("07-claim")
    assert len(executed(course)) == len(before) + 1, "only the third seed ran"
    assert [run["seed"] for run in late.runs] == [0, 1, 2] and late.runs[:2] == early.runs
    assert "A beats B" in str(late) and "`medlab record 07-claim`" in str(late) and "1 thread," in str(late)

    assert grow_record("07-claim").runs == late.runs and len(executed(course)) == len(before) + 1
    assert recorded("07-claim", scale="record").runs and not late.outdated
    other = recorded("07-claim", scale="laptop")
    assert other.runs == [] and other.outcomes == [] and "made with scale = 'record'" in str(other)
    with pytest.raises(ValueError, match="unknown parameter of 07_lesson 'scal'. Did you mean 'scale'"):
        recorded("07-claim", scal="record")

    lesson(course, look="print(0)")
    assert not recorded("07-claim").outdated
    lesson(course, train=TRAIN.replace("0.1", "0.2"))
    assert recorded("07-claim").outdated and "code has changed since" in str(recorded("07-claim"))
    with pytest.raises(ValueError, match="made by other cells or settings; remove it"):
        grow_record("07-claim")


def test_seeds_of_another_commit_join_only_if_a_repeated_seed_agrees(course, monkeypatch):
    plan, file = course / "data/results/07-claim.yaml", course / "data/results/07-claim.json"
    whole = plan.read_text()
    plan.write_text(whole.replace("[0, 1, 2]", "[0]"))
    grow_record("07-claim")
    plan.write_text(whole.replace("[0, 1, 2]", "[0, 1]"))
    record = json.loads(file.read_text())
    monkeypatch.setattr("medlab.runs.records.provenance", lambda folder: {"commit": "another"})
    record["runs"][0]["values"]["scores"]["score"]["A"] = 2.5
    file.write_text(json.dumps(record))
    with pytest.raises(ValueError, match="seed 0 gives other figures"):
        grow_record("07-claim")
    before = len(executed(course))
    record["runs"][0]["values"]["scores"]["score"]["A"] = 2.0
    file.write_text(json.dumps(record))
    monkeypatch.setattr("medlab.runs.records.provenance", lambda folder: {"commit": "a third"})
    assert [run["seed"] for run in grow_record("07-claim").runs] == [0, 1]
    assert len(executed(course)) == before + 2, "the repeated seed ran again, it was not read from its folder"


def test_a_margin_may_be_tightened_not_widened(course):
    plan = course / "data/results/07-claim.yaml"
    whole = plan.read_text()
    plan.write_text(whole.replace("[0, 1, 2]", "[0]"))
    grow_record("07-claim")
    plan.write_text(whole.replace("[0, 1, 2]", "[0, 1]"))
    lesson(course, margin="0.6")
    with pytest.raises(ValueError, match="its margin was 0.5; it may be tightened, not widened"):
        grow_record("07-claim")
    lesson(course, margin="0.4")
    assert Claim(**grow_record("07-claim").details["claims"][0]).margin == 0.4


def test_a_claim_that_the_lesson_dropped_is_not_judged(course):
    plan = course / "data/results/07-claim.yaml"
    whole = plan.read_text()
    plan.write_text(whole.replace("[0, 1, 2]", "[0]"))
    grow_record("07-claim")
    plan.write_text(whole.replace("[0, 1, 2]", "[0, 1]"))
    lesson(course, claims=CLAIMS.replace("A beats B", "A wins"))
    assert [one.claim.name for one in grow_record("07-claim").outcomes] == ["A wins"]


def test_a_failed_seed_is_named(course):
    lesson(course, train="1 / 0\n" + TRAIN)
    with pytest.raises(RuntimeError, match="seed 0: failed in cell .*ZeroDivisionError"):
        grow_record("07-claim")


def test_a_tree_without_git_has_its_commit_from_the_environment_and_names_no_gpu_that_it_leaves_alone(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("MEDLAB_DEVICE", "cpu")
    monkeypatch.setenv("MEDLAB_COMMIT", "0123abc")
    asked = []
    monkeypatch.setattr("medlab.runs.recording._output", lambda *command: asked.append(command[0]))
    facts = provenance(tmp_path)
    assert facts["commit"] == "0123abc" and facts["hardware"]["gpu"] is None and "nvidia-smi" not in asked
