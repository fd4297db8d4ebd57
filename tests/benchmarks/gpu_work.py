"""The trainings of the lessons at full size: what each takes, as counted and as estimated for three cards.

A training step costs the larger of two times: that of starting its operations one by one, and that of its arithmetic.
Operations and GFLOP of a step were counted by PyTorch's `FlopCounterMode` on the meta device and by the pretend device
of the tests; the rates are what convolutions of such widths reach on these cards, not their peak.

    python tests/benchmarks/gpu_work.py        # the estimated minutes of each lesson, as README has them
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from medlab import models, train
from medlab.data import Augment, ImageSet
from medlab.train import History


@dataclass(frozen=True)
class Work:
    """A training at the size of a paper: how many steps the lesson takes, what one costs, and the training itself.

    `kind` is that of its convolutions: "narrow", "wide" or "resnet". `run` takes (small,
    steps, settings) and gives the networks and the history of two epochs of so many steps; small networks try the
    script itself. No steps: the lesson has no scale "full", and only a step is measured.
    """

    lesson: str
    steps: int
    gflop: float
    operations: int
    kind: str
    run: Callable[[bool, int, dict], tuple[list, History]]


# Seconds to start an operation, and FLOP/s by kind. The T4 trains in float16 (taken as twice its rate in float32), an
# RTX 4060 and an H100 in bfloat16, and predict in TF32.
CARDS = {
    "T4": (15e-6, {"narrow": 5e12, "wide": 7e12, "resnet": 6e12}),
    "RTX 4060": (8e-6, {"narrow": 8e12, "wide": 18e12, "resnet": 10e12}),
    "H100": (8e-6, {"narrow": 20e12, "wide": 110e12, "resnet": 60e12}),
}


def estimate() -> dict[str, dict[str, float]]:
    """By lesson and card: the minutes of the lesson's trainings at full size."""
    minutes: dict[str, dict[str, float]] = {}
    for work in (work for work in WORK.values() if work.steps):
        row = minutes.setdefault(work.lesson, dict.fromkeys(CARDS, 0.0))
        for card, (start, rates) in CARDS.items():
            row[card] += work.steps / 60 * max(work.operations * start, 1e9 * work.gflop / rates[work.kind])
    return minutes


def random_set(n: int, side: int, channels: int = 1, classes: int = 3, maps: bool = False, axes: int = 2) -> ImageSet:
    """Noise of the shape that matters, with classes or with label maps."""
    rng = torch.Generator().manual_seed(0)
    shape = (n, channels, *[side] * axes)
    targets = torch.randint(classes, (n, *shape[2:]), generator=rng) if maps else torch.arange(n) % classes
    images = torch.rand(shape, generator=rng)
    names = tuple(map(str, range(classes)))
    task = "segmentation" if maps else "multi-class"
    return ImageSet(images, targets, np.arange(n), task=task, classes=names, name="random")


def _fit(build: Callable, side: tuple[int, int], batch: int, shape: dict, **how):
    """A training by `fit`; `build` takes how far the small network is divided, `side` is (full size, small)."""

    def run(small: bool, steps: int, settings: dict):
        model = build(8 if small else 1)
        data = random_set(steps * batch, side[small], **shape)
        return [model], train.fit(model, data, epochs=2, batch_size=batch, **how, **settings)

    return run


def _gan(build: Callable, side: tuple[int, int], batch: int, channels: int = 1, **how):
    """A training by `fit_gan`; `build` takes the side and how far the widths are divided, and gives both networks."""

    def run(small: bool, steps: int, settings: dict):
        pair = build(side[small], 8 if small else 1)
        data = random_set(4 * batch, side[small], channels)
        return list(pair), train.fit_gan(
            *pair, data, epochs=2, steps_per_epoch=steps, batch_size=batch, **how, **settings
        )

    return run


def _scan(small: bool, steps: int, settings: dict):
    shape = {"width": 4 if small else 8, "poolings": 2 if small else 4}
    pair = models.SCANSegmenter(1, 4, **shape), models.SCANCritic(4, **shape)
    data = random_set(8 * steps, 32 if small else 400, 1, 4, maps=True)
    return list(pair), train.fit_scan(*pair, data, epochs=2, warmup=0, batch_size=8, **settings)


def _synergic(components: int):
    def run(small: bool, steps: int, settings: dict):
        def backbone(features: int):
            if small:
                return models.SmallCNN(3, features, 8)
            return torch.nn.Sequential(models.Backbone("resnet50"), torch.nn.Linear(2048, features))

        model = models.SynergicNetwork(components, 3, features=32 if small else 1024, backbone=backbone)
        data = random_set(32 * steps, 32 if small else 224, 3)
        turn = Augment(flip=True, shift=0.1, rotate=10, scale=0.1)
        return [model], train.fit_synergic(model, data, epochs=2, batch_size=32, augment=turn, **settings)

    return run


