"""U-Net: a contracting path, an expanding path, and skip connections between them.

Ronneberger, Fischer, Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation. MICCAI 2015,
arXiv:1505.04597.

| stage         | layers                                                             | maps (width 64) |
| ------------- | ------------------------------------------------------------------ | --------------- |
| levels 1 to 4 | two convolutions 3 x 3 with ReLU; max pool 2 x 2                   | 64 128 256 512  |
| bottom        | two convolutions 3 x 3 with ReLU                                   | 1024            |
| four times up | up-convolution 2 x 2, the level's maps beside it, two convolutions | 512 256 128 64  |
| head          | convolution 1 x 1                                                  | classes         |

The paper's convolutions are unpadded: 572 pixels in give 388 out, and the level's maps are cropped to fit. Most code
pads so that a label map has the size of its image; that is the default here. Batch normalisation, which came later, is
on by default (`norm=False` is the paper's network), because comparisons with DRINet would otherwise test it alone.
"""

import torch
from torch import Tensor, nn


def convolutions(in_channels: int, out_channels: int, padding: str, norm: bool) -> nn.Sequential:
    """Twice convolution 3 x 3, batch normalisation where asked, ReLU."""
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        layers.append(nn.Conv2d(channels, out_channels, 3, padding=padding, bias=not norm))
        layers += [*([nn.BatchNorm2d(out_channels)] if norm else []), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """U-Net for images of any size that its poolings divide.

    Args:
        in_channels: channels of the images.
        classes: classes of the label map, background included.
        width: maps of the first level, doubled at each of the next.
        levels: resolutions, bottom included; one pooling less.
        padding: "same" keeps the size; "valid" is the paper's, whose output is smaller.
        norm: batch normalisation after each 3 x 3 convolution.
        skips: the skip connections; False shows what they are for.

    Raises:
        ValueError: no level to pool between, an unknown padding.
    """

    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 2,
        width: int = 64,
        levels: int = 5,
        padding: str = "same",
        norm: bool = True,
        skips: bool = True,
    ) -> None:
        super().__init__()
        if levels < 2:
            raise ValueError(f"UNet needs at least 2 levels, got {levels}; 5 are the paper's")
        if padding not in ("same", "valid"):
            raise ValueError(f"padding must be 'same' or 'valid' (the paper's), got {padding!r}")
        self.padding, self.skips = padding, skips
        maps = [width * 2**level for level in range(levels)]
        self.down = nn.ModuleList(
            convolutions(before, after, padding, norm) for before, after in zip([in_channels, *maps], maps)
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * m, m, kernel_size=2, stride=2) for m in maps[-2::-1])
        self.merge = nn.ModuleList(convolutions((1 + skips) * m, m, padding, norm) for m in maps[-2::-1])
        self.head = nn.Conv2d(width, classes, kernel_size=1)

    def output_size(self, size: int) -> int:
        """Side of the label map for images of that side: 388 for 572 with the paper's settings.

        Raises:
            ValueError: a side that some pooling would have to round; names the nearest that fit.
        """
        if self._trace(size) is None:
            near = [good for good in range(max(size - 64, 1), size + 65) if self._trace(good) is not None]
            near = sorted(sorted(near, key=lambda good: abs(good - size))[:2])
            raise ValueError(
                f"UNet with {len(self.down)} levels and {self.padding!r} padding cannot pool images of side {size}: "
                f"crop or pad to {' or '.join(map(str, near)) or 'a larger size'}"
            )
        return self._trace(size)

    def _trace(self, size: int) -> int | None:
        """The side at the end, None where a pooling would round or nothing is left."""
        lost = 0 if self.padding == "same" else 4  # pixels of the side, by two convolutions 3 x 3
        for _ in self.up:
            size -= lost
            if size < 2 or size % 2:
                return None
            size //= 2
        size -= lost
        for _ in self.up:
            size = 2 * size - lost
        return size if size > 0 else None

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, in_channels, H, W)`` to logits ``(N, classes, H', W')``, with H' = `output_size` (H)."""
        height, width = (self.output_size(side) for side in images.shape[2:])
        maps, kept = self.down[0](images), []
        for block in self.down[1:]:
            kept.append(maps)  # level l: (N, width 2^l, H / 2^l, W / 2^l) with "same" padding
            maps = block(self.pool(maps))
        for up, merge in zip(self.up, self.merge):
            maps, skip = up(maps), kept.pop()
            maps = merge(torch.cat([_crop(skip, maps), maps], 1) if self.skips else maps)
        return self.head(maps)  # (N, classes, height, width)


def _crop(maps: Tensor, like: Tensor) -> Tensor:
    """The centre of `maps`, as large as `like`."""
    top, left = ((a - b) // 2 for a, b in zip(maps.shape[2:], like.shape[2:]))
    return maps[:, :, top : top + like.shape[2], left : left + like.shape[3]]
