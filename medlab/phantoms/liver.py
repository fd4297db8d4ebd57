"""Liver lesion phantom: CT regions around cysts, metastases and hemangiomas, portal venous phase.

Real: what tells the three apart. A cyst is dark, even and sharp. A metastasis is less dark, ill-defined, often with an
unbroken rim and a darker middle. A hemangioma fills from its edge inwards by nodules as bright as the vessels, with
gaps between them. Simulated: all shapes and numbers. One latent variable, how far a rim is broken into nodules, runs
through metastases and hemangiomas, and the two overlap on it, as the confusion matrix of Frid-Adar et al. asks for;
cysts stay apart. One lesion per patient, in that paper's proportions of 53, 64 and 65. A `LesionCNN` of a quarter of
its width, trained on 122 lesions of 32 pixels and their copies, is right on 79 % of the others (74 to 83 % over five
seeds).

A region is a lesion with tissue in proportion to its size: its longest diameter is `DIAMETER` of the side, whatever it
is in mm. A small lesion is therefore shown enlarged, and blurred.
"""

import torch
from torch import Tensor

from medlab.phantoms.anatomy import blur, in_chunks, smooth_field

DIAMETER = 2 / 3  # of the lesion, as a share of the region's side: a quarter of the diameter is tissue, on each side
PATIENTS = (53, 64, 65)  # cysts, metastases, hemangiomas
WINDOW = (-60.0, 200.0)  # HU shown as 0 and 1
NODULES, VESSELS = 7, 4  # at most


def make(n: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Generate regions ``(n, 1, size, size)`` float32 in [0, 1], and classes ``(n,)``."""
    return in_chunks(lambda numbers, generator: _regions(numbers, generator, size), n, 26, seed)


def _kinds() -> Tensor:
    """Classes ``(182,)`` in an order of which every part, from the first on, has about the proportions of the whole."""
    places = torch.cat([(torch.arange(count) + 0.5) / count for count in PATIENTS])
    return torch.repeat_interleave(torch.arange(len(PATIENTS)), torch.tensor(PATIENTS))[places.argsort(stable=True)]


KINDS = _kinds()


def _regions(numbers: Tensor, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
    kind, n = KINDS[numbers % len(KINDS)], len(numbers)

    def uniform(low: float, high: float, count: int = 1) -> Tensor:
        return low + (high - low) * torch.rand(n, count, 1, 1, generator=generator)

    def normal(mean: float, deviation: float) -> Tensor:
        return mean + deviation * torch.randn(n, 1, 1, 1, generator=generator)

    def by_kind(*values: Tensor) -> Tensor:
        return torch.stack(values).gather(0, kind.reshape(1, n, 1, 1, 1))[0]

    millimeters = torch.exp(normal(3.4, 0.55)).clamp(10, 102)  # longest diameter
    line = (2 * (torch.arange(size) + 0.5) / size - 1) / DIAMETER  # in lesion radii
    y, x = torch.meshgrid(line, line, indexing="ij")

    # The liver: parenchyma with a coarse and a fine texture, and vessels that carry the contrast medium.
    liver = normal(105, 14)
    blood = liver + uniform(35, 65)
    tissue = liver + 4 * smooth_field(n, size, 5, generator) + 3 * smooth_field(n, size, 13, generator)
    turns, away, bends = uniform(0, 6.3, VESSELS), uniform(-1.6, 1.6, VESSELS), uniform(-0.2, 0.2, VESSELS)
    widths = uniform(1.5, 7, VESSELS) / millimeters  # half of 1.5 to 7 mm, in lesion radii
    across = x * turns.sin() - y * turns.cos() - away - bends * (x * turns.cos() + y * turns.sin()) ** 2
    shown = uniform(0, 1, VESSELS) < uniform(0.2, 1)
    vessel = (torch.sigmoid((widths - across.abs()) / (0.25 * widths + 0.02)) * shown).amax(1, keepdim=True)
    tissue = torch.lerp(tissue, blood, vessel)

    # The outline: an ellipse with its longer axis 1, notched by harmonics; 1 - rho is 0 on it.
    x, y = x + uniform(-0.08, 0.08), y + uniform(-0.08, 0.08)
    turn, ratio = uniform(0, 6.3), uniform(0.72, 1)
    u, v = x * turn.cos() + y * turn.sin(), (y * turn.cos() - x * turn.sin()) / ratio
    angle, rho = torch.atan2(v, u), torch.hypot(u, v)
    notches = by_kind(uniform(0.005, 0.03), uniform(0.02, 0.11), uniform(0.02, 0.11))
    ripple = sum(uniform(0.3, 1) / k**0.5 * torch.cos(k * angle + uniform(0, 6.3)) for k in range(2, 8))
    rho = rho * (1.03 + notches * ripple)
    softness = by_kind(uniform(0.01, 0.03), uniform(0.05, 0.18), uniform(0.03, 0.14))
    inside = torch.sigmoid((1 - rho) / softness)

    # Inside: an even fluid, or a solid mass whose edge takes up contrast medium, all along it or in nodules.
    broken = by_kind(torch.zeros(n, 1, 1, 1), normal(0.22, 0.22), normal(0.78, 0.22)).clamp(0, 1)
    patchy = smooth_field(n, size, 7, generator)
    solid = by_kind(normal(9, 9), normal(60, 14), normal(60, 14))
    middle = by_kind(uniform(0, 0), uniform(-5, 28), uniform(-10, 16))
    mass = solid + by_kind(uniform(0, 1), uniform(3, 11), uniform(3, 11)) * patchy - middle * (1 - rho).clamp(0, 1)
    rim = torch.exp(-(((rho - uniform(0.78, 0.92)) / uniform(0.08, 0.17)) ** 2)) * (0.8 + 0.3 * patchy)
    nodules = _nodules(angle, rho, uniform, generator)
    uptake = by_kind(uniform(0, 0), uniform(0.2, 1), uniform(0.45, 1.2))
    bright = ((1 - broken) * 0.7 * rim + broken * nodules).clamp(0, 1) * uptake
    lesion = mass + bright * (blood - mass)
    hounsfield = torch.lerp(tissue, lesion, inside)

    pixel = 0.75 * DIAMETER * size / millimeters  # a pixel of the scanner, 0.75 mm, in pixels of the region
    sharp = blur(hounsfield, (uniform(0.5, 0.9) * pixel).reshape(-1))
    noise = blur(torch.randn(n, 1, size, size, generator=generator), (0.6 * pixel).clamp(max=size / 16).reshape(-1))
    noise = uniform(5, 11) * noise / noise.std((2, 3), keepdim=True)
    low, high = WINDOW
    return ((sharp + noise - low) / (high - low)).clamp(0, 1), kind


def _nodules(angle: Tensor, rho: Tensor, uniform, generator: torch.Generator) -> Tensor:
    """Round spots of height 1 along the edge, with gaps between them, ``(n, 1, H, W)``."""
    sector = 6.2832 / NODULES
    centers = uniform(0, 6.3) + sector * torch.arange(NODULES).reshape(1, -1, 1, 1) + uniform(-0.25, 0.25, NODULES)
    depths, radii = uniform(0.62, 0.9, NODULES), uniform(0.14, 0.32, NODULES)
    there = uniform(0, 1, NODULES) < uniform(0.4, 0.85)
    distance = rho**2 + depths**2 - 2 * rho * depths * torch.cos(angle - centers)  # law of cosines
    return (torch.exp(-distance / radii**2) * there).amax(1, keepdim=True)
