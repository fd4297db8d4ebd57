"""The glioma phantom in sagittal slices, as Han et al. (2018) cut their images; other patients than in `glioma`."""

import numpy as np
from torch import Tensor

from medlab.phantoms import glioma

SLICES_PER_PATIENT, SEQUENCES, ABOUT = glioma.SLICES_PER_PATIENT, glioma.SEQUENCES, glioma.ABOUT
POSITIONS = ("lateral", "lateral", "lateral", "medial", "medial", "medial", "medial", "lateral", "lateral", "lateral")


def make(n: int, size: int, seed: int) -> tuple[Tensor, Tensor, np.ndarray]:
    """As `glioma.make`, the head looking to the left."""
    return glioma.make(n, size, seed, "sagittal")
