"""Skin phantom: the rule behind its classes, whose skin it is, and what depends on what."""

import numpy as np
import pytest
import torch

from medlab.phantoms.catalog import PHANTOMS

make = PHANTOMS["skin"].make

NEVUS, MELANOMA, KERATOSIS = range(3)


@pytest.fixture(scope="module")
def photographs():
    images, classes, patients = make(720, 64, 0)
    return images, classes, torch.from_numpy(patients)


def rim(images: torch.Tensor) -> torch.Tensor:
    """Median brightness of the skin around the lesion ``(N,)``."""
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, images.shape[-1])] * 2, indexing="ij")
    return images.mean(1)[:, (torch.hypot(x, y) > 0.75) & (torch.hypot(x, y) < 0.95)].median(1).values


def lesion(images: torch.Tensor) -> torch.Tensor:
    """Where it is clearly darker than the skin around, ``(N, H, W)``."""
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, images.shape[-1])] * 2, indexing="ij")
    return (images.mean(1) < 0.8 * rim(images)[:, None, None]) & (torch.hypot(x, y) < 0.7)


def test_six_in_ten_lesions_are_nevi(photographs):
    assert torch.bincount(photographs[1]).tolist() == [432, 144, 144]
    assert set(make(12, 28, 0)[1].tolist()) == {NEVUS, MELANOMA, KERATOSIS}


def test_melanomas_are_larger_and_of_more_colors(photographs):
    images, classes, _ = photographs
    where = lesion(images)
    area = where.float().mean((1, 2))
    brown = images[:, 2] / images[:, 0].clamp(min=0.01)  # blue against red: tells browns from blue-gray and black
    spread = torch.stack(
        [one[inside].std() if inside.sum() > 9 else torch.tensor(0.0) for one, inside in zip(brown, where)]
    )
    for trait, least in ((area, 0.02), (spread, 0.01)):
        assert trait[classes == MELANOMA].mean() - trait[classes == NEVUS].mean() > least


def test_classes_overlap(photographs):
    """Size alone does not tell a melanoma: some are smaller than the usual nevus."""
    images, classes, _ = photographs
    area = lesion(images).float().mean((1, 2))
    smaller = (area[classes == MELANOMA] < area[classes == NEVUS].median()).float().mean()
    assert 0.1 < smaller < 0.45


def test_a_patient_has_one_skin_and_often_several_kinds_of_lesion(photographs):
    images, classes, patients = photographs
    tone = rim(images)
    within = torch.stack([tone[patients == one].std() for one in patients.unique()])
    assert within.median() < 0.2 * tone.std()
    assert set(torch.bincount(patients).tolist()) == {2, 3, 4}
    kinds = [len(classes[patients == one].unique()) for one in patients.unique()]
    assert np.mean(np.array(kinds) > 1) > 0.5


def test_it_is_in_color_at_every_size():
    for size in (28, 65, 224):
        images, _, _ = make(4, size, 0)
        assert images.shape == (4, 3, size, size)
        red, green, blue = images.mean((0, 2, 3))
        assert red > green > 0.8 * blue
