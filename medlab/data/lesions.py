"""Geometric augmentation of lesions, in the order of Frid-Adar et al.: rotate first, then flip, shift or rescale.

Frid-Adar, Diamant, Klang, Amitai, Goldberger, Greenspan: GAN-based synthetic medical image augmentation for increased
CNN performance in liver lesion classification. Neurocomputing 321:321-331, 2018.

    30 angles in 0 to 180 degrees
    each as it is, and with    3 flips    up-down, left-right, both
                               7 shifts   each axis within min(4 pixels, a tenth of the lesion's diameter)
                               5 scales   a margin of tissue of 0.1 to 0.4 diameters instead of the region's own

makes 30 * (1 + 3 + 7 + 5) = 480 copies per lesion. There is no shear: it would deform the lesion. The paper cuts copies
out of the CT slice; here a region is all there is, so where a copy looks past its edge it sees the last tissue again.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from medlab.data.images import ImageSet
from medlab.data.subsets import join
from medlab.errors import whole_number

ROTATIONS, FLIPS, SHIFTS, SCALES = 30, 3, 7, 5
PER_LESION = ROTATIONS * (1 + FLIPS + SHIFTS + SCALES)
BLOCK = 1024  # copies at a time


def augment_lesions(lesions: ImageSet, amount: int, *, diameter: float | Sequence[float], seed: int = 0) -> ImageSet:
    """Append `amount` augmented copies to the lesions, each with the class and patient of its lesion.

    The first m copies are spread evenly over the classes and over the lesions of each class, for every m. So the set
    with fewer copies is a part, ``[: len(lesions) + m]``, of that with more.

    Args:
        lesions: regions ``(N, C, S, S)`` with the lesion in the middle, e.g. one fold.
        amount: how many copies; at most `PER_LESION` for each lesion of the rarest class, times the classes.
        diameter: the lesion's longest diameter as a share of the side, one for all or one each.
        seed: draws the angles, shifts and margins, and the order.

    Raises:
        ValueError: a class without a lesion, more copies than there are, a diameter outside (0, 1].
    """
    counts = lesions.counts()
    if empty := [name for name, count in counts.items() if count == 0]:
        raise ValueError(f"{lesions.info.name}: no lesion of class {', '.join(empty)} to be copied")
    most = PER_LESION * min(counts.values()) * len(counts)
    if not 0 <= amount <= most:
        raise ValueError(f"{lesions.info.name}: {amount} copies; balanced over the classes there are 0 to {most}")
    diameters = torch.as_tensor(diameter, dtype=torch.float32).expand(len(lesions))
    if not ((diameters > 0) & (diameters <= 1)).all():
        raise ValueError(f"diameter is a share of the region's side, in (0, 1], got {diameter}")
    if amount == 0:
        return lesions
    rng = np.random.default_rng(whole_number("seed", seed, 0))
    owner, which = _order(lesions.targets.cpu().numpy(), len(counts), rng)
    owner, which = owner[:amount], which[:amount]
    matrices = transformations(diameters, lesions.images.shape[-1], torch.Generator().manual_seed(seed))[owner, which]
    copies = lesions[owner]
    blocks = zip(*(part.split(BLOCK) for part in (copies.images, matrices, diameters[owner])))
    copies.images = torch.cat([_warp(*block) for block in blocks])
    return join([lesions, copies])


def transformations(diameters: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Draw affine maps ``(N, 480, 2, 3)`` from each copy to its lesion, in half sides, as `affine_grid` takes them.

    Args:
        diameters: ``(N,)`` as shares of the side.
        size: of the region in pixels.
        generator: draws them; the copies of a rotation follow each other, the plain one first.
    """
    n = len(diameters)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(n, ROTATIONS, *shape, generator=generator)

    angle = torch.pi * uniform(1)
    rotation = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).reshape(n, ROTATIONS, 1, 2, 2)
    each = 1 + FLIPS + SHIFTS + SCALES
    change = torch.eye(2, 3).repeat(n, ROTATIONS, each, 1, 1)
    change[:, :, 1 : 1 + FLIPS, :, :2] = torch.tensor([[[1.0, 0], [0, -1]], [[-1, 0], [0, 1]], [[-1, 0], [0, -1]]])
    reach = (0.1 * diameters * size).clamp(max=4) * 2 / size  # of a shift, in half sides
    change[:, :, 1 + FLIPS : -SCALES, :, 2] = reach.reshape(n, 1, 1, 1) * (2 * uniform(SHIFTS, 2) - 1)
    side = diameters.reshape(n, 1, 1) * (1 + 2 * (0.1 + 0.3 * uniform(SCALES)))  # lesion and margin, in sides
    change[:, :, -SCALES:, :, :2] *= side[..., None, None]
    return (rotation @ change).flatten(1, 2)  # the copy is read from the rotated region, that from the region


def _order(targets: np.ndarray, classes: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Lesion and transformation of every copy, alternating over the classes and, within a class, over its lesions."""
    turn = np.empty((len(targets), PER_LESION), dtype=np.int64)
    for c in range(classes):
        members = rng.permutation(np.flatnonzero(targets == c))
        turn[members] = (np.arange(PER_LESION) * len(members) + np.arange(len(members))[:, None]) * classes + c
    owner, place = np.unravel_index(turn.argsort(axis=None), turn.shape)
    shuffled = rng.permuted(np.tile(np.arange(PER_LESION), (len(targets), 1)), axis=1)
    return torch.from_numpy(owner), torch.from_numpy(shuffled[owner, place])


def _warp(images: Tensor, matrices: Tensor, diameters: Tensor) -> Tensor:
    """Sample ``(N, C, S, S)`` at ``matrices @ (x, y, 1)``, bicubic; tissue is reflected beyond the edges."""
    grid = affine_grid(matrices.to(images.device), list(images.shape), align_corners=False)
    margin = (0.75 * (1 - diameters)).clamp(min=1e-3).reshape(-1, 1, 1, 1)  # of tissue, clear of the lesion
    past = (grid.abs() - 1).clamp(min=0) % (2 * margin)
    grid = torch.where(grid.abs() > 1, grid.sign() * (1 - margin + (margin - past).abs()), grid)
    return grid_sample(images, grid, mode="bicubic", padding_mode="border", align_corners=False).clamp_(0, 1)
