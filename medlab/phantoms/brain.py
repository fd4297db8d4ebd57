"""Brain MR phantom: T1-weighted axial slices of deformed MNI152 anatomy, with tissue label maps.

What is real: the anatomy (an average of 152 adults) and its tissue fractions. What is simulated: the patient-wise
deformation, the receive-coil bias field (up to about 20 %), the tissue contrast (varies by 5 % per patient) and the
Rician noise of a magnitude image (sigma 2 to 5 % of white matter). Label edges are blurred by the averaging, so even a
perfect network disagrees with the labels along them: mean Dice of a good one is 0.85 to 0.95.
"""

import torch
from torch import Tensor

from medlab.phantoms import anatomy

SLICES_PER_PATIENT = 10


def make(n: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Generate images ``(n, 1, size, size)`` float32 in [0, 1], and uint8 label maps ``(n, size, size)``.

    Radiological view: the front of the head is up, the patient's right on the left.
    """
    chunk = 3 * SLICES_PER_PATIENT
    return anatomy.in_chunks(lambda numbers, generator: _slices(numbers, generator, size), n, chunk, seed)


def _slices(numbers: Tensor, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
    n, patient = len(numbers), torch.arange(len(numbers)) // SLICES_PER_PATIENT
    patients = int(patient[-1]) + 1
    height = torch.rand(n, generator=generator) * 70 - 20  # mm, from the midbrain to above the ventricles
    maps, _ = anatomy.slices(patient, height, size, generator)

    contrast = 1 + 0.05 * torch.randn(patients, 3, 1, 1, generator=generator)[patient]
    weights = torch.tensor([0.15, 0.55, 0.85]).reshape(3, 1, 1) * contrast
    weights = 0.5 * torch.cat([torch.ones(n, 1, 1, 1), weights], 1)  # the template keeps what three classes cannot show
    signal = (maps * weights).sum(1, keepdim=True)
    bias = torch.exp(0.1 * anatomy.smooth_field(patients, size, 4, generator))[patient]
    sigma = (0.02 + 0.03 * torch.rand(patients, 1, 1, 1, generator=generator))[patient]
    real, imaginary = (sigma * torch.randn(2, n, 1, size, size, generator=generator)).unbind()
    return torch.hypot(signal * bias + real, imaginary).clamp(0, 1), anatomy.label_map(maps[:, 1:])
