"""Rows of wrong arguments, of medlab.visualize, runs, reader_study and classroom; see `argument_rows`."""

from pathlib import Path

import numpy as np
import torch
from argument_rows import (
    CLASSES,
    COLOR,
    IMAGES,
    LEVEL,
    MAPS,
    MASKS,
    NAN,
    NETWORK,
    NO_FIT,
    NONE,
    NOT_SCALED,
    OTHER_SIZE,
    PROBS,
    SEED,
    SET,
    UNLABELED,
    Says,
)
from argument_rows_metrics import CLAIM

from medlab import metrics, models, train, visualize

AX = {"ax": Says(list(visualize.subplots(1, 3, alt="three")[1]), "got 3 axes")}
[OUTCOME] = metrics.judge([CLAIM], {"dice": {"a": [1, 2, 3], "b": [1, 1, 1]}})
HISTORY = train.History()
HISTORY.train_loss.append(1.0)
GAN_HISTORY = train.History()
GAN_HISTORY.train_loss.append(1.0)
GAN_HISTORY.metrics |= {"accuracy": [0.5], "generator_loss": [1.0]}
AGREEMENT = metrics.limits_of_agreement([1, 2, 3, 5], [1, 2, 3, 4])
FEW_LABELS = Says(["a"], "8 images but 1 labels")
NO_ROWS = Says({}, "give at least one")
WIDE = Says(torch.rand(2, 2), "(2, 2)")
TRUTH = [True, False, True, False]

