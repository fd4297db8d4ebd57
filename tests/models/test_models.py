"""The networks: output shapes, parameter counts layer by layer, and what they refuse."""

import pytest
import torch
from torch import nn

from medlab.models import ShallowCNN, SmallCNN, count_parameters, small_resnet18


def shapes(model: nn.Module, images: torch.Tensor) -> dict[str, tuple[int, ...]]:
    """Output shape of every module, by name."""
    seen = {}
    for name, module in model.named_modules():
        module.register_forward_hook(lambda _, __, out, name=name: seen.__setitem__(name, tuple(out.shape)))
    model(images)
    return seen


def test_shallow_cnn_is_the_network_of_its_table():
    model = ShallowCNN()
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert [count_parameters(layer) for layer in layers] == [800, 270_500, 5_050, 255]
    assert count_parameters(model) == 276_605
    seen = shapes(model, torch.rand(2, 1, 32, 32))
    assert seen["features.0"] == (2, 16, 26, 26) and seen["features"] == (2, 16, 13, 13)
    assert seen[""] == (2, 5)


@pytest.mark.parametrize(("channels", "classes", "size"), [(3, 2, 28), (1, 9, 8), (2, 5, 65)])
def test_shallow_cnn_of_other_sizes(channels, classes, size):
    model = ShallowCNN(channels, classes, size)
    assert model(torch.rand(3, channels, size, size)).shape == (3, classes)


def test_shallow_cnn_options_change_what_they_say():
    deep = ShallowCNN(convolutions=3, activation=nn.Sigmoid, dropout=0.25)
    assert shapes(deep, torch.rand(1, 1, 32, 32))["features"] == (1, 16, 13, 13)
    assert count_parameters(deep) == 276_605 + 2 * (16 * 16 * 9 + 16)
    kinds = [type(module) for module in deep.modules()]
    assert kinds.count(nn.Sigmoid) == 5 and nn.ReLU not in kinds
    assert [module.p for module in deep.modules() if isinstance(module, nn.Dropout)] == [0.25, 0.25]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 7}, "at least 8 x 8 pixels for its 7 x 7 kernels, got 7"),
        ({"convolutions": 0}, "convolutions must be a whole number of at least 1, got 0"),
    ],
)
def test_shallow_cnn_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        ShallowCNN(**arguments)


def test_small_cnn_is_the_network_of_its_table():
    model = SmallCNN()
    assert [count_parameters(block) for block in model.features] == [9_632, 55_552, 221_696]
    assert count_parameters(model.classifier) == 258 and count_parameters(model) == 287_138
    seen = shapes(model, torch.rand(2, 1, 28, 28))
    assert [seen[f"features.{i}"] for i in range(3)] == [(2, 32, 14, 14), (2, 64, 7, 7), (2, 128, 7, 7)]
    assert seen[""] == (2, 2)
    assert SmallCNN(3, 7, width=8)(torch.rand(2, 3, 50, 41)).shape == (2, 7)


def test_small_resnet18_keeps_28_pixels_through_its_stem():
    model = small_resnet18(1, 2)
    seen = shapes(model, torch.rand(2, 1, 28, 28))
    assert seen["conv1"] == seen["maxpool"] == (2, 64, 28, 28)
    assert seen["layer4"] == (2, 512, 4, 4) and seen[""] == (2, 2)
    # torchvision's 11 689 512 with another stem (-8 832) and head (-511 974)
    assert count_parameters(model) == 11_168_706
