"""Augmentation of whole batches of volumes on the device, as `Augment` does for 2-D images."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, interpolate

from medlab.data.augment import Augment, resample

KNOTS = 4  # control points of the warp along each axis


@dataclass(frozen=True)
class AugmentVolumes(Augment):
    """Random flips, shifts, rotations about all axes, scalings, smooth warps and intensity changes of volumes.

    Args:
        flip, shift, rotate, scale, intensity: as for `Augment`; flips go left and right, shifts are fractions of each
            side, rotations are drawn for each of the three axes.
        warp: largest displacement of the 4 x 4 x 4 control points, as a fraction of the side.

    Example:
        >>> augment = AugmentVolumes(flip=True, rotate=10, warp=0.05)
        >>> volumes, masks = augment(volumes, masks, generator=torch.Generator().manual_seed(0))
    """

    LAYOUT: ClassVar[str] = "NCDHW"
    PARAMS: ClassVar[int] = 10 + 3 * KNOTS**3

    warp: float = 0.0

    def _apply(self, images: Tensor, labels: Tensor | None, params: Tensor) -> tuple[Tensor, Tensor | None]:
        mirror, size, contrast, brightness = params[:, :4].unbind(1)
        grid = affine_grid(self._matrices(mirror, size, params[:, 4:7], params[:, 7:10], images), images.shape, False)
        if self.warp:
            knots = 2 * self.warp * params[:, 10:].reshape(-1, 3, KNOTS, KNOTS, KNOTS)
            grid = grid + interpolate(knots, images.shape[2:], mode="trilinear", align_corners=True).movedim(1, -1)
        images, labels = resample(images, labels, grid)
        return self._change_intensity(images, contrast, brightness), labels

    def _matrices(self, mirror: Tensor, size: Tensor, turns: Tensor, shifts: Tensor, images: Tensor) -> Tensor:
        """Affine maps ``(N, 3, 4)`` from output to input voxels, in units of half a side; axes in the order W, H, D."""
        n = len(mirror)
        cos, sin = torch.deg2rad(self.rotate * turns).cos(), torch.deg2rad(self.rotate * turns).sin()
        turn = torch.eye(3, device=images.device).expand(n, 3, 3)
        for axis in range(3):
            a, b = (i for i in range(3) if i != axis)
            plane = torch.eye(3, device=images.device).repeat(n, 1, 1)
            plane[:, a, a] = plane[:, b, b] = cos[:, axis]
            plane[:, a, b], plane[:, b, a] = -sin[:, axis], sin[:, axis]
            turn = turn @ plane
        sides = torch.tensor(images.shape[:1:-1], dtype=torch.float32, device=images.device)
        # A rotation in mm, also where the volume is no cube.
        turn = turn * sides / sides[:, None] / (1 + self.scale * size)[:, None, None]
        if self.flip:
            turn = torch.cat([turn[:, :, :1] * torch.where(mirror < 0, -1.0, 1.0)[:, None, None], turn[:, :, 1:]], 2)
        return torch.cat([turn, 2 * self.shift * shifts[:, :, None]], 2)
