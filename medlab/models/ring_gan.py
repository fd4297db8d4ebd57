"""GAN of points in the plane, for the ring of eight Gaussians: two small fully connected networks.

Sizes are our choice. Points are images of one pixel, channel 0 is x and channel 1 is y, so that these networks can
replace image networks in `medlab.train.fit_gan`. Inside, the networks compute with points of unit standard deviation,
as the toy code of Gulrajani et al. 2017 does.

| network       | layers                                          | parameters (width 128, latent 16) |
| ------------- | ----------------------------------------------- | --------------------------------- |
| generator     | z 16 - 128 ReLU - 128 ReLU - 2                  | 18 946                            |
| discriminator | 2 - 128 leaky ReLU - 128 leaky ReLU - 1, linear | 17 025                            |
"""

import torch
from torch import Tensor, nn

STD = 0.7 / 2**0.5  # of x and of y on a ring of radius 0.7, which is that of `medlab.phantoms.ring` in (-1, 1)


class RingGenerator(nn.Module):
    """Generator of points: two hidden layers, linear output.

    Args:
        latent: length of the latent vector.
        width: of the hidden layers.
    """

    size, channels = 1, 2

    def __init__(self, latent: int = 16, width: int = 128) -> None:
        super().__init__()
        self.latent = latent
        self.layers = nn.Sequential(
            nn.Linear(latent, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2)
        )

    def sample_latent(self, n: int, rng: torch.Generator) -> Tensor:
        """Sample normal latent vectors ``(n, latent)`` on the CPU."""
        return torch.randn(n, self.latent, generator=rng)

    def forward(self, z: Tensor) -> Tensor:
        """Latent vectors ``(N, latent)`` to points ``(N, 2, 1, 1)``, not bounded; those of the ring lie in (-1, 1)."""
        return STD * self.layers(z)[:, :, None, None]


class RingDiscriminator(nn.Module):
    """Discriminator of points, or the critic of a Wasserstein GAN: two hidden layers, then `head`.

    Args:
        width: of the hidden layers.
    """

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2))
        self.head = nn.Linear(width, 1)

    def features(self, images: Tensor) -> Tensor:
        """Points ``(N, 2, 1, 1)`` to ``(N, width)``."""
        return self.layers(images.flatten(1) / STD)

    def forward(self, images: Tensor) -> Tensor:
        """Points ``(N, 2, 1, 1)`` to logits ``(N,)``."""
        return self.head(self.features(images))[:, 0]
