"""Every argument of public functions that users give by hand: the first message names it and what came.

One row an argument: what is given to it, while the others are right. Flags and texts to show cannot be wrong.
"""

import importlib
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pytest
import torch
from lesson_cells import lessons
from PIL import Image

from medlab import data, models

NAN = float("nan")
IMAGES, CLASSES = torch.rand(8, 1, 16, 16), torch.arange(8) % 2
INFO = data.Info("toy", "CT", "multi-class", ("a", "b"), "CC0", "")
SET = data.ImageSet(IMAGES, CLASSES, list("aabbccdd"), INFO)
NETWORK = models.SmallCNN(1, 2)
GENERATOR, CRITIC = models.DCGenerator(size=16, width=4), models.DCDiscriminator(size=16, width=4)
CASE = data.Case("ann", Path("none.nii"), Path("none.nii"))
PROBS = np.full((8, 2), 0.5)


class Says(NamedTuple):
    """A wrong value that its message cannot show, or whose argument goes by another name there; and its words."""

    value: Any
    words: str


NONE = Says("none", "none")  # the path says enough
LOGITS = Says(PROBS * 3, "probs run from 1.5 to 1.5, not 0 to 1")
STEPS = {
    "epochs": 0, "batch_size": 0, "lr": NAN, "seed": -1, "device": "gpu", "precision": "half",
    "checkpoint": Says("FILE", "a.txt is not a whole checkpoint"),
}  # fmt: skip
NO_SET = Says(3, "takes sets of images, got a int")
SPACES = {"window": (5, 0), "spacing": 0}
LEVEL = {"level": 95}

