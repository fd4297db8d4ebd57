"""`medlab train`: train a classifier on a set, both by name, and print its report on the test split.

The name "quick" takes network and recipe from the set and a budget; see `medlab.train.quick`.
"""

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
from medlab.train.quick import quick_recipe

QUICK = "quick"
CLASSIFIERS = {
    "ShallowCNN": lambda channels, classes, size: ShallowCNN(channels, classes, size),
    "SmallCNN": lambda channels, classes, size: SmallCNN(channels, classes),
    "small_resnet18": lambda channels, classes, size: small_resnet18(channels, classes),
}
RECIPE: dict[str, Any] = {"epochs": 10, "batch_size": 64, "lr": 1e-3}
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
    seconds: float | None = None,
    save: Path | None = None,
    **options: Any,
) -> None:
    """Train the classifier named `model` on the set named `data`; print the report; save the network to `save`.

    `options` are those of `fit`; None takes the usual value, or that of the recipe where `model` is "quick", for which
    `seconds` are the budget.

    Raises:
        ValueError: an unknown name, a set that is not one of 2-D images to classify, an argument that `fit` refuses.
        OSError: a file cannot be written.
    """
    quick = model == QUICK
    if model not in CLASSIFIERS and not quick:
        raise unknown_name_error("model", model, [*CLASSIFIERS, QUICK])
    if seconds is not None and not quick:
        raise ValueError(f'seconds is the budget of the model "{QUICK}"; for {model} say epochs')
    if save is not None:
        save.parent.mkdir(parents=True, exist_ok=True)  # fails now, not after the training
    seed_everything(seed)
    images = load(data, size=size, n=n, seed=seed)
    if images.info.task == "segmentation" or not (images.images.ndim == 4 or quick):
        also = f"; volumes are for {QUICK}" if images.images.ndim == 5 else ""
        raise ValueError(f"medlab train {model} takes sets of 2-D images to classify, {data} is {images!r}{also}")
    splits = images.split(seed=seed)
    if quick:
        chosen = quick_recipe(splits[0], seconds=60 if seconds is None else seconds)
        network, recipe, why = chosen.build(splits[0]), chosen.training, f"\n{chosen}"
    else:
        network, recipe, why = build(model, splits[0]), RECIPE | ({"augment": AUGMENT} if augment else {}), ""
    is_main = init_distributed(pick_device(options["device"])).is_main
    if is_main:
        sizes = ", ".join(f"{len(part)}" for part in splits)
        print(f"{model} on {data}: {sizes} images to train, validate, test on{why}")
    given = {name: value for name, value in options.items() if value is not None}
    history = fit(network, *splits[:2], seed=seed, **recipe | given)
    if is_main:
        test = splits[2]
        report = classification_report(
            predict(network, test), test.targets, patients=test.patients, classes=test.info.classes
        )
        print(history, report, sep="\n")
        if save is not None:
            decided = {"size": size, "n": n, "seconds": seconds, "seed": seed, "augment": augment}
            decided |= ({} if quick else RECIPE) | given
            for name in ("checkpoint", "resume", "overwrite", "device"):  # these decide nothing
                decided.pop(name, None)
            said = {name.replace("_", "-"): value for name, value in decided.items() if value}
            words = [word for name, value in said.items() for word in [f"--{name}", str(value)][: 2 - (value is True)]]
            plan = shlex.join(["medlab", "train", model, data, *words])
            save_model(save, network, splits[0], figures=report, plan=plan)


def build(model: str, train: ImageSet) -> nn.Module:
    """The classifier named `model` for the images of `train`, which it standardizes first."""
    _, channels, size, _ = train.images.shape
    return nn.Sequential(Standardize(train), CLASSIFIERS[model](channels, len(train.info.classes), size))
