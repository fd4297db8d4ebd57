"""Rows of wrong arguments, of medlab.metrics; see `argument_rows`."""

import numpy as np
import torch
from argument_rows import (
    BOUNDS,
    CLASSES,
    COLOR_NETWORK,
    IMAGES,
    LEVEL,
    LOGITS,
    MASKS,
    NAN,
    NETWORK,
    NO_CLASS,
    NO_FIT,
    NO_MASKS,
    NOT_SCALED,
    OTHER_SIZE,
    PROBS,
    SEED,
    Says,
)

from medlab import metrics

CLAIM = metrics.Claim("a beats b", "a", "b", "dice", 0.1, "none", 3, "toys", primary=True)
FOREGROUND = {"masks": NO_MASKS, "classes": ["a"]}

METRICS = {
    "metrics.Claim": (
        dict.fromkeys(("name", "better", "baseline", "metric", "reason", "images"), "a")
        | {"margin": 1, "seeds": 5, "floor": 0, "ceiling": 1},
        {
            "margin": 0,
            "seeds": 2,
            "floor": Says(2, "floor 2 must lie below ceiling 1"),
            "ceiling": Says(-1, "floor 0 must lie below ceiling -1"),
        },
    ),
    "metrics.bootstrap_ci": (
        {"metric": np.mean, "arrays": [PROBS]},
        BOUNDS
        | LEVEL
        | SEED
        | {
            "arrays": Says([], "give at least one array"),
            "groups": Says([1], "patients of shape (1,)"),
            "resamples": 0,
        },
    ),
    "metrics.border_irregularity": ({"masks": MASKS, "classes": ["a", "b"]}, FOREGROUND),
    "metrics.extra_components": ({"masks": MASKS, "classes": ["a", "b"]}, FOREGROUND),
    "metrics.intersection_over_union": (
        {"masks": MASKS, "targets": MASKS, "classes": ["a", "b"]},
        FOREGROUND | {"targets": Says(MASKS[:3], "do not fit targets (3, 16, 16)")},
    ),
    "metrics.cardiothoracic_ratio": ({"masks": MASKS}, {"masks": NO_MASKS, "lungs": (2, 3), "heart": 1}),
    "metrics.class_shares": (
        {"predicted": [0, 1], "targets": [0, 1], "classes": 2},
        {
            "predicted": Says([5], "predicted must be at least one class number from 0 to 1"),
            "targets": Says([5], "targets must be at least one class number from 0 to 1"),
            "classes": Says(1, "class number from 0 to 0"),
            "min_ratio": 2,
        },
    ),
    "metrics.diversity": ({"images": IMAGES, "pairs": 3}, SEED | {"images": NOT_SCALED, "pairs": 0}),
    "metrics.features_of": (
        {"network": NETWORK, "images": IMAGES},
        {"network": Says(torch.nn.Conv2d(1, 2, 3), "no linear layer"), "images": NO_FIT, "batch_size": 0},
    ),
    "metrics.fid": (
        {"real": IMAGES, "fake": IMAGES, "network": NETWORK},
        {"real": NOT_SCALED, "fake": OTHER_SIZE, "network": Says(COLOR_NETWORK, "do not fit the network")},
    ),
    "metrics.kid": (
        {"real": IMAGES, "fake": IMAGES, "network": NETWORK},
        SEED | {"real": NOT_SCALED, "fake": OTHER_SIZE, "network": Says(COLOR_NETWORK, "do not fit the network")},
    ),
    "metrics.fit_temperature": ({"probs": PROBS, "targets": CLASSES}, {"probs": LOGITS, "targets": NO_CLASS}),
    "metrics.interval_floor": (
        {"differences": np.eye(4)},
        LEVEL | {"differences": Says([1, 2, 3], "by seed and patient, at least 3 x 3, got shape (3,)")},
    ),
    "metrics.judge": (
        {"claims": [CLAIM], "scores": {"dice": {"a": [1, 2, 3], "b": [1, 1, 1]}}},
        LEVEL
        | {"claims": Says([CLAIM, CLAIM], "one claim is primary, not 2"), "scores": Says({"iou": {}}, "no scores of")},
    ),
    "metrics.keep_largest_component": (
        {"masks": MASKS},
        {"masks": NO_MASKS, "connectivity": Says(9, "Connectivity for 2D image should be in [1, ..., 2]. Got 9")},
    ),
    "metrics.limits_of_agreement": (
        {"measured": [1, 2, 3, 5], "reference": [1, 2, 3, 4]},
        LEVEL | {"measured": Says([1], "got (1,) and (4,)"), "reference": Says([NAN] * 4, "0 patients with both")},
    ),
    "metrics.mcnemar": (
        {"first": CLASSES > 0, "second": CLASSES > 0},
        {"first": Says([1, 0], "True or False per image in both, got int64 (2,)"), "second": Says([1], "and int64 (1")},
    ),
    "metrics.membership_auc": (
        {"generated": IMAGES, "members": IMAGES, "others": IMAGES},
        SEED
        | {
            "generated": OTHER_SIZE,
            "members": NOT_SCALED,
            "others": NOT_SCALED,
            "patients": Says([1], "patients of shape (1,)"),
        },
    ),
    "metrics.nearest": ({"images": IMAGES, "references": IMAGES}, {"images": NOT_SCALED, "references": OTHER_SIZE}),
    "metrics.psnr_ssim": (
        {"fake": IMAGES, "real": IMAGES},
        SEED
        | {
            "fake": NOT_SCALED,
            "real": OTHER_SIZE,
            "pairing": "nearby",
            "mask": Says(np.zeros((16, 16)), "mask (16, 16) holds 0 pixels"),
            "max_pairs": 0,
        },
    ),
    "metrics.risk_coverage": (
        {"confidence": [0.5, 1.0], "correct": [True, False]},
        {"confidence": Says([NAN, 1], "1 confidences are NaN"), "correct": Says([True], "got (2,) and (1,)")},
    ),
    "metrics.segmentation_report": (
        {"masks": MASKS, "targets": MASKS},
        LEVEL
        | SEED
        | {
            "masks": NO_MASKS,
            "targets": Says(0 * MASKS, "targets show background only"),
            "patients": Says([1], "patients of shape (1,)"),
            "classes": ["a"],
            "spacing": 0,
            "resamples": 0,
        },
    ),
    "metrics.sensitivity": (
        {"masks": MASKS, "targets": MASKS},
        {"masks": NO_MASKS, "targets": Says(MASKS[:3], "do not fit targets (3, 16, 16)")},
    ),
    "metrics.sensitivity_specificity": ({}, {"confusion": Says([[1, 2]], "confusion matrix is square, (K, K), got")}),
    "metrics.verdict": ({"difference": metrics.Interval(1, 0, 2)}, {"difference": 0.5, "margin": -1}),
    "metrics.mean_interval": ({"values": [1, 2, 3]}, LEVEL | BOUNDS | {"values": Says([], "one score per seed")}),
    "metrics.paired_difference": (
        {"a": [1, 2, 3], "b": [1, 2, 3]},
        LEVEL
        | BOUNDS
        | {"a": Says([1], "a has shape (1,) and b (3,)"), "b": Says([1, NAN, 2], "1 of 3 scores are NaN")},
    ),
    "metrics.success_rate": ({"successes": 1, "trials": 2}, LEVEL | {"successes": 3, "trials": 0}),
    "metrics.seeds_needed": (
        {"differences": [0.1, 0.2, 0.3], "margin": 0.1},
        LEVEL | {"differences": Says([1], "at least 3 seeds, without NaN, got [1.]"), "margin": 0, "power": 2},
    ),
    "metrics.smallest_detectable": (
        {"differences": [0.1, 0.2, 0.3]},
        LEVEL | {"differences": Says([1], "at least 3 seeds"), "seeds": 2, "power": 2},
    ),
    "metrics.calibration": (
        {"probs": PROBS, "targets": CLASSES},
        {"probs": LOGITS, "targets": NO_CLASS, "bins": 0},
    ),
    "metrics.classification_report": (
        {"probs": PROBS, "targets": CLASSES},
        LEVEL
        | {
            "probs": LOGITS,
            "targets": NO_CLASS,
            "classes": ["a"],
            "specificity": 2,
            "patients": Says([1], "8 images but patients of shape (1,)"),
            "resamples": 0,
            "seed": -1,
        },
    ),
    "metrics.conformal_threshold": (
        {"probs": PROBS, "targets": CLASSES},
        {"probs": LOGITS, "targets": NO_CLASS, "coverage": 2},
    ),
    "metrics.prediction_sets": ({"probs": PROBS, "threshold": 0.5}, {"probs": LOGITS, "threshold": NAN}),
    "metrics.scale_temperature": ({"probs": PROBS, "temperature": 1.0}, {"probs": LOGITS, "temperature": 0}),
    "metrics.inception_score": ({"probs": PROBS}, {"probs": LOGITS, "splits": 0}),
    "metrics.modes_covered": (
        {"points": np.ones((4, 2)), "centers": np.ones((1, 2)), "radius": 1.0},
        {
            "points": Says(np.ones((4, 3)), "points (4, 3)"),
            "centers": Says([1, 2], "centers (2,)"),
            "radius": -1,
            "min_share": 2,
        },
    ),
}
