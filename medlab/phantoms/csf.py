"""Head CT phantom: axial slices of deformed MNI152 anatomy with label maps of the cerebrospinal fluid (CSF).

What is real: the anatomy (an average of 152 adults) and its tissue fractions. What is simulated: the patient-wise
deformation, how wide ventricles and sulci are (more CSF with age), skull and scalp (shells around the brain, coarse
bone and air cells at the skull base), the CT values and the grainy noise. A slice is the mean of two planes 4 mm apart,
so thin sulci are grayed by partial volume. The three CSF classes are told apart by MNI coordinates; sulci are whatever
is neither ventricle nor cistern, and the fourth ventricle counts as a cistern. All three look alike: what tells them
apart is where they lie.
"""

import torch
from torch import Tensor

from medlab.phantoms import anatomy

SLICES_PER_PATIENT = 10
WINDOW = 80.0  # HU shown as 1


def make(n: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Generate images ``(n, 1, size, size)`` float32 in [0, 1], and uint8 label maps ``(n, size, size)``.

    Radiological view: the front of the head is up, the patient's right on the left. A patient's slices run upwards.
    """
    return anatomy.in_chunks(
        lambda numbers, generator: _slices(numbers, generator, size), n, 2 * SLICES_PER_PATIENT, seed
    )


def _slices(numbers: Tensor, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
    n, patient = len(numbers), torch.arange(len(numbers)) // SLICES_PER_PATIENT
    patients = int(patient[-1]) + 1

    def vary(mean: float, deviation: float) -> Tensor:
        """One number per patient, kept within two deviations, for every slice ``(n, 1, 1)``."""
        return (mean + deviation * torch.randn(patients, 1, 1, generator=generator).clamp(-2, 2))[patient]

    height = -40 + 10 * (torch.arange(n) % SLICES_PER_PATIENT + torch.rand(n, generator=generator))  # mm
    state = generator.get_state()
    below, places = anatomy.slices(patient, height - 2, size, generator)
    generator.set_state(state)  # the same patients again
    above, _ = anatomy.slices(patient, height + 2, size, generator)
    csf, gray, white = (0.5 * (below + above))[:, 1:].unbind(1)

    ventricles, cisterns = _regions(places)
    wider = torch.where(ventricles, vary(0.7, 0.4), vary(0.5, 0.3))
    more = (wider * 2 * csf * (gray + white)).minimum(gray + white)
    csf, rest = csf + more, 1 - more / (gray + white).clamp(min=1e-6)
    gray, white = gray * rest, white * rest
    brain = csf + gray + white

    tissue = vary(8, 1.5) * csf + vary(38, 1.5) * gray + vary(29, 1.5) * white
    surround = _skull(brain, places, vary(0.5, 0.15), generator)
    noise = anatomy.blur(torch.randn(n, 1, size, size, generator=generator), 0.8)[:, 0]
    noise = noise / noise.std() * vary(4, 0.5)
    image = (tissue + (1 - brain) * surround + noise) / WINDOW

    labels = anatomy.label_map(torch.stack([csf, gray, white], 1)) == 1
    labels &= brain > 0.97  # what shares a pixel with bone looks like bone
    regions = 2 - ventricles.to(torch.uint8) + (cisterns & ~ventricles).to(torch.uint8)
    return image[:, None].clamp(0, 1), labels * regions


def _regions(places: Tensor) -> tuple[Tensor, Tensor]:
    """Masks of the ventricles and of the cisterns, which may overlap, at MNI coordinates ``(3, N, H, W)``.

    The bounds were read off the template; those that depend on z follow the ventricles' curve.
    """
    side, y, z = places[0].abs(), places[1], places[2]
    third = (side < 6) & (y > -25) & (y < 6) & (z > -9) & (z < 20)
    horns = (side < 22) & (side > z - 20) & (y > -25) & (y < 35 - z) & (y < 30) & (z > -2)
    atria = (side < 36) & (side > (22 - z).clamp(min=4)) & (y > -57) & (y <= -25) & (z > -4)
    ventricles = (third | horns | atria) & (z < 30)
    cisterns = (side < 25) & (y > -60) & (y < 12 + (z + 15).clamp(max=0)) & (z < 12)
    return ventricles, cisterns


def _skull(brain: Tensor, places: Tensor, thick: Tensor, generator: torch.Generator) -> Tensor:
    """CT values around the brain: skull (`thick` 0.3 to 0.8, from thin to thick), scalp, skull base, air."""
    n, size, _ = brain.shape
    x, y, z = places
    oval = (1 - ((x / 60) ** 2 + ((y + 22) / 74) ** 2)) * 12 - (z + 18).clamp(min=0)
    base = torch.sigmoid(oval)  # the hollows below the brain, between temporal lobes and cerebellum
    near = anatomy.blur(torch.maximum(brain, base)[:, None], 7 * size / anatomy.FIELD_OF_VIEW)[:, 0]
    texture = anatomy.smooth_field(n, size, 14, generator)[:, 0]
    bone = 900 * torch.sigmoid((near - 0.36 + 0.2 * thick) * 90)
    scalp = 25 + 25 * torch.sigmoid(4 * texture)
    shells = torch.where(near > 0.06, torch.maximum(bone, scalp), -1000)
    cells = torch.where(texture > 0.9, -600.0, 60 + 500 * torch.sigmoid(3 * texture))
    return torch.lerp(shells, cells, base * torch.sigmoid((near - 0.6) * 30))
