"""Pictures: pure functions that return a Figure with alt text, and thin widgets around them."""

from medlab.visualize.agreement import bland_altman
from medlab.visualize.clinic import RemoteClinic, advice_plot, clinic_widget
from medlab.visualize.curves import bars, by_amount, compare, confusion, learning_curves, reliability, roc
from medlab.visualize.explain import cam_overlay, class_activation_map, error_gallery, filters
from medlab.visualize.figures import PALETTE, Figure, subplots
from medlab.visualize.images import (
    class_grid,
    image_grid,
    intensity_histogram,
    mask_overlay,
    orthoviews,
    slice_view,
    window_level,
)
from medlab.visualize.receptive import field_sides, receptive_field, receptive_field_map
from medlab.visualize.segmentation import error_map, organ_bars, segmentation_grid
from medlab.visualize.synthesis import (
    critic_gap,
    gan_curves,
    latent_walk,
    live_grid,
    nearest_pairs,
    ring_scatter,
    sample_grid,
    share_bars,
    weights_histogram,
)
from medlab.visualize.turing import TuringTest, turing_plot, turing_widget
from medlab.visualize.widgets import browse, error_widget, sampler_widget, slice_widget, window_level_widget

__all__ = [
    "PALETTE",
    "Figure",
    "RemoteClinic",
    "TuringTest",
    "advice_plot",
    "bars",
    "bland_altman",
    "browse",
    "by_amount",
    "cam_overlay",
    "class_activation_map",
    "class_grid",
    "clinic_widget",
    "compare",
    "confusion",
    "critic_gap",
    "error_gallery",
    "error_map",
    "error_widget",
    "field_sides",
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
    "share_bars",
    "slice_view",
    "slice_widget",
    "subplots",
    "turing_plot",
    "turing_widget",
    "weights_histogram",
    "window_level",
    "window_level_widget",
]
