"""Figures of segmentations: label maps of several networks beside the reference, and maps of their errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from medlab.metrics.intervals import to_array
from medlab.metrics.segmentation import check_label_maps
from medlab.visualize.figures import PALETTE, Figure, subplots
from medlab.visualize.images import arrange, blank, mask_style, montage, pixels

# Color and hatch. The image is drawn in medium grays: the lightest and the darkest stand out from it in print too.
ERRORS = {"missed": (PALETTE[7], ""), "false positive": (PALETTE[2], ""), "wrong organ": (PALETTE[4], "xxxx")}


def segmentation_grid(
    images: Iterable[ArrayLike],
    masks: Mapping[str, ArrayLike],
    classes: Sequence[str],
    *,
    n: int = 3,
    alt: str | None = None,
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
    tiles, arrays = [pixels(image) for image in images], {name: to_array(maps) for name, maps in masks.items()}
    if not arrays or n < 1:
        raise ValueError(f"{len(arrays)} masks of {n} slices: give at least one of each")
    for name, maps in arrays.items():
        if not tiles or maps.shape != (len(tiles), *tiles[0].shape[:2]):
            size = tiles[0].shape[:2] if tiles else ()
            raise ValueError(f"masks[{name!r}] is {maps.shape}, but there are {len(tiles)} images of {size}")
        check_label_maps(maps, f"masks[{name!r}]", classes)
    first = next(iter(arrays.values()))
    n = min(n, len(first))
    structures = np.array([len(np.unique(one[one > 0])) for one in first])
    rich = np.flatnonzero(structures >= np.sort(structures)[-n])
    rows = rich[np.linspace(0, len(rich) - 1, n).astype(int)]
    columns = {"image": 0 * first} | arrays
    seen = [k for k in range(1, len(classes)) if any((maps[rows] == k).any() for maps in arrays.values())]
    if alt is None:
        counts = {
            name: ", ".join(f"{classes[k]} {(maps[rows] == k).sum():,}" for k in seen) for name, maps in arrays.items()
        }
        shown = "; ".join(f"{name}: {count or 'none'}" for name, count in counts.items())
        alt = f"{n} slice{'s' * (n > 1)} in rows, in columns the image and its label maps. Pixels of {shown}."
    ncols, ratio = len(columns), tiles[0].shape[0] / tiles[0].shape[1]
    side = min(max(7.6 / ncols, 1.3), 2.4 if n > 1 else 3.4)  # inches
    fig, ax = subplots(alt=alt, size=(side * ncols + 0.16, 1.01 * side * ratio * len(rows) + 0.7))
    places = montage(ax, [tiles[i] for i in rows for _ in columns], ncols)
    labels, _ = arrange([maps[i] for i in rows for maps in columns.values()], ncols)  # one contour for each class
    handles = []
    for k in seen:
        color, line = mask_style(k - 1).values()
        ax.imshow((labels == k)[..., None] * np.array(to_rgba(color, 0.3)), interpolation="nearest")
        ax.contour(labels == k, [0.5], colors=["black"], linewidths=2.1)  # below the other: it is seen in print too
        ax.contour(labels == k, [0.5], colors=[color], linestyles=[line], linewidths=1.3)
        style: dict = {"edgecolor": color, "linestyle": line, "linewidth": 1.3, "label": classes[k]}
        handles.append(Patch(facecolor=to_rgba(color, 0.4), **style))
    for place, name in zip(places, columns):
        ax.annotate(name, place, (0, 4), textcoords="offset points", ha="center", fontsize=11)
    if handles:
        fig.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 5), fontsize=10)
    return fig


def error_map(image: ArrayLike, masks: Mapping[str, ArrayLike], target: ArrayLike, classes: Sequence[str]) -> Figure:
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
    arrays, image, target = {name: to_array(one) for name, one in masks.items()}, pixels(image), to_array(target)
    sizes = {one.shape for one in arrays.values()} | {target.shape, image.shape[:2]}
    if len(sizes) != 1 or not masks:
        raise ValueError(f"image, target and {len(masks)} masks must share one height and width, got {sorted(sizes)}")
    for name, one in (arrays | {"target": target}).items():
        check_label_maps(one[None], name, classes)
    counts, errors = {}, {}
    for name, one in arrays.items():
        missed, added = (target > 0) & (one == 0), (target == 0) & (one > 0)
        errors[name] = missed, added, (one != target) & ~missed & ~added
        counts[name] = ", ".join(f"{kind} {where.sum()}" for kind, where in zip(ERRORS, errors[name]))
    shown = "; ".join(f"{name}: {count}" for name, count in counts.items())
    alt = f"Errors over the image, in pixels ({(target > 0).sum()} of structure). {shown}."
    width = max(3.4 * len(masks), 4.6)
    fig, axes = subplots(1, len(masks), alt=alt, size=(width, 3.3 * image.shape[0] / image.shape[1] + 0.9))
    grays = 0.3 + 0.45 * (image - image.min()) / (np.ptp(image) or 1)
    for ax, name in zip(np.ravel(axes), masks):
        blank(ax).imshow(grays, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        for k in np.unique(target[target > 0]):
            ax.contour(target == k, [0.5], colors="white", linewidths=0.7)
        for where, (color, hatch) in zip(errors[name], ERRORS.values()):
            ax.imshow(where[..., None] * np.array(to_rgba(color)), interpolation="nearest")
            if hatch and where.any():
                ax.contourf(where, [0.5, 1.5], colors="none", hatches=[hatch])
        ax.set_title(f"{name}\n{counts[name]} px", fontsize=8.5)
    handles = [
        Patch(facecolor=color, edgecolor="black", hatch=hatch, linewidth=0.5, label=kind)
        for kind, (color, hatch) in ERRORS.items()
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=10)
    return fig
