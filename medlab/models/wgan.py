"""The critic of a WGAN for brain MR: DCGAN's discriminator with ELU, and an unbounded score in place of a probability.

Arjovsky, Chintala, Bottou: Wasserstein GAN. ICML 2017, arXiv:1701.07875. Han et al.: GAN-based synthetic brain MR image
generation. ISBI 2018, 734-738. At 128 x 128:

| layer           | output (width 32) |
| --------------- | ----------------- |
| conv, ELU       | 32 x 64 x 64      |
| conv, norm, ELU | 64 x 32 x 32      |
| conv, norm, ELU | 128 x 16 x 16     |
| conv, norm, ELU | 256 x 8 x 8       |
| conv, norm, ELU | 512 x 4 x 4       |
| dense           | 1                 |

The convolutions are 4 x 4 with stride 2. The critic has 2 795 937 parameters; its generator,
``DCGenerator(128, width=512, kernel=4, noise="normal", tanh=False)``, has 3 606 977. Widths are half of DCGAN's.
"""

from medlab.models.dcgan import DCDiscriminator


class WGANCritic(DCDiscriminator):
    """Critic of a WGAN: images ``(N, channels, size, size)`` to scores ``(N,)``, unbounded, high for real ones.

    Args:
        size: side of the images in pixels, 4 times a power of two.
        channels: of the images.
        width: channels of the first layer; every further layer doubles them.
        kernel: side of the kernels, 4 or 5.
        norm: batch normalization in all layers but the first. False for the gradient penalty (Gulrajani et al. 2017,
            arXiv:1704.00028), which is computed image by image.
        activation: "elu", or "leaky_relu". Clipped weights keep what reaches an activation near 0, where ELU is
            almost straight: such a critic is almost linear, and one with leaky ReLU is not.

    Raises:
        ValueError: a size that is not reached by halving, an unknown activation.
    """

    def __init__(
        self, size: int = 128, channels: int = 1, *, width: int = 32, kernel: int = 4, norm: bool = True,
        activation: str = "elu",
    ) -> None:  # fmt: skip
        super().__init__(size, channels, width=width, kernel=kernel, activation=activation, norm=norm)
