"""A small modern baseline: three blocks of two convolutions with batch normalization, then global average pooling.

Not a surveyed method: the network to try first today, and the default backbone of methods that take any classifier.
Blocks as in Simonyan and Zisserman 2015 (arXiv:1409.1556), batch normalization after Ioffe and Szegedy 2015
(arXiv:1502.03167), global average pooling after Lin et al. 2014 (arXiv:1312.4400).

| block        | output (size 28) | parameters (1 channel, width 32, 2 classes) |
| ------------ | ---------------- | ------------------------------------------- |
| 32 channels  | 32 x 14 x 14     |   9 632                                     |
| 64 channels  | 64 x 7 x 7       |  55 552                                     |
| 128 channels | 128 x 7 x 7      | 221 696                                     |
| average, fc  | 2                |     258                                     |
| total        |                  | 287 138                                     |
"""

from torch import Tensor, nn

from medlab.models.layers import LAYERS, two_convs


class SmallCNN(nn.Module):
    """Three convolution blocks of `width`, 2 `width` and 4 `width` channels, for images of any size from 8 pixels on.

    Args:
        in_channels: channels of the images.
        classes: number of classes.
        width: channels of the first block.
        dropout: probability before the last layer.
        axes: 2 for images; 3 for volumes, with every kernel and pooling a cube.
        stride: of the first convolution; 2 takes large images or volumes at a quarter or an eighth of the cost.

    Raises:
        ValueError: another number of axes.
    """

    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 2,
        width: int = 32,
        dropout: float = 0.0,
        axes: int = 2,
        stride: int = 1,
    ) -> None:
        super().__init__()
        if axes not in LAYERS:
            raise ValueError(f"SmallCNN has 2 axes for images or 3 for volumes, got {axes}")
        pooling = LAYERS[axes][3]
        self.features = nn.Sequential(  # sides for stride 1:
            two_convs(in_channels, width, axes=axes, stride=stride).append(pooling(2)),  # (N, width, H / 2, W / 2)
            two_convs(width, 2 * width, axes=axes).append(pooling(2)),  # (N, 2 width, H / 4, W / 4)
            two_convs(2 * width, 4 * width, axes=axes),  # (N, 4 width, H / 4, W / 4)
        )
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(4 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, in_channels, H, W)``, or volumes ``(N, in_channels, D, H, W)``, to logits ``(N, classes)``."""
        x = self.features(images)
        return self.classifier(self.dropout(x.mean(tuple(range(2, x.ndim)))))  # mean: global average pooling
