"""Every argument of every command: the first message names it, what came and what is allowed; Ctrl-C is one line."""

import shlex

import pytest
from project import ROOT
from typer.testing import CliRunner

from medlab import classroom, runs
from medlab.cli import app
from medlab.train import command

# command line; words of the message. FILE is a text file, DIR an empty folder, FULL one with a file, PLAN a valid plan.
TABLE = [
    ("run", ["Missing argument 'notebook'"]),
    ("run 99", ["unknown lesson '99'", "01_shallow_cnn"]),
    ("run FILE", ["unknown lesson", "FILE"]),
    ("run FULL/no.ipynb", ["FULL/no.ipynb is not there"]),
    ("run FULL/bad.ipynb", ["FULL/bad.ipynb is not a Jupyter notebook"]),
    ("run 01 -p seed 1e99", ["'seed' must be int", "'1e99'"]),
    ("run 01 -p seed", ["write -p NAME VALUE"]),
    ("run 01 --out FILE", ["FILE holds something else than a run"]),
    ("run 01 --timeout 0", ["'--timeout'", "greater than or equal to 1"]),
    ("sweep", ["Missing argument"]),
    ("sweep no.yaml", ["no.yaml is not there"]),
    ("sweep DIR", ["DIR is a folder; give a file"]),
    ("sweep FILE", ["FILE must hold the names notebook, parameters, grid, seeds"]),
    ("sweep PLAN --workers 0", ["workers must be at least 1"]),
    ("sweep PLAN --scheduler tcp://host:1", ["scheduler 'tcp://host:1'", "tls://HOST:PORT"]),
    ("sweep PLAN --scheduler tls://127.0.0.1:9 --out DIR", ["scheduler 'tls://127.0.0.1:9' asks for a certificate"]),
    ("sweep PLAN --out FILE", ["could not write FILE/sweep", "give another path"]),
    ("sweep PLAN --timeout 0", ["'--timeout'", "greater than or equal to 1"]),
    ("record", ["Missing argument 'name'"]),
    ("record ../plan", ["'../plan' is no name of a record"]),
    ("record PLAN", ["is no name of a record"]),
    ("record no", ["no.yaml is not there"]),
    ("record no --workers 0", ["workers must be at least 1, got 0"]),
    ("table DIR", ["there are no runs in DIR"]),
    ("table FILE", ["there are no runs in FILE"]),
    ("lab --port 0", ["'--port'", "greater than or equal to 1"]),
    ("student FULL", ["FULL is already there and not an empty folder"]),
    ("student FILE/out", ["could not write FILE/out/", "give another path"]),
    ("nbgrader FULL", ["FULL is already there and not an empty folder"]),
    ("mark", ["Missing argument"]),
    ("mark DIR", ["no notebooks in DIR"]),
    ("train X lung", ["unknown model 'X'", "ShallowCNN"]),
    ("train ShallowCNN no", ["unknown set 'no'", "lung"]),
    ("train ShallowCNN lung --size 7", ["no size 7", "any multiple of 8 from 16"]),
    ("train ShallowCNN lung --size 100000", ["not enough memory, take smaller or fewer images"]),
    ("train ShallowCNN lung --n 0", ["n = 0", "whole number from 1"]),
    ("train ShallowCNN lung --images -1", ["n = -1", "whole number from 1"]),
    ("train ShallowCNN lung --n 100000000", ["not enough memory, take smaller or fewer images"]),
    ("train ShallowCNN lung --seconds 9", ["seconds is the budget of the model \"quick\"; for ShallowCNN say epochs"]),
    ("train quick lung --seconds -1 --n 300", ["seconds and rate must be positive, got -1.0 s"]),
    ("train ShallowCNN lung --epochs 0 --n 300", ["epochs must be a whole number of at least 1, got 0"]),
    ("train ShallowCNN lung --batch-size 0 --n 300", ["batch_size must be a whole number of at least 1, got 0"]),
    ("train ShallowCNN lung --lr nan --n 300", ["lr must be positive, got nan"]),
    ("train ShallowCNN lung --optimizer x --n 300", ["unknown optimizer 'x'", "adamw"]),
    ("train ShallowCNN lung --patience 0 --n 300", ["patience must be a whole number of at least 1, got 0"]),
    ("train ShallowCNN lung --seed 99999999999", ["seed must be at most 4294967295, got 99999999999"]),
    ("train ShallowCNN lung --device x --n 300", ["unknown device 'x'"]),
    ("train ShallowCNN lung --precision half", ["unknown precision 'half'", "bfloat16"]),
    ("train ShallowCNN lung --checkpoint FILE", ["FILE is not a whole checkpoint"]),
    ("train ShallowCNN lung --checkpoint DIR", ["could not write DIR: Is a directory"]),
    ("train ShallowCNN lung --save FILE/x", ["FILE: "]),
    ("train ShallowCNN lung --augment=3", ["--augment"]),
    ("train ShallowCNN lung --resume", ["resume=True needs `checkpoint`"]),
    ("predict FILE DIR", ["there is no FILE.safetensors"]),
    ("doctor x", ["unexpected extra argument"]),
    ("nosuch", ["No such command 'nosuch'"]),
]  # fmt: skip


