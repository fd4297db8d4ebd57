"""Inference and validation."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medlab.data.images import ImageSet
from medlab.data.nifti import Volume
from medlab.errors import explain_memory, whole_number
from medlab.models.modes import eval_mode, explain_shape
from medlab.train.devices import Placement

PIXELS = 2**22  # that a model sees at a time


@torch.inference_mode()
def predict(
    model: nn.Module,
    data: ImageSet | Volume | Tensor | np.ndarray,
    batch_size: int | None = None,
    window: int | tuple[int, ...] | None = None,
    overlap: float = 0.5,
    labels: bool = False,
) -> Tensor:
    """Predicted probabilities, float32 on the CPU: ``(N, K)``, or ``(N, K, H, W)`` for label maps.

    Softmax, or sigmoid for multi-label sets and networks. Runs on the model's device; the model's mode is left as it
    was. One image gives its ``(K, ...)``; a `Volume` that of each of its slices, or its own if the model takes volumes.

    Args:
        model: maps images to logits. One from `load_model` knows its task and the size of its images.
        data: a set, with targets or without; images in [0, 1] or uint8 as in `ImageSet`: several ``(N, C, H, W)`` or
            one, ``(C, H, W)`` or, if gray, ``(H, W)``, with D before H for volumes; or a scan, its voxels scaled to
            [0, 1] as the training images were (`predict_files` does that). The model sees it upright, the answer lies
            as `Volume.voxels` do.
        batch_size: images, or windows, that the model sees at a time; None takes as many as hold 4 million pixels, at
            most 256.
        window: sliding-window inference: a side in pixels, or one per axis; the logits of overlapping windows are
            averaged with Gaussian weights. For label maps only. An image smaller than the window is padded with 0.
            None: whole images, or where they are not of the size that the model was trained on, windows of it.
        overlap: of neighboring windows, as a fraction of their side.
        labels: return the class of highest probability instead: label maps uint8 ``(N, H, W)``, classes int64
            ``(N,)``; 0 or 1 for every label of a multi-label set, uint8 ``(N, L)``.

    Raises:
        TypeError: a path, which `predict_files` takes.
        ValueError: images of another shape or beyond [0, 1]; a window for a set without label maps, sides or an overlap
            that are out of range.
    """
    if batch_size is not None:
        whole_number("batch_size", batch_size, 1)
    if isinstance(data, Volume):
        upright = data.voxels[:, ::-1, ::-1]
        slices = upright if _input_axes(model)[0] == 3 else upright[:, None]
        answer = predict(model, slices, batch_size, window, overlap, labels)
        return answer.flip(-2, -1) if answer.ndim > 2 else answer  # maps
    card = getattr(model, "card", {})
    task, single = card.get("task"), False
    if not isinstance(data, ImageSet):
        images, single = _as_images(model, data)
        data = ImageSet(images, name="images to predict")
    elif data.info.task != "unlabeled":
        task = data.info.task
    sides = tuple(data.images.shape[2:])
    if window is None and task == "segmentation" and tuple(card.get("size", sides)) != sides:
        window = tuple(card["size"])
    if window is not None:
        window = _check_window(window, overlap, len(sides), task, data.info.name)
    forward = model if window is None else _windowed(model, batch_size or _fitting(window), window, overlap)
    device, answers = next(model.parameters()).device, []
    size = batch_size or _fitting(sides)
    fits = explain_shape(data.images)
    with eval_mode(model), fits, explain_memory(f"lower batch_size, now {size}, or give a window"):
        for images, _ in data.batches(size):
            logits = forward(images.to(device)).float()
            if labels:
                logits = (logits > 0 if task == "multi-label" else logits.argmax(1)).cpu()
                answers.append(logits if logits.ndim == 1 else logits.to(torch.uint8))
            else:
                answers.append(logits.cpu().sigmoid() if task == "multi-label" else logits.cpu().softmax(1))
    answer = torch.cat(answers)
    return answer[0] if single else answer


def _fitting(sides: tuple[int, ...]) -> int:
    return min(256, max(1, PIXELS // math.prod(sides)))


def _input_axes(model: nn.Module) -> tuple[int, int | None]:
    """The axes of the images that a network takes, 2 or 3, and their channels, by its first convolution."""
    layers = (layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Conv3d))
    first = next(layers, None)
    return (2, None) if first is None else (first.weight.ndim - 2, first.in_channels)


def _as_images(model: nn.Module, data: Tensor | np.ndarray) -> tuple[Tensor | np.ndarray, bool]:
    """Images ``(N, C, ...)`` for a network, and whether they were one image."""
    axes, channels = _input_axes(model)
    if isinstance(data, str | Path):
        raise TypeError(f"predict takes images, not the path {str(data)!r}: predict_files reads and predicts files")
    data = data if isinstance(data, Tensor) else np.asarray(data)
    images = data[None] if data.ndim == axes else data
    images = images[None] if images.ndim == axes + 1 else images
    if images.ndim != axes + 2 or channels not in (None, images.shape[1]):
        several = "(N, C, H, W)" if axes == 2 else "(N, C, D, H, W)"
        raise ValueError(
            f"images of shape {tuple(data.shape)} do not fit the network, which takes {several}, or one image of these"
            f"{'' if channels is None else f', with C = {channels}'}; several gray ones are images[:, None]"
        )
    return images, data.ndim < axes + 2


def _check_window(
    window: int | tuple[int, ...], overlap: float, axes: int, task: str | None, name: str
) -> tuple[int, ...]:
    sides = (window,) * axes if isinstance(window, int) else tuple(window)
    if task in ("multi-class", "multi-label"):
        raise ValueError(
            f"{name} is a {task} set, with one prediction per image: leave out window, which is for label maps"
        )
    if len(sides) != axes or not all(isinstance(side, int) and side > 0 for side in sides):
        raise ValueError(f"window must be one side of at least 1 pixel, or {axes}, one per axis, got {window!r}")
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap must be at least 0 and below 1, got {overlap}; 0.5 is usual")
    return sides


def _windowed(model: nn.Module, batch_size: int, sides: tuple[int, ...], overlap: float) -> Callable[[Tensor], Any]:
    """The model behind MONAI's sliding-window inference."""
    from monai.inferers import SlidingWindowInferer  # here: it takes seconds to import

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
