"""Real anatomy for the brain phantoms: the ICBM/MNI152 template that nilearn carries, deformed per virtual patient.

Source of the template: Fonov et al., NeuroImage 54(1):313-327, 2011 (ICBM 152 nonlinear 2009a symmetric). Its notice:
Copyright (C) 1993-2004 Louis Collins, McConnell Brain Imaging Center, Montreal Neurological Institute, McGill
University. Permission to use, copy, modify, and distribute this software and its documentation for any purpose and
without fee is hereby granted, provided that the above copyright notice appear in all copies. The authors and McGill
University make no representations about the suitability of this software for any purpose. It is provided "as is"
without express or implied warranty. The authors are not responsible for any data loss, equipment damage, property loss,
or injury to subjects or patients resulting from the use or misuse of this software package.
"""

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from medlab.errors import unknown_name_error

TISSUES = ("csf", "gray matter", "white matter")
ORIGIN = torch.tensor([-98.0, -134.0, -72.0])  # MNI coordinates (mm) of voxel 0 along x (right), y (front), z (up)
SHAPE = torch.tensor([197, 233, 189])
FIELD_OF_VIEW = 224.0  # mm shown along both sides of a slice
CENTER = torch.tensor([0.0, -18.0, 12.0])  # MNI coordinates of the slice center
# The axis across the slices, that along the rows from top to bottom and that along the columns from left to right; 0 x
# (right), 1 y (front), 2 z (up), both shown from their far end: right on the left, front or top of the head up.
PLANES = {"axial": (2, 1, 0), "coronal": (1, 2, 0), "sagittal": (0, 2, 1)}


@lru_cache(maxsize=1)
def template() -> Tensor:
    """The template as ``(Z, 4, X, Y)`` float32 in [0, 1], 1 mm: T1-weighted MR, then the fractions of `TISSUES`."""
    from nilearn import datasets

    loaders = [
        getattr(datasets, f"load_mni152_{name}") for name in ("template", "gm_template", "wm_template", "brain_mask")
    ]
    t1, gray, white, mask = (torch.from_numpy(load(resolution=1).get_fdata(dtype="float32")) for load in loaders)
    csf = (mask - gray - white).clamp(0, 1)
    return torch.stack([t1, csf, gray, white]).permute(3, 0, 1, 2).contiguous()


def in_chunks(make: Callable[..., tuple[Tensor, Tensor]], n: int, chunk: int, seed: int) -> tuple[Tensor, Tensor]:
    """Generate images and targets by ``make(numbers, generator)``, `chunk` images at a time.

    A chunk fits the processor's cache, which is several times faster than one large batch. Every chunk has its own
    random generator, and the last is generated whole and cut: an image depends on its number and the seed, not on `n`.
    """
    parts = []
    for start in range(0, n, chunk):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + start)  # prime: seeds do not meet
        parts.append(make(torch.arange(start, start + chunk), generator))
    return torch.cat([part[0] for part in parts])[:n], torch.cat([part[1] for part in parts])[:n]


