"""Layers of improved GAN training: minibatch discrimination and virtual batch normalization.

Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen: Improved Techniques for Training GANs. NeurIPS 2016,
arXiv:1606.03498, sections 3.2 and 3.5.

| layer                    | input               | output              | parameters                     |
| ------------------------ | ------------------- | ------------------- | ------------------------------ |
| minibatch discrimination | N x A               | N x (A + B)         | A B C (100 kernels B of C = 5) |
| virtual batch norm       | (R + N) x M x H x W | (R + N) x M x H x W | 2 M                            |
"""

from typing import Any

import torch
from torch import Tensor, nn


class MinibatchDiscrimination(nn.Module):
    """Append to the features of each image of a batch how close they are to those of the others.

    ``M_i = f(x_i) T``, ``c_b(x_i, x_j) = exp(-|M_ib - M_jb|_1)``, and ``o(x_i)_b = sum_j c_b(x_i, x_j)`` is appended to
    ``f(x_i)``, which reveals a generator in mode collapse. The sum is over the batch, i included as in the paper, so
    train and use the layer with batches of one size, real and generated images apart. The authors' code normalizes T
    and adds a bias; here T starts from N(0, 1 / A), and the next layer has a bias.

    Args:
        features: A, features per image of the input.
        kernels: B, features per image that are appended.
        dims: C, dimensions of the space in which distances are measured.
    """

    def __init__(self, features: int, kernels: int = 100, dims: int = 5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, kernels, dims) / features**0.5)

    def forward(self, features: Tensor) -> Tensor:
        """``(N, A)`` to ``(N, A + B)``."""
        projected = torch.einsum("na,abc->nbc", features, self.weight)  # (N, B, C)
        distance = (projected[:, None] - projected).abs().sum(3)  # (N, N, B)
        return torch.cat([features, torch.exp(-distance).sum(1)], 1)


class VirtualBatchNorm(nn.Module):
    """Batch normalization of each image by the statistics of a fixed reference batch and of the image itself.

    The first `reference` rows of the input are the reference batch, which is normalized by its own statistics. Mean
    and mean square of another image are ``R / (R + 1)`` those of the reference batch plus ``1 / (R + 1)`` its own, as
    in the authors' code.

    Args:
        channels: M.
        reference: R, size of the reference batch.
        eps: added to the variance.
    """

    def __init__(self, channels: int, reference: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.reference, self.eps = reference, eps
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, images: Tensor) -> Tensor:
        """``(R + N, M, H, W)`` to the same shape."""
        r = self.reference
        mean, square = (x.float().mean((2, 3)) for x in (images, images.float().square()))  # (R + N, M)
        mean = torch.cat([mean[:r].mean(0).expand(r, -1), (r * mean[:r].mean(0) + mean[r:]) / (r + 1)])
        square = torch.cat([square[:r].mean(0).expand(r, -1), (r * square[:r].mean(0) + square[r:]) / (r + 1)])
        scale = self.weight / (square - mean.square() + self.eps).sqrt()
        shift = self.bias - mean * scale
        return torch.addcmul(shift[:, :, None, None], images, scale[:, :, None, None]).to(images.dtype)


class WithReference(nn.Module):
    """A generator with virtual batch normalization: the reference batch passes through it with every batch.

    Where both are of one size that doubles the computation, the cost that the paper names.

    Args:
        generator: has `sample_latent(n, rng)`; its `BatchNorm2d` layers are replaced in place, their parameters kept.
        reference: latent vectors ``(R, latent)`` of the reference batch, sampled once.

    Raises:
        ValueError: a generator without `BatchNorm2d`, fewer than two latent vectors.
    """

    reference: Tensor

    def __init__(self, generator: nn.Module, reference: Tensor) -> None:
        super().__init__()
        if len(reference) < 2:
            raise ValueError(f"a reference batch of {len(reference)} has no variance: give at least two latent vectors")
        norms = [(name, layer) for name, layer in generator.named_modules() if isinstance(layer, nn.BatchNorm2d)]
        if not norms:
            raise ValueError(f"{type(generator).__name__} has no BatchNorm2d that could be replaced")
        for name, layer in norms:
            virtual = VirtualBatchNorm(layer.num_features, len(reference), layer.eps)
            virtual.weight, virtual.bias = layer.weight, layer.bias
            generator.set_submodule(name, virtual)
        self.generator: Any = generator
        self.register_buffer("reference", reference)

    def sample_latent(self, n: int, rng: torch.Generator) -> Tensor:
        """Sample latent vectors ``(n, latent)`` as the generator does."""
        return self.generator.sample_latent(n, rng)

    def forward(self, z: Tensor) -> Tensor:
        """Latent vectors ``(N, latent)`` to images ``(N, C, H, W)``; each depends on its own latent vector alone."""
        return self.generator(torch.cat([self.reference, z]))[len(self.reference) :]
