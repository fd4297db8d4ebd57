"""`fit`: supervised training of any network on an `ImageSet`, on whatever hardware is there.

`fit` checks its arguments, `SupervisedTrainer.train_epoch` is one epoch, `SupervisedTrainer.train_step` one step. The
loop over epochs with validation and checkpoints is `TrainState.run` in `state.py`.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from medlab.data.augment import Augment
from medlab.data.images import ImageSet
from medlab.errors import unknown_name_error, whole_number
from medlab.train.devices import Placement, pick_device, place_model
from medlab.train.distributed import ProcessGroup, init_distributed
from medlab.train.evaluate import validate
from medlab.train.sampling import NO_PATIENT
from medlab.train.state import History, TrainState, dataset_fingerprint, epoch_seed

OPTIMIZERS = ("adamw", "sgd", "nesterov")
SCHEDULES = ("constant", "cosine")
WARMUP = 0.05  # part of a cosine schedule in which the learning rate rises


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
    """Train `model` in place, leave it in evaluation mode on the device, and return its learning curves.

    Args:
        model: maps images ``(N, C, H, W)`` to logits ``(N, K)``, or ``(N, K, H, W)`` for label maps (segmentation).
        train, val: the sets, of other patients each; the training images live on the device as one tensor, of which a
            batch selects rows.
        epochs: passes over the training images.
        batch_size: images per step, over all processes together; the last batch of an epoch may be smaller.
        lr: (highest) learning rate.
        optimizer: "adamw", "sgd" (momentum 0.9) or "nesterov" (SGD with Nesterov momentum 0.9).
        weight_decay: of the optimizer.
        schedule: "constant", or "cosine": linear warmup over the first 5 % of the steps, then a cosine to zero.
        clip: maximal norm of the gradient, None for no limit.
        augment: applied to every training batch, with random parameters of its own for each image.
        loss: takes (logits, targets), gives the batch's mean; None takes the cross-entropy that fits the set's task
            (binary where an image has several labels).
        patience: stop when the validation loss has not fallen for this many epochs, and restore the best weights.
        seed: decides data order, augmentation and dropout; the initial weights are the caller's.
        device: None takes CUDA, MPS or CPU, whichever is there first.
        precision: "float32" or "bfloat16" (autocast); None takes bfloat16 where the hardware supports it.
        checkpoint: file of the whole state, rewritten after every epoch; without `resume` it overwrites an older one.
        resume: go on from `checkpoint` if it is there; the result is bit for bit that of a run never interrupted.
        progress: show a progress bar with the loss.

    Under ``torchrun --nproc_per_node=K`` the same call trains with K processes: same batches, and the same loss to
    rounding, for losses that are means over images and without dropout (each process draws its own).

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
    processes = init_distributed(device)
    if device.type == "cuda" and processes.world_size > 1:
        device = torch.device("cuda", torch.cuda.current_device())
    placement = place_model(model, train.images, device, precision)
    if loss is None:
        check_outputs(model, train)
        loss = _default_loss(train)
    elif isinstance(loss, nn.Module):
        loss.to(device)
    state = TrainState(
        model=model, optimizers=[recipe.make_optimizer(model)], placement=placement, checkpoint=checkpoint,
        settings=recipe.settings(train, val, placement) | {"world_size": processes.world_size}, patience=patience,
        processes=processes,
    )  # fmt: skip
    val = None if val is None else val.to(device)
    trainer = SupervisedTrainer(
        recipe=recipe, model=processes.wrap(model, device), train=train.to(device), optimizer=state.optimizers[0],
        loss=loss, placement=placement, processes=processes,
    )  # fmt: skip
    return state.run(
        trainer.train_epoch, epochs=epochs, steps_per_epoch=math.ceil(len(train) / batch_size), resume=resume,
        progress=progress, advice="clip the gradient (clip=1.0), or look for images with extreme values",
        validate=None if val is None else (lambda: validate(model, val, loss, placement)),
    )  # fmt: skip


