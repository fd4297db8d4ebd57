"""What every training has in common: its state, its checkpoint, and the loop over epochs.

`fit`, `fit_gan`, `fit_scan` (SCAN: a segmenter against a critic) and `fit_synergic` (synergic deep learning: networks
that check each other) supply one epoch each; `TrainState.run` does the rest. A checkpoint holds the network's weights,
the best so far where there is patience and then the last ones too, the optimizers' states and the history; resuming
restores exactly these. Random numbers need no entry: those of an epoch follow from the seed and the epoch's number
(`epoch_seed`).
"""

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from medlab.data.images import ImageSet
from medlab.storage import only_writer
from medlab.train.checkpoint import (
    CheckpointError,
    check_model,
    check_settings,
    load_checkpoint,
    model_name,
    refuse_others,
    refuse_to_lose,
    save_checkpoint,
)
from medlab.train.devices import Placement
from medlab.train.distributed import ProcessGroup
from medlab.train.progress import progress_bar

ROWS_AT_A_TIME = 256  # images hashed at once: a set may be mapped from disk
LARGE_PRIME = 1_000_003  # keeps the seeds of runs apart: those of the epochs of one run are neighbors


@dataclass
class History:
    """Learning curves: one entry per epoch in every list.

    Attributes:
        train_loss: mean training loss of the epoch, while the weights were changing.
        val_loss: loss on the validation set after the epoch; empty without one.
        metrics: other metrics by name, e.g. the validation's ``{"accuracy": [...], "auc": [...]}``.
        lr: learning rate of the epoch's last step.
        seconds: time of the epoch's training part, without validation.
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

    def add_epoch(self, means: dict[str, float], images: int, seconds: float) -> None:
        """Append an epoch of training: its mean "loss", its last "lr", and means of other scalars by name."""
        for name in [name for name in means if name not in ("loss", "lr")]:
            missing = [math.nan] * len(self)  # a scalar that earlier epochs did not log
            self.metrics.setdefault(name, missing).append(means[name])
        self.train_loss.append(means["loss"])
        self.lr.append(means["lr"])
        self.seconds.append(seconds)
        self.images_per_second.append(images / seconds)

    def add_validation(self, scores: dict[str, float], patience: int | None) -> None:
        """Append an epoch's validation, "loss" and other metrics; update the best epoch and early stopping."""
        self.val_loss.append(scores["loss"])
        for name, value in scores.items():
            if name != "loss":
                self.metrics.setdefault(name, []).append(value)
        losses = [math.inf if math.isnan(loss) else loss for loss in self.val_loss]
        self.best_epoch = 1 + losses.index(min(losses))
        self.stopped_early = patience is not None and len(self) - self.best_epoch >= patience

    def __len__(self) -> int:
        """Number of epochs trained."""
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
        """The history as plain lists, numbers and strings."""
        return asdict(self)


