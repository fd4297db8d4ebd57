"""The effective receptive field of a network, measured by gradients.

Luo et al.: Understanding the effective receptive field in deep convolutional neural networks. NeurIPS 2016,
arXiv:1701.04128.
"""

import numpy as np
import torch
from torch import Tensor, nn

from medlab.errors import whole_number
from medlab.models.modes import eval_mode, explain_shape


def effective_receptive_field(model: nn.Module, size: int, in_channels: int = 1, seed: int = 0) -> Tensor:
    """How strongly each pixel of the input influences the central output: ``(size, size)``, zero outside the field.

    The absolute gradient of the central output pixel, summed over its logits, with respect to the image, averaged over
    eight images of uniform noise. The model runs in evaluation mode and is left as it was.

    Args:
        model: maps ``(N, in_channels, size, size)`` to logits ``(N, K, H, W)``.
        size: side of the images; take one larger than the field, or its edge is cut off.
        in_channels: of the images.
        seed: of the images.

    Raises:
        ValueError: a model that does not give logits per pixel.
    """
    shape = 8, whole_number("in_channels", in_channels, 1), whole_number("size", size, 1), size
    device = next(model.parameters()).device
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(whole_number("seed", seed, 0)))
    images = noise.to(device).requires_grad_()
    with eval_mode(model), torch.enable_grad(), explain_shape(images):
        logits = model(images)
        if logits.ndim != 4:
            raise ValueError(f"the model must give logits (N, K, H, W), got {tuple(logits.shape)}")
        center = logits[:, :, logits.shape[2] // 2, logits.shape[3] // 2].sum()
        gradient = torch.autograd.grad(center, images)[0]
    return gradient.abs().mean((0, 1)).cpu()


def receptive_field_size(field: Tensor | np.ndarray, share: float = 0.95) -> tuple[int, int]:
    """Side in pixels of the least centered square with `share` of the influence, and of the least box with all of it.

    Args:
        field: influence ``(H, W)`` from `effective_receptive_field`, at least 0.
        share: of the influence.

    Raises:
        ValueError: no influence at all, or a share outside (0, 1].
    """
    field = np.asarray(field, float)
    if field.ndim != 2 or not field.sum() > 0 or not 0 < share <= 1:
        raise ValueError(f"give influence (H, W) above 0 and a share in (0, 1], got {field.shape} and {share}")
    rows, columns = (np.abs(np.arange(side) - side // 2) for side in field.shape)
    ring = np.maximum.outer(rows, columns)  # 0 in the center, r on the edge of the square of side 2 r + 1
    within = np.bincount(ring.ravel(), field.ravel()).cumsum()
    effective = 1 + 2 * int((within < share * within[-1] * (1 - 1e-9)).sum())
    whole = max(np.ptp(np.flatnonzero(field.any(axis))) + 1 for axis in (0, 1))
    return min(effective, *field.shape), int(whole)
