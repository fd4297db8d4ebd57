"""The networks that DRINet was compared with: a fully convolutional network (FCN), and a U-Net.

Chen, Bentley, Mori, Misawa, Fujiwara, Rueckert: DRINet for Medical Image Segmentation. IEEE Transactions on Medical
Imaging 37(11):2453-2462, 2018, doi:10.1109/TMI.2018.2835303. The U-Net "is the FCN with skip layers":

| stage          | layers                                                         | channels (width 32) |
| -------------- | -------------------------------------------------------------- | ------------------- |
| levels 1 to 3  | three convolutions 3 x 3, max pool 2 x 2                       | 32 64 128           |
| bottom         | three convolutions 3 x 3                                       | 256                 |
| three times up | up-convolution 2 x 2, in the U-Net the level's feature maps    | 128 64 32           |
|                | concatenated, three convolutions 3 x 3                         |                     |
| head           | convolution 1 x 1                                              | classes             |

Every convolution but the last is followed by batch normalization and ReLU. For one channel and four classes (three and
the background) the FCN has 2 713 860 parameters and the U-Net 2 907 396. The paper prints these counts, 2.71 and 2.91
million, and not the layers: three convolutions a level and up-convolutions of 2 x 2 are what fits both.
"""

from torch import Tensor, nn

from medlab.models.layers import check_sides, conv_bn_relu, upsample2x
from medlab.models.unet import UNet


def three_convs(in_channels: int, out_channels: int) -> nn.Sequential:
    """Three convolutions 3 x 3, each with batch normalization and ReLU: ``(N, C, H, W)`` to ``(N, C', H, W)``."""
    channels = [in_channels, out_channels, out_channels]
    return nn.Sequential(*(conv_bn_relu(c, out_channels, 3) for c in channels))


def init_truncated_normal(network: nn.Module, std: float | None) -> None:
    """Draw the weights of all convolutions from a truncated normal distribution; None keeps PyTorch's own start."""
    for layer in network.modules():
        if std is not None and isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.trunc_normal_(layer.weight, std=std)


class DRINetBaseline(UNet):
    """The U-Net of the DRINet paper, or without skip connections its FCN.

    Args:
        in_channels: channels of the images.
        classes: classes of the label map, background included.
        width: channels of the first level, doubled at each of the next.
        levels: resolutions, bottom included; one pooling less.
        skips: the skip connections; True is the paper's U-Net, False its FCN.
        weight_std: standard deviation of the initial weights, see `DRINet`.

    Raises:
        ValueError: fewer than two levels.
    """

    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 4,
        width: int = 32,
        levels: int = 4,
        skips: bool = True,
        weight_std: float | None = 0.01,
    ) -> None:
        super().__init__(in_channels, classes, width, levels, skips=skips)
        init_truncated_normal(self, weight_std)

    def _block(self, in_channels: int, out_channels: int) -> nn.Module:
        return three_convs(in_channels, out_channels)

    def _upsample(self, in_channels: int, out_channels: int) -> nn.Module:
        return upsample2x(in_channels, out_channels, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, in_channels, H, W)`` to logits ``(N, classes, H, W)``.

        Raises:
            ValueError: a side that the poolings do not divide.
        """
        check_sides(images, len(self.up), self)
        return super().forward(images)
