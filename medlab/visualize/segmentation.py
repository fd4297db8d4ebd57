"""Figures of segmentations: label maps of several networks beside the reference, and maps of their errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import Patch

from medlab.metrics.intervals import to_array
from medlab.visualize.figures import PALETTE, Figure, subplots
from medlab.visualize.images import blank, mask_style, montage, pixels

# Color and hatch. The image is drawn in medium grays: the lightest and the darkest stand out from it in print too.
ERRORS = {"missed": (PALETTE[7], ""), "false positive": (PALETTE[2], ""), "wrong organ": (PALETTE[4], "xxxx")}


def segmentation_grid(
    images: object, masks: Mapping[str, object], classes: Sequence[str], *, n: int = 3, alt: str | None = None
) -> Figure:
    """Slices in rows; in columns the image, then the image under each of the `masks`. Class 0 is left clear.

    Args:
        images: ``(N, C, H, W)`` or ``(N, H, W)``.
        masks: label maps ``(N, H, W)`` by name, e.g. "truth", "U-Net".
        classes: names of the labels, the background first.
        n: at most so many slices, evenly spread over those in which the first of `masks` has most structures.
        alt: what the figure shows, in words; None for the number of pixels of each structure.

    Raises:
        ValueError: no mask, n below 1, sizes that differ, labels without a name.
    """
    tiles, masks = [pixels(image) for image in images], {name: to_array(maps) for name, maps in masks.items()}
    if not masks or n < 1:
        raise ValueError(f"{len(masks)} masks of {n} slices: give at least one of each")
    for name, maps in masks.items():
        if not tiles or maps.shape != (len(tiles), *tiles[0].shape[:2]):
            size = tiles[0].shape[:2] if tiles else ()
            raise ValueError(f"masks[{name!r}] is {maps.shape}, but there are {len(tiles)} images of {size}")
        _check_labels(maps, classes)
    first = next(iter(masks.values()))
    n = min(n, len(first))
    structures = np.array([len(np.unique(one[one > 0])) for one in first])
    rich = np.flatnonzero(structures >= np.sort(structures)[-n])
    rows = rich[np.linspace(0, len(rich) - 1, n).astype(int)]
    ncols = 1 + len(masks)
    seen = [k for k in range(1, len(classes)) if any((maps[rows] == k).any() for maps in masks.values())]
    if alt is None:
        counts = {
            name: ", ".join(f"{classes[k]} {(maps[rows] == k).sum():,}" for k in seen) for name, maps in masks.items()
        }
        shown = "; ".join(f"{name}: {count or 'none'}" for name, count in counts.items())
        alt = f"{n} slice{'s' * (n > 1)} in rows, in columns the image and its label maps. Pixels of {shown}."
    ratio = tiles[0].shape[0] / tiles[0].shape[1]
    tile = min(max(7.6 / ncols, 1.3), 2.4 if n > 1 else 3.4)  # inches
    fig, ax = subplots(alt=alt, size=(tile * ncols + 0.16, 1.01 * tile * ratio * len(rows) + 0.7))
    places = montage(ax, [tiles[i] for i in rows for _ in range(ncols)], ncols)
    labels = np.zeros(ax.images[0].get_array().shape[:2], int)  # of the whole sheet: one contour for each class
    height, width = first.shape[1:]
    for place, (x, y) in enumerate(places):
        row, column = divmod(place, ncols)
        if column > 0:
            left, top = round(x - width / 2 + 0.5), round(y + 0.5)
            labels[top : top + height, left : left + width] = list(masks.values())[column - 1][rows[row]]
    handles = []
    for k in seen:
        color, line = mask_style(k - 1).values()
        _overlay(ax, labels == k, color, line)
        style = {"edgecolor": color, "linestyle": line, "linewidth": 1.3, "label": classes[k]}
        handles.append(Patch(facecolor=to_rgba(color, 0.4), **style))
    for place, name in zip(places, ["image", *masks]):
        ax.annotate(name, place, (0, 4), textcoords="offset points", ha="center", fontsize=11)
    if handles:
        fig.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 5), fontsize=10)
    return fig


def _overlay(ax: Axes, where: np.ndarray, color: str, line: object) -> None:
    """A light fill, and a contour on a black one, so that it is seen in print too."""
    sheet = np.zeros((*where.shape, 4))
    sheet[where] = to_rgba(color, 0.3)
    ax.imshow(sheet, interpolation="nearest")
    ax.contour(where, [0.5], colors=["black"], linewidths=2.1)
    ax.contour(where, [0.5], colors=[color], linestyles=[line], linewidths=1.3)


def _check_labels(maps: np.ndarray, classes: Sequence[str]) -> None:
    if maps.dtype.kind not in "iub" or maps.min() < 0 or maps.max() >= len(classes):
        span = f"{maps.min()} to {maps.max()} ({maps.dtype})"
        raise ValueError(f"labels run from {span}; they must be whole numbers from 0 to {len(classes) - 1}")


def error_map(image: object, masks: Mapping[str, object], target: object, classes: Sequence[str]) -> Figure:
    """The errors of segmentations over the image: structure missed, false positives, one organ taken for another.

    White lines are the outlines of the reference.

    Args:
        image: ``(H, W)`` or ``(C, H, W)``.
        masks: predicted label maps ``(H, W)`` by name, a panel each.
        target: the true label map ``(H, W)``.
        classes: names of the labels, the background first.

    Raises:
        ValueError: no mask, sizes that differ, labels without a name.
    """
    masks, image, target = {name: to_array(one) for name, one in masks.items()}, pixels(image), to_array(target)
    sizes = {one.shape for one in masks.values()} | {target.shape, image.shape[:2]}
    if len(sizes) != 1 or not masks:
        raise ValueError(f"image, target and {len(masks)} masks must share one height and width, got {sorted(sizes)}")
    for one in (*masks.values(), target):
        _check_labels(one, classes)
    errors = {
        name: {
            "missed": (target > 0) & (one == 0),
            "false positive": (target == 0) & (one > 0),
            "wrong organ": (target > 0) & (one > 0) & (one != target),
        }
        for name, one in masks.items()
    }
    counts = {
        name: ", ".join(f"{kind} {where.sum()}" for kind, where in kinds.items()) for name, kinds in errors.items()
    }
    shown = "; ".join(f"{name}: {count}" for name, count in counts.items())
    alt = f"Errors over the image, in pixels ({(target > 0).sum()} of structure). {shown}."
    width = max(3.4 * len(masks), 4.6)
    fig, axes = subplots(1, len(masks), alt=alt, size=(width, 3.3 * image.shape[0] / image.shape[1] + 0.9))
    grays = 0.3 + 0.45 * (image - image.min()) / (np.ptp(image) or 1)
    for ax, (name, kinds) in zip(np.ravel(axes), errors.items()):
        blank(ax).imshow(grays, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        for k in np.unique(target[target > 0]):
            ax.contour(target == k, [0.5], colors="white", linewidths=0.7)
        for kind, where in kinds.items():
            color, hatch = ERRORS[kind]
            sheet = np.zeros((*where.shape, 4))
            sheet[where] = to_rgba(color)
            ax.imshow(sheet, interpolation="nearest")
            if hatch and where.any():
                ax.contourf(where, [0.5, 1.5], colors="none", hatches=[hatch])
        ax.set_title(f"{name}\n{counts[name]} px", fontsize=8.5)
    handles = [
        Patch(facecolor=color, edgecolor="black", hatch=hatch, linewidth=0.5, label=kind)
        for kind, (color, hatch) in ERRORS.items()
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=10)
    return fig
