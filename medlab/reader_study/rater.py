"""Reader study: a machine rater of the visual Turing test, by a classifier two-sample test.

Lopez-Paz, Oquab: Revisiting classifier two-sample tests. ICLR 2017, arXiv:1610.06545. If no classifier can tell unseen
real images from unseen synthetic ones, their distributions are close, as far as that classifier can see.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from medlab.data.images import ImageSet, Info
from medlab.metrics.image_checks import check_same_size
from medlab.models.small_cnn import SmallCNN
from medlab.models.standardize import Standardize
from medlab.train.devices import seed_everything
from medlab.train.fit import fit

INFO = Info("two samples", "any", "multi-class", ("real", "synthetic"), "that of the images", "", phantom=True)


def machine_rater(real: Tensor, synthetic: Tensor, *, epochs: int = 8, seed: int = 0) -> Callable[[Tensor], Tensor]:
    """Train a machine rater: a `SmallCNN` that classifies images as real or synthetic (classifier two-sample test).

    Args:
        real, synthetic: training images ``(N, C, H, W)`` in [0, 1]. Images to be rated must not be among them: the
            rater would have memorized them.
        epochs, seed: of the training; the seed decides the initial weights too.

    Returns:
        A function from images ``(N, C, H, W)`` to answers ``(N,)``, True for "synthetic".
    """
    check_same_size(real, synthetic, "real", "synthetic")
    images = torch.cat([real, synthetic])
    targets = torch.tensor([0] * len(real) + [1] * len(synthetic))
    data = ImageSet(images, targets, np.arange(len(images)), INFO)
    seed_everything(seed)
    network = nn.Sequential(Standardize(data), SmallCNN(images.shape[1], classes=2, width=8))
    fit(network, data, epochs=epochs, batch_size=min(16, len(data)), seed=seed, progress=False)

    @torch.inference_mode()
    def rate(images: Tensor) -> Tensor:
        device = next(network.parameters()).device
        return network(images.to(device)).argmax(1).cpu().bool()

    return rate
