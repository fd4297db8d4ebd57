"""Made images and the game that makes them: samples, two players' curves, modes, weights of a critic, memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator

from medlab.metrics.coverage import modes_covered, nearest
from medlab.metrics.intervals import to_array
from medlab.visualize.figures import PALETTE, Figure, subplots
from medlab.visualize.images import blank, image_grid, montage, pixels

if TYPE_CHECKING:  # torch takes a second to import
    from torch import nn

COIN = math.log(2)  # loss of a player who can only toss a coin: -log(1/2)


def sample_grid(samples: Mapping[str, object], *, n: int = 8, title: str = "") -> Figure:
    """The first `n` images of each set in a row with its name: generators below one another, and below real images.

    Draw the samples with a seed (`medlab.train.sample`), and take the first that come: chosen ones say nothing.

    Args:
        samples: images ``(N, C, H, W)`` or ``(N, H, W)`` by name, all of one size.
        n: images a row.
        title: above the grid.

    Raises:
        ValueError: no set, a set with fewer images, sizes that differ.
    """
    if not samples or n < 1:
        raise ValueError(f"{len(samples)} rows of {n} images: give at least one of each")
    rows = {name: [pixels(image) for image in images[:n]] for name, images in samples.items()}
    if short := [f"{name!r} holds {len(row)}" for name, row in rows.items() if len(row) < n]:
        raise ValueError(f"{', '.join(short)} images, but n = {n}; make more, or take a smaller n")
    tiles = [tile for row in rows.values() for tile in row]
    if len(sizes := {tile.shape for tile in tiles}) > 1:
        raise ValueError(f"images of one size go into one grid, got {sorted(sizes)}")
    alt = f"{title or 'Samples'}: the first {n} images each of {', '.join(rows)}, one row each."
    names = [fill(name, 14) for name in rows]
    tile = min(max(7.4 / n, 0.7), 1.4)  # inches
    beside = 0.2 + 0.085 * max(len(line) for name in names for line in name.split("\n"))
    ratio = tiles[0].shape[0] / tiles[0].shape[1]
    size = (tile * n + beside, len(rows) * tile * (ratio + 0.08) + 0.2 + 0.25 * bool(title))
    fig, ax = subplots(alt=alt, size=size)
    places = montage(ax, tiles, n)
    ax.set_yticks([top + tiles[0].shape[0] / 2 for _, top in places[::n]], names, fontsize=9)
    ax.tick_params(length=0)
    ax.set_title(title, fontsize=11)
    return fig


def gan_curves(history: object) -> Figure:
    """Losses of both players, beside the discriminator's accuracy or the critic's gap.

    How to read them: each loss is measured against the *other player as it is then*, so neither says how good the
    images are. Dotted lines mark a discriminator that tosses a coin: there the game has ended, or the discriminator is
    too weak to see what is wrong. An accuracy that stays at 100 % leaves the generator nothing to learn from. A
    critic's gap is the one curve that falls while images get better, once the critic has learnt to tell them apart.

    Args:
        history: of `medlab.train.fit_gan`.

    Raises:
        ValueError: nothing was recorded, or it is no history of two players.
    """
    losses = {"discriminator": history.train_loss, "generator": history.metrics.get("generator_loss", [])}
    second = next((name for name in ("accuracy", "gap") if name in history.metrics), None)
    if len(history.train_loss) == 0 or second is None or len(losses["generator"]) == 0:
        raise ValueError("give the history of at least one epoch of fit_gan")
    values, epochs = np.asarray(history.metrics[second]), np.arange(1, len(history.train_loss) + 1)
    ends = ", ".join(f"{name} {line[0]:.3g} to {line[-1]:.3g}" for name, line in losses.items())
    alt = (
        f"Two players over {len(epochs)} epochs, from first to last. Losses: {ends}. "
        f"{'Accuracy of the discriminator' if second == 'accuracy' else 'Gap of the critic'}: "
        f"{values[0]:.3g} to {values[-1]:.3g}."
    )
    fig, (left, right) = subplots(1, 2, alt=alt, size=(8.2, 3.3))
    marker = {"markersize": 4} if len(epochs) <= 20 else {"marker": ""}
    for name, line in losses.items():
        left.plot(
            epochs, line, label=name if second == "accuracy" else name.replace("discriminator", "critic"), **marker
        )
    left.set(xlabel="epoch", ylabel="loss")
    if second == "accuracy":
        for k, level in enumerate((2 * COIN, -COIN if max(losses["generator"]) < 0 else COIN)):  # below 0: saturating
            left.axhline(level, color=PALETTE[k], linestyle=":", marker="", linewidth=1)
        right.plot(epochs, 100 * values, **marker)
        right.axhline(50, color="0.4", linestyle=":", marker="", linewidth=1)
        right.set(xlabel="epoch", ylabel="discriminator is right (%)", ylim=(0, 104))
        right.set_title("50 %: it cannot tell; 100 %: nothing to learn from", fontsize=9.5)
        left.set_title("dotted: a discriminator that tosses a coin", fontsize=9.5)
    else:
        _gap(right, {"gap": values})
        left.set_title("losses without a zero: read the gap", fontsize=9.5)
    for ax in (left, right):
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    left.legend(fontsize=9)
    return fig


def critic_gap(histories: Mapping[str, object]) -> Figure:
    """The critic's gap over the training, one line for each run: its mean score of real images minus that of made ones.

    For a critic of bounded slope the gap estimates, up to a factor, how far the made images are from the real ones
    (Arjovsky et al. 2017, arXiv:1701.07875). The factor depends on clipping and network: compare the shape of lines of
    different critics, not their height.

    Args:
        histories: of `medlab.train.fit_gan` with a Wasserstein loss, by name.

    Raises:
        ValueError: no history, or one without a gap.
    """
    lines = {name: history.metrics.get("gap", []) for name, history in histories.items()}
    if not lines or not all(len(line) for line in lines.values()):
        raise ValueError(f"give histories with a gap, those of WGAN or WGAN-GP; got {list(lines)}")
    ends = ", ".join(f"{name} {line[0]:.3g} to {line[-1]:.3g}" for name, line in lines.items())
    fig, ax = subplots(alt=f"Gap of the critic over the training, from first to last epoch: {ends}.", size=(5.6, 3.3))
    _gap(ax, lines)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    if len(lines) > 1:
        ax.legend(fontsize=9)
    return fig


def _gap(ax: Axes, lines: Mapping[str, Sequence[float]]) -> None:
    for name, line in lines.items():
        marker = {"markersize": 4} if len(line) <= 20 else {"marker": ""}
        ax.plot(np.arange(1, len(line) + 1), line, label=name, **marker)
    ax.axhline(0, color="0.4", linestyle=":", marker="", linewidth=1)
    ax.set(xlabel="epoch", ylabel="gap: score of real - score of made")
    ax.set_title("0: the critic sees no difference", fontsize=9.5)


def ring_scatter(
    samples: Mapping[str, object], data: object, centers: object, radius: float, *, least: float = 0.01
) -> Figure:
    """Points of generators over the data they learnt from, one panel each; a mode that is covered has a full circle.

    The circles have the radius that counts: points within are good.

    Args:
        samples: points ``(N, 2)`` or ``(N, 2, 1, 1)`` by name.
        data: points of the same form; at most 1000 are drawn.
        centers, radius, least: as for `medlab.metrics.modes_covered`, which counts.

    Raises:
        ValueError: no samples, or as `modes_covered`.
    """
    if not samples:
        raise ValueError("nothing to draw: give the points of at least one generator with its name")
    centers = to_array(centers)
    counted = {name: modes_covered(points, centers, radius, least) for name, points in samples.items()}
    said = "; ".join(
        f"{name}: {one.covered} of {len(centers)} modes, {one.high_quality:.0%} of the points at a mode"
        for name, one in counted.items()
    )
    columns = min(len(samples), 4)
    rows = math.ceil(len(samples) / columns)
    size = (max(2.5 * columns, 3.6), 3.0 * rows + 0.4)
    fig, axes = subplots(rows, columns, alt=f"Made points over the data. {said}.", size=size)
    axes = np.atleast_1d(axes).ravel()
    shown = to_array(data)[:1000].reshape(-1, 2)
    edge = max(0.12 * np.ptp(centers, 0).max(), 1.2 * radius)
    (left, bottom), (right, top) = centers.min(0) - edge, centers.max(0) + edge
    for ax, (name, points) in zip(axes, samples.items()):
        points, found = to_array(points)[:1000].reshape(-1, 2), counted[name]
        ax.plot(*shown.T, ".", color="0.75", markersize=3, label="data")
        ax.plot(*points.T, ".", color=PALETTE[0], markersize=3, alpha=0.5, label="made")
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
    for label, style, color in (("mode covered", "-", "black"), ("mode missed", ":", PALETTE[4])):
        handles.append(Line2D([], [], color=color, linestyle=style, marker="", linewidth=1.2, label=label))
    fig.legend(handles=handles, loc="outside lower center", ncols=4 if columns > 1 else 2, markerscale=3, fontsize=9)
    return fig


def weights_histogram(critics: Mapping[str, nn.Module], clip: float) -> Figure:
    """How the weights of critics are spread between the limits -`clip` and `clip`, one panel each.

    Clipping (Arjovsky et al. 2017, arXiv:1701.07875) drives weights to the limits, so that the critic becomes simple;
    that is what the gradient penalty was made for (Gulrajani et al. 2017, arXiv:1704.00028). Each panel has its own
    range, as weights that are not clipped may lie far beyond the limits; the outermost bars count the last thousandth.

    Args:
        critics: by name.
        clip: the limit.

    Raises:
        ValueError: no critic, a limit that is not positive.
    """
    if not critics or not clip > 0:
        raise ValueError(f"{len(critics)} critics and the limit {clip}: give at least one critic and a limit above 0")
    weights = {
        name: np.concatenate([to_array(part).ravel() for part in critic.parameters()])
        for name, critic in critics.items()
    }
    at_limit = {name: (np.abs(values) >= 0.98 * clip).mean() for name, values in weights.items()}
    said = ", ".join(f"{name} {share:.0%} of {len(weights[name]):,}" for name, share in at_limit.items())
    alt = f"Weights of the critics. At or beyond the limits of {clip:g} (within 2 %): {said}."
    size = (max(3.2 * len(critics), 4.4), 3.1)
    fig, axes = subplots(1, len(critics), alt=alt, size=size)
    for ax, (name, values) in zip(np.atleast_1d(axes), weights.items()):
        end = max(1.25 * clip, np.quantile(np.abs(values), 0.999))
        edges = np.linspace(-end, end, 64)  # 63 bars: one has 0 in its middle
        share = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / len(values)
        ax.stairs(100 * share, edges, fill=True, color=PALETTE[0])
        for limit in (-clip, clip):
            ax.axvline(limit, color=PALETTE[4], linestyle="--", marker="", linewidth=1.2)
        ax.set(xlabel="weight", ylabel="weights (%)")
        ax.xaxis.set_major_locator(MaxNLocator(nbins=5))
        ax.set_title(f"{name}: {at_limit[name]:.0%} at or beyond", fontsize=10)
    return fig


def nearest_pairs(samples: object, training: object, *, n: int = 8, title: str = "") -> Figure:
    """Samples above the training images most like them, closest pairs first, with their distance.

    A copy has distance 0. What is a small distance? Draw the same for held-out real images: `medlab.metrics.nearest`.

    Args:
        samples, training: images ``(N, C, H, W)`` in [0, 1].
        n: pairs shown, those of least distance.
        title: above the pairs.

    Raises:
        ValueError: n below 1, sizes that differ, values outside [0, 1].
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    found = nearest(samples, training)
    order = np.argsort(found.distance, kind="stable")[:n]
    distances = found.distance[order]
    tiles = [pixels(samples[i]) for i in order] + [pixels(training[i]) for i in found.index[order]]
    alt = (
        f"{title or 'Memory'}: the {len(order)} of {len(found.distance)} samples that lie closest to a training image, "
        f"each above that image. Distances (RMSE) from {distances[0]:.3f} to {distances[-1]:.3f}; median of all "
        f"{np.median(found.distance):.3f}."
    )
    tile = min(max(7.0 / len(order), 0.7), 1.4)  # inches
    ratio = tiles[0].shape[0] / tiles[0].shape[1]
    size = (max(tile * len(order) + 0.9, 3.2), 2 * tile * (ratio + 0.2) + 0.5 + 0.25 * bool(title))
    fig, ax = subplots(alt=alt, size=size)
    places = montage(ax, tiles, len(order), room=0.2)
    for (x, y), distance in zip(places, distances):
        ax.annotate(f"{distance:.3f}", (x, y), (0, 2), textcoords="offset points", ha="center", fontsize=8)
    ax.set_yticks([places[k][1] + tiles[0].shape[0] / 2 for k in (0, len(order))], ["sample", "nearest\nin training"])
    ax.tick_params(length=0, labelsize=9)
    ax.set_title(title, fontsize=11)
    ax.set_xlabel(f"RMSE above each pair; median of all {len(found.distance)} samples {np.median(found.distance):.3f}")
    ax.xaxis.label.set_size(9)
    return fig


