"""Augmentation of whole batches of images or volumes on the device, with other random parameters for every image."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

KNOTS = 4  # control points of a warp along each axis


@dataclass(frozen=True)
class Augment:
    """Random flips, shifts, rotations, scalings and intensity changes of 2-D images, drawn for each image.

    Args:
        flip: mirror left and right with probability 1/2. Leave it off where sides matter (heart, liver).
        shift: largest shift along each axis, as a fraction of the side.
        rotate: largest rotation, in degrees.
        scale: largest change of size, as a fraction; 0.1 gives 0.9 to 1.1.
        intensity: largest change of contrast (factor) and brightness (added), as fractions of the full range.

    Example:
        >>> augment = Augment(shift=0.1, rotate=10)
        >>> images, labels = augment(images, labels, generator=torch.Generator().manual_seed(0))
    """

    LAYOUT: ClassVar[str] = "NCHW"
    PARAMS: ClassVar[int] = 7  # random numbers for each image

    flip: bool = False
    shift: float = 0.0
    rotate: float = 0.0
    scale: float = 0.0
    intensity: float = 0.0

    def __post_init__(self) -> None:
        kind = type(self).__name__
        for name, value in vars(self).items():
            if value < 0:
                raise ValueError(f"{kind}: {name} must not be negative, got {value}")
        if self.scale >= 1:
            raise ValueError(f"{kind}: scale must stay below 1, got {self.scale}")

    def make_params(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw the random parameters of `n` images, uniform in [-1, 1], in units of the largest changes.

        ``(n, 7)`` for images, ``(n, 202)`` for volumes: 10, and 3 for each control point.
        """
        return 2 * torch.rand(n, self.PARAMS, generator=generator) - 1

    def __call__(
        self,
        images: Tensor,
        labels: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
        params: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Augment ``(N, C, H, W)`` images in [0, 1] and, with them, label maps ``(N, H, W)``.

        Edges are repeated outwards; label maps take the nearest label. Give either `generator` or the `params` of
        `make_params`. Labels of any other shape (classes) come back as they are. `AugmentVolumes` takes volumes
        ``(N, C, D, H, W)`` and label maps ``(N, D, H, W)``.

        Raises:
            ValueError: images with another number of axes.
        """
        if images.ndim != len(self.LAYOUT):
            raise ValueError(
                f"{type(self).__name__} takes images ({', '.join(self.LAYOUT)}), got {tuple(images.shape)}"
            )
        if params is None:
            params = self.make_params(len(images), generator or torch.default_generator)
        return self._apply(images, labels, params.to(images.device))

    def _apply(self, images: Tensor, labels: Tensor | None, params: Tensor) -> tuple[Tensor, Tensor | None]:
        mirror, right, down, turn, size, contrast, brightness = params.unbind(1)
        if self.shift or self.rotate or self.scale:
            grid = _grid(self._matrices(mirror, right, down, turn, size), *images.shape[2:])
            images, labels = resample(images, labels, grid)
        elif self.flip:  # exact, and needs no sampling
            turned = mirror < 0
            images = torch.where(turned[:, None, None, None], images.flip(3), images)
            if labels is not None and labels.ndim == 3:
                labels = torch.where(turned[:, None, None], labels.flip(2), labels)
        return self._change_intensity(images, contrast, brightness), labels

    def _change_intensity(self, images: Tensor, contrast: Tensor, brightness: Tensor) -> Tensor:
        if not self.intensity:
            return images
        each = (-1, *[1] * (images.ndim - 1))
        gain, offset = (self.intensity * value.view(each) for value in (contrast, brightness))
        mean = images.mean(tuple(range(1, images.ndim)), keepdim=True)  # contrast changes around it
        return torch.addcmul(offset - gain * mean, images, 1 + gain).clamp_(0, 1)

    def _matrices(self, mirror: Tensor, right: Tensor, down: Tensor, turn: Tensor, size: Tensor) -> Tensor:
        """Affine maps ``(N, 2, 3)`` from output to input pixels, in half sides, as `affine_grid` takes them."""
        angle = torch.deg2rad(self.rotate * turn)
        zoom = 1 / (1 + self.scale * size)
        sign = torch.where(mirror < 0, -1.0, 1.0) if self.flip else torch.ones_like(mirror)
        cos, sin = angle.cos() * zoom, angle.sin() * zoom
        rows = [sign * cos, -sign * sin, 2 * self.shift * right, sin, cos, 2 * self.shift * down]
        return torch.stack(rows, 1).reshape(-1, 2, 3)


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
        matrices = self._volume_matrices(mirror, size, params[:, 4:7], params[:, 7:10], images)
        grid = affine_grid(matrices, list(images.shape), False)
        if self.warp:
            knots = 2 * self.warp * params[:, 10:].reshape(-1, 3, KNOTS, KNOTS, KNOTS)
            grid = grid + interpolate(knots, images.shape[2:], mode="trilinear", align_corners=True).movedim(1, -1)
        images, labels = resample(images, labels, grid)
        return self._change_intensity(images, contrast, brightness), labels

    def _volume_matrices(self, mirror: Tensor, size: Tensor, turns: Tensor, shifts: Tensor, images: Tensor) -> Tensor:
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
        sides = torch.cat([torch.full((1,), float(side), device=images.device) for side in images.shape[:1:-1]])
        # A rotation in mm, also where the volume is no cube.
        turn = turn * sides / sides[:, None] / (1 + self.scale * size)[:, None, None]
        if self.flip:
            turn = torch.cat([turn[:, :, :1] * torch.where(mirror < 0, -1.0, 1.0)[:, None, None], turn[:, :, 1:]], 2)
        return torch.cat([turn, 2 * self.shift * shifts[:, :, None]], 2)


def resample(images: Tensor, labels: Tensor | None, grid: Tensor) -> tuple[Tensor, Tensor | None]:
    """Sample images at `grid`, linearly, and the labels, if they are label maps, at the nearest pixel."""
    if labels is not None and labels.ndim == images.ndim - 1:
        if labels.device.type == "mps" and labels.ndim == 4:
            labels = nearest_voxels(labels, grid)
        else:
            maps = grid_sample(labels[:, None].float(), grid, "nearest", "border", align_corners=False)
            labels = maps[:, 0].to(labels.dtype)
    return grid_sample(images, grid.to(images.dtype), padding_mode="border", align_corners=False), labels


def nearest_voxels(labels: Tensor, grid: Tensor) -> Tensor:
    """Labels ``(N, D, H, W)`` at the voxel nearest to `grid`, by indices: MPS has no `grid_sample` of this kind."""
    places = [
        (((grid[..., 2 - axis] + 1) * side - 1) / 2).clamp(0, side - 1).round().long()
        for axis, side in enumerate(labels.shape[1:])
    ]
    images = torch.arange(len(labels), device=labels.device).view(-1, 1, 1, 1)
    return labels[images, places[0], places[1], places[2]]


def _grid(matrices: Tensor, height: int, width: int) -> Tensor:
    """The same as `torch.nn.functional.affine_grid`, ``(N, H, W, 2)``, which takes longer than the sampling."""
    across, down = ((2 * torch.arange(length, device=matrices.device) + 1) / length - 1 for length in (width, height))
    columns = matrices[:, :, 0, None] * across  # (N, 2, W)
    rows = matrices[:, :, 1, None] * down + matrices[:, :, 2, None]  # (N, 2, H)
    return (rows[..., None] + columns[:, :, None]).movedim(1, -1)
