"""ACGAN: a generator conditioned on the class, and a discriminator with an auxiliary classifier.

Odena, Olah, Shlens: Conditional Image Synthesis with Auxiliary Classifier GANs. ICML 2017, arXiv:1610.09585. Used for
liver lesions by Frid-Adar et al. (Neurocomputing 321:321-331, 2018), who replaced the original
discriminator by DCGAN's. Both networks here are DCGAN's with what the class needs:

| generator                              | discriminator                                   |
| -------------------------------------- | ----------------------------------------------- |
| embedding of the class                 | DCGAN's convolutions to features                |
| concatenated to the noise; DCGAN's     | dense to one logit: real?                       |
| layers                                 | dense to K logits: which class?                 |

The paper does not say how the class enters; an embedding beside the noise is our choice.
"""

import torch
from torch import Tensor, nn

from medlab.errors import whole_number
from medlab.models.dcgan import DCDiscriminator, DCGenerator, init_weights


class ACGenerator(nn.Module):
    """Generator of ACGAN: latent vectors and classes to images.

    Args:
        classes: number of classes, at least 2.
        size, channels, latent, width, kernel, noise: as in `DCGenerator`.
        embedding: length of the embedding of a class.

    Raises:
        ValueError: fewer than two classes, and all that `DCGenerator` raises.
    """

    def __init__(
        self, classes: int = 3, size: int = 64, channels: int = 1, *, latent: int = 100, width: int = 1024,
        kernel: int = 5, noise: str = "uniform", embedding: int = 20,
    ) -> None:  # fmt: skip
        super().__init__()
        whole_number("classes", classes, 2)
        self.classes, self.size, self.channels, self.latent = classes, size, channels, latent
        self.embedding = nn.Embedding(classes, embedding)
        nn.init.uniform_(self.embedding.weight, -1, 1)  # the range of the noise
        self.generator = DCGenerator(size, channels, latent=latent + embedding, width=width, kernel=kernel, noise=noise)

    def sample_latent(self, n: int, rng: torch.Generator) -> Tensor:
        """Sample latent vectors ``(n, latent)`` on the CPU from the distribution that the generator is trained with."""
        return self.generator.sample_latent(n, rng)[:, : self.latent]

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Latent vectors ``(N, latent)`` and classes ``(N,)`` to images ``(N, channels, size, size)`` in (-1, 1)."""
        return self.generator(torch.cat([z, self.embedding(labels)], 1))


class ACDiscriminator(DCDiscriminator):
    """Discriminator of ACGAN: images to a logit each, above 0 for "real", and K logits of the class.

    Args:
        classes: number of classes, at least 2.
        size, channels, width, kernel: as in `DCDiscriminator`.

    Raises:
        ValueError: fewer than two classes, and all that `DCDiscriminator` raises.
    """

    def __init__(
        self, classes: int = 3, size: int = 64, channels: int = 1, *, width: int = 64, kernel: int = 5
    ) -> None:
        super().__init__(size, channels, width=width, kernel=kernel)
        whole_number("classes", classes, 2)
        self.classifier = nn.Linear(self.head.in_features, classes)
        init_weights(self.classifier)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]  # logits of the class, too
        """Images ``(N, channels, size, size)`` in (-1, 1) to logits ``(N,)`` of "real" and ``(N, K)`` of the class."""
        features = self.features(images)
        return self.head(features).squeeze(1), self.classifier(features)
