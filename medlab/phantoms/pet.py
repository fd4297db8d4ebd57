"""FDG-PET brain phantom: uptake from MNI152 gray and white matter, at three stages of Alzheimer's disease.

What is real: the anatomy. What is simulated: gray to white uptake 4 : 1; an uptake loss in posterior cingulate,
parietal and temporal cortex whose depth depends on the stage (about 0, 12 and 25 %, each patient differing by 5 points,
so that neighboring stages overlap); scanner blur of 6 mm full width at half maximum; Poisson noise of the counts (about
250 a pixel, in its normal approximation).

`pet` are axial slices. `pet_coronal` are coronal ones, seen from the front, from 65 to 35 mm behind the anterior
commissure, `pet_sagittal` sagittal ones, 4 to 16 mm left of the midline, looking to the left; both of other patients.
"""

import torch
from torch import Tensor

from medlab.phantoms import anatomy

SLICES_PER_PATIENT = 5
STAGES = ("normal", "mild cognitive impairment", "Alzheimer's disease")
LOSS = torch.tensor([0.0, 0.12, 0.25])
REGIONS = torch.tensor(  # MNI center (mm) and radius (mm): where uptake falls first
    [[0.0, -52, 28, 16], [-46, -62, 36, 18], [46, -62, 36, 18], [-58, -38, -8, 18], [58, -38, -8, 18]]
)
RANGE = {"axial": (10.0, 45.0), "coronal": (-65.0, -35.0), "sagittal": (-16.0, -4.0)}  # mm, where the regions lie


def make(n: int, size: int, seed: int, plane: str = "axial") -> tuple[Tensor, Tensor]:
    """Generate images ``(n, 1, size, size)`` float32 in [0, 1], and stages ``(n,)``.

    Radiological view, see `anatomy.slices`.
    """
    chunk = 6 * SLICES_PER_PATIENT
    return anatomy.in_chunks(lambda numbers, generator: _slices(numbers, generator, size, plane), n, chunk, seed)


def _slices(numbers: Tensor, generator: torch.Generator, size: int, plane: str = "axial") -> tuple[Tensor, Tensor]:
    n, patient = len(numbers), torch.arange(len(numbers)) // SLICES_PER_PATIENT
    patients = int(patient[-1]) + 1
    stage = numbers // SLICES_PER_PATIENT % 3
    low, high = RANGE[plane]
    height = torch.rand(n, generator=generator) * (high - low) + low
    maps, places = anatomy.slices(patient, height, size, generator, plane=plane)

    loss = (LOSS[stage] + 0.05 * torch.randn(patients, generator=generator)[patient]).clamp(0, 0.6)
    uptake = 0.8 * maps[:, 2] * (1 - loss[:, None, None] * _region(places)) + 0.2 * maps[:, 3]
    sigma = 6.0 / 2.355 * size / anatomy.FIELD_OF_VIEW  # full width at half maximum in mm to pixels
    counts = 250.0 * (0.8 + 0.4 * torch.rand(patients, 1, 1, 1, generator=generator))[patient]
    expected = anatomy.blur(uptake[:, None], sigma).clamp(0, 1)
    noisy = expected + (expected / counts).sqrt() * torch.randn(n, 1, size, size, generator=generator)
    return anatomy.blur(noisy.clamp(min=0), 0.5 * sigma).clamp(0, 1), stage


def _region(places: Tensor) -> Tensor:
    """How much each place ``(3, N, H, W)`` belongs to `REGIONS`: 1 at the center of one, smoothly to 0."""
    nearest = torch.full(places.shape[1:], torch.inf)
    for *center, radius in REGIONS.tolist():
        distance = sum((along - middle) ** 2 for along, middle in zip(places, center)) / radius**2
        nearest = torch.minimum(nearest, distance)
    return torch.exp(-0.5 * nearest)
