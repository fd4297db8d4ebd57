"""`fit_synergic`: several classifiers at once, each on its own images, with a verifier for every pair of them.

Zhang, Xie, Wu, Xia: Medical Image Analysis 54:10-19, 2019, section 3.
"""

import math
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from tqdm.auto import tqdm

from medlab.data.augment import Augment
from medlab.data.images import ImageSet
from medlab.models.synergic import SynergicNetwork
from medlab.train.devices import pick_device, pick_layout, pick_precision
from medlab.train.evaluate import validate
from medlab.train.fit import LARGE_PRIME, Recipe, check_data, check_outputs
from medlab.train.state import History, Training, training_settings


def fit_synergic(
    model: SynergicNetwork,
    train: ImageSet,
    val: ImageSet | None = None,
    *,
    epochs: int,
    batch_size: int = 32,
    lr: float = 1e-4,
    decay: float = 1e-4,
    synergy: float = 3.0,
    augment: Augment | None = None,
    patience: int | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    precision: str | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
) -> History:
    """Train all components and verifiers of `model` in place, and return the learning curve.

    Component i follows the gradient of its cross-entropy plus `synergy` times that of its verifiers' losses; a verifier
    follows the gradient of its own loss (section 3.3, with the minus sign that the printed loss lacks). The descent has
    momentum 0.9, which the paper does not state. With
    ``synergy=0`` the components learn as if each were alone, bit for bit: that is the ensemble to compare with.

    Args:
        model: the components and their verifiers.
        train, val: sets of single classes; an epoch is as many steps as it takes to draw ``len(train)`` images per
            component, with replacement.
        epochs: passes of that length.
        batch_size: images per step and component.
        lr: learning rate of the first step; at step t it is ``lr / (1 + decay t)``, the paper's schedule. 1e-4 suits
            ImageNet weights; a small network from scratch wants about 0.05.
        decay: how fast the learning rate falls.
        synergy: the paper's lambda: weight of the verifiers' losses in the components' gradient.
        augment: applied to every batch, each image with random numbers of its own.
        patience: stop when the validation loss has not fallen for this many epochs, and go back to the best weights.
        seed: decides the draws, augmentation and dropout; the starting weights are the caller's.
        device, precision, checkpoint, resume, progress: as in `fit`.

    Returns:
        History, whose `train_loss` is the mean cross-entropy of a component, with two more metrics of the training
        pairs per epoch: "verifier_loss" and "verifier_accuracy" (NaN for one component).

    Raises:
        ValueError: an argument out of its range, a task other than single classes, a class without training images,
            a set with other classes than the model.
        FloatingPointError: the loss became NaN or infinite; says at which step and learning rate.
        CheckpointError, OSError: as in `fit`.
    """
    recipe = Recipe(
        epochs=epochs, batch_size=batch_size, lr=lr, optimizer="sgd", weight_decay=0.0, schedule="constant",
        clip=None, augment=augment, patience=patience, seed=seed,
    )  # fmt: skip
    own = {"decay": float(decay), "synergy": float(synergy)}
    for name, value in own.items():
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} must not be negative, got {value:g}")
    if train.info.task != "multi-class":
        raise ValueError(f"fit_synergic pairs images by class, but {train.info.name} is a {train.info.task} set")
    check_data(recipe, train, val)
    device = pick_device(device)
    dtype = pick_precision(precision, device)
    layout = pick_layout(model, train.images, device)
    model.to(device).to(memory_format=layout)
    check_outputs(model, train)
    precision = str(dtype).removeprefix("torch.")
    training = Training(
        model=model, optimizers=[recipe.make_optimizer(model)], patience=patience, checkpoint=checkpoint,
        history=History(device=device.type, precision=precision),
        settings=training_settings(recipe, train, val, precision) | own,
    )  # fmt: skip
    if resume:
        training.restore()
    (optimizer,), history = training.optimizers, training.history
    if not len(history):
        training.save()  # holds the starting weights, and fails now rather than after an epoch
    targets = train.targets.cpu()
    train, val = train.to(device), None if val is None else val.to(device)
    steps = math.ceil(len(train) / batch_size)
    bar = tqdm(total=epochs * steps, initial=len(history) * steps, disable=not progress, unit="step")
    with bar, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        while len(history) < epochs and not history.stopped_early:
            start, done = time.perf_counter(), len(history) * steps
            torch.manual_seed(seed * LARGE_PRIME + len(history))  # dropout
            generator = torch.Generator().manual_seed(seed * LARGE_PRIME + len(history))
            model.train()
            losses = []
            # Drawn for the whole epoch, so that a GPU need not wait in each step.
            pairs = draw_pairs(targets, len(model.components), steps * batch_size, generator).to(device)
            for step, index in enumerate(pairs.split(batch_size, dim=1), start=done):
                optimizer.param_groups[0]["lr"] = now = lr / (1 + decay * step)
                optimizer.zero_grad(set_to_none=True)
                with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                    loss, parts = _loss(model, train, index, layout, synergy, augment, generator)
                loss.backward()
                optimizer.step()
                losses.append(parts)
                bar.update()
            curves = torch.stack(losses).cpu()  # the one place where the GPU is waited for
            bad = (~curves[:, 0].isfinite()).nonzero()
            if len(bad):
                at = done + int(bad[0])
                raise FloatingPointError(
                    f"the loss became {float(curves[bad[0], 0])} at step {at + 1} (epoch {len(history) + 1}) with "
                    f"learning rate {lr / (1 + decay * at):.3g}: lower lr, or synergy"
                )
            component, verifier, accuracy = curves.mean(0).tolist()
            images = steps * batch_size * len(model.components)
            history.add_epoch(component, now, images, time.perf_counter() - start)
            history.metrics.setdefault("verifier_loss", []).append(verifier)
            history.metrics.setdefault("verifier_accuracy", []).append(accuracy)
            bar.set_postfix_str(f"loss={component:.4f}", refresh=False)
            if val is not None:
                training.add_validation(validate(model, val, cross_entropy, dtype))
            training.save()
    return training.finish()


