"""A taste of real images that comes with the course, in ``data/samples`` of a checkout: nothing is downloaded."""

from dataclasses import replace

import numpy as np

from medlab.data.images import ImageSet
from medlab.data.registry import SAMPLES, info_of
from medlab.errors import unknown_name_error

MASKS = {"isic2017_masks": "isic2017"}  # sets of masks whose images are those of another set


def load_sample(name: str) -> ImageSet:
    """Load the sample of a set: a few real images, to look at and to try code on; claims are tested on `load`'s sets.

    Which sets have one, and what was left out of each, says ``data/samples/README.md``.

    Returns:
        As `load` gives them: float32 images in [0, 1], targets, patients; ``info.note`` says what of the set it is.

    Raises:
        FileNotFoundError: no checkout of the course is there.
        ValueError: a set without sample.
    """
    if not SAMPLES.is_dir():
        raise FileNotFoundError(
            "the samples lie in data/samples of the course's repository, which an installed medlab does not have: run "
            f'it from a checkout, or use load("{name}")'
        )
    names = sorted([path.stem for path in SAMPLES.glob("*.npz")] + list(MASKS))
    if name not in names:
        raise unknown_name_error("sample", name, names)
    with np.load(SAMPLES / f"{MASKS.get(name, name)}.npz", allow_pickle=False) as file:
        images, patients = file["images"].astype(np.float32) / np.float32(255), file["patients"]
        targets = file["masks" if name in MASKS else "targets"]
        split, total = file["split"] if "split" in file else None, int(file["total"])
    info = info_of(name)
    note = f"A sample of {len(images)} of {total} images, not drawn at random. {info.note}"
    return ImageSet(images, targets, patients, replace(info, name=f"{name} (sample)", note=note), split)
