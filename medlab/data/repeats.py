"""Images that stand twice in a set, pixel by pixel, and patients that stand in several parts of a split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # which needs this module
    from medlab.data.images import ImageSet


def fingerprint(data: ImageSet) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """A hash ``(N,)`` of the pixels of each image, and whether it is blank: of one gray value."""
    hashes, blank = [], []
    for images, _ in data.batches(max(1, min(256, 2**26 // data.images[0].numel()))):  # of at most 256 MiB
        hashes += [hash(image.tobytes()) for image in images.cpu().numpy()]
        flat = images.flatten(1)
        blank += (flat == flat[:, :1]).all(1).tolist()
    return np.array(hashes), np.array(blank)


def of_several(keys: NDArray, owners: NDArray) -> NDArray[np.bool_]:
    """Where ``(N,)`` a key stands that belongs to more than one owner."""
    key, owner = (np.unique(values, return_inverse=True)[1] for values in (keys, owners))
    pairs = np.unique(key * (owner.max() + 1) + owner)  # each once
    return (np.bincount(pairs // (owner.max() + 1)) > 1)[key]


def describe_repeats(
    names: Sequence[str],
    parts: NDArray[np.int64],
    hashes: NDArray[np.int64],
    blank: NDArray[np.bool_],
    patients: NDArray,
) -> tuple[list[str], list[str]]:
    """Say what the parts of a split share: on images that stand twice, and on patients; nothing where there are none.

    Args:
        names: of the parts.
        parts: number ``(N,)`` of the part of each image.
        hashes, blank: as of `fingerprint`.
        patients: ``(N,)`` ids.
    """
    images = []
    for number, name in enumerate(names[1:], start=1):
        own = hashes[parts == number]
        if count := np.isin(own, hashes[parts < number]).sum():
            images.append(f"{count} of {len(own)} {name} images stand in {' or '.join(names[:number])}, too")
    repeated = of_several(hashes, patients)
    if repeated.any():
        images.append(f"{repeated.sum()} of all {len(hashes)} images stand under several patient ids")
    if images:
        count = (repeated & blank).sum()
        images[-1] += ", pixel by pixel" + (f" ({count} of these hold one gray value only)" if count else "")
    shared = len(np.unique(patients[of_several(patients, parts)]))
    return images, [f"{shared} of {len(np.unique(patients))} patients stand in several parts"] if shared else []
