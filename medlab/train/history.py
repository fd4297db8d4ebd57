"""`History`: everything a learning curve needs."""

import math
from dataclasses import asdict, dataclass, field


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
