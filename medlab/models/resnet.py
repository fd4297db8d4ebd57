"""torchvision's ResNets: ResNet-18 for small images, ResNet-50 as a backbone with ImageNet weights.

He et al., CVPR 2016 (arXiv:1512.03385). For images of 28 to 64 pixels the first convolution is 3 x 3 with stride 1 and
the first pooling is left out, as in the paper's CIFAR-10 networks and in MedMNIST v2 (Yang et al., Scientific Data
10:41, 2023), whose baseline it is.
"""

import torch
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


def resnet50_backbone(features: int = 1024, imagenet: bool = True) -> nn.Module:
    """torchvision's ResNet-50 with a new last layer: ``(N, 1 or 3, H, W)`` to ``(N, features)``.

    Gray or RGB images in [0, 1] are normalized by ImageNet's mean and standard deviation.

    Args:
        features: length of the new last layer.
        imagenet: start from torchvision's weights (98 MB, downloaded once, hash checked), else from random ones.

    Raises:
        ConnectionError: the weights are neither on this computer nor can they be downloaded.
    """
    from torchvision.models import ResNet50_Weights, resnet50
    from torchvision.transforms.v2 import RGB, Normalize

    network = resnet50()
    if imagenet:
        url = ResNet50_Weights.IMAGENET1K_V1.url
        try:
            weights = torch.hub.load_state_dict_from_url(url, progress=False, check_hash=True, weights_only=True)
        except OSError as error:  # URLError is one
            raise ConnectionError(
                f"the ImageNet weights of ResNet-50 could not be downloaded ({error}); put {url} into "
                f"{torch.hub.get_dir()}/checkpoints, or start from random weights with imagenet=False"
            ) from error
        network.load_state_dict(weights)
    network.fc = nn.Linear(network.fc.in_features, features)
    return nn.Sequential(RGB(), Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), network)
