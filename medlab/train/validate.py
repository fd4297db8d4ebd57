"""A trained or half-trained network on images it does not learn from: its probabilities, its scores."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from medlab.data.images import ImageSet


@torch.inference_mode()
def predict(model: nn.Module, data: ImageSet, batch_size: int = 256) -> Tensor:
    """Probabilities of every image, float32 on the CPU: ``(N, K)``, or ``(N, K, H, W)`` for label maps.

    Softmax, or sigmoid for multi-label sets. Runs on the model's device; the model's mode is left as it was.
    """
    device = next(model.parameters()).device
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        logits = torch.cat([model(images.to(device)).float().cpu() for images, _ in data.batches(batch_size)])
    finally:
        for module in training:  # one by one: a frozen part may have been in evaluation mode
            module.training = True
    return logits.sigmoid() if data.info.task == "multi-label" else logits.softmax(1)


@torch.inference_mode()
def validate(model: nn.Module, val: ImageSet, loss: Callable, dtype: torch.dtype) -> dict[str, float]:
    """Loss, accuracy and AUC of `model` on `val`; AUC is NaN while a class has no image."""
    device = next(model.parameters()).device
    model.eval()
    total, logits, targets = 0.0, [], []
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        for images, target in val.batches(256):
            out, target = model(images.to(device)), target.to(device)
            total = total + loss(out, target) * len(target)
            logits.append(out.float())
            targets.append(target)
    scores = _scores(torch.cat(logits).cpu(), torch.cat(targets).cpu(), val.info.task)
    return {"loss": float(total) / len(val), **scores}


def _scores(logits: Tensor, targets: Tensor, task: str) -> dict[str, float]:
    if task == "multi-label":
        probs = logits.sigmoid()
        return {"accuracy": float(((probs > 0.5) == targets).float().mean()), "auc": _auc(probs, targets)}
    accuracy = float((logits.argmax(1) == targets).float().mean())
    if task == "segmentation":
        return {"accuracy": accuracy}
    probs = logits.softmax(1)
    return {"accuracy": accuracy, "auc": _auc(probs, targets)}


def _auc(probs: Tensor, targets: Tensor) -> float:
    """Mean AUC of each class against the rest, from probs (N, K) and targets (N,) or (N, K)."""
    from sklearn.metrics import roc_auc_score  # here, since it takes a second to import

    if targets.ndim == 1:
        targets = nn.functional.one_hot(targets, probs.shape[1])
    share = targets.float().mean(0)
    if not probs.isfinite().all() or share.min() == 0 or share.max() == 1:
        return math.nan
    return float(roc_auc_score(targets, probs))
