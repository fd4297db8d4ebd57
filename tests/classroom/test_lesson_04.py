"""The right answers of lesson 04 against the course."""

import pytest
import torch
from answers_04 import dense_as_convolution, dice_at, triplanar
from torch.nn.functional import pad

from medlab.models import PatchCNN, WholeVolume


def test_the_worked_numbers():
    volume = torch.arange(6)[:, None, None] * 100 + torch.arange(10)[:, None] * 10 + torch.arange(10)
    assert triplanar(volume, (3, 4, 5), 2)[0].tolist() == [[334, 335], [344, 345]]
    found = dice_at(torch.tensor([0.9, 0.6, 0.4, 0.1]), torch.tensor([1, 0, 1, 0]).bool(), torch.tensor([0.5, 0.3]))
    assert found.tolist() == pytest.approx([0.5, 0.8])


def test_the_dense_layer_as_a_convolution_gives_the_answers_of_the_whole_volume():
    torch.manual_seed(0)
    network = PatchCNN("single", width=8, kernel=3, channels=(3, 4), dense=5).eval()
    slices = torch.rand(1, 1, 9, 10, 11)
    with torch.inference_mode():
        maps = network.streams[0](pad(slices[0, 0], (4, 3, 4, 3))[:, None])
        units = dense_as_convolution(maps, network.dense.weight, network.dense.bias, network.side).relu()
        head = network.head(units.movedim(1, 3)).movedim(3, 0)
        assert torch.allclose(head, WholeVolume(network)(slices)[0], atol=1e-5)
