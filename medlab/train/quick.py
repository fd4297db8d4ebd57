"""One recipe for any set of classes: network, steps and augmentation follow from the set and from a budget.

Most of the numbers were chosen on training and validation parts of PneumoniaMNIST, RetinaMNIST, VesselMNIST3D, MedNIST,
ISIC-2017, NIH films and blood cells at 28 pixels, three folds each; the test parts were read once, by
`tests/benchmarks/quick.py`. What is compared with is MedMNIST v2 (Yang et al., Scientific Data 10:41, 2023).
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from medlab.data.augment import Augment, AugmentVolumes
from medlab.data.images import ImageSet, check_sets
from medlab.models.cost import multiply_adds
from medlab.models.small_cnn import SmallCNN
from medlab.models.standardize import Standardize

RATE = 8e10  # multiply-adds a second in small convolutions: two processor cores of 2024 in bfloat16
PASSES = 3  # a training step costs three forward passes: forward, gradients of the inputs, gradients of the weights
NARROW, WIDE = 16, 32  # channels of the first block
MANY = 4000  # images from which the wider network is taken; on 1,200 to 4,700 it changed AUC by -0.001 to 0.008
ENOUGH = 10  # passes that the wider network must get; not tried
LARGE = 48  # pixels above which the first convolution takes every second one; not tried with images, only with volumes
EPOCHS = 40  # twice as many brought 546 films 0.001 of AUC, and cost 325 films 0.009
STEPS = 600  # of 546 films 170 steps gave an AUC of 0.988, 680 steps 0.994


@dataclass(frozen=True)
class QuickRecipe:
    """A network and its training, with the reason of each choice; `quick_recipe` makes it.

    `network` are the arguments of `SmallCNN`, `training` those of `fit`, `operations` the multiply-adds of the whole
    training, and `reasons` says for each choice why. Printed, it is a table.

    Example:
        >>> from medlab.data import load
        >>> train, _, _ = load("lung").split()
        >>> recipe = quick_recipe(train, seconds=1)
        >>> network = recipe.build(train)
        >>> history = fit(network, train, progress=False, **recipe.training)
    """

    network: dict[str, Any]
    training: dict[str, Any]
    operations: float
    reasons: dict[str, str]

    def build(self, train: ImageSet) -> nn.Module:
        """The network, which standardizes images as `train` says; PyTorch's seed decides its weights."""
        return nn.Sequential(Standardize(train), SmallCNN(**self.network))

    def __str__(self) -> str:
        values = self.network | self.training | {"operations": f"{self.operations:.2g}"}
        return "\n".join(f"{name:12} {values[name]!s:>8}  {why}" for name, why in self.reasons.items())


def quick_recipe(train: ImageSet, *, seconds: float = 60.0, rate: float = RATE) -> QuickRecipe:
    """Decide how to train a small network on `train` within a budget of ``seconds * rate`` multiply-adds.

    No clock is read: the same set and budget give the same recipe on every machine, and a slower one takes longer.

    Args:
        train: the training images ``(N, C, H, W)`` or volumes ``(N, C, D, H, W)`` with their classes.
        seconds: what the training may take on a machine of that `rate`.
        rate: multiply-adds a second; the usual one is that of two processor cores of 2024 with bfloat16.

    Raises:
        ValueError: a set without classes, a budget that is not positive or too small for one pass over the images.
    """
    check_sets(train)
    if train.info.task not in ("multi-class", "multi-label"):
        raise ValueError(f"quick_recipe takes sets of images with classes, {train.info.name} is {train.info.task}")
    budget = seconds * rate
    if not 0 < budget < math.inf:
        raise ValueError(f"seconds and rate must be positive, got {seconds} s at {rate} multiply-adds a second")
    n, channels, *sides = train.images.shape
    axes = len(sides)
    large = axes == 3 or min(sides) > LARGE
    network: dict[str, Any] = {
        "in_channels": channels, "classes": len(train.info.classes), "width": WIDE,
        "dropout": 0.3, "axes": axes, "stride": 2 if large else 1,
    }  # fmt: skip

    def passes() -> tuple[float, int]:  # multiply-adds of one over the images, and how many the budget pays
        with torch.device("meta"):
            cost = n * PASSES * multiply_adds(SmallCNN(**network), torch.empty(1, channels, *sides))
        return cost, min(EPOCHS, int(budget / cost))

    if n < MANY or passes()[1] < ENOUGH:
        network["width"] = NARROW
    cost, epochs = passes()
    if epochs < 1:
        raise ValueError(
            f"{seconds:g} s at {rate:.0e} multiply-adds a second do not suffice for one pass over {n} images, which "
            f"takes {cost:.1e}: give at least {math.ceil(cost / rate)} s, or fewer images"
        )
    batch = 32 if epochs * n < STEPS * 64 else 64
    moves: dict[str, Any] = {"shift": 0.08, "rotate": 8, "scale": 0.08}
    augment = AugmentVolumes(**moves) if axes == 3 else Augment(intensity=0.1, **moves)
    training = {"epochs": epochs, "batch_size": batch, "lr": 2e-3, "weight_decay": 0.05, "augment": augment}
    reasons = {
        "width": f"{n} training images; {WIDE} from {MANY} on, where {ENOUGH} passes can be paid",
        "dropout": "usual for few images; without it 325 films had the same AUC",
        "axes": "volumes: AUC .94 in three axes, .92 with depth as channels (VesselMNIST3D)" if axes == 3 else "images",
        "stride": f"sides above {LARGE} or volumes: half the positions along each axis" if large else "small images",
        "epochs": f"at most {EPOCHS}, and within the budget of {budget:.1e}",
        "batch_size": f"64, or 32 where 64 would give fewer than {STEPS} steps",
        "lr": "the largest of a cosine schedule that rises from a small rate first; no other was tried",
        "weight_decay": "of AdamW; likewise",
        "augment": "no mirror images: which side is which may be the class",
        "operations": f"of {budget:.1e}: {seconds:g} s at {rate:.0e} multiply-adds a second",
    }
    return QuickRecipe(network, training, cost * epochs, reasons)
