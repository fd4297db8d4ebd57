"""Small images and networks that the tests of training share."""

import numpy as np
import torch

from medlab.data.images import ImageSet, Info
from medlab.models import ShallowCNN
from medlab.train import seed_everything
from medlab.train.devices import Placement

CPU = Placement(torch.device("cpu"), torch.float32, torch.contiguous_format)


def stripes(n=48, task="multi-class", classes=("down", "across"), seed=0, dtype=torch.float32):
    """Noisy 8 x 8 stripes, down or across; the label maps are their bright pixels."""
    generator = torch.Generator().manual_seed(seed)
    kind = torch.arange(n) % 2
    bright = (torch.arange(8) // 2 % 2).expand(n, 8, 8)
    bright = torch.where(kind[:, None, None] == 1, bright.transpose(1, 2), bright)
    images = (0.6 * bright + 0.4 * torch.rand(n, 8, 8, generator=generator))[:, None]
    targets = {"multi-class": kind, "multi-label": torch.stack([kind, 1 - kind], 1), "segmentation": bright}[task]
    images = (images * 255).round().to(torch.uint8) if dtype == torch.uint8 else images
    return ImageSet(images, targets, np.arange(n), Info("stripes", "made", task, classes, "MIT", "", phantom=True))


def network(seed=0, dropout=0.5, classes=2):
    seed_everything(seed)
    return ShallowCNN(classes=classes, size=8, dropout=dropout)


def weights(model):
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])
