"""Generator and discriminator of points in the plane, for the ring of eight Gaussians: two small dense networks.

Sizes are ours. Points are kept as images of one pixel, channel 0 is x and channel 1 is y, so these networks can take
the place of image networks in `medlab.train.fit_gan`.

| network       | layers                                          | parameters (width 128, latent 16) |
| ------------- | ----------------------------------------------- | --------------------------------- |
| generator     | z 16 - 128 ReLU - 128 ReLU - 2                  | 18 946                            |
| discriminator | 2 - 128 leaky ReLU - 128 leaky ReLU - 1, linear | 17 025                            |
"""

import torch
from torch import Tensor, nn


class RingGenerator(nn.Module):
    """Noise to points: two hidden layers, linear output, unbounded.

    Args:
        latent: numbers of normal noise a point is made from.
        width: of the hidden layers.
    """

    size, channels = 1, 2

    def __init__(self, latent: int = 16, width: int = 128) -> None:
        super().__init__()
        if latent < 1:
            raise ValueError(f"latent must be at least 1, got {latent}: without noise all points would be the same")
        self.latent = latent
        self.layers = nn.Sequential(
            nn.Linear(latent, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2)
        )

    def sample_latent(self, n: int, rng: torch.Generator) -> Tensor:
        """Normal noise ``(n, latent)`` on the CPU."""
        return torch.randn(n, self.latent, generator=rng)

    def forward(self, z: Tensor) -> Tensor:
        """Noise ``(N, latent)`` to points ``(N, 2, 1, 1)``, of which the ring has those in (-1, 1)."""
        return self.layers(z)[:, :, None, None]


class RingDiscriminator(nn.Module):
    """Points to a score: two hidden layers, then `head`. For Wasserstein losses it is the critic as it stands.

    Args:
        width: of the hidden layers.
    """

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2))
        self.head = nn.Linear(width, 1)

    def features(self, images: Tensor) -> Tensor:
        """Points ``(N, 2, 1, 1)`` to ``(N, width)``."""
        return self.layers(images.flatten(1))

    def forward(self, images: Tensor) -> Tensor:
        """Points ``(N, 2, 1, 1)`` to logits ``(N,)``."""
        return self.head(self.features(images))[:, 0]
