"""EfficientNet-Lite0, a network for photographs: 4.7 million parameters, a tenth of the multiplications of ResNet-50.

Tan, Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks. ICML 2019, arXiv:1905.11946. The Lite
variants (Google, 2020) leave out squeeze-and-excitation and have ReLU6 for swish.

| layer                                        | output (224 x 224) |
| -------------------------------------------- | ------------------ |
| convolution 3 x 3, stride 2                  | 32 x 112 x 112     |
| 1 block, kernel 3, no expansion              | 16 x 112 x 112     |
| 2 blocks, kernel 3, the first with stride 2  | 24 x 56 x 56       |
| 2 blocks, kernel 5, the first with stride 2  | 40 x 28 x 28       |
| 3 blocks, kernel 3, the first with stride 2  | 80 x 14 x 14       |
| 3 blocks, kernel 5                           | 112 x 14 x 14      |
| 4 blocks, kernel 5, the first with stride 2  | 192 x 7 x 7        |
| 1 block, kernel 3                            | 320 x 7 x 7        |
| convolution 1 x 1, global average pooling    | 1280               |
| fully connected                              | 1000               |

A block expands its channels six times, convolves each on its own (depthwise), and projects them back; where input and
output are of one shape they are added. Batch normalization after every convolution.
"""

import torch
from torch import Tensor, nn

STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
          (1, 3, 1, 6, 320))  # fmt: skip  # blocks, kernel, stride, expansion, channels


class SamePad(nn.Module):
    """Zeros around images, so that a convolution gives its side divided by the stride: more below and on the right."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, images: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C, H + p, W + q)``."""
        margins = []
        for side in (images.shape[3], images.shape[2]):
            extra = max((-(-side // self.stride) - 1) * self.stride + self.kernel - side, 0)
            margins += [extra // 2, extra - extra // 2]
        return nn.functional.pad(images, margins)


def _conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
    return [SamePad(kernel, stride), convolution, nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)]


class MobileBlock(nn.Module):
    """Inverted residual block (MBConv): expand, convolve channel by channel, project, add the input if it fits."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.layers = nn.Sequential(
            *([*_conv(inputs, inner), nn.ReLU6()] if expansion > 1 else []),
            *_conv(inner, inner, kernel, stride, groups=inner),
            nn.ReLU6(),
            *_conv(inner, outputs),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, H, W)`` to ``(N, outputs, H / stride, W / stride)``."""
        return x + self.layers(x) if self.adds else self.layers(x)


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 for color images; without the stochastic depth of its training.

    Args:
        classes: outputs of the last layer `fc`.
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        layers, inputs = [*_conv(3, 32, 3, 2), nn.ReLU6()], 32
        for blocks, kernel, stride, expansion, outputs in STAGES:
            for number in range(blocks):
                layers.append(MobileBlock(inputs, outputs, kernel, 1 if number else stride, expansion))
                inputs = outputs
        self.features = nn.Sequential(*layers, *_conv(inputs, 1280), nn.ReLU6())
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(1280, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)``, each channel normalized to mean 0, to logits ``(N, classes)``."""
        return self.fc(self.dropout(torch.mean(self.features(images), (2, 3))))
