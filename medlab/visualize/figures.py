"""`Figure`: a matplotlib figure that carries its alt text into the notebook. One look for the whole course."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes

from medlab.storage import write_file

# Okabe and Ito's colors, safe for color-blind readers; dark and light take turns, so neighbors differ in gray too.
PALETTE = ("#0072B2", "#E69F00", "#000000", "#56B4E9", "#D55E00", "#CC79A7", "#009E73", "#F0E442")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
PIXELS_PER_INCH = 100  # on the page; the PNG holds half as many again, for sharp screens


class Figure(matplotlib.figure.Figure):
    """A matplotlib figure with alt text. It is created without pyplot, so none stays open and none is shown twice.

    Args:
        alt: what the figure shows, in words, with the numbers a reader takes from it.
        figsize: width and height in inches; 100 pixels on the page to the inch.

    Raises:
        ValueError: no alt text.
    """

    def __init__(self, figsize: tuple[float, float] | None = None, *, alt: str, **kwargs: Any) -> None:
        if not isinstance(alt, str) or not alt.strip():
            raise ValueError(f"a figure needs alt text that says what it shows, got {alt!r}")
        super().__init__(figsize, dpi=PIXELS_PER_INCH, **kwargs)
        self.set_layout_engine("constrained", w_pad=0.08, h_pad=0.06)
        self.alt = alt

    def savefig(self, fname: Any, **kwargs: Any) -> None:
        """Save the picture as matplotlib does, but at once: a full disk leaves the file as it was.

        Raises:
            OSError: the file cannot be written; see `medlab.storage.write_files`.
        """
        if not isinstance(fname, str | Path):
            return super().savefig(fname, **kwargs)
        path = Path(fname) if Path(fname).suffix else Path(f"{fname}.png")
        super().savefig(file := BytesIO(), **{"format": path.suffix[1:]} | kwargs)
        write_file(path, file.getvalue())

    def png(self) -> bytes:
        """The picture as PNG, the same bytes every time."""
        file = BytesIO()
        self.savefig(file, format="png", dpi=1.5 * PIXELS_PER_INCH, metadata={"Software": None})
        return file.getvalue()

    def html(self) -> str:
        """The picture as one ``<img>`` with its alt text and its size on the page."""
        return img_tag(self.png(), self._width(), self.alt)

    def _width(self) -> int:
        return round(self.get_figwidth() * PIXELS_PER_INCH)

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        """PNG and text, plus the HTML: neither nbconvert 7.17 nor JupyterLab 4 reads an alt text from PNG metadata."""
        png = self.png()
        data = {
            "text/html": img_tag(png, self._width(), self.alt),
            "image/png": b64encode(png).decode(),
            "text/plain": self.alt,
        }
        return data, {"image/png": {"alt": self.alt, "width": self._width()}}

    def _ipython_display_(self) -> None:
        """Shown by the bundle alone: once pyplot is imported, its inline backend would add a PNG of its own."""
        from IPython.display import display

        data, metadata = self._repr_mimebundle_()
        display(data, metadata=metadata, raw=True)


def img_tag(png: bytes, width: int, alt: str, style: str = "") -> str:
    """A PNG as ``<img>``, `width` pixels wide where the page has so much room; `style` is further CSS."""
    source = f"data:image/png;base64,{b64encode(png).decode()}"
    return f'<img alt="{escape(alt)}" width="{width}" style="{style}max-width: 100%; height: auto" src="{source}">'


def subplots(
    rows: int = 1, cols: int = 1, *, alt: str, size: tuple[float, float] | None = None, **grid: Any
) -> tuple[Figure, Any]:
    """A figure and its axes in the style of the course.

    Args:
        rows, cols: of the grid of axes.
        alt: what the figure shows, in words.
        size: width and height in inches.
        grid: passed on to matplotlib's `Figure.subplots`, e.g. `sharey` or `height_ratios`.

    Returns:
        The figure, and one Axes for 1 x 1, else an array of them without the sides of length 1, as pyplot does.

    Raises:
        ValueError: no alt text.
    """
    fig = Figure(figsize=size or (max(4.2 * cols, 5.2), 3.3 * rows), alt=alt)
    axes = fig.subplots(rows, cols, **grid)
    for ax in np.atleast_1d(axes).flat:
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_prop_cycle(cycler(color=PALETTE) + cycler(linestyle=LINES) + cycler(marker=MARKERS))
        ax.set_axisbelow(True)
        ax.grid(color="0.9")
    return fig, axes


def panels(n: int, ax: Axes | Sequence[Axes] | None, *, alt: str, size: tuple[float, float]) -> list[Axes]:
    """The `n` axes to draw in: those given, or side by side those of a new figure of this size with this alt text.

    Raises:
        ValueError: another number of axes.
    """
    given: Any = subplots(1, n, alt=alt, size=size)[1] if ax is None else ax
    axes = list(np.ravel(given))
    if len(axes) != n:
        raise ValueError(f"this plot has {n} panels and draws each into axes of its own, got {len(axes)} axes")
    return axes


def figure_of(ax: Axes) -> Figure:
    """The figure that the axes lie in: one of ours, unless the caller gave axes of another."""
    return ax.figure  # type: ignore[return-value]


def short(number: float) -> str:
    """Three significant digits, and no powers of ten below a million: 0.942, 12,000."""
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e6 else f"{number:.3g}"
