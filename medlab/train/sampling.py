"""`sample`: images of a trained generator."""

import torch
from torch import Tensor, nn

LABEL_SEED = 1  # added to the seed of the noise: labels and noise must not come from the same random numbers


@torch.no_grad()
def sample(
    generator: nn.Module, n: int, *, seed: int = 0, labels: Tensor | None = None, batch_size: int = 256
) -> Tensor:
    """`n` images of `generator`, in evaluation mode, from noise of the kind it was trained with.

    Args:
        generator: has `draw(n, rng)`, gives images in (-1, 1); its mode is the same afterwards.
        n: number of images.
        seed: the same seed gives the same images on one machine.
        labels: classes ``(n,)`` for a conditional generator; None draws them evenly.
        batch_size: images at a time; they do not depend on it.

    Returns:
        ``(n, C, H, W)`` float32 in [0, 1] on the CPU. What a generator without tanh paints beyond is clipped.

    Raises:
        ValueError: `n` below 1, labels for a generator without classes, or of another number.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    rng = torch.Generator().manual_seed(seed)
    noise = generator.draw(n, rng)
    if labels is None:
        labels = draw_labels(generator, n, torch.Generator().manual_seed(seed + LABEL_SEED))
    elif not getattr(generator, "classes", 0) or len(labels) != n:
        raise ValueError(
            f"{len(labels)} labels for {n} images of a generator of {getattr(generator, 'classes', 0)} classes"
        )
    device, training = next(generator.parameters()).device, generator.training
    generator.eval()
    parts = []
    for start in range(0, n, batch_size):
        given = [part[start : start + batch_size].to(device) for part in (noise, labels) if part is not None]
        parts.append(to_pixels(generator(*given)).cpu())
    generator.train(training)
    return torch.cat(parts)


def draw_labels(generator: nn.Module, n: int, rng: torch.Generator) -> Tensor | None:
    """Classes ``(n,)`` for a conditional generator, all equally likely; None for another."""
    classes = getattr(generator, "classes", 0)
    return torch.randint(classes, (n,), generator=rng) if classes else None


def to_pixels(images: Tensor) -> Tensor:
    """Images from (-1, 1) to float32 in [0, 1], clipped, in the plain layout."""
    return (images.float() / 2 + 0.5).clamp(0, 1).contiguous()
