"""Images of a trained generator: as a tensor, or as an `ImageSet` to train on."""

from collections.abc import Sequence
from copy import copy

import numpy as np
import torch
from torch import Tensor, nn

from medlab.data.images import ImageSet

NO_PATIENT = -1  # the patient of a synthetic image
LABEL_SEED = 1  # added to the seed of the noise: labels and noise must not come from the same random numbers


@torch.no_grad()
def sample(
    generator: nn.Module, n: int, *, seed: int = 0, labels: Tensor | None = None, batch_size: int = 256
) -> Tensor:
    """`n` images of `generator`, in evaluation mode, from noise of the kind it was trained with.

    Args:
        generator: has `sample_latent(n, rng)`, gives images in (-1, 1); its mode is the same afterwards.
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
    noise = generator.sample_latent(n, rng)
    if labels is None:
        labels = sample_labels(generator, n, torch.Generator().manual_seed(seed + LABEL_SEED))
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


def sample_labels(generator: nn.Module, n: int, rng: torch.Generator) -> Tensor | None:
    """Classes ``(n,)`` for a conditional generator, all equally likely; None for another."""
    classes = getattr(generator, "classes", 0)
    return torch.randint(classes, (n,), generator=rng) if classes else None


def to_pixels(images: Tensor) -> Tensor:
    """Images from (-1, 1) to float32 in [0, 1], clipped, in the plain layout."""
    return (images.float() / 2 + 0.5).clamp(0, 1).contiguous()


def synthetic_images(
    generators: Sequence[nn.Module] | nn.Module, per_class: int, like: ImageSet, *, seed: int = 0
) -> ImageSet:
    """`per_class` images of each class, all of patient `NO_PATIENT`: not a patient's, so no split may treat them as such.

    Args:
        generators: one per class in the order of the classes, or one conditional generator.
        per_class: number of images.
        like: the set whose classes they are; every beginning of a class's images is that of a smaller `per_class`.
        seed: of the noise.

    Raises:
        ValueError: another number of generators than classes, `per_class` below 1.
    """
    classes = range(len(like.info.classes))
    one = isinstance(generators, nn.Module)
    if not one and len(generators) != len(classes):
        raise ValueError(f"{len(generators)} generators for {len(classes)} classes of {like.info.name}")
    parts = [
        sample(generators, per_class, seed=seed + 1000 * c, labels=torch.full((per_class,), c))
        if one
        else sample(generators[c], per_class, seed=seed + 1000 * c)
        for c in classes
    ]
    made = copy(like)
    made.images = torch.cat(parts)
    made.targets = torch.arange(len(classes)).repeat_interleave(per_class)
    made.patients, made.published_split = np.full(len(made.images), NO_PATIENT), None
    return made
