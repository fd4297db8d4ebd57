"""The FDG-PET phantom in sagittal slices, 4 to 16 mm left of the midline, looking to the left.

The patients are others than those of `pet`, also with the same seed.
"""

import numpy as np
from torch import Tensor

from medlab.phantoms import pet

ABOUT = pet.ABOUT


def make(n: int, size: int, seed: int) -> tuple[Tensor, Tensor, np.ndarray]:
    """As `pet.make`."""
    return pet.make(n, size, seed + 800_011, "sagittal")
