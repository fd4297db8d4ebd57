"""The right answers of lesson 13: what they promise, on cases that their checks do not have."""

import torch
from answers_13 import by_where, composed, noised
from scipy.ndimage import map_coordinates


def test_the_worked_numbers():
    pixel = torch.ones(2, 1, 1, 1)
    worked = noised(pixel, 2 * pixel, torch.tensor([0, 1]), torch.tensor([0.2, 0.5]))
    assert torch.allclose(worked.flatten(), torch.tensor([1.7889, 2.1817]), atol=1e-4)


def test_walking_step_by_step_ends_where_the_closed_form_does():
    rng = torch.Generator().manual_seed(0)
    betas = torch.linspace(0.01, 0.3, 12)
    walked = torch.full((20_000,), 2.0)
    for beta in betas:
        walked = (1 - beta).sqrt() * walked + beta.sqrt() * torch.randn(20_000, generator=rng)
    noise = torch.randn(20_000, 1, 1, 1, generator=rng)
    at_once = noised(torch.full((20_000, 1, 1, 1), 2.0), noise, torch.full((20_000,), 11), betas)
    assert abs(walked.mean() - at_once.mean()) < 0.04 and abs(walked.std() - at_once.std()) < 0.04


def test_measured_lines_return_and_the_rest_stays():
    rng = torch.Generator().manual_seed(1)
    images, truth = torch.randn(2, 1, 1, 7, 10, generator=rng)
    kept = torch.zeros(10, dtype=torch.bool)
    kept[[0, 3, -3]] = True
    space = torch.fft.fft2(by_where(images[None], torch.where(kept, torch.fft.fft2(truth[None]), 0), kept))
    assert torch.allclose(space[..., kept], torch.fft.fft2(truth[None])[..., kept], atol=1e-4)
    assert torch.allclose(space[..., ~kept], torch.fft.fft2(images[None])[..., ~kept], atol=1e-4)


def test_one_composed_warp_does_what_two_do():
    """On a linear image, where no interpolation blurs, away from the border."""
    rows, columns = torch.meshgrid(torch.arange(20.0), torch.arange(24.0), indexing="ij")
    image = (0.3 * rows - 0.2 * columns)[None]
    first = torch.stack([0.1 * columns - 1, 1 - 0.05 * rows])
    second = torch.stack([0.02 * rows + 0.5, -0.03 * columns])

    def warp(images, field):
        places = (torch.stack([rows, columns]) + field).numpy()
        read = [map_coordinates(part, places, order=1, mode="nearest") for part in images.numpy()]
        return torch.stack([torch.from_numpy(part) for part in read])

    twice = warp(warp(image, first), second)
    once = warp(image, composed(first, second, warp))
    assert torch.allclose(once[:, 4:-4, 4:-4], twice[:, 4:-4, 4:-4], atol=1e-4)
