"""A classifier as the rater of a visual Turing test: the two-sample test by classifier.

Lopez-Paz, Oquab: Revisiting classifier two-sample tests. ICLR 2017, arXiv:1610.06545. If no classifier can tell fresh
real images from fresh synthetic ones, their distributions are close, as far as that classifier can see.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from medlab.data.images import ImageSet, Info
from medlab.models.small_cnn import SmallCNN
from medlab.models.standardize import Standardize
from medlab.train.devices import seed_everything
from medlab.train.fit import fit

INFO = Info("two samples", "any", "multi-class", ("real", "synthetic"), "that of the images", "", phantom=True)


def machine_rater(
    real: Tensor, synthetic: Tensor, *, epochs: int = 8, width: int = 8, seed: int = 0
) -> Callable[[Tensor], Tensor]:
    """Train a `SmallCNN` of `width` maps to tell real from synthetic images, for `epochs` passes over both.

    Args:
        real, synthetic: ``(N, C, H, W)`` in [0, 1]. Images that will be rated must not be among them: a rater that has
            seen them before remembers, and does not judge.
        epochs, width, seed: of the training; the seed decides the starting weights too.

    Returns:
        A function from images ``(N, C, H, W)`` to answers ``(N,)``, True for "synthetic".
    """
    images = torch.cat([real, synthetic])
    targets = torch.tensor([0] * len(real) + [1] * len(synthetic))
    data = ImageSet(images, targets, np.arange(len(images)), INFO)
    seed_everything(seed)
    network = nn.Sequential(Standardize(data), SmallCNN(images.shape[1], classes=2, width=width))
    fit(network, data, epochs=epochs, batch_size=min(16, len(data)), seed=seed, progress=False)

    @torch.inference_mode()
    def rate(images: Tensor) -> Tensor:
        device = next(network.parameters()).device
        return network(images.to(device)).argmax(1).cpu().bool()

    return rate
