"""Dermoscopy phantom: nevi, melanomas and seborrheic keratoses, as seen through a dermatoscope of 20 mm field.

Real: the rule behind the classes (ABCD: asymmetry, border, color, dermoscopic structures) and the way color arises:
melanin, hemoglobin and keratin absorb by the Beer-Lambert law, melanin deep in the skin looks blue-gray. Simulated: all
shapes, textures and numbers. Two latent variables, atypia and keratosis, determine every feature, each feature with
independent noise; they overlap between the classes (dysplastic nevi, early melanomas, pigmented keratoses). A patient
has two to four lesions, often of different classes, under one skin tone, light and hair. The classes overlap on
purpose: `SmallCNN` of width 16, trained on 720 images of 32 pixels, is right on 74 % of new patients' images (each of
three seeds), and predicting a nevus for all of them is right on 60 %.
"""

import torch
from torch import Tensor

from medlab.phantoms.anatomy import blur, in_chunks, smooth_field

IMAGES_PER_PATIENT = (3, 2, 4)  # of patients 0, 1 and 2, and again of the next three
OWNER = torch.repeat_interleave(torch.arange(3), torch.tensor(IMAGES_PER_PATIENT))
KINDS = torch.tensor([0, 1, 0, 2, 0])  # 60, 20 and 20 %
# Absorption in red, green and blue of melanin, hemoglobin, melanin deep in the skin, and keratin.
ABSORPTION = torch.tensor([[0.68, 0.10, 1.00, 0.10], [1.00, 1.00, 0.82, 0.30], [1.28, 0.75, 0.55, 0.85]])
TISSUE = torch.tensor([0.95, 0.86, 0.80]).reshape(3, 1, 1)  # what skin without pigment reflects
HAIRS = 7  # at most


