"""Exercises of lesson 06: optimal discriminator and value of the game, losses of a GAN, PSNR from RMSE and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log, log2, log10, sqrt

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from medlab.classroom.exercises import Attempt, exercise
from medlab.classroom.lesson05 import check_finite


@exercise
def optimal_discriminator(optimal_discriminator: Attempt, game_value: Attempt) -> None:
    """Write ``optimal_discriminator(real, fake)`` and ``game_value(real, fake, width)``.

    `real` and `fake` ``(N,)`` are two densities, not negative, at the same N places. The optimal discriminator is the
    probability of real, ``D = real / (real + fake)``; the answer has shape ``(N,)``, and where neither has any density
    it is 0.5. `game_value` is the value of the game with this discriminator: the sum over all places of
    ``(real log D + fake log(1 - D)) width``, with the natural logarithm, `width` the distance between places, and
    ``0 log 0 = 0``. It is a number (float or a tensor without axes). For real ``[1, 3, 0]`` and fake ``[1, 1, 2]`` D is
    ``[0.5, 0.75, 0]``, and with width 0.25 the value is ``-0.909``.
    """
    generator = torch.Generator().manual_seed(0)
    first = [torch.tensor([0.2, 1.5, 0.7]), torch.tensor([0.9, 0.4, 0.1])]  # no two mistakes agree on it
    cases: list[Sequence[Tensor]] = [first, [torch.tensor([1.0, 3.0, 0.0]), torch.tensor([1.0, 1.0, 2.0])]]
    cases += [torch.rand(2, n, generator=generator).unbind() for n in (5, 12)]
    same = torch.rand(6, generator=generator)
    apart = torch.tensor([1.0, 2.0, 0.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 0.0, 4.0, 1.0])
    cases += [(same, same.clone()), apart]
    for real, fake in cases:
        got, expected = optimal_discriminator(real, fake), _best(real, fake)
        if isinstance(got, Tensor) and got.isnan().any():
            optimal_discriminator.wrong(got, expected, "nan")
        optimal_discriminator.compare(
            got,
            expected,
            {
                "swapped": _best(fake, real),
                "ratio": real / fake,
                "logit": (real / fake).log(),
                "sigmoid": (real - fake).sigmoid(),
                "decision": (real > fake).float(),
                "zero": torch.where(real + fake > 0, _best(real, fake), 0.0),
            },
        )
    for (real, fake), width in zip(cases, (0.5, 0.25, 0.1, 2.0, 0.3, 0.2)):
        best = _best(real, fake)
        on_real, on_fake = torch.xlogy(real, best), torch.xlogy(fake, 1 - best)
        expected = float((on_real + on_fake).sum() * width)
        got = game_value(real, fake, width)
        if isinstance(got, float | np.floating | Tensor) and np.ndim(got) == 0 and not np.isfinite(float(got)):
            game_value.wrong(got, expected, "zero_log_zero")
        game_value.compare(
            float(got) if isinstance(got, Tensor) and got.ndim == 0 else got,
            expected,
            {
                "no_width": expected / width,
                "mean": expected / len(real),
                "base_2": expected / log(2),
                "sign": -expected,
                "log_d_for_both": float((on_real + torch.xlogy(fake, best)).sum() * width),
                "fake_missing": float(on_real.sum() * width),
                "real_missing": float(on_fake.sum() * width),
                "unweighted": float((best.log() + (1 - best).log()).sum() * width),
            },
        )


def _best(real: Tensor, fake: Tensor) -> Tensor:
    both = real + fake
    return torch.where(both > 0, real / both, 0.5)


@dataclass(frozen=True)
class Sums:
    """A discriminator: the logits (N,) are the sums of the images' values, times a weight of 1 that may learn."""

    learns: bool

    def __call__(self, images: Tensor) -> Tensor:
        return images.flatten(1).sum(1) * torch.ones((), requires_grad=self.learns)


