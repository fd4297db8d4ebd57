"""Sensitivity by patient and the largest connected piece, on label maps counted by hand."""

import numpy as np
import pytest
import torch

from medlab.metrics import largest_component, sensitivity


def test_sensitivity_is_the_share_of_true_voxels_called_by_their_class():
    targets = np.zeros((3, 2, 3, 4), int)
    targets[0, 0, 0, :4], targets[0, 1, 0, :2] = 1, 2
    targets[1, 0, 0, :2] = 2
    masks = np.zeros_like(targets)
    masks[0, 0, 0, :3] = 1  # three of four; none of the other class
    masks[1] = 2  # all, and false alarms, which do not count
    masks[2] = 1
    np.testing.assert_allclose(sensitivity(masks, targets), [0.375, 1, np.nan])  # an empty target: not defined
    np.testing.assert_allclose(sensitivity(torch.from_numpy(masks), torch.from_numpy(targets)), [0.375, 1, np.nan])
    with pytest.raises(ValueError, match=r"masks \(2, 2, 3, 4\) do not fit targets \(3, 2, 3, 4\)"):
        sensitivity(masks[:2], targets)


def test_the_largest_component_stays_with_all_its_classes():
    masks = np.zeros((3, 5, 5, 5), np.uint8)
    masks[0, 1, 1, 1:4], masks[0, 2, 1, 3] = 1, 2  # one piece of two classes, four voxels
    masks[0, 4, 4, 2:5] = 2  # an island of three
    masks[0, 2, 2, 4] = 1  # touches by an edge only: another island
    masks[1, 0, 0, 0] = 2
    kept = largest_component(torch.from_numpy(masks))
    assert kept[0].sum() == 5 and (kept[0] == 2).sum() == 1 and not kept[0, 4].any() and kept[0, 2, 2, 4] == 0
    assert (kept[1] == masks[1]).all() and not kept[2].any()  # one piece; an empty mask
    assert masks[0, 4, 4, 2] == 2, "the input must stay as it was"
