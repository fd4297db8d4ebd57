"""Curves and charts: training, ROC, confusion, calibration, comparison over seeds. Pure functions, each a Figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
from matplotlib.ticker import MaxNLocator

from medlab.metrics.classification import Calibration
from medlab.metrics.intervals import mean_interval, to_array
from medlab.visualize.figures import LINES, PALETTE, Figure, short, subplots


def learning_curves(history: object) -> Figure:
    """Loss, validation scores and, if it changes, the learning rate over the training.

    Args:
        history: anything with lists `train_loss`, `val_loss` and `lr` and a dict of lists `metrics`; all but the first
            may be empty. A list as long as `train_loss` counts as one value per epoch, any other as one per step.

    Raises:
        ValueError: nothing was recorded.
    """
    if len(history.train_loss) == 0:
        raise ValueError("the history is empty; train for at least one epoch first")
    losses = {"training": history.train_loss, "validation": history.val_loss}
    panels = [("loss", {name: values for name, values in losses.items() if len(values)})]
    scores = {
        name.removeprefix("val_").replace("_", " "): values for name, values in history.metrics.items() if len(values)
    }
    if scores:
        panels.append(("validation score", scores))
    if len(history.lr) and max(history.lr) > min(history.lr):
        panels.append(("learning rate", {"learning rate": history.lr}))
    ends = [f"{label} {name} " * (label == "loss") or f"{name} " for label, lines in panels for name in lines]
    values = [line for _, lines in panels for line in lines.values()]
    said = ", ".join(f"{end}{line[0]:.3g} to {line[-1]:.3g}" for end, line in zip(ends, values))
    epochs = len(history.train_loss)
    alt = f"Training over {epochs} epochs, from first to last: {said}."
    fig, axes = subplots(1, len(panels), alt=alt, size=((4.8, 7.6, 9.6)[len(panels) - 1], 3.1))
    for ax, (label, lines) in zip(np.atleast_1d(axes), panels):
        for name, line in lines.items():
            marker = {} if len(line) <= 20 else {"marker": ""}  # a marker per point would hide a long curve
            ax.plot(np.arange(1, len(line) + 1), line, label=name, markersize=4, **marker)
        per_epoch = all(len(line) == epochs for line in lines.values())
        ax.set(xlabel="epoch" if per_epoch else "step", ylabel=label)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        if len(lines) > 1 or label == "validation score":
            ax.legend(fontsize=9)
    return fig


def roc(probs: object, targets: object, classes: Sequence[str]) -> Figure:
    """ROC curves: of class 1 for two classes, one against the rest for more, one per label for ``(N, L)`` targets.

    Args:
        probs: ``(N, K)`` probabilities.
        targets: ``(N,)`` classes, or ``(N, L)`` of 0 and 1. A class without any image, or with all, has no curve.
        classes: K names.

    Raises:
        ValueError: shapes that do not fit, or no class that has a curve.
    """
    from sklearn.metrics import auc, roc_curve  # here: it takes seconds to import

    probs, targets = to_array(probs), to_array(targets)
    if probs.ndim != 2 or len(probs) != len(targets) or probs.shape[1] != len(classes):
        raise ValueError(f"probs {probs.shape}, {len(targets)} targets and {len(classes)} classes do not fit together")
    kinds = [1] if targets.ndim == 1 and len(classes) == 2 else range(len(classes))
    truth = {k: (targets[:, k] if targets.ndim == 2 else targets == k) for k in kinds}
    curves = {k: roc_curve(true, probs[:, k])[:2] for k, true in truth.items() if 0 < true.sum() < len(true)}
    if not curves:
        raise ValueError("every image is of the same class, so there is no ROC curve; take more images")
    areas = {k: auc(*curve) for k, curve in curves.items()}
    said = ", ".join(f"{classes[k]} {area:.2f}" for k, area in areas.items())
    fig, ax = subplots(alt=f"ROC curve. AUC {said}.", size=(4.8, 4.4))
    for i, (k, (false, true)) in enumerate(curves.items()):
        ax.plot(100 * false, 100 * true, color=PALETTE[i % 8], linestyle=LINES[i % 8], marker="", linewidth=1.8)
        ax.lines[-1].set_label(f"{classes[k]}, AUC {areas[k]:.2f}")
    ax.plot([0, 100], [0, 100], color="0.6", linestyle=":", marker="", linewidth=1, label="chance, AUC 0.50")
    ax.set(xlabel="false alarms: 100 - specificity (%)", ylabel="found: sensitivity (%)", aspect="equal")
    ax.legend(fontsize=9, loc="lower right")
    return fig


def confusion(matrix: object, classes: Sequence[str]) -> Figure:
    """Confusion matrix ``(K, K)``, rows are true classes: number of images, and percent of the row.

    Raises:
        ValueError: not a square table with one row per class.
    """
    counts = to_array(matrix)
    if counts.shape != (len(classes), len(classes)):
        raise ValueError(
            f"matrix must be ({len(classes)}, {len(classes)}) for {len(classes)} classes, got {counts.shape}"
        )
    totals = counts.sum(1, keepdims=True)
    percent = 100 * counts / np.maximum(totals, 1)
    rows = [f"{name} {percent[k, k]:.0f} % of {totals[k, 0]:g}" for k, name in enumerate(classes)]
    side = max(0.85 * len(classes) + 1.8, 3.8)
    fig, ax = subplots(alt=f"Confusion matrix. Called right: {', '.join(rows)}.", size=(side + 0.6, side))
    shown = ax.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    for i, j in np.ndindex(*counts.shape):
        color = "white" if percent[i, j] > 55 else "black"
        share = f"\n{percent[i, j]:.0f} %" if totals[i, 0] else ""
        ax.text(j, i, f"{counts[i, j]:g}{share}", ha="center", va="center", color=color, fontsize=9)
    names = [fill(str(name), 12) for name in classes]
    ax.set_xticks(range(len(names)), names, fontsize=9, rotation=0 if len(names) < 5 else 40, rotation_mode="anchor")
    ax.set_yticks(range(len(names)), names, fontsize=9)
    if len(names) >= 5:
        ax.set_xticks(ax.get_xticks(), names, ha="right")
    ax.set(xlabel="called", ylabel="true class")
    ax.grid(False)
    fig.colorbar(shown, ax=ax, shrink=0.8, label="of the true class (%)")
    return fig


def reliability(calibration: Calibration) -> Figure:
    """Reliability diagram from `metrics.calibration`: what came true against how sure the model was, and how often."""
    share = calibration.count / calibration.count.sum()
    edges = np.linspace(0, 1, len(share) + 1)
    gap = float(np.nansum(share * (calibration.confidence - calibration.accuracy)))
    lean = (
        "more sure than right" if gap > 0.005 else "less sure than right" if gap < -0.005 else "about as sure as right"
    )
    alt = f"Reliability diagram. Expected calibration error {calibration.ece:.3f}; on average the model is {lean}."
    fig = subplots(alt=alt, size=(4.8, 4.8))[0]
    fig.clear()
    top, bottom = fig.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    top.plot([0, 100], [0, 100], color="0.5", linestyle=":", label="as sure as right")
    top.plot(100 * calibration.confidence, 100 * calibration.accuracy, "o-", color=PALETTE[0], label="model")
    bottom.stairs(100 * share, 100 * edges, fill=True, color=PALETTE[0])
    top.set(ylabel="came true (%)", xlim=(0, 100), ylim=(0, 104))
    bottom.set(xlabel="confidence (%)", ylabel="answers (%)")
    top.set_title(f"calibration error {calibration.ece:.3f}: {lean}", fontsize=11)
    top.legend(fontsize=9, loc="upper left")
    for ax in (top, bottom):
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="0.9")
        ax.set_axisbelow(True)
    return fig


def compare(
    values: Mapping[str, Sequence[float]],
    ylabel: str,
    *,
    level: float = 0.95,
    within: tuple[float, float] | None = None,
) -> Figure:
    """One dot per seed for every variant, with the mean and its t interval: the figure under a lesson's claim.

    Args:
        values: the scores of each variant, one per seed. With fewer than three a variant gets no interval: that of two
            is nearly 13 times as wide as the dots lie apart, and would hide them.
        ylabel: what the score is, with its unit.
        level: of the interval.
        within: the ends of the score's scale: the axis does not pass them, even where an interval does.

    Raises:
        ValueError: no variant, or one without a score or with NaN among them.
    """
    if not values:
        raise ValueError("nothing to compare: give at least one variant with its scores")
    means = {}
    for name, scores in values.items():
        few = 0 < len(scores) < 3 and np.isfinite(scores).all()
        means[name] = (float(np.mean(scores)), np.nan, np.nan) if few else mean_interval(scores, level)
    spans = [
        f"{name} {mean:.3g}" + ("" if np.isnan(low) else f" ({low:.3g} to {high:.3g})")
        for name, (mean, low, high) in means.items()
    ]
    seeds = sorted({len(scores) for scores in values.values()})
    black = f"mean and {level:.0%} interval" if seeds[-1] > 2 else "mean"
    alt = f"{ylabel} per seed; {black}: {', '.join(spans)}."
    fig, ax = subplots(alt=alt, size=(max(1.5 * len(values) + 1.2, 4.2), 3.5))
    for i, (name, scores) in enumerate(values.items()):
        mean, low, high = means[name]
        ax.plot(np.full(len(scores), i - 0.14), scores, "o", color=PALETTE[0], alpha=0.6, markersize=5)
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
    many = f"{counts} seeds{few}; black: {black}{cut}"
    ax.set_title(f"blue: {many if seeds[-1] > 1 else 'one seed, so no interval'}", fontsize=9)
    return fig


def sample_size_curves(panels: Mapping[str, Mapping[str, Mapping[float, Sequence[float]]]], xlabel: str) -> Figure:
    """What more data is worth: scores against its amount (log scale), a dot per seed, lines through the means.

    Args:
        panels: by what the panel measures, its lines by name; each gives the scores, one per seed, of every amount.
        xlabel: what the amounts count.

    Raises:
        ValueError: no panel, or one without a line.
    """
    if not panels or not all(panels.values()):
        raise ValueError("nothing to draw: give at least one panel with at least one line")
    means = {
        label: {name: {x: float(np.mean(scores)) for x, scores in line.items()} for name, line in lines.items()}
        for label, lines in panels.items()
    }
    said = "; ".join(
        f"{label}, {name}: " + ", ".join(f"{y:.3g} at {x:g}" for x, y in line.items())
        for label, lines in means.items()
        for name, line in lines.items()
    )
    fig, axes = subplots(1, len(panels), alt=f"Mean scores by {xlabel}. {said}.", size=(4.4 * len(panels), 3.4))
    for ax, (label, lines) in zip(np.atleast_1d(axes), panels.items()):
        for name, line in lines.items():
            (drawn,) = ax.plot(list(line), list(means[label][name].values()), label=name)
            for x, scores in line.items():
                ax.plot([x] * len(scores), scores, ".", color=drawn.get_color(), alpha=0.5)
        ticks = sorted({x for line in lines.values() for x in line})
        ax.set(xscale="log", xlabel=xlabel, ylabel=label)
        ax.set_xticks(ticks, [f"{x:g}" for x in ticks])
        ax.minorticks_off()
        ax.legend(fontsize=9)
    return fig


def bars(values: Mapping[str, float], xlabel: str) -> Figure:
    """Horizontal bars, one per name, with their values; `xlabel` says what they measure, with its unit.

    Where the largest is more than 100 times the smallest, the axis is logarithmic.

    Raises:
        ValueError: no value.
    """
    if not values:
        raise ValueError("no bar to draw: give at least one name with its value")
    wide = 0 < 100 * min(values.values()) < max(values.values())
    said = ", ".join(f"{name} {short(value)}" for name, value in values.items())
    fig, ax = subplots(alt=f"{xlabel}: {said}.", size=(6, 0.45 * len(values) + 0.9))
    drawn = ax.barh([fill(str(name), 28) for name in values], list(values.values()), color=PALETTE[0], height=0.65)
    ax.bar_label(drawn, [short(value) for value in values.values()], padding=4, fontsize=9)
    ax.invert_yaxis()
    ax.margins(x=0.15 if min(values.values()) >= 0 else 0.3)  # room for the numbers, on both sides if need be
    ax.set(xlabel=f"{xlabel}, log scale" if wide else xlabel, xscale="log" if wide else "linear")
    ax.grid(False, axis="y")
    return fig
