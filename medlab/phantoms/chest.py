"""Chest X-ray phantom: a thorax of simple solids, projected by the Beer-Lambert law, with organ label maps.

Every part is a solid whose chord along the beam has a closed form, so a radiograph is a sum of chords, no ray tracing.
What varies per patient: size and shape of body, lungs, heart, vessels and diaphragm, slight rotation, exposure. Scatter
(a wide blur of the primary beam) lowers the contrast, Poisson noise adds grain. Ribs, clavicles, spine, breasts and gas
in the stomach cross or imitate the organ borders, as they do in life. In every fourth patient an **opacity** hides a
part of one lung: fluid over the diaphragm, or a consolidation; the label map still shows the whole lung. The film is
shown as usual: air dark, bone bright.

`chest` is an upright view in the radiology department. `chest_b` is the same thorax in a second hospital, taken at the
bedside (`BEDSIDE`), so that a network trained on `chest` meets a domain shift: a mobile unit without a grid (more
scatter, more noise, less sharp), the beam from the front (the heart is magnified), a shallow breath (the diaphragm is
high), heavier patients, wires of a monitor, other processing of the film.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from medlab.phantoms.anatomy import blur, in_chunks, smooth_field

FIELD_OF_VIEW = 360.0  # mm on the detector, along both sides
WATER, BONE = 0.020, 0.045  # attenuation per mm at about 70 keV
OPACITY_EVERY = 4  # patients 0, 4, 8, ... have one


@dataclass(frozen=True)
class Hospital:
    """How images are taken: what differs between two hospitals. The defaults are an upright view with a grid."""

    scatter: float = 0.3  # share of the primary beam
    photons: float = 6000.0  # per pixel, times 1000
    sharpness: float = 0.35  # blur of the detector, in pixels of a film of 128
    equalized: float = 0.6  # how much of the slow shading the processing takes away
    gamma: float = 1.0  # of the film's gray scale
    breath: float = 75.0  # mm of the right diaphragm's dome below the middle of the film; less in a shallow breath
    magnified: float = 1.0  # the heart, where the beam comes from the front
    thick: float = 105.0  # mm, half the depth of a chest
    leads: bool = False  # wires of a heart monitor lie on the chest


BEDSIDE = Hospital(
    scatter=0.6, photons=2500.0, sharpness=0.8, equalized=0.25, gamma=0.8, breath=58.0, magnified=1.12, thick=122.0,
    leads=True,
)  # fmt: skip


def make(n: int, size: int, seed: int, hospital: Hospital = Hospital()) -> tuple[Tensor, Tensor]:
    """Generate images ``(n, 1, size, size)`` float32 in [0, 1], and uint8 label maps ``(n, size, size)``.

    Seen from the front: the head is up, the patient's right on the left.
    """
    return in_chunks(lambda numbers, generator: _radiographs(numbers, generator, size, hospital), n, 16, seed)


def _radiographs(numbers: Tensor, generator: torch.Generator, size: int, hospital: Hospital) -> tuple[Tensor, Tensor]:
    n = len(numbers)

    def vary(mean: float, deviation: float) -> Tensor:
        """One number per patient, kept within two deviations."""
        return mean + deviation * torch.randn(n, 1, 1, generator=generator).clamp(-2, 2)

    # Millimeters on the detector: x to the image's right (the patient's left), y downwards.
    line = ((torch.arange(size) + 0.5) / size - 0.5) * FIELD_OF_VIEW
    y, x = torch.meshgrid(line, line, indexing="ij")
    tilt = vary(0, 0.03)
    x, y = x + tilt * y - vary(0, 4), y - tilt * x - vary(0, 5)

    thick = vary(hospital.thick, 12)
    dome, top, tall = vary(hospital.breath, 10), vary(-138, 7), vary(232, 8)
    wide = vary(139, 7)
    cage = _cage(((y - top) / tall).clamp(0, 1), wide)  # half the inner width of the ribs
    lungs, floors = [], []
    for side in (-1, 1):  # the patient's right lung, with the higher diaphragm, then the left
        floor = dome + (vary(12, 5) if side > 0 else 0) + vary(0.0048, 0.0006) * (side * x - vary(52, 6)) ** 2
        floors.append(floor)
        lungs.append(_lung(side * x, (y - top) / tall, cage, thick) * torch.sigmoid((floor - y) / 2))
    heart = _heart(x, y, dome, vary, hospital.magnified)
    middle = torch.maximum(heart, _vessels(x, y, dome, vary))  # between the lungs, it takes their room
    outlines = [_largest_component((lung > 15) & (middle < 12)) for lung in lungs]
    air = (lungs[0] + lungs[1] - 1.1 * middle).clamp(min=0)
    air = air * (1 - _opacity(x, y, numbers, floors, cage, vary, generator))

    tissue = _body(x, y, cage, wide, thick, vary) - 0.78 * air
    tissue = tissue + _branches(x, y, n, generator) * (air > 0)
    tissue = tissue - _airways(x, y, dome, vary) * (air == 0)
    tissue = tissue * (1 + 0.02 * smooth_field(n, size, 6, generator)[:, 0])
    inside = torch.sigmoid((wide + 30 - x.abs()) / 6)
    path = 0.55 * (WATER * tissue.clamp(min=0) + (BONE - WATER) * _skeleton(x, y, cage, top, vary) * inside)
    if hospital.leads:
        path = path + 0.5 * _leads(x, y, vary)
    image = _film(path, hospital, vary, size, generator)

    labels = torch.zeros(n, size, size, dtype=torch.uint8)
    for value, where in enumerate((*outlines, heart > 12), start=1):
        labels[where] = value
    return image, labels


def _largest_component(lungs: Tensor) -> Tensor:
    """The largest connected component of each mask ``(n, size, size)``: the heart may cut a few pixels off a lung."""
    components = [ndimage.label(lung)[0] for lung in lungs.numpy()]
    largest = [1 + np.bincount(numbers.ravel())[1:].argmax() if numbers.any() else 1 for numbers in components]
    return torch.from_numpy(np.stack([numbers == k for numbers, k in zip(components, largest)]))


def _film(path: Tensor, hospital: Hospital, vary: Callable, size: int, generator: torch.Generator) -> Tensor:
    """What a detector makes of the attenuation ``(n, size, size)`` along its rays: ``(n, 1, size, size)`` in [0, 1]."""
    n = len(path)
    primary = torch.exp(-path)
    expected = primary + hospital.scatter * blur(primary[:, None], size / 9)[:, 0]
    photons = vary(hospital.photons, 0.25 * hospital.photons)  # thousands a pixel: Poisson noise is normal
    grain = torch.randn(n, size, size, generator=generator)
    detected = (expected + (expected / photons).sqrt() * grain).clamp(min=1e-4)
    film = -blur(detected[:, None], hospital.sharpness * size / 128).clamp(min=1e-4).log()
    film = film - hospital.equalized * blur(film, size / 6)
    some = film[..., ::2, ::2].flatten(1)  # sorting is slow
    low, high = some.quantile(torch.tensor([0.02, 0.9985]), dim=1).reshape(2, n, 1, 1, 1)
    return ((film - low) / (1.06 * (high - low))).clamp(0, 1) ** (hospital.gamma * vary(1, 0.06)[:, None])


def _cage(t: Tensor, wide: Tensor) -> Tensor:
    """Half the inner width of the ribs, `t` of the way from the apex of the lungs (0) to their lowest point (1)."""
    return 26 + (wide - 26) * (1 - (1 - t) ** 2.6).clamp(min=1e-6) ** 0.5


def _lung(u: Tensor, t: Tensor, cage: Tensor, thick: Tensor) -> Tensor:
    """Chord of a lung from its medial border to the ribs, `u` mm from the middle; not yet cut by the diaphragm."""
    medial = 16 + 60 * torch.exp(-t.clamp(min=0) / 0.03)
    half = ((cage - medial) / 2).clamp(min=1e-3)
    depth = 1.5 * thick * (1 - (1 - t.clamp(0, 1)) ** 3).sqrt()
    return _chord(u - (cage + medial) / 2, 0 * u, half, 1, depth / 2, 2.5) * (t > 0)


def _heart(x: Tensor, y: Tensor, dome: Tensor, vary: Callable, magnified: float) -> Tensor:
    """Chord of the heart: an ellipsoid with its tip to the patient's left, and the right atrium beside it."""
    size, turn = vary(1.0, 0.11) * magnified, vary(0.62, 0.1)
    right, down = x - vary(20, 4) * size, y - dome + 36
    along, across = right * turn.cos() + down * turn.sin(), down * turn.cos() - right * turn.sin()
    ventricle = _chord(along, across, vary(64, 3) * size, vary(46, 3) * size, 48 * size, 2)
    atrium = _chord(x + vary(16, 3) * size, down + 10, vary(24, 3) * size, 40 * size, 34 * size, 2)
    return torch.maximum(ventricle, atrium) * torch.sigmoid((dome + 22 - y) / 3)


