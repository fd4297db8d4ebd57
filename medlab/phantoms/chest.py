"""Chest X-ray phantom: a thorax of superquadrics, projected by the Beer-Lambert law, with organ label maps.

Every part is a solid whose chord along the beam has a closed form, so a radiograph is a sum of chords, no ray
tracing. What varies per patient: size and shape of body, lungs, heart and diaphragm, slight rotation, exposure.
Scatter (a wide blur of the primary beam, 30 % of it) lowers the contrast, Poisson noise adds grain. Ribs, clavicles
and spine cross the organ borders, as they do in life. The film is shown as usual: air dark, bone bright.
"""

import numpy as np
import torch
from torch import Tensor

from medlab.phantoms.anatomy import blur, in_chunks, smooth_field

ABOUT = {
    "modality": "X-ray (chest)",
    "task": "segmentation",
    "classes": ("background", "right lung", "left lung", "heart"),
    "licence": "MIT (made by this project)",
    "citation": "medlab chest phantom",
    "unit": "0 = least, 1 = most attenuation on the film",
    "note": "Phantom of simple solids, one image per patient: tests code and ideas, not medical claims.",
    "sizes": None,
    "size": 128,
    "n": 200,
}
WATER, BONE = 0.020, 0.045  # attenuation per mm at about 70 keV


def make(n: int, size: int, seed: int) -> tuple[Tensor, Tensor, np.ndarray]:
    """Images ``(n, 1, size, size)`` float32 in [0, 1], uint8 label maps ``(n, size, size)``, patients ``(n,)``.

    Seen from the front: the head is up, the patient's right on the left.
    """
    images, labels = in_chunks(lambda *given: _radiographs(*given, size), n, 16, seed)
    return images, labels, np.arange(n)


