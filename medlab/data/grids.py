"""Grids of voxels: scans resampled, padded or cropped, what a crop removes, and masks brought back to their scan."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.spaces import vox2out_vox
from numpy.typing import NDArray
from scipy.ndimage import affine_transform
from torch import Tensor

from medlab.data.images import ImageSet
from medlab.data.nifti import Grid, Volume, check_size

PERCENTILES = "0 = 0.5th, 1 = 99.5th percentile of the"  # what units begin with where `scale_voxels` had no window
TOLERATED = 0.01  # part of the voxels of a class, in one case, that a crop may remove


def resample_volume(
    volume: Volume, sides: float | Sequence[float], mask: NDArray[np.int64] | None = None
) -> tuple[Volume, Any]:
    """Resample a scan and its labels ``(D, H, W)`` to voxels of `sides` mm (one number, or D, H, W) along the axes of
    the body: linearly, the labels to the nearest.

    Raises:
        ValueError: a volume too large for memory.
    """
    shape, affine = vox2out_vox((volume.voxels.T.shape, volume.affine), np.broadcast_to(sides, 3)[::-1])
    check_size(f"a scan resampled to {sides} mm", shape)
    way = np.linalg.inv(volume.affine) @ affine
    return _resampled(volume, mask, way, shape, affine, cval=volume.voxels.min())


def resample_slices(
    volume: Volume, pixel: float | Sequence[float], mask: NDArray[np.int64] | None = None
) -> tuple[Volume, Any]:
    """Resample the axial slices of a scan and its labels ``(D, H, W)`` to pixels of `pixel` mm (one number, or H, W),
    around the same center: linearly, the labels to the nearest. Slices that have such pixels are returned as they are.

    Raises:
        ValueError: a volume too large for memory.
    """
    now = volume.spacing[1:]
    if np.allclose(now, pixel, rtol=1e-3):
        return volume, mask
    high, wide = np.broadcast_to(pixel, 2).astype(float)
    step = np.array([wide / now[1], high / now[0], 1])
    old = np.array(volume.voxels.T.shape)
    new = np.maximum(np.rint(old / step), 1).astype(int)
    check_size(f"slices of pixels of {pixel} mm", tuple(new))
    way = np.diag([*step, 1])
    way[:3, 3] = (old - 1) / 2 - step * (new - 1) / 2
    return _resampled(volume, mask, way, tuple(new), volume.affine @ way, mode="nearest")


def _resampled(
    volume: Volume, mask: NDArray[np.int64] | None, way: NDArray, shape: tuple[int, ...], affine: NDArray, **outside
) -> tuple[Volume, NDArray[np.int64] | None]:
    """Resample a scan and its labels to the grid ``(shape, affine)``; `outside` says what lies around the scan."""
    voxels = np.ascontiguousarray(_move(volume.voxels, way, shape, 1, **outside).T)
    width, height, depth = map(float, nib.affines.voxel_sizes(affine))
    labels = None if mask is None else np.ascontiguousarray(_move(mask, way, shape, 0, **outside | {"cval": 0}).T)
    return replace(volume, voxels=voxels, spacing=(depth, height, width), affine=affine), labels


def _move(voxels: NDArray, way: NDArray, shape: tuple[int, ...], order: int, **outside) -> NDArray:
    """Voxels ``(D, H, W)`` on another grid, ``(W, H, D)``; `way` leads from ``(w, h, d, 1)`` there to one of them."""
    return affine_transform(voxels.T, way[:3, :3], way[:3, 3], shape, order=order, **outside)


def scale_voxels(
    voxels: NDArray[np.float32], window: tuple[float, float] | None, name: str | Path
) -> NDArray[np.float32]:
    """Scale the voxels of the scan `name` to [0, 1] by a window (low, high), or by its 0.5th and 99.5th percentile.

    Raises:
        ValueError: a constant scan, or one of which nothing lies in the window.
    """
    low, high = np.percentile(voxels, (0.5, 99.5)) if window is None else window
    if window is not None and (voxels.max() <= low or voxels.min() >= high):
        raise ValueError(
            f"{name} has no voxel between {low:g} and {high:g} HU, but {voxels.min():g} to {voxels.max():g}: "
            "take another window, or a file in HU"
        )
    if high <= low:
        raise ValueError(f"{name} is constant, there is nothing to see; leave the case out")
    return np.clip((voxels - low) / (high - low), 0, 1).astype(np.float32)


def image_grids(
    volume: Volume, start: Sequence[float], step: Sequence[float] = (1, 1), slices: Iterable[int] | None = None
) -> list[Grid]:
    """The grids of upright images of a volume: of `slices`, or of the whole for None.

    Args:
        volume: where the images are from.
        start: the place of their first pixel in the upright voxels (both axes of a slice reversed): H, W, after D for
            the whole.
        step: from pixel to pixel, in voxels (H, W).
        slices: the places of slices in the volume.
    """
    _, height, width = volume.voxels.shape
    corners = []
    for d in start[:1] if slices is None else slices:
        corner = np.diag([-step[1], -step[0], 1.0, 1.0])
        corner[:3, 3] = width - 1 - start[-1], height - 1 - start[-2], d
        corners.append(corner)
    return [Grid(volume.affine @ corner, _source(volume)) for corner in corners]


def to_nifti(mask: np.ndarray | Tensor, like: Volume | ImageSet) -> nib.Nifti1Image:
    """Bring a mask back to the grid of the file of its scan: resampling, crop, padding and flips are undone.

    ``nib.save(to_nifti(mask, like=volume), "mask.nii.gz")`` writes it. What a crop cut off is 0.

    Args:
        mask: labels, or the probabilities of one class, on the grid of `like`: ``(D, H, W)`` for a volume or a set of
            one volume, ``(N, H, W)`` for a set of slices, of which some may be missing. Labels are taken from the
            nearest voxel, in the smallest type that holds them; floating-point numbers are interpolated linearly.
        like: the scan that a reader returned, or the images of one scan of a set that `slice_set` or `volume_set`
            made, such as ``test[test.patients == "017"]``.

    Raises:
        ValueError: a mask of another shape or with negative labels; a set that does not know its grids, or of images
            of several scans.
    """
    if isinstance(like, Volume):
        expected, own, source, places = like.voxels.shape, like.affine, _source(like), None
    else:
        own, source, places = _one_scan(like)
        expected = (len(like), *like.images.shape[-2:]) if like.images.ndim == 4 else like.images.shape[-3:]
    mask = np.asarray(mask)
    if [side for side in mask.shape if side > 1] != [side for side in expected if side > 1]:
        raise ValueError(
            f"a mask of shape {mask.shape} does not fit {tuple(expected)}, the images it belongs to; give label maps, "
            "as predict(..., labels=True) returns them"
        )
    mask = mask.reshape(expected)
    fractions = mask.dtype.kind == "f"
    if not fractions and mask.min() < 0:
        raise ValueError(f"mask holds the label {mask.min()}; labels are whole numbers from 0")
    mask = mask.astype(np.float32 if fractions else np.min_scalar_type(int(mask.max())))
    if places is not None:
        stack = np.zeros((places.max() + 1, *mask.shape[1:]), mask.dtype)
        stack[places] = mask
        mask = stack
    way = np.linalg.inv(own) @ source[1]  # from a voxel of the file to one of the mask
    image = nib.Nifti1Image(_move(mask, way, source[0], int(fractions), mode="grid-constant"), source[1])
    image.header.set_xyzt_units("mm")
    return image


def _source(volume: Volume) -> tuple[tuple[int, ...], NDArray[np.float64]]:
    return volume.source or (volume.voxels.shape[::-1], volume.affine)


def _one_scan(data: ImageSet) -> tuple[NDArray, tuple[tuple[int, ...], NDArray], NDArray[np.int64] | None]:
    """The affine and the source of the images of one scan, and the places of slices in it, from 0; None for volumes."""
    name = data.info.name
    if data.grids is None:
        raise ValueError(
            f"{name} does not know where its images lie; slice_set and volume_set keep that, and a Volume knows its own"
        )
    first = data.grids[0]
    steps = [np.linalg.solve(first.affine, grid.affine[:, 3])[:3] for grid in data.grids]  # voxels from the first
    places = np.rint([step[2] for step in steps]).astype(int)
    volumes = data.images.ndim == 5
    if (
        len(np.unique(data.patients)) > 1
        or len(np.unique(places)) < len(data)
        or (volumes and len(data) > 1)
        or any(
            grid.source[0] != first.source[0] or not np.allclose(grid.source[1], first.source[1], atol=0.01)
            for grid in data.grids
        )
    ):
        raise ValueError(
            f"{name}: {len(data)} images of {len(np.unique(data.patients))} patients are not of one scan; select it "
            f"first, such as data[data.patients == {str(data.patients[0])!r}]"
        )
    if volumes:
        return first.affine, first.source, None
    return data.grids[places.argmin()].affine, first.source, places - places.min()


def fit_start(have: Sequence[int], shape: Sequence[int]) -> list[int]:
    """The place in the last axes of an array of shape `have` that `fit_to` `shape` puts first; negative for padding."""
    return [max(h - w, 0) // 2 - max(w - h, 0) // 2 for h, w in zip(have[-len(shape) :], shape)]


def fit_to(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Pad with 0 or crop the last axes to `shape`, around the center."""
    starts = fit_start(array.shape, shape)
    cut: list[Any] = [slice(max(s, 0), max(s, 0) + w) for s, w in zip(starts, shape)]
    kept = array[(..., *cut)]
    place: list[Any] = [slice(max(-s, 0), max(-s, 0) + n) for s, n in zip(starts, kept.shape[-len(shape) :])]
    fitted = np.zeros((*array.shape[: -len(shape)], *shape), array.dtype)
    fitted[(..., *place)] = kept
    return fitted