def _vessels(x: Tensor, y: Tensor, dome: Tensor, vary: Callable) -> Tensor:
    """Chord of the great vessels: superior and inferior vena cava, aortic arch, pulmonary trunk."""
    cava = _chord(x + vary(7, 1), y + 30, vary(20, 2), 112, 26, 2.5)
    root = _chord(x - 7, y + 30, 20, 100, 26, 2.5)
    arch = _chord(x - vary(17, 3), y + vary(72, 5), vary(19, 2), 21, 24, 2)
    trunk = _chord(x - vary(17, 3), y + vary(36, 4), vary(21, 3), 36, 24, 2)
    below = _chord(x - 4, y - dome, 33, 52, 26, 2.5)
    return torch.stack([cava, root.expand_as(cava), below, arch, trunk]).amax(0)


def _body(x: Tensor, y: Tensor, cage: Tensor, wide: Tensor, thick: Tensor, vary: Callable) -> Tensor:
    """Chord of trunk, neck and shoulders, with the breasts before the lungs of some."""
    trunk = _chord(x, y - 120, wide + vary(36, 6), 330, thick, 2.5)
    neck = _chord(x, y + 215, vary(56, 4), 130, 58, 2.5)
    shoulders = _chord(x, y + vary(104, 6) - 0.3 * x.abs(), 340, 66, 66, 2.5)
    breast = vary(-6, 14).clamp(0, 18)
    breasts = sum(_chord(x - side * 78, y - vary(48, 8), 62, vary(50, 6), breast, 2) for side in (-1, 1))
    return torch.maximum(torch.maximum(trunk, neck), shoulders) + breasts


