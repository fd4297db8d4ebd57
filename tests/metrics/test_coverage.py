"""Memorization, membership inference, diversity and mode coverage of generated images."""

import math

import numpy as np
import pytest
import torch

from medlab.metrics import class_shares, diversity, membership_auc, modes_covered, nearest
from medlab.phantoms import ring


def images(n: int = 6, size: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(seed))


def test_nearest_finds_a_copy_among_many():
    training = images(300)
    found = nearest(torch.cat([training[[7, 299]], training[[5]] * 0.98, images(1, seed=1)]), training)
    assert found.index[:3].tolist() == [7, 299, 5] and found.distance[:2].tolist() == [0, 0]
    assert 0 < found.distance[2] < 0.02 < 0.3 < found.distance[3]
    assert training[found.index].shape == (4, 1, 16, 16)


def test_diversity_is_the_mean_over_pairs():
    real = images(20)
    none, some = diversity(images(1, seed=1).expand(20, -1, -1, -1)), diversity(real)
    assert none == (0, pytest.approx(1, abs=1e-6), 190) and some.distance > 0.3 and some.ssim < 0.5
    assert diversity(real, pairs=50) == diversity(real, pairs=50) != diversity(real, pairs=50, seed=1)
    by_hand = [float((real[i] - real[j]).square().mean().sqrt()) for i in range(20) for j in range(i)]
    assert some.distance == pytest.approx(np.mean(by_hand), abs=1e-5) and some.pairs == 190


def test_modes_of_the_ring():
    points, labels = ring.make(4000, 1, 0)
    full = modes_covered(points, ring.CENTERS, 3 * ring.SIGMA)
    assert full.covered == 8 and full.high_quality == pytest.approx(
        1 - math.exp(-4.5), abs=0.004
    )  # of a Gaussian in 2-D
    assert full.shares == pytest.approx(np.full(8, 0.125), abs=0.004)
    three = modes_covered(points[labels < 3], ring.CENTERS, 3 * ring.SIGMA)
    assert three.covered == 3 and three.shares[3:].sum() == 0
    middle = modes_covered(torch.full((10, 2), 0.5), ring.CENTERS, 3 * ring.SIGMA)
    assert middle.covered == 0 and middle.high_quality == 0
    straggler = torch.cat([points[labels == 0], points[1:2]])
    assert modes_covered(straggler, ring.CENTERS, 0.03).covered == 1
    assert modes_covered(straggler, ring.CENTERS, 0.03, min_share=0).covered == 2


def test_class_shares():
    found = class_shares([0] * 5 + [1] * 5, [0, 1, 2, 3], 4)
    assert found.shares.tolist() == [0.5, 0.5, 0, 0] and found.training.tolist() == [0.25] * 4
    assert (found.covered, found.entropy, found.total_variation) == (2, 1, 0.5)
    same = class_shares(torch.arange(12) % 4, torch.arange(4), 4)
    assert (same.covered, same.entropy, same.total_variation) == (4, 2, 0)
    assert class_shares([0] * 99 + [1], [0, 1], 2).covered == 1  # 1 % is less than a tenth of 50 %


def test_copies_give_the_members_away_and_new_images_do_not():
    members, others = images(30, 8, 1), images(30, 8, 2)
    copies = (members + 0.05 * images(30, 8, 3)).clamp(0, 1)
    assert membership_auc(copies, members, others).value == 1.0
    innocent = membership_auc(images(60, 8, 4), members, others)
    assert innocent.low < 0.5 < innocent.high
    assert membership_auc(copies, others, members).value == 0.0  # the other way round


def test_the_interval_is_resampled_by_patient():
    members, others = images(20, 8, 1).repeat_interleave(3, 0), images(20, 8, 2).repeat_interleave(3, 0)
    patients = torch.arange(40).repeat_interleave(3)
    generated = images(50, 8, 5)
    by_image, by_patient = (
        membership_auc(generated, members, others),
        membership_auc(generated, members, others, patients),
    )
    assert by_image.value == by_patient.value
    assert by_patient.high - by_patient.low > 1.3 * (by_image.high - by_image.low)


def test_membership_of_images_of_other_sizes():
    with pytest.raises(ValueError, match="both must have the same channels, height and width"):
        membership_auc(images(3, 8, 0), torch.rand(3, 1, 9, 9), images(3, 8, 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: diversity(images(1)), "one image has no diversity"),
        (lambda: nearest(images(), images(size=24)), "images are .* and references"),
        (lambda: modes_covered(torch.zeros(4, 3), ring.CENTERS, 1), "must be"),
        (lambda: modes_covered(torch.full((4, 2), math.nan), ring.CENTERS, 1), "diverged"),
        (lambda: modes_covered(torch.zeros(4, 2), ring.CENTERS, 0), "radius must be above 0"),
        (lambda: class_shares([0, 3], [0, 1], 3), "predicted must be at least one class number from 0 to 2"),
        (lambda: class_shares([0.5], [0, 1], 3), "predicted must be"),
        (lambda: class_shares([0], [], 3), "targets must be"),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
