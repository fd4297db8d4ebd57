"""Figures of images: grids, histograms of intensities, CT windows, the three planes of a volume."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from medlab.errors import whole_number
from medlab.metrics.intervals import to_array
from medlab.visualize.figures import LINES, PALETTE, Figure, subplots

if TYPE_CHECKING:  # the room of the images loads scikit-learn, which takes seconds
    from medlab.data.images import ImageSet

MASK_COLORS = (*PALETTE[1:2], *PALETTE[3:], PALETTE[0])  # no black, which a dark image would swallow
PLANES = ("axial", "coronal", "sagittal")
AXES = ("feet to head", "back to front", "left to right")  # of D, H and W, as `medlab.data.nifti` stores them


def blank(ax: Axes) -> Axes:
    """The axes without ticks, grid and frame, as an image needs them."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)
    return ax


def mask_style(k: int) -> dict[str, Any]:
    """Color and line of the mask number `k`, from 0."""
    return {"color": MASK_COLORS[k % len(MASK_COLORS)], "linestyle": LINES[k % len(LINES)]}


def pixels(image: ArrayLike) -> np.ndarray:
    """One image ``(H, W)``, ``(C, H, W)`` or ``(C, D, H, W)`` as ``(H, W)``, or ``(H, W, 3)`` if it is in color.

    Of a volume it is the middle slice, of channels other than three colors the first.

    Raises:
        ValueError: another shape.
    """
    image = to_array(image)
    if image.dtype == np.uint8:
        image = image / 255
    if image.ndim == 4:
        image = image[:, image.shape[1] // 2]
    if image.ndim == 3:
        image = image.transpose(1, 2, 0) if len(image) == 3 else image[0]
    if image.ndim != 2 and image.shape[-1:] != (3,):
        raise ValueError(f"an image must be (H, W), (C, H, W) or (C, D, H, W), got {image.shape}")
    return image


def arrange(tiles: list[np.ndarray], ncols: int, room: float = 0.06) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """One array of the tiles in rows, each with `room` times its width free above; and the top center of each.

    What is free is NaN, or white among colors.
    """
    height, width, *colors = tiles[0].shape
    gap, head = max(round(width * 0.06), 1), max(math.ceil(width * room), 1)
    nrows = math.ceil(len(tiles) / ncols)
    sheet = np.full((nrows * (height + head), ncols * (width + gap) - gap, *colors), 1.0 if colors else np.nan)
    centers = []
    for i, one in enumerate(tiles):
        top, left = (i // ncols) * (height + head) + head, (i % ncols) * (width + gap)
        sheet[top : top + height, left : left + width] = one
        centers.append((left + width / 2 - 0.5, top - 0.5))
    return sheet, centers


def montage(ax: Axes, tiles: list[np.ndarray], ncols: int, room: float = 0.06) -> list[tuple[float, float]]:
    """Draw the tiles in rows in one axes, each with `room` times its width free above; return the top center of each.

    A single axes draws a hundred images as fast as one.
    """
    low, high = min(tile.min() for tile in tiles), max(tile.max() for tile in tiles)
    if low >= 0 and high <= 1:
        bright = float(np.quantile(np.concatenate([tile.ravel() for tile in tiles]), 0.999))
        low, high = 0.0, bright if 0 < bright < 0.6 else 1.0  # lung patches fill less than half of the range
    if tiles[0].ndim == 3:
        tiles = [np.clip((one - low) / (high - low), 0, 1) for one in tiles]
    sheet, centers = arrange(tiles, ncols, room)
    blank(ax).imshow(sheet, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    return centers


def tile_grid(
    tiles: list[np.ndarray], ncols: int, *, alt: str, title: str, above: Sequence[str] = (), rows: Sequence[str] = ()
) -> Figure:
    """A figure of the tiles in rows, with words above each and the names of the rows to the left."""
    side = min(max(7 / ncols, 0.75), 2.0)  # inches
    above = ["\n".join(fill(line, round(15 * side)) for line in word.split("\n")) for word in above]
    room = 0.06 + 0.14 * max((word.count("\n") + 1 for word in above), default=0) / side
    nrows, (height, width) = math.ceil(len(tiles) / ncols), tiles[0].shape[:2]
    beside = 0.16 + 0.085 * max((len(line) for row in rows for line in row.split("\n")), default=0)
    size = (max(side * ncols, 2.5) + beside, 0.95 * side * nrows * (height / width + room) + 0.12 + 0.25 * bool(title))
    fig, ax = subplots(alt=alt, size=size)
    centers = montage(ax, tiles, ncols, room)
    for center, word in zip(centers, above):
        ax.annotate(word, center, (0, 3), textcoords="offset points", ha="center", fontsize=8, linespacing=1.05)
    ax.set_yticks([top + height / 2 for _, top in centers[::ncols]][: len(rows)], rows, fontsize=9)
    ax.tick_params(length=0)
    ax.set_title(title, fontsize=11)
    return fig


def image_grid(
    images: Iterable[ArrayLike],
    labels: Sequence | None = None,
    classes: Sequence[str] | None = None,
    *,
    ncols: int = 8,
    title: str = "",
) -> Figure:
    """Images side by side, all on one gray scale, with a label above each.

    Args:
        images: ``(N, C, H, W)`` or ``(N, H, W)``; values in [0, 1], of which the brightest is shown white if all are
            below 0.6; any other values are scaled by the least and the greatest of them all.
        labels: one per image, class numbers or strings (which may have several lines).
        classes: names of the class numbers.
        ncols: images in a row.
        title: above the grid.

    Raises:
        ValueError: no image, an image of the wrong shape, labels and images of different number.
    """
    tiles = [pixels(image) for image in images]
    if not tiles or ncols < 1:
        raise ValueError(f"{len(tiles)} images in {ncols} columns: give at least one image and one column")
    words = [] if labels is None else [_name(label, classes) for label in labels]
    if words and len(words) != len(tiles):
        raise ValueError(f"{len(tiles)} images but {len(words)} labels; give one label per image")
    ncols = min(ncols, len(tiles))
    alt = f"{title or 'Images'}: {len(tiles)} images in rows of {ncols}"
    alt += f", labeled {_list([word.replace(chr(10), ' ') for word in words])}." if words else "."
    return tile_grid(tiles, ncols, alt=alt, title=title, above=words)


def _name(label: str | int, classes: Sequence[str] | None) -> str:
    if classes is None or isinstance(label, str):
        return str(label)
    return str(classes[whole_number("label", int(label), 0, len(classes) - 1)])


def _list(words: Sequence[str], limit: int = 16) -> str:
    return ", ".join(words[:limit]) + (f" and {len(words) - limit} more" if len(words) > limit else "")


def class_grid(imageset: ImageSet, per_class: int = 6, *, seed: int = 0) -> Figure:
    """A row of images per class, drawn at random: how do the classes differ, and how much do images within them?

    Args:
        imageset: a set with a class, or several, per image.
        per_class: images per row, if the class has so many.
        seed: of the draw.

    Raises:
        ValueError: a segmentation set, which has no class per image (use `segmentation_grid`).
    """
    rng, info, counts = np.random.default_rng(whole_number("seed", seed, 0)), imageset.info, imageset.counts()
    whole_number("per_class", per_class, 1)
    empty = np.ones_like(pixels(imageset.images[0]))
    tiles = []
    for members in _of_class(imageset):
        images, _ = imageset.batch(torch.from_numpy(rng.permutation(members)[:per_class]))
        tiles += [pixels(image) for image in images] + [empty] * (per_class - len(images))
    rows = [f"{fill(name, 18)}\n(n = {counts[name]})" for name in info.classes]
    shown = _list([f"{name} ({counts[name]} in the set)" for name in info.classes])
    alt = f"{info.name}, {info.modality}: up to {per_class} images in one row for each class: {shown}."
    return tile_grid(tiles, per_class, alt=alt, title=f"{info.name} ({info.modality})", rows=rows)


def _of_class(imageset: ImageSet) -> list[np.ndarray]:
    """Positions of the images of each class; an image with several labels is in several."""
    targets, classes = to_array(imageset.targets), range(len(imageset.info.classes))
    if (task := imageset.info.task) in ("segmentation", "unlabeled"):
        raise ValueError(f"{imageset.info.name} is a {task} set: its images have no class; use segmentation_grid")
    return [np.flatnonzero(targets[:, k] if targets.ndim == 2 else targets == k) for k in classes]


def intensity_histogram(imageset: ImageSet, *, per_class: int = 200) -> Figure:
    """Histogram of the gray values of each class: of its images, or in a segmentation set of its pixels.

    Args:
        imageset: of any task.
        per_class: at most so many images of each class, evenly spread over the set.
    """
    edges, info = (np.arange(0, 257, 4) - 0.5) / 255, imageset.info  # four levels of an 8-bit image each: no comb
    whole_number("per_class", per_class, 1)
    by_pixel = info.task == "segmentation"
    members = [np.arange(len(imageset))] * len(info.classes) if by_pixel else _of_class(imageset)
    curves = {}
    for k, (name, where) in enumerate(zip(info.classes, members)):
        if len(where) == 0:
            continue
        chosen = where[np.linspace(0, len(where) - 1, min(per_class, len(where))).astype(int)]
        images, targets = (to_array(part) for part in imageset.batch(torch.from_numpy(chosen)))
        values = images.mean(1)[targets == k] if by_pixel else images.ravel()
        if len(values):
            curves[name] = (np.histogram(values, edges)[0] / len(values), values.mean())
    means = _list([f"{name} {mean:.2f}" for name, (_, mean) in curves.items()])
    fig, ax = subplots(alt=f"{info.name}: histogram of gray values per class. Mean gray value: {means}.", size=(6, 3.2))
    for i, (name, (share, mean)) in enumerate(curves.items()):
        style = {"color": PALETTE[i % len(PALETTE)], "linestyle": LINES[i % len(LINES)]}
        ax.stairs(100 * share, edges, label=f"{name} (mean {mean:.2f})", linewidth=1.6, **style)
    # Air would make every organ a flat line: its peak is cut off.
    shown = [share for name, (share, _) in curves.items() if not by_pixel or name != info.classes[0]]
    top = 115 * max((share.max() for share in shown), default=1 / 115)
    ax.set(xlabel=f"gray value ({info.unit})", ylabel="pixels (%)", xlim=(0, 1), ylim=(0, top))
    ax.legend(fontsize=9)
    return fig


def window_level(hu_image: ArrayLike, level: float, width: float) -> Figure:
    """A CT slice as the window `level` ± `width` / 2 shows it, beside its histogram with that window.

    Args:
        hu_image: ``(H, W)`` in HU.
        level, width: of the window, in HU.

    Raises:
        ValueError: not ``(H, W)``, or a width that is not positive.
    """
    image = to_array(hu_image).astype(float)
    if image.ndim != 2 or not width > 0 or not math.isfinite(level):
        raise ValueError(f"give one slice (H, W), a level and a width above 0, got {image.shape}, {level} and {width}")
    low, high = level - width / 2, level + width / 2
    black, white = 100 * (image <= low).mean(), 100 * (image >= high).mean()
    alt = (
        f"CT slice with window level {level:g} HU, width {width:g} HU, beside its histogram: {low:g} HU and below is "
        f"black ({black:.0f} % of the pixels), {high:g} HU and above is white ({white:.0f} %)."
    )
    fig, (left, right) = subplots(1, 2, alt=alt, size=(8, 3.6))
    shown = blank(left).imshow(image, cmap="gray", vmin=low, vmax=high)
    fig.colorbar(shown, ax=left, shrink=0.8, label="HU")
    left.set_title(f"level {level:g} HU, width {width:g} HU", fontsize=11)
    counts, edges = np.histogram(image, bins=100)
    right.stairs(100 * counts / image.size, edges, fill=True, color=PALETTE[0])
    right.axvspan(low, high, color=PALETTE[1], alpha=0.25, label="window")
    right.axvline(level, color=PALETTE[2], linestyle="--", label="level")
    margin = 0.02 * (edges[-1] - edges[0])
    right.set(xlim=(edges[0] - margin, edges[-1] + margin), yscale="log")
    right.set(xlabel="intensity (HU)", ylabel="pixels (%, log scale)")
    right.set_title(f"{black:.0f} % black, {white:.0f} % white", fontsize=11)
    right.legend(fontsize=9)
    return fig


def orthoviews(
    volume: ArrayLike,
    index: Sequence[int] | None = None,
    *,
    spacing: Sequence[float] = (1, 1, 1),
    masks: Mapping[str, ArrayLike] | None = None,
) -> Figure:
    """Axial, coronal and sagittal slice of a volume through one voxel, with a crosshair there, true to scale in mm.

    The depth D runs from feet to head, H from back to front, W from the patient's left to the right, as `medlab.data`
    loads volumes: the patient is seen upright, and from above, not from the feet as in a radiologist's viewer.

    Args:
        volume: ``(D, H, W)``.
        index: of the voxel (depth, row, column); None for the middle.
        spacing: of the voxels in mm, in the same order.
        masks: ``(D, H, W)`` by name, e.g. "truth". Everything but 0 is outlined, in a color and a line per mask.

    Raises:
        ValueError: not a volume, or an index, a spacing or a mask that does not fit.
    """
    volume, spacing = to_array(volume), tuple(float(step) for step in spacing)
    if volume.ndim != 3:
        raise ValueError(f"a volume must be (D, H, W), got {volume.shape}")
    if len(spacing) != 3 or not min(spacing) > 0:
        raise ValueError(f"spacing must be three lengths in mm (depth, row, column), got {spacing}")
    shown = {name: to_array(mask) != 0 for name, mask in (masks or {}).items()}
    for name, mask in shown.items():
        if mask.shape != volume.shape:
            raise ValueError(f"mask {name!r} is {mask.shape}, but the volume {volume.shape}; give one label per voxel")
    index = tuple(int(i) for i in (np.array(volume.shape) // 2 if index is None else index))
    if len(index) != 3 or not all(0 <= i < size for i, size in zip(index, volume.shape)):
        raise ValueError(f"index {index} lies outside the volume {volume.shape}; give (depth, row, column)")
    alt = f"Axial slice {index[0]}, coronal slice {index[1]} and sagittal slice {index[2]} of a volume of "
    alt += f"{' x '.join(map(str, volume.shape))} voxels; at the crosshair the intensity is {volume[index]:.3g}."
    if shown:
        alt += f" Outlined voxels: {', '.join(f'{name} {mask.sum():,}' for name, mask in shown.items())}."
    fig, axes = subplots(1, 3, alt=alt, size=(9.6, 3.9 + 0.3 * bool(shown)))
    styles = {name: mask_style(k) for k, name in enumerate(shown)}
    cross = "0.75" if shown else PALETTE[1]  # the first outline is orange
    start, end = -np.array(spacing) / 2, (np.array(volume.shape) - 0.5) * spacing  # edges of the outer voxels
    for axis, ax in enumerate(axes):
        down, across = (i for i in range(3) if i != axis)
        extent = (start[across], end[across], start[down], end[down])
        style = {"cmap": "gray", "vmin": volume.min(), "vmax": volume.max()}
        ax.imshow(volume.take(index[axis], axis), extent=extent, origin="lower", **style)
        ax.set(xlabel=f"{AXES[across]} (mm)", ylabel=f"{AXES[down]} (mm)")
        ax.set_title(f"{PLANES[axis]}, slice {index[axis]}", fontsize=11)
        ax.grid(False)
        ax.axhline(index[down] * spacing[down], color=cross, linewidth=0.8)
        ax.axvline(index[across] * spacing[across], color=cross, linewidth=0.8)
        for name, mask in shown.items():
            plane, (color, line) = mask.take(index[axis], axis), styles[name].values()
            if plane.any() and not plane.all():  # else there is no outline
                style = {"colors": [color], "linestyles": [line], "linewidths": 1.5}
                ax.contour(plane, [0.5], extent=extent, origin="lower", **style)
    if shown:
        handles = [Line2D([], [], label=name, **style) for name, style in styles.items()]
        fig.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=10)
    return fig
