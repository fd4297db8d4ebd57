"""Exercises of lesson 13: forward noising in closed form, data consistency in k-space, composed displacement fields."""

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from medlab.classroom.exercises import Attempt, exercise


@exercise
def forward_noising(add_noise: Attempt) -> None:
    """Write ``add_noise(images, noise, t, betas)``: images after the noising steps 0 to `t`, in one go.

    Step s of forward diffusion (Ho et al. 2020) is ``x = sqrt(1 - betas[s]) * x + sqrt(betas[s]) * fresh noise``.
    `images` and `noise` are ``(N, C, H, W)``, `betas` ``(T,)``, and `t` ``(N,)`` holds each image's last step, int64
    from 0 to T - 1. The answer is ``sqrt(a) * images + sqrt(1 - a) * noise``, where a is the product of
    ``1 - betas`` over the steps 0 to t, t included. For betas ``[0.2, 0.5]``, an image 1 and noise 2 it is
    ``0.8944 + 2 * 0.4472 = 1.7889`` at t = 0, and with a = 0.4 ``0.6325 + 2 * 0.7746 = 2.1817`` at t = 1.
    """
    rng = torch.Generator().manual_seed(0)
    pixel = torch.ones(2, 1, 1, 1)
    cases = [(pixel, 2 * pixel, torch.tensor([1, 2]), torch.tensor([0.2, 0.5, 0.1]))]
    cases += [(pixel, 2 * pixel, torch.tensor([0, 1]), torch.tensor([0.2, 0.5]))]
    for n, size, steps in ((3, (2, 1, 1), 10), (4, (1, 5, 3), 50), (5, (3, 4, 4), 100)):
        images, noise = torch.randn(2, n, *size, generator=rng)
        t = torch.randperm(steps, generator=rng)[:n]
        cases.append((images, noise, t, torch.linspace(0.01, 0.2, steps)))
    for images, noise, t, betas in cases:
        products = torch.cumprod(1 - betas, 0)
        kept, own = products[t][:, None, None, None], betas[t][:, None, None, None]
        before = (products / (1 - betas))[t][:, None, None, None]  # without the last step
        add_noise.compare(
            add_noise(images, noise, t, betas),
            kept.sqrt() * images + (1 - kept).sqrt() * noise,
            {
                "one_step": (1 - own).sqrt() * images + own.sqrt() * noise,
                "no_roots": kept * images + (1 - kept) * noise,
                "noise_without_root": kept.sqrt() * images + (1 - kept) * noise,
                "images_without_root": kept * images + (1 - kept).sqrt() * noise,
                "swapped": (1 - kept).sqrt() * images + kept.sqrt() * noise,
                "one_too_few": before.sqrt() * images + (1 - before).sqrt() * noise,
                "noise_whole": kept.sqrt() * images + noise,
                "first_t": products[t[0]].sqrt() * images + (1 - products[t[0]]).sqrt() * noise,
            },
        )


@exercise
def data_consistency(data_consistency: Attempt) -> None:
    """Write ``data_consistency(images, measured, kept)``: images whose measured lines of k-space are as measured.

    `images` ``(N, 1, H, W)`` are real, a network's proposal. `measured` ``(N, 1, H, W)`` is complex, the k-space as
    ``torch.fft.fft2`` gives it, with 0 in the lines that were not measured; `kept` ``(W,)`` is True for those that
    were, each a column. In the k-space of the images put the measured lines in place of theirs, keep theirs elsewhere,
    and go back: the answer is the real part of the inverse transform, ``(N, 1, H, W)``. With every line kept the answer
    is the measured image, with none it is `images`.
    """
    rng = torch.Generator().manual_seed(0)
    for n, height, width, lines in ((2, 4, 6, [0, 1]), (1, 4, 4, []), (1, 5, 4, [0, 1, 2]), (3, 8, 12, [0, 2, 3])):
        images, truth = torch.randn(2, n, 1, height, width, generator=rng)
        kept = torch.zeros(width, dtype=torch.bool)
        kept[lines + [-line for line in lines]] = True  # both signs of a frequency, as images without phase have them
        measured = torch.where(kept, torch.fft.fft2(truth), 0)
        own = torch.fft.fft2(images)
        right = torch.where(kept, measured, own)
        data_consistency.compare(
            data_consistency(images, measured, kept),
            torch.fft.ifft2(right).real,
            {
                "inverted": torch.fft.ifft2(torch.where(kept, own, measured)).real,
                "added": torch.fft.ifft2(own + measured).real,
                "only_measured": torch.fft.ifft2(measured).real,
                "nothing_replaced": images,
                "magnitude": torch.fft.ifft2(right).abs(),
                "mean_of_both": torch.fft.ifft2(torch.where(kept, (own + measured) / 2, own)).real,
                "forward_again": torch.fft.fft2(right).real,
                "still_k_space": right,
                "rows": torch.fft.ifft2(torch.where(_as_rows(kept, height), measured, own)).real,
            },
        )


def _as_rows(kept: Tensor, height: int) -> Tensor:
    rows = torch.zeros(height, dtype=torch.bool)
    rows[: len(kept)] = kept[:height]
    return rows[:, None]


@exercise
def compose(compose: Attempt) -> None:
    """Write ``compose(first, second, warp)``: one displacement field that does what two do in turn.

    A field ``(2, H, W)`` holds for each pixel how far from it to read, in pixels: rows in channel 0, columns in channel
    1. ``warp(images, field)`` gives ``(C, H, W)``: at pixel p the value of `images` ``(C, H, W)`` at p + field(p),
    linear between pixels; outside it is that of the border. Warping by the answer shall do (up to interpolation) what
    warping by `first`, then warping the result by `second` does: at p the answer is second(p) + first(p + second(p)).
    For two constant fields it is their sum.
    """
    rng = torch.Generator().manual_seed(0)
    ramp = torch.arange(5.0).expand(5, 5)  # grows along the columns
    cases = [(torch.stack([ramp / 2, ramp / 4]), torch.stack([ramp / 4, 1 + 0 * ramp]))]  # differs from the sum at once
    cases += [(torch.full((2, 3, 4), 1.0), torch.full((2, 3, 4), -0.5))]
    for height, width in ((6, 6), (5, 8), (9, 4)):
        cases.append(tuple(1.5 * torch.randn(2, 2, height, width, generator=rng)))
    for first, second in cases:
        compose.compare(
            compose(first, second, _warp),
            second + _warp(first, second),
            {
                "added": first + second,
                "other_order": first + _warp(second, first),
                "second_missing": _warp(first, second),
                "first_only": first + _warp(first, second),
                "subtracted": second - _warp(first, second),
                "backwards": second + _warp(first, -second),
                "multiplied": first * second,
                "warped_twice": _warp(second, second) + _warp(first, second),
            },
            tolerance=1e-4,
        )


def _warp(images: Tensor, field: Tensor) -> Tensor:
    """Images ``(C, H, W)`` read at each pixel plus `field` ``(2, H, W)``, in pixels; the border goes on outside."""
    size = torch.tensor(field.shape[1:])
    rows, columns = torch.meshgrid(*(torch.arange(n) for n in field.shape[1:]), indexing="ij")
    places = (torch.stack([rows, columns]) + field) * (2 / (size - 1))[:, None, None] - 1
    grid = places.flip(0).permute(1, 2, 0)[None]
    return grid_sample(images[None], grid, padding_mode="border", align_corners=True)[0]
