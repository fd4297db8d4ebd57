"""Standardization as the first layer, so that mean and standard deviation are saved with the weights."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medlab.data.images import ImageSet


class Standardize(nn.Module):
    """Subtract the mean of the training images and divide by their standard deviation, channel by channel.

    Args:
        train: the training images, and only those: the test set must not leak into the preprocessing. The first 10 000
            are read.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, train: ImageSet) -> None:
        super().__init__()
        images, _ = train.batch(torch.arange(min(len(train), 10_000)))
        channels = images.transpose(0, 1).flatten(1)  # (C, N * H * W)
        self._keep(channels.mean(1), channels.std(1).clamp(min=1e-6), images.ndim - 2)

    @classmethod
    def from_statistics(cls, mean: Sequence[float], std: Sequence[float], axes: int = 2) -> "Standardize":
        """The layer for a known mean and standard deviation of each channel; `axes` are 2, or 3 for volumes."""
        layer = cls.__new__(cls)
        nn.Module.__init__(layer)
        layer._keep(torch.tensor(mean), torch.tensor(std), axes)
        return layer

    def _keep(self, mean: Tensor, std: Tensor, axes: int) -> None:
        shape = (1, -1, *[1] * axes)
        self.register_buffer("mean", mean.reshape(shape))
        self.register_buffer("std", std.reshape(shape))

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, C, ...)`` to the same shape; the training images have mean 0 and standard deviation 1."""
        return (images - self.mean) / self.std
