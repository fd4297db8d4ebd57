"""Sliders around the pure figures of this room. A lesson shows the static figure first, then hands it to a slider."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape
from traceback import format_exc

import numpy as np
from ipywidgets import HTML, FloatSlider, IntSlider, VBox

from medlab.metrics.intervals import to_array
from medlab.visualize.figures import Figure
from medlab.visualize.generation import latent_walk
from medlab.visualize.images import orthoviews, window_level
from medlab.visualize.segmentation import error_map

KEYS = ("low", "high", "step", "value")


def browse(draw: Callable[..., Figure], **sliders: Sequence[float] | Mapping[str, object]) -> VBox:
    """A figure with one slider per argument of `draw`; it is drawn anew when a slider is let go, or by the arrow keys.

    Args:
        draw: pure function of the slider values, by name, that returns a Figure.
        sliders: per argument ``(low, high, step, value)``, or a dict with these and a `description` for the reader.
            Whole numbers give an integer slider.

    Returns:
        The widget: the sliders, then the picture. If `draw` fails later, its error takes the place of the picture, and
        is raised too; if it fails at the start, the error is raised at once.

    Raises:
        ValueError: no slider, or a slider whose value lies outside it.
    """
    if not sliders:
        raise ValueError("browse needs at least one slider, e.g. index=(0, 9, 1, 0) for low, high, step, value")
    controls = {name: _slider(name, given) for name, given in sliders.items()}
    picture = HTML()

    def update(change: object = None) -> None:
        try:
            picture.value = draw(**{name: control.value for name, control in controls.items()}).html()
        except Exception:
            picture.value = f'<pre role="alert">{escape(format_exc())}</pre>'
            raise

    update()
    for control in controls.values():
        control.observe(update, names="value")
    return VBox([*controls.values(), picture])


def _slider(name: str, given: Sequence[float] | Mapping[str, object]) -> IntSlider | FloatSlider:
    given = given if isinstance(given, Mapping) else dict(zip(KEYS, given))
    if missing := [key for key in KEYS if key not in given]:
        raise ValueError(f"slider {name!r} lacks {', '.join(missing)}; give (low, high, step, value)")
    low, high, step, value = (given[key] for key in KEYS)
    if not low <= value <= high or step <= 0:
        raise ValueError(f"slider {name!r} runs from {low} to {high} by {step} and cannot start at {value}")
    whole = all(isinstance(number, (int, np.integer)) for number in (low, high, step, value))
    kind, convert = (IntSlider, int) if whole else (FloatSlider, float)
    return kind(
        value=convert(value),
        min=convert(low),
        max=convert(high),
        step=convert(step),
        description=str(given.get("description", name)),
        continuous_update=False,  # one drawing per move, not one per pixel
        style={"description_width": "initial"},
        layout={"width": "min(32em, 100%)"},
    )


def window_level_widget(hu_image: object, *, level: int = 40, width: int = 400) -> VBox:
    """`window_level` of one CT slice ``(H, W)`` in HU, with a slider for level and width, both in HU."""
    return browse(
        partial(window_level, hu_image),
        level=dict(zip(KEYS, (-1000, 1000, 10, level)), description="Level (HU)"),
        width=dict(zip(KEYS, (10, 3000, 10, width)), description="Width (HU)"),
    )


def slice_widget(
    volume: object, *, spacing: Sequence[float] = (1, 1, 1), masks: Mapping[str, object] | None = None
) -> VBox:
    """`orthoviews` of a volume ``(D, H, W)``, spacing in mm, `masks` outlined, with one slider per plane."""
    volume = to_array(volume)
    if volume.ndim != 3:
        raise ValueError(f"a volume must be (D, H, W), got {volume.shape}")

    def draw(axial: int, coronal: int, sagittal: int) -> Figure:
        return orthoviews(volume, (axial, coronal, sagittal), spacing=spacing, masks=masks)

    ends = [(0, size - 1, 1, size // 2) for size in volume.shape]
    names = ("axial", "coronal", "sagittal")
    return browse(
        draw, **{n: dict(zip(KEYS, end), description=f"{n.capitalize()} slice") for n, end in zip(names, ends)}
    )


def error_widget(images: object, masks: Mapping[str, object], targets: object, classes: Sequence[str]) -> VBox:
    """`error_map` of the slices ``(N, C, H, W)`` under label maps ``(N, H, W)`` by network, with a slider."""
    last = len(images) - 1

    def draw(slice: int) -> Figure:
        return error_map(images[slice], {name: maps[slice] for name, maps in masks.items()}, targets[slice], classes)

    return browse(draw, slice=dict(zip(KEYS, (0, last, 1, last // 2)), description="Slice"))


def sampler_widget(
    generator: object, *, seeds: Sequence[int] = (0, 1, 2, 3), label: int | None = None, position: float = 0.5
) -> VBox:
    """`latent_walk` of a generator past the images of `seeds`, with a slider for position and truncation."""
    return browse(
        partial(latent_walk, generator, seeds=seeds, label=label),
        position=dict(zip(KEYS, (0.0, float(len(seeds)), 0.1, position)), description="Position on the walk"),
        truncation=dict(zip(KEYS, (0.0, 1.5, 0.05, 1.0)), description="Truncation (1 = as trained)"),
    )
