"""A shallow convolutional network for interstitial lung disease patches.

Li, Cai, Wang, Zhou, Feng, Chen: Medical image classification with convolutional neural network. ICARCV 2014,
pp. 844-848, doi:10.1109/ICARCV.2014.7064414.

| layer                                | output       | parameters |
| ------------------------------------ | ------------ | ---------- |
| input                                | 1 x 32 x 32  |            |
| convolution 7 x 7, 16 channels, ReLU | 16 x 26 x 26 |        800 |
| max pool 2 x 2                       | 16 x 13 x 13 |            |
| fully connected, ReLU, dropout       | 100          |    270 500 |
| fully connected, ReLU, dropout       | 50           |      5 050 |
| fully connected                      | 5            |        255 |
| total                                |              |    276 605 |

The paper's full text was not at hand: the layer sizes are as recalled, the single convolution is what the survey
confirms, the dropout probability of 0.5 is our choice.
"""

from torch import Tensor, nn


class ShallowCNN(nn.Module):
    """One convolution, then three fully connected layers.

    Args:
        in_channels: channels of the images.
        classes: number of classes.
        size: side of the square images in pixels, at least 8.
        dropout: probability after the two hidden fully connected layers.
        activation: class of the activation function, `nn.ReLU` in the paper.
        convolutions: 1 as in the paper; more add padded 3 x 3 convolutions with 16 channels after the first.

    Raises:
        ValueError: images smaller than 8 pixels, fewer than one convolution.
    """

    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 5,
        size: int = 32,
        dropout: float = 0.5,
        activation: type[nn.Module] = nn.ReLU,
        convolutions: int = 1,
    ) -> None:
        super().__init__()
        if size < 8:
            raise ValueError(f"ShallowCNN needs images of at least 8 x 8 pixels for its 7 x 7 kernels, got {size}")
        deeper = [layer for _ in range(convolutions - 1) for layer in (nn.Conv2d(16, 16, 3, padding=1), activation())]
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 16, kernel_size=7),  # (N, 16, size - 6, size - 6)
            activation(),
            *deeper,
            nn.MaxPool2d(2),  # (N, 16, (size - 6) // 2, (size - 6) // 2)
        )
        side = (size - 6) // 2
        self.classifier = nn.Sequential(
            nn.Flatten(),  # (N, 16 * side * side)
            nn.Linear(16 * side * side, 100),
            activation(),
            nn.Dropout(dropout),
            nn.Linear(100, 50),
            activation(),
            nn.Dropout(dropout),
            nn.Linear(50, classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, in_channels, size, size)`` to logits ``(N, classes)``."""
        return self.classifier(self.features(images))
