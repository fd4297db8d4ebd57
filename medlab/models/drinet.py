"""DRINet: dense blocks on the way down, residual inception modules and unpooling blocks on the way up.

Chen, Bentley, Mori, Misawa, Fujiwara, Rueckert: DRINet for Medical Image Segmentation. IEEE Transactions on Medical
Imaging 37(11):2453-2462, 2018, doi:10.1109/TMI.2018.2835303.

| stage            | layers                                                             | maps (growth 48)   |
| ---------------- | ------------------------------------------------------------------ | ------------------ |
| stem             | convolution 3 x 3                                                  | 32                 |
| levels 1 to 3    | dense block (+ 3 growth), max pool 2 x 2                           | 176 320 464        |
| bottom           | dense block, BN, ReLU, 3 residual inception modules                | 608                |
| three times up   | unpooling block (half the maps, twice the side), 3 modules         | 304 152 76         |
| head             | convolution 1 x 1                                                  | classes            |

10 030 599 parameters for growth 48, one channel and four classes (three and the background). There are **no skip
connections**: the paper leaves them out to save memory. Layers as in the authors' code (lc12git/DRINet), where their
stride-1 transposed convolutions are ordinary ones in effect; those that double the side are real ones.

The ablation of the paper's Table (BraTS) switches each of the three ideas off. What stands in its place is our choice:
two convolutions 3 x 3 for a dense block, one for a module, one transposed 3 x 3 for an unpooling block.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def conv(in_channels: int, out_channels: int, kernel: int, dilation: int = 1) -> nn.Sequential:
    """Convolution that keeps the size, batch normalization, ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, padding="same", dilation=dilation),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def double(in_channels: int, out_channels: int) -> nn.Sequential:
    """Transposed convolution 3 x 3 that doubles the side, batch normalization, ReLU."""
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def activated(in_channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    """Batch normalization and ReLU first, then the convolution: the order of dense networks."""
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.ReLU(),
        nn.Conv2d(in_channels, out_channels, kernel, padding="same"),
    )


class DenseBlock(nn.Module):
    """Three convolutions, each of which sees the block's input and all maps made before it; then a mixing 1 x 1.

    Args:
        in_channels: maps that come in; ``in_channels + 3 * growth`` go out.
        growth: maps that each convolution adds.
    """

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(activated(in_channels + i * growth, growth, 3) for i in range(3))
        self.mix = activated(in_channels + 3 * growth, in_channels + 3 * growth, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, in_channels + 3 growth, H, W)``."""
        for layer in self.layers:
            maps = torch.cat([maps, layer(maps)], 1)
        return self.mix(maps)


class InceptionModule(nn.Module):
    """Three branches that see 1 x 1, 3 x 3 and 5 x 5 pixels, mixed and added to the input.

    The 5 x 5 is a 3 x 3 with dilation 2. The mixing layer is normalized but not rectified, and neither is the sum.

    Args:
        channels: maps, kept; at least 4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        quarter = channels // 4  # rounded down, as in the authors' code
        self.point = conv(channels, quarter, 1)
        self.near = nn.Sequential(conv(channels, quarter, 1), conv(quarter, channels // 2, 3))
        self.far = nn.Sequential(conv(channels, quarter, 1), conv(quarter, quarter, 3, dilation=2))
        self.mix = conv(2 * quarter + channels // 2, channels, 1)[:2]  # without its ReLU

    def forward(self, maps: Tensor) -> Tensor:
        """``(N, channels, H, W)`` to the same shape."""
        return maps + self.mix(torch.cat([self.point(maps), self.near(maps), self.far(maps)], 1))


class UnpoolingBlock(nn.Module):
    """Two branches that double the side: one from a point, one from a dilated neighborhood.

    Args:
        channels: maps that come in; ``2 * (channels // 4)`` go out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half, quarter = channels // 2, channels // 4
        self.point = nn.Sequential(conv(channels, half, 1), double(half, quarter))
        self.far = nn.Sequential(conv(channels, half, 1), conv(half, half, 3, dilation=2), double(half, quarter))

    def forward(self, maps: Tensor) -> Tensor:
        """``(N, channels, H, W)`` to ``(N, 2 (channels // 4), 2 H, 2 W)``."""
        return torch.cat([self.point(maps), self.far(maps)], 1)


class DRINet(nn.Module):
    """DRINet for images whose sides its poolings divide.

    Args:
        in_channels: channels of the images.
        classes: classes of the label map, background included.
        growth: maps that a convolution of a dense block adds; one number for all four levels, or one per level.
        stem: maps of the first convolution.
        dense, inception, unpooling: the paper's three ideas; all three off gives the plain fully convolutional network
            (FCN) of its ablation.

    Raises:
        ValueError: fewer than two levels, or so few maps that a branch of a module has none.
    """

    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 4,
        growth: int | Sequence[int] = 48,
        stem: int = 32,
        dense: bool = True,
        inception: bool = True,
        unpooling: bool = True,
    ) -> None:
        super().__init__()
        growth = [growth] * 4 if isinstance(growth, int) else list(growth)
        if len(growth) < 2 or min(growth) < 1:
            raise ValueError(f"growth must hold at least 2 levels of at least 1 map each, got {growth}")
        ups = len(growth) - 1
        bottom = stem + 3 * sum(growth)
        if bottom // 2**ups < 4:
            raise ValueError(
                f"stem {stem} and growth {growth} leave {bottom // 2**ups} maps at full size, and a module splits them "
                "into quarters: take a larger growth or stem"
            )
        self.stem = nn.Conv2d(in_channels, stem, 3, padding=1)  # (N, stem, H, W)
        self.down, channels = nn.ModuleList(), stem
        for k in growth:  # level l: (N, channels, H / 2^l, W / 2^l)
            out = channels + 3 * k
            plain = nn.Sequential(conv(channels, out, 3), conv(out, out, 3))
            self.down.append(DenseBlock(channels, k) if dense else plain)
            channels = out
        self.pool = nn.MaxPool2d(2)

        def modules(channels: int) -> nn.Sequential:
            return nn.Sequential(
                *(InceptionModule(channels) if inception else conv(channels, channels, 3) for _ in "123")
            )

        self.bottom = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), modules(channels))
        self.up = nn.ModuleList()
        for _ in range(ups):
            half = 2 * (channels // 4)
            unpool = UnpoolingBlock(channels) if unpooling else double(channels, half)
            self.up.append(nn.Sequential(unpool, modules(half)))  # half the maps, twice the side
            channels = half
        self.head = nn.Conv2d(channels, classes, kernel_size=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.trunc_normal_(layer.weight, std=0.01)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, in_channels, H, W)`` to logits ``(N, classes, H, W)``.

        Raises:
            ValueError: a side that the poolings do not divide.
        """
        step = 2 ** len(self.up)
        if any(side % step for side in images.shape[2:]):
            height, width = images.shape[2:]
            larger = " x ".join(str(-(-side // step) * step) for side in (height, width))
            raise ValueError(
                f"DRINet pools {len(self.up)} times, so both sides must be multiples of {step}, "
                f"got {height} x {width}: pad to {larger}"
            )
        maps = self.stem(images)
        for block in self.down[:-1]:
            maps = self.pool(block(maps))
        maps = self.bottom(self.down[-1](maps))
        for block in self.up:
            maps = block(maps)
        return self.head(maps)  # (N, classes, H, W)