def _airways(x: Tensor, y: Tensor, dome: Tensor, vary: Callable) -> Tensor:
    """Chord of the air outside the lungs: windpipe, its two branches, and gas in the stomach."""
    pipe = _round((x + 2) / 8) * 15 * torch.sigmoid((-62 - y) / 3)
    below = (y + 62).clamp(0, 34)
    branches = _round((x.abs() - 0.9 * below - 2) / 6) * 8 * torch.sigmoid((-y - 32) / 3) * torch.sigmoid((y + 62) / 3)
    gas = vary(8, 10).clamp(0, 26)
    stomach = _chord(x - vary(72, 10), y - dome - vary(44, 3), 1 + 1.4 * gas, 1 + 0.75 * gas, 1.2 * gas, 2)
    return pipe + branches + stomach


def _skeleton(x: Tensor, y: Tensor, cage: Tensor, top: Tensor, vary: Callable) -> Tensor:
    """Chord of the bones: spine, ribs, clavicles, and the heads of the upper arms."""
    discs = torch.sigmoid(6 * torch.cos(2 * torch.pi * y / 26) + 4)  # vertebrae with a darker disc between
    spine = _chord(x, y, 16, 600, 5, 2) * (0.5 + 0.5 * discs)
    collars = sum(
        _tube(y + vary(118, 4) + 0.16 * side * x - 7 * torch.sin((side * x - 15) / 27), 5.5)
        * torch.sigmoid((side * x - 16) / 3)
        * torch.sigmoid((150 - side * x) / 4)
        for side in (-1, 1)
    )
    arms = sum(_chord(x - side * 172, y + vary(108, 5), 25, 28, 14, 2) for side in (-1, 1))
    return spine + 1.6 * _ribs(x, y - top, cage, vary(25, 1.2)) + 1.5 * collars + arms


def _ribs(x: Tensor, down: Tensor, cage: Tensor, spacing: Tensor) -> Tensor:
    """Ten pairs of ribs, `down` mm below the apex: behind nearly level, in front steeply down to the middle."""
    across = x.abs() / (cage + 4)  # 1 at the flank
    a = across.clamp(max=1)

    def nearest(curve: Tensor, slope: Tensor) -> Tensor:
        """Distance from the nearest of ten curves, `spacing` apart from this one downwards."""
        below = down - curve
        return (below - spacing * (below / spacing).round().clamp(0, 9)) / (1 + slope**2).sqrt()

    arch = (1 - a**2).clamp(min=1e-4).sqrt()
    behind = _tube(nearest(48 - 34 * arch - 2 * torch.sin(torch.pi * a), 0.25 * a / arch.clamp(min=0.3)), 4.6)
    front = _tube(nearest(44 + 62 * (1 - a) - 16 * arch, 0.45 + 0 * a), 4.8) * torch.sigmoid((a - 0.42) * 14)
    return (behind + 0.6 * front) * torch.sigmoid((1 - across) * 40)


