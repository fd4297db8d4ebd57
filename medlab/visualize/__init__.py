"""Figures of images, masks, training and scores: functions that return a Figure with alt text, and two widgets.

Functions with an argument `ax` draw into the axes given, so that a figure may have several panels, and return the
figure that holds them; its alt text is up to whoever made it. Without `ax` they return a new Figure with an alt text
that says what the data show.
"""

from medlab.visualize.charts import bars, bland_altman, compare, confusion_matrix, grouped_bars
from medlab.visualize.curves import gan_curves, learning_curves, reliability_diagram, roc_curves, sample_size_curves
from medlab.visualize.explain import cam_overlay, class_activation_map, error_gallery, filters
from medlab.visualize.figures import Figure, subplots
from medlab.visualize.forest import forest_plot
from medlab.visualize.generation import live_grid, nearest_pairs, ring_scatter, sample_grid
from medlab.visualize.images import class_grid, image_grid, intensity_histogram, orthoviews, window_level
from medlab.visualize.segmentation import error_map, segmentation_grid
from medlab.visualize.widgets import browse, slice_widget

__all__ = [
    "Figure",
    "bars",
    "bland_altman",
    "browse",
    "cam_overlay",
    "class_activation_map",
    "class_grid",
    "compare",
    "confusion_matrix",
    "error_gallery",
    "error_map",
    "filters",
    "forest_plot",
    "gan_curves",
    "grouped_bars",
    "image_grid",
    "intensity_histogram",
    "learning_curves",
    "live_grid",
    "nearest_pairs",
    "orthoviews",
    "reliability_diagram",
    "ring_scatter",
    "roc_curves",
    "sample_grid",
    "sample_size_curves",
    "segmentation_grid",
    "slice_widget",
    "subplots",
    "window_level",
]
