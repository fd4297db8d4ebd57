"""`fit`: supervised training of any network on an `ImageSet`, on whatever hardware is there."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from medlab.data.augment import Augment
from medlab.data.images import ImageSet
from medlab.train.devices import pick_device, pick_layout, pick_precision
from medlab.train.history import History
from medlab.train.loop import Loop
from medlab.train.recipe import Recipe
from medlab.train.team import join_team
from medlab.train.training import Training, settings_of
from medlab.train.validate import validate


def fit(
    model: nn.Module,
    train: ImageSet,
    val: ImageSet | None = None,
    *,
    epochs: int,
    batch_size: int = 64,
    lr: float = 1e-3,
    optimiser: str = "adamw",
    weight_decay: float = 0.01,
    schedule: str = "cosine",
    clip: float | None = None,
    augment: Augment | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    patience: int | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    precision: str | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
) -> History:
    """Train `model` in place, leave it in evaluation mode on the device, and return its learning curve.

    Args:
        model: maps images ``(N, C, H, W)`` to logits ``(N, K)``, or ``(N, K, H, W)`` for label maps.
        train, val: the sets; the training images live on the device as one tensor, a batch is an index.
        epochs: passes over the training images.
        batch_size: images per step, over all processes together; the last batch of an epoch may be smaller.
        lr: (highest) learning rate.
        optimiser: "adamw", "sgd" (momentum 0.9) or "nesterov" (the same with Nesterov's momentum).
        weight_decay: pull of the weights towards zero.
        schedule: "constant", or "cosine": rise over the first 5 % of the steps, then fall to zero.
        clip: largest norm of the gradient, None for no limit.
        augment: applied to every training batch, each image with random numbers of its own.
        loss: takes (logits, targets), gives the batch's mean; None takes the cross-entropy that fits the task.
        patience: stop when the validation loss has not fallen for this many epochs, and go back to the best weights.
        seed: decides data order, augmentation and dropout; the starting weights are the caller's.
        device: None takes CUDA, MPS or CPU, whichever is there first.
        precision: "float32" or "bfloat16" (autocast); None takes bfloat16 where the hardware computes in it.
        checkpoint: file that holds the whole state, rewritten after every epoch; without `resume` an older one is lost.
        resume: go on from `checkpoint` if it is there; the end is bit for bit that of a run never interrupted.
        progress: show a bar with the loss.

    Under ``torchrun --nproc_per_node=K`` the same call trains with K processes: same batches, and without dropout (each
    process draws its own) the same loss to rounding.

    Raises:
        ValueError: an argument out of its range, a class without training images, a batch larger than the set, a
            model with other outputs than the set has classes.
        FloatingPointError: the loss became NaN or infinite; says at which step and learning rate.
        CheckpointError: the checkpoint is damaged, or belongs to another model, other images or other settings.
        OSError: the checkpoint cannot be written.
    """
    recipe = Recipe(
        epochs=epochs, batch_size=batch_size, lr=lr, optimiser=optimiser, weight_decay=weight_decay,
        schedule=schedule, clip=clip, augment=augment, patience=patience, seed=seed,
    )  # fmt: skip
    check_data(recipe, train, val)
    device = pick_device(device)
    dtype = pick_precision(precision, device)
    team = join_team(device)
    if device.type == "cuda" and team.size > 1:
        device = torch.device("cuda", torch.cuda.current_device())

    layout = pick_layout(model, train.images, device)
    model.to(device).to(memory_format=layout)
    if loss is None:
        check_outputs(model, train)
        loss = _default_loss(train)
    elif isinstance(loss, nn.Module):
        loss.to(device)
    precision = str(dtype).removeprefix("torch.")
    training = Training(
        model=model, optimisers=[recipe.make_optimiser(model)], patience=patience, checkpoint=checkpoint,
        history=History(device=device.type, precision=precision),
        settings=settings_of(recipe, train, val, precision) | {"processes": team.size},
    )  # fmt: skip
    if resume:
        training.restore()
    history = training.history

    def save() -> None:
        if team.leads:
            training.save()
        team.wait()  # nobody starts the next epoch before the checkpoint is written

    if not len(history):
        save()  # holds the starting weights, and fails now rather than after an epoch
    steps = math.ceil(len(train) / batch_size)
    bar = tqdm(total=epochs * steps, initial=len(history) * steps, disable=not (progress and team.leads), unit="step")
    train, val = train.to(device), None if val is None else val.to(device)
    wrapped = team.wrap(model, device)
    parts = {"recipe": recipe, "optimiser": training.optimisers[0], "loss": loss, "dtype": dtype, "team": team}
    loop = Loop(model=wrapped, train=train, layout=layout, bar=bar, **parts)
    with bar, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        while len(history) < epochs and not history.stopped_early:
            start = time.perf_counter()
            mean_loss, last_lr = loop.run(len(history))
            history.add_epoch(mean_loss, last_lr, len(train), time.perf_counter() - start)
            bar.set_postfix_str(f"loss={mean_loss:.4f}", refresh=False)
            if val is not None:
                scores = validate(model, val, loss, dtype) if team.leads else None
                training.add_validation(team.from_leader(scores))
                bar.set_description(f"val={history.val_loss[-1]:.4f}", refresh=False)
            save()
        if history.stopped_early:
            bar.total = bar.n  # stopping early is no failure: no red bar
    return training.finish()


def check_data(recipe: Recipe, train: ImageSet, val: ImageSet | None) -> None:
    """Refuse sets that `recipe` cannot train on: too few images, a class without any, a validation set that differs."""
    if recipe.batch_size > len(train):
        raise ValueError(
            f"batch_size {recipe.batch_size} is larger than the training set of {len(train)} images; "
            f"take at most {len(train)}"
        )
    empty = [name for name, count in train.counts().items() if count == 0] if train.info.task == "multi-class" else []
    if empty:
        raise ValueError(f"no training image of class {', '.join(empty)}: load more images or leave the class out")
    if recipe.patience is not None and val is None:
        raise ValueError("patience needs a validation set: give `val`, or leave patience out")
    if val is not None and (val.info.task, val.info.classes) != (train.info.task, train.info.classes):
        raise ValueError(
            f"training and validation set must share task and classes, got {train.info.name} ({train.info.task}, "
            f"{len(train.info.classes)} classes) and {val.info.name} ({val.info.task}, {len(val.info.classes)} classes)"
        )


@torch.no_grad()
def check_outputs(model: nn.Module, train: ImageSet) -> None:
    """Refuse a wrong number of outputs here: on a GPU it would end in a failed assertion of the device."""
    model.eval()
    images, _ = train.take(torch.arange(1))
    outputs, classes = model(images.to(next(model.parameters()).device)).shape[1], len(train.info.classes)
    if outputs != classes:
        raise ValueError(
            f"{train.info.name} has {classes} classes, but {type(model).__name__} gives {outputs} outputs; "
            f"build it with classes={classes}"
        )


def _default_loss(data: ImageSet) -> Callable[[Tensor, Tensor], Tensor]:
    if data.info.task == "multi-label":
        return lambda logits, targets: nn.functional.binary_cross_entropy_with_logits(logits, targets.float())
    return nn.functional.cross_entropy