def class_proportions(training: object, made: Mapping[str, object], classes: Sequence[str]) -> Figure:
    """Share of each class or mode among the training images and among those of each generator: were any dropped?

    Args:
        training: shares ``(K,)`` that add up to 1 or less, such as `training` of `medlab.metrics.class_shares`.
        made: shares ``(K,)`` by name of the generator.
        classes: K names.

    Raises:
        ValueError: no generator, shares of another length.
    """
    shares = {"training": to_array(training)} | {name: to_array(one) for name, one in made.items()}
    wrong = [f"{name} has {one.shape}" for name, one in shares.items() if one.shape != (len(classes),)]
    if wrong or not made:
        raise ValueError(f"give at least one generator and a share for each of {len(classes)} classes; {wrong}")
    said = "; ".join(
        f"{name}: {', '.join(f'{what} {share:.0%}' for what, share in zip(classes, one))}"
        for name, one in shares.items()
    )
    width = max(1.4 + len(classes) * (0.35 + 0.16 * len(shares)), 4.8)
    fig, ax = subplots(alt=f"Share of the images of each class. {said}.", size=(min(width, 9.5), 3.3))
    step = 0.8 / len(shares)
    for i, (name, one) in enumerate(shares.items()):
        places = np.arange(len(classes)) + (i - (len(shares) - 1) / 2) * step
        # training is drawn in gray; hatches tell the generators apart in print
        look = (
            {"color": "0.7"}
            if i == 0
            else {"color": PALETTE[(i - 1) % 8], "hatch": ("", "//", "..", "xx")[(i - 1) % 4]}
        )
        ax.bar(places, 100 * one, 0.92 * step, label=name, edgecolor="white", linewidth=0.5, **look)
    ax.set_xticks(range(len(classes)), [fill(str(name), 14) for name in classes], fontsize=9)
    if len(classes) > 6:
        ax.set_xticks(ax.get_xticks(), classes, rotation=40, ha="right", rotation_mode="anchor")
    ax.set(ylabel="images (%)")
    ax.grid(False, axis="x")
    fig.legend(loc="outside lower center", ncols=min(len(shares), 4), fontsize=9)
    return fig


