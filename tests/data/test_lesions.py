"""Liver lesions: the phantom, folds by patient, classic augmentation in the paper's order, the paper's classifier."""

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d

from medlab.data import load
from medlab.data.images import ImageSet, Info
from medlab.data.lesions import FLIPS, PER_LESION, ROTATIONS, SCALES, SHIFTS, augment_lesions, transformations
from medlab.data.subsets import folds, join, oversample
from medlab.models import LesionCNN
from medlab.phantoms.liver import DIAMETER, PATIENTS, make

CYST, METASTASIS, HEMANGIOMA = range(3)


@pytest.fixture(scope="module")
def lesions() -> ImageSet:
    return load("liver", size=32)


def toy(targets: list[int], patients: list | None = None, size: int = 16) -> ImageSet:
    """A bright square off the middle on a slope, another for every image."""
    rows = torch.arange(size).float()[:, None].expand(size, size) / (2 * size)
    images = rows.repeat(len(targets), 1, 1, 1)
    images[:, :, 5:9, 8:11] += 0.3 + 0.01 * torch.arange(len(targets)).reshape(-1, 1, 1, 1)
    info = Info("toy", "none", "multi-class", ("a", "b", "c"), "none", "none", phantom=True)
    return ImageSet(images, torch.tensor(targets), range(len(targets)) if patients is None else patients, info)


def rings(images: torch.Tensor) -> torch.Tensor:
    """Mean gray value of the middle, of the lesion's edge and of the tissue around it ``(N, 3)``."""
    line = (2 * (torch.arange(images.shape[-1]) + 0.5) / images.shape[-1] - 1) / DIAMETER
    rho = torch.hypot(*torch.meshgrid(line, line, indexing="ij"))
    places = (rho < 0.4), (rho > 0.5) & (rho < 0.85), (rho > 1.15)
    return torch.stack([images[:, 0, where].mean(1) for where in places], 1)


def test_the_papers_patients(lesions):
    assert tuple(lesions.counts().values()) == PATIENTS == (53, 64, 65) and len(np.unique(lesions.patients)) == 182
    for n in (10, 30, 90, 400):
        shares = torch.bincount(make(n, 16, 0)[1], minlength=3) / n
        torch.testing.assert_close(shares, torch.tensor(PATIENTS) / 182, atol=0.07, rtol=0)


def test_a_cyst_is_dark_even_and_sharp():
    images, kinds = make(182, 64, 0)
    middle, edge, tissue = rings(images).T
    assert (middle < tissue).float().mean() > 0.95
    cyst = kinds == CYST
    assert middle[cyst].max() < middle[~cyst].quantile(0.2)
    smooth = avg_pool2d(images, 5, 1)
    slope = (smooth[:, 0, :, 1:] - smooth[:, 0, :, :-1]).abs().amax((1, 2))
    assert slope[cyst].median() > 1.3 * slope[~cyst].median()


def test_a_hemangioma_has_bright_spots_along_its_edge_and_a_metastasis_seldom():
    images, kinds = make(546, 64, 1)
    line = (2 * (torch.arange(64) + 0.5) / 64 - 1) / DIAMETER
    rho = torch.hypot(*torch.meshgrid(line, line, indexing="ij"))
    edge = avg_pool2d(images, 3, 1, 1)[:, 0, (rho > 0.5) & (rho < 0.9)]
    spots = edge.quantile(0.98, dim=1) - edge.median(1).values
    met, hem = spots[kinds == METASTASIS], spots[kinds == HEMANGIOMA]
    assert hem.mean() > 1.1 * met.mean()
    overlap = (hem[:, None] < met).float().mean()  # how often the order of a pair is the other way round
    assert 0.1 < overlap < 0.45


def test_an_image_depends_on_its_number_not_on_how_many_there_are():
    few, many = make(5, 32, 0), make(70, 32, 0)
    assert all((some == rest[:5]).all() for some, rest in zip(few, many))


