"""Sampling from a trained generator: images as a tensor, or as an `ImageSet` to train on."""

from collections.abc import Callable, Sequence
from copy import copy

import numpy as np
import torch
from torch import Tensor, nn

from medlab.data.images import ImageSet
from medlab.errors import whole_number
from medlab.models.modes import eval_mode

NO_PATIENT = -1  # the patient of a synthetic image
LABEL_SEED = 1  # added to the seed of the noise: labels and noise must not come from the same random numbers


@torch.no_grad()
def sample(
    generator: nn.Module, n: int, *, seed: int = 0, labels: Tensor | None = None, batch_size: int = 256
) -> Tensor:
    """Sample `n` images from `generator`, in evaluation mode.

    Args:
        generator: has `sample_latent(n, rng)`, gives images in (-1, 1); its mode is the same afterwards.
        n: number of images.
        seed: the same seed gives the same images on one machine.
        labels: classes ``(n,)`` for a conditional generator; None samples them uniformly.
        batch_size: images at a time; they do not depend on it.

    Returns:
        ``(n, C, H, W)`` float32 in [0, 1] on the CPU. Values of a generator without tanh beyond this range are clipped.

    Raises:
        TypeError: a network that is no generator.
        ValueError: `n` or `batch_size` below 1, labels for a generator without classes, or of another number.
    """
    whole_number("n", n, 1)
    whole_number("batch_size", batch_size, 1)
    rng = torch.Generator().manual_seed(whole_number("seed", seed, 0))
    noise = noise_of(generator)(n, rng)
    if labels is None:
        labels = sample_labels(generator, n, torch.Generator().manual_seed(seed + LABEL_SEED))
    elif not getattr(generator, "classes", 0) or len(labels) != n:
        raise ValueError(
            f"{len(labels)} labels for {n} images of a generator of {getattr(generator, 'classes', 0)} classes"
        )
    device, images = next(generator.parameters()).device, []
    with eval_mode(generator):
        for start in range(0, n, batch_size):
            inputs = [part[start : start + batch_size].to(device) for part in (noise, labels) if part is not None]
            images.append(to_pixels(generator(*inputs)).cpu())
    return torch.cat(images)


def noise_of(generator: nn.Module) -> Callable[[int, torch.Generator], Tensor]:
    """Its `sample_latent`; TypeError for a network that is no generator."""
    if not hasattr(generator, "sample_latent"):
        raise TypeError(f"generator must have sample_latent(n, rng), but a {type(generator).__name__} has none")
    return generator.sample_latent  # type: ignore[return-value]


def sample_labels(generator: nn.Module, n: int, rng: torch.Generator) -> Tensor | None:
    """Sample classes ``(n,)`` uniformly for a conditional generator; None for an unconditional one."""
    classes = getattr(generator, "classes", 0)
    return torch.randint(classes, (n,), generator=rng) if classes else None


def to_pixels(images: Tensor) -> Tensor:
    """Images from (-1, 1) to float32 in [0, 1], clipped, contiguous."""
    return (images.float() / 2 + 0.5).clamp(0, 1).contiguous()


def synthetic_images(
    generators: Sequence[nn.Module] | nn.Module, per_class: int, like: ImageSet, *, seed: int = 0
) -> ImageSet:
    """Sample `per_class` images of each class as a set. They are nobody's: their patient id is `NO_PATIENT`.

    Args:
        generators: one per class in the order of the classes, or one conditional generator.
        per_class: number of images.
        like: the set whose classes they have. With a smaller `per_class`, each class has the first of the same images.
        seed: of the noise.

    Raises:
        ValueError: another number of generators than classes, `per_class` below 1.
    """
    classes = len(like.info.classes)
    if not isinstance(generators, nn.Module) and len(generators) != classes:
        raise ValueError(f"{len(generators)} generators for {classes} classes of {like.info.name}")
    images = []
    for c in range(classes):
        if isinstance(generators, nn.Module):
            images.append(sample(generators, per_class, seed=seed + 1000 * c, labels=torch.full((per_class,), c)))
        else:
            images.append(sample(generators[c], per_class, seed=seed + 1000 * c))
    fake = copy(like)  # checked already
    fake.images = torch.cat(images)
    fake.targets = torch.arange(classes).repeat_interleave(per_class)
    fake.patients = np.full(len(fake.images), NO_PATIENT)
    fake.published_split = fake.grids = None
    return fake
