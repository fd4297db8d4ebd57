"""Abdomen phantom: where the organs lie, how large and how bright they are, and what depends on what."""

import numpy as np
import pytest
import torch

from medlab.phantoms import abdomen
from medlab.phantoms.abdomen import SLICES_PER_PATIENT, make
from medlab.phantoms.catalog import PHANTOMS

BACKGROUND, PANCREAS, KIDNEYS, LIVER, SPLEEN = range(5)
PATIENTS = 12


@pytest.fixture(scope="module")
def slices():
    images, labels = make(PATIENTS * SLICES_PER_PATIENT, 128, 0)
    low, high = abdomen.WINDOW
    return images[:, 0] * (high - low) + low, labels


def test_pixel_shares_are_as_unequal_as_organs_are(slices):
    shares = torch.bincount(slices[1].flatten(), minlength=5) / slices[1].numel()
    assert 0.84 < shares[BACKGROUND] < 0.93
    assert 0.065 < shares[LIVER] < 0.10
    assert 0.010 < shares[SPLEEN] < 0.022 and 0.010 < shares[KIDNEYS] < 0.022
    assert 0.003 < shares[PANCREAS] < 0.008


def test_every_patient_has_every_organ_on_its_side(slices):
    _, labels = slices
    columns = torch.arange(128).expand_as(labels)
    for number in range(PATIENTS):
        rows = slice(number * SLICES_PER_PATIENT, (number + 1) * SLICES_PER_PATIENT)
        place = [columns[rows][labels[rows] == k].float().mean().item() for k in range(5)]
        assert place[LIVER] < 55 and place[SPLEEN] > 85  # the patient's right is on the left of the image
        assert place[LIVER] < place[PANCREAS] < place[SPLEEN]
        left = columns[rows][labels[rows] == KIDNEYS] < 64
        assert 0.25 < left.float().mean() < 0.75  # two kidneys


def test_kidneys_lie_behind_the_pancreas_and_the_spine_behind_both(slices):
    values, labels = slices
    lines = torch.arange(128.0)[:, None].expand_as(labels)
    bone = (values > 239) & (torch.arange(128) - 64).abs().lt(6) & lines.gt(64)
    pancreas, kidneys = (lines[labels == k].mean() for k in (PANCREAS, KIDNEYS))
    assert pancreas + 8 < kidneys < lines[bone].mean()


def test_height_decides_which_organs_a_slice_shows(slices):
    shown = torch.stack([(slices[1] == k).sum((1, 2)) for k in range(5)], 1).unflatten(0, (PATIENTS, -1)).float()
    top, middle, bottom = shown[:, 0].mean(0), shown[:, 4:6].mean((0, 1)), shown[:, -1].mean(0)
    assert top[PANCREAS] == bottom[PANCREAS] == 0 and middle[PANCREAS] > 100
    assert top[KIDNEYS] == 0 and bottom[KIDNEYS] > 0
    assert top[LIVER] > 1000 > 200 > bottom[LIVER] and bottom[SPLEEN] == 0
    with_pancreas = (shown[..., PANCREAS] > 0).sum(1)
    assert with_pancreas.min() >= 2 and with_pancreas.max() <= 7  # of ten


def test_ct_values_inside_the_organs(slices):
    values, labels = slices
    mean = [values[labels == k].mean().item() for k in range(5)]
    assert 75 < mean[PANCREAS] < 97 < mean[LIVER] < mean[SPLEEN] < 122 < mean[KIDNEYS] < 165
    assert mean[LIVER] == pytest.approx(105, abs=8)


def test_liver_brightness_varies_between_patients_and_noise_is_grainy(slices):
    values, labels = slices
    values, labels = values[2::SLICES_PER_PATIENT], labels[2::SLICES_PER_PATIENT]
    levels = torch.stack([value[label == LIVER].median() for value, label in zip(values, labels)])
    assert 4 < levels.std() < 15
    inside = -torch.nn.functional.max_pool2d(-(labels == LIVER).float(), 9, 1, 4) == 1  # well inside
    assert 8 < (values - levels[:, None, None])[inside].std() < 25
    near, far = ((values[:, gap:] - values[:, :-gap])[inside[:, gap:]].std() for gap in (1, 3))
    assert near < 0.9 * far  # equal were neighbors independent


def test_pancreas_hides_among_tissue_of_its_brightness(slices):
    values, labels = slices
    brightness = values[labels == PANCREAS]
    low, high = brightness.quantile(torch.tensor([0.25, 0.75]))
    alike = ((values > low) & (values < high) & (labels == BACKGROUND)).sum()
    assert alike > 3 * len(brightness)  # bowel, stomach wall, vessels


def test_seed_and_number_decide_an_image():
    images, labels, patients = PHANTOMS["abdomen"].make(23, 64, 3)
    again, other = make(12, 64, 3), make(12, 64, 4)
    assert torch.equal(images[:12], again[0]) and torch.equal(labels[:12], again[1])
    assert (labels[:12] != other[1]).float().mean() > 0.01
    assert patients.tolist() == [0] * 10 + [1] * 10 + [2] * 3
    assert np.unique(patients).size == 3


@pytest.mark.parametrize("size", [32, 512])
def test_shares_do_not_depend_on_the_size(size):
    reference, found = (
        torch.bincount(make(10, side, 0)[1].flatten(), minlength=5) / (10 * side**2) for side in (128, size)
    )
    torch.testing.assert_close(found[LIVER], reference[LIVER], atol=0.02, rtol=0.15)
    assert found[PANCREAS] > 0.001
