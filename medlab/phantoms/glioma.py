"""Brain MR phantom with a high-grade glioma: four co-registered sequences and the map of the tumor's parts.

What is real: the anatomy (an average of 152 adults) and its tissue fractions. What is simulated: the deformation of
each patient; the tumor, a bumpy ball with a core of dead tissue, a rim that takes up contrast agent, and edema that
spreads through the white matter around it; the mass effect, which pushes tissue away from the tumor; how bright each
tissue is in each sequence (`SIGNAL`; varies by 4 % per patient), veins and choroid plexus after contrast, the coil's
bias field and Rician noise. As in the BraTS challenge the skull is stripped (outside the brain the signal is 0), and
the labels are core, edema and rim. Every patient has one tumor, but not every slice shows it.

`glioma` are axial slices; `glioma_sagittal` are sagittal ones of other patients, as Han et al. (2018) cut their images.
A patient has ten, evenly spread from the feet upwards (or from left to right), so the number of a slice tells where it
lies: `POSITIONS`.
"""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

from medlab.phantoms import anatomy

SLICES_PER_PATIENT = 10
SEQUENCES = ("T1", "T1c", "T2", "FLAIR")
POSITIONS = {  # where each slice of a patient lies, by the name of the phantom
    "glioma": ("low",) * 5 + ("high",) * 5,
    "glioma_sagittal": ("lateral",) * 3 + ("medial",) * 4 + ("lateral",) * 3,
}
HEIGHTS = (-20.0, 50.0)  # mm (MNI z), from the midbrain to above the ventricles
SIDES = (-36.0, 36.0)  # mm (MNI x), from left to right
SIGNAL = torch.tensor(  # of CSF, gray and white matter, core, edema, rim
    [
        [0.16, 0.56, 0.74, 0.29, 0.47, 0.49],  # T1: fluid is dark
        [0.16, 0.48, 0.63, 0.20, 0.40, 0.98],  # T1c: the rim takes up the contrast agent
        [0.93, 0.52, 0.34, 0.84, 0.76, 0.56],  # T2: fluid is bright
        [0.10, 0.50, 0.40, 0.36, 0.88, 0.70],  # FLAIR: free fluid is dark, edema stays bright
    ]
)
TEXTURE = torch.tensor([0.6, 0.5, -0.5, 0.3])  # how much of what the tissue fractions cannot show of the T1 template


def make(n: int, size: int, seed: int, plane: str = "axial") -> tuple[Tensor, Tensor]:
    """Generate images ``(n, 4, size, size)`` float32 in [0, 1], and uint8 label maps ``(n, size, size)``.

    Radiological view in the axial plane: the front of the head is up, the patient's right on the left. In the sagittal
    plane the head looks to the left.
    """
    chunk = 3 * SLICES_PER_PATIENT
    return anatomy.in_chunks(lambda numbers, generator: _slices(numbers, generator, size, plane), n, chunk, seed)


def _slices(numbers: Tensor, generator: torch.Generator, size: int, plane: str) -> tuple[Tensor, Tensor]:
    n, patient = len(numbers), torch.arange(len(numbers)) // SLICES_PER_PATIENT
    patients = int(patient[-1]) + 1
    low, high = HEIGHTS if plane == "axial" else SIDES
    part = (numbers % SLICES_PER_PATIENT + torch.rand(n, generator=generator)) / SLICES_PER_PATIENT
    pool = max(round(96 / size), 1)  # small images are means over finer ones, as thick voxels are
    maps, places = anatomy.slices(patient, low + (high - low) * part, size * pool, generator, plane=plane)

    depth, swell, push = _tumor(places, patient, patients, generator)
    maps = _pushed_away(maps, places, depth, push, anatomy.FIELD_OF_VIEW / (size * pool))
    brain = (maps[:, 1:].sum(1) > 0.5).float()
    core = torch.sigmoid(depth) * brain
    dead = torch.sigmoid(depth - swell[0]) * brain
    spared = 0.1 + 0.9 * maps[:, 3] + 0.25 * maps[:, 2]  # edema follows the white matter, spares cortex and ventricles
    edema = torch.sigmoid((depth + swell[1]) / 2) * (1 - core) * brain * (spared.clamp(max=1) * (1 - maps[:, 1]))
    lesion = torch.stack([dead, edema, core - dead], 1)
    healthy = maps[:, 1:] * (1 - lesion.sum(1, keepdim=True)).clamp(min=0)

    bright = SIGNAL * (1 + 0.04 * torch.randn(patients, *SIGNAL.shape, generator=generator))
    signal = torch.einsum("nkhw,nsk->nshw", torch.cat([healthy, lesion], 1), bright[patient])
    rest = maps[:, :1] - torch.einsum("nkhw,k->nhw", maps[:, 1:], torch.tensor([0.15, 0.55, 0.85]))[:, None]
    signal = signal + TEXTURE[:, None, None] * rest * healthy[:, 1:].sum(1, keepdim=True)
    signal[:, 1] += _enhancing(places, n, size * pool, generator) * healthy[:, 0]
    signal, lesion, brain = (avg_pool2d(x, pool) for x in (signal * brain[:, None], lesion, brain[:, None]))

    bias = torch.exp(0.1 * anatomy.smooth_field(4 * patients, size, 4, generator)).view(patients, 4, size, size)
    sigma = 0.01 + 0.02 * torch.rand(patients, 4, 1, 1, generator=generator)
    noise = sigma[patient] * torch.randn(2, n, 4, size, size, generator=generator)
    images = torch.hypot(signal * bias[patient] + noise[0], noise[1]) * brain
    return images.clamp(0, 1), anatomy.label_map(lesion)


