"""The critic of a WGAN, as Han et al. built it for brain MR: the layers of DCGAN with ELU, and a score in place of a
probability.

Arjovsky, Chintala, Bottou: Wasserstein GAN. ICML 2017, arXiv:1701.07875. Han et al.: GAN-based synthetic brain MR image
generation. ISBI 2018, 734-738. At 128 x 128 and width 32 it has 2 795 937 weights; its generator,
``DCGenerator(128, width=512, kernel=4, noise="normal", tanh=False)``, has 3 606 977. Widths are half of DCGAN's.
"""

from torch import Tensor, nn

from medlab.models.dcgan import init_weights, shrink


class WGANCritic(nn.Module):
    """Images to one score each, without bound: high for real ones.

    Args:
        size: side of the images in pixels, 4 times a power of two.
        channels: of the images.
        width: maps of the first layer; every further layer doubles them.
        kernel: side of the kernels, 4 or 5.
        norm: batch normalization but in the first layer. False for the gradient penalty (Gulrajani et al. 2017,
            arXiv:1704.00028), which is taken image by image.

    Raises:
        ValueError: a size that is not reached by halving.
    """

    def __init__(
        self, size: int = 128, channels: int = 1, *, width: int = 32, kernel: int = 4, norm: bool = True
    ) -> None:
        super().__init__()
        self.features = shrink(size, channels, width, kernel, "elu", norm=norm)
        self.head = nn.Linear(width * size * 2, 1)  # width size / 8 maps of 4 x 4
        self.apply(init_weights)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, channels, size, size)`` to scores ``(N,)``."""
        return self.head(self.features(images)).squeeze(1)
