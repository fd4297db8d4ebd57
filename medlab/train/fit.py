"""`fit`: supervised training of any network on an `ImageSet`, on whatever hardware is there."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from medlab.data.augment import Augment
from medlab.data.images import ImageSet
from medlab.errors import unknown_name, whole_number
from medlab.train.devices import pick_device, pick_layout, pick_precision
from medlab.train.distributed import Team, init_distributed
from medlab.train.evaluate import validate
from medlab.train.state import History, Training, training_settings

OPTIMIZERS = ("adamw", "sgd", "nesterov")
SCHEDULES = ("constant", "cosine")
WARMUP = 0.05  # part of a cosine schedule in which the learning rate rises


@dataclass
class Recipe:
    """How to train; `fit` explains each of them.

    Raises:
        ValueError: a value out of its range, an unknown optimizer or schedule.
    """

    epochs: int
    batch_size: int
    lr: float
    optimizer: str
    weight_decay: float
    schedule: str
    clip: float | None
    augment: Augment | None
    patience: int | None
    seed: int

    def __post_init__(self) -> None:
        for name, least in {"epochs": 1, "batch_size": 1, "patience": 1, "seed": 0}.items():
            value = getattr(self, name)
            if value is None and name == "patience":
                continue
            setattr(self, name, whole_number(name, value, least))
        self.lr, self.weight_decay = float(self.lr), float(self.weight_decay)
        if not 0 < self.lr < math.inf:  # false for NaN too
            raise ValueError(f"lr must be positive, got {self.lr}; 1e-3 is a usual start for adamw, 1e-2 for sgd")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must not be negative, got {self.weight_decay}")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip must be positive, got {self.clip}; 1.0 is usual, None for no limit")
        if self.optimizer not in OPTIMIZERS:
            raise unknown_name("optimizer", self.optimizer, OPTIMIZERS)
        if self.schedule not in SCHEDULES:
            raise unknown_name("schedule", self.schedule, SCHEDULES)

    def make_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of the model's parameters, on the device where they are."""
        shared = {"lr": self.lr, "weight_decay": self.weight_decay, "fused": True}
        if self.optimizer == "adamw":
            return torch.optim.AdamW(model.parameters(), **shared)
        return torch.optim.SGD(model.parameters(), momentum=0.9, nesterov=self.optimizer == "nesterov", **shared)

    def learning_rate(self, step: int, steps: int) -> float:
        """Learning rate of step `step` (from 0) of `steps`: constant, or a cosine after a short rise."""
        if self.schedule == "constant":
            return self.lr
        warm = max(1, round(WARMUP * steps))
        if step < warm:
            return self.lr * (step + 1) / warm
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def fit(
    model: nn.Module,
    train: ImageSet,
    val: ImageSet | None = None,
    *,
    epochs: int,
    batch_size: int = 64,
    lr: float = 1e-3,
    optimizer: str = "adamw",
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
        optimizer: "adamw", "sgd" (momentum 0.9) or "nesterov" (the same with Nesterov's momentum).
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
        epochs=epochs, batch_size=batch_size, lr=lr, optimizer=optimizer, weight_decay=weight_decay,
        schedule=schedule, clip=clip, augment=augment, patience=patience, seed=seed,
    )  # fmt: skip
    check_data(recipe, train, val)
    device = pick_device(device)
    dtype = pick_precision(precision, device)
    team = init_distributed(device)
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
        model=model, optimizers=[recipe.make_optimizer(model)], patience=patience, checkpoint=checkpoint,
        history=History(device=device.type, precision=precision),
        settings=training_settings(recipe, train, val, precision) | {"processes": team.size},
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
    parts = {"recipe": recipe, "optimizer": training.optimizers[0], "loss": loss, "dtype": dtype, "team": team}
    loop = Loop(model=wrapped, train=train, layout=layout, bar=bar, **parts)
    with bar, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        while len(history) < epochs and not history.stopped_early:
            start = time.perf_counter()
            mean_loss, last_lr = loop.run(len(history))
            history.add_epoch(mean_loss, last_lr, len(train), time.perf_counter() - start)
            bar.set_postfix_str(f"loss={mean_loss:.4f}", refresh=False)
            if val is not None:
                scores = validate(model, val, loss, dtype) if team.leads else None
                training.add_validation(team.broadcast(scores))
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
    images, _ = train.batch(torch.arange(1))
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


LARGE_PRIME = 1_000_003  # keeps the seeds of neighboring epochs and runs apart


@dataclass(kw_only=True)
class Loop:
    """What every epoch needs, put together once by `fit`."""

    recipe: Recipe
    model: nn.Module
    train: ImageSet
    optimizer: torch.optim.Optimizer
    loss: Callable[[Tensor, Tensor], Tensor]
    dtype: torch.dtype
    layout: torch.memory_format
    team: Team
    bar: tqdm

    def run(self, epoch: int) -> tuple[float, float]:
        """Train through epoch number `epoch` (from 0); its mean loss and the last learning rate.

        Raises:
            FloatingPointError: the loss became NaN or infinite.
        """
        recipe = self.recipe
        batches = self._draw(epoch)
        first, steps = epoch * len(batches), recipe.epochs * len(batches)
        watch = self.train.targets.device.type == "cpu" and self.team.size == 1  # reading a loss stalls elsewhere
        losses = []
        self.model.train()
        for i, (batch, draws) in enumerate(batches):
            lr = recipe.learning_rate(first + i, steps)
            losses.append(self._step(batch, lr, draws))
            if watch:
                value = losses[-1].item()
                if not math.isfinite(value):
                    break
                self.bar.set_postfix_str(f"loss={value:.4f}", refresh=False)
            self.bar.update()
        read = self.team.average(torch.stack(losses)).tolist()  # the one place where the GPU is waited for
        for i, value in enumerate(read):
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"the loss became {value} at step {first + i + 1} (epoch {epoch + 1}) with learning rate "
                    f"{recipe.learning_rate(first + i, steps):.3g}: lower lr, clip the gradient (clip=1.0), "
                    "or look for odd images"
                )
        return sum(value * len(batch) for value, (batch, _) in zip(read, batches)) / len(self.train), lr

    def _draw(self, epoch: int) -> list[tuple[Tensor, Tensor | None]]:
        """The batches of epoch number `epoch`: positions of their images, and the numbers to augment these with."""
        # All randomness of an epoch follows from the seed and its number, so that resuming needs no other state.
        seed = self.recipe.seed * LARGE_PRIME + epoch
        torch.manual_seed(seed * self.team.size + self.team.rank)  # dropout
        generator = torch.Generator().manual_seed(seed)
        # Drawn for the whole epoch: a team cuts the same batches as one process, and a GPU need not wait in each step.
        order = torch.randperm(len(self.train), generator=generator)
        batches = order.to(self.train.images.device).split(self.recipe.batch_size)
        if self.recipe.augment is None:
            return [(batch, None) for batch in batches]
        draws = self.recipe.augment.draw(len(order), generator).to(self.train.targets.device)
        return list(zip(batches, draws.split(self.recipe.batch_size)))

    def _step(self, batch: Tensor, lr: float, draws: Tensor | None) -> Tensor:
        """One step on the images at `batch`; this process's weighted loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        images, targets, weight = self._batch(batch, draws)
        with torch.autocast(images.device.type, self.dtype, enabled=self.dtype != torch.float32):
            loss = self.loss(self.model(images), targets) * weight
        self._descend(loss)
        return loss.detach().float()

    def _batch(self, batch: Tensor, draws: Tensor | None) -> tuple[Tensor, Tensor, float]:
        """This process's images and targets of `batch`, augmented, and the weight of their loss."""
        mine, weight = self.team.share(batch)
        images, targets = self.train.batch(mine)
        if draws is not None:
            images, targets = self.recipe.augment(images, targets, draws=self.team.share(draws)[0])
        return images.contiguous(memory_format=self.layout), targets, weight

    def _descend(self, loss: Tensor) -> None:
        """Move the model's weights down the gradient of `loss`."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.recipe.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimizer.step()