def test_folds_share_no_patient_and_spread_the_classes(lesions):
    parts = folds(lesions, 3, seed=4)
    assert sorted(map(len, parts)) == [60, 61, 61]
    assert sorted(np.concatenate([part.patients for part in parts])) == list(range(182))
    counts = np.array([list(part.counts().values()) for part in parts])
    assert (np.ptp(counts, axis=0) <= 1).all()
    again, other = folds(lesions, 3, seed=4), folds(lesions, 3, seed=5)
    assert (parts[0].patients == again[0].patients).all() and set(parts[0].patients) != set(other[0].patients)


def test_folds_keep_a_patients_images_together():
    people = ["p", "p", "q", "q", "r", "r", "s", "s", "t", "u", "v", "w"]
    parts = folds(toy([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 0], people), 2)
    assert not set(parts[0].patients) & set(parts[1].patients)


@pytest.mark.parametrize(
    ("targets", "k", "message"),
    [
        ([0, 1], 3, "1 patients with class a, so it would be missing in one of 3 folds"),
        ([0, 0, 0, 1, 1, 1, 2, 2], 3, "2 patients with class c, so it would be missing in one of 3 folds"),
        ([0, 0, 0, 1, 1, 1], 3, "0 patients with class c"),
        ([0, 1, 2], 1, "k must be a whole number of at least 2, got 1"),
    ],
)
def test_folds_that_cannot_be(targets, k, message):
    with pytest.raises(ValueError, match=message):
        folds(toy(targets), k)
    with pytest.raises(ValueError, match="this is a segmentation set"):
        folds(load("abdomen", size=16, n=6))


