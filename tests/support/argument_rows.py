"""Rows of wrong arguments, of medlab.data; and the values and words that all rows share.

One row a function: the right arguments, and for each argument a wrong value. Names in capitals stand for files and
folders of the test; a key in words of an unknown name is one of ``**kwargs``.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

from medlab import data, models

NAN = float("nan")


class Says(NamedTuple):
    """A wrong value that its message cannot show, or whose argument goes by another name there; and its words."""

    value: Any
    words: str


IMAGES, CLASSES = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2
COLOR = IMAGES.repeat(1, 3, 1, 1)
INFO = data.Info("toy", "CT", "multi-class", ("a", "b"), "CC0", "")
SET = data.ImageSet(IMAGES, CLASSES, list("aabbccdd"), INFO)
ONE_CLASS, UNLABELED = data.ImageSet(IMAGES, 0 * CLASSES, info=INFO), data.ImageSet(IMAGES)
MASKS = (IMAGES[:, 0] > 0.5).numpy().astype(int)
MAPS = data.ImageSet(IMAGES, MASKS)
VOLUMES = data.ImageSet(IMAGES.reshape(2, 1, 4, 16, 16), MASKS.reshape(2, 4, 16, 16))
VOLUME = data.Volume(IMAGES[:, 0].numpy(), (1.0, 1.0, 1.0), np.eye(4))
CENTERS = torch.tensor([[0, 2, 8, 8]])
NETWORK, COLOR_NETWORK = models.SmallCNN(1, 2), models.SmallCNN(3, 2)
CASE = data.Case("ann", "NIFTI", "NIFTI")
PROBS = np.full((8, 2), 0.5)

NO_SET = Says(IMAGES, "takes sets of images, got a Tensor")
NONE = Says("none", "none")  # the path says enough
LOGITS = Says(PROBS * 3, "probs run from 1.5 to 1.5, not 0 to 1")
NO_CLASS = Says(CLASSES + 5, "target 5 is out of range")
NOT_SCALED = Says(IMAGES + 5, "in [0, 1]")
OTHER_SIZE = Says(IMAGES[..., :12], "(1, 16, 12)")
NO_MASKS = Says(PROBS, "masks must be label maps")
NO_FIT = Says(COLOR, "images (8, 3, 16, 16) do not fit the network")
SEED, LEVEL = {"seed": -1}, {"level": 95}
BOUNDS = {"bounds": (1, 0)}
SPACES = {"window": (5, 0), "spacing": 0}
FEW = replace(INFO, classes=("a",))

PATCHES = {
    "centers": Says(CENTERS.float(), "centers must be whole numbers (M, 4)"),
    "view": "axial",
    "width": Says(99, "a single patch 99 wide does not fit"),
}

DATA = {
    "data.Augment": ({}, dict.fromkeys(("shift", "rotate", "scale", "intensity"), -1)),
    "data.AugmentVolumes": ({}, dict.fromkeys(("shift", "rotate", "scale", "intensity", "warp"), -1)),
    "data.ImageSet": (
        {"images": IMAGES, "targets": CLASSES},
        {
            "images": Says(IMAGES + 5, "images must lie in [0, 1]"),
            "targets": Says(CLASSES[:3], "targets must have shape (8,)"),
            "patients": Says(["a"], "8 images but patients of shape (1,)"),
            "info": Says("toy", "info must be an Info, got str"),
            "published_split": Says(["tset"] * 8, "`published_split` must hold one of"),
            "grids": Says([1], "8 images but 1 grids"),
            "classes": "ab",
            "hospital": Says("toy", "unexpected keyword argument 'hospital'"),
        },
    ),
    "data.augment_lesions": (
        {"lesions": SET, "amount": 4, "diameter": 0.5},
        SEED
        | {
            "lesions": Says(ONE_CLASS, "no lesion of class b"),
            "amount": Says(-1, "-1 copies; balanced over the classes there are 0 to"),
            "diameter": 0,
        },
    ),
    "data.extract_patches": (
        {"volumes": VOLUMES.images, "centers": CENTERS, "view": "single", "width": 3},
        PATCHES | {"volumes": Says(IMAGES, "volumes must be (N, 1, D, H, W)")},
    ),
    "data.patch_set": (
        {"data": VOLUMES, "centers": CENTERS, "view": "single", "width": 3},
        PATCHES | {"data": Says(SET, "volumes must be (N, 1, D, H, W)")},
    ),
    "data.find_repeats": (
        {"images": SET},
        {"images": NO_SET, "others": Says([IMAGES], "takes sets of images, got a Tensor")},
    ),
    "data.region_mask": (
        {"targets": VOLUMES.targets},
        {"targets": Says(0 * VOLUMES.targets, "label maps show no structure"), "margin": -1},
    ),
    "data.sample_centers": (
        {"data": VOLUMES, "per_class": 2},
        SEED
        | {
            "data": Says(SET, "label maps of volumes (N, D, H, W) are needed"),
            "per_class": 0,
            "hard": 2,
            "near": 0,
            "region": Says(torch.ones(3, 3, 3), "region (3, 3, 3) does not fit the volumes"),
        },
    ),
    "data.to_nifti": (
        {"mask": MASKS, "like": VOLUME},
        {
            "mask": Says(MASKS[:, :3], "mask of shape (8, 3, 16) does not fit"),
            "like": Says(MAPS, "does not know where its images lie"),
        },
    ),
    "data.load": (
        {"name": "lung"},
        {
            "name": Says("lnug", "unknown set 'lnug'. Did you mean 'lung'?"),
            "split": "tset",
            "size": 7,
            "patients": 0,
            "n": 0,
            "seed": -1,
        },
    ),
    "data.load_sample": ({}, {"name": Says("lnug", "unknown sample 'lnug'")}),
    "data.read_volume": (
        {"name": "lung_ct", "case": 0},
        {"name": Says("lnug", "unknown set of volumes 'lnug'"), "case": Says("none", "lung_ct")},
    ),
    "data.load_class_folders": (
        {"folder": "FOLDER", "size": 16},
        {"folder": NONE, "size": 0, "window": (5, 0), "pattern": "(.+"},
    ),
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
            "hospital": Says("toy", "unexpected keyword argument 'hospital'"),
            "targets": Says([0, 1], "targets must have shape (1,) to match images (1, 1, 16, 16), got (2,)"),
        },
    ),
    "data.load_nifti": ({}, {"path": NONE}),
    "data.load_nifti_labels": ({}, {"path": NONE}),
    "data.load_nifti_pair": ({"image": "NIFTI", "mask": "NIFTI"}, {"image": NONE, "mask": NONE}),
    "data.load_png_folder": (
        {"images": "FOLDER", "masks": "FOLDER"},
        {"images": NONE, "masks": NONE, "info": Says(INFO, "toy: multi-class targets must have shape")},
    ),
    "data.folds": ({"data": SET, "k": 2}, SEED | {"data": Says(UNLABELED, "this is a unlabeled set"), "k": 1}),
    "data.join": ({}, {"parts": Says([], "nothing to join")}),
    "data.oversample": ({"data": SET, "n": 9}, SEED | {"data": NO_SET, "n": 0}),
    "data.channels_as_images": ({"images": SET, "names": ["a"]}, {"images": NO_SET, "names": ["a", "b"]}),
    "data.simulate_phone_photo": (
        {"images": IMAGES, "strength": 1},
        {"images": Says(IMAGES[0], "images must be (N, C, H, W)"), "strength": -1} | SEED,
    ),
    "data.slice_set": (
        {"cases": [CASE], "info": INFO, "size": 16},
        SPACES
        | {
            "size": Says(0, "size must be a whole number of at least 1, got 0"),
            "info": Says(FEW, "there are 1 classes at most: ('a',)"),
            "cases": Says([], "toy: no case given"),
        },
    ),
    "data.volume_set": (
        {"cases": [CASE], "info": INFO, "size": (16, 16, 16)},
        SPACES
        | {
            "size": Says((0, 16, 16), "size must be a whole number of at least 1, got 0"),
            "info": Says(FEW, "there are 1 classes at most: ('a',)"),
            "cases": Says([], "no case given"),
        },
    ),
    "data.raise_limits": (
        {},
        {"side": Says(3, "unknown limit 'side'. Did you mean 'picture_side'?"), "picture_side": 0},
    ),
}
