"""Grids of voxels: slices resampled to square pixels, arrays padded or cropped, and what a crop removes."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform

from medlab.data.nifti import Volume, check_size

TOLERATED = 0.01  # part of the voxels of a class, in one case, that a crop may remove


def check_spacing(spacing: float | None) -> float | None:
    """Return `spacing`, in mm.

    Raises:
        ValueError: it is not positive and finite.
    """
    if spacing is not None and not 0 < spacing < math.inf:  # NaN neither
        raise ValueError(f"spacing must be a positive length in mm, got {spacing}; 1.0 is usual")
    return spacing


def resample_slices(volume: Volume, mask: NDArray[np.int64], pixel: float) -> tuple[Volume, NDArray[np.int64]]:
    """Resample the axial slices of a scan and its labels ``(D, H, W)`` to square pixels of `pixel` mm, around the same
    center: linearly, the labels to the nearest. Slices that have such pixels already are returned as they are.

    Raises:
        ValueError: a volume too large for memory.
    """
    now = volume.spacing[1:]
    if np.allclose(now, pixel, rtol=1e-3):
        return volume, mask
    step = np.array([1, pixel / now[0], pixel / now[1]])  # of the index, from a new voxel to the next
    old = np.array(mask.shape)
    new = np.maximum(np.rint(old / step), 1).astype(int)
    check_size(f"slices of pixels of {pixel:g} mm", tuple(new))
    grid = {"matrix": step, "offset": (old - 1) / 2 - step * (new - 1) / 2, "output_shape": tuple(new)}
    turn = np.diag([*step[::-1], 1])
    turn[:3, 3] = grid["offset"][::-1]
    resampled = replace(
        volume,
        voxels=affine_transform(volume.voxels, **grid, order=1, mode="nearest"),
        spacing=(volume.spacing[0], pixel, pixel),
        affine=volume.affine @ turn,
    )
    return resampled, affine_transform(mask, **grid, order=0, mode="nearest")


def fit_to(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Pad with 0 or crop the last axes to `shape`, around the center."""
    have = array.shape[-len(shape) :]
    cut = [slice(max(h - w, 0) // 2, max(h - w, 0) // 2 + w) for h, w in zip(have, shape)]
    place = [slice(max(w - h, 0) // 2, max(w - h, 0) // 2 + min(h, w)) for h, w in zip(have, shape)]
    fitted = np.zeros((*array.shape[: -len(shape)], *shape), array.dtype)
    fitted[(..., *place)] = array[(..., *cut)]
    return fitted


def removed_labels(
    mask: NDArray[np.int64],
    shape: tuple[int, ...],
    classes: tuple[str, ...],
    case: Path,
    spacing: tuple[float, float, float],
) -> int:
    """Count the labeled voxels of `mask` ``(D, H, W)`` that `fit_to` `shape` removes.

    Args:
        mask, shape: as of `fit_to`.
        classes: their names; the first is the background.
        case, spacing: file and voxel size in mm (D, H, W), for the message.

    Raises:
        ValueError: more than 1 % of the voxels of a class would go.
    """
    had, left = (np.bincount(labels.ravel(), minlength=len(classes)) for labels in (mask, fit_to(mask, shape)))
    gone = {k: had[k] - left[k] for k in range(1, len(classes)) if left[k] < had[k]}
    if any(count > TOLERATED * had[k] for k, count in gone.items()):
        sides, labeled = np.array(mask.shape), np.argwhere(mask)
        needed = np.maximum(sides - 2 * labeled.min(0), 2 * (labeled.max(0) + 1) - sides)[-len(shape) :]
        size = needed.max() if len(shape) == 2 else tuple(np.maximum(needed, shape).tolist())
        larger = math.ceil(round(10 * (needed * spacing[-len(shape) :] / shape).max(), 3)) / 10
        removed = ", ".join(f"{count} of {had[k]} voxels of {classes[k]}" for k, count in gone.items())
        raise ValueError(
            f"{case}: a crop to {' x '.join(map(str, shape))} would remove {removed}; take size={size} or more, or "
            f"larger voxels, spacing={larger} (mm)"
        )
    return int(sum(gone.values()))
