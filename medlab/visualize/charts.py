"""Charts of results: bars, scores over seeds, confusion matrix, Bland-Altman plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from medlab.metrics.agreement import LimitsOfAgreement
from medlab.metrics.intervals import Interval, mean_interval, to_array
from medlab.visualize.figures import MARKERS, PALETTE, Figure, figure_of, panels, short

HATCHES = ("", "//", "..", "xx")


def bars(values: Mapping[str, float], xlabel: str, *, ax: Axes | None = None) -> Figure:
    """Horizontal bars, one per name, with their values.

    Where the largest is more than 100 times the smallest, the axis is logarithmic.

    Args:
        values: by name.
        xlabel: what they measure, with its unit.
        ax: axes to draw in; None for a new figure.

    Raises:
        ValueError: no value.
    """
    if not values:
        raise ValueError("no bar to draw: give at least one name with its value")
    log = 0 < 100 * min(values.values()) < max(values.values())
    shown = ", ".join(f"{name} {short(value)}" for name, value in values.items())
    [ax] = panels(1, ax, alt=f"{xlabel}: {shown}.", size=(6, 0.45 * len(values) + 0.9))
    drawn = ax.barh([fill(str(name), 28) for name in values], list(values.values()), color=PALETTE[0], height=0.65)
    ax.bar_label(drawn, [short(value) for value in values.values()], padding=4, fontsize=9)
    ax.invert_yaxis()
    ax.margins(x=0.15 if min(values.values()) >= 0 else 0.3)  # room for the numbers, on both sides if need be
    ax.set(xlabel=f"{xlabel}, log scale" if log else xlabel, xscale="log" if log else "linear")
    ax.grid(False, axis="y")
    return figure_of(ax)


def grouped_bars(
    values: Mapping[str, Mapping[str, float | Interval]], ylabel: str, *, ax: Axes | None = None
) -> Figure:
    """Several series side by side in every category: as bars, or as points with error bars if they have intervals.

    Args:
        values: by series (e.g. network), then by category (e.g. organ); numbers, or `Interval` for all of them.
        ylabel: what they measure, with its unit.
        ax: axes to draw in; None for a new figure.

    Raises:
        ValueError: no series, no category, or categories that differ.
    """
    categories = list(next(iter(values.values()), ()))
    if not categories or any(set(one) != set(categories) for one in values.values()):
        given = {name: list(one) for name, one in values.items()}
        raise ValueError(f"give every series a value for the same categories, got {given}")
    shown = "; ".join(
        f"{category}: {', '.join(f'{name} {one[category]:.3g}' for name, one in values.items())}"
        for category in categories
    )
    width = min(max(1.1 + len(categories) * (0.5 + 0.25 * len(values)), 4.8), 9.5)
    [ax] = panels(1, ax, alt=f"{ylabel}. {shown}.", size=(width, 3.4))
    for i, (name, one) in enumerate(values.items()):
        data = np.array([one[category] for category in categories], float)
        step = min(0.24, 0.6 / len(values)) if data.ndim == 2 else 0.8 / len(values)
        places = np.arange(len(categories)) + (i - (len(values) - 1) / 2) * step
        style: dict = {"color": PALETTE[i % len(PALETTE)], "label": name}
        if data.ndim == 2:
            value, low, high = data.T
            style |= {"marker": MARKERS[i % len(MARKERS)], "linestyle": "", "markersize": 6, "capsize": 4}
            ax.errorbar(places, value, [value - low, high - value], **style)
        else:
            ax.bar(places, data, 0.92 * step, edgecolor="white", hatch=HATCHES[i % len(HATCHES)], **style)
    for edge in range(1, len(categories)):
        ax.axvline(edge - 0.5, color="0.85", linewidth=0.8, marker="", linestyle="-")
    names = [fill(str(category), 14) for category in categories]
    slanted: dict = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if len(names) > 6 else {}
    ax.set_xticks(range(len(names)), names, fontsize=9, **slanted)
    ax.set(ylabel=ylabel, xlim=(-0.5, len(names) - 0.5))
    ax.grid(False, axis="x")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=min(len(values), 4), fontsize=9, frameon=False)
    return figure_of(ax)


def compare(
    values: Mapping[str, Sequence[float]],
    ylabel: str,
    *,
    within: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Scores of several variants over seeds: a dot per seed, with the mean and its 95 % t interval.

    Where all variants have equally many scores a thin line joins those of a seed: a variant may be better with every
    seed, and the intervals overlap all the same.

    Args:
        values: the scores of each variant, one per seed, in the same order. With fewer than three a variant gets no
            interval: that of two is nearly 13 times as wide as the dots lie apart, and would hide them.
        ylabel: what the score is, with its unit.
        within: the ends of the score's scale: the axis does not pass them, even where an interval does.
        ax: axes to draw in; None for a new figure.

    Raises:
        ValueError: no variant, or one without a score or with NaN among them; ends that are not in order.
    """
    if not values:
        raise ValueError("nothing to compare: give at least one variant with its scores")
    if within is not None and not within[0] < within[1]:
        raise ValueError(f"within is the least and the largest possible score, got {within}")
    means = {}
    for name, scores in values.items():
        few = 0 < len(scores) < 3 and np.isfinite(scores).all()
        means[name] = (float(np.mean(scores)), np.nan, np.nan) if few else mean_interval(scores)
    spans = [
        f"{name} {mean:.3g}" + ("" if np.isnan(low) else f" ({low:.3g} to {high:.3g})")
        for name, (mean, low, high) in means.items()
    ]
    seeds = sorted({len(scores) for scores in values.values()})
    black = "mean and 95 % interval" if seeds[-1] > 2 else "mean"
    alt = f"{ylabel} per seed; {black}: {', '.join(spans)}."
    [ax] = panels(1, ax, alt=alt, size=(max(1.5 * len(values) + 1.2, 4.2), 3.5))
    if len(seeds) == 1 and len(values) > 1:
        ax.plot(np.arange(len(values)) - 0.14, [*values.values()], "-", marker="", color="0.8", linewidth=0.8)
    for i, (name, scores) in enumerate(values.items()):
        mean, low, high = means[name]
        ax.plot(np.full(len(scores), i - 0.14), scores, "o", color=PALETTE[0], alpha=0.6, markersize=5)
        low, high = (low, high) if within is None else np.clip((low, high), *within)
        ax.plot([i + 0.1, i + 0.1], [low, high], color="black", marker="_", linestyle="-", linewidth=1.6, markersize=9)
        ax.plot(i + 0.1, mean, color="black", marker="o", markersize=5)
        ax.annotate(f"{mean:.3g}", (i + 0.1, mean), (7, 0), textcoords="offset points", va="center", fontsize=9)
    ax.set_xticks(range(len(values)), [fill(str(name), 16) for name in values])
    ax.set(ylabel=ylabel, xlim=(-0.5, len(values) - 0.3))
    ax.grid(False, axis="x")
    cut = ""
    if within is not None:
        low, high = ax.get_ylim()
        room = 0.02 * (within[1] - within[0])  # a dot at an end is seen whole
        ax.set_ylim(max(low, within[0] - room), min(high, within[1] + room))
        passed = any(span[1] < within[0] or span[2] > within[1] for span in means.values())
        cut = f", cut at {within[0]:g} and {within[1]:g}" if passed else ""
    counts = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    few = ", too few for an interval" if seeds[-1] == 2 else ""
    title = f"{counts} seeds{few}; black: {black}{cut}" if seeds[-1] > 1 else "one seed, so no interval"
    ax.set_title(f"blue: {title}", fontsize=9)
    return figure_of(ax)