@pytest.mark.parametrize(("line", "words"), TABLE, ids=[line for line, _ in TABLE])
def test_a_bad_argument_is_named_in_the_first_message(tmp_path, line, words):
    places = {"FILE": "a.txt", "DIR": "empty", "FULL": "full", "PLAN": "plan.yaml"}
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "bad.ipynb").write_text("{")
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "plan.yaml").write_text('notebook: "01"\nseeds: [0]\n')

    def there(text):
        for name, file in places.items():
            text = text.replace(name, str(tmp_path / file))
        return text

    before = sorted(tmp_path.rglob("*"))
    result = CliRunner().invoke(app, shlex.split(there(line)))
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit), result.exception
    errors = [text for text in result.stderr.splitlines() if text.lower().startswith("error: ")]
    assert len(errors) == 1 and not [word for word in words if there(word) not in errors[0]], errors
    assert sorted(tmp_path.rglob("*")) == before and (tmp_path / "a.txt").read_text() == "hello"


INTERRUPTED = {
    "run 01": (runs, "run", "the same command runs it again"),
    "sweep x.yaml": (runs, "sweep", "the same command goes on with the others"),
    "record x": (runs, "grow_record", "the same command goes on with the others"),
    "table": (runs, "claims_table", "nothing was changed"),
    "student x": (classroom, "student_edition", "remove the folder"),
    "nbgrader x": (classroom, "nbgrader_course", "remove the folder"),
    "train ShallowCNN lung": (command, "train", "with --checkpoint FILE every epoch is"),
    "train ShallowCNN lung --checkpoint a.pt": (command, "train", "a.pt holds the epochs that were finished; "),
}


@pytest.mark.parametrize("line", INTERRUPTED)
def test_ctrl_c_is_one_line_that_says_what_is_kept(monkeypatch, line):
    where, name, words = INTERRUPTED[line]

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(where, name, interrupted)
    result = CliRunner().invoke(app, line.split())
    [said] = result.output.splitlines()
    assert result.exit_code == 130 and said.startswith("interrupted: ") and words in said


def test_every_option_of_every_command_has_a_row():
    from typer.main import get_command

    lines = "\n".join(line for line, _ in TABLE)
    options = {
        f"{name} {option.opts[0]}"
        for name, one in get_command(app).commands.items()
        for option in one.params
        if option.opts[0].startswith("-") and not getattr(option, "is_flag", False)
    }
    missing = {
        each
        for each in options
        if not any(each.split()[1] in x and x.split()[0] == each.split()[0] for x in lines.split("\n"))
    }
    assert missing <= {"predict --out"} and ROOT.is_dir()
