"""torchvision's ResNet-18 for small images.

He et al., CVPR 2016 (arXiv:1512.03385). For images of 28 to 64 pixels the first convolution is 3 x 3 with stride 1 and
the first pooling is left out, as in the paper's CIFAR-10 networks and in MedMNIST v2 (Yang et al., Scientific Data
10:41, 2023), whose baseline it is.
"""

from torch import nn

from medlab.models.arguments import remember_arguments


@remember_arguments
def small_resnet18(in_channels: int = 3, classes: int = 1000) -> nn.Module:
    """torchvision's ResNet-18 with a stem for small images: ``(N, in_channels, H, W)`` to logits ``(N, classes)``."""
    from torchvision.models import resnet18  # takes seconds to import, and few lessons need it

    network = resnet18(num_classes=classes)
    network.conv1 = nn.Conv2d(in_channels, 64, 3, stride=1, padding=1, bias=False)
    network.maxpool = nn.Identity()
    return network