def draw_pairs(targets: Tensor, networks: int, n: int, generator: torch.Generator) -> Tensor:
    """Positions ``(networks, n)`` of images to draw, so that any two networks see one class in half of the columns.

    A column draws two different classes as often as they occur in `targets` ``(M,)``, and every network then an image
    of the one or of the other, by the toss of a coin. The paper asks for 45 to 55 % (section 3.1) and leaves the way
    open; this one gives every network the same distribution, for any number of networks.

    Raises:
        ValueError: only one class in `targets`.
    """
    counts = torch.bincount(targets).double()
    if (counts > 0).sum() < 2:
        raise ValueError("all images have one class, so no pair can differ: give images of at least two classes")
    first = torch.multinomial(counts, n, replacement=True, generator=generator)
    others = counts.repeat(n, 1)
    others[torch.arange(n), first] = 0
    second = torch.multinomial(others, 1, generator=generator)[:, 0]
    coin = torch.rand(networks, n, generator=generator) < 0.5
    chosen = torch.where(coin, first, second)
    place = (torch.rand(networks, n, generator=generator, dtype=torch.float64) * counts[chosen]).long()
    start = counts.cumsum(0) - counts  # of each class in the list sorted by class
    return targets.argsort(stable=True)[start[chosen].long() + place]


def _loss(
    model: SynergicNetwork,
    train: ImageSet,
    index: Tensor,
    layout: torch.memory_format,
    synergy: float,
    augment: Augment | None,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """What to minimize, and the losses of a component and a verifier and the verifiers' accuracy, to keep."""
    losses, features, classes = [], [], []
    for component, own in zip(model.components, index):
        images, targets = train.batch(own)
        if augment is not None:
            images, targets = augment(images, targets, generator=generator)
        feature, logits = component(images.contiguous(memory_format=layout))
        losses.append(cross_entropy(logits, targets))
        passed = feature.clone()
        if passed.requires_grad:  # what the verifiers send back is weighted here, their own gradient is not
            passed.register_hook(lambda gradient: synergy * gradient)
        features.append(passed)
        classes.append(targets)
    own, loss = torch.stack(losses), torch.stack(losses).sum()
    if not model.pairs:
        return loss, torch.stack([own.mean().detach(), own.new_tensor(math.nan), own.new_tensor(math.nan)])
    same = torch.stack([classes[i] == classes[j] for i, j in model.pairs])
    logits = model.verify(features).float()
    verifiers = binary_cross_entropy_with_logits(logits, same.float(), reduction="none").mean(1)
    accuracy = ((logits > 0) == same).float().mean()
    kept = torch.stack([own.float().mean(), verifiers.mean(), accuracy]).detach()
    return loss + verifiers.sum(), kept
