"""EfficientNet-Lite0: EfficientNet-B0 for phones, without squeeze and excitation and with ReLU6.

Tan and Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks. ICML 2019, arXiv:1905.11946. The
Lite networks are Google's (2020); here without their last layer, the 1000 classes of ImageNet.

| layers                                 | output (side 224) | repeats |
| -------------------------------------- | ----------------- | ------- |
| convolution 3 x 3, stride 2            | 32 x 112 x 112    | 1       |
| block without expansion, 3 x 3         | 16 x 112 x 112    | 1       |
| block, 3 x 3, stride 2                 | 24 x 56 x 56      | 2       |
| block, 5 x 5, stride 2                 | 40 x 28 x 28      | 2       |
| block, 3 x 3, stride 2                 | 80 x 14 x 14      | 3       |
| block, 5 x 5                           | 112 x 14 x 14     | 3       |
| block, 5 x 5, stride 2                 | 192 x 7 x 7       | 4       |
| block, 3 x 3                           | 320 x 7 x 7       | 1       |
| convolution 1 x 1, mean over the image | 1280              | 1       |

3,371,008 weights. A block expands its channels six times by a convolution 1 x 1, filters each of them by itself, and
projects them to fewer by a convolution 1 x 1; where input and output have one shape, the input is added.
"""

from torch import Tensor, nn

BLOCKS = (  # repeats, kernel, stride of the first, expansion, channels
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip


def _conv_bn(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Convolution, padded as in TensorFlow (at stride 2 more at the right and the bottom), batch normalization."""
    before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
    return [
        nn.ZeroPad2d((before, after, before, after)),
        nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01),
    ]


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = expansion * inputs
        self.layers = nn.Sequential(
            *([] if expansion == 1 else [*_conv_bn(inputs, wide), nn.ReLU6()]),
            *_conv_bn(wide, wide, kernel, stride, groups=wide),
            nn.ReLU6(),
            *_conv_bn(wide, outputs),
        )
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.skip else self.layers(x)


class EfficientNetLite0(nn.Module):
    """Normalized color images ``(N, 3, H, W)``, sides multiples of 32, to features ``(N, 1280)``."""

    def __init__(self) -> None:
        super().__init__()
        layers, inputs = [*_conv_bn(3, 32, 3, 2), nn.ReLU6()], 32
        for repeats, kernel, stride, expansion, outputs in BLOCKS:
            for i in range(repeats):
                layers.append(_Block(inputs, outputs, kernel, 1 if i else stride, expansion))
                inputs = outputs
        self.layers = nn.Sequential(*layers, *_conv_bn(inputs, 1280), nn.ReLU6())

    def forward(self, images: Tensor) -> Tensor:
        """As the class says."""
        return self.layers(images).mean((2, 3))