@dataclass(kw_only=True)
class SupervisedTrainer:
    """One epoch, and one step, of supervised training.

    `placement` is where and how it computes (device, precision, memory format), `processes` those of `torchrun`.
    """

    recipe: "Recipe"
    model: nn.Module
    train: ImageSet
    optimizer: torch.optim.Optimizer
    loss: Callable[[Tensor, Tensor], Tensor]
    placement: Placement
    processes: ProcessGroup = ProcessGroup()

    def train_epoch(self, epoch: int, bar: tqdm) -> list[dict]:
        """Train through epoch number `epoch` (from 0); what each step logged."""
        batches = self.sample_batches(epoch)
        first_step, total_steps = epoch * len(batches), self.recipe.epochs * len(batches)
        show_loss = (
            self.placement.device.type == "cpu" and self.processes.world_size == 1
        )  # reading it would stall a GPU
        logs = []
        self.model.train()
        for step, (index, augmentation) in enumerate(batches, start=first_step):
            logs.append(self.train_step(index, augmentation, self.recipe.learning_rate(step, total_steps)))
            if show_loss:
                loss = logs[-1]["loss"].item()
                if not math.isfinite(loss):
                    break
                bar.set_postfix_str(f"loss={loss:.4f}", refresh=False)
            bar.update()
        return logs

    def train_step(self, index: Tensor, augmentation: Tensor | None, lr: float) -> dict:
        """One gradient step on the images at `index`, with the parameters of their augmentation; what is logged."""
        images, targets, weight = self.load_batch(index, augmentation)
        set_lr(self.optimizer, lr)
        with self.placement.autocast():
            logits = self.model(images)
            loss = self.loss(logits, targets) * weight
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.recipe.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimizer.step()
        return {"loss": loss.detach(), "lr": lr, "n_images": len(index)}

    def sample_batches(self, epoch: int) -> list[tuple[Tensor, Tensor | None]]:
        """Seed the epoch; its shuffled batches: indices of their images, and the parameters of their augmentation.

        Sampled for the whole epoch at once: all processes get the same batches, and no step waits for the CPU.
        """
        seed = epoch_seed(self.recipe.seed, epoch)
        torch.manual_seed(seed * self.processes.world_size + self.processes.rank)  # dropout
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self.train), generator=generator)
        batches = order.to(self.train.images.device).split(self.recipe.batch_size)
        if self.recipe.augment is None:
            return [(index, None) for index in batches]
        augmentations = self.recipe.augment.make_params(len(order), generator).to(self.train.targets.device)
        return list(zip(batches, augmentations.split(self.recipe.batch_size)))

    def load_batch(self, index: Tensor, augmentation: Tensor | None) -> tuple[Tensor, Tensor, float]:
        """This process's images and targets at `index`, augmented, and the weight of their loss.

        The weight is 1 in one process; in several it makes the averaged gradient that of the whole batch.
        """
        shard, weight = self.processes.shard(index)
        images, targets = self.train.batch(shard)
        if augmentation is not None:
            images, targets = self.recipe.augment(images, targets, params=self.processes.shard(augmentation)[0])
        return images.contiguous(memory_format=self.placement.memory_format), targets, weight


@dataclass
class Recipe:
    """The arguments of `fit` that decide its result, checked; every checkpoint holds them.

    Raises:
        ValueError: a value out of its range, an unknown optimizer or schedule.
    """

    epochs: int
    batch_size: int
    lr: float
    optimizer: str = "adamw"
    weight_decay: float = 0.0
    schedule: str = "constant"
    clip: float | None = None
    augment: Augment | None = None
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, minimum in {"epochs": 1, "batch_size": 1, "patience": 1, "seed": 0}.items():
            value = getattr(self, name)
            if value is None and name == "patience":
                continue
            setattr(self, name, whole_number(name, value, minimum))
        self.lr, self.weight_decay = float(self.lr), float(self.weight_decay)
        if not 0 < self.lr < math.inf:  # false for NaN too
            raise ValueError(f"lr must be positive, got {self.lr}; 1e-3 is a usual start for adamw, 1e-2 for sgd")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must not be negative, got {self.weight_decay}")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip must be positive, got {self.clip}; 1.0 is usual, None for no limit")
        if self.optimizer not in OPTIMIZERS:
            raise unknown_name_error("optimizer", self.optimizer, OPTIMIZERS)
        if self.schedule not in SCHEDULES:
            raise unknown_name_error("schedule", self.schedule, SCHEDULES)

    def make_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of the model's parameters, on the device where they are."""
        shared = {"lr": self.lr, "weight_decay": self.weight_decay, "fused": True}
        if self.optimizer == "adamw":
            return torch.optim.AdamW(model.parameters(), **shared)
        return torch.optim.SGD(model.parameters(), momentum=0.9, nesterov=self.optimizer == "nesterov", **shared)

    def learning_rate(self, step: int, total_steps: int) -> float:
        """Learning rate of a step (from 0) of the whole training: constant, or a cosine after a linear warmup."""
        if self.schedule == "constant":
            return self.lr
        warmup = max(1, round(WARMUP * total_steps))
        if step < warmup:
            return self.lr * (step + 1) / warmup
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total_steps - warmup)))

    def settings(self, train: ImageSet, val: ImageSet | None, placement: Placement) -> dict:
        """What decides the result, as numbers and strings: the recipe, the precision and the images."""
        data = f"{dataset_fingerprint(train)}, {len(val or ())} for validation"
        return {**asdict(self), "augment": repr(self.augment), "precision": placement.precision, "data": data}


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def check_data(recipe: Recipe, train: ImageSet, val: ImageSet | None) -> None:
    """Refuse sets that `recipe` cannot train on: too few images, a class without any, a validation set that differs.

    Warns when a patient of the validation set is in the training set, too.
    """
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
    if val is not None and val.info.name == train.info.name:  # ids of two sets say nothing
        known = set(val.patients.tolist()) - {NO_PATIENT}
        if shared := len(known & set(train.patients.tolist())):
            warnings.warn(
                f"{shared} of {len(known)} validation patients stand in the training set, so validation scores are too "
                'good: split by patient, as `ImageSet.split` does without by="image" (or give other people other ids)',
                stacklevel=3,
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