def live_grid(
    n: int = 32, *, every: int = 1, draw: Callable[[object, object], Figure] | None = None
) -> Callable[[object, object], None]:
    """For `watch` of `medlab.train.fit_gan`: one picture in the notebook that changes while the generator learns.

    The noise is the same after every epoch, so each place of the grid shows how one image comes about. A notebook that
    runs unattended keeps the last picture; a plain script shows nothing.

    Args:
        n: images shown, at most 64.
        every: epochs from one picture to the next; the first epoch has one.
        draw: pure function of images ``(64, C, H, W)`` and history that returns the Figure, for what is no image, such
            as the ring; None draws a grid.

    Returns:
        A function of images and history.

    Raises:
        ValueError: n or every below 1.
    """
    if n < 1 or every < 1:
        raise ValueError(f"n and every must be at least 1, got {n} and {every}")
    handle = None

    def grid(images: object, history: object) -> Figure:
        numbers = {"discriminator loss": history.train_loss[-1]} | {
            name.replace("_", " "): values[-1] for name, values in history.metrics.items()
        }
        said = ", ".join(f"{name} {value:.3g}" for name, value in numbers.items())
        return image_grid(images[:n], title=fill(f"epoch {len(history)}: {said}", 76))

    def watch(images: object, history: object) -> None:
        nonlocal handle
        from IPython import get_ipython
        from IPython.display import display

        if get_ipython() is None or (len(history) - 1) % every:
            return
        data, metadata = (draw or grid)(images, history)._repr_mimebundle_()
        if handle is None:
            handle = display(data, metadata=metadata, raw=True, display_id=True)
        else:
            handle.update(data, metadata=metadata, raw=True)

    return watch


