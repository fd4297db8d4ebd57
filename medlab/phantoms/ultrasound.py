"""Breast ultrasound phantom: speckle from random scatterers, with a cyst, a solid mass, or neither.

Image formation after Wagner et al., IEEE Trans Sonics Ultrason 30(3):156-163, 1983: many scatterers per resolution cell
add up with random phase, so the echo is a complex Gaussian field, filtered by the pulse (short along the beam, wide
across it); its magnitude is Rayleigh distributed, and is shown on a logarithmic scale of 60 dB. Depth attenuates; a
cyst has no echo and brightens what lies behind it, a solid mass has few echoes, an irregular border and a shadow.
Small or deep lesions drown in the speckle: expect about 90 % from a good network, not 100 %.
"""

import torch
from torch import Tensor

from medlab.phantoms.anatomy import blur, in_chunks, smooth_field


def make(n: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Generate images ``(n, 1, size, size)`` float32 in [0, 1], and classes ``(n,)``; the probe is at the top."""
    return in_chunks(lambda numbers, generator: _scans(numbers, generator, size), n, 24, seed)


def _scans(numbers: Tensor, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
    n, kind = len(numbers), numbers % 3

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, 1, 1, 1, generator=generator)

    line = (torch.arange(size) + 0.5) / size  # 0 at the probe, 1 at 40 mm depth
    depth, across = torch.meshgrid(line, line, indexing="ij")
    wavy = 0.05 * smooth_field(n, size, 5, generator)
    level = torch.full((n, 1, size, size), -14.0) + 3 * smooth_field(n, size, 8, generator)  # echo level in dB
    layers = depth + 0.3 * wavy
    level = torch.where(layers < 0.05, 0.0, level)  # skin
    level = torch.where((layers > 0.05) & (layers < uniform(0.18, 0.3)), level - 7, level)  # fat
    level = torch.where(layers > uniform(0.78, 0.9), level + 8 * torch.sin(60 * layers), level)  # muscle

    row, col, radius = uniform(0.35, 0.65), uniform(0.3, 0.7), uniform(0.06, 0.16)
    ragged = torch.where(kind[:, None, None, None] == 2, 2.2, 0.25) * wavy
    distance = torch.hypot((depth - row) / 0.8, across - col) / radius + ragged / radius
    lesion = torch.sigmoid((1 - distance) * 14)
    behind = torch.sigmoid((depth - row) * 40) * torch.sigmoid((1 - (across - col).abs() / radius) * 6) * (1 - lesion)
    cyst, solid = (kind == k for k in (1, 2))
    shape = (n, 1, 1, 1)
    level = level + lesion * (-45 * cyst.reshape(shape) - 13 * solid.reshape(shape))
    level = level + behind * (7 * cyst.reshape(shape) - 12 * solid.reshape(shape) * uniform(0.3, 1.0))
    level = level - 16 * depth  # attenuation that the time-gain compensation left over

    echoes = torch.randn(2, n, 1, size, size, generator=generator) * 10 ** (level / 20)
    envelope = torch.hypot(*_pulse(echoes.flatten(0, 1), size / 128).reshape(echoes.shape))
    brightest = envelope[..., ::2, ::2].flatten(1).quantile(0.995, dim=1)  # a quarter of the pixels: sorting is slow
    return (1 + 20 * (envelope / brightest.reshape(shape)).clamp(min=1e-6).log10() / 60).clamp(0, 1), kind


def _pulse(echo: Tensor, scale: float) -> Tensor:
    """Filter by the pulse: about one pixel along the beam, three across it (at 128 pixels)."""
    narrow = blur(echo, 0.7 * scale)
    wide = torch.nn.functional.avg_pool2d(narrow, (1, 3), 1, (0, 1)) if scale >= 1 else narrow
    return torch.nn.functional.avg_pool2d(wide, (1, 3), 1, (0, 1))
