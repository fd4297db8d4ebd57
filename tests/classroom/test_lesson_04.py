"""The right answers of lesson 04 against the course."""

import pytest
import torch
from answers_04 import dense_parameters, dice_at, triplanar

from medlab.models import PatchCNN


def test_the_worked_numbers():
    volume = torch.arange(6)[:, None, None] * 100 + torch.arange(10)[:, None] * 10 + torch.arange(10)
    assert triplanar(volume, (3, 4, 5), 2)[0].tolist() == [[334, 335], [344, 345]]
    found = dice_at(torch.tensor([0.9, 0.6, 0.4, 0.1]), torch.tensor([1, 0, 1, 0]).bool(), torch.tensor([0.5, 0.3]))
    assert found.tolist() == pytest.approx([0.5, 0.8])


@pytest.mark.parametrize(
    ("view", "more"), [("single", {}), ("stacked", {}), ("triplanar", {"streams": 3}), ("volume", {"axes": 3})]
)
def test_the_dense_layer_of_the_course_has_as_many_parameters(view, more):
    with torch.device("meta"):
        network = PatchCNN(view)
    assert sum(p.numel() for p in network.dense.parameters()) == dense_parameters(24, 5, 50, 1000, **more)
