"""DRINet: dense blocks on the way down, residual inception modules and unpooling blocks on the way up.

Chen, Bentley, Mori, Misawa, Fujiwara, Rueckert: DRINet for Medical Image Segmentation. IEEE Transactions on Medical
Imaging 37(11):2453-2462, 2018, doi:10.1109/TMI.2018.2835303.

| stage            | layers                                                             | channels (growth 48) |
| ---------------- | ------------------------------------------------------------------ | -------------------- |
| stem             | convolution 3 x 3                                                  | 32                   |
| levels 1 to 3    | dense block (+ 3 growth), max pool 2 x 2                           | 176 320 464          |
| bottom           | dense block, BN, ReLU, 3 residual inception modules                | 608                  |
| three times up   | unpooling block (half the channels, twice the side), 3 modules     | 304 152 76           |
| head             | convolution 1 x 1                                                  | classes              |

10 030 599 parameters for growth 48, one channel and four classes (three and the background). There are **no skip
connections**: the paper leaves them out to save memory. Layers as in the authors' code (lc12git/DRINet), where their
stride-1 transposed convolutions are ordinary ones in effect; those that double the side are real ones.

The paper's ablation (BraTS) adds each of the three ideas to the FCN of `medlab.models.drinet_baselines`. Here an idea
that is switched off leaves that network's layers in its place, and with all three off DRINet *is* that FCN:

| idea      | on                                               | off                                                |
| --------- | ------------------------------------------------ | -------------------------------------------------- |
| dense     | stem and dense blocks                            | three convolutions 3 x 3 a level, `stem` channels  |
|           |                                                  | doubled at each level, without a stem              |
| inception | three modules at the bottom and at each level up | three convolutions 3 x 3 at each level up          |
| unpooling | unpooling block                                  | up-convolution 2 x 2                               |
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medlab.errors import whole_number
from medlab.models.drinet_baselines import init_truncated_normal, three_convs
from medlab.models.layers import check_sides, conv_bn_relu, upsample2x


def bn_relu_conv(in_channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    """Batch normalization, ReLU, convolution: the order of dense networks."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, padding="same")
    return nn.Sequential(nn.BatchNorm2d(in_channels), nn.ReLU(), conv)


class DenseBlock(nn.Module):
    """Three convolutions, each of the block's input and all feature maps before it; then a mixing 1 x 1.

    Args:
        in_channels: channels of the input; the output has ``in_channels + 3 * growth``.
        growth: channels that each convolution adds.
    """

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(bn_relu_conv(in_channels + i * growth, growth, 3) for i in range(3))
        self.mix = bn_relu_conv(in_channels + 3 * growth, in_channels + 3 * growth, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, in_channels + 3 growth, H, W)``."""
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return self.mix(x)


class InceptionModule(nn.Module):
    """Three branches that see 1 x 1, 3 x 3 and 5 x 5 pixels, mixed and added to the input.

    The 5 x 5 is a 3 x 3 with dilation 2. The mixing layer is normalized but not rectified, and neither is the sum.

    Args:
        channels: of input and output.

    Raises:
        ValueError: fewer than 4 channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        quarter = whole_number("channels", channels, 4) // 4  # rounded down, as in the authors' code
        self.point = conv_bn_relu(channels, quarter, 1)
        self.near = nn.Sequential(conv_bn_relu(channels, quarter, 1), conv_bn_relu(quarter, channels // 2, 3))
        self.far = nn.Sequential(conv_bn_relu(channels, quarter, 1), conv_bn_relu(quarter, quarter, 3, dilation=2))
        self.mix = conv_bn_relu(2 * quarter + channels // 2, channels, 1)[:2]  # without its ReLU

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, H, W)`` to the same shape."""
        return x + self.mix(torch.cat([self.point(x), self.near(x), self.far(x)], 1))


class UnpoolingBlock(nn.Module):
    """Two branches that double the side: one from a point, one from a dilated neighborhood.

    Args:
        channels: of the input; the output has ``2 * (channels // 4)``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half, quarter = whole_number("channels", channels, 4) // 2, channels // 4
        self.point = nn.Sequential(conv_bn_relu(channels, half, 1), upsample2x(half, quarter, 3))
        self.far = nn.Sequential(
            conv_bn_relu(channels, half, 1), conv_bn_relu(half, half, 3, dilation=2), upsample2x(half, quarter, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, H, W)`` to ``(N, 2 (channels // 4), 2 H, 2 W)``."""
        return torch.cat([self.point(x), self.far(x)], 1)


class DRINet(nn.Module):
    """DRINet for images whose sides its poolings divide.

    Args:
        in_channels: channels of the images.
        classes: classes of the label map, background included.
        growth: channels that a convolution of a dense block adds; one number for all four levels, or one per level.
        stem: channels of the first convolution.
        dense, inception, unpooling: the paper's three ideas; all three off is the FCN of its ablation.
        weight_std: standard deviation of the initial weights, 0.01 in the paper; None keeps PyTorch's own start, which
            `UNet` has. Networks are only comparable if all have the same start: give one value to all of them.

    Raises:
        ValueError: fewer than two levels, or less than 4 channels for an inception module.
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
        weight_std: float | None = 0.01,
    ) -> None:
        super().__init__()
        growth = [growth] * 4 if isinstance(growth, int) else list(growth)
        if len(growth) < 2 or min(growth) < 1:
            raise ValueError(f"growth must hold at least 2 levels of at least 1 channel each, got {growth}")
        if dense:
            channels = [stem + 3 * sum(growth[:level]) for level in range(len(growth) + 1)]
        else:
            channels = [in_channels, *(stem * 2**level for level in range(len(growth)))]
        bottom, poolings = channels[-1], len(growth) - 1
        self.stem = nn.Conv2d(in_channels, stem, 3, padding=1) if dense else nn.Identity()  # (N, stem, H, W)
        self.down = nn.ModuleList(  # level l: (N, channels[l], H / 2^l, W / 2^l) to (N, channels[l + 1], ...)
            DenseBlock(before, k) if dense else three_convs(before, after)
            for before, after, k in zip(channels, channels[1:], growth)
        )
        self.pool = nn.MaxPool2d(2)
        self.bottom = nn.Sequential(
            *([nn.BatchNorm2d(bottom), nn.ReLU()] if dense else []),  # a dense block ends with its convolution
            *([three_modules(bottom)] if inception else []),
        )
        self.up, c = nn.ModuleList(), bottom
        for _ in range(poolings):
            half = 2 * (c // 4)
            upsample = UnpoolingBlock(c) if unpooling else upsample2x(c, half, 2)
            refine = three_modules(half) if inception else three_convs(half, half)
            self.up.append(nn.Sequential(upsample, refine))  # half the channels, twice the side
            c = half
        self.head = nn.Conv2d(c, classes, kernel_size=1)
        init_truncated_normal(self, weight_std)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, in_channels, H, W)`` to logits ``(N, classes, H, W)``.

        Raises:
            ValueError: a side that the poolings do not divide.
        """
        check_sides(images, len(self.up), self)
        x = self.stem(images)
        for block in self.down[:-1]:
            x = self.pool(block(x))
        x = self.bottom(self.down[-1](x))
        for block in self.up:
            x = block(x)
        return self.head(x)  # (N, classes, H, W)


def three_modules(channels: int) -> nn.Sequential:
    """Three inception modules in a row: ``(N, channels, H, W)`` to the same shape."""
    return nn.Sequential(*(InceptionModule(channels) for _ in range(3)))