def _branches(x: Tensor, y: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Chord of the blood vessels of the lungs: tubes that leave each hilum in all directions, thinner as they go."""
    chord = torch.zeros(n, *x.shape[-2:])
    for side in (-1, 1):
        u, v = side * x - 28, y + 26 - 8 * side
        chord = torch.maximum(chord, _chord(u, v, 18, 28, 9, 2))  # the hilum, where they enter
        for direction in range(9):
            turn, bend, thick = torch.rand(3, n, 1, 1, generator=generator)
            angle = torch.pi * ((direction + 0.8 * turn) / 9 - 0.47)
            along = u * angle.cos() + v * angle.sin()
            aside = v * angle.cos() - u * angle.sin() - (bend - 0.5) * 0.012 * along.clamp(min=0) ** 2
            radius = (1.5 + 2.5 * thick) * (1 - along / (70 + 50 * bend)).clamp(0, 1)
            chord = torch.maximum(chord, 4 * radius * _round(aside / radius.clamp(min=0.3)) * (along > 0))
    return chord


def _opacity(
    x: Tensor, y: Tensor, numbers: Tensor, floors: list, cage: Tensor, vary: Callable, generator: torch.Generator
) -> Tensor:
    """Share of the air that is lost: 0 in most patients; in the others fluid over a diaphragm, or a consolidation."""
    n, size = len(numbers), x.shape[-1]
    sick = (numbers % OPACITY_EVERY == 0).view(n, 1, 1)
    left, fluid = (torch.rand(n, 1, 1, generator=generator) < 0.5 for _ in range(2))
    u = torch.where(left, x, -x)
    floor = torch.where(left, floors[1], floors[0])
    level = floor - vary(42, 9) - 26 * (u / cage.clamp(min=30)).clamp(0, 1) ** 6  # higher at the ribs: a meniscus
    filled = torch.sigmoid((y - level) / vary(6, 1.5).clamp(min=3)) * torch.sigmoid((u - 20) / 5)
    rough = 0.7 * smooth_field(n, size, 9, generator)[:, 0] + 0.4 * smooth_field(n, size, 24, generator)[:, 0]
    patch = ((u - vary(80, 16)) / vary(38, 5)) ** 2 + ((y - vary(20, 22)) / vary(44, 5)) ** 2
    dense = torch.sigmoid((1 - patch + rough) * 2.5) * torch.sigmoid((u - 8) / 3)
    return sick * vary(0.9, 0.04) * torch.where(fluid, filled, dense)


def _leads(x: Tensor, y: Tensor, vary: Callable) -> Tensor:
    """Wires of a heart monitor with their electrodes, as attenuation."""
    path = torch.zeros(())
    for side, rise in ((-1, -0.9), (1, -0.7), (1, 0.8)):
        at, height, bend = vary(side * 70, 14), vary(-60 if rise < 0 else 55, 14), vary(0, 14)
        path = path + _round(torch.hypot(x - at, y - height) / 6)
        outwards = side * (x - at)
        wire = y - height - rise * outwards - bend * torch.sin(outwards / 25)
        path = path + 0.7 * _round(wire / 1.8) * (outwards > 0)
    return path


def _chord(x: Tensor, y: Tensor, a, b, c, power: float) -> Tensor:
    """Length in mm, along the beam, of |x/a|^p + |y/b|^p + |z/c|^p <= 1: an ellipsoid, or boxier (p = 2.5)."""
    u, v = (x / a).abs(), (y / b).abs()
    if power == 2:
        return 2 * c * (1 - u * u - v * v).clamp(min=0).sqrt()
    return 2 * c * (1 - u * u * u.sqrt() - v * v * v.sqrt()).clamp(min=0) ** 0.4  # three times faster than u**2.5


def _round(u: Tensor) -> Tensor:
    """Chord through a rod of radius 1 at distance `u` from its axis, over its diameter."""
    return (1 - u * u).clamp(min=0).sqrt()


def _tube(distance: Tensor, radius: float) -> Tensor:
    """Chord of a bone tube `distance` mm off its axis: a shell, so its rims are the brightest."""
    return 2 * radius * (_round(distance / radius) - 0.45 * _round(distance / (0.72 * radius)))
