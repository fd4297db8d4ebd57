"""The right answers of lesson 12 against PyTorch itself."""

import math

import pytest
import torch
from answers_12 import of_layers, simclr
from monai.losses import ContrastiveLoss
from torch import nn


def test_the_worked_numbers():
    assert simclr(torch.eye(2), torch.eye(2), 1.0).item() == pytest.approx(math.log(math.e + 2) - 1)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2))
    network.requires_grad_(False)[3].requires_grad_(True)
    assert of_layers(network) == (["3.weight", "3.bias"], ["1.running_mean", "1.running_var"])


def test_the_loss_is_that_with_which_the_lesson_goes_on():
    first, second = torch.randn((2, 6, 5), generator=torch.Generator().manual_seed(0))
    assert simclr(first, second, 0.2).item() == pytest.approx(ContrastiveLoss(0.2)(first, second).item(), rel=1e-5)


def test_what_is_named_is_what_moves():
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2))
    network[:2].requires_grad_(False)
    network[2].eval()
    before = {name: one.clone() for name, one in network.state_dict().items() if "num_batches" not in name}
    optimizer = torch.optim.AdamW(network.parameters(), 0.1)
    network(torch.rand(8, 1, 8, 8)).square().mean().backward()
    optimizer.step()
    learn, move = of_layers(network)
    assert {name for name in before if not torch.equal(before[name], network.state_dict()[name])} == {*learn, *move}
