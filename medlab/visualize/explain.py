"""Explanations of a network: filters, class activation maps, receptive fields, its most confident mistakes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from torch import Tensor, nn

from medlab.metrics.intervals import to_array
from medlab.visualize.figures import Figure, subplots
from medlab.visualize.images import blank, image_grid, montage, pixels

if TYPE_CHECKING:  # the room of the images loads scikit-learn, which takes seconds
    from medlab.data.images import ImageSet

MOST_FILTERS = 64


def filters(conv_weight: Tensor | np.ndarray) -> Figure:
    """The kernels of a convolution, at most 64 of them, blue below zero and red above.

    Args:
        conv_weight: ``(out, in, kh, kw)``.

    Raises:
        ValueError: not the weight of a 2-D convolution.
    """
    weight = to_array(conv_weight)
    if weight.ndim != 4:
        raise ValueError(f"give the weight of a 2-D convolution, (out, in, kh, kw), got {weight.shape}")
    out, channels, *size = weight.shape
    kernels = weight.reshape(-1, *size)[:MOST_FILTERS]
    top = float(np.abs(kernels).max()) or 1.0
    which = f"{out} filters x {channels} input channel{'s' * (channels > 1)} of {size[0]} x {size[1]}"
    which += f", the first {len(kernels)} shown" if out * channels > len(kernels) else ""
    ncols = min(8, len(kernels))
    rows = math.ceil(len(kernels) / ncols)
    alt = f"Convolution kernels: {which}; weights from {kernels.min():.2g} to {kernels.max():.2g}."
    fig, ax = subplots(alt=alt, size=(0.62 * ncols + 1.4, 0.65 * rows + 0.6))
    montage(ax, list(kernels), ncols)
    ax.images[0].set(cmap="RdBu_r", clim=(-top, top))
    fig.colorbar(ax.images[0], ax=ax, label="weight", shrink=min(1, 1.6 / rows + 0.2))
    ax.set_title(which, fontsize=9)
    return fig


def class_activation_map(
    model: nn.Module, layer: nn.Module, images: Tensor, classes: Sequence[int] | Tensor | None = None
) -> Tensor:
    """Grad-CAM heat maps ``(N, H, W)`` in [0, 1], each divided by its peak; zeros where there is no evidence at all.

    MONAI's `GradCAM`, image by image, on a copy of the model in evaluation mode, so that the model is left as it was.

    Args:
        model: maps images to logits ``(N, K)``.
        layer: the module inside `model` whose feature maps ``(N, C, h, w)`` are weighted, usually the last convolution.
        images: ``(N, C, H, W)``, on the device of the model.
        classes: N classes to explain; the predicted ones for None.

    Raises:
        ValueError: `layer` is not in the model, or gives no feature maps, or images and classes of different number.

    Reference: Selvaraju et al., Grad-CAM, ICCV 2017.
    """
    from monai.visualize import GradCAM  # here: it takes seconds to import

    from medlab.models.modes import explain_shape

    name = next((name for name, module in model.named_modules() if module is layer), None)
    if name is None:
        raise ValueError(f"{type(layer).__name__} is not a module of this {type(model).__name__}; pass e.g. model.conv")
    model = deepcopy(model)  # which keeps MONAI's hooks
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False  # type: ignore[assignment]  # else a ReLU after the layer would overwrite its feature maps
    cam = GradCAM(model, name)
    chosen = [None] * len(images) if classes is None else [int(k) for k in classes]
    if len(chosen) != len(images):
        raise ValueError(f"{len(images)} images but {len(chosen)} classes; give one class per image")
    with torch.enable_grad(), explain_shape(images):
        inputs = images.detach().requires_grad_().split(1)  # so that gradients flow through a frozen model too
        coarse = [cam.compute_map(image, k) for image, k in zip(inputs, chosen)]
    heat = torch.cat(coarse).detach().float()
    if heat.ndim != 4:
        raise ValueError(f"the layer must give feature maps (N, C, h, w), but it is a {type(layer).__name__}")
    heat = cam.upsampler(images.shape[-2:])(heat)[:, 0]
    return heat / heat.amax((1, 2), keepdim=True).clamp_min(torch.finfo(heat.dtype).tiny)


def cam_overlay(images: Tensor | np.ndarray, heat: Tensor | np.ndarray, labels: list[str] | None = None) -> Figure:
    """Images above the same images with their class activation maps.

    Args:
        images: ``(N, C, H, W)``.
        heat: ``(N, H, W)`` in [0, 1], from `class_activation_map`.
        labels: one per image.

    Raises:
        ValueError: no image, or numbers or sizes of images, heat and labels that differ.
    """
    tiles, heat = [pixels(image) for image in images], to_array(heat)
    if not tiles or heat.shape != (len(tiles), *tiles[0].shape[:2]) or (labels and len(labels) != len(tiles)):
        raise ValueError(f"{len(tiles)} images do not fit heat {heat.shape} and {len(labels or [])} labels")
    names = labels or [f"image {i}" for i in range(len(tiles))]
    peaks = [np.unravel_index(one.argmax(), one.shape) for one in heat]
    places = [f"at row {y}, column {x}" if one.any() else "nowhere" for one, (y, x) in zip(heat, peaks)]
    shown = ", ".join(f"{' '.join(name.split())} {place}" for name, place in zip(names, places))
    width = max(1.25 * len(tiles), 1.6) + 0.9
    fig, axes = subplots(2, len(tiles), alt=f"Class activation maps. Strongest evidence: {shown}.", size=(width, 3.1))
    for (above, below), tile, one, name in zip(np.reshape(axes, (2, -1)).T, tiles, heat, names):
        for ax in (above, below):
            blank(ax).imshow(tile, cmap="gray", vmin=min(tile.min(), 0), vmax=max(tile.max(), 1))
        below.imshow(one, cmap="inferno", vmin=0, vmax=1, alpha=0.6 * one)
        above.set_title(name, fontsize=8)
    scale = ScalarMappable(Normalize(0, 1), "inferno")  # the maps are drawn see-through, a scale must not be
    fig.colorbar(scale, ax=axes, shrink=0.7, label="evidence (share of peak)")
    return fig


def error_gallery(imageset: ImageSet, probs: Tensor | np.ndarray, n: int = 12) -> Figure:
    """The `n` most confident mistakes, with the true class, the predicted class, and its probability.

    Args:
        imageset: a multi-class set.
        probs: ``(N, K)`` softmax output for its images, in order.
        n: at most so many.

    Raises:
        ValueError: not multi-class, or probs of another shape.
    """
    probs, info = to_array(probs), imageset.info
    if info.task != "multi-class" or probs.shape != (len(imageset), len(info.classes)):
        wanted = f"({len(imageset)}, {len(info.classes)})"
        raise ValueError(
            f"{info.name} is {info.task}; give a multi-class set and probs of shape {wanted}, got {probs.shape}"
        )
    targets, predicted, confidence = to_array(imageset.targets), probs.argmax(1), probs.max(1)
    wrong = np.flatnonzero(predicted != targets)
    if len(wrong) == 0:
        fig, ax = subplots(alt=f"{info.name}: no mistake among {len(imageset)} images.", size=(5.2, 1.2))
        blank(ax).set_title(fig.alt, fontsize=11, y=0.5)
        return fig
    shown = wrong[np.argsort(-confidence[wrong], kind="stable")][:n]
    labels = [
        f"true {info.classes[targets[i]]}\npredicted {info.classes[predicted[i]]}\nconfidence {confidence[i]:.0%}"
        for i in shown
    ]
    title = f"{len(shown)} most confident of {len(wrong)} mistakes among {len(imageset)} images"
    return image_grid(imageset.batch(torch.from_numpy(shown))[0], labels, ncols=6, title=title)
