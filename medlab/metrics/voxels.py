"""Label maps of volumes, voxel by voxel: how much of a structure was found, and islands that cannot belong to it."""

import numpy as np

from medlab.metrics.intervals import to_array


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
