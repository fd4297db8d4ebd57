"""Abdominal CT phantom: axial 5 mm slices of a trunk with organ label maps, portal-venous contrast.

All of it is simulated: organs are ellipsoids and bent tubes whose place, size and shape vary per patient, all deformed
by one smooth warp; a slice is the mean of two planes, so thin parts blend with their neighbors. CT values follow the
portal-venous phase and vary per patient; the noise is as grainy as a soft reconstruction makes it. Slices run from the
dome of the liver to the lower poles of the kidneys. The pancreas is small and lies among bowel loops, stomach and
duodenum of nearly its own CT value, so it is much harder to find than the liver. Not drawn: streaks, disease,
respiratory motion, the pelvis.
"""

import numpy as np
import torch
from torch import Tensor

from medlab.phantoms.anatomy import blur, in_chunks, label_map, smooth_field

SLICES_PER_PATIENT = 10
WINDOW = (-160.0, 240.0)  # HU shown as 0 and 1
FIELD_OF_VIEW = 344.0  # mm


def make(n: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Generate images ``(n, 1, size, size)`` float32 in [0, 1], and uint8 label maps ``(n, size, size)``.

    Radiological view: the front of the body is up, the patient's right on the left. A patient's slices run downwards.
    """
    return in_chunks(lambda _, generator: _patient(generator, size), n, SLICES_PER_PATIENT, seed)


class _Canvas:
    """CT values of a patient's planes; what is painted later covers what is there.

    Millimeters: x to the patient's left ``(size, size)``, y backwards ``(size, size)``, z upwards ``(planes, 1, 1)``.
    """

    def __init__(self, size: int, generator: torch.Generator) -> None:
        self.size, self.pixel, self.generator = size, FIELD_OF_VIEW / size, generator
        line = (torch.arange(size) + 0.5) * self.pixel - FIELD_OF_VIEW / 2
        y, x = torch.meshgrid(line, line, indexing="ij")
        warp = 5 * smooth_field(2, size, 5, generator)[:, 0]
        self.x, self.y = x + warp[0], y + warp[1]
        middle = torch.linspace(72, -84, SLICES_PER_PATIENT) + 8 * torch.rand(SLICES_PER_PATIENT, generator=generator)
        self.z = (middle[:, None] + torch.tensor([-1.5, 1.5])).reshape(-1, 1, 1)
        self.values = torch.full((len(self.z), size, size), -1000.0)

    def vary(self, mean: float, deviation: float) -> float:
        """One number of this patient, kept within two deviations."""
        return mean + deviation * torch.randn((), generator=self.generator).clamp(-2, 2).item()

    def paint(self, depth: Tensor, value: Tensor | float) -> Tensor:
        """Fill where `depth` (mm below a surface) is positive; returns the filled fraction of each pixel."""
        filled = (depth / self.pixel).add_(0.5).clamp_(0, 1)
        self.values.lerp_(torch.as_tensor(value), filled)
        return filled

    def ellipsoid(self, center: tuple, radii: tuple, turn: float = 0.0, bend: float = 0.0, lean: float = 0.0) -> Tensor:
        """Depth in mm (first order) below the surface of an ellipsoid.

        `turn` in radians in the plane; `bend` (1/mm) curves it towards the middle; `lean` shifts x per mm of height.
        """
        x, y, z = self.x - center[0], self.y - center[1], self.z - center[2]
        x, y = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        x = x + bend * y**2
        if lean:  # else all planes share one x
            x = x - lean * z
        scale = 0.5 * min(radii[:2])
        flat = scale * (1 - (x / radii[0]) ** 2 - (y / radii[1]) ** 2)
        return flat - scale * (z / radii[2]) ** 2


def _patient(generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
    canvas = _Canvas(size, generator)
    cavity = _trunk(canvas)
    _gut(canvas)
    labels = _organs(canvas, cavity)
    values = canvas.values.unflatten(0, (SLICES_PER_PATIENT, 2)).mean(1)[:, None]
    noise = blur(torch.randn(values.shape, generator=generator), 0.7)
    values = values + noise * (canvas.vary(14, 3) / noise.std())
    low, high = WINDOW
    return ((values - low) / (high - low)).clamp(0, 1), labels


def _trunk(canvas: _Canvas) -> Tensor:
    """Paint fat, muscle, lung bases, bones and the great vessels; returns the depth inside the abdominal cavity."""
    vary, x, y, z = canvas.vary, canvas.x, canvas.y, canvas.z
    wide, deep, fat, muscle = vary(150, 7), vary(112, 6), vary(17, 5), vary(10, 2)

    def oval(inset: Tensor | float) -> Tensor:
        return (1 - ((x / (wide - inset)).abs() ** 2.3 + (y / (deep - 0.8 * inset)).abs() ** 2.3) ** 0.5) * 85

    texture = 6 * smooth_field(len(z), canvas.size, 28, canvas.generator)[:, 0]
    canvas.paint(2.5 - (y - deep - 9 + 0.0012 * x**2).abs() - (x.abs() - 140).clamp(min=0), 30.0)  # table
    canvas.paint(oval(0), 20.0)  # skin
    canvas.paint(oval(3.0), -105 + texture)
    canvas.paint(oval(fat), vary(58, 4) + texture)
    angle = torch.atan2(y / deep, x.abs() / wide)
    rib = torch.cos(10 * angle + 0.16 * z) - 0.45 - (-(z + 45) / 15).clamp(min=0) - (-(angle + 0.9) * 4).clamp(min=0)
    inner = oval(fat + muscle)
    canvas.paint(torch.minimum(9 * rib, torch.minimum(oval(fat + 1), -inner)), vary(330, 40))
    canvas.paint(inner, -102 + 1.5 * texture)
    dome = ((z - 25).clamp(min=0) / 88) ** 2  # above this height the diaphragm narrows the cavity
    cavity = torch.minimum(inner, canvas.ellipsoid((0, -8, 0), (wide - fat - 8, deep - fat + 4, 1e6)) - 40 * dome)
    canvas.paint(torch.minimum(inner, -cavity - 2 - 400 * (20 - z).clamp(min=0)), -860.0)

    back = vary(48, 3)
    for side in (-1, 1):
        canvas.paint(canvas.ellipsoid((side * 36, back + 34, 0), (32, 19, 1e6)), vary(58, 4) + texture)
        canvas.paint(canvas.ellipsoid((side * 34, back + 6, -110), (19, 18, 100), lean=-0.1 * side), vary(62, 4))
        canvas.paint(canvas.ellipsoid((side * 17, back - 10, 60), (9, 12, 75)), 60.0)  # crus of the diaphragm
    spongy = vary(165, 30)
    canvas.paint(canvas.ellipsoid((0, back + 20, 0), (44, 5, 1e6)) - 8 * (1 + torch.cos(z / 4.5)), 420.0)
    canvas.paint(canvas.ellipsoid((0, back + 42, 0), (4, 24, 1e6)), 400.0)  # spinous process
    canvas.paint(canvas.ellipsoid((0, back + 20, 0), (17, 13, 1e6)), 450.0)
    canvas.paint(canvas.ellipsoid((0, back + 20, 0), (11, 9, 1e6)), 30.0)  # spinal canal
    body = canvas.ellipsoid((0, back, 0), (23, 17, 1e6))
    canvas.paint(body, spongy + 250)
    canvas.paint(body - 2.5, spongy + 2 * texture)
    blood = vary(150, 10)
    canvas.paint(canvas.ellipsoid((vary(9, 3), back - 29, 0), (10.5, 10.5, 1e6)), blood)  # aorta
    canvas.paint(canvas.ellipsoid((vary(-21, 3), back - 27, 0), (13, 10, 1e6)), blood - 15)  # vena cava
    for center, low in ((-9, 0), (6, 10)):  # superior mesenteric vein and artery
        canvas.paint(canvas.ellipsoid((center, back - 50, low - 70), (6, 6, 70)), blood)
    return cavity


def _gut(canvas: _Canvas) -> None:
    """Paint small bowel, duodenum, colon and stomach: walls about as bright as the pancreas, contents of all kinds."""
    vary = canvas.vary

    def hollow(depth: Tensor, wall: float, content: Tensor | float) -> None:
        canvas.paint(depth, vary(82, 8))
        canvas.paint(depth - wall, content)

    for _ in range(22):
        center = vary(12, 42), vary(-30, 20), vary(-50, 26)
        radii = vary(19, 4), vary(13, 2), vary(20, 4)
        hollow(canvas.ellipsoid(center, radii, vary(0, 1)), 4, vary(75, 14))
    hollow(canvas.ellipsoid((-47, 2, -38), (13, 14, 42)), 4, vary(65, 20))  # duodenum
    texture = 120 * smooth_field(len(canvas.z), canvas.size, 24, canvas.generator)[:, 0]
    hollow(canvas.ellipsoid((-102, 12, -95), (20, 22, 65)), 3, texture - 90)  # ascending colon
    hollow(canvas.ellipsoid((104, 28, -75), (15, 17, 85)), 3, texture - 90)  # descending colon
    hollow(canvas.ellipsoid((vary(0, 15), -68, vary(-50, 8)), (75, 14, 20)), 3, texture - 90)  # transverse colon
    fundus = canvas.ellipsoid((vary(52, 4), -8, 58), (vary(40, 4), vary(44, 4), 48))
    body = canvas.ellipsoid((vary(52, 5), -48, 14), (vary(36, 4), vary(26, 3), 44), turn=-0.3)
    antrum = canvas.ellipsoid((vary(6, 5), -50, vary(-10, 5)), (50, vary(17, 2), 18), turn=0.15)
    meal = vary(20, 10) if vary(0, 1) < 0.6 else vary(190, 20)  # water, or contrast medium
    level = canvas.y - vary(-52, 6)  # the patient lies on the back: air collects in front
    content = -900 + (meal + 900) * (level / canvas.pixel + 0.5).clamp(0, 1)
    hollow(torch.maximum(torch.maximum(fundus, body), antrum), 4, content)


def _organs(canvas: _Canvas, cavity: Tensor) -> Tensor:
    """Paint the labeled organs; returns the label maps of the slices."""
    vary, x, y, z = canvas.vary, canvas.x, canvas.y, canvas.z
    field = smooth_field(len(z) // 2, canvas.size, 16, canvas.generator)[:, 0].repeat_interleave(2, 0)

    # The pancreas runs from the head on the right to the tail at the spleen: ellipses along x.
    length = vary(118, 8)
    along = ((x + 40) / length).clamp(0, 1)
    lobes = 1 + 0.16 * smooth_field(1, canvas.size, 36, canvas.generator)[0, 0]
    half = lobes * (vary(13.5, 1) + 8.5 * torch.exp(-((along / 0.18) ** 2)) + 1.5 * along)
    tall = vary(16, 2) + 17 * torch.exp(-((along / 0.2) ** 2))
    center_y = vary(-2, 4) - vary(16, 4) * torch.sin(3.4 * along) + 10 * along**2
    center_z = vary(-14, 4) + vary(28, 6) * along
    off_end = ((x + 40 - length * along) / 9) ** 2  # rounds the ends

    def tube(shift: float, scale: float) -> Tensor:
        square = ((y - center_y - shift) / (scale * half)) ** 2 + off_end + ((z - center_z) / (scale * tall)) ** 2
        return (1 - square) * (0.5 * scale) * half

    canvas.paint(tube(10, 0.45), 140.0)  # splenic vein
    pancreas = canvas.paint(tube(0, 1.0), vary(90, 8) + 4 * field)

    kidneys = torch.zeros_like(canvas.values)
    for side in (-1, 1):
        center = side * vary(60, 3), vary(45, 3), vary(-30 if side < 0 else -20, 6)
        grow = vary(1.05, 0.07)
        whole = canvas.ellipsoid(center, (26 * grow, 31 * grow, 60 * grow), turn=0.4 * side, lean=-0.15 * side)
        cortex = vary(165, 12)
        filled = canvas.paint(whole, cortex)
        canvas.paint(torch.minimum(whole - 5, 6 * field + 1), cortex - 45)  # medulla
        inlet = center[0] - side * 15, center[1] - 5, center[2]
        sinus = canvas.paint(canvas.ellipsoid(inlet, (16, 8, 26), turn=0.4 * side), -60.0)
        pancreas, kidneys = pancreas * (1 - filled) * (1 - sinus), torch.maximum(kidneys, filled * (1 - sinus))

    value = vary(115, 8)
    center = vary(101, 4), vary(28, 5), vary(33, 6)
    spleen = canvas.ellipsoid(center, (vary(29, 3), vary(61, 5), vary(66, 6)), bend=0.011)
    spleen = canvas.paint(torch.minimum(spleen, cavity - 2), value + 3 * field)

    value = vary(105, 9)
    center, radii = (vary(-81, 4), vary(0, 4), vary(27, 5)), (vary(71, 4), vary(84, 4), vary(98, 7))
    right = canvas.ellipsoid(center, radii, turn=0.15, lean=0.45)
    center, radii = (vary(-15, 8), vary(-46, 4), vary(42, 6)), (vary(64, 8), vary(31, 3), vary(48, 5))
    left = canvas.ellipsoid(center, radii, turn=0.1)
    cleft = canvas.ellipsoid((-22, -50, 10), (3, 26, 38), turn=-0.3)
    whole = torch.minimum(torch.minimum(torch.maximum(right, left), cavity - 2), -cleft)
    vessels = 28 * (4 * (field - 1.1)).clamp(0, 1)
    liver = canvas.paint(whole, value + vessels)
    bladder = canvas.paint(canvas.ellipsoid((vary(-52, 5), -42, vary(-22, 5)), (13, 17, 24), turn=0.3), vary(12, 4))

    over = 1 - torch.maximum(liver, spleen)
    fractions = torch.stack([pancreas * over, kidneys * over, liver, spleen * (1 - liver)], 1) * (1 - bladder)[:, None]
    return label_map(fractions.unflatten(0, (SLICES_PER_PATIENT, 2)).mean(1))