@dataclass(kw_only=True)
class TrainState:
    """State of one training: what a checkpoint holds, and the loop over epochs that keeps it.

    Attributes:
        model: the network; several that train together are one `nn.ModuleDict`.
        optimizers: they hold the learning rates and the momentum buffers.
        placement: device and precision.
        settings: the arguments that decide the result, as numbers and strings; a checkpoint with others is refused.
        sets: the images to train on, and those for validation or None; with a checkpoint, all of them are hashed.
        checkpoint: the file; None writes nothing.
        patience: as in `fit`.
        processes: those that train together; the main one validates and saves.
        history: the learning curves so far.
        best: weights of the best epoch so far, where there is patience.
    """

    model: nn.Module
    optimizers: list[torch.optim.Optimizer]
    placement: Placement
    settings: dict
    sets: tuple[ImageSet, ImageSet | None]
    checkpoint: str | Path | None
    patience: int | None = None
    processes: ProcessGroup = ProcessGroup()
    history: History = field(init=False)
    best: dict[str, Tensor] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.checkpoint is not None:
            self.settings |= {"data": dataset_fingerprint(*self.sets)}
        self.history = History(device=self.placement.device.type, precision=self.placement.precision)

    def run(
        self,
        train_epoch: Callable[[int, tqdm], list[dict]],
        *,
        epochs: int,
        steps_per_epoch: int,
        resume: bool,
        overwrite: bool,
        progress: bool,
        advice: str = "or look for images with extreme values",
        validate: Callable[[], dict[str, float]] | None = None,
        callback: Callable[[History], None] | None = None,
    ) -> History:
        """Train, validate and save, epoch by epoch; go on from the checkpoint if asked to.

        Args:
            train_epoch: trains through an epoch (its number from 0), updates the progress bar by one per step, and
                returns what each step logged: "loss" and other scalars by name, its "lr" and "n_images".
            epochs, steps_per_epoch: how many there are.
            resume, overwrite, progress: as in `fit`.
            advice: what to do about a loss that is not finite, beside lowering the learning rate.
            validate: returns "loss" and other metrics on the validation set.
            callback: called with the history after every epoch.

        Returns:
            The history. The model is left in evaluation mode, with the best weights where there is patience.
        """
        with self._kept(epochs, resume, overwrite):
            history, device = self.history, self.placement.device
            if not len(history):
                self.save()  # the initial weights; a path that cannot be written fails now, not after an epoch
            hidden = not (progress and self.processes.is_main)
            bar = progress_bar(
                total=epochs * steps_per_epoch, initial=len(history) * steps_per_epoch, disable=hidden, unit="step"
            )
            try:
                with bar, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                    while len(history) < epochs and not history.stopped_early:
                        start, epoch = time.perf_counter(), len(history)
                        logs = train_epoch(epoch, bar)
                        means = average_logs(
                            logs,
                            epoch=epoch,
                            first_step=epoch * steps_per_epoch,
                            advice=advice,
                            processes=self.processes,
                        )
                        history.add_epoch(means, sum(log["n_images"] for log in logs), time.perf_counter() - start)
                        bar.set_postfix_str(f"loss={means['loss']:.4f}", refresh=False)
                        if validate is not None:
                            scores = self.processes.broadcast(validate() if self.processes.is_main else None)
                            history.add_validation(scores, self.patience)
                            self._keep_best()
                            bar.set_description(f"val={history.val_loss[-1]:.4f}", refresh=False)
                        self.save()
                        if callback is not None:
                            callback(history)
                    if history.stopped_early:
                        bar.total = bar.n  # early stopping is no failure: no red bar
            finally:  # also after Ctrl-C
                if self.best is not None:
                    self.model.load_state_dict(self.best)
                # contiguous again: safetensors and .view() require it
                self.model.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
            return history

    @contextmanager
    def _kept(self, epochs: int, resume: bool, overwrite: bool) -> Iterator[None]:
        """Hold the checkpoint as its only writer: gone on from, or found to hold nothing that would be lost."""
        path = Path(self.checkpoint) if self.checkpoint is not None and self.processes.is_main else None
        with nullcontext() if path is None else only_writer(path):
            if path is not None:
                (refuse_others if resume or overwrite else refuse_to_lose)(path)
            if resume:
                self.restore(epochs)
            yield

    def restore(self, epochs: int) -> None:
        """Load the checkpoint if it is there: weights, optimizers, history, best weights.

        Raises:
            ValueError: no checkpoint is named.
            CheckpointError: it is damaged, belongs to another model, other images or other settings, or was trained for
                more than `epochs`.
        """
        if self.checkpoint is None:
            raise ValueError("resume=True needs `checkpoint`, the file to go on from")
        if not Path(self.checkpoint).is_file():
            return
        saved = load_checkpoint(self.checkpoint)
        check_model(self.checkpoint, saved, self.model)
        check_settings(self.checkpoint, saved, self.settings)
        trained = len(saved["history"]["train_loss"])
        if trained > epochs:
            raise CheckpointError(
                f"{self.checkpoint} was trained for {trained} epochs: ask for as many or more, got epochs={epochs}"
            )
        self.model.load_state_dict(saved["model"] if saved["last"] is None else saved["last"])
        for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.history, self.best = History(**saved["history"]), saved["last"] and saved["model"]

    def save(self) -> None:
        """Write the checkpoint, if one is wanted; all processes wait until it is written.

        Raises:
            OSError: it cannot be written.
        """
        if self.checkpoint is not None and self.processes.is_main:
            last = self.model.state_dict()
            content = {
                "model": last if self.best is None else self.best,  # what `run` leaves the network with
                "last": None if self.best is None else last,  # what training goes on from
                "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
                "history": self.history.to_dict(),
                "settings": self.settings,
                "model_name": model_name(self.model),
            }
            save_checkpoint(self.checkpoint, content)
        self.processes.barrier()

    def _keep_best(self) -> None:
        """Copy the weights if they are the best so far and there is patience."""
        if self.patience is not None and self.history.best_epoch == len(self.history):
            self.best = {name: value.clone() for name, value in self.model.state_dict().items()}


def epoch_seed(seed: int, epoch: int) -> int:
    """Seed of an epoch's random numbers (order, augmentation, dropout, noise): resuming needs no other state."""
    return seed * LARGE_PRIME + epoch


def average_logs(
    logs: Sequence[dict],
    *,
    epoch: int,
    first_step: int,
    advice: str,
    processes: ProcessGroup = ProcessGroup(),  # noqa: B008
) -> dict[str, float]:
    """Means over the steps of an epoch, weighted by their images; the one synchronization with the device per epoch.

    Args:
        logs: one dict per step: scalar tensors by name, and the numbers "lr" and "n_images".
        epoch: number of the epoch, from 0.
        first_step: number of its first step in the whole training, from 0.
        advice: what to do about a loss that is not finite, beside lowering the learning rate.
        processes: the tensors are averaged over them.

    Returns:
        The means by name, and the last "lr".

    Raises:
        FloatingPointError: a loss is NaN or infinite; names step, epoch and learning rate.
    """
    names = [name for name in logs[0] if name not in ("lr", "n_images")]
    table = torch.stack([torch.stack([log[name].float() for name in names]) for log in logs])
    columns = dict(zip(names, processes.average(table).T.tolist()))
    for step, log in enumerate(logs):
        for name in names:
            if name.endswith("loss") and not math.isfinite(value := columns[name][step]):
                raise FloatingPointError(
                    f"the {name.replace('_', ' ')} became {value} at step {first_step + step + 1} "
                    f"(epoch {epoch + 1}) with learning rate {log['lr']:.3g}: lower lr, {advice}"
                )
    sizes = [log["n_images"] for log in logs]
    means = {name: sum(v * n for v, n in zip(column, sizes)) / sum(sizes) for name, column in columns.items()}
    return means | {"lr": logs[-1]["lr"]}


def dataset_fingerprint(train: ImageSet, val: ImageSet | None) -> str:
    """Name and shape of a set and the number of validation images, with a hash of all that both hold."""
    digest = hashlib.sha256()
    for part in filter(None, (train, val)):
        digest.update(repr([str(patient) for patient in part.patients.tolist()]).encode())
        for tensor in (part.images, part.targets):
            digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
            for rows in tensor.split(ROWS_AT_A_TIME):
                digest.update(np.ascontiguousarray(rows.cpu().numpy()).data)
    return f"{train.info.name} {tuple(train.images.shape)} #{digest.hexdigest()[:16]}, {len(val or ())} for validation"
