"""Curves: training histories, ROC, calibration, scores by the size of the training set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from medlab.metrics.classification import Calibration
from medlab.metrics.intervals import to_array
from medlab.visualize.figures import PALETTE, Figure, figure_of, panels

if TYPE_CHECKING:  # the room of the trainings takes seconds to import
    from medlab.train.state import History

CHANCE_LOSS = math.log(2)  # binary cross-entropy of a discriminator that says 1/2: -log(1/2)


def learning_curves(history: History, *, ax: Axes | Sequence[Axes] | None = None) -> Figure:
    """Loss, validation scores and, if it changes, the learning rate over the training, a panel each.

    Args:
        history: anything with lists `train_loss`, `val_loss` and `lr` and a dict of lists `metrics`; all but the first
            may be empty. A list as long as `train_loss` counts as one value per epoch, any other as one per step.
        ax: one axes per panel; None for a new figure.

    Raises:
        ValueError: nothing was recorded, or another number of axes.
    """
    epochs = len(history.train_loss)
    if epochs == 0:
        raise ValueError("the history is empty; train for at least one epoch first")
    plots = {"loss": {"training": history.train_loss} | ({"validation": history.val_loss} if history.val_loss else {})}
    if scores := {name.removeprefix("val_").replace("_", " "): line for name, line in history.metrics.items() if line}:
        plots["validation score"] = scores
    if history.lr and max(history.lr) > min(history.lr):
        plots["learning rate"] = {"learning rate": history.lr}
    shown = "; ".join(f"{label}: {_ends(lines)}" for label, lines in plots.items())
    alt = f"Training over {epochs} epochs, from first to last. {shown}."
    axes = panels(len(plots), ax, alt=alt, size=((4.8, 7.6, 9.6)[len(plots) - 1], 3.1))
    for ax, (label, lines) in zip(axes, plots.items()):
        per_epoch = all(len(line) == epochs for line in lines.values())
        _plot_history(ax, lines, label, "epoch" if per_epoch else "step")
        if len(lines) > 1 or label == "validation score":
            ax.legend(fontsize=9)
    return figure_of(axes[0])


def _ends(lines: Mapping[str, Sequence[float]]) -> str:
    return ", ".join(f"{name} {line[0]:.3g} to {line[-1]:.3g}" for name, line in lines.items())


def _plot_history(
    ax: Axes, lines: Mapping[str, Sequence[float] | np.ndarray], ylabel: str, xlabel: str = "epoch"
) -> None:
    for name, line in lines.items():
        marker: dict = {} if len(line) <= 20 else {"marker": ""}  # a marker per point would hide a long curve
        ax.plot(np.arange(1, len(line) + 1), line, label=name, markersize=4, **marker)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def gan_curves(history: History, *, ax: Sequence[Axes] | None = None) -> Figure:
    """Losses of both networks of a GAN, beside the discriminator's accuracy or the critic's gap.

    Each loss is measured against the *other network as it is then*, so neither says how good the images are. Dotted
    lines mark a discriminator at chance: the generator has converged, or the discriminator is too weak to see what is
    wrong. An accuracy that stays at 100 % leaves the generator nothing to learn from. A Wasserstein critic's gap, its
    mean score of real images minus that of fake ones, estimates up to a factor how far apart their distributions are
    (Arjovsky et al. 2017, arXiv:1701.07875). The factor depends on clipping and network: compare the shape of the
    gaps of different critics, not their height.

    Args:
        history: of `medlab.train.fit_gan`.
        ax: two axes; None for a new figure.

    Raises:
        ValueError: nothing was recorded, it is not the history of a GAN, or another number of axes.
    """
    wasserstein = "gap" in history.metrics
    second = history.metrics.get("gap" if wasserstein else "accuracy", [])
    names = "critic" if wasserstein else "discriminator", "generator"
    losses = dict(zip(names, (history.train_loss, history.metrics.get("generator_loss", []))))
    if not all(len(line) for line in (*losses.values(), second)):
        raise ValueError("give the history of at least one epoch of fit_gan")
    what = "Gap of the critic" if wasserstein else "Accuracy of the discriminator"
    alt = (
        f"GAN training over {len(second)} epochs, from first to last. Losses: {_ends(losses)}. {_ends({what: second})}."
    )
    left, right = panels(2, ax, alt=alt, size=(8.2, 3.3))
    _plot_history(left, losses, "loss")
    left.legend(fontsize=9)
    if wasserstein:
        left.set_title("losses without a zero: read the gap", fontsize=9.5)
        _plot_history(right, {"gap": second}, "mean score: real - fake")
        right.axhline(0, color="0.4", linestyle=":", marker="", linewidth=1)
        right.set_title("gap of the critic; 0: it sees no difference", fontsize=9.5)
    else:
        saturating = max(losses["generator"]) < 0
        for color, level in zip(PALETTE, (2 * CHANCE_LOSS, -CHANCE_LOSS if saturating else CHANCE_LOSS)):
            left.axhline(level, color=color, linestyle=":", marker="", linewidth=1)
        left.set_title("dotted: a discriminator at chance", fontsize=9.5)
        _plot_history(right, {"accuracy": 100 * np.asarray(second)}, "accuracy of the discriminator (%)")
        right.axhline(50, color="0.4", linestyle=":", marker="", linewidth=1)
        right.set(ylim=(0, 104))
        right.set_title("50 %: chance; 100 %: nothing to learn from", fontsize=9.5)
    return figure_of(left)


def roc_curves(probs: ArrayLike, targets: ArrayLike, classes: Sequence[str], *, ax: Axes | None = None) -> Figure:
    """ROC curves: of class 1 for two classes, one against the rest for more, one per label for ``(N, L)`` targets.

    Args:
        probs: ``(N, K)`` probabilities.
        targets: ``(N,)`` classes, or ``(N, L)`` of 0 and 1. A class without any image, or with all, has no curve.
        classes: K names.
        ax: axes to draw in; None for a new figure.

    Raises:
        ValueError: shapes that do not fit, or no class that has a curve.
    """
    from sklearn.metrics import auc, roc_curve  # here: it takes seconds to import

    probs, targets = to_array(probs), to_array(targets)
    if probs.ndim != 2 or len(probs) != len(targets) or probs.shape[1] != len(classes):
        raise ValueError(f"probs {probs.shape}, {len(targets)} targets and {len(classes)} classes do not fit together")
    shown = [1] if targets.ndim == 1 and len(classes) == 2 else range(len(classes))
    truth = {k: (targets[:, k] if targets.ndim == 2 else targets == k) for k in shown}
    curves = {k: roc_curve(true, probs[:, k])[:2] for k, true in truth.items() if 0 < true.sum() < len(true)}
    if not curves:
        raise ValueError("every image is of the same class, so there is no ROC curve; take more images")
    areas = {k: auc(*curve) for k, curve in curves.items()}
    alt = f"ROC curve. AUC {', '.join(f'{classes[k]} {area:.2f}' for k, area in areas.items())}."
    [ax] = panels(1, ax, alt=alt, size=(4.8, 4.4))
    for k, curve in curves.items():
        ax.plot(*curve, marker="", linewidth=1.8, label=f"{classes[k]}, AUC {areas[k]:.2f}")
    ax.plot([0, 1], [0, 1], color="0.6", linestyle=":", marker="", linewidth=1, label="chance, AUC 0.50")
    ax.set(xlabel="false positive rate (1 - specificity)", ylabel="true positive rate (sensitivity)", aspect="equal")
    ax.legend(fontsize=9, loc="lower right")
    return figure_of(ax)


def reliability_diagram(calibration: Calibration, *, ax: Axes | None = None) -> Figure:
    """Reliability diagram: accuracy against confidence in each bin, over the share of the predictions in the bin.

    Args:
        calibration: from `medlab.metrics.calibration`.
        ax: axes to draw in; None for a new figure.

    Raises:
        TypeError: anything else than a `Calibration`.
    """
    if not isinstance(calibration, Calibration):
        raise TypeError(f"give what medlab.metrics.calibration returns, got a {type(calibration).__name__}")
    share = calibration.count / calibration.count.sum()
    gap = float(np.nansum(share * (calibration.confidence - calibration.accuracy)))
    lean = "overconfident" if gap > 0.005 else "underconfident" if gap < -0.005 else "calibrated"
    alt = f"Reliability diagram. Expected calibration error {calibration.ece:.3f}; on average the model is {lean}."
    [ax] = panels(1, ax, alt=alt, size=(4.8, 4.2))
    edges = np.linspace(0, 100, len(share) + 1)
    ax.stairs(100 * share, edges, fill=True, color="0.82", label="predictions in the bin (%)")
    ax.plot([0, 100], [0, 100], color="0.5", linestyle=":", marker="", label="calibrated")
    ax.plot(100 * calibration.confidence, 100 * calibration.accuracy, "o-", color=PALETTE[0], label="model")
    ax.set(xlabel="confidence (%)", ylabel="accuracy in the bin (%)", xlim=(0, 100), ylim=(0, 104))
    ax.set_title(f"calibration error {calibration.ece:.3f}: {lean}", fontsize=11)
    ax.legend(fontsize=9, loc="upper left")
    return figure_of(ax)


def sample_size_curves(
    scores: Mapping[str, Mapping[str, Mapping[float, Sequence[float]]]],
    xlabel: str,
    *,
    ax: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """Scores against the size of the training set (log scale): a dot per seed, lines through the means.

    Args:
        scores: by score (a panel each), then by method (a line each), then by size; one value per seed.
        xlabel: what the size counts, e.g. patients.
        ax: one axes per panel; None for a new figure.

    Raises:
        ValueError: no panel, one without a line, or another number of axes.
    """
    if not scores or not all(scores.values()):
        raise ValueError("nothing to draw: give at least one panel with at least one line")
    means = {
        (label, name): {x: float(np.mean(values)) for x, values in line.items()}
        for label, lines in scores.items()
        for name, line in lines.items()
    }
    shown = "; ".join(
        f"{label}, {name}: {', '.join(f'{y:.3g} at {x:g}' for x, y in line.items())}"
        for (label, name), line in means.items()
    )
    axes = panels(len(scores), ax, alt=f"Mean scores by {xlabel}. {shown}.", size=(4.4 * len(scores), 3.4))
    for ax, (label, lines) in zip(axes, scores.items()):
        for name, line in lines.items():
            (drawn,) = ax.plot(list(line), list(means[label, name].values()), label=name)
            for x, values in line.items():
                ax.plot([x] * len(values), values, ".", color=drawn.get_color(), alpha=0.5)
        ticks = sorted({x for line in lines.values() for x in line})
        ax.set(xscale="log", xlabel=xlabel, ylabel=label)
        ax.set_xticks(ticks, [f"{x:g}" for x in ticks])
        ax.minorticks_off()
        ax.legend(fontsize=9)
    return figure_of(axes[0])