def _patches(view: str):
    def build(divided: int):
        small = {"width": 12, "kernel": 3, "channels": (4, 8), "dense": 16}
        return models.PatchCNN(view, **small if divided > 1 else {})

    return build


def _dcgan(generator: int, discriminator: int, channels: int = 1, critic: type = models.DCDiscriminator, **how):
    own = {"norm": False} if how.pop("penalty", False) else {}
    own |= {"kernel": how["kernel"]} if critic is models.DCDiscriminator and "kernel" in how else {}

    def build(side: int, divided: int):
        g = models.DCGenerator(side, channels, width=generator // divided, **how)
        return g, critic(side, channels, width=discriminator // divided, **own)

    return build


def _drinet(divided: int):
    return models.DRINet(1, 5, growth=24 // divided, weight_std=None)


def _unet(divided: int):
    return models.DRINetBaseline(1, 5, 32 // divided, 4, weight_std=None)


def _segmenter(divided: int):
    return models.SCANSegmenter(1, 4, 8, 4 if divided == 1 else 2)


def _lesions(divided: int):
    return models.LesionCNN(1, 3, 64 if divided == 1 else 32, 32 // divided)


MAPS, LUNGS = {"classes": 5, "maps": True}, {"classes": 4, "maps": True}
PLANES, VOLUMES = {"classes": 2, "channels": 3}, {"classes": 2, "axes": 3}
DICE = {"loss": train.dice_cross_entropy}
SLOW = {"weight_decay": 0.0, "lr": 2e-4, "schedule": "constant"}
HAN = {"kernel": 4, "tanh": False}  # of the generators of lesson 07
CRITIC, PENALTY = HAN | {"critic": models.WGANCritic}, HAN | {"critic": models.WGANCritic, "penalty": True}
SALIMANS = {"kernel": 4, "latent": 32}  # of those of lesson 09
CLIPPED, PENALIZED = {"loss": "wgan"}, {"loss": "wgan-gp"}
# fmt: off
WORK = {
    "one network": Work("02", 0, 778, 960, "resnet", _synergic(1)),
    "SDL, 2 networks": Work("02", 0, 1556, 1920, "resnet", _synergic(2)),
    "SDL, 3 networks": Work("02", 0, 2334, 2932, "resnet", _synergic(3)),
    "U-Net": Work("03", 4324, 161, 497, "wide", _fit(_unet, (128, 16), 8, MAPS, **DICE)),
    "DRINet": Work("03", 4324, 145, 1700, "wide", _fit(_drinet, (128, 16), 8, MAPS, **DICE)),
    "three planes": Work("04", 0, 22, 145, "narrow", _fit(_patches("triplanar"), (24, 12), 64, PLANES)),
    "cube": Work("04", 0, 280, 130, "wide", _fit(_patches("volume"), (24, 12), 64, VOLUMES)),
    "segmenter": Work("05", 0, 61, 457, "narrow", _fit(_segmenter, (400, 32), 8, LUNGS, **SLOW)),
    "SCAN": Work("05", 0, 260, 1705, "narrow", _scan),
    "DCGAN 128, color": Work("06", 0, 1204, 484, "wide", _gan(_dcgan(1024, 64, 3), (128, 16), 64, 3, ema=0.999)),
    "DCGAN 128": Work("07", 0, 190, 394, "narrow", _gan(_dcgan(512, 32, **HAN), (128, 16), 64)),
    "WGAN": Work("07", 0, 680, 1426, "narrow", _gan(_dcgan(512, 32, **CRITIC), (128, 16), 64, **CLIPPED)),
    "WGAN-GP": Work("07", 0, 1300, 2400, "narrow", _gan(_dcgan(512, 32, **PENALTY), (128, 16), 64, **PENALIZED)),
    "LesionCNN": Work("08", 8 * 37_800, 10.8, 160, "narrow", _fit(_lesions, (64, 32), 64, {}, optimizer="nesterov")),
    "DCGAN 64, lesions": Work("08", 18_500, 600, 320, "wide", _gan(_dcgan(1024, 64), (64, 16), 64)),
    "DCGAN 64": Work("09", 200_000, 80, 320, "narrow", _gan(_dcgan(512, 64, **SALIMANS), (64, 16), 32)),
    "GAN of few labels": Work("09", 240_000, 8, 260, "narrow", _gan(_dcgan(64, 16, **SALIMANS), (32, 16), 32)),
}
# fmt: on

if __name__ == "__main__":
    for lesson, row in estimate().items():
        print(lesson, ", ".join(f"{card} {minutes:.0f} min" for card, minutes in row.items()))