VISUALIZE = {
    "visualize.Figure": (
        {"alt": "a dot"},
        {
            "alt": "",
            "figsize": Says((-1, 1), "figure size must be positive finite not (-1, 1)"),
            "dpi": Says(5, "'dpi'"),
        },
    ),
    "visualize.subplots": (
        {"alt": "a dot"},
        {
            "rows": 0,
            "cols": 0,
            "alt": "",
            "size": Says((-1, 1), "figure size must be positive finite not (-1, 1)"),
            "shraex": Says(1, "shraex"),
        },
    ),
    "visualize.bars": ({"values": {"a": 1}, "xlabel": "mm"}, AX | {"values": NO_ROWS}),
    "visualize.grouped_bars": (
        {"values": {"a": {"b": 1}}, "ylabel": "mm"},
        AX | {"values": Says({"a": {"b": 1}, "c": {}}, "give every series a value for the same categories")},
    ),
    "visualize.compare": (
        {"values": {"a": [1, 2, 3]}, "ylabel": "mm"},
        AX | {"values": Says({"a": [1, NAN]}, "1 of 2 scores are NaN"), "within": (1, 0)},
    ),
    "visualize.bland_altman": ({"agreements": {"a": AGREEMENT}, "quantity": "mm"}, AX | {"agreements": NO_ROWS}),
    "visualize.browse": (
        {"draw": lambda n: visualize.bars({"a": n}, "mm"), "n": (1, 3, 1, 2)},
        {"n": Says((1, 3, 1, 9), "slider 'n' runs from 1 to 3 by 1 and cannot start at 9")},
    ),
    "visualize.cam_overlay": (
        {"images": IMAGES, "heat": IMAGES[:, 0]},
        {
            "images": Says(IMAGES[:3], "3 images do not fit heat (8, 16, 16)"),
            "heat": Says(IMAGES[:3, 0], "8 images do not fit heat (3, 16, 16)"),
            "labels": Says(["a"], "1 labels"),
        },
    ),
    "visualize.class_activation_map": (
        {"model": NETWORK, "layer": NETWORK.features, "images": IMAGES},
        {
            "model": Says(models.SmallCNN(1, 2), "is not a module of this SmallCNN"),
            "layer": Says(torch.nn.ReLU(), "ReLU is not a module of this SmallCNN"),
            "images": NO_FIT,
            "classes": Says([0], "8 images but 1 classes"),
        },
    ),
    "visualize.class_grid": ({"imageset": SET}, SEED | {"imageset": Says(MAPS, "segmentation set"), "per_class": 0}),
    "visualize.confusion_matrix": (
        {"matrix": np.eye(2), "classes": ["a", "b"]},
        AX | {"matrix": Says(np.eye(3), "got (3, 3)"), "classes": Says(["a"], "(1, 1) for 1 classes")},
    ),
    "visualize.error_gallery": (
        {"imageset": SET, "probs": PROBS},
        {"imageset": Says(MAPS, "give a multi-class set"), "probs": Says(PROBS[:3], "got (3, 2)"), "n": 0},
    ),
    "visualize.error_map": (
        {"image": IMAGES[0], "masks": {"a": MASKS[0]}, "target": MASKS[0], "classes": ["a", "b"]},
        {
            "image": Says(IMAGES[0, :, :3], "image, target and 1 masks must share one height and width"),
            "masks": Says({}, "0 masks"),
            "target": Says(MASKS[0, :3], "must share one height and width"),
            "classes": ["a"],
        },
    ),
    "visualize.filters": ({}, {"conv_weight": Says(MASKS, "(out, in, kh, kw), got (8, 16, 16)")}),
    "visualize.forest_plot": (
        {"outcomes": [OUTCOME]},
        AX | {"outcomes": Says([], "no outcome to draw"), "live": Says({"c": 1}, "no claim 'c'")},
    ),
    "visualize.gan_curves": (
        {"history": GAN_HISTORY},
        AX | {"history": Says(HISTORY, "history of at least one epoch of fit_gan")},
    ),
    "visualize.learning_curves": (
        {"history": HISTORY},
        AX | {"history": Says(train.History(), "the history is empty")},
    ),
    "visualize.image_grid": (
        {"images": IMAGES, "labels": CLASSES},
        {
            "images": Says(IMAGES[0, 0], "an image must be (H, W)"),
            "labels": FEW_LABELS,
            "classes": Says(["a"], "label must be at most 0, got 1"),
            "ncols": Says(0, "8 images in 0 columns"),
        },
    ),
    "visualize.intensity_histogram": (
        {"imageset": SET},
        {"imageset": Says(UNLABELED, "is a unlabeled set"), "per_class": 0},
    ),
    "visualize.live_grid": ({}, {"n": 0}),
    "visualize.nearest_pairs": (
        {"samples": IMAGES, "training": IMAGES},
        {"samples": NOT_SCALED, "training": OTHER_SIZE, "n": 0},
    ),
    "visualize.orthoviews": (
        {"volume": IMAGES[:, 0]},
        {
            "volume": Says(IMAGES, "a volume must be (D, H, W)"),
            "index": Says((99, 0, 0), "index (99, 0, 0) lies outside"),
            "spacing": Says((1, 1), "spacing must be three lengths in mm"),
            "masks": Says({"a": MASKS[0]}, "mask 'a' is (16, 16)"),
        },
    ),
    "visualize.slice_widget": (
        {"volume": IMAGES[:, 0]},
        {
            "volume": Says(IMAGES, "a volume must be (D, H, W)"),
            "spacing": Says((1, 1), "spacing must be three lengths in mm"),
            "masks": Says({"a": MASKS[0]}, "mask 'a' is (16, 16)"),
        },
    ),
    "visualize.reliability_diagram": (
        {"calibration": metrics.calibration(PROBS, CLASSES)},
        AX | {"calibration": Says(PROBS, "give what medlab.metrics.calibration returns, got a ndarray")},
    ),
    "visualize.ring_scatter": (
        {"samples": {"a": np.ones((4, 2))}, "data": np.ones((4, 2)), "centers": np.ones((1, 2)), "radius": 1.0},
        {
            "samples": Says({}, "give the points of at least one"),
            "data": Says(np.ones((4, 3)), "data must be points (N, 2), got (4, 3)"),
            "centers": Says([1, 2], "centers (2,)"),
            "radius": -1,
            "least": Says(2, "min_share must lie between 0 and 1, got 2"),
        },
    ),
    "visualize.roc_curves": (
        {"probs": PROBS, "targets": CLASSES, "classes": ["a", "b"]},
        AX
        | {
            "probs": Says(PROBS[:3], "probs (3, 2), 8 targets"),
            "targets": Says(CLASSES[:3], "3 targets"),
            "classes": Says(["a"], "1 classes"),
        },
    ),
    "visualize.sample_grid": (
        {"samples": {"a": IMAGES}},
        {"samples": Says({"a": IMAGES[:3]}, "'a' holds 3 images"), "n": 0},
    ),
    "visualize.sample_size_curves": (
        {"scores": {"dice": {"a": {1: [0.5]}}}, "xlabel": "patients"},
        AX | {"scores": NO_ROWS},
    ),
    "visualize.segmentation_grid": (
        {"images": IMAGES, "masks": {"a": MASKS}, "classes": ["a", "b"]},
        {
            "images": Says(IMAGES[:3], "there are 3 images"),
            "masks": Says({"a": MASKS[:3]}, "masks['a'] is (3, 16, 16)"),
            "classes": ["a"],
            "n": 0,
        },
    ),
    "visualize.window_level": (
        {"hu_image": IMAGES[0, 0], "level": 0, "width": 1},
        {"hu_image": Says(IMAGES, "give one slice (H, W), a level"), "level": NAN, "width": 0},
    ),
}

