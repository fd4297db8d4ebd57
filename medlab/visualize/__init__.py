"""Pictures: pure functions that return a Figure with alt text, and thin widgets around them."""

from medlab.visualize.agreement import bland_altman
from medlab.visualize.curves import bars, compare, confusion, learning_curves, reliability, roc, sample_size_curves
from medlab.visualize.explain import cam_overlay, class_activation_map, error_gallery, filters
from medlab.visualize.figures import PALETTE, Figure, subplots
from medlab.visualize.generation import (
    class_proportions,
    critic_gap,
    gan_curves,
    latent_walk,
    live_grid,
    nearest_pairs,
    ring_scatter,
    sample_grid,
    weights_histogram,
)
from medlab.visualize.images import (
    class_grid,
    image_grid,
    intensity_histogram,
    mask_overlay,
    orthoviews,
    slice_view,
    window_level,
)
from medlab.visualize.receptive import effective_receptive_field, receptive_field, receptive_field_map
from medlab.visualize.segmentation import error_map, organ_bars, segmentation_grid
from medlab.visualize.widgets import browse, error_widget, sampler_widget, slice_widget, window_level_widget

__all__ = [
    "PALETTE",
    "Figure",
    "bars",
    "bland_altman",
    "browse",
    "sample_size_curves",
    "cam_overlay",
    "class_activation_map",
    "class_grid",
    "compare",
    "confusion",
    "critic_gap",
    "error_gallery",
    "error_map",
    "error_widget",
    "effective_receptive_field",
    "filters",
    "gan_curves",
    "image_grid",
    "intensity_histogram",
    "latent_walk",
    "learning_curves",
    "live_grid",
    "mask_overlay",
    "nearest_pairs",
    "organ_bars",
    "orthoviews",
    "receptive_field",
    "receptive_field_map",
    "reliability",
    "ring_scatter",
    "roc",
    "sample_grid",
    "sampler_widget",
    "segmentation_grid",
    "class_proportions",
    "slice_view",
    "slice_widget",
    "subplots",
    "weights_histogram",
    "window_level",
    "window_level_widget",
]
