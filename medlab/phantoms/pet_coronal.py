"""The FDG-PET phantom in coronal slices, seen from the front, from 65 to 35 mm behind the anterior commissure.

The patients are others than those of `pet`, also with the same seed.
"""

import numpy as np
from torch import Tensor

from medlab.phantoms import pet

ABOUT = pet.ABOUT


def make(n: int, size: int, seed: int) -> tuple[Tensor, Tensor, np.ndarray]:
    """As `pet.make`."""
    return pet.make(n, size, seed + 700_001, "coronal")
