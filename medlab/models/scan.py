"""SCAN: a thin, deep segmentation network, and a critic that discriminates its masks from manual ones.

Dai, Dong, Wang, Liang, Zhang, Xing: SCAN: Structure Correcting Adversarial Network for Organ Segmentation in Chest
X-Rays. DLMIA 2018, 263-273, arXiv:1703.08770.

| stage | layers                                             | output (width 8)    |
| ----- | -------------------------------------------------- | ------------------- |
| 1     | residual 7 x 7, residual 3 x 3, average pool 2 x 2 | 8 x 200 x 200       |
| 2     | residual 3 x 3, average pool 2 x 2                 | 16 x 100 x 100      |
| 3     | residual 3 x 3, average pool 2 x 2                 | 32 x 50 x 50        |
| 4     | residual 3 x 3, average pool 2 x 2                 | 64 x 25 x 25        |
| 5     | residual 1 x 1, 3 x 3, 1 x 1, 3 x 3, 1 x 1         | 64 x 25 x 25        |
| 6     | convolution 1 x 1                                  | classes x 25 x 25   |
| 7     | transposed convolution 32 x 32, stride 16          | classes x 400 x 400 |

A residual block is convolution, batch normalization, ReLU, convolution, batch normalization, plus its input (through a
convolution 1 x 1 where the channels change), ReLU. The first author describes the stages, the five blocks of stage 5,
21 convolutions and 271 k parameters; kernel sizes and the last layer are those of a re-implementation by others, and
with this block the network has 271 440 parameters. No skip connections, no pre-training.

The critic has stages 1 to 5 as well. Its head, global average pooling and one fully connected unit, is our choice.
"""

from torch import Tensor, cat, nn

from medlab.models.layers import check_sides, conv_bn_relu


class ResidualBlock(nn.Module):
    """Residual block: two convolutions with batch normalization, added to their input.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output; a convolution 1 x 1 on the shortcut where they differ.
        kernel: side of both kernels, odd.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        first = conv_bn_relu(in_channels, out_channels, kernel)
        second = list(conv_bn_relu(out_channels, out_channels, kernel))[:2]  # its ReLU follows the sum
        self.path = nn.Sequential(*first, *second)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``."""
        return (self.path(x) + self.shortcut(x)).relu()


def stages(in_channels: int, width: int, poolings: int) -> nn.Sequential:
    """Stages 1 to 5, to ``8 width`` channels; the first `poolings` of stages 1 to 4 end with a pooling.

    Raises:
        ValueError: a number of poolings that is not 1 to 4.
    """
    if poolings not in (1, 2, 3, 4):
        raise ValueError(f"poolings must be 1 to 4, got {poolings!r}; 4 are the paper's")
    layers: list[nn.Module] = [ResidualBlock(in_channels, width, 7)]
    for stage in range(4):
        layers.append(ResidualBlock(width * max(2**stage // 2, 1), width * 2**stage, 3))
        if stage < poolings:
            layers.append(nn.AvgPool2d(2))
    layers += [ResidualBlock(8 * width, 8 * width, kernel) for kernel in (1, 3, 1, 3, 1)]
    return nn.Sequential(*layers)


class SCANSegmenter(nn.Module):
    """Segmentation network of SCAN, all that is used at inference.

    Args:
        in_channels: channels of the images.
        classes: classes of the label map, background included.
        width: channels of the first stage, 8 in the paper.
        poolings: stages that end with a pooling, 4 in the paper; fewer for small images.

    Raises:
        ValueError: a number of poolings that is not 1 to 4.
    """

    def __init__(self, in_channels: int = 1, classes: int = 4, width: int = 8, poolings: int = 4) -> None:
        super().__init__()
        self.stages = stages(in_channels, width, poolings)
        self.poolings, stride = poolings, 2**poolings
        self.classifier = nn.Conv2d(8 * width, classes, 1)
        self.upsample = nn.ConvTranspose2d(classes, classes, 2 * stride, stride, padding=stride // 2)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, in_channels, H, W)`` to logits ``(N, classes, H, W)``.

        Raises:
            ValueError: a side that the poolings do not divide.
        """
        check_sides(images, self.poolings, self)
        return self.upsample(self.classifier(self.stages(images)))  # from (N, classes, H / stride, W / stride)


class SCANCritic(nn.Module):
    """Critic of SCAN: masks to one logit each, above 0 for manual segmentations.

    Args:
        classes: channels of a mask, background included.
        image_channels: channels of the image that is concatenated to the mask; 0 for the mask alone.
        width, poolings: as in the segmentation network.

    Raises:
        ValueError: a number of poolings that is not 1 to 4.
    """

    def __init__(self, classes: int = 4, image_channels: int = 0, width: int = 8, poolings: int = 4) -> None:
        super().__init__()
        self.image_channels = image_channels
        self.stages = stages(classes + image_channels, width, poolings)
        self.head = nn.Linear(8 * width, 1)

    def forward(self, masks: Tensor, images: Tensor) -> Tensor:
        """Masks ``(N, classes, H, W)``, one-hot or soft, and their images ``(N, C, H, W)`` to logits ``(N,)``."""
        if self.image_channels:
            masks = cat([masks, images], 1)
        return self.head(self.stages(masks).mean((2, 3)))[:, 0]