@exercise
def gan_losses(discriminator_loss: Attempt, generator_loss: Attempt) -> None:
    """Write ``discriminator_loss(discriminator, real, fake)`` and ``generator_loss(discriminator, fake)``.

    `real` ``(N, C, H, W)`` are real images, `fake` ``(M, C, H, W)`` those that the generator has just made, and
    ``discriminator(images)`` gives one logit each, with ``D = sigmoid(logit)``. The discriminator minimizes the mean of
    ``-log D`` over `real` plus the mean of ``-log(1 - D)`` over `fake`, without a gradient to the generator, that is to
    `fake`. The generator minimizes the mean of ``-log D`` over `fake`, with a gradient to `fake`. Both are tensors
    without axes, exact for every logit from -60 to 60. For the logits 0 of one real and 2 of one generated image they
    are ``0.693 + 2.127 = 2.820`` and ``0.127``.
    """
    generator = torch.Generator().manual_seed(0)
    logits = [([0.5, -1.0], [2.0, 0.3]), ([0.0], [2.0]), ([1.5, 0.2, -0.7], [-2.0]), ([-60.0], [60.0, -60.0])]
    pairs = [[torch.tensor(one).reshape(-1, 1, 1, 1) for one in pair] for pair in logits]
    pairs += [list(torch.randn(2, 5, 1, 2, 3, generator=generator).unbind())]
    trained, fixed = Sums(True), Sums(False)
    for real, fake in pairs:
        on_real, on_fake = fixed(real), fixed(fake)
        expected = -logsigmoid(on_real).mean() - logsigmoid(-on_fake).mean()
        got = discriminator_loss(trained, real, fake)
        check_finite(discriminator_loss, got, expected)
        discriminator_loss.compare(
            got,
            expected,
            {
                "labels_swapped": -logsigmoid(-on_real).mean() - logsigmoid(on_fake).mean(),
                "sign": -expected,
                "fake_missing": -logsigmoid(on_real).mean(),
                "real_missing": -logsigmoid(-on_fake).mean(),
                "halved": expected / 2,
                "sums": -logsigmoid(on_real).sum() - logsigmoid(-on_fake).sum(),
                "all_real": -logsigmoid(on_real).mean() - logsigmoid(on_fake).mean(),
                "no_logarithm": (1 - on_real.sigmoid()).mean() + on_fake.sigmoid().mean(),
                "one_minus_log": -logsigmoid(on_real).mean() - (1 - logsigmoid(on_fake)).mean(),
                "two_sigmoids": -logsigmoid(on_real.sigmoid()).mean() - logsigmoid(-on_fake.sigmoid()).mean(),
            },
        )
    discriminator_loss.check_gradient(trained, *pairs[0])
    if discriminator_loss(fixed, pairs[0][0], pairs[0][1].clone().requires_grad_()).requires_grad:
        discriminator_loss.wrong("a gradient that reaches `fake`", "none", "not_detached")
    for _, fake in pairs:
        on_fake = fixed(fake)
        expected = -logsigmoid(on_fake).mean()
        generator_loss.compare(
            generator_loss(trained, fake),
            expected,
            {
                "loss_of_discriminator": -logsigmoid(-on_fake).mean(),
                "saturating": logsigmoid(-on_fake).mean(),
                "generator_sign": -expected,
                "generator_sum": expected * len(fake),
                "two_sigmoids": -logsigmoid(on_fake.sigmoid()).mean(),
            },
        )
    generator_loss.check_gradient(fixed, pairs[0][1].clone().requires_grad_())


@exercise
def psnr_rmse(psnr: Attempt, rmse_from_psnr: Attempt) -> None:
    """Write ``psnr(image, reference, peak)`` and its inverse, ``rmse_from_psnr(psnr, peak)``.

    `image` and `reference` are arrays of the same shape, also of bytes, `peak` the length L of the gray scale: 1.0 for
    values from 0 to 1, 255 for bytes. With MSE the mean squared difference of all pixels, PSNR is
    ``10 log10(L^2 / MSE)`` decibel, and ``math.inf`` for two equal images. `rmse_from_psnr` gives the root of the MSE
    that belongs to a PSNR. For ``[0, 255]``, ``[3, 251]`` and peak 255 it is 37.16 dB; 32.83 dB at peak 255 is an RMSE
    of 5.82 gray values.
    """
    rng = np.random.default_rng(0)
    cases = [(rng.uniform(0, 200, (3, 4)), 30.0, 255.0), (rng.random((5, 6)), 0.2, 1.0), (rng.random(40), 0.01, 1.0)]
    cases += [(rng.uniform(0, 4000, (2, 3, 4)), 90.0, 4095.0)]
    pairs = [(image, image + spread * rng.standard_normal(image.shape), peak) for image, spread, peak in cases]
    pairs += [(np.array([0.0, 255.0]), np.array([3.0, 251.0]), 255.0), (np.ones((2, 2)), np.ones((2, 2)), 1.0)]
    for image, reference, peak in pairs:
        difference = image - reference
        mse = float(np.square(difference).mean())
        got = psnr(image, reference, peak)
        if mse == 0:
            psnr.compare(got, inf, {"no_inf": got})
            continue
        bright = max(float(np.abs(image).max()), 1e-9)
        psnr.compare(
            got,
            10 * log10(peak**2 / mse),
            {
                "peak_not_squared": 10 * log10(peak / mse),
                "factor_20": 20 * log10(peak**2 / mse),
                "mse_for_rmse": 20 * log10(peak / mse),
                "natural": 10 * log(peak**2 / mse),
                "base_2": 10 * log2(peak**2 / mse),
                "factor_missing": log10(peak**2 / mse),
                "inverted": -10 * log10(peak**2 / mse),
                "sum": 10 * log10(peak**2 / (mse * image.size)),
                "absolute": 20 * log10(peak / float(np.abs(difference).mean())),
                "brightest": 10 * log10(bright**2 / mse),
                "always_255": 10 * log10(255**2 / mse),
                "always_1": 10 * log10(1 / mse),
            },
        )
    image, reference = np.array([[0, 255, 9], [20, 255, 90]], np.uint8)
    expected = 10 * log10(255**2 / float(np.square(image.astype(float) - reference).mean()))
    wrapped = 10 * log10(255**2 / float(np.square(image - reference).mean()))
    psnr.compare(psnr(image, reference, 255), expected, {"bytes": wrapped})
    for decibel, peak in ((27.3, 255.0), (32.83, 255.0), (32.83, 1.0), (10.0, 4095.0), (0.0, 255.0)):
        rmse = peak * 10 ** (-decibel / 20)
        rmse_from_psnr.compare(
            rmse_from_psnr(decibel, peak),
            rmse,
            {
                "mse": rmse**2,
                "exponent_of_mse": peak * 10 ** (-decibel / 10),
                "exponent_sign": peak * 10 ** (decibel / 20),
                "no_peak": 10 ** (-decibel / 20),
                "root_of_peak": sqrt(peak) * 10 ** (-decibel / 20),
                "powers_of_e": peak * np.exp(-decibel / 20),
            },
        )
