"""Does the membership test find a generator that copies, and leave one alone that does not?"""

import pytest
import torch

from medlab.metrics import membership_auc


def images(n, seed):
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_copies_give_the_members_away_and_new_images_do_not():
    members, others = images(30, 1), images(30, 2)
    copies = (members + 0.05 * images(30, 3)).clamp(0, 1)
    assert membership_auc(copies, members, others).value == 1.0
    innocent = membership_auc(images(60, 4), members, others)
    assert innocent.low < 0.5 < innocent.high
    assert membership_auc(copies, others, members).value == 0.0  # the other way round


def test_the_interval_is_resampled_by_patient():
    members, others = images(20, 1).repeat_interleave(3, 0), images(20, 2).repeat_interleave(3, 0)
    patients = torch.arange(40).repeat_interleave(3)
    made = images(50, 5)
    by_image, by_patient = membership_auc(made, members, others), membership_auc(made, members, others, patients)
    assert by_image.value == by_patient.value
    assert by_patient.high - by_patient.low > 1.3 * (by_image.high - by_image.low)


def test_sizes_that_differ():
    with pytest.raises(ValueError, match="both must have the same channels, height and width"):
        membership_auc(images(3, 0), torch.rand(3, 1, 9, 9), images(3, 1))
