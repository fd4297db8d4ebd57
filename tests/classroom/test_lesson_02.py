"""The right answers of lesson 02 against the course."""

import pytest
import torch
from answers_02 import synergic_loss, synergic_size

from medlab.models import SynergicNetwork


def test_the_worked_numbers_and_the_courses_own_network():
    assert synergic_loss(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 0.0])).item() == pytest.approx(1.410, abs=5e-4)
    assert synergic_size(3, 4, 5, 2, 100) == (3, 483)
    model = SynergicNetwork(components=4, classes=5, features=6)
    backbone = sum(p.numel() for p in model.components[0].backbone.parameters())
    parameters = sum(p.numel() for p in model.parameters())
    assert synergic_size(4, 6, 6, 5, backbone) == (len(model.verifiers), parameters)
