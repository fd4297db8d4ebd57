"""The ring of eight Gaussians: points in the plane whose modes are known, to see which of them a generator drops.

Not an image. The test is common in work on mode collapse since Metz et al. 2017 (arXiv:1611.02163); sizes are ours.
A point is kept as an image of one pixel with two channels, x and y, so that what trains on images trains on it too.
Units: the plane's [0, 1]. The scale of a generator, (-1, 1), makes the ring one of radius 0.7 around 0.
"""

import math

import numpy as np
import torch
from torch import Tensor

MODES = 8
RADIUS = 0.35  # of the ring around (0.5, 0.5)
SIGMA = 0.01  # standard deviation of a mode, in x and in y
ANGLES = torch.arange(MODES) * 2 * math.pi / MODES
CENTERS = 0.5 + RADIUS * torch.stack([ANGLES.cos(), ANGLES.sin()], 1)  # (MODES, 2)
ABOUT = {
    "modality": "points in the plane",
    "task": "multi-class",
    "classes": tuple(f"{360 * k // MODES}°" for k in range(MODES)),
    "license": "MIT (made by this project)",
    "citation": "medlab ring; the test after Metz et al., ICLR 2017, arXiv:1611.02163",
    "unit": "0 to 1: position in the plane, channel 0 to the right, channel 1 up",
    "note": "No image: eight Gaussians on a circle, one point a patient. Tests code and ideas, not medical claims.",
    "sizes": (1,),
    "size": 1,
    "n": 4000,
}


def make(n: int, size: int, seed: int) -> tuple[Tensor, Tensor, np.ndarray]:
    """Points ``(n, 2, 1, 1)`` float32 in [0, 1], modes ``(n,)`` in turn, patients ``(n,)``; `size` is always 1."""
    modes = torch.arange(n) % MODES
    points = CENTERS[modes] + SIGMA * torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
    return points.clamp(0, 1)[:, :, None, None], modes, np.arange(n)
