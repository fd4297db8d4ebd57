"""The plot of Bland and Altman: the difference of two measurements against their mean."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from medlab.metrics.agreement import LimitsOfAgreement
from medlab.visualize.figures import PALETTE, Figure, subplots


def bland_altman(agreements: Mapping[str, LimitsOfAgreement], quantity: str) -> Figure:
    """One panel each for several ways to measure `quantity`: a dot per patient, bias and limits with their intervals.

    Args:
        agreements: from `metrics.limits_of_agreement`, by name.
        quantity: what was measured, with its unit if it has one.

    Raises:
        ValueError: nothing to draw.
    """
    if not agreements:
        raise ValueError("nothing to draw: give at least one agreement with its name")
    said = "; ".join(f"{name}: {one}" for name, one in agreements.items())
    size = (max(3.3 * len(agreements) + 0.6, 4.6), 3.5)
    fig, axes = subplots(1, len(agreements), alt=f"Bland-Altman plot of the {quantity}. {said}.", size=size)
    axes = np.atleast_1d(axes)
    for ax, (name, one) in zip(axes, agreements.items()):
        ax.plot(one.means, one.differences, "o", color=PALETTE[0], alpha=0.6, markersize=4)
        for value, line, color in (
            (one.bias, "-", "black"),
            (one.low, "--", PALETTE[4]),
            (one.high, "--", PALETTE[4]),
        ):
            ax.axhspan(value.low, value.high, color=color, alpha=0.15, linewidth=0)
            ax.axhline(value.value, color=color, linestyle=line, marker="", linewidth=1.4)
            text = {"textcoords": "offset points", "ha": "right", "va": "bottom", "fontsize": 8}
            ax.annotate(f"{value.value:+.3f}", (1, value.value), (0, 1), xycoords=("axes fraction", "data"), **text)
        ax.axhline(0, color="0.6", linestyle=":", marker="", linewidth=1)
        ax.set_title(name, fontsize=10)
        ax.set(xlabel="mean of measured and true")
    reach = 1.12 * max(
        max(abs(one.differences).max(), abs(one.low.low), abs(one.high.high)) for one in agreements.values()
    )
    for ax in axes:
        ax.set_ylim(-reach, reach)
    axes[0].set_ylabel(f"{quantity}\nmeasured - true")
    return fig
