"""Channels as images: four MR sequences of a slice become four images, as Han et al. (2018) pooled them ("Concat")."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from medlab.data.images import ImageSet


def pool_channels(images: ImageSet, names: Sequence[str]) -> ImageSet:
    """One image per channel, with the channel as its class; those of a slice stay together, in order.

    Args:
        images: a set of images ``(N, C, H, W)``; its own targets are left behind.
        names: of the C channels, such as `medlab.phantoms.glioma.SEQUENCES`.

    Returns:
        Images ``(N * C, 1, H, W)``; image ``C * i + c`` is channel c of slice i, and has its patient.

    Raises:
        ValueError: not a name for every channel.
    """
    n, channels = images.images.shape[:2]
    if len(names) != channels:
        raise ValueError(f"{images.info.name} has {channels} channels, but {len(names)} names are given: {names}")
    return ImageSet(
        images.images.flatten(0, 1)[:, None],
        torch.arange(channels).repeat(n),
        np.repeat(images.patients, channels),
        replace(images.info, task="multi-class", classes=tuple(names)),
        None if images.official is None else np.repeat(images.official, channels),
    )