def _radiographs(numbers: Tensor, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
    n = len(numbers)

    def vary(mean: float, deviation: float) -> Tensor:
        """One number per patient, kept within two deviations."""
        return mean + deviation * torch.randn(n, 1, 1, generator=generator).clamp(-2, 2)

    # Millimetres on the detector: x to the image's right (the patient's left), y downwards. 400 mm field of view.
    line = (torch.arange(size) + 0.5) / size * 400 - 200
    y, x = torch.meshgrid(line, line, indexing="ij")
    tilt = vary(0, 0.03)
    x, y = x + tilt * y, y - tilt * x

    thick = vary(105, 12)  # half the chest depth
    body = _chord(x, y - 60, vary(168, 10), vary(330, 15), thick, 2.5)
    shoulders = _chord(x, y + 165, 195, 75, 0.6 * thick, 2.5)
    dome = vary(75, 12)
    lungs, inside = [], []
    for side in (-1, 1):  # the patient's right lung, with the higher diaphragm, then the left
        wide, tall = vary(64, 4), vary(135, 10)
        centre = side * vary(72, 3)
        lean = x - centre + side * 0.0016 * (y - 20).clamp(max=0) ** 2 * -0.5  # the apex leans to the middle
        floor = dome + (14 if side > 0 else 0) + 0.006 * (x - centre + side * 10) ** 2
        lung = _chord(lean, y + 10, wide, tall, 0.72 * thick, 2.5) * torch.sigmoid((floor - y) / 2.5)
        lungs.append(lung)
        inside.append(lung > 12)

    turn = vary(0.6, 0.12)
    u = (x - vary(22, 5)) * turn.cos() + (y - dome + 48) * turn.sin()
    v = -(x - vary(22, 5)) * turn.sin() + (y - dome + 48) * turn.cos()
    heart = _chord(u, v, vary(66, 6), vary(47, 5), 48, 2)
    heart = heart * torch.sigmoid((dome + 24 - y) / 3)
    vessels = _chord(x - 6, y + 55, vary(24, 3), 95, 40, 2.5)  # mediastinum
    aorta = _chord(x - vary(27, 3), y + vary(62, 5), 17, 20, 18, 2)
    middle = torch.maximum(torch.maximum(heart, vessels), aorta)

    discs = torch.sigmoid(6 * torch.cos(2 * torch.pi * y / 27) + 4)  # vertebrae with a darker disc between
    spine = _chord(x, y, 18, 600, 9, 2) * (0.6 + 0.4 * discs)
    ribs = _ribs(x, y, vary(31, 1.5), vary(150, 5))
    collar = sum(
        _tube(y + vary(128, 4) - 0.16 * side * x - 4 * torch.sin(x / 22), 6.0) * torch.sigmoid((side * x - 15) / 4)
        for side in (-1, 1)
    )

    lung = lungs[0] + lungs[1]
    air = (lung - middle.clamp(max=96) * (lung > 0) * 0.9).clamp(min=0)  # where the heart is, the lung is thinner
    markings = torch.exp(-(((x.abs() - 30) / 45) ** 2) - ((y + 5) / 60) ** 2) * (
        1 + 0.8 * blur(torch.randn(n, 1, size, size, generator=generator), size / 80)[:, 0] * size / 40
    )
    tissue = torch.maximum(body, shoulders) - 0.75 * air + 14 * markings.clamp(min=0) * (air > 0)
    tissue = tissue * (1 + 0.03 * smooth_field(n, size, 6, generator)[:, 0])
    skeleton = (spine + 1.7 * ribs + 1.4 * collar) * (torch.maximum(body, shoulders) > 0)
    path = WATER * 0.55 * tissue + (BONE - WATER) * 0.55 * skeleton
    primary = torch.exp(-path)
    scatter = 0.3 * blur(primary[:, None], size / 9)[:, 0]
    photons = vary(6000, 1500)
    expected = primary + scatter  # thousands of photons a pixel: Poisson noise is normal
    grain = torch.randn(n, size, size, generator=generator)
    detected = (expected + (expected / photons).sqrt() * grain).clamp(min=1e-4)
    film = -blur(detected[:, None], 0.5).clamp(min=1e-4).log()
    film = film - 0.45 * blur(film, size / 7)  # what a digital detector's processing does: less of the slow shading
    some = film[..., ::2, ::2].flatten(1)  # sorting is slow
    low, high = some.quantile(torch.tensor([0.02, 0.998]), dim=1).reshape(2, n, 1, 1, 1)
    image = ((film - low) / (high - low)).clamp(0, 1)

    labels = torch.zeros(n, size, size, dtype=torch.uint8)
    for value, where in enumerate((*inside, heart > 12), start=1):
        labels[where] = value
    return image, labels


def _chord(x: Tensor, y: Tensor, a, b, c, power: float) -> Tensor:
    """Length in mm, along the beam, of |x/a|^p + |y/b|^p + |z/c|^p <= 1: an ellipsoid, or boxier (p = 2.5)."""
    u, v = (x / a).abs(), (y / b).abs()
    if power == 2:
        return 2 * c * (1 - u * u - v * v).clamp(min=0).sqrt()
    return 2 * c * (1 - u * u * u.sqrt() - v * v * v.sqrt()).clamp(min=0) ** 0.4  # three times faster than u**2.5


def _tube(distance: Tensor, radius: float) -> Tensor:
    """Chord of a bone tube `distance` mm off its axis: a shell, so its rims are the brightest."""
    outer = (radius**2 - distance**2).clamp(min=0).sqrt()
    inner = ((0.7 * radius) ** 2 - distance**2).clamp(min=0).sqrt()
    return 2 * (outer - 0.6 * inner)


def _ribs(x: Tensor, y: Tensor, spacing: Tensor, half_width: Tensor) -> Tensor:
    """Nine pairs of ribs: behind they fall outwards from the spine, in front they rise back towards the middle."""
    across = x.abs() / (half_width * (0.72 + 0.28 * ((y + 135) / (4 * spacing)).clamp(0, 1)))  # 1 at the flank
    arch = (1 - across.clamp(max=1) ** 2).clamp(min=1e-6).sqrt()

    def nearest(curve: Tensor) -> Tensor:
        """Distance from the nearest of nine curves, `spacing` apart from this one downwards."""
        below = y - curve
        return below - spacing * (below / spacing).round().clamp(0, 8)

    behind = _tube(nearest(46 * (1 - arch) + 10 * across - 135), 5.0)
    front = _tube(nearest(14 * across - 26 * arch - 43), 5.5) * torch.sigmoid((x.abs() - 45) / 6)
    return (behind + 0.7 * front) * torch.sigmoid((1 - across) * 40)
