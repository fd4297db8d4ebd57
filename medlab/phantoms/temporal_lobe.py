"""Temporal lobe MR phantom: T1-weighted volumes around the left hippocampus in deformed MNI152 anatomy, with its mask.

What is real: the anatomy (an average of 152 adults) and its tissue fractions. What is simulated: the deformation of
each patient in all three axes, tissue contrast, receive-coil bias, Rician noise, and what counts as hippocampus: the
gray matter inside a bent tube along its axis in the template, so amygdala and neighboring gyri have the same gray
values. Every patient also has a distractor, a straight strand of gray matter about as thick as the hippocampus (such
heterotopias exist, but are rare), at a random place and angle. A cut through it looks much like a cut through the
hippocampus; the whole does not.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from medlab.phantoms import anatomy

FIELD_OF_VIEW = 56.0  # mm along each side
CENTER = torch.tensor([-27.0, -23.0, -11.0])  # MNI coordinates (x right, y front, z up) of the middle of a volume
# The axis of the hippocampus in the template from head to tail, MNI coordinates, and how far it reaches to the side.
AXIS = torch.tensor(
    [[-23.0, -10, -21], [-29, -16, -18], [-30, -22, -14], [-30, -29, -8], [-28, -36, -1], [-24, -40, 4]]
)
RADIUS = torch.tensor([6.0, 7.5, 7.0, 6.0, 5.0, 4.0])  # mm


def make(n: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Generate volumes ``(n, 1, size, size, size)`` float32 in [0, 1], and uint8 masks ``(n, size, size, size)``.

    Axes from the feet up, from the front backwards, from the patient's right to the left, as `volume_set` has them.
    """
    return anatomy.in_chunks(lambda numbers, generator: _volumes(len(numbers), size, generator), n, 4, seed)


def _volumes(n: int, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    def vary(mean: float, deviation: float, *shape: int) -> Tensor:
        """Numbers of each patient, kept within two deviations, for every voxel ``(n, *shape, 1, 1, 1)``."""
        draws = torch.randn(n, *(shape or (1,)), 1, 1, 1, generator=generator).clamp(-2, 2)
        return mean + deviation * draws

    line = (torch.arange(size) + 0.5) / size * FIELD_OF_VIEW - FIELD_OF_VIEW / 2
    z, y, x = torch.meshgrid(line, -line, -line, indexing="ij")
    here = torch.stack([x, y, z])  # mm from the middle
    turn = torch.linalg.matrix_exp(_skew(0.08 * torch.randn(n, 3, generator=generator)))
    turned = torch.einsum("nij,jdhw->nidhw", turn, here) * vary(1, 0.05, 3)
    knots = 1.8 * torch.randn(n, 3, 5, 5, 5, generator=generator)
    places = turned + vary(0, 2, 3) + interpolate(knots, (size,) * 3, mode="trilinear", align_corners=True)
    places = places + CENTER[:, None, None, None]  # MNI coordinates of every voxel
    maps = _sample(places)

    inside = _tube(places, AXIS, RADIUS) > 0
    labels = (inside & (maps[:, 2] > 0.5)).to(torch.uint8)
    weights = torch.cat([vary(w, 0.04 * w) for w in (0.15, 0.55, 0.85)], 1)
    # Half of the template: it keeps what three classes cannot show.
    signal = 0.5 * maps[:, 0] + 0.5 * (maps[:, 1:] * weights).sum(1)
    gray = (signal * labels).sum((1, 2, 3)) / labels.sum((1, 2, 3)).clamp(min=1)
    strand = _strand(here, inside, generator)
    signal = torch.lerp(signal, gray[:, None, None, None].expand_as(signal), strand)
    coil = torch.randn(n, 1, 3, 3, 3, generator=generator)
    bias = torch.exp(0.08 * interpolate(coil, (size,) * 3, mode="trilinear", align_corners=True))
    sigma = 0.02 + 0.03 * torch.rand(n, 1, 1, 1, generator=generator)
    real, imaginary = (sigma * torch.randn(2, *signal.shape, generator=generator)).unbind()
    images = torch.hypot(signal * bias[:, 0] + real, imaginary).clamp(0, 1)
    return images[:, None], labels * (strand < 0.5)


def _skew(turns: Tensor) -> Tensor:
    """Generators ``(N, 3, 3)`` of rotations by `turns` (radians) about the three axes."""
    a, b, c = turns.unbind(1)
    zero = torch.zeros_like(a)
    return torch.stack([zero, -c, b, c, zero, -a, -b, a, zero], 1).view(-1, 3, 3)


@lru_cache(maxsize=1)
def _region() -> tuple[Tensor, Tensor]:
    """The template around the hippocampus ``(1, 4, Z, X, Y)``, and the MNI coordinates of its first voxel."""
    low = (CENTER - anatomy.ORIGIN - 48).long().clamp(min=0)
    x, y, z = (slice(int(a), int(a) + 96) for a in low)
    return anatomy.template()[z, :, x, y].transpose(0, 1)[None].contiguous(), anatomy.ORIGIN + low


def _sample(places: Tensor) -> Tensor:
    """T1 and tissues ``(N, 4, D, H, W)`` of the template at MNI coordinates ``(N, 3, D, H, W)``."""
    region, origin = _region()
    sides = torch.tensor([region.shape[3], region.shape[4], region.shape[2]])  # x, y, z
    at = 2 * (places - origin[:, None, None, None]) / (sides[:, None, None, None] - 1) - 1
    grid = torch.stack([at[:, 1], at[:, 0], at[:, 2]], -1)
    return grid_sample(region.expand(len(places), -1, -1, -1, -1), grid, align_corners=True)


def _tube(places: Tensor, axis: Tensor, radius: Tensor) -> Tensor:
    """Depth in mm below the surface of a bent tube, ``(N, D, H, W)``, at ``(N, 3, D, H, W)``; its ends are round."""
    depth = torch.full_like(places[:, 0], -torch.inf)
    for start, end, wide, narrow in zip(axis[:-1], axis[1:], radius[:-1], radius[1:]):
        along = end - start
        offset = places - start[:, None, None, None]
        t = torch.einsum("nidhw,i->ndhw", offset, along / along.square().sum()).clamp(0, 1)
        nearest = (offset - t[:, None] * along[:, None, None, None]).square().sum(1).sqrt()
        depth = torch.maximum(depth, torch.lerp(wide, narrow, t) - nearest)
    return depth


def _strand(here: Tensor, inside: Tensor, generator: torch.Generator) -> Tensor:
    """How much of each voxel ``(N, D, H, W)`` the distractor fills, next to the hippocampus but not in it."""
    pixel = FIELD_OF_VIEW / here.shape[-1]
    strands = []
    for own in inside:
        middle = here[:, own].mean(1) if own.any() else torch.zeros(3)
        way, aside = torch.nn.functional.normalize(torch.randn(2, 3, generator=generator), dim=1)
        aside = torch.nn.functional.normalize(aside - (aside @ way) * way, dim=0)
        radius = 4 + 1.5 * torch.rand(2, generator=generator)
        center = middle + aside * (14 + 4 * torch.rand((), generator=generator))
        half = (12 + 6 * torch.rand((), generator=generator)) * way
        depth = _tube(here[None], torch.stack([center - half, center + half]), radius)[0]
        strands.append((depth / pixel + 0.5).clamp(0, 1) * ~own)
    return torch.stack(strands)
