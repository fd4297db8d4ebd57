"""Progress in a notebook: one line below a cell, however many trainings it has, and none where it is switched off."""

import nbformat
from nbclient import NotebookClient

TRAIN = """\
import numpy as np
from torch import nn
from medlab.data import ImageSet
from medlab.train import fit

images = np.random.default_rng(0).random((40, 1, 4, 4), dtype=np.float32)
data = ImageSet(images, np.arange(40) % 2, patients=np.arange(40), name="noise")


def train(**more):
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    fit(network, data[:20], data[20:], epochs=4, batch_size=10, device="cpu", **more)


train()
train()
train()"""


def test_all_trainings_of_a_cell_share_one_line():
    cells = [nbformat.v4.new_code_cell(code) for code in (TRAIN, "train()", "train(progress=False)")]
    NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=300, kernel_name="python3").execute()
    [three], [one], none = (cell.outputs for cell in cells)
    for output, number in ((three, 3), (one, 1)):
        line = output.data["text/plain"]
        assert line.startswith(f"Training {number}: val=") and "8/8" in line and "loss=" in line and "\n" not in line
    assert none == []
