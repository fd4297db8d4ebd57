"""Is a label map shaped like organs? Overlap says little of it: islands, ragged borders, the heart's relative width.

Every function takes label maps ``(N, H, W)``, tensor or array, one image per patient, class 0 the background, and looks
at each organ of each image by itself.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from medlab.metrics.intervals import to_array

EVERYWHERE = np.ones((3, 3), bool)  # a diagonal neighbor belongs to the same piece


def intersection_over_union(masks: object, targets: object, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """IoU ``(N,)`` of every organ: what mask and target share, of what they cover together; NaN where neither has it.

    With the Dice coefficient D it is ``D / (2 - D)``: the smaller of the two, in the same order.
    """
    masks, targets = _maps(masks, classes), _maps(targets, classes)
    if masks.shape != targets.shape:
        raise ValueError(f"masks {masks.shape} do not fit targets {targets.shape}; give label maps of the same shape")
    found = {}
    for k, name in _organs(classes):
        both = ((masks == k) & (targets == k)).sum((1, 2))
        either = ((masks == k) | (targets == k)).sum((1, 2))
        found[name] = np.divide(both, either, out=np.full(len(masks), np.nan), where=either > 0)
    return found


def islands(masks: object, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """How many pieces ``(N,)`` every organ has beside its largest: 0 for an organ of one piece, or of none."""
    masks = _maps(masks, classes)
    counts = {name: [ndimage.label(one == k, EVERYWHERE)[1] for one in masks] for k, name in _organs(classes)}
    return {name: np.maximum(np.array(count) - 1, 0) for name, count in counts.items()}


def keep_largest(masks: object, classes: Sequence[str]) -> np.ndarray:
    """The label maps with the largest piece of every organ only; what was cut off becomes background."""
    masks = _maps(masks, classes)
    kept = np.zeros_like(masks)
    for one, out in zip(masks, kept):
        for k, _ in _organs(classes):
            pieces, count = ndimage.label(one == k, EVERYWHERE)
            if count:
                out[pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()] = k
    return kept


def border_irregularity(masks: object, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """How long the border ``(N,)`` of every organ is for its area: ``L^2 / (4 pi A)``; NaN where there is no organ.

    A disc has 1, every other shape more; a smooth organ has a number of its own, so compare with that of the target.
    The length L is Cauchy's and Crofton's estimate from how often lines in four directions cross the border, within a
    few per cent for smooth shapes. Islands count with their borders.
    """
    masks = _maps(masks, classes)
    found = {}
    for k, name in _organs(classes):
        inside = np.pad(masks == k, ((0, 0), (1, 1), (1, 1)))
        level = (inside[:, 1:] != inside[:, :-1]).sum((1, 2)) + (inside[:, :, 1:] != inside[:, :, :-1]).sum((1, 2))
        slant = (inside[:, 1:, 1:] != inside[:, :-1, :-1]).sum((1, 2))
        slant = slant + (inside[:, 1:, :-1] != inside[:, :-1, 1:]).sum((1, 2))
        length = np.pi / 8 * (level + slant / np.sqrt(2))
        area = inside.sum((1, 2))
        found[name] = np.divide(length**2, 4 * np.pi * area, out=np.full(len(masks), np.nan), where=area > 0)
    return found


def cardiothoracic_ratio(masks: object, lungs: Sequence[int] = (1, 2), heart: int = 3) -> np.ndarray:
    """The heart's width over the chest's ``(N,)``; NaN where heart or lungs are missing. Above 0.5 a heart is large.

    Widths are those of the whole structure, from its first to its last column; the chest's is that of both lungs
    together, which touch the ribs. One pixel of an organ in a wrong place changes it.
    """
    masks = to_array(masks)
    _check(masks)
    heart_width, chest_width = (_width(where) for where in (masks == heart, np.isin(masks, list(lungs))))
    known = (heart_width > 0) & (chest_width > 0)
    return np.divide(heart_width, chest_width, out=np.full(len(masks), np.nan), where=known)


def _width(where: np.ndarray) -> np.ndarray:
    """Columns ``(N,)`` from the first to the last with a pixel; 0 for none."""
    columns = where.any(1)
    return np.where(columns.any(1), columns.shape[1] - columns.argmax(1) - columns[:, ::-1].argmax(1), 0)


def _organs(classes: Sequence[str]) -> list[tuple[int, str]]:
    return list(enumerate(classes))[1:]


def _maps(masks: object, classes: Sequence[str]) -> np.ndarray:
    masks = to_array(masks)
    _check(masks)
    if masks.size and (masks.min() < 0 or masks.max() >= len(classes)):
        raise ValueError(
            f"label maps hold {masks.min()} to {masks.max()}; classes {list(classes)} allow 0 to {len(classes) - 1}"
        )
    return masks


def _check(masks: np.ndarray) -> None:
    if masks.ndim != 3 or masks.dtype.kind not in "iub":
        raise ValueError(
            f"give label maps (N, H, W) of whole numbers, got {masks.shape} of {masks.dtype}; of probabilities take "
            "argmax(1) first"
        )


def sensitivity(masks: object, targets: object) -> np.ndarray:
    """Share of the true voxels of each volume that the mask calls by their class, ``(N,)``: the mean over its classes.

    Args:
        masks, targets: label maps of whole numbers ``(N, D, H, W)`` or ``(N, H, W)``, 0 for the background.

    Returns:
        NaN where a target shows no structure.

    Raises:
        ValueError: shapes that differ.
    """
    masks, targets = to_array(masks), to_array(targets)
    if masks.shape != targets.shape:
        raise ValueError(f"masks {masks.shape} do not fit targets {targets.shape}; give label maps of the same shape")
    return np.array([_found(mask, target) for mask, target in zip(masks, targets)])


def _found(mask: np.ndarray, target: np.ndarray) -> float:
    kinds = np.unique(target[target > 0])
    return float(np.mean([(mask[target == k] == k).mean() for k in kinds])) if len(kinds) else np.nan


def largest_component(masks: object) -> np.ndarray:
    """The label maps ``(N, ...)`` with the largest connected piece of structure only, all classes taken together.

    Voxels are connected through their faces. For an organ of which there is one, everything else is a false alarm.
    """
    from scipy.ndimage import label  # here: it takes a while to import

    kept = to_array(masks).copy()
    for mask in kept:
        pieces, count = label(mask > 0)
        if count > 1:
            sizes = np.bincount(pieces.ravel())
            mask[pieces != 1 + sizes[1:].argmax()] = 0
    return kept