# function: (right arguments, {argument: wrong value})
TABLE = {
    "data.load": (
        {"name": "lung"},
        {
            "name": Says("lnug", "unknown set 'lnug'. Did you mean 'lung'?"),
            "split": "tset",
            "size": 7,
            "patients": 0,
            "n": 0,
        },
    ),
    "data.load_sample": ({}, {"name": Says("lnug", "unknown sample 'lnug'")}),
    "data.read_volume": (
        {"name": "lung_ct", "case": 0},
        {"name": Says("lnug", "unknown set of volumes 'lnug'"), "case": Says("none", "lung_ct")},
    ),
    "data.load_class_folders": ({"folder": "FOLDER", "size": 16}, {"folder": NONE, "size": 0, "window": (5, 0)}),
    "data.load_decathlon": ({}, {"folder": NONE}),
    "data.load_dicom": ({}, {"path": NONE}),
    "data.load_dicom_series": ({}, {"folder": NONE}),
    "data.load_image_files": (
        {"paths": ["PNG"], "size": 16},
        {
            "paths": Says(["none"], "none"),
            "size": 0,
            "window": (5, 0),
            "patients": Says(["a", "b"], "patients of shape (2,)"),
            "targets": Says([0, 1], "targets must have shape (1,) to match images (1, 1, 16, 16), got (2,)"),
        },
    ),
    "data.load_nifti": ({}, {"path": NONE}),
    "data.load_nifti_labels": ({}, {"path": NONE}),
    "data.load_nifti_pair": ({"image": "NIFTI", "mask": "NIFTI"}, {"image": NONE, "mask": NONE}),
    "data.load_png_folder": ({"images": "FOLDER", "masks": "FOLDER"}, {"images": NONE, "masks": NONE}),
    "data.folds": ({"data": SET, "k": 2}, {"k": 1, "seed": -1}),
    "data.join": ({}, {"parts": Says([], "nothing to join")}),
    "data.oversample": ({"data": SET, "n": 9}, {"n": 0, "seed": -1}),
    "data.channels_as_images": ({"images": SET}, {"names": ["a", "b"]}),
    "data.simulate_phone_photo": (
        {"images": IMAGES, "strength": 1},
        {"images": Says(IMAGES[0], "images must be (N, C, H, W)"), "strength": -1},
    ),
    "data.slice_set": ({"cases": [CASE], "info": INFO, "size": 16}, SPACES | {"cases": Says([], "toy: no case given")}),
    "data.volume_set": (
        {"cases": [CASE], "info": INFO, "size": (16, 16, 16)},
        SPACES | {"cases": Says([], "no case given")},
    ),
    "data.raise_limits": (
        {},
        {"side": Says(3, "unknown limit 'side'. Did you mean 'picture_side'?"), "picture_side": 0},
    ),
    "models.load_model": ({}, {"path": NONE}),
    "models.load_pretrained": (
        {"name": "glioma-dcgan"},
        {"name": Says("glioma", "unknown trained network 'glioma'"), "folder": NONE},
    ),
    "models.pretrained_backbone": ({}, {"name": Says("resnet", "unknown backbone 'resnet'")}),
    "models.save_model": (
        {"path": "OUT", "network": NETWORK, "images": SET},
        {
            "path": Says("FILE/x", "could not write"),
            "network": Says(3, "int cannot be saved"),
            "figures": Says({"a": NAN}, "holds numbers, texts, lists and dicts of these only"),
        },
    ),
    "train.fit": (
        {"model": NETWORK, "train": SET, "epochs": 1, "batch_size": 8, "progress": False},
        STEPS
        | {
            "train": NO_SET,
            "val": NO_SET,
            "optimizer": "adam",
            "weight_decay": -1,
            "schedule": "cos",
            "clip": 0,
            "augment": Says(3, "augment must be something to call"),
            "patience": 0,
        },
    ),
    "train.fit_gan": (
        {
            "generator": GENERATOR,
            "discriminator": CRITIC,
            "train": SET,
            "epochs": 1,
            "batch_size": 4,
            "progress": False,
        },
        STEPS | {"steps_per_epoch": 0, "loss": "mse", "discriminator_lr": -1, "ema": 2},
    ),
    "train.load_checkpoint": ({}, {"path": Says("none", "no checkpoint at none")}),
    "train.save_checkpoint": ({"state": {}}, {"path": Says("FILE/x", "could not write")}),
    "train.pick_device": ({}, {"name": Says("gpu", "unknown device 'gpu'")}),
    "train.pick_precision": ({"device": torch.device("cpu")}, {"name": Says("half", "unknown precision 'half'")}),
    "train.predict": (
        {"model": NETWORK, "data": SET},
        {
            "data": Says(IMAGES[0, 0, 0], "images of shape (16,) do not fit"),
            "batch_size": 0,
            "window": Says(8, "leave out window"),
        },
    ),
    "train.sample": (
        {"generator": GENERATOR, "n": 2},
        {"n": 0, "labels": Says([5], "1 labels for 2 images"), "batch_size": 0},
    ),
    "train.seed_everything": ({}, {"seed": -1}),
    "metrics.mean_interval": ({"values": [1, 2, 3]}, LEVEL | {"values": Says([], "one score per seed")}),
    "metrics.paired_difference": (
        {"a": [1, 2, 3], "b": [1, 2, 3]},
        LEVEL | {"a": Says([1], "a has shape (1,) and b (3,)"), "b": Says([1, NAN, 2], "1 of 3 scores are NaN")},
    ),
    "metrics.success_rate": ({"successes": 1, "trials": 2}, LEVEL | {"successes": 3, "trials": 0}),
    "metrics.seeds_needed": (
        {"differences": [0.1, 0.2, 0.3], "margin": 0.1},
        LEVEL | {"differences": Says([1], "at least 3 seeds, without NaN, got [1.]"), "margin": 0, "power": 2},
    ),
    "metrics.smallest_detectable": (
        {"differences": [0.1, 0.2, 0.3]},
        LEVEL | {"differences": Says([1], "at least 3 seeds"), "power": 2},
    ),
    "metrics.calibration": (
        {"probs": PROBS, "targets": CLASSES},
        {"probs": LOGITS, "targets": Says(CLASSES + 5, "target 5 is out of range"), "bins": 0},
    ),
    "metrics.classification_report": (
        {"probs": PROBS, "targets": CLASSES},
        LEVEL
        | {
            "probs": LOGITS,
            "targets": Says(CLASSES + 5, "target 5 is out of range"),
            "classes": ["a"],
            "specificity": 2,
            "patients": Says([1], "8 images but patients of shape (1,)"),
            "resamples": 0,
            "seed": -1,
        },
    ),
    "metrics.conformal_threshold": ({"probs": PROBS, "targets": CLASSES}, {"probs": LOGITS, "coverage": 2}),
    "metrics.prediction_sets": ({"probs": PROBS, "threshold": 0.5}, {"probs": LOGITS, "threshold": NAN}),
    "metrics.scale_temperature": ({"probs": PROBS, "temperature": 1.0}, {"probs": LOGITS, "temperature": 0}),
    "metrics.inception_score": ({"probs": PROBS}, {"probs": LOGITS, "splits": 0}),
    "metrics.modes_covered": ({"points": np.ones((4, 2)), "centers": np.ones((1, 2)), "radius": 1.0}, {"radius": -1}),
    "runs.find_notebook": ({}, {"notebook": Says("99", "unknown lesson '99'")}),
    "runs.check_parameter": (
        {"name": "n", "least": 1},
        {"value": Says(0, "'n' must be a whole number, at least 1; got 0")},
    ),
    "runs.run": (
        {"notebook": "NOTEBOOK", "out": "OUT"},
        {
            "notebook": Says("99", "unknown lesson '99'"),
            "parameters": Says({"sed": 1}, "unknown parameter of 00_one 'sed'"),
            "out": Says("FILE", "holds something else than a run"),
            "timeout": 0,
        },
    ),
    "runs.sweep": (
        {"plan": {"notebook": "NOTEBOOK", "seeds": [0]}, "out": "OUT"},
        {
            "plan": Says({"x": 1}, "unknown name in the plan 'x'"),
            "scheduler": "tcp://host:1",
            "workers": 0,
            "timeout": 0,
            "out": Says("FILE", "could not write"),
        },
    ),
    "runs.grow_record": ({"name": "x"}, {"name": "../x", "workers": 0}),
    "runs.recorded": ({"name": "01-claim"}, {"shape": Says(3, "unknown parameter of 01_shallow_cnn 'shape'")}),
    "runs.read_parameters": ({}, {"path": NONE}),
    "runs.record": ({}, {"score": Says(NAN, "value 'score'")}),
    "runs.table": ({}, {"folder": Says("none", "there are no runs in none")}),
    "reader_study.collect_answers": ({}, {"folder": NONE}),
    "reader_study.read_answers": ({}, {"path": NONE}),
    "reader_study.turing_counts": (
        dict.fromkeys(("real_as_real", "real_as_synth", "synth_as_real", "synth_as_synth"), 3),
        LEVEL | dict.fromkeys(("real_as_real", "real_as_synth", "synth_as_real", "synth_as_synth"), Says(-1, "-1")),
    ),
    "classroom.student_edition": (
        {"notebooks": "LESSONS", "out": "OUT"},
        {"notebooks": NONE, "out": Says("FOLDER", "not an empty folder")},
    ),
    "classroom.nbgrader_course": (
        {"notebooks": "LESSONS", "out": "OUT"},
        {"notebooks": NONE, "out": Says("FOLDER", "not an empty folder")},
    ),
    "classroom.mark": ({"notebooks": "LESSONS", "submissions": "FOLDER"}, {"notebooks": NONE, "submissions": NONE}),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Files and folders, by the names that stand for them above."""
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
        return str(places[name]) + value.removeprefix(name)
    if isinstance(value, dict):
        return {name: there(each, places) for name, each in value.items()}
    return [there(each, places) for each in value] if isinstance(value, list) else value


ROWS = [(name, argument, value) for name, (_, wrong) in TABLE.items() for argument, value in wrong.items()]


@pytest.mark.parametrize(("name", "argument", "value"), ROWS, ids=[f"{name}-{argument}" for name, argument, _ in ROWS])
def test_a_wrong_argument_is_named_with_what_came(name, argument, value, places, monkeypatch):
    monkeypatch.chdir(places["FOLDER"].parent)
    room, _, function = name.partition(".")
    call, given = getattr(importlib.import_module(f"medlab.{room}"), function), TABLE[name][0]
    wrong = value.value if isinstance(value, Says) else value
    with pytest.raises((ValueError, OSError, TypeError)) as raised:
        result = call(**there(given | {argument: wrong}, places))
        with result if hasattr(result, "__exit__") else nullcontext():
            pass
    said = str(raised.value)
    if isinstance(value, Says):
        assert value.words in said
    else:
        assert argument.rstrip("s") in said and str(value) in said
    assert not places["OUT"].exists()
