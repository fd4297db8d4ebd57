"""Sets made from other sets: folds by patient, repeats found, sets joined or oversampled, channels as images."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from medlab.data.images import ImageSet, check_sets, scan_split
from medlab.data.repeats import at_once, fingerprint, of_several
from medlab.errors import whole_number


def folds(data: ImageSet, k: int = 3, *, seed: int = 0) -> list[ImageSet]:
    """Split a set of classes into `k` folds that share no patient, with the classes spread evenly.

    Repeated images are looked for as in `ImageSet.split`.

    Raises:
        ValueError: fewer than two folds, a class with fewer patients than folds, no set of classes.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # here, since it takes a second to import

    targets = data.targets.cpu().numpy()
    if data.info.task != "multi-class":
        raise ValueError(f"{data.info.name}: folds are spread by class, but this is a {data.info.task} set")
    whole_number("seed", seed, 0, 2**32 - 1)
    whole_number("k", k, 2)
    for c, name in enumerate(data.info.classes):
        if (there := len(np.unique(data.patients[targets == c]))) < k:
            raise ValueError(
                f"{data.info.name}: {there} patients with class {name}, so it would be missing in one of {k} folds; "
                "load more patients, or take fewer folds"
            )
    splitter = StratifiedGroupKFold(k, shuffle=True, random_state=seed)
    parts = [data[where] for _, where in splitter.split(targets, targets, data.patients)]
    for number, part in enumerate(parts):
        if empty := [name for name, count in part.counts().items() if count == 0]:
            raise ValueError(
                f"{data.info.name}: no image of class {', '.join(empty)} in fold {number}; take another seed, or fewer "
                "folds"
            )
    return list(scan_split({f"fold {number}": part for number, part in enumerate(parts)}))


def find_repeats(images: ImageSet, *others: ImageSet) -> NDArray[np.bool_]:
    """Mark the images ``(N,)`` that stand in one of `others` too, pixel by pixel.

    Without `others`, mark those that another patient of the set has too. ``val[~find_repeats(val, train)]`` is `val`
    without what `train` holds. Only exact copies are found, not images that were cut, scaled or compressed again.

    Raises:
        TypeError: images that are no set.
    """
    check_sets(images, *others)
    own, *known = (fingerprint(each.batches(at_once(each.images)))[0] for each in (images, *others))
    return np.isin(own, np.concatenate(known)) if known else of_several(own, images.patients)


def join(parts: Sequence[ImageSet]) -> ImageSet:
    """Concatenate sets of the same kind.

    Raises:
        ValueError: no set, sets of different classes or of images of different shape.
    """
    if not parts:
        raise ValueError("nothing to join: give at least one set")
    kinds = {(part.info.task, part.info.classes, part.images.shape[1:], part.images.dtype) for part in parts}
    if len(kinds) > 1:
        raise ValueError(
            f"sets must share task, classes and shape of images to be joined, got {list(map(repr, parts))}"
        )
    whole = copy(parts[0])  # all checked already
    whole.images, whole.targets = (torch.cat([getattr(part, name) for part in parts]) for name in ("images", "targets"))
    whole.patients, whole.published_split = np.concatenate([part.patients for part in parts]), None
    known = all(part.grids is not None for part in parts)
    whole.grids = np.concatenate([part.grids for part in parts]) if known else None
    return whole


def oversample(data: ImageSet, n: int, *, seed: int = 0) -> ImageSet:
    """Repeat a set to exactly `n` images: all of `data` as often as they fit, the rest drawn without replacement.

    Trained for as many epochs and in batches of the same size, sets of different sizes then take the same number of
    gradient steps.

    Raises:
        ValueError: `n` below the number of images.
    """
    check_sets(data)
    if n < len(data):
        raise ValueError(f"{data.info.name}: {len(data)} images cannot be repeated to {n}; n must be at least as many")
    whole_number("seed", seed, 0)
    times, rest = divmod(n, len(data))
    drawn = np.random.default_rng(seed).permutation(len(data))[:rest]
    return data[np.concatenate([np.tile(np.arange(len(data)), times), drawn])]


def channels_as_images(images: ImageSet, names: Sequence[str]) -> ImageSet:
    """Make every channel an image of its own, with the channel as its class; those of an image stay together.

    Args:
        images: a set of images ``(N, C, H, W)``; its targets are dropped.
        names: of the C channels, such as `medlab.phantoms.glioma.SEQUENCES`.

    Returns:
        Images ``(N * C, 1, H, W)``; image ``C * i + c`` is channel c of slice i, and has its patient.

    Raises:
        ValueError: not a name for every channel.
    """
    check_sets(images)
    n, channels = images.images.shape[:2]
    if len(names) != channels:
        raise ValueError(f"{images.info.name} has {channels} channels, but {len(names)} names are given: {names}")
    return ImageSet(
        images.images.flatten(0, 1)[:, None],
        torch.arange(channels).repeat(n),
        np.repeat(images.patients, channels),
        replace(images.info, task="multi-class", classes=tuple(names)),
        *(None if each is None else np.repeat(each, channels) for each in (images.published_split, images.grids)),
    )
