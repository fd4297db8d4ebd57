"""Photographs of a screen: repeatable, each its own, and still the image."""

import pytest
import torch

from medlab.data import load
from medlab.data.corruptions import simulate_phone_photo


def test_photographs_repeat_and_differ():
    images = load("chest", n=3, size=64).images
    taken = simulate_phone_photo(images, seed=1)
    assert taken.shape == images.shape and taken.dtype == torch.float32 and 0 <= taken.min() <= taken.max() <= 1
    assert torch.equal(simulate_phone_photo(images, seed=1), taken) and not torch.equal(
        simulate_phone_photo(images, seed=2), taken
    )
    twice = simulate_phone_photo(images[:1].expand(2, -1, -1, -1))
    assert not torch.equal(twice[0], twice[1])


def test_strength():
    images = load("chest", n=4, size=64).images
    assert torch.equal(simulate_phone_photo(images, strength=0), images)
    weak, strong = ((simulate_phone_photo(images, s) - images).square().mean().item() for s in (0.2, 1.0))
    assert 0 < weak < 0.3 * strong
    far = (images.roll(1, 0) - images).square().mean().item()
    assert strong < 5 * far  # still that patient's image, more or less


def test_bad_input():
    with pytest.raises(ValueError, match="strength must not be negative, got -1"):
        simulate_phone_photo(torch.rand(1, 1, 8, 8), -1)
    with pytest.raises(ValueError, match=r"images must be \(N, C, H, W\), got \(8, 8\)"):
        simulate_phone_photo(torch.rand(8, 8))
