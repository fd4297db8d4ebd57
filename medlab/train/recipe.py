"""The recipe of a supervised training: its arguments, checked, its optimizer and schedule, and sets that fit them."""

import hashlib
import math
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.tv_tensors import Mask

from medlab.data.augment import Augment
from medlab.data.images import ImageSet, check_sets
from medlab.errors import not_negative, unknown_name_error, whole_number
from medlab.models.modes import explain_shape
from medlab.train.devices import LARGEST_SEED, Placement
from medlab.train.sampling import NO_PATIENT

OPTIMIZERS = ("adamw", "sgd", "nesterov")
MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
SCHEDULES = ("constant", "cosine", "step")
WARMUP = 0.05  # part of a cosine schedule in which the learning rate rises
STEPS = (0.5, 0.75)  # where a step schedule divides the learning rate by ten


@dataclass
class Recipe:
    """The arguments of `fit` that decide its result, checked; every checkpoint holds them.

    Raises:
        ValueError: a value out of its range, an unknown optimizer or schedule.
    """

    epochs: int
    batch_size: int
    lr: float
    optimizer: str | MakeOptimizer = "adamw"
    weight_decay: float = 0.0
    schedule: str = "constant"
    clip: float | None = None
    augment: Callable | None = None
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, minimum in {"epochs": 1, "batch_size": 1, "patience": 1, "seed": 0}.items():
            value = getattr(self, name)
            if value is None and name == "patience":
                continue
            setattr(self, name, whole_number(name, value, minimum, LARGEST_SEED if name == "seed" else None))
        self.lr, self.weight_decay = float(self.lr), float(self.weight_decay)
        if not 0 < self.lr < math.inf:  # false for NaN too
            raise ValueError(f"lr must be positive, got {self.lr}; 1e-3 is a usual start for adamw, 1e-2 for sgd")
        not_negative("weight_decay", self.weight_decay)
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip must be positive, got {self.clip}; 1.0 is usual, None for no limit")
        for name, example in {"optimizer": "torch.optim.RMSprop", "augment": "Augment(flip=True)"}.items():
            value = getattr(self, name)
            if not callable(value) and not isinstance(value, str | None):
                raise TypeError(f"{name} must be something to call, such as {example}, got a {type(value).__name__}")
        if not callable(self.optimizer) and self.optimizer not in OPTIMIZERS:
            raise unknown_name_error("optimizer", self.optimizer, OPTIMIZERS)
        if self.schedule not in SCHEDULES:
            raise unknown_name_error("schedule", self.schedule, SCHEDULES)

    def make_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of the model's parameters, on the device where they are."""
        if callable(self.optimizer):
            return self.optimizer(model.parameters())
        shared: dict = {"lr": self.lr, "weight_decay": self.weight_decay, "fused": True}
        if self.optimizer == "adamw":
            return torch.optim.AdamW(model.parameters(), **shared)
        return torch.optim.SGD(model.parameters(), momentum=0.9, nesterov=self.optimizer == "nesterov", **shared)

    def learning_rate(self, step: int, total_steps: int) -> float:
        """Learning rate of a step (from 0) of the whole training: constant, in steps, or a cosine after a warmup."""
        if self.schedule == "constant":
            return self.lr
        if self.schedule == "step":
            return self.lr * 0.1 ** sum(step >= part * total_steps for part in STEPS)
        warmup = max(1, round(WARMUP * total_steps))
        if step < warmup:
            return self.lr * (step + 1) / warmup
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total_steps - warmup)))

    def settings(self, placement: Placement) -> dict:
        """What decides the result beside the images, as numbers and strings: the recipe and the precision.

        Without the epochs where the schedule is constant: more of them then only go on.
        """
        own = {"augment": named(self.augment), "precision": placement.precision}
        own |= {"optimizer": named(self.optimizer)} if callable(self.optimizer) else {}
        kept = {name: value for name, value in vars(self).items() if name != "epochs" or self.schedule != "constant"}
        return kept | own


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def check_data(recipe: Recipe, train: ImageSet, val: ImageSet | None) -> None:
    """Refuse sets that `recipe` cannot train on: without targets, a class without any, a validation set that differs.

    Warns when a patient of the validation set is in the training set, too, and when a batch is larger than the set: the
    recipe then takes all its images.
    """
    check_sets(train)
    if val is not None:
        check_sets(val)
    if train.info.task == "unlabeled":
        raise ValueError(
            f"{train.info.name} has no targets to learn: give ImageSet(images, targets); fit_gan needs none"
        )
    if recipe.batch_size > len(train):
        warnings.warn(
            f"batch_size {recipe.batch_size} is larger than the training set: every step takes all {len(train)} images",
            stacklevel=3,
        )
        recipe.batch_size = len(train)
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
    with explain_shape(images):
        outputs = model(images.to(next(model.parameters()).device)).shape[1]
    classes = len(train.info.classes)
    if outputs != classes:
        raise ValueError(
            f"{train.info.name} has {classes} classes, but {type(model).__name__} gives {outputs} outputs; "
            f"build it with classes={classes}"
        )


@torch.no_grad()
def needs_two(model: nn.Module, train: ImageSet) -> bool:
    """Whether batch normalization would get one value a channel of a single image, of which it cannot train."""
    alone = []
    layers = [layer for layer in model.modules() if isinstance(layer, _BatchNorm)]
    hooks = [
        layer.register_forward_pre_hook(lambda layer, inputs: alone.append(inputs[0][:, 0].numel() == 1))
        for layer in layers
    ]
    if hooks:
        model.eval()
        model(train.batch(torch.arange(1))[0].to(next(model.parameters()).device))
    for hook in hooks:
        hook.remove()
    return any(alone)


def has_params(augment: Callable | None) -> TypeGuard[Augment]:
    """Whether it has `make_params` as `Augment` does; that of torchvision's transforms is another one."""
    return hasattr(augment, "make_params") and not isinstance(augment, nn.Module)


def apply_augment(augment: Callable, images: Tensor, targets: Tensor, task: str) -> tuple[Tensor, Tensor]:
    """Augment by a callable of any origin; label maps are called so for torchvision, which would not move them else."""
    labels = Mask(targets) if task == "segmentation" else targets
    try:
        images, targets = augment(images, labels)
    except (TypeError, ValueError) as error:
        raise TypeError(f"augment must take and return (images, targets): {error}") from error
    return images, targets.as_subclass(Tensor)


def named(value: object) -> str:
    """What a checkpoint calls an object, the same in every process; a hash tells functions and weights apart."""
    text, parts = re.sub(r" at 0x[0-9a-f]+", "", repr(value)), []
    if isinstance(value, nn.Module):
        parts = [part.cpu().numpy().tobytes() for part in value.state_dict().values()]
    elif isinstance(value, FunctionType):
        parts = [_code(value.__code__), repr([_plain(value.__defaults__), *_closure(value)]).encode()]
    return f"{text} #{hashlib.sha256(b''.join(parts)).hexdigest()[:8]}" if parts else text


def _code(code: CodeType) -> bytes:
    """What a function does, wherever it stands."""
    inner = [_code(const) for const in code.co_consts if isinstance(const, CodeType)]
    return code.co_code + repr((_plain(code.co_consts), code.co_names)).encode() + b"".join(inner)


def _closure(function: FunctionType) -> list:
    return _plain(cell.cell_contents for cell in function.__closure__ or ())


def _plain(values: Iterable | None) -> list:
    """The numbers and texts among them: other objects may change as the function is called."""
    return [value for value in values or () if isinstance(value, int | float | str | bytes | tuple | None)]
