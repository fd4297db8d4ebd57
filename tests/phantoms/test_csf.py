"""Head CT phantom: where the three classes of fluid lie, how dark they are, and what depends on what."""

import pytest
import torch

from medlab.phantoms import anatomy
from medlab.phantoms.catalog import PHANTOMS
from medlab.phantoms.csf import SLICES_PER_PATIENT, WINDOW, _regions, make

BACKGROUND, VENTRICLES, SULCI, CISTERNS = range(4)
PATIENTS = 12


@pytest.fixture(scope="module")
def slices():
    images, labels = make(PATIENTS * SLICES_PER_PATIENT, 128, 0)
    return images[:, 0] * WINDOW, labels


def test_pixel_shares(slices):
    shares = torch.bincount(slices[1].flatten(), minlength=4) / slices[1].numel()
    assert 0.93 < shares[BACKGROUND] < 0.98
    assert 0.012 < shares[SULCI] < 0.035
    assert 0.003 < shares[VENTRICLES] < 0.012 and 0.003 < shares[CISTERNS] < 0.012


def test_height_decides_which_fluid_a_slice_shows(slices):
    shown = torch.stack([(slices[1] == k).sum((1, 2)) for k in range(4)], 1).unflatten(0, (PATIENTS, -1)).float()
    mean = shown.mean(0)  # from the skull base to the vertex
    assert mean[:3, VENTRICLES].max() < 5 and mean[-2:, VENTRICLES].max() < 5 and mean[4:7, VENTRICLES].min() > 100
    assert mean[6:, CISTERNS].max() == 0 and mean[1:4, CISTERNS].min() > 50
    assert mean[:, SULCI].min() > 50


def test_ventricles_lie_in_the_middle_and_sulci_around_them(slices):
    _, labels = slices
    columns = torch.arange(128.0).expand_as(labels)
    off = [(columns[labels == k] - 63.5).abs().mean() for k in range(4)]
    assert max(off[VENTRICLES], off[CISTERNS]) < 11 and off[SULCI] > 13
    assert abs(columns[labels == VENTRICLES].mean() - 63.5) < 3  # as much on either side


def test_fluid_is_dark_brain_gray_and_skull_a_closed_bright_ring(slices):
    values, labels = slices
    mean = [values[labels == k].median().item() for k in range(4)]
    assert 5 < mean[VENTRICLES] < 15 and max(mean[SULCI], mean[CISTERNS]) < 22
    middle = slice(5, None, SLICES_PER_PATIENT)
    inner = values[middle, 50:78, 30:98]  # within the brain of every patient
    assert 29 < inner[labels[middle, 50:78, 30:98] == BACKGROUND].median() < 38
    for value in values[middle]:  # from the center every way out meets bone
        assert (value[64, :64].max(), value[64, 64:].max(), value[:64, 64].max(), value[64:, 64].max()) == (80,) * 4
    assert (values[:, 0, 0] < 20).all() and values[:, :, 0].median() < 3  # air


def test_noise_is_some_hounsfield_units_and_grainy(slices):
    values, labels = slices
    white = values[6::SLICES_PER_PATIENT, 52:60, 44:52]  # white matter beside the ventricles
    flat = white - white.mean((1, 2), keepdim=True)
    assert 2.5 < flat[labels[6::SLICES_PER_PATIENT, 52:60, 44:52] == BACKGROUND].std() < 7
    assert flat.diff(dim=2).std() < 1.25 * flat.std()  # sqrt(2) times were neighbors independent


def test_patients_differ_in_how_much_fluid_they_have(slices):
    fluid = (slices[1] > 0).sum((1, 2)).unflatten(0, (PATIENTS, -1)).sum(1).float()
    assert fluid.std() > 0.1 * fluid.mean()


def test_landmarks_fall_in_their_region():
    landmarks = {
        (14, 5, 20): "ventricle",  # body of the lateral ventricle
        (-26, -42, 6): "ventricle",  # atrium
        (0, -12, 2): "ventricle",  # third ventricle
        (0, -46, -30): "cistern",  # fourth ventricle
        (0, -40, -2): "cistern",  # quadrigeminal cistern
        (0, 2, -16): "cistern",  # suprasellar cistern
        (45, 0, 5): "sulcus",  # Sylvian fissure
        (0, 40, 10): "sulcus",  # between the hemispheres
        (0, -20, 45): "sulcus",
    }
    places = torch.tensor(list(landmarks)).float().T.reshape(3, -1, 1, 1)
    ventricles, cisterns = (where.flatten().tolist() for where in _regions(places))
    found = ["ventricle" if v else "cistern" if c else "sulcus" for v, c in zip(ventricles, cisterns)]
    assert found == list(landmarks.values())


def test_seed_and_number_decide_an_image():
    images, labels, patients = PHANTOMS["csf"].make(33, 64, 3)
    again, other = make(12, 64, 3), make(12, 64, 4)
    assert torch.equal(images[:12], again[0]) and torch.equal(labels[:12], again[1])
    assert (labels[:12] != other[1]).float().mean() > 0.005
    assert patients.tolist() == [k // 10 for k in range(33)]
    assert len(images.flatten(1).unique(dim=0)) == 33


@pytest.mark.parametrize("size", [32, 256])
def test_ventricles_do_not_depend_on_the_size(size):
    reference, found = (
        (make(20, side, 0)[1] == VENTRICLES).float().mean().item() * anatomy.FIELD_OF_VIEW**2 for side in (128, size)
    )
    assert found == pytest.approx(reference, rel=0.2)  # mm2
