"""Figures of generated images: samples, modes covered, nearest training images, a preview during the training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from numpy.typing import ArrayLike

from medlab.errors import whole_number
from medlab.metrics.coverage import modes_covered, nearest
from medlab.metrics.intervals import to_array
from medlab.visualize.figures import PALETTE, Figure, subplots
from medlab.visualize.images import blank, image_grid, pixels, tile_grid

if TYPE_CHECKING:  # the room of the trainings takes seconds to import
    from torch import Tensor

    from medlab.train.state import History


def sample_grid(samples: Mapping[str, Sequence], *, n: int = 8, title: str = "") -> Figure:
    """The first `n` images of each set in a row: several generators below real images.

    Draw the samples with a seed (`medlab.train.sample`) and take the first of them: selected ones prove nothing.

    Args:
        samples: images ``(N, C, H, W)`` or ``(N, H, W)`` by name, all of one size.
        n: images per row.
        title: above the grid.

    Raises:
        ValueError: no set, a set with fewer images, sizes that differ.
    """
    if not samples or n < 1:
        raise ValueError(f"{len(samples)} rows of {n} images: give at least one of each")
    rows = {fill(name, 14): [pixels(image) for image in images[:n]] for name, images in samples.items()}
    if short := [f"{name!r} holds {len(row)}" for name, row in rows.items() if len(row) < n]:
        raise ValueError(f"{', '.join(short)} images, but n = {n}; generate more, or take a smaller n")
    if len(sizes := {tile.shape for row in rows.values() for tile in row}) > 1:
        raise ValueError(f"images of one size go into one grid, got {sorted(sizes)}")
    alt = f"{title or 'Samples'}: the first {n} images each of {', '.join(samples)}, one row each."
    return tile_grid([tile for row in rows.values() for tile in row], n, alt=alt, title=title, rows=list(rows))


def ring_scatter(
    samples: Mapping[str, ArrayLike], data: ArrayLike, centers: ArrayLike, radius: float, *, least: float = 0.01
) -> Figure:
    """Points of generators over their training data, a panel each, with a circle per mode: solid if it is covered.

    The circles have the radius within which points count as good.

    Args:
        samples: points ``(N, 2)`` or ``(N, 2, 1, 1)`` by name.
        data: points of the same form; at most 1000 are drawn.
        centers, radius, least: as for `medlab.metrics.modes_covered`, which counts.

    Raises:
        ValueError: no samples, data that are no points, or as `modes_covered`.
    """
    if not samples:
        raise ValueError("nothing to draw: give the points of at least one generator with its name")
    centers, real = to_array(centers), to_array(data)
    if math.prod(real.shape[1:]) != 2:
        raise ValueError(f"data must be points (N, 2), got {real.shape}")
    modes = {name: modes_covered(points, centers, radius, least) for name, points in samples.items()}
    shown = "; ".join(
        f"{name}: {one.covered} of {len(centers)} modes, {one.high_quality:.0%} of the points at a mode"
        for name, one in modes.items()
    )
    columns = min(len(samples), 4)
    rows = math.ceil(len(samples) / columns)
    size = (max(2.5 * columns, 3.6), 3.0 * rows + 0.4)
    fig, axes = subplots(rows, columns, alt=f"Generated points over the data. {shown}.", size=size)
    axes = np.ravel(axes)
    real = real[:1000].reshape(-1, 2)
    edge = max(0.12 * np.ptp(centers, 0).max(), 1.2 * radius)
    (left, bottom), (right, top) = centers.min(0) - edge, centers.max(0) + edge
    for ax, (name, points) in zip(axes, samples.items()):
        points, found = to_array(points)[:1000].reshape(-1, 2), modes[name]
        ax.plot(*real.T, ".", color="0.75", markersize=3, label="data")
        ax.plot(*points.T, ".", color=PALETTE[0], markersize=3, alpha=0.5, label="generated")
        for center, share in zip(centers, found.shares):
            covered = share >= least and share > 0
            style = {"linestyle": "-" if covered else ":", "edgecolor": "black" if covered else PALETTE[4]}
            ax.add_patch(Circle(center, radius, fill=False, linewidth=1.2, zorder=3, **style))
        blank(ax).set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
        outside = int(((points < [left, bottom]) | (points > [right, top])).any(1).sum())
        beyond = f", {outside} outside" if outside else ""
        title = f"{name}\n{found.covered} of {len(centers)} modes, {found.high_quality:.0%} good{beyond}"
        ax.set_title(title, fontsize=9.5)
    for ax in axes[len(samples) :]:
        blank(ax)
    handles = axes[0].get_legend_handles_labels()[0]
    handles.append(Line2D([], [], color="black", linestyle="-", marker="", linewidth=1.2, label="mode covered"))
    handles.append(Line2D([], [], color=PALETTE[4], linestyle=":", marker="", linewidth=1.2, label="mode missed"))
    fig.legend(handles=handles, loc="outside lower center", ncols=4 if columns > 1 else 2, markerscale=3, fontsize=9)
    return fig


def nearest_pairs(
    samples: Tensor | np.ndarray, training: Tensor | np.ndarray, *, n: int = 8, title: str = ""
) -> Figure:
    """Generated images above their nearest training images, closest pairs first, with their distance (RMSE).

    A copy has distance 0. For comparison draw the same of held-out real images.

    Args:
        samples, training: images ``(N, C, H, W)`` in [0, 1].
        n: pairs shown, those of least distance.
        title: above the pairs.

    Raises:
        ValueError: n below 1, sizes that differ, values outside [0, 1].
    """
    whole_number("n", n, 1)
    found = nearest(samples, training)
    order = np.argsort(found.distance, kind="stable")[:n]
    distances, median = found.distance[order], np.median(found.distance)
    alt = (
        f"{title or 'Memorization'}: the {len(order)} of {len(found.distance)} samples that lie closest to a training "
        f"image, each above that image. Distances (RMSE) from {distances[0]:.3f} to {distances[-1]:.3f}; median of all "
        f"{median:.3f}."
    )
    tiles = [pixels(image) for images in (samples[order], training[found.index[order]]) for image in images]
    above, rows = [f"{distance:.3f}" for distance in distances], ["sample", "nearest\nin training"]
    fig = tile_grid(tiles, len(order), alt=alt, title=title, above=above, rows=rows)
    [ax] = fig.axes
    ax.set_xlabel(f"RMSE above each pair; median of all {len(found.distance)} samples {median:.3f}", fontsize=9)
    return fig


def live_grid(n: int = 32) -> Callable[[Tensor, History], None]:
    """A callback for `watch` of `medlab.train.fit_gan`: one figure in the notebook, updated during the training.

    The noise is the same after every epoch, so each place of the grid shows the progress of one image. A notebook that
    runs unattended keeps the last figure; a plain script shows nothing.

    Args:
        n: images shown, at most 64.

    Returns:
        A function of images and history.

    Raises:
        ValueError: n below 1.
    """
    whole_number("n", n, 1)
    handle = None

    def watch(images: Tensor, history: History) -> None:
        nonlocal handle
        from IPython import get_ipython
        from IPython.display import display

        if get_ipython() is None:
            return
        numbers = {"discriminator loss": history.train_loss} | history.metrics
        shown = ", ".join(f"{name.replace('_', ' ')} {values[-1]:.3g}" for name, values in numbers.items())
        title = fill(f"epoch {len(history)}: {shown}", 76)
        data, metadata = image_grid(images[:n], title=title)._repr_mimebundle_()
        if handle is None:
            handle = display(data, metadata=metadata, raw=True, display_id=True)
        else:
            handle.update(data, metadata=metadata, raw=True)

    return watch
