"""Classifier of liver lesions, trained with GAN-based augmentation.

Frid-Adar, Diamant, Klang, Amitai, Goldberger, Greenspan: GAN-based synthetic medical image augmentation for increased
CNN performance in liver lesion classification. Neurocomputing 321:321-331, 2018, arXiv:1803.01229.

| layer                                              | output       | parameters |
| -------------------------------------------------- | ------------ | ---------- |
| input, minus the mean of the training images       | 1 x 64 x 64  |            |
| convolution 3 x 3, 32 channels, ReLU, max pool 2   | 32 x 31 x 31 |        320 |
| convolution 3 x 3, 64 channels, ReLU, max pool 2   | 64 x 14 x 14 |     18 496 |
| convolution 3 x 3, 128 channels, ReLU, max pool 2  | 128 x 6 x 6  |     73 856 |
| fully connected, ReLU, dropout                     | 256          |  1 179 904 |
| fully connected                                    | 3            |        771 |
| total                                              |              |  1 273 347 |

The convolutions are without padding: only then does the count come to the "about 1.3 million" that the paper prints.
"""

from torch import Tensor, nn


class LesionCNN(nn.Module):
    """Three convolutions, each followed by a pooling, then two fully connected layers.

    Args:
        in_channels: channels of the images.
        classes: number of classes.
        size: side of the square images in pixels, at least 22.
        width: channels of the first convolution, 32 in the paper; the others and the hidden layer grow with it.
        dropout: probability after the hidden layer.

    Raises:
        ValueError: images smaller than 22 pixels.
    """

    def __init__(
        self, in_channels: int = 1, classes: int = 3, size: int = 64, width: int = 32, dropout: float = 0.5
    ) -> None:
        super().__init__()
        if size < 22:
            raise ValueError(f"LesionCNN needs images of at least 22 x 22 pixels for its three poolings, got {size}")
        layers: list[nn.Module] = []
        channels, side = in_channels, size
        for out in (width, 2 * width, 4 * width):
            layers += [nn.Conv2d(channels, out, kernel_size=3), nn.ReLU(), nn.MaxPool2d(2)]
            channels, side = out, (side - 2) // 2
        self.features = nn.Sequential(*layers)  # (N, 4 width, side, side)
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(channels * side**2, 8 * width), nn.ReLU())  # (N, 8 width)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(8 * width, classes))

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, in_channels, size, size)`` to logits ``(N, classes)``."""
        return self.classifier(self.hidden(self.features(images)))
