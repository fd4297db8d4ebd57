"""The forest plot of an experiment: differences with their intervals, against the margins that matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes

from medlab.metrics.claims import Outcome
from medlab.metrics.intervals import Interval
from medlab.visualize.figures import PALETTE, Figure, figure_of, panels


def forest_plot(
    outcomes: Sequence[Outcome], live: Mapping[str, float] | None = None, *, ax: Axes | None = None
) -> Figure:
    """Differences of an experiment's claims with their intervals, in units of each claim's margin.

    Between -1 and 1, shaded, a difference does not matter. Gray squares are the controls, whose effect is known; hollow
    diamonds a run beside the recorded ones. Where they fall into the picture, "floor" and "ceiling" are the ends of
    the score: no method can differ more from the baseline.

    Args:
        outcomes: from `medlab.metrics.judge`, or those of a recorded result.
        live: differences of another run, such as the lesson's own, by the names of claims; above 0 is better.
        ax: axes to draw in; None for a new figure.

    Raises:
        ValueError: no outcome, or a name in `live` that is no claim.
    """
    live = dict(live or {})
    if not outcomes:
        raise ValueError("no outcome to draw: record the experiment first, or judge its claims")
    if unknown := live.keys() - {one.claim.name for one in outcomes}:
        raise ValueError(f"no claim {unknown.pop()!r}; there are {', '.join(one.claim.name for one in outcomes)}")
    [ax] = panels(1, ax, alt=_alt(outcomes, live), size=(9.0, 0.85 * len(outcomes) + 1.35))
    ax.axvspan(-1, 1, color="0.92", zorder=0)
    ax.axvline(0, color="0.5", linewidth=1, marker="", linestyle="-")
    reach = [-1.6, 1.6]
    for row, one in enumerate(outcomes):
        margin = one.claim.margin
        reach += _interval(ax, one.difference, margin, row, "o", PALETTE[0], 8)
        if one.control is not None:
            reach += _interval(ax, one.control, margin, row + 0.24, "s", "0.45", 5)
        if one.claim.name in live:
            place = live[one.claim.name] / margin
            ax.plot(place, row - 0.24, "D", color=PALETTE[4], markerfacecolor="white", markersize=7)
            reach.append(place)
    left, right = 1.06 * min(reach), 1.06 * max(reach)
    for row, one in enumerate(outcomes):
        for name, place in _ends(one):
            if left <= place <= right:
                ax.plot([place, place], [row - 0.3, row + 0.3], color="black", linewidth=1.4, marker="", linestyle="-")
                ax.annotate(name, (place, row - 0.34), ha="center", va="bottom", fontsize=8)
    ax.set_yticks(range(len(outcomes)), [fill(one.claim.name, 30) for one in outcomes])
    ax.set(xlim=(left, right), ylim=(len(outcomes) - 0.4, -0.6))
    ax.set_xlabel("difference to the baseline, in margins: between -1 and 1 it does not matter")
    answers = ax.secondary_yaxis("right")
    said = [f"{one.difference:.3g}\n{fill(one.words, 26)}" for one in outcomes]
    answers.set_yticks(range(len(outcomes)), said, fontsize=9)
    answers.tick_params(length=0)
    answers.spines["right"].set_visible(False)
    ax.grid(False, axis="y")
    shown = ["dot: recorded, with its interval"]
    shown += ["gray square: control"] if any(one.control is not None for one in outcomes) else []
    shown += ["diamond: this run"] if live else []
    ax.set_title("; ".join(shown), fontsize=9, loc="left")
    return figure_of(ax)


def _interval(ax: Axes, interval: Interval, margin: float, row: float, marker: str, color: str, size: int) -> list:
    """Draw one; where it lies, in margins."""
    value, low, high = np.array(interval) / margin
    ax.plot([low, high], [row, row], color=color, linewidth=2, marker="|", linestyle="-", markersize=size)
    ax.plot(value, row, marker, color=color, markersize=size)
    return [number for number in (value, low, high) if np.isfinite(number)]


def _ends(one: Outcome) -> list[tuple[str, float]]:
    """The largest differences to the baseline that floor and ceiling leave, in margins."""
    sign = -1 if one.claim.lower_is_better else 1
    ends = {"floor": one.claim.floor, "ceiling": one.claim.ceiling}
    return [(name, sign * (end - one.baseline) / one.claim.margin) for name, end in ends.items() if end is not None]


def _alt(outcomes: Sequence[Outcome], live: Mapping[str, float]) -> str:
    parts = []
    for one in outcomes:
        text = f"{one.claim.name}: {one.difference:.3g}, margin {one.claim.margin:g}, {one.words}"
        if one.control is not None:
            text += f"; control {one.control:.3g}"
        if one.claim.name in live:
            text += f"; this run {live[one.claim.name]:.3g}"
        parts.append(text)
    return f"Differences to the baseline with their intervals. {'. '.join(parts)}."