def _tumor(
    places: Tensor, patient: Tensor, patients: int, generator: torch.Generator
) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor]:
    """Depth of each place ``(3, N, H, W)`` in the tumor, thickness of rim and edema, displacement by the mass effect.

    The first of ``(N, H, W)``, the second two of ``(N, H, W)``, the last ``(N, 1, 1)``; mm throughout.
    """

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return (low + (high - low) * torch.rand(patients, *shape, generator=generator))[patient]

    side = torch.where(draw(0, 1) < 0.5, -1.0, 1.0)
    center = torch.stack([side * draw(16, 42), draw(-58, 34), draw(0, 40)])[..., None, None]
    radius, stretch = draw(12, 22, 1, 1), draw(0.8, 1.2, 3).T[..., None, None]
    distance = ((places - center) / stretch).square().sum(0).sqrt()
    waves = torch.randn(patients, 3, 5, 3, generator=generator)[patient] / 10  # 1/mm, for three bumpy fields
    phases = draw(0, 2 * torch.pi, 3, 5)[..., None, None]
    along = torch.einsum("nfki,inhw->nfkhw", waves, places)
    bumpy = torch.sin(along + phases).mean(2).unbind(1)
    depth = radius - distance + 0.55 * radius * bumpy[0]
    rim = draw(2.5, 4.5, 1, 1) * (1 + bumpy[1])
    return depth, (rim.clamp(min=1), draw(9, 18, 1, 1) * (1 + 0.6 * bumpy[2])), draw(3, 9, 1, 1)


def _pushed_away(maps: Tensor, places: Tensor, depth: Tensor, push: Tensor, pixel: float) -> Tensor:
    """`maps` with the tissue around the tumor moved up to `push` mm away from it, less towards the skull."""
    center, radii = anatomy.CENTER[:, None, None, None], torch.tensor([72.0, 92, 72])[:, None, None, None]
    skull = ((places - center) / radii).square()
    far = push * torch.exp(depth.clamp(max=0) / 22) * (1 - skull.square().sum(0)).clamp(min=0)
    away = torch.stack(torch.gradient(-depth, dim=(2, 1)), -1) / pixel  # in the plane, along columns and rows
    away = away / away.norm(dim=-1, keepdim=True).clamp(min=1)
    size = maps.shape[-1]
    line = (2 * torch.arange(size) + 1) / size - 1
    rows, columns = torch.meshgrid(line, line, indexing="ij")
    grid = torch.stack([columns, rows], -1) - 2 / size * (far / pixel)[..., None] * away
    return grid_sample(maps, grid, align_corners=False, padding_mode="border")


def _enhancing(places: Tensor, n: int, size: int, generator: torch.Generator) -> Tensor:
    """What contrast agent adds in the fluid spaces ``(N, H, W)``: veins in the sulci, the choroid plexus."""
    x, y, z = places
    plexus = torch.exp(-((x.abs() - 22) ** 2 + (y + 40) ** 2 + (z - 10) ** 2) / 50)
    veins = (anatomy.smooth_field(n, size, 40, generator)[:, 0] - 0.9).clamp(0, 1)
    return 0.6 * plexus + 0.5 * veins
