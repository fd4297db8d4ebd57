"""How far a network sees: the pixels that move its answer in the middle, measured and drawn."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from medlab.metrics.intervals import to_array
from medlab.visualize.figures import Figure, subplots
from medlab.visualize.images import blank, pixels

DECADES = 8  # of influence that are told apart by color, at most


def receptive_field(model: nn.Module, size: int, in_channels: int = 1, seed: int = 0) -> Tensor:
    """How much each pixel of the input moves the answer in the middle: ``(size, size)``, zero where it cannot.

    The absolute gradient of the central output pixel, summed over its logits, with respect to the image, averaged over
    eight images of uniform noise. The model runs in evaluation mode and is left as it was.

    Args:
        model: maps ``(N, in_channels, size, size)`` to logits ``(N, K, H, W)``.
        size: side of the images; take one larger than the field, or its edge is cut off.
        in_channels: of the images.
        seed: of the images.

    Raises:
        ValueError: a model that does not give label maps.
    """
    modes = {module: module.training for module in model.modules()}
    device = next(model.parameters()).device
    noise = torch.rand(8, in_channels, size, size, generator=torch.Generator().manual_seed(seed))
    images = noise.to(device).requires_grad_()
    try:
        with torch.enable_grad():
            logits = model.eval()(images)
            if logits.ndim != 4:
                raise ValueError(f"the model must give label maps (N, K, H, W), got {tuple(logits.shape)}")
            middle = logits[:, :, logits.shape[2] // 2, logits.shape[3] // 2].sum()
            gradient = torch.autograd.grad(middle, images)[0]
    finally:
        for module, training in modes.items():
            module.training = training
    return gradient.abs().mean((0, 1)).cpu()


def effective_receptive_field(field: object, share: float = 0.95) -> tuple[int, int]:
    """Sides in pixels: of the least centered square with `share` of the influence ``(H, W)``, of the box with all of it.

    Raises:
        ValueError: no influence at all, or a share outside (0, 1].
    """
    field = to_array(field).astype(float)
    if field.ndim != 2 or not field.sum() > 0 or not 0 < share <= 1:
        raise ValueError(f"give influence (H, W) above 0 and a share in (0, 1], got {field.shape} and {share}")
    rows, cols = (np.abs(np.arange(side) - side // 2) for side in field.shape)
    ring = np.maximum.outer(rows, cols)  # 0 in the middle, r on the edge of the square of side 2 r + 1
    within = np.bincount(ring.ravel(), field.ravel()).cumsum()
    effective = 1 + 2 * int((within < share * within[-1] * (1 - 1e-9)).sum())
    top, left, height, width = _box(field)
    return min(effective, *field.shape), max(height, width)


def _box(field: np.ndarray) -> tuple[int, int, int, int]:
    """Top, left, height and width of the least box that holds all influence."""
    rows, cols = np.flatnonzero(field.any(1)), np.flatnonzero(field.any(0))
    return int(rows[0]), int(cols[0]), int(np.ptp(rows)) + 1, int(np.ptp(cols)) + 1


def receptive_field_map(field: object, image: object = None, *, title: str = "") -> Figure:
    """Influence from `receptive_field` on a logarithmic scale, with the box of all of it and the square of 95 %.

    Without influence the map is light gray. Max pooling and ReLU close paths, so the box may be a little smaller than
    the theoretical field.

    Args:
        field: ``(H, W)``, at least 0.
        image: ``(H, W)`` or ``(C, H, W)``, drawn beside it with the same squares; None for the map alone.
        title: e.g. the name of the network.

    Raises:
        ValueError: no influence at all, an image of another size.
    """
    field = to_array(field)
    effective, _ = effective_receptive_field(field)
    top, left, height, width = _box(field)
    if image is not None and pixels(image).shape[:2] != field.shape:
        raise ValueError(f"image is {pixels(image).shape[:2]} but field {field.shape}; give both the same size")
    cut = " (cut off by the image)" if height == field.shape[0] or width == field.shape[1] else ""
    alt = f"{title or 'Receptive field'}: influence of the input's pixels on the answer in the middle. 95 % of it lies "
    alt += f"within {effective} x {effective} pixels, all of it within {height} x {width}{cut and ' or more'}{cut}."
    panels = 1 if image is None else 2
    fig, axes = subplots(1, panels, alt=alt, size=(3.7 * panels + 0.9, 4.4 - 0.2 * panels))
    axes = np.atleast_1d(axes)
    tens = np.full(field.shape, np.nan)
    tens[field > 0] = np.log10(field[field > 0] / field.max())
    least = min(max(np.floor(np.nanmin(tens)), -DECADES), -1)
    shown = blank(axes[0]).imshow(tens, cmap="inferno", vmin=least, vmax=0, interpolation="nearest")
    axes[0].set_facecolor("0.85")
    fig.colorbar(shown, ax=axes[0], shrink=0.75, label="influence (10 to the power of, largest = 0)", extend="min")
    if image is not None:
        blank(axes[1]).imshow(pixels(image), cmap="gray")
    middle = [length // 2 - effective // 2 for length in field.shape]
    squares = (
        ((left, top), (width, height), "#56B4E9", "--", f"all: {height} x {width}{cut}"),
        (middle[::-1], (effective, effective), "white", "-", f"95 %: {effective} x {effective}"),
    )
    for ax in axes:
        for (x, y), sides, color, line, text in squares:
            style = {"edgecolor": color, "linestyle": line, "linewidth": 1.5, "label": text}
            ax.add_patch(Rectangle((x - 0.5, y - 0.5), *sides, fill=False, **style))
    axes[0].set_title(title, fontsize=11)
    handles = axes[0].get_legend_handles_labels()[0]
    look = {"facecolor": "0.35", "labelcolor": "white", "framealpha": 1, "fontsize": 9}
    fig.legend(handles=handles, loc="outside lower center", ncols=panels, **look)
    return fig