def slices(
    patient: Tensor, height: Tensor, size: int, generator: torch.Generator, strength: float = 1.0, plane: str = "axial"
) -> tuple[Tensor, Tensor]:
    """Cut slices through deformed brains.

    Args:
        patient: ``(N,)`` virtual patient of each slice, from 0; a patient has one anatomy, in every slice of one call.
        height: ``(N,)`` MNI coordinate of each slice across its plane, in mm (z if axial, y if coronal, x if sagittal);
            the nearest plane of the template is shown.
        size: side of the square slices, in pixels; they show `FIELD_OF_VIEW` mm.
        generator: draws the patients. Another plane shows other patients.
        strength: 0 gives the template itself, 1 the usual variety (control points move by 3 mm, size varies by 5 %).
        plane: "axial", "coronal" or "sagittal".

    Returns:
        maps ``(N, 4, size, size)`` of T1 (the brain alone, without skull) and `TISSUES`, and the MNI coordinates
        ``(3, N, size, size)`` they came from. Radiological view: the front of the head (axial) or its top is up, the
        patient's right is on the left; a sagittal head looks to the left.
    """
    if plane not in PLANES:
        raise unknown_name_error("plane", plane, PLANES)
    across, row, column = PLANES[plane]
    patients = int(patient.max()) + 1
    scale = strength * 0.05 * torch.randn(patients, 3, generator=generator)[patient]
    turn = strength * 0.06 * torch.randn(patients, generator=generator)[patient]  # radians
    # mm along columns and rows, at knots across the slices, along rows and columns
    warp = strength * 3.0 * torch.randn(patients, 2, 6, 6, 6, generator=generator)[patient]
    last = SHAPE[across] - 1
    level = (height * (1 + scale[:, across]) - ORIGIN[across]).clamp(0, int(last))
    line = (torch.arange(size) + 0.5) / size * FIELD_OF_VIEW - FIELD_OF_VIEW / 2
    y, x = torch.meshgrid(CENTER[row] - line, CENTER[column] - line, indexing="ij")  # of an axial slice
    # Only in-plane movement is drawn: a slice is then one 2-D sampling of one plane of the template.
    shift = _spread(_warp_at(warp, level / last), size)  # (N, 2, size, size)
    turn, stretch = turn[:, None, None], 1 + scale[:, (column, row), None, None]
    place = torch.stack([x * stretch[:, 0] + turn * y, y * stretch[:, 1] - turn * x], 1) + shift
    shape, origin = SHAPE[[column, row], None, None] - 1, ORIGIN[[column, row], None, None]
    at = place * (2 / shape) - (2 * origin / shape + 1)
    grid = torch.stack([at[:, 1], at[:, 0]], -1)
    axes = {0: 2, 1: 3, 2: 0}  # of x, y, z in the template
    planes = template().permute(axes[across], 1, axes[column], axes[row])
    maps = grid_sample(planes[level.round().long()], grid, align_corners=True)
    depth = (level + ORIGIN[across])[:, None, None].expand(-1, size, size)
    where = {across: depth, row: place[:, 1], column: place[:, 0]}
    return maps, torch.stack([where[axis] for axis in range(3)])


def _warp_at(warp: Tensor, level: Tensor) -> Tensor:
    """The knots (N, 2, 6, 6) of the warp at each slice's plane (0 to 1), between the two nearest of its levels."""
    level = (level * 5).clamp(0, 4.999)
    low, n = level.long(), torch.arange(len(level))
    return torch.lerp(warp[n, :, low], warp[n, :, low + 1], (level - low)[:, None, None, None])


def _spread(knots: Tensor, size: int) -> Tensor:
    """Bicubic interpolation of ``(..., K, K)`` knots to ``(..., size, size)``, as two small matrix products."""
    weights = _bicubic(knots.shape[-1], size)
    return weights @ knots @ weights.T


@lru_cache
def _bicubic(nodes: int, size: int) -> Tensor:
    """Matrix ``(size, nodes)`` that interpolates one axis."""
    columns = torch.eye(nodes)[None, :, :, None]
    return interpolate(columns, size=(size, 1), mode="bicubic", align_corners=True)[0, :, :, 0].T.contiguous()


def label_map(fractions: Tensor) -> Tensor:
    """The largest of background (what is left to 1) and the fractions ``(N, K, H, W)``: uint8 ``(N, H, W)``."""
    best = 1 - fractions.sum(1)
    labels = torch.zeros(best.shape, dtype=torch.uint8)
    for k, fraction in enumerate(fractions.unbind(1), start=1):  # many times faster than argmax over a strided axis
        labels.masked_fill_(fraction > best, k)
        best = torch.maximum(best, fraction)
    return labels


def smooth_field(n: int, size: int, nodes: int, generator: torch.Generator) -> Tensor:
    """Slowly varying random fields ``(n, 1, size, size)``: mean 0, unit deviation at `nodes` x `nodes` knots."""
    return _spread(torch.randn(n, 1, nodes, nodes, generator=generator), size)


def blur(images: Tensor, sigma: Tensor | float) -> Tensor:
    """Gaussian blur of ``(N, C, H, W)`` by `sigma` pixels (one number, or one per image); periodic borders."""
    rows, cols = images.shape[-2:]
    fy, fx = torch.fft.fftfreq(rows)[:, None], torch.fft.rfftfreq(cols)[None]
    sigma = torch.as_tensor(sigma, dtype=torch.float32).reshape(-1, 1, 1, 1)
    transfer = torch.exp(-2 * torch.pi**2 * sigma**2 * (fy**2 + fx**2))
    return torch.fft.irfft2(torch.fft.rfft2(images) * transfer, s=(rows, cols))