def removed_labels(
    mask: NDArray[np.int64],
    shape: tuple[int, ...],
    classes: tuple[str, ...],
    case: str | Path,
    spacing: tuple[float, float, float],
) -> int:
    """Count the labeled voxels of `mask` ``(D, H, W)`` that `fit_to` `shape` removes.

    Args:
        mask, shape: as of `fit_to`.
        classes: their names; the first is the background. None are known for ().
        case, spacing: file and voxel size in mm (D, H, W), for the message.

    Raises:
        ValueError: more than 1 % of the voxels of a class would go; a label beyond the classes.
    """
    most = len(classes) or 256
    if mask.max() >= most:
        raise ValueError(f"{case}: its label map holds {mask.max()}, but there are {most} classes at most: {classes}")
    had, left = (np.bincount(labels.ravel(), minlength=most) for labels in (mask, fit_to(mask, shape)))
    gone = {k: had[k] - left[k] for k in range(1, most) if left[k] < had[k]}
    if any(count > TOLERATED * had[k] for k, count in gone.items()):
        sides, labeled = np.array(mask.shape), np.argwhere(mask)
        needed = np.maximum(sides - 2 * labeled.min(0), 2 * (labeled.max(0) + 1) - sides)[-len(shape) :]
        size = needed.max() if len(shape) == 2 else tuple(np.maximum(needed, shape).tolist())
        larger = math.ceil(round(10 * (needed * spacing[-len(shape) :] / shape).max(), 3)) / 10
        removed = ", ".join(
            f"{count} of {had[k]} voxels of {classes[k] if classes else k}" for k, count in gone.items()
        )
        raise ValueError(
            f"{case}: a crop to {' x '.join(map(str, shape))} would remove {removed}; take size={size} or more, or "
            f"larger voxels, spacing={larger} (mm)"
        )
    return int(sum(gone.values()))
