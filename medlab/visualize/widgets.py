"""Sliders around figures. A lesson shows the static figure first, then the same with sliders."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from traceback import format_exc
from typing import Any

import numpy as np
from IPython import get_ipython
from IPython.display import display
from ipywidgets import HTML, FloatSlider, IntSlider, VBox
from numpy.typing import ArrayLike

from medlab.metrics.intervals import to_array
from medlab.visualize.figures import Figure
from medlab.visualize.images import PLANES, orthoviews

# ipywidgets leaves the handle of a slider without a name for screen readers. Views come and go as a page is scrolled.
NAMES = """
window.medlabNames ??= new MutationObserver(() => {
  for (const handle of document.querySelectorAll(".widget-slider [role=slider]:not([aria-label])")) {
    const label = handle.closest(".widget-slider").querySelector(".widget-label");
    if (label) handle.setAttribute("aria-label", label.textContent);
  }
});
window.medlabNames.observe(document.body, {childList: true, subtree: true});
"""


def browse(draw: Callable[..., Figure], **sliders: Sequence) -> VBox:
    """A figure with a slider per argument of `draw`, drawn anew when a slider is released or moved by an arrow key.

    Args:
        draw: function of the slider values, by name, that returns a Figure.
        sliders: per argument ``(low, high, step, value)``, or with a fifth entry: the label that a reader sees in
            place of the argument's name. Whole numbers give an integer slider.

    Returns:
        The widget: the sliders, then the figure. If `draw` fails later, its error takes the place of the figure, and
        is raised too; if it fails at the start, the error is raised at once.

    Raises:
        ValueError: no slider, or a slider whose value lies outside it.

    Example:
        >>> from medlab.visualize import bars
        >>> widget = browse(lambda n: bars({"patients": n}, "number"), n=(1, 9, 1, 5, "Patients"))
    """
    if not sliders:
        raise ValueError("browse needs at least one slider, e.g. index=(0, 9, 1, 0) for low, high, step, value")
    controls = {name: _slider(name, *given) for name, given in sliders.items()}
    picture = HTML()

    def update(change: dict | None = None) -> None:
        with errors_shown(picture):
            picture.value = draw(**{name: control.value for name, control in controls.items()}).html()

    update()
    for control in controls.values():
        control.observe(update, names="value")
    if get_ipython() is not None:
        display({"application/javascript": NAMES, "text/plain": ""}, raw=True)
    return VBox([*controls.values(), picture])


@contextmanager
def errors_shown(place: HTML) -> Iterator[None]:
    """Show an error in the widget too: not every front end shows what a callback raises."""
    try:
        yield
    except Exception:
        place.value = f'<pre role="alert">{escape(format_exc())}</pre>'
        raise


def _slider(name: str, *given: Any) -> IntSlider | FloatSlider:
    if len(given) not in (4, 5):
        raise ValueError(f"slider {name!r} got {given}; give (low, high, step, value), and a label if you like")
    low, high, step, value = given[:4]
    if not low <= value <= high or step <= 0:
        raise ValueError(f"slider {name!r} runs from {low} to {high} by {step} and cannot start at {value}")
    whole = all(isinstance(number, (int, np.integer)) for number in given[:4])
    kind, convert = (IntSlider, int) if whole else (FloatSlider, float)
    return kind(
        value=convert(value),
        min=convert(low),
        max=convert(high),
        step=convert(step),
        description=str(given[4] if len(given) == 5 else name),
        continuous_update=False,  # one drawing per move, not one per pixel
        style={"description_width": "initial"},
        layout={"width": "min(32em, 100%)"},
    )


def slice_widget(
    volume: ArrayLike, *, spacing: Sequence[float] = (1, 1, 1), masks: Mapping[str, ArrayLike] | None = None
) -> VBox:
    """`orthoviews` of a volume ``(D, H, W)``, spacing in mm, `masks` outlined, with one slider per plane."""
    volume = to_array(volume)
    if volume.ndim != 3:
        raise ValueError(f"a volume must be (D, H, W), got {volume.shape}")

    def draw(**index: int) -> Figure:
        return orthoviews(volume, [index[plane] for plane in PLANES], spacing=spacing, masks=masks)

    sliders = zip(PLANES, volume.shape)
    return browse(draw, **{plane: (0, n - 1, 1, n // 2, f"{plane.capitalize()} slice") for plane, n in sliders})