RUNS = {
    "runs.check_parameters": (
        {"path": "NOTEBOOK", "given": {}},
        {"path": NONE, "given": Says({"sed": 1}, "unknown parameter of 00_one 'sed'")},
    ),
    "runs.publish": (
        {"name": "a", "network": NETWORK, "images": SET, "figures": {}},
        {
            "name": "../x",
            "figures": Says({"a": NAN}, "figures['a'] is nan"),
            "note": Says(NAN, "facts['note'] is nan"),
        },
    ),
    "runs.read_run": ({}, {"folder": NONE}),
    "runs.spread_seed": ({}, SEED),
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
    "runs.recorded": (
        {"name": "01-claim"},
        {"shape": Says(3, "unknown parameter of 01_shallow_cnn 'shape'")},
    ),
    "runs.read_parameters": ({}, {"path": NONE}),
    "runs.record": ({}, {"score": Says(NAN, "value 'score'")}),
    "runs.table": ({}, {"folder": Says("none", "there are no runs in none")}),
}

READER_STUDY = {
    "reader_study.RemoteClinic": (
        {"images": IMAGES[:4], "truth": TRUTH},
        SEED
        | {
            "images": Says(IMAGES[:2], "for each of at least 4 images"),
            "truth": Says([1, 0, 1, 0], "give True or False"),
            "wrong": 2,
            "names": ["no"],
        },
    ),
    "reader_study.TuringTest": (
        {"real": IMAGES[:4], "synthetic": IMAGES[4:], "file": "OUT"},
        SEED
        | {
            "real": Says(IMAGES[:4] + 5, "real images lie in"),
            "synthetic": Says(IMAGES[4:, :, :12], "synthetic ones (1, 12, 16)"),
            "file": Says("FILE", "a.txt is not an answer file"),
            "rater": " ",
        },
    ),
    "reader_study.advice_plot": ({}, {"reports": Says({}, "give every series a value")}),
    "reader_study.turing_plot": ({}, {"reports": NO_ROWS}),
    "reader_study.advice_report": (
        {"truth": TRUTH, "decisions": TRUTH, "advice": [0, 1, -1, -1]},
        LEVEL
        | {
            "truth": Says([1, 0, 1, 0], "truth and decisions are True or False"),
            "decisions": Says([True], "got ((4,), (1,), (4,))"),
            "advice": Says([5] * 4, "advice is 1, 0, or -1 for none"),
        },
    ),
    "reader_study.machine_rater": (
        {"real": IMAGES, "synthetic": IMAGES},
        SEED | {"real": Says(COLOR, "real are (3, 16, 16)"), "synthetic": OTHER_SIZE, "epochs": 0},
    ),
    "reader_study.rater_agreement": ({}, {"answers": Says({"ann": TRUTH}, "agreement needs two raters or more")}),
    "reader_study.report_answers": ({}, {"answers": Says([], "no answer yet")}),
    "reader_study.simulated_reader": ({"skill": 0.5, "trust": 0.5}, SEED | {"skill": 2, "trust": 2}),
    "reader_study.turing_test": (
        {"synthetic": TRUTH, "answers": TRUTH},
        LEVEL
        | {
            "synthetic": Says([2] * 4, "`synthetic` must be a flat list of True"),
            "answers": Says([True], "4 images but 1 answers"),
            "seconds": Says([1], "one response time of at least 0 s per image, got shape (1,)"),
        },
    ),
    "reader_study.collect_answers": ({}, {"folder": NONE}),
    "reader_study.read_answers": ({}, {"path": NONE}),
    "reader_study.turing_counts": (
        dict.fromkeys(("real_as_real", "real_as_synth", "synth_as_real", "synth_as_synth"), 3),
        LEVEL | dict.fromkeys(("real_as_real", "real_as_synth", "synth_as_real", "synth_as_synth"), Says(-1, "-1")),
    ),
}

CLASSROOM = {
    "classroom.update_lessons": (
        {"notebooks": "LESSONS", "folder": "OUT"},
        {"notebooks": Says(Path("none"), "none"), "folder": Says("FILE", "a.txt")},
    ),
    "classroom.student_edition": (
        {"notebooks": "LESSONS", "out": "OUT"},
        {"notebooks": NONE, "out": Says("FOLDER", "not an empty folder")},
    ),
    "classroom.nbgrader_course": (
        {"notebooks": "LESSONS", "out": "OUT"},
        {"notebooks": NONE, "out": Says("FOLDER", "not an empty folder")},
    ),
    "classroom.mark": (
        {"notebooks": "LESSONS", "submissions": "FOLDER"},
        {"notebooks": NONE, "submissions": NONE, "seconds": 0},
    ),
}
