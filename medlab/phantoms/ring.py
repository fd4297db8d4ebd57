"""Eight Gaussians on a ring: points in the plane whose modes are known, to see which of them a generator drops.

Not an image. The test is common in work on mode collapse since Metz et al. 2017 (arXiv:1611.02163); sizes are ours.
A point is kept as an image of one pixel with two channels, x and y, so that what trains on images trains on it too.
Units: the plane's [0, 1]. The scale of a generator, (-1, 1), makes the ring one of radius 0.7 around 0.
"""

import math

import torch
from torch import Tensor

MODES = 8
RADIUS = 0.35  # of the ring around (0.5, 0.5)
SIGMA = 0.01  # standard deviation of a mode, in x and in y
ANGLES = torch.arange(MODES) * 2 * math.pi / MODES
CENTERS = 0.5 + RADIUS * torch.stack([ANGLES.cos(), ANGLES.sin()], 1)  # (MODES, 2)


def make(n: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Generate points ``(n, 2, 1, 1)`` float32 in [0, 1], and modes ``(n,)`` in turn; `size` is always 1."""
    modes = torch.arange(n) % MODES
    points = CENTERS[modes] + SIGMA * torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
    return points.clamp(0, 1)[:, :, None, None], modes