def make(n: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Generate images ``(n, 3, size, size)`` float32 in [0, 1], and classes ``(n,)``."""
    return in_chunks(lambda numbers, generator: _photographs(numbers, generator, size), n, 4 * len(OWNER), seed)


def _patients(numbers: Tensor) -> Tensor:
    return numbers // len(OWNER) * 3 + OWNER[numbers % len(OWNER)]


def _photographs(numbers: Tensor, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
    kind, n = KINDS[numbers % len(KINDS)], len(numbers)
    patient = _patients(numbers)
    patient = patient - patient[0]  # a chunk holds whole patients

    def of_patient(low: float, high: float, channels: int = 1) -> Tensor:
        """One number per patient and channel."""
        drawn = torch.rand(int(patient[-1]) + 1, channels, 1, 1, generator=generator)
        return (low + (high - low) * drawn)[patient]

    line = (torch.arange(size) + 0.5) / size * 2 - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    tone, blood = 0.04 + 1.3 * of_patient(0, 1) ** 1.3, of_patient(0.10, 0.26)
    pigments, white = _lesion(kind, x, y, generator)
    grain = 0.6 * smooth_field(n, size, 36, generator) + smooth_field(n, size, 9, generator)
    lines = _mesh(x, y, of_patient(0.07, 0.1), of_patient(0, 3), smooth_field(2 * n, size, 12, generator), 0.03)
    texture = 1 + 0.08 * grain + 0.10 * lines
    pigments[:, 0] += ((0.08 + tone) * texture)[:, 0]
    pigments[:, 1] += (blood * (1 + 0.12 * smooth_field(n, size, 6, generator) + 0.1 * grain))[:, 0]
    pigments[:, 0] += (of_patient(1.2, 3.0) * _hairs(x, y, of_patient(-0.4, 1), generator))[:, 0]
    density = torch.einsum("cp,nphw->nchw", ABSORPTION, pigments)
    color = torch.lerp(TISSUE * torch.exp(-density), TISSUE, white)

    rho = torch.hypot(x - of_patient(-0.1, 0.1), y - of_patient(-0.1, 0.1))
    light = of_patient(0.92, 1.08) * torch.exp(0.35 * tone)  # the camera's exposure makes up for some of the tone
    light = light * (1 - of_patient(0.05, 0.22) * rho**2) * torch.sigmoid((of_patient(1.1, 1.9) - rho) * 30)
    gloss = _dots(x.expand(n, 1, -1, -1), y.expand(n, 1, -1, -1), 10, 0.024, 0.03, generator)
    image = light * of_patient(0.94, 1.06, 3) * (color + 0.45 * gloss)
    softness = of_patient(0.25, 0.7, 3).reshape(-1) * size / 64
    image = blur(image.flatten(0, 1)[:, None], softness).reshape(n, 3, size, size)
    noise = torch.randn(n, 3, size, size, generator=generator)
    return (image + of_patient(0.006, 0.02) * noise).clamp(0, 1), kind


def _lesion(kind: Tensor, x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """What lesions add to the skin: pigments ``(n, 4, H, W)`` as in `ABSORPTION`, and whiteness ``(n, 1, H, W)``."""
    n, size = len(kind), len(x)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, 1, 1, 1, generator=generator)

    def field(nodes: int) -> Tensor:
        return smooth_field(n, size, nodes, generator)

    melanoma, keratosis = ((kind == k).reshape(-1, 1, 1, 1) for k in (1, 2))
    atypia = torch.where(melanoma, uniform(0.15, 1), torch.where(keratosis, uniform(0, 0.5), uniform(0, 0.85) ** 2))
    horn = torch.where(keratosis, uniform(0.2, 1), uniform(0, 0.5) ** 2)

    def trait(degree: Tensor) -> Tensor:
        """A degree with noise of its own, in [0, 1]."""
        return (degree + 0.1 * torch.randn(n, 1, 1, 1, generator=generator)).clamp(0, 1)

    # Border: a circle with angular harmonics; 1 - rho / radius is 0 on it and 1 in the middle.
    radius = uniform(0.3, 0.54) + 0.2 * trait(atypia) + 0.12 * trait(horn)
    x = (x - uniform(-0.15, 0.15) + 0.03 * field(7)) / radius
    y = (y - uniform(-0.15, 0.15) + 0.03 * field(7)) / radius
    angle, rho = torch.atan2(y, x), torch.hypot(x, y)
    notches = 0.008 + 0.17 * trait(atypia) + 0.02 * horn
    outline = 1 + uniform(0, 0.14) * torch.cos(2 * angle + uniform(0, 6.3))
    for k in range(3, 9):
        outline = outline + notches * uniform(0.2, 1) / (k - 2) ** 0.6 * torch.cos(k * angle + uniform(0, 6.3))
    streaks = torch.cos(uniform(12, 20).round() * angle + field(5)) * torch.sigmoid(4 * field(4) - 2)
    outline = outline + 0.12 * trait(atypia - 0.2) * streaks
    bites = (0.02 + 0.06 * trait(horn) + 0.04 * trait(atypia)) * field(15)
    depth = 1 - rho / outline.clamp(min=0.3) + bites
    abrupt = torch.maximum(trait(horn), trait(atypia) * torch.sigmoid(3 * field(4)))
    inside = torch.sigmoid(depth / (0.11 - 0.085 * abrupt))

    # Color: an even brown, a tilt and patches of other browns, then black, blue-gray, white and red areas.
    turn, varied = uniform(0, 6.3), trait(atypia)
    patches = field(5) + 0.8 * (x * turn.cos() + y * turn.sin())
    melanin = 1 + uniform(-0.2, 0.5) * depth + (0.08 + 0.42 * varied) * patches
    spacing, turn = uniform(0.11, 0.15) + 0.06 * varied, uniform(0, 3)
    net = _mesh(x * radius, y * radius, spacing, turn, smooth_field(2 * n, size, 11, generator), 0.03)
    where = torch.sigmoid(2 * field(4) + 1 - 2 * varied) * (1 - 0.8 * trait(horn))
    melanin = melanin * (1 + uniform(0.1, 0.75) * where * net)
    ridges = torch.exp(-((field(13) / 0.35) ** 2))  # zero lines of a smooth field
    melanin = melanin * (1 + trait(horn) * uniform(0, 0.7) * (ridges - 0.35))
    melanin = uniform(0.45, 1.05) * melanin.clamp(min=0.1) + 1.4 * trait(atypia) * torch.sigmoid(5 * field(5) - 6)
    melanin = melanin + 0.9 * trait(atypia) * _dots(x * radius, y * radius, 11, 0.05, 0.3, generator)
    melanin = melanin + 1.5 * trait(horn) * _dots(x * radius, y * radius, 8, 0.06, 0.3, generator)  # comedo-like
    regressed = trait(atypia - 0.3) * torch.sigmoid(5 * field(5) - 5)
    melanin = inside * melanin * (1 - 0.85 * regressed)
    veil = inside * 1.3 * trait(atypia - 0.3) * torch.sigmoid(4 * field(4) - 3)
    halo = uniform(-0.4, 0.2).clamp(min=0) * torch.exp(-(((rho - 1) / 0.35) ** 2))
    red = halo + inside * 0.7 * trait(atypia - 0.2) * torch.sigmoid(4 * field(5) - 4)
    keratin = inside * trait(horn) * uniform(0.1, 0.9)
    milia = trait(horn) * _dots(x * radius, y * radius, 7, 0.055, 0.3, generator)
    white = inside * (0.35 * regressed + 0.55 * milia + 0.12 * keratin) + 0.12 * veil
    return torch.cat([melanin, red, veil, keratin], 1), white.clamp(max=1)


def _mesh(x: Tensor, y: Tensor, spacing: Tensor, turn: Tensor, warp: Tensor, reach: float) -> Tensor:
    """Honeycomb of lines, about -1 in the holes to 1 on the lines: three plane waves at 120 degrees."""
    u, v = warp.reshape(-1, 2, *warp.shape[-2:]).split(1, 1)
    x, y = x + reach * u, y + reach * v
    wave = 2 * torch.pi / (0.866 * spacing)
    turns = (turn + k * 2 * torch.pi / 3 for k in range(3))
    waves = sum((torch.cos(wave * (x * t.cos() + y * t.sin())) for t in turns), torch.zeros(()))
    return 0.7 - torch.sigmoid(1.5 * waves) * 1.6


def _dots(x: Tensor, y: Tensor, cells: int, radius: float, share: float, generator: torch.Generator) -> Tensor:
    """Round dots of height 1 in a `share` of the `cells` x `cells` squares of each field ``(n, 1, H, W)``."""
    n, side = len(x), 2 / cells
    rows, columns = (((line + 1) / side).long().clamp(0, cells - 1) for line in (y, x))
    square = (rows * cells + columns).flatten(1)
    shift, drawn = (torch.rand(count, n, cells**2, generator=generator) for count in (2, 2))
    size = torch.where(drawn[0] < share, radius * (0.6 + 0.6 * drawn[1]), -1.0)  # below 0: no dot here
    right, down, size = (
        part.gather(1, square).reshape(x.shape) for part in (*((shift - 0.5) * (side - 2 * radius)), size)
    )
    away = torch.hypot(x - (columns + 0.5) * side + 1 - right, y - (rows + 0.5) * side + 1 - down)
    return torch.sigmoid((size - away) / (0.25 * radius)) * (size > 0)


def _hairs(x: Tensor, y: Tensor, amount: Tensor, generator: torch.Generator) -> Tensor:
    """How much of each pixel hairs cover, ``(n, 1, H, W)``: arcs in all directions, `amount` (0 to 1) of `HAIRS`."""
    n, pixel = len(amount), 2 / len(x)
    cover = torch.zeros(n, 1, *x.shape)
    main = 6.3 * torch.rand(n, 1, 1, 1, generator=generator)
    for k in range(HAIRS):
        turn, off, bend, width = (torch.rand(4, n, 1, 1, 1, generator=generator)).unbind()
        turn = main + 2.5 * (turn - 0.5)
        along, across = x * turn.cos() + y * turn.sin(), y * turn.cos() - x * turn.sin()
        distance = across - 2.2 * (off - 0.5) - 0.8 * (bend - 0.5) * along**2
        width = 0.006 + 0.012 * width
        seen = width.clamp(min=0.5 * pixel)  # a hair thinner than a pixel is one pixel wide and paler
        line = torch.exp(-((distance / seen) ** 2)) * (width / seen)
        cover = torch.maximum(cover, line * (amount * HAIRS > k + 0.5))
    return cover
