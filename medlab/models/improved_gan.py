"""Two layers that change what a GAN can see: minibatch discrimination, and virtual batch normalization.

Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen: Improved Techniques for Training GANs. NeurIPS 2016,
arXiv:1606.03498, sections 3.2 and 3.5.

| layer                   | input            | output           | parameters                     |
| ----------------------- | ---------------- | ---------------- | ------------------------------ |
| minibatch discrimination | N x A           | N x (A + B)      | A B C (100 kernels B of C = 5) |
| virtual batch norm      | (R + N) x M maps | (R + N) x M maps | 2 M                            |
"""

import torch
from torch import Tensor, nn


class MinibatchDiscrimination(nn.Module):
    """Let each image of a batch see how close its features are to those of the others.

    ``M_i = f(x_i) T``, ``c_b(x_i, x_j) = exp(-|M_ib - M_jb|_1)``, and ``o(x_i)_b = sum_j c_b(x_i, x_j)`` is put beside
    ``f(x_i)``. A generator that makes the same image again and again gives itself away. The sum is over the batch, i
    itself among it as printed, so train and use the layer with batches of one size, real and synthetic ones apart.

    Args:
        features: A, numbers per image that come in.
        kernels: B, numbers per image that are added.
        dims: C, dimensions in which distances are measured.

    The authors' code normalizes T and adds a bias; here T starts from N(0, 1 / A), and what follows learns the bias.
    """

    def __init__(self, features: int, kernels: int = 100, dims: int = 5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, kernels, dims) / features**0.5)

    def forward(self, features: Tensor) -> Tensor:
        """``(N, A)`` to ``(N, A + B)``."""
        maps = torch.einsum("na,abc->nbc", features, self.weight)  # (N, B, C)
        distance = (maps[:, None] - maps).abs().sum(3)  # (N, N, B)
        return torch.cat([features, torch.exp(-distance).sum(1)], 1)


class VirtualBatchNorm(nn.Module):
    """Normalize each image with the statistics of a fixed reference batch and of itself, of nothing else.

    The first `reference` rows of the input are the reference batch, which is normalized by itself. With R of them, mean
    and mean square of an image are ``R / (R + 1)`` of theirs and ``1 / (R + 1)`` of its own, as in the authors' code.

    Args:
        maps: M, channels.
        reference: R, rows of the reference batch.
        eps: added to the variance.
    """

    def __init__(self, maps: int, reference: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.reference, self.eps = reference, eps
        self.weight, self.bias = nn.Parameter(torch.ones(maps)), nn.Parameter(torch.zeros(maps))

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
    """A generator whose batch normalizations are virtual: it makes the reference images along with every batch.

    That doubles its work where the batch is as large as the reference, the price that the paper names.

    Args:
        generator: has `sample_latent(n, rng)`; its `BatchNorm2d` layers are replaced, in place, their gains and biases kept.
        reference: noise ``(R, latent)`` of the reference batch, drawn once at the start.

    Raises:
        ValueError: a generator without `BatchNorm2d`, fewer than two rows of noise.
    """

    def __init__(self, generator: nn.Module, reference: Tensor) -> None:
        super().__init__()
        if len(reference) < 2:
            raise ValueError(f"a reference batch of {len(reference)} has no spread: give at least two rows of noise")
        norms = [(name, layer) for name, layer in generator.named_modules() if isinstance(layer, nn.BatchNorm2d)]
        if not norms:
            raise ValueError(f"{type(generator).__name__} has no BatchNorm2d that could be replaced")
        for name, layer in norms:
            virtual = VirtualBatchNorm(layer.num_features, len(reference), layer.eps)
            virtual.weight, virtual.bias = layer.weight, layer.bias
            generator.set_submodule(name, virtual)
        self.generator = generator
        self.register_buffer("reference", reference)

    def sample_latent(self, n: int, rng: torch.Generator) -> Tensor:
        """Noise ``(n, latent)`` as the generator draws it."""
        return self.generator.sample_latent(n, rng)

    def forward(self, z: Tensor) -> Tensor:
        """Noise ``(N, latent)`` to images ``(N, C, H, W)``; each depends on its own noise alone."""
        return self.generator(torch.cat([self.reference, z]))[len(self.reference) :]