def latent_walk(
    generator: nn.Module,
    position: float = 0.0,
    truncation: float = 1.0,
    *,
    seeds: Sequence[int] = (0, 1, 2, 3),
    label: int | None = None,
) -> Figure:
    """One image on a walk through the latent space, above the images that the walk passes, from seed to seed and back.

    Between two seeds the noise is turned from one to the other, its length changing evenly (White 2016,
    arXiv:1609.04468): the straight line would pass through shorter noise than the generator was trained on. If the
    images on the way are as good as those at the seeds, the generator has learnt more than a list of images.

    Args:
        generator: has `sample_latent(n, rng)`, gives images in (-1, 1); with classes it needs a `label`.
        position: where on the walk, from 0 to the number of seeds: 1.5 is half-way from the second seed to the third.
        truncation: factor of the noise. Towards 0 all images become the same, the generator's middle; above 1 it is
            asked for what it was not trained on.
        seeds: of the images that the walk passes.
        label: class of the images, for a generator that takes one.

    Raises:
        ValueError: fewer than two seeds, a position beyond the walk, a truncation below 0.
    """
    import torch

    from medlab.train.sampling import to_pixels

    if len(seeds) < 2 or not 0 <= position <= len(seeds) or truncation < 0:
        raise ValueError(
            f"{len(seeds)} seeds, position {position}, truncation {truncation}: a walk has two seeds or more, a "
            "position from 0 to their number, and a truncation from 0"
        )
    stops = torch.cat([generator.sample_latent(1, torch.Generator().manual_seed(int(seed))) for seed in seeds])
    start = min(int(position), len(seeds) - 1)
    here = _turn(stops[start], stops[(start + 1) % len(seeds)], position - start)
    z = truncation * torch.cat([here[None], stops])
    device, training = next(generator.parameters()).device, generator.training
    given = [z.to(device)] + ([] if label is None else [torch.full((len(z),), label, device=device)])
    generator.eval()
    with torch.no_grad():
        images = to_pixels(generator(*given)).cpu()
    generator.train(training)
    large, *small = (pixels(image) for image in images)
    way = f"{position:g} of {len(seeds)}, from seed {seeds[start]} to seed {seeds[(start + 1) % len(seeds)]}"
    fig = subplots(alt=f"A walk through the latent space: position {way}; truncation {truncation:g}.", size=(6.4, 4.6))[
        0
    ]
    fig.clear()
    top, bottom = fig.subplots(2, 1, height_ratios=(3, 1))
    places = montage(bottom, [*small, small[0]], len(small) + 1)
    low, high = bottom.images[0].get_clim()
    blank(top).imshow(large, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    top.set_title(f"position {way}", fontsize=10)
    for (x, y), seed in zip(places, [*seeds, seeds[0]]):
        bottom.annotate(f"seed {seed}", (x, y), (0, 2), textcoords="offset points", ha="center", fontsize=8)
    step = places[1][0] - places[0][0]
    beneath = bottom.images[0].get_array().shape[0]
    bottom.plot(places[0][0] + position * step, beneath, "^", color=PALETTE[4], markersize=9, clip_on=False)
    return fig


def _turn(one: object, other: object, share: float) -> object:
    """Noise between two vectors: its direction is turned by `share` of the angle, its length changes evenly."""
    lengths = one.norm(), other.norm()
    cosine = (one @ other / (lengths[0] * lengths[1])).clamp(-1, 1)
    angle = cosine.arccos()
    if angle.sin().abs() < 1e-4:  # the same direction
        return one + share * (other - one)
    direction = ((1 - share) * angle).sin() * one / lengths[0] + (share * angle).sin() * other / lengths[1]
    return direction / angle.sin() * ((1 - share) * lengths[0] + share * lengths[1])
