"""Every argument of every public function and class: the first message names it and what came.

The rows stand in `argument_rows` and the files beside it: what is given to one argument, while the others are right.
"""

import importlib
import inspect
from contextlib import nullcontext
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from argument_rows import DATA, Says
from argument_rows_figures import CLASSROOM, READER_STUDY, RUNS, VISUALIZE
from argument_rows_metrics import METRICS
from argument_rows_networks import MODELS, TRAIN
from lesson_cells import lessons
from PIL import Image

from medlab import data

ROOMS = ("data", "metrics", "models", "train", "runs", "reader_study", "classroom", "visualize")
TABLE = DATA | METRICS | MODELS | TRAIN | RUNS | READER_STUDY | CLASSROOM | VISUALIZE
ROWS = [(name, argument, value) for name, (_, wrong) in TABLE.items() for argument, value in wrong.items()]
# What cannot be wrong, beside flags: functions to call, random numbers, texts to show; "" is for all functions.
FREE = {
    "": "alt backbone build callback clock draw generator metric quantity title xlabel ylabel",
    "metrics.Claim": "name better baseline metric reason images control paper",
    "models.Backbone": "trained_on",
    "models.ShallowCNN": "activation",
    "models.WholeVolume": "network",
    "models.save_model": "plan",
    "runs.check_parameter": "name least most one_of",  # what `value` is checked by
    "runs.recorded": "name",  # there may be no such record
    "runs.publish": "network images",  # `save_model` checks them, in a run
    "train.fit": "loss",
    "train.pick_precision": "device",
    "train.save_checkpoint": "state",
}
EXEMPT = {
    "records, which their makers fill": "data.Case data.Info data.Volume metrics.Interval metrics.Outcome "
    "models.ModelCard train.Batch train.History train.QuickRecipe runs.Recorded runs.RunResult classroom.Marks",
    "a network or a set of images, and no more": "models.SliceBySlice models.Standardize models.count_parameters",
    "formulas for tensors of any shape": "train.discriminator_bce train.feature_matching_loss "
    "train.non_saturating_loss train.real_logit",
    "to be read, with PyTorch's own messages": "models.conv2d_unfold",
    "views of what was checked as it was made": "reader_study.clinic_widget reader_study.turing_widget "
    "reader_study.turing_table",
    "any folder has one": "classroom.lock_of",
}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Files and folders, by the names that stand for them in the rows."""
    root = tmp_path_factory.mktemp("places")
    (root / "folder").mkdir()
    Image.new("L", (16, 16)).save(root / "folder" / "a.png")
    (root / "a.txt").write_text("hello")
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4), np.int16), np.eye(4)), root / "a.nii")
    notebook = lessons(root / "lessons") / "00_one.ipynb"
    names = {
        "FILE": "a.txt",
        "FOLDER": "folder",
        "PNG": "folder/a.png",
        "NIFTI": "a.nii",
        "LESSONS": "lessons",
        "OUT": "new",
    }
    return {name: root / path for name, path in names.items()} | {"NOTEBOOK": notebook}


def there(value, places):
    """`value` with paths in the place of their names."""
    if isinstance(value, str) and (name := value.partition("/")[0]) in places:
        return places[name] / value.removeprefix(name).strip("/")
    if isinstance(value, data.Case):
        return replace(value, image=there(value.image, places), mask=there(value.mask, places))
    if isinstance(value, dict):
        return {name: there(each, places) for name, each in value.items()}
    return [there(each, places) for each in value] if isinstance(value, list) else value


def use(call, given):
    """Call it with the arguments by name, and use what comes: go through an iterator, enter a context."""
    kinds = {name: parameter.kind for name, parameter in inspect.signature(call).parameters.items()}
    several = next((name for name, kind in kinds.items() if kind is inspect.Parameter.VAR_POSITIONAL), None)
    before = list(kinds)[: list(kinds).index(several)] if several else []
    arguments = [given.pop(name) for name in before] + list(given.pop(several, ()))
    result = call(*arguments, **given)
    if inspect.isgenerator(result):
        list(result)
    with result if hasattr(result, "__exit__") else nullcontext():
        pass


@pytest.mark.parametrize(("name", "argument", "value"), ROWS, ids=[f"{name}-{argument}" for name, argument, _ in ROWS])
def test_a_wrong_argument_is_named_with_what_came(name, argument, value, places, monkeypatch):
    monkeypatch.chdir(places["FOLDER"].parent)
    room, _, function = name.partition(".")
    wrong = value.value if isinstance(value, Says) else value
    given = there(TABLE[name][0] | {argument: wrong}, places)
    with pytest.raises((ValueError, OSError, TypeError)) as raised:
        use(getattr(importlib.import_module(f"medlab.{room}"), function), given)
    said = str(raised.value)
    if isinstance(value, Says):
        assert value.words in said
    else:
        assert argument.rstrip("s") in said and str(value) in said
    assert not places["OUT"].exists()


def test_every_argument_of_every_public_name_has_a_row():
    public = {
        f"{room}.{name}": getattr(module, name)
        for room in ROOMS
        for module in [importlib.import_module(f"medlab.{room}")]
        for name in module.__all__
    }
    exempt = " ".join(EXEMPT.values()).split()
    assert not {*exempt, *TABLE} - public.keys() and not TABLE.keys() & {*exempt}
    lacking = {}
    for name, thing in public.items():
        if name in exempt or not callable(thing) or (isinstance(thing, type) and issubclass(thing, Exception)):
            continue
        rows, parameters = TABLE.get(name, ({}, {}))[1].keys(), inspect.signature(thing).parameters
        free = f"{FREE['']} {FREE.get(name, '')}".split()
        asked = {one.name for one in parameters.values() if not isinstance(one.default, bool)} - {*free}
        open_ended = {one.name for one in parameters.values() if one.kind is one.VAR_KEYWORD}
        if open_ended and rows - parameters.keys():  # a row of a name that is none
            asked -= open_ended
        if asked - rows:
            lacking[name] = sorted(asked - rows)
    assert not lacking
