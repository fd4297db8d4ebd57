"""Figures of generated images say what they show; the live grid leaves one picture."""

import math
import re
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient

from medlab import visualize
from medlab.phantoms import ring
from medlab.visualize.figures import Figure

RNG = torch.Generator().manual_seed(0)
IMAGES = torch.rand(20, 1, 16, 16, generator=RNG)
POINTS, MODE = ring.make(800, 1, 0)
RADIUS = 3 * ring.SIGMA


FIGURES = {
    "samples": (
        lambda: visualize.sample_grid({"real": IMAGES, "DCGAN": IMAGES.numpy()[:, 0]}, n=4, title="Two rows"),
        "^Two rows: the first 4 images each of real, DCGAN, one row each.$",
    ),
    "color": (lambda: visualize.sample_grid({"a": IMAGES[:9].expand(-1, 3, -1, -1)}), "first 8 images each of a,"),
    "ring": (
        lambda: visualize.ring_scatter(
            {"all": POINTS, "two": POINTS[MODE < 2], "none": 9 + POINTS}, POINTS, ring.CENTERS, RADIUS
        ),
        "all: 8 of 8 modes, 9[89]% of the points at a mode; two: 2 of 8 modes, 9[89]% .*; none: 0 of 8 modes, 0%",
    ),
    "rings": (lambda: visualize.ring_scatter(dict.fromkeys("abcde", POINTS), POINTS, ring.CENTERS, RADIUS), "e: 8 of"),
    "pairs": (
        lambda: visualize.nearest_pairs(IMAGES[:10] * 0.9, IMAGES, n=3, title="Memory"),
        r"^Memory: the 3 of 10 samples .* from 0\.05\d to 0\.05\d; median of all 0\.05\d",
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_says_what_it_shows(name):
    draw, alt = FIGURES[name]
    fig = draw()
    assert isinstance(fig, Figure) and re.search(alt, fig.alt), fig.alt
    assert fig.png() == draw().png() and len(fig.png()) < 150_000


@pytest.mark.parametrize("name", ["ring", "rings", "pairs", "samples"])
def test_titles_stay_within_the_figure(name):
    fig = FIGURES[name][0]()
    fig.draw_without_rendering()
    for ax in fig.axes:
        box = ax.title.get_window_extent()
        assert box.y1 <= fig.bbox.y1 and box.x0 >= 0 and box.x1 <= fig.bbox.x1


def test_the_closest_pairs_come_first():
    samples = torch.cat([IMAGES[:5] * 0.8, IMAGES[[11]], IMAGES[5:8] * 0.9])
    fig = visualize.nearest_pairs(samples, IMAGES, n=2)
    assert [text.get_text() for text in fig.axes[0].texts][0] == "0.000"
    sheet = fig.axes[0].images[0].get_array()
    bottom = sheet[-16:, :16]
    np.testing.assert_allclose(bottom, IMAGES[11, 0].numpy())


def test_a_covered_mode_has_a_full_circle():
    fig = visualize.ring_scatter({"two": POINTS[MODE < 2]}, POINTS, ring.CENTERS, RADIUS)
    assert [circle.get_linestyle() for circle in fig.axes[0].patches] == ["-"] * 2 + [":"] * 6


WATCHED = """
from types import SimpleNamespace
import torch
from medlab import visualize
class History(SimpleNamespace):
    def __len__(self):
        return len(self.train_loss)
watch = visualize.live_grid(4)
images = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
for epoch in range(1, 4):
    watch(images, History(train_loss=[0.5] * epoch, metrics={"generator_loss": [epoch] * epoch}))
"""


def test_the_live_grid_leaves_one_picture():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(WATCHED)])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    [output] = notebook.cells[0].outputs
    alt = "epoch 3: discriminator loss 0.5, generator loss 3: 4 images in rows of 4"
    assert output.data["text/plain"].startswith(alt), output.data["text/plain"]
    assert "image/png" in output.data and 'alt="' in output.data["text/html"]


def test_the_live_grid_is_silent_in_a_script(capsys):
    visualize.live_grid()(IMAGES, SimpleNamespace(train_loss=[1.0], metrics={}))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: visualize.sample_grid({}), "at least one of each"),
        (lambda: visualize.sample_grid({"a": IMAGES[:3]}), "'a' holds 3 images, but n = 8"),
        (lambda: visualize.sample_grid({"a": IMAGES, "b": torch.rand(9, 1, 8, 8)}), "images of one size"),
        (lambda: visualize.ring_scatter({}, POINTS, ring.CENTERS, RADIUS), "nothing to draw"),
        (lambda: visualize.ring_scatter({"a": POINTS * math.nan}, POINTS, ring.CENTERS, RADIUS), "diverged"),
        (lambda: visualize.nearest_pairs(IMAGES, IMAGES, n=0), "n must be a whole number of at least 1"),
        (lambda: visualize.live_grid(0), "n must be a whole number of at least 1"),
    ],
)
def test_bad_input_says_what_to_do(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
