"""Inference and validation."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from medlab.data.images import ImageSet
from medlab.models.modes import eval_mode
from medlab.train.devices import Placement


@torch.inference_mode()
def predict(
    model: nn.Module,
    data: ImageSet,
    batch_size: int = 256,
    window: int | tuple[int, ...] | None = None,
    overlap: float = 0.5,
) -> Tensor:
    """Predicted probabilities, float32 on the CPU: ``(N, K)``, or ``(N, K, H, W)`` for label maps.

    Softmax, or sigmoid for multi-label sets. Runs on the model's device; the model's mode is left as it was.

    Args:
        model: maps images to logits.
        data: the images.
        batch_size: images, or windows, that the model sees at a time.
        window: sliding-window inference: a side in pixels, or one per axis; the logits of overlapping windows are
            averaged with Gaussian weights. For label maps only. An image smaller than the window is padded with 0.
            None: whole images.
        overlap: of neighboring windows, as a fraction of their side.

    Raises:
        ValueError: a window for a set without label maps, sides or an overlap that are out of range.
    """
    forward = model if window is None else _windowed(model, data, batch_size, window, overlap)
    device = next(model.parameters()).device
    with eval_mode(model):
        logits = torch.cat([forward(images.to(device)).float().cpu() for images, _ in data.batches(batch_size)])
    return logits.sigmoid() if data.info.task == "multi-label" else logits.softmax(1)


def _windowed(
    model: nn.Module, data: ImageSet, batch_size: int, window: int | tuple[int, ...], overlap: float
) -> Callable[[Tensor], Tensor]:
    """The model behind MONAI's sliding-window inference."""
    from monai.inferers import SlidingWindowInferer  # here: it takes seconds to import

    axes = data.images.ndim - 2
    sides = (window,) * axes if isinstance(window, int) else tuple(window)
    if data.info.task != "segmentation":
        raise ValueError(
            f"{data.info.name} is a {data.info.task} set, with one prediction per image: leave out window, "
            "which is for label maps"
        )
    if len(sides) != axes or not all(isinstance(side, int) and side > 0 for side in sides):
        raise ValueError(f"window must be one side of at least 1 pixel, or {axes}, one per axis, got {window!r}")
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap must be at least 0 and below 1, got {overlap}; 0.5 is usual")
    slide = SlidingWindowInferer(sides, batch_size, overlap, mode="gaussian")
    return lambda images: slide(images, model)


@torch.inference_mode()
def validate(
    model: nn.Module, val: ImageSet, loss: Callable, placement: Placement, batch_size: int = 256
) -> dict[str, float]:
    """Validation loss, accuracy and AUC of `model`; for label maps Dice instead of AUC.

    AUC is NaN if a class has no image. Dice is computed over all images together, the mean over the foreground classes
    present in the targets; NaN if there are none. Outputs that are no logits of the classes give the loss alone.

    It sees 256 images at a time, or `batch_size` where 256 have more than 256 MiB; label maps are counted batch by
    batch.
    """
    model.eval()
    classes, task = len(val.info.classes), val.info.task
    size = 256 if 4 * val.images[0].numel() <= 2**20 else batch_size
    total, pairs, logits, targets = 0.0, 0, [], []
    with placement.autocast():
        for images, target in val.batches(size):
            out, target = model(images.to(placement.device)), target.to(placement.device)
            total = total + loss(out, target) * len(target)
            expected = target.shape if task == "multi-label" else (len(target), classes, *target.shape[1:])
            if getattr(out, "shape", None) != expected:
                continue
            if task == "segmentation":
                pairs = pairs + _count_pairs(out.float().argmax(1), target, classes)
            else:
                logits.append(out.float())
                targets.append(target)
    scores = {"loss": float(total) / len(val)}
    if isinstance(pairs, Tensor):
        accuracy = float(pairs.diag().sum().float() / pairs.sum())
        return scores | {"accuracy": accuracy, "dice": _dice(pairs.cpu())}
    return scores | _scores(torch.cat(logits).cpu(), torch.cat(targets).cpu()) if logits else scores


def _scores(logits: Tensor, targets: Tensor) -> dict[str, float]:
    """Accuracy and AUC of logits ``(N, K)``, with targets ``(N,)``, or ``(N, K)`` for several labels."""
    if targets.ndim == 2:
        probs = logits.sigmoid()
        return {"accuracy": float(((probs > 0.5) == targets).float().mean()), "auc": _auc(probs, targets)}
    probs = logits.softmax(1)
    return {"accuracy": float((logits.argmax(1) == targets).float().mean()), "auc": _auc(probs, targets)}


def _count_pairs(predicted: Tensor, targets: Tensor, classes: int) -> Tensor:
    """How many pixels ``(K, K)`` of each class, in rows, are predicted as which."""
    return torch.bincount((targets * classes + predicted).flatten(), minlength=classes**2).view(classes, classes)


def _dice(pairs: Tensor) -> float:
    """Dice from pixels by class and prediction ``(K, K)``, mean over the foreground classes present."""
    present = pairs.sum(1)
    dice = 2 * pairs.diag() / (present + pairs.sum(0))
    return float(dice[1:][present[1:] > 0].mean())  # the mean of none is NaN


def _auc(probs: Tensor, targets: Tensor) -> float:
    """Mean AUC of each class against the rest, from probs (N, K) and targets (N,) or (N, K)."""
    from sklearn.metrics import roc_auc_score  # here, since it takes a second to import

    if targets.ndim == 1:
        targets = nn.functional.one_hot(targets, probs.shape[1])
    share = targets.float().mean(0)
    if not probs.isfinite().all() or share.min() == 0 or share.max() == 1:
        return math.nan
    return float(roc_auc_score(targets, probs))
