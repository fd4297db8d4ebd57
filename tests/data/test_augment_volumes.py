"""Augmentation of volumes: labels move with their voxels, turns are turns, the same numbers give the same volumes."""

import pytest
import torch

from medlab.data import AugmentVolumes
from medlab.data.augment import nearest_voxels

EVERYTHING = {"flip": True, "shift": 0.05, "rotate": 15, "scale": 0.1, "intensity": 0.1, "warp": 0.05}


def boxes(n=4):
    """Bright boxes off the center of volumes ``(n, 1, 16, 20, 24)``, and their masks."""
    masks = torch.zeros(n, 16, 20, 24, dtype=torch.int64)
    masks[:, 4:9, 6:13, 13:20] = 1
    return masks[:, None].float(), masks


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_nothing_asked_changes_nothing():
    volumes, masks = boxes()
    same, labels = AugmentVolumes()(volumes, masks, generator=generator())
    torch.testing.assert_close(same, volumes, atol=1e-4, rtol=0)
    assert torch.equal(labels, masks)


def test_labels_move_with_their_voxels_and_each_volume_by_numbers_of_its_own():
    volumes, masks = boxes()
    augment = AugmentVolumes(**EVERYTHING | {"intensity": 0})
    moved, labels = augment(volumes, masks, generator=generator())
    assert (moved[:, 0] > 0.5).ne(labels == 1).float().mean() < 0.005 and labels.dtype == masks.dtype
    assert len(moved.flatten(1).unique(dim=0)) == 4 and 0.6 < labels.sum() / masks.sum() < 1.5
    again = augment(volumes, masks, params=augment.make_params(4, generator()))
    assert torch.equal(again[0], moved) and torch.equal(again[1], labels)


def test_a_flip_is_exact_and_of_left_and_right():
    volumes, masks = boxes(40)
    turned, labels = AugmentVolumes(flip=True)(volumes, masks, generator=generator())
    mirrored = (labels != masks).flatten(1).any(1)
    assert 10 < mirrored.sum() < 30
    assert torch.equal(labels[mirrored], masks[mirrored].flip(3))
    torch.testing.assert_close(turned[mirrored], volumes[mirrored].flip(4), atol=1e-4, rtol=0)


def test_a_rotation_keeps_lengths_though_the_volume_is_no_cube():
    volumes = torch.rand(1, 1, 12, 18, 24)
    augment = AugmentVolumes(rotate=30)
    matrix = augment._volume_matrices(torch.ones(1), torch.zeros(1), torch.rand(1, 3), torch.zeros(1, 3), volumes)[0]
    sides = torch.tensor([24.0, 18, 12])
    turn = matrix[:, :3] * sides[:, None] / sides
    torch.testing.assert_close(turn @ turn.T, torch.eye(3), atol=1e-5, rtol=0)
    assert not matrix[:, 3].any() and (turn - torch.eye(3)).abs().max() > 0.05


def test_intensity_leaves_labels_and_stays_in_range():
    volumes, masks = boxes()
    changed, labels = AugmentVolumes(intensity=0.3)(volumes, masks, generator=generator())
    assert torch.equal(labels, masks) and changed.min() >= 0 and changed.max() <= 1
    assert (changed - volumes).abs().max() > 0.05


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="warp must not be negative"):
        AugmentVolumes(warp=-0.1)
    with pytest.raises(ValueError, match="scale must stay below 1"):
        AugmentVolumes(scale=1)
    with pytest.raises(ValueError, match=r"takes images \(N, C, D, H, W\), got \(2, 1, 8, 8\)"):
        AugmentVolumes()(torch.rand(2, 1, 8, 8))


def test_the_nearest_voxel_by_indices_is_that_of_grid_sample():
    rng = generator()
    labels = torch.randint(5, (2, 4, 6, 8), generator=rng)
    grid = 2.6 * torch.rand(2, 5, 7, 9, 3, generator=rng) - 1.3  # also beyond the edges
    sampled = torch.nn.functional.grid_sample(labels[:, None].float(), grid, "nearest", "border", align_corners=False)
    assert torch.equal(nearest_voxels(labels, grid), sampled[:, 0].long())
