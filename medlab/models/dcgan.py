"""DCGAN: a generator and a discriminator of strided convolutions.

Radford, Metz, Chintala: Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks.
ICLR 2016, arXiv:1511.06434. Its five rules: strided and fractionally strided convolutions instead of pooling; batch
normalization in both, but neither at the generator's output nor at the discriminator's input; no hidden dense layer;
ReLU in the generator and tanh at its output; leaky ReLU in the discriminator.

| generator (64 x 64)        | output          | discriminator (64 x 64)    | output          |
| -------------------------- | --------------- | -------------------------- | --------------- |
| dense, norm, ReLU          | 1024 x 4 x 4    | conv, leaky ReLU           | 64 x 32 x 32    |
| up-conv, norm, ReLU        | 512 x 8 x 8     | conv, norm, leaky ReLU     | 128 x 16 x 16   |
| up-conv, norm, ReLU        | 256 x 16 x 16   | conv, norm, leaky ReLU     | 256 x 8 x 8     |
| up-conv, norm, ReLU        | 128 x 32 x 32   | conv, norm, leaky ReLU     | 512 x 4 x 4     |
| up-conv, tanh              | C x 64 x 64     | dense                      | 1               |

Every further doubling of the size adds a layer: 128 x 128 in three channels, as Islam and Zhang (Brain Informatics 7:3,
2020) generate PET, takes 19 055 171 weights in the generator and 17 433 089 in the discriminator.
"""

from numbers import Integral

import torch
from torch import Tensor, nn

from medlab.errors import unknown_name_error
from medlab.models.layers import transposed_conv, upsample2x

ACTIVATIONS = {"leaky_relu": lambda: nn.LeakyReLU(0.2, inplace=True), "elu": lambda: nn.ELU(inplace=True)}
NOISES = ("uniform", "normal")


def upsampling_steps(size: int) -> int:
    """Number of layers that double 4 pixels to `size`.

    Raises:
        ValueError: a size that is not 4 times a power of two.
    """
    steps = (int(size) // 4).bit_length() - 1
    if not isinstance(size, Integral) or steps < 1 or size != 4 * 2**steps:
        raise ValueError(
            f"size must be 4 times a power of two (8, 16, 32, 64, 128, ...), since every layer doubles or halves it; "
            f"got {size!r}: resize or pad the images"
        )
    return steps


def strided_conv(in_channels: int, out_channels: int, kernel: int, *, bias: bool) -> nn.Conv2d:
    """A strided convolution that halves height and width; `kernel` is 4 or 5."""
    return nn.Conv2d(in_channels, out_channels, kernel, 2, (kernel - 1) // 2, bias=bias)


@torch.no_grad()
def init_weights(layer: nn.Module) -> None:
    """Initialize a layer as the authors do, with ``network.apply(init_weights)`` all of a network.

    Weights are drawn from N(0, 0.02), gains of batch normalization from N(1, 0.02); biases are 0.
    """
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.BatchNorm2d):
        layer.weight.normal_(1.0 if isinstance(layer, nn.BatchNorm2d) else 0.0, 0.02)
        if layer.bias is not None:
            layer.bias.zero_()


class DCGenerator(nn.Module):
    """Generator of DCGAN: latent vectors to images.

    Args:
        size: side of the images in pixels, 4 times a power of two.
        channels: of the images.
        latent: length of the latent vector.
        width: channels at 4 x 4; every doubling of the size halves them.
        kernel: side of the kernels, 4 or 5; the paper's code has 5.
        noise: distribution of the latent vectors, "uniform" in (-1, 1) as in the paper, or "normal".
        tanh: tanh at the output, which bounds the images to (-1, 1). Han et al. (2018) leave it out.

    Raises:
        ValueError: a size that is not reached by doubling, an empty latent vector, an unknown noise, too few channels.
    """

    def __init__(
        self, size: int = 64, channels: int = 1, *, latent: int = 100, width: int = 1024, kernel: int = 5,
        noise: str = "uniform", tanh: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        steps = upsampling_steps(size)
        if noise not in NOISES:
            raise unknown_name_error("noise", noise, NOISES)
        if width < 2 ** (steps - 1):
            raise ValueError(f"width {width} cannot be halved {steps - 1} times; take at least {2 ** (steps - 1)}")
        self.size, self.channels, self.latent, self.noise = size, channels, latent, noise
        widths = [width // 2**k for k in range(steps)]
        self.project = nn.Sequential(
            nn.Linear(latent, width * 16, bias=False), nn.Unflatten(1, (width, 4, 4)),
            nn.BatchNorm2d(width), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.upsample = nn.Sequential(*(upsample2x(a, b, kernel, bias=False) for a, b in zip(widths, widths[1:])))
        conv = transposed_conv(widths[-1], channels, kernel)
        self.to_image = nn.Sequential(conv, nn.Tanh() if tanh else nn.Identity())
        self.apply(init_weights)

    def sample_latent(self, n: int, rng: torch.Generator) -> Tensor:
        """Sample latent vectors ``(n, latent)`` on the CPU from the distribution that the generator is trained with."""
        if self.noise == "normal":
            return torch.randn(n, self.latent, generator=rng)
        return 2 * torch.rand(n, self.latent, generator=rng) - 1

    def forward(self, z: Tensor) -> Tensor:
        """Latent vectors ``(N, latent)`` to images ``(N, channels, size, size)``, in (-1, 1) with tanh."""
        x = self.project(z)  # (N, width, 4, 4)
        x = self.upsample(x)  # (N, 2 width / (size / 4), size / 2, size / 2)
        return self.to_image(x)


class DCDiscriminator(nn.Module):
    """Discriminator of DCGAN: images to one logit each, above 0 for "real"; the sigmoid is part of the loss.

    Args:
        size: side of the images in pixels, 4 times a power of two.
        channels: of the images.
        width: channels of the first layer; every further layer doubles them. The paper's own 64 x 64 network has 128.
        kernel: side of the kernels, 4 or 5; the paper's code has 5.
        activation: "leaky_relu" (slope 0.2), or "elu" as in Han et al. (2018).
        norm: batch normalization in all layers but the first.

    Raises:
        ValueError: a size that is not reached by halving, an unknown activation.
    """

    def __init__(
        self, size: int = 64, channels: int = 1, *, width: int = 64, kernel: int = 5,
        activation: str = "leaky_relu", norm: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        if activation not in ACTIVATIONS:
            raise unknown_name_error("activation", activation, ACTIVATIONS)
        widths = [width * 2**k for k in range(upsampling_steps(size))]
        first = nn.Sequential(strided_conv(channels, width, kernel, bias=True), ACTIVATIONS[activation]())
        further = (
            nn.Sequential(
                strided_conv(a, b, kernel, bias=not norm),
                nn.BatchNorm2d(b) if norm else nn.Identity(),
                ACTIVATIONS[activation](),
            )
            for a, b in zip(widths, widths[1:])
        )
        self.features = nn.Sequential(first, *further, nn.Flatten())  # strided convolutions down to 4 x 4
        self.head = nn.Linear(width * size * 2, 1)  # width size / 8 channels of 4 x 4
        self.apply(init_weights)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, channels, size, size)`` in (-1, 1) to logits ``(N,)``."""
        return self.head(self.features(images)).squeeze(1)
