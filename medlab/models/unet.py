"""U-Net: a contracting path, an expanding path, and skip connections between them.

Ronneberger, Fischer, Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation. MICCAI 2015,
arXiv:1505.04597. With three axes: Cicek et al.: 3D U-Net. MICCAI 2016, arXiv:1606.06650.

| stage         | layers                                                            | channels (width 64) |
| ------------- | ----------------------------------------------------------------- | ------------------- |
| levels 1 to 4 | two convolutions 3 x 3 with ReLU; max pool 2 x 2                  | 64 128 256 512      |
| bottom        | two convolutions 3 x 3 with ReLU                                  | 1024                |
| four times up | up-convolution 2 x 2, the level's feature maps concatenated, two  | 512 256 128 64      |
|               | convolutions 3 x 3 with ReLU                                      |                     |
| head          | convolution 1 x 1                                                 | classes             |

The paper's convolutions are unpadded: 572 pixels in give 388 out, and the level's feature maps are cropped to fit.
Most code pads so that a label map has the size of its image; that is the default here. Batch normalization, which came
later, is on by default (`norm=False` is the paper's network): without it, a comparison with DRINet would compare batch
normalization.
"""

import torch
from torch import Tensor, nn

from medlab.models.layers import LAYERS, two_convs


class UNet(nn.Module):
    """U-Net for images, or with ``axes=3`` for volumes, whose sides its poolings divide.

    Args:
        in_channels: channels of the images.
        classes: classes of the label map, background included.
        width: channels of the first level, doubled at each of the next.
        levels: resolutions, bottom included; one pooling less.
        padding: "same" keeps the size; "valid" is the paper's, whose output is smaller.
        norm: True is batch normalization after each 3 x 3 convolution; "instance" is instance normalization and leaky
            ReLU there, as in nnU-Net (Isensee et al., 2021), for batches of few images; False is neither.
        skips: the skip connections; False is the network without them, to compare with.
        axes: 2 for images; 3 for volumes, with every kernel and pooling a cube (as in Cicek et al., 2016).

    Raises:
        ValueError: no level to pool between, an unknown padding or norm, another number of axes.
    """

    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 2,
        width: int = 64,
        levels: int = 5,
        padding: str = "same",
        norm: bool | str = True,
        skips: bool = True,
        axes: int = 2,
    ) -> None:
        super().__init__()
        if levels < 2:
            raise ValueError(f"{type(self).__name__} needs at least 2 levels, got {levels}: with one it cannot pool")
        if axes not in LAYERS:
            raise ValueError(f"UNet has 2 axes for images or 3 for volumes, got {axes}")
        if norm not in (True, False, "instance"):
            raise ValueError(f"norm must be True, False or 'instance', got {norm!r}")
        self.padding, self.norm, self.skips, self.axes = padding, norm, skips, axes
        convolution, _, _, pooling = LAYERS[axes]
        channels = [width * 2**level for level in range(levels)]
        self.down = nn.ModuleList(
            self._block(before, after) for before, after in zip([in_channels, *channels], channels)
        )
        self.pool = pooling(2)
        self.up = nn.ModuleList(self._upsample(2 * c, c) for c in channels[-2::-1])
        self.merge = nn.ModuleList(self._block((1 + skips) * c, c) for c in channels[-2::-1])
        self.head = convolution(width, classes, kernel_size=1)

    def _block(self, in_channels: int, out_channels: int) -> nn.Module:
        """The convolutions of a level."""
        return two_convs(in_channels, out_channels, self.padding, self.norm, self.axes)

    def _upsample(self, in_channels: int, out_channels: int) -> nn.Module:
        """The layer that doubles the sides."""
        return LAYERS[self.axes][1](in_channels, out_channels, kernel_size=2, stride=2)

    def output_size(self, size: int) -> int:
        """Side of the label map for images of that side: 388 for 572 with the paper's settings.

        Raises:
            ValueError: a side that some pooling would have to round; names the nearest that fit.
        """
        if (side := self._trace(size)) is None:
            near = [good for good in range(max(size - 64, 1), size + 65) if self._trace(good) is not None]
            near = sorted(sorted(near, key=lambda good: abs(good - size))[:2])
            raise ValueError(
                f"UNet with {len(self.down)} levels and {self.padding!r} padding cannot pool images of side {size}: "
                f"crop or pad to {' or '.join(map(str, near)) or 'a larger size'}"
            )
        return side

    def _trace(self, size: int) -> int | None:
        """Side of the output; None where a pooling would round or nothing is left."""
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
        """Images ``(N, in_channels, H, W)`` to logits ``(N, classes, H', W')``, with H' = `output_size` (H).

        With three axes, volumes ``(N, in_channels, D, H, W)`` to ``(N, classes, D', H', W')``.
        """
        for side in images.shape[2:]:
            self.output_size(side)  # refuses what cannot be pooled
        x, skips = self.down[0](images), []
        for block in self.down[1:]:
            skips.append(x)  # level l: (N, width 2^l, H / 2^l, W / 2^l) with "same" padding
            x = block(self.pool(x))
        for up, merge in zip(self.up, self.merge):
            x, skip = up(x), skips.pop()
            x = merge(torch.cat([_crop(skip, x), x], 1) if self.skips else x)
        return self.head(x)  # (N, classes, H', W')


def _crop(x: Tensor, like: Tensor) -> Tensor:
    """The center of the feature maps `x`, as large as `like`."""
    for axis in range(2, x.ndim):
        x = x.narrow(axis, (x.shape[axis] - like.shape[axis]) // 2, like.shape[axis])
    return x


class SliceBySlice(nn.Module):
    """Apply a 2-D network to every axial slice of volumes.

    Args:
        network: from images ``(N, C, H, W)`` to logits ``(N, K, H, W)``.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, volumes: Tensor) -> Tensor:
        """Volumes ``(N, C, D, H, W)`` to logits ``(N, K, D, H, W)``."""
        slices = volumes.transpose(1, 2)  # (N, D, C, H, W)
        return self.network(slices.flatten(0, 1)).unflatten(0, slices.shape[:2]).transpose(1, 2)