def test_joined_and_repeated(lesions):
    parts = folds(lesions)
    whole = join(parts[:2])
    assert len(whole) == len(parts[0]) + len(parts[1]) and torch.equal(whole.images[: len(parts[0])], parts[0].images)
    many = oversample(whole, 300)
    times = np.unique(many.patients, return_counts=True)[1]
    assert len(many) == 300 and set(times) == {300 // len(whole), 300 // len(whole) + 1}
    assert torch.equal(oversample(whole, len(whole)).images, whole.images)
    with pytest.raises(ValueError, match="cannot be repeated to 10"):
        oversample(whole, 10)
    with pytest.raises(ValueError, match="must share task, classes and shape"):
        join([whole, load("liver", size=16, n=5)])
    with pytest.raises(ValueError, match="nothing to join"):
        join([])


def test_480_copies_per_lesion_as_the_paper_counts_them():
    assert PER_LESION == ROTATIONS * (1 + FLIPS + SHIFTS + SCALES) == 480
    matrices = transformations(torch.tensor([0.5, 0.9]), 64, torch.Generator().manual_seed(0))
    assert matrices.shape == (2, 480, 2, 3)
    each = matrices.unflatten(1, (ROTATIONS, -1)).double()
    plain, flips, shifts, scales = each.split([1, FLIPS, SHIFTS, SCALES], 2)
    turn = plain[:, :, 0, :, :2]
    angles = torch.atan2(turn[..., 1, 0], turn[..., 0, 0])
    assert angles.min() >= 0 and angles.max() <= torch.pi and angles.std() > 0.5
    back = torch.linalg.inv(turn).unsqueeze(2)
    torch.testing.assert_close(torch.linalg.det(flips[..., :2])[0, 0].abs(), torch.ones(3).double(), rtol=0, atol=1e-6)
    signs = (back @ flips[..., :2]).diagonal(dim1=-2, dim2=-1)[0, 0]
    torch.testing.assert_close(signs, torch.tensor([[1, -1], [-1, 1], [-1, -1]]).double(), rtol=0, atol=1e-6)
    moved = (back @ shifts[..., 2:])[..., 0] * 32  # pixels
    assert 3 < moved[0].abs().max() <= 0.1 * 0.5 * 64 < moved[1].abs().max() <= 4
    sides = (back @ scales[..., :2]).diagonal(dim1=-2, dim2=-1)
    torch.testing.assert_close(sides[..., 0], sides[..., 1], rtol=0, atol=1e-6)  # no shear, one scale
    margin = (sides[..., 0] / torch.tensor([0.5, 0.9]).double().reshape(2, 1, 1) - 1) / 2
    assert 0.1 <= margin.min() + 1e-6 < 0.12 and 0.38 < margin.max() <= 0.4 + 1e-6


def test_smaller_groups_are_beginnings_of_larger_ones_and_spread_evenly():
    few = toy([0, 0, 1, 1, 1, 2, 2, 2, 2])
    small, large = (augment_lesions(few, amount, diameter=0.5, seed=3) for amount in (50, 500))
    assert torch.equal(large.images[:59], small.images) and (large.patients[:59] == small.patients).all()
    assert torch.equal(large.images[:9], few.images)
    owner = {int(patient): int(target) for patient, target in zip(few.patients, few.targets)}
    assert all(owner[int(p)] == int(t) for p, t in zip(large.patients, large.targets))  # a copy keeps its patient
    for amount in (7, 50, 333):
        copies = large[9 : 9 + amount]
        assert np.ptp(list(copies.counts().values())) <= 1
        for c in range(3):
            times = np.unique(copies.patients[copies.targets.numpy() == c], return_counts=True)[1]
            assert np.ptp(times) <= 1
    assert len(large.images.flatten(1).unique(dim=0)) == 509  # no copy twice
    other = augment_lesions(few, 50, diameter=0.5, seed=4)
    assert not torch.equal(other.images, small.images) and augment_lesions(few, 0, diameter=0.5) is few


def test_all_copies_can_be_taken():
    every = augment_lesions(toy([0, 1, 2]), 3 * PER_LESION, diameter=0.5)
    assert list(every.counts().values()) == [PER_LESION + 1] * 3 and every.images.min() >= 0


def test_a_copy_past_the_edge_sees_tissue_not_a_second_lesion():
    line = (2 * (torch.arange(64) + 0.5) / 64 - 1) / 0.5
    bright = (torch.hypot(*torch.meshgrid(line, line, indexing="ij")) < 1).float()[None, None]  # half of the side
    info = Info("toy", "none", "multi-class", ("a",), "none", "none", phantom=True)
    copies = augment_lesions(ImageSet(bright, torch.zeros(1).long(), [0], info), 480, diameter=0.5).images
    border = torch.ones(64, 64, dtype=torch.bool)
    border[3:-3, 3:-3] = False
    assert copies[:, 0, border].max() < 0.05


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"amount": 3 * 480 + 1}, "1441 copies; balanced over the classes there are 0 to 1440"),
        ({"amount": -1}, "-1 copies"),
        ({"diameter": 0}, "diameter is a share"),
        ({"diameter": 1.2}, "diameter is a share"),
        ({"targets": [0, 0, 1]}, "no lesion of class c"),
    ],
)
def test_copies_that_cannot_be(given, message):
    settings = {"targets": [0, 1, 2], "amount": 10, "diameter": 0.5} | given
    with pytest.raises(ValueError, match=message):
        augment_lesions(toy(settings.pop("targets")), **settings)


def test_the_papers_classifier():
    counts = [p.numel() for p in LesionCNN().parameters()]
    assert sum(counts) == 1_273_347
    assert counts[::2] == [9 * 32, 32 * 64 * 9, 64 * 128 * 9, 4608 * 256, 768]
    network = LesionCNN(2, 5, size=32, width=8).eval()
    assert network(torch.rand(3, 2, 32, 32)).shape == (3, 5)
    assert network.hidden(network.features(torch.rand(3, 2, 32, 32))).shape == (3, 64)
    assert LesionCNN(size=22).eval()(torch.rand(1, 1, 22, 22)).shape == (1, 3)
    with pytest.raises(ValueError, match="at least 22 x 22 pixels for its three poolings, got 21"):
        LesionCNN(size=21)
