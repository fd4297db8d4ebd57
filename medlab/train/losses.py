"""Losses that a lesson hands to `fit(..., loss=)`, where the default cross-entropy is not enough."""

from functools import cache

from torch import Tensor, nn


def dice_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy plus one minus the Dice of every foreground class, for label maps: MONAI's `DiceCELoss`.

    In Dice every class counts the same, however few pixels it has. It is that of the whole batch: a class that is
    missing in single images then does no harm.

    Args:
        logits: ``(N, K, H, W)`` or ``(N, K, D, H, W)``.
        targets: classes ``(N, H, W)`` or ``(N, D, H, W)``, 0 for the background.

    Returns:
        The loss, without axes.

    Raises:
        ValueError: shapes that do not fit.
    """
    if targets.shape != logits[:, 0].shape:
        raise ValueError(f"logits {tuple(logits.shape)} do not fit targets {tuple(targets.shape)}, one for each pixel")
    return _dice_ce()(logits.float(), targets[:, None])


@cache
def _dice_ce() -> nn.Module:
    from monai.losses import DiceCELoss  # here: it takes seconds to import

    return DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)
