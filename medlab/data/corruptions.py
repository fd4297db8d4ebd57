"""Corruptions of images on their way to the reader: photographs of a screen, as telemedicine services receive them."""

import math

import torch
from torch import Tensor

from medlab.errors import not_negative, whole_number


def simulate_phone_photo(images: Tensor, strength: float = 1.0, seed: int = 0) -> Tensor:
    """Simulate photographs that a phone takes of the images on a screen.

    Random for each image: perspective, the reflection of a lamp, moire (interference of the pixels of phone and
    screen), blur, noise of a small sensor, lower contrast. The amounts are a guess; no phone was measured.

    Args:
        images: ``(N, C, H, W)`` in [0, 1].
        strength: 0 changes nothing, 1 is a careless photograph.
        seed: the same seed gives the same photographs.

    Returns:
        Images of the same shape in [0, 1].

    Raises:
        ValueError: a negative strength, images of another shape.
    """
    not_negative("strength", strength)
    if images.ndim != 4:
        raise ValueError(f"images must be (N, C, H, W), got {tuple(images.shape)}")
    generator = torch.Generator().manual_seed(whole_number("seed", seed, 0))
    taken = [_photograph(image, strength, generator) for image in images]
    return torch.stack(taken)


def _photograph(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    from torchvision.transforms.v2 import functional  # here, since it takes a second to import

    height, width = image.shape[-2:]

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator)

    corners = torch.tensor([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]])
    moved = corners + strength * 0.08 * torch.tensor([width, height]) * uniform(-1, 1, 4, 2)
    blur, contrast = strength * uniform(0.3, 1.0).item() * width / 64, 1 - strength * uniform(0.1, 0.4).item()
    lamp, stripes = uniform(0.1, 0.9, 2), strength * uniform(0.01, 0.05).item()
    noise = strength * 0.03 * torch.randn(image.shape, generator=generator)
    turn, period = uniform(0, math.pi).item(), uniform(3, 6).item()
    if not strength:
        return image.clone()
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    moire = stripes * torch.sin(2 * math.pi / period * (x * math.cos(turn) + y * math.sin(turn)))
    glare = 0.35 * strength * torch.exp(-((x / width - lamp[0]) ** 2 + (y / height - lamp[1]) ** 2) / 0.02)
    shown = functional.perspective(image, corners.tolist(), moved.tolist())
    shown = functional.gaussian_blur(shown, 2 * math.ceil(2 * blur) + 1, blur)
    return ((shown - 0.5) * contrast + 0.5 + moire + glare + noise).clamp(0, 1)
