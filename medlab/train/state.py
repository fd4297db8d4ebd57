"""`Training`: all that a training has reached, in one place: what a checkpoint keeps, and what resuming restores."""

import math
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from medlab.data.images import ImageSet
from medlab.train.checkpoint import check_model, check_settings, load_checkpoint, model_name, save_checkpoint


@dataclass
class History:
    """What happened during training, one entry per epoch in every list.

    Attributes:
        train_loss: mean loss over the epoch, while the weights were changing.
        val_loss: loss on the validation set after the epoch; empty without one.
        metrics: validation scores by name, e.g. ``{"accuracy": [...], "auc": [...]}``.
        lr: learning rate at the epoch's end.
        seconds: time of the epoch's training part, validation left out.
        images_per_second: training speed.
        device: "cpu", "cuda" or "mps"; precision: "float32" or "bfloat16".
        best_epoch: epoch (from 1) with the lowest validation loss; its weights are kept when `patience` is given.
        stopped_early: True when `patience` ran out before the last epoch.
    """

    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    lr: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    images_per_second: list[float] = field(default_factory=list)
    device: str = "cpu"
    precision: str = "float32"
    best_epoch: int | None = None
    stopped_early: bool = False

    def add_epoch(self, loss: float, lr: float, images: int, seconds: float) -> None:
        """Note an epoch's training."""
        self.train_loss.append(loss)
        self.lr.append(lr)
        self.seconds.append(seconds)
        self.images_per_second.append(images / seconds)

    def add_validation(self, scores: dict[str, float], patience: int | None) -> None:
        """Note an epoch's validation: "loss" and other scores; decide on the best epoch and on stopping early."""
        self.val_loss.append(scores["loss"])
        for name, value in scores.items():
            if name != "loss":
                self.metrics.setdefault(name, []).append(value)
        losses = [math.inf if math.isnan(loss) else loss for loss in self.val_loss]
        self.best_epoch = 1 + losses.index(min(losses))
        self.stopped_early = patience is not None and len(self) - self.best_epoch >= patience

    def __len__(self) -> int:
        """Epochs trained."""
        return len(self.train_loss)

    def __repr__(self) -> str:
        if not self.train_loss:
            return "History(no epoch yet)"
        scores = "".join(f", {name} {values[-1]:.3f}" for name, values in self.metrics.items())
        val = f", val loss {self.val_loss[-1]:.4f}" if self.val_loss else ""
        return (
            f"History({len(self)} epochs on {self.device} in {self.precision}, {sum(self.seconds):.1f} s, "
            f"loss {self.train_loss[-1]:.4f}{val}{scores})"
        )

    def to_dict(self) -> dict:
        """Plain lists, numbers and strings."""
        return asdict(self)


@dataclass(kw_only=True)
class Training:
    """The state of one network's training. Its randomness needs none: it follows from the seed and the epoch's number.

    Attributes:
        model, optimizers: they hold the weights and the momenta; players of a game are one `nn.ModuleDict`.
        history: the learning curve so far.
        settings: all that decides the result, as plain values; a checkpoint with others is refused.
        patience: as in `fit`.
        checkpoint: the file that keeps it all; None keeps nothing.
        best: weights of the best epoch so far, where there is patience.
    """

    model: nn.Module
    optimizers: list[torch.optim.Optimizer]
    history: History
    settings: dict
    patience: int | None
    checkpoint: str | Path | None
    best: dict[str, Tensor] | None = None

    def restore(self) -> None:
        """Go on from the checkpoint if it is there.

        Raises:
            ValueError: no checkpoint is named.
            CheckpointError: it is damaged, or belongs to another model, other images or other settings.
        """
        if self.checkpoint is None:
            raise ValueError("resume=True needs `checkpoint`, the file to go on from")
        if not Path(self.checkpoint).is_file():
            return
        state = load_checkpoint(self.checkpoint)
        check_model(self.checkpoint, state, self.model)
        check_settings(self.checkpoint, state, self.settings)
        self.model.load_state_dict(state["model"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.history, self.best = History(**state["history"]), state["best"]

    def save(self) -> None:
        """Write the checkpoint, if one is wanted.

        Raises:
            OSError: it cannot be written.
        """
        if self.checkpoint is None:
            return
        momenta = [optimizer.state_dict() for optimizer in self.optimizers]
        state = {"model": self.model.state_dict(), "optimizers": momenta, "best": self.best}
        about = {"settings": self.settings, "model_name": model_name(self.model), "history": self.history.to_dict()}
        save_checkpoint(self.checkpoint, state | about)

    def add_validation(self, scores: dict[str, float]) -> None:
        """Note an epoch's validation, and keep the weights if they are the best so far and will be asked for."""
        self.history.add_validation(scores, self.patience)
        if self.patience is not None and self.history.best_epoch == len(self.history):
            self.best = {name: value.clone() for name, value in self.model.state_dict().items()}

    def finish(self) -> History:
        """Leave the model in evaluation mode, with the best weights where there is patience; the learning curve."""
        if self.best is not None:
            self.model.load_state_dict(self.best)
        # plain layout again: safetensors and .view() ask for it
        self.model.to(memory_format=torch.contiguous_format).eval()
        return self.history


def training_settings(recipe: object, train: ImageSet, val: ImageSet | None, precision: str) -> dict:
    """What decides the result of every training, as plain values: the recipe, the precision and the images."""
    sets = f"{mark(train)}, {len(val or ())} for validation"
    return {**asdict(recipe), "augment": repr(recipe.augment), "precision": precision, "data": sets}


def mark(train: ImageSet) -> str:
    """A line that tells sets of other images, sizes or patients apart, without reading them whole."""
    patients = ",".join(str(patient) for patient in train.patients.tolist())
    mark = zlib.crc32(train.images[:16].cpu().numpy().tobytes(), zlib.crc32(patients.encode()))
    return f"{train.info.name} {tuple(train.images.shape)} #{mark:08x}"
