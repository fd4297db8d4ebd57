"""The recipe that follows from a set and a budget."""

import numpy as np
import pytest
import torch
from toys import stripes

from medlab.data.images import ImageSet, Info
from medlab.train import fit, predict, quick_recipe, seed_everything
from medlab.train.quick import EPOCHS, MANY, RATE


def blank(n, *shape):
    """A set of `n` byte images without memory of their own."""
    info = Info("blank", "made", "multi-class", ("0", "1"), "MIT", "", phantom=True)
    return ImageSet(
        torch.zeros(1, 1, *shape, dtype=torch.uint8).expand(n, 1, *shape), torch.arange(n) % 2, np.arange(n), info
    )


def test_the_recipe_learns_stripes_and_its_network_saves_the_standardization():
    train, test = stripes(64), stripes(64, seed=1)
    recipe = quick_recipe(train, seconds=1)
    seed_everything(0)
    network = recipe.build(train)
    history = fit(network, train, seed=0, progress=False, **recipe.training)
    assert len(history.train_loss) == recipe.training["epochs"]
    assert (predict(network, test).argmax(1) == test.targets).float().mean() > 0.95
    assert set(network.state_dict()) > {"0.mean", "0.std"}


@pytest.mark.parametrize("shape", [(28, 28), (96, 96), (28, 28, 28)])
def test_no_recipe_costs_more_than_its_budget(shape):
    for n in (50, 500, 3000):
        for seconds in (10, 60):
            recipe = quick_recipe(blank(n, *shape), seconds=seconds)
            assert 0 < recipe.operations <= seconds * RATE
            assert recipe.training["epochs"] <= EPOCHS


def test_the_budget_is_a_product_and_no_clock():
    few = blank(500, 28, 28, 28)
    fast, slow = quick_recipe(few, seconds=60), quick_recipe(few, seconds=600, rate=RATE / 10)
    assert (fast.network, fast.training, fast.operations) == (slow.network, slow.training, slow.operations)
    assert quick_recipe(few, seconds=5).training["epochs"] < quick_recipe(few, seconds=20).training["epochs"]


def test_network_and_batch_follow_from_the_set():
    small, large = quick_recipe(blank(300, 28, 28)), quick_recipe(blank(MANY, 28, 28))
    assert (small.network["width"], large.network["width"]) == (16, 32)
    assert (small.training["batch_size"], large.training["batch_size"]) == (32, 64)
    assert quick_recipe(blank(100_000, 28, 28)).network["width"] == 16  # few passes of the wider one could be paid
    assert quick_recipe(blank(300, 64, 64)).network["stride"] == 2
    volumes = quick_recipe(blank(300, 16, 16, 16))
    assert (volumes.network["axes"], volumes.network["stride"]) == (3, 2)
    assert volumes.build(blank(300, 16, 16, 16))(torch.rand(2, 1, 16, 16, 16)).shape == (2, 2)


def test_the_table_says_why():
    text = str(quick_recipe(stripes(48)))
    assert text.splitlines()[0].split()[:2] == ["width", "16"]
    assert "48 training images" in text
    assert "60 s at 8e+10 multiply-adds a second" in text


def test_too_small_a_budget_says_what_one_pass_takes():
    with pytest.raises(ValueError, match=r"0.1 s at 8e\+10 .* one pass over 100000 images.*give at least \d+ s"):
        quick_recipe(blank(100_000, 28, 28), seconds=0.1)
    with pytest.raises(ValueError, match="seconds and rate must be positive, got -1 s"):
        quick_recipe(stripes(), seconds=-1)


def test_a_set_of_label_maps_is_refused():
    with pytest.raises(ValueError, match="takes sets of images with classes, stripes is segmentation"):
        quick_recipe(stripes(task="segmentation"))
