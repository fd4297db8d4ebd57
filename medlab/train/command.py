"""`medlab train`: train a classifier on a set, both by name, and print its report on the test split."""

import shlex
from pathlib import Path
from typing import Any

from torch import nn

from medlab.data import load
from medlab.data.augment import Augment
from medlab.data.images import ImageSet
from medlab.errors import unknown_name_error
from medlab.metrics import classification_report
from medlab.models import ShallowCNN, SmallCNN, save_model, small_resnet18
from medlab.models.standardize import Standardize
from medlab.train.devices import pick_device, seed_everything
from medlab.train.distributed import init_distributed
from medlab.train.evaluate import predict
from medlab.train.fit import fit

CLASSIFIERS = {
    "ShallowCNN": lambda channels, classes, size: ShallowCNN(channels, classes, size),
    "SmallCNN": lambda channels, classes, size: SmallCNN(channels, classes),
    "small_resnet18": lambda channels, classes, size: small_resnet18(channels, classes),
}
# No flips or large turns: they suit every modality, also where sides matter.
AUGMENT = Augment(shift=0.05, rotate=5, scale=0.05, intensity=0.05)


def train(
    model: str,
    data: str,
    *,
    size: int | None,
    n: int | None,
    seed: int,
    augment: bool,
    save: Path | None = None,
    **options: Any,
) -> None:
    """Train the classifier named `model` on the set named `data`; print the report; save the network to `save`.

    `options` are those of `fit`.

    Raises:
        ValueError: an unknown name, a set that is not one of 2-D images to classify, an argument that `fit` refuses.
        OSError: a file cannot be written.
    """
    if model not in CLASSIFIERS:
        raise unknown_name_error("model", model, CLASSIFIERS)
    if save is not None:
        save.parent.mkdir(parents=True, exist_ok=True)  # fails now, not after the training
    seed_everything(seed)
    images = load(data, size=size, n=n, seed=seed)
    if images.info.task == "segmentation" or images.images.ndim != 4:
        raise ValueError(f"medlab train takes sets of 2-D images to classify, {data} is {images!r}")
    splits = images.split(seed=seed)
    network = build(model, splits[0])
    is_main = init_distributed(pick_device(options["device"])).is_main
    if is_main:
        print(f"{model} on {data}: {', '.join(f'{len(part)}' for part in splits)} images to train, validate, test on")
    history = fit(network, *splits[:2], seed=seed, augment=AUGMENT if augment else None, **options)
    if is_main:
        test = splits[2]
        report = classification_report(
            predict(network, test), test.targets, patients=test.patients, classes=test.info.classes
        )
        print(history, report, sep="\n")
        if save is not None:
            decided = {"size": size, "n": n, "seed": seed, "augment": augment} | options
            for name in ("checkpoint", "resume", "overwrite", "device"):  # these decide nothing
                decided.pop(name, None)
            given = {name.replace("_", "-"): value for name, value in decided.items() if value}
            words = [word for name, value in given.items() for word in [f"--{name}", str(value)][: 2 - (value is True)]]
            plan = shlex.join(["medlab", "train", model, data, *words])
            save_model(save, network, splits[0], figures=report, plan=plan)


def build(model: str, train: ImageSet) -> nn.Module:
    """The classifier named `model` for the images of `train`, which it standardizes first."""
    _, channels, size, _ = train.images.shape
    return nn.Sequential(Standardize(train), CLASSIFIERS[model](channels, len(train.info.classes), size))
