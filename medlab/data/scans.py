"""Sets of axial slices of scans in NIfTI files, in one window and at one pixel size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from medlab.data.grids import image_grids
from medlab.data.images import Info
from medlab.data.listing import Listing
from medlab.data.nifti import Grid, Volume, check_size, load_nifti, load_nifti_pair, read_grid

LEAST = 0.1  # share of a slice
Voxels = NDArray[np.float32]


@dataclass(frozen=True)
class Scan:
    """Files of one scan on one grid: a patient, an image per channel, and a label map or None."""

    patient: str
    images: tuple[Path, ...]
    labels: Path | None = None


def in_window(voxels: Voxels, low: float, high: float) -> Voxels:
    """Scale voxels so that `low` (HU, SUV) becomes 0 and `high` 1; what lies outside is cut."""
    return np.clip((voxels - low) / (high - low), 0, 1, dtype=np.float32)


def up_to_percentile(voxels: Voxels, percent: float = 99.5) -> Voxels:
    """Scale voxels so that 0 stays 0, and the given percentile of the positive ones becomes 1; the rest is cut."""
    inside = voxels[voxels > 0]
    return in_window(voxels, 0, float(np.percentile(inside, percent)) if len(inside) else 1)


def list_slices(
    scans: Sequence[Scan],
    info: Info,
    size: int,
    field: float,
    *,
    labels: Sequence[int] | None = None,
    body: Callable[[Scan], Volume] | None = None,
) -> Listing:
    """List axial slices: the front up, the patient's right on the left, from the feet to the head.

    Args:
        scans: all of one number of channels C.
        info: a segmentation set, or one of one class. Its `window` becomes 0 to 1; without one, each channel of a scan
            is scaled by `up_to_percentile`.
        size: edge length in pixels; the images are ``(N, C, size, size)``.
        field: edge length in mm. A slice is padded with 0 or cropped to it, around its center, then resampled.
        labels: the values in the label maps, in the order of ``info.classes`` with the background first; None for a
            set of one class. A pixel has the label of its largest share.
        body: a volume whose positive voxels are the body; only slices of which they cover a tenth are listed. None for
            all slices.

    Raises:
        ValueError: no scan; when read, also a constant one, a label that is not in `labels`, channels on unlike grids.
    """
    if not scans:
        raise ValueError(f"{info.name}: the folder holds no scan; get it again")
    kept = [
        np.arange(read_grid(scan.images[0])[0][2]) if body is None else _covered(body(scan), field) for scan in scans
    ]
    scan_of = np.repeat(np.arange(len(scans)), [len(slices) for slices in kept])
    slices = np.concatenate(kept)

    def read(rows: np.ndarray) -> tuple[Tensor, Tensor | None, list[Grid]]:
        check_size(info.name, (len(rows), len(scans[0].images), size, size))
        parts = [
            _planes(scans[number], slices[rows[scan_of[rows] == number]], size, field, info.window, labels)
            for number in np.unique(scan_of[rows])
        ]
        images, maps, grids = zip(*parts)
        return torch.cat(images), None if labels is None else torch.cat(maps), list(chain(*grids))

    classes = np.zeros(len(slices), np.int64) if labels is None else None
    return Listing(info, np.array([scan.patient for scan in scans])[scan_of], read, classes)


def _covered(body: Volume, field: float) -> NDArray[np.int64]:
    pixel = body.spacing[1] * body.spacing[2]
    return np.flatnonzero((body.voxels > 0).sum((1, 2)) * pixel >= LEAST * field**2)


def _planes(
    scan: Scan,
    slices: NDArray[np.int64],
    size: int,
    field: float,
    window: tuple[float, float] | None,
    labels: Sequence[int] | None,
) -> tuple[Tensor, Tensor | None, list[Grid]]:
    """The `slices` of a scan, ``(n, C, size, size)``, their label maps ``(n, size, size)`` and grids."""
    if labels is None:
        volume, mask = load_nifti(scan.images[0]), None
    else:
        volume, mask = load_nifti_pair(scan.images[0], scan.labels)  # type: ignore[arg-type]
        if unknown := sorted(set(np.unique(mask).tolist()) - set(labels)):
            raise ValueError(f"{scan.labels} holds the label {unknown[0]}; known are {', '.join(map(str, labels))}")
    channels = [volume, *map(load_nifti, scan.images[1:])]
    if any(
        each.voxels.shape != volume.voxels.shape or (abs(each.affine - volume.affine) > 0.01).any() for each in channels
    ):
        raise ValueError(f"{scan.images[0]} and the other images of {scan.patient} lie on unlike grids: resample them")
    scaled = [in_window(each.voxels, *window) if window else up_to_percentile(each.voxels) for each in channels]
    if empty := [path for path, voxels in zip(scan.images, scaled) if voxels.max() == voxels.min()]:
        raise ValueError(f"{empty[0]} is constant in its window, there is nothing to see; leave the scan out")
    images = np.stack([voxels[slices] for voxels in scaled], 1)
    images = _square(images, volume.spacing[1:], size, field).clamp(0, 1)
    grids = _grids(volume, slices, size, field)
    if mask is None or labels is None:
        return images, None, grids
    shares = np.stack([mask[slices] == label for label in labels[1:]], 1).astype(np.float32)
    shares = _square(shares, volume.spacing[1:], size, field)
    background = 1 - shares.sum(1, keepdim=True)  # the padding, too
    return images, torch.cat([background, shares], 1).argmax(1).to(torch.uint8), grids


def _grids(volume: Volume, slices: NDArray[np.int64], size: int, field: float) -> list[Grid]:
    """Where `_square` puts the slices: its crop, as torchvision rounds it, and the middles of its pixels."""
    cut = [round(field / mm) for mm in volume.spacing[1:]]
    step = [side / size for side in cut]
    start = [
        (round((have - side) / 2) if side <= have else -((side - have) // 2)) + (width - 1) / 2
        for have, side, width in zip(volume.voxels.shape[1:], cut, step)
    ]
    return image_grids(volume, start, step, slices)


def _square(planes: NDArray[np.float32], spacing: tuple[float, float], size: int, field: float) -> Tensor:
    """Planes ``(N, C, H, W)`` of a `Volume`, upright, padded or cropped to `field` mm, resampled to `size` pixels."""
    upright = torch.from_numpy(planes[..., ::-1, ::-1].copy())
    cut = transforms.center_crop(upright, [round(field / mm) for mm in spacing])
    return transforms.resize(cut, [size, size], antialias=True)