def confusion_matrix(matrix: ArrayLike, classes: Sequence[str], *, ax: Axes | None = None) -> Figure:
    """Confusion matrix with the number of images in each cell and their percentage of the true class.

    Args:
        matrix: ``(K, K)`` counts; rows are true classes, columns predicted classes.
        classes: K names.
        ax: axes to draw in; None for a new figure.

    Raises:
        ValueError: not a square table with one row per class.
    """
    counts, k = to_array(matrix), len(classes)
    if counts.shape != (k, k):
        raise ValueError(f"matrix must be ({k}, {k}) for {k} classes, got {counts.shape}")
    totals = counts.sum(1, keepdims=True)
    percent = 100 * counts / np.maximum(totals, 1)
    rows = [f"{name} {percent[i, i]:.0f} % of {totals[i, 0]:g}" for i, name in enumerate(classes)]
    side = max(0.85 * k + 1.8, 3.8)
    [ax] = panels(1, ax, alt=f"Confusion matrix. Correctly predicted: {', '.join(rows)}.", size=(side + 0.6, side))
    shown = ax.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    for i, j in np.ndindex(k, k):
        color = "white" if percent[i, j] > 55 else "black"
        share = f"\n{percent[i, j]:.0f} %" if totals[i, 0] else ""
        ax.text(j, i, f"{counts[i, j]:g}{share}", ha="center", va="center", color=color, fontsize=9)
    names = [fill(str(name), 12) for name in classes]
    slanted: dict = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if k > 4 else {}
    ax.set_xticks(range(k), names, fontsize=9, **slanted)
    ax.set_yticks(range(k), names, fontsize=9)
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.grid(False)
    ax.figure.colorbar(shown, ax=ax, shrink=0.8, label="of the true class (%)")
    return figure_of(ax)


def bland_altman(
    agreements: Mapping[str, LimitsOfAgreement], quantity: str, *, ax: Axes | Sequence[Axes] | None = None
) -> Figure:
    """Bland-Altman plot, a panel per method: differences against means, with bias, limits and their intervals.

    Args:
        agreements: bias and limits of agreement of each method from `medlab.metrics`, by its name.
        quantity: what was measured, with its unit if it has one.
        ax: one axes per method; None for a new figure.

    Raises:
        ValueError: no method, or another number of axes.
    """
    if not agreements:
        raise ValueError("nothing to draw: give at least one agreement with its name")
    shown = "; ".join(f"{name}: {one}" for name, one in agreements.items())
    size = (max(3.3 * len(agreements) + 0.6, 4.6), 3.5)
    axes = panels(len(agreements), ax, alt=f"Bland-Altman plot of the {quantity}. {shown}.", size=size)
    top = 1.12 * max(np.abs([*one.differences, one.low.low, one.high.high]).max() for one in agreements.values())
    for ax, (name, one) in zip(axes, agreements.items()):
        ax.plot(one.means, one.differences, "o", color=PALETTE[0], alpha=0.6, markersize=4)
        for at, line, color in ((one.bias, "-", "black"), (one.low, "--", PALETTE[4]), (one.high, "--", PALETTE[4])):
            ax.axhspan(at.low, at.high, color=color, alpha=0.15, linewidth=0)
            ax.axhline(at.value, color=color, linestyle=line, marker="", linewidth=1.4)
            text: dict = {"textcoords": "offset points", "ha": "right", "va": "bottom", "fontsize": 8}
            ax.annotate(f"{at.value:+.3f}", (1, at.value), (0, 1), xycoords=("axes fraction", "data"), **text)
        ax.axhline(0, color="0.6", linestyle=":", marker="", linewidth=1)
        ax.set_title(name, fontsize=10)
        ax.set(xlabel="mean of measured and true", ylim=(-top, top))
    axes[0].set_ylabel(f"{quantity}\nmeasured - true")
    return figure_of(axes[0])
