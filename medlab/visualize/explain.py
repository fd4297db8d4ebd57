"""What a network looks at, and where it errs: first filters, class activation maps, confident mistakes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from medlab.metrics.intervals import to_array
from medlab.visualize.figures import Figure, message, subplots
from medlab.visualize.images import blank, image_grid, montage, pixels

if TYPE_CHECKING:  # the room of the images loads scikit-learn, which takes seconds
    from medlab.data.images import ImageSet

MOST_FILTERS = 64


def filters(conv_weight: Tensor | np.ndarray) -> Figure:
    """The kernels of a convolution ``(out, in, kh, kw)``, at most 64 of them, blue below zero and red above.

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
    montage(ax, list((kernels + top) / (2 * top)), ncols)
    shown = ax.images[0]
    shown.set_cmap("RdBu_r")
    bar = fig.colorbar(shown, ax=ax, label="weight", ticks=[0, 0.5, 1], shrink=min(1, 1.6 / rows + 0.2))
    bar.ax.set_yticklabels([f"{-top:.2g}", "0", f"{top:.2g}"])
    ax.set_title(which, fontsize=9)
    return fig


def class_activation_map(model: nn.Module, layer: nn.Module, images: Tensor, classes: Tensor | None = None) -> Tensor:
    """Grad-CAM: where `layer` sees evidence for a class, as heat ``(N, H, W)`` in [0, 1], each image by its own peak.

    The model is left as it was: mode, gradients and hooks. An image without any evidence gets a map of zeros.

    Args:
        model: maps images to logits ``(N, K)``.
        layer: the module inside `model` whose output ``(N, C, h, w)`` is explained, usually the last convolution.
        images: ``(N, C, H, W)``, on the device of the model.
        classes: ``(N,)`` classes to explain; the predicted ones for None.

    Raises:
        ValueError: `layer` is not in the model, was not run, or gives no feature maps.

    Reference: Selvaraju et al., Grad-CAM, ICCV 2017.
    """
    modes = {module: module.training for module in model.modules()}
    if layer not in modes:
        raise ValueError(f"{type(layer).__name__} is not a module of this {type(model).__name__}; pass e.g. model.conv")
    seen: list[Tensor] = []

    def start_here(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        seen.append(output.detach().requires_grad_())  # the gradient stops here, so no parameter collects any
        return seen[-1].clone()  # a copy, since a ReLU in place may follow

    hook = layer.register_forward_hook(start_here)
    try:
        with torch.enable_grad():
            logits = model.eval()(images)
            if len(seen) != 1 or seen[0].ndim != 4:
                got = f"shape {tuple(seen[0].shape)}" if seen else "no call"
                raise ValueError(f"the layer must run once and give (N, C, h, w), got {len(seen)} calls, {got}")
            chosen = logits.argmax(1) if classes is None else torch.as_tensor(classes, device=logits.device)
            gradient = torch.autograd.grad(logits.gather(1, chosen.long()[:, None]).sum(), seen[0])[0]
    finally:
        hook.remove()
        for module, training in modes.items():
            module.training = training
    features = seen[0].detach().float()
    heat = relu((gradient.float().mean((2, 3), keepdim=True) * features).sum(1, keepdim=True))
    heat = interpolate(heat, images.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    return heat / heat.amax((1, 2), keepdim=True).clamp_min(torch.finfo(heat.dtype).tiny)


def cam_overlay(images: Tensor | np.ndarray, heat: Tensor | np.ndarray, labels: list[str] | None = None) -> Figure:
    """Images ``(N, C, H, W)`` above the same images with their heat ``(N, H, W)`` from `class_activation_map`.

    Raises:
        ValueError: no image, or numbers or sizes of images, heat and labels that differ.
    """
    tiles, heat = [pixels(image) for image in images], to_array(heat)
    if not tiles or heat.shape != (len(tiles), *tiles[0].shape[:2]) or (labels and len(labels) != len(tiles)):
        raise ValueError(f"{len(tiles)} images do not fit heat {heat.shape} and {len(labels or [])} labels")
    names = labels or [f"image {i}" for i in range(len(tiles))]
    peaks = [np.unravel_index(one.argmax(), one.shape) for one in heat]
    found = [f"at row {y}, column {x}" if one.any() else "nowhere" for one, (y, x) in zip(heat, peaks)]
    said = ", ".join(f"{' '.join(name.split())} {where}" for name, where in zip(names, found))
    wide = max(1.25 * len(tiles), 1.6) + 0.9
    fig, axes = subplots(2, len(tiles), alt=f"Class activation maps. Strongest evidence: {said}.", size=(wide, 3.1))
    for (above, below), tile, one, name in zip(np.reshape(axes, (2, -1)).T, tiles, heat, names):
        for ax in (above, below):
            blank(ax).imshow(tile, cmap="gray", vmin=min(tile.min(), 0), vmax=max(tile.max(), 1))
        below.imshow(one, cmap="inferno", vmin=0, vmax=1, alpha=0.6 * one)
        above.set_title(name, fontsize=8)
    scale = ScalarMappable(Normalize(0, 1), "inferno")  # the drawn maps are see-through, a scale must not be
    fig.colorbar(scale, ax=axes, shrink=0.7, label="evidence (share of peak)")
    return fig


def error_gallery(imageset: ImageSet, probs: Tensor | np.ndarray, n: int = 12) -> Figure:
    """The `n` mistakes the model was surest of, with the true class, the class called, and its probability.

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
    targets, called, sure = to_array(imageset.targets), probs.argmax(1), probs.max(1)
    wrong = np.flatnonzero(called != targets)
    if len(wrong) == 0:
        return message(f"{info.name}: no mistake among {len(imageset)} images.")
    shown = wrong[np.argsort(-sure[wrong], kind="stable")][:n]
    labels = [f"true {info.classes[targets[i]]}\ncalled {info.classes[called[i]]}\n{sure[i]:.0%} sure" for i in shown]
    title = f"{len(shown)} surest of {len(wrong)} mistakes among {len(imageset)} images"
    return image_grid(imageset.batch(torch.from_numpy(shown))[0], labels, ncols=6, title=title)
