"""Shape metrics of label maps: connected components, border irregularity, cardiothoracic ratio.

Overlap metrics such as Dice say little of the shape. Label maps are whole numbers, tensor or array, class 0 the
background, one image per patient.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from medlab.metrics.segmentation import check_label_maps


def extra_components(masks: ArrayLike, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """Number ``(N,)`` of connected components of every class beside the largest; corners connect, too.

    Args:
        masks: label maps ``(N, H, W)`` or ``(N, D, H, W)``.
        classes: K names, the background first.

    Returns:
        By foreground class; 0 for one component, or none.

    Raises:
        ValueError: not label maps of these classes.
    """
    from scipy.ndimage import label

    masks = check_label_maps(masks, classes=classes)
    corners = np.ones((3,) * (masks.ndim - 1))  # they connect too
    count = {name: np.array([label(mask == k, corners)[1] for mask in masks]) for k, name in enumerate(classes[1:], 1)}
    return {name: np.maximum(components - 1, 0) for name, components in count.items()}


def keep_largest_component(masks: ArrayLike, independent: bool = True, connectivity: int | None = None) -> np.ndarray:
    """Keep only the largest connected component of label maps; the rest becomes background.

    MONAI's `KeepLargestConnectedComponent`, image by image.

    Args:
        masks: label maps ``(N, H, W)`` or ``(N, D, H, W)``; they are not changed.
        independent: keep the largest component of each class; False: of the foreground, all classes taken together.
        connectivity: how many steps along the axes lead to a neighbor: 1 connects pixels through their edges, and
            voxels through their faces only; None through corners too.

    Raises:
        ValueError: not label maps.
    """
    from monai.transforms import KeepLargestConnectedComponent  # here: it takes seconds to import

    kept = check_label_maps(masks).copy()
    keep = KeepLargestConnectedComponent(is_onehot=False, independent=independent, connectivity=connectivity)
    for mask in kept:
        mask[...] = keep(mask[None].copy())[0]
    return kept


def border_irregularity(masks: ArrayLike, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """Border irregularity ``(N,)`` of every class, ``L^2 / (4 pi A)`` for perimeter L and area A.

    The inverse of the isoperimetric quotient: 1 for a disc, more for every other shape. A smooth organ has a number of
    its own, so compare with that of the target. L is the Crofton perimeter in four directions, within a few percent for
    smooth shapes, and that of all components together.

    Args:
        masks: label maps ``(N, H, W)``.
        classes: K names, the background first.

    Returns:
        By foreground class; NaN where the class is missing.

    Raises:
        ValueError: not label maps of these classes.
    """
    from skimage.measure import perimeter_crofton

    masks = check_label_maps(masks, classes=classes, axes=(3,))
    irregularity = {}
    for k, name in enumerate(classes[1:], 1):
        perimeter = np.array([perimeter_crofton(mask == k, directions=4) for mask in masks])
        area = (masks == k).sum((1, 2))
        irregularity[name] = np.divide(perimeter**2, 4 * np.pi * area, out=np.full(len(masks), np.nan), where=area > 0)
    return irregularity


def cardiothoracic_ratio(masks: ArrayLike, lungs: Sequence[int] = (1, 2), heart: int = 3) -> np.ndarray:
    """Cardiothoracic ratio ``(N,)``: the width of the heart over that of the chest; above 0.5 the heart is enlarged.

    Widths are those of the whole structure, from its first to its last column; the chest's is that of both lungs
    together, which touch the ribs. One pixel of an organ in a wrong place changes it.

    Args:
        masks: label maps ``(N, H, W)``.
        lungs, heart: their classes.

    Returns:
        NaN where heart or lungs are missing.

    Raises:
        ValueError: not label maps, or one class for heart and lungs.
    """
    masks = check_label_maps(masks, axes=(3,))
    if heart in lungs:
        raise ValueError(f"lungs {lungs} and heart {heart} must be different classes")
    heart_width, chest_width = (_width(mask) for mask in (masks == heart, np.isin(masks, list(lungs))))
    known = (heart_width > 0) & (chest_width > 0)
    return np.divide(heart_width, chest_width, out=np.full(len(masks), np.nan), where=known)


def _width(mask: np.ndarray) -> np.ndarray:
    """Columns ``(N,)`` from the first to the last with a pixel; 0 for none."""
    columns = np.any(mask, 1)
    return np.where(np.any(columns, 1), columns.shape[1] - columns.argmax(1) - columns[:, ::-1].argmax(1), 0)
