"""Synthetic images as training images: one GAN per class or one for all, and what they paint as an `ImageSet`."""

from collections.abc import Callable, Sequence
from copy import copy

import numpy as np
import torch
from torch import nn

from medlab.data.images import ImageSet
from medlab.train.devices import seed_everything
from medlab.train.gan import fit_gan
from medlab.train.history import History
from medlab.train.sampling import sample

NOBODY = -1  # the patient of a synthetic image


def fit_class_gans(
    train: ImageSet, build: Callable[[], tuple[nn.Module, nn.Module]], *, seed: int = 0, **settings: object
) -> tuple[list[nn.Module], list[History]]:
    """One GAN per class of `train`, each shown the images of its class and no others; the generators and their curves.

    Args:
        train: the images, those of the training folds only.
        build: makes a new generator and a new discriminator.
        seed: of their starting weights and of the training; every class has its own.
        settings: what `fit_gan` takes beside the two players and the images.

    Raises:
        ValueError: a class without an image, and all that `fit_gan` raises.
    """
    generators, histories = [], []
    for c, (name, count) in enumerate(train.counts().items()):
        if count == 0:
            raise ValueError(f"{train.info.name}: no image of class {name} to train its GAN on")
        seed_everything(seed + 1000 * c)
        generator, discriminator = build()
        of_class = train[(train.targets == c).cpu().numpy()]
        histories.append(fit_gan(generator, discriminator, of_class, seed=seed + 1000 * c, **settings))
        generators.append(generator)
    return generators, histories


def synthetic_images(
    generators: Sequence[nn.Module] | nn.Module, per_class: int, like: ImageSet, *, seed: int = 0
) -> ImageSet:
    """`per_class` images of each class, all of patient `NOBODY`: not a patient's, so no split may treat them as such.

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
    made.patients, made.official = np.full(len(made.images), NOBODY), None
    return made
