"""Checks of batches of images ``(N, C, H, W)`` in [0, 1], tensor or array; uint8 counts as 0 to 255."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

if TYPE_CHECKING:  # torch takes a second to import
    from torch import Tensor

SSIM_WINDOW = 11  # pixels: the side of SSIM's Gaussian window


def check_images(images: ArrayLike, name: str) -> Tensor:
    """The images as float32 in [0, 1] on the CPU; ValueError for another shape, NaN, or values outside."""
    import torch

    images = torch.as_tensor(images).detach().cpu()
    images = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    if images.ndim != 4 or len(images) == 0:
        raise ValueError(f"{name} must be at least one image, (N, C, H, W), got {tuple(images.shape)}")
    diverged = int(images.isnan().flatten(1).any(1).sum())
    if diverged:
        raise ValueError(f"{name}: {diverged} images hold NaN; the training diverged")
    if images.min() < -1e-4 or images.max() > 1 + 1e-4:
        raise ValueError(
            f"{name} lie in {images.min():.3g} to {images.max():.3g}, but must lie in [0, 1]: scale the output of tanh "
            "by (images + 1) / 2, or take medlab.train.sample, which does so"
        )
    return images.clamp(0, 1)


def check_same_size(images: Tensor, others: Tensor, name: str, other: str) -> None:
    """ValueError if channels, height or width differ."""
    if images.shape[1:] != others.shape[1:]:
        raise ValueError(
            f"{name} are {tuple(images.shape[1:])} and {other} {tuple(others.shape[1:])}; both must have the same "
            "channels, height and width"
        )


def check_ssim_size(images: Tensor) -> None:
    """ValueError for images smaller than SSIM's window."""
    if min(images.shape[2:]) < SSIM_WINDOW:
        raise ValueError(f"images are {tuple(images.shape[2:])}, but SSIM needs at least {SSIM_WINDOW} pixels a side")
