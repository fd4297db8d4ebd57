"""The chest phantom in a second hospital: at the bedside, so that a network trained on `chest` meets a shifted domain.

A mobile unit without a grid (more scatter, more noise, less sharp), the beam from the front (the heart is magnified), a
shallow breath (the diaphragm is high), heavier patients, wires of a monitor, other processing of the film. The patients
are others than those of `chest`, also with the same seed.
"""

import numpy as np
from torch import Tensor

from medlab.phantoms import chest

ABOUT = chest.ABOUT | {"citation": "medlab chest phantom, hospital B (bedside)"}
BEDSIDE = chest.Hospital(
    scatter=0.6, photons=2500.0, sharpness=0.8, equalized=0.25, gamma=0.8, breath=58.0, magnified=1.12, thick=122.0,
    leads=True,
)  # fmt: skip


def make(n: int, size: int, seed: int) -> tuple[Tensor, Tensor, np.ndarray]:
    """As `chest.make`."""
    return chest.make(n, size, seed + 500_009, BEDSIDE)
