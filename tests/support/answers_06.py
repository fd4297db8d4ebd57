"""Right and wrong answers to the exercises of lesson 06, as students would write them."""

import math

import numpy as np
import torch

# The right answers, as a student would write them


def optimal_discriminator(real, fake):
    both = real + fake
    return torch.where(both > 0, real / both, 0.5)


def game_value(real, fake, width):
    best = optimal_discriminator(real, fake)
    return (torch.xlogy(real, best) + torch.xlogy(fake, 1 - best)).sum() * width


def psnr(image, reference, peak):
    mse = np.square(image - reference).mean()
    return float(10 * np.log10(peak**2 / mse)) if mse > 0 else math.inf


def rmse_from_psnr(psnr, peak):
    return peak * 10 ** (-psnr / 20)


RIGHT = {
    "optimal_discriminator": [optimal_discriminator, game_value],
    "psnr_rmse": [psnr, rmse_from_psnr],
}


# Other right answers


def by_places(real, fake, width):
    total = 0.0
    for r, f in zip(real.tolist(), fake.tolist()):
        total += r * math.log(r / (r + f)) if r > 0 else 0
        total += f * math.log(f / (r + f)) if f > 0 else 0
    return total * width


def by_rmse(image, reference, peak):
    rmse = np.sqrt(((image - reference) ** 2).mean())
    return np.inf if rmse == 0 else 20 * np.log10(peak / rmse)


OTHER = [
    ("optimal_discriminator", [lambda r, f: torch.nan_to_num(r / (r + f), nan=0.5), by_places]),
    ("psnr_rmse", [by_rmse, lambda psnr, peak: math.sqrt(peak**2 / 10 ** (psnr / 10))]),
]


# Wrong answers, and what the check must say to them


def best(function):
    return [function, game_value]


def value(function):
    return [optimal_discriminator, function]


def log_terms(real, fake):
    d = optimal_discriminator(real, fake)
    return torch.xlogy(real, d), torch.xlogy(fake, 1 - d)


def from_mse(formula):
    """A `psnr` with another formula of peak and MSE."""
    return [lambda a, b, peak: math.inf if (a == b).all() else formula(peak, float(((a - b) ** 2).mean())), back]


back = rmse_from_psnr
WRONG = [
    ("optimal_discriminator", best(lambda r, f: optimal_discriminator(f, r)), "real and fake are swapped"),
    ("optimal_discriminator", best(lambda r, f: r / f), "the ratio of the densities"),
    ("optimal_discriminator", best(lambda r, f: (r / f).log()), "this is the logit"),
    ("optimal_discriminator", best(lambda r, f: (r - f).sigmoid()), "the sigmoid of the difference"),
    ("optimal_discriminator", best(lambda r, f: (r > f).float()), "that is the decision"),
    ("optimal_discriminator", best(lambda r, f: r / (r + f)), "without any density there (0 / 0) it is 0.5"),
    ("optimal_discriminator", best(lambda r, f: torch.nan_to_num(r / (r + f))), "it is 0.5, not 0"),
    ("optimal_discriminator", best(lambda r, f: r / (r + f + 1e-3)), "expected: "),
    ("optimal_discriminator", value(lambda r, f, w: game_value(r, f, 1.0)), "the width is missing"),
    ("optimal_discriminator", value(lambda r, f, w: game_value(r, f, w) / len(r)), "the mean over places"),
    ("optimal_discriminator", value(lambda r, f, w: game_value(r, f, w) / math.log(2)), "base 2"),
    ("optimal_discriminator", value(lambda r, f, w: -game_value(r, f, w)), "one minus sign too many"),
    ("optimal_discriminator", value(lambda r, f, w: w * log_terms(r, f)[0].sum()), "the term of the fake density"),
    ("optimal_discriminator", value(lambda r, f, w: w * log_terms(r, f)[1].sum()), "the term of the real density"),
    (
        "optimal_discriminator",
        value(lambda r, f, w: w * torch.xlogy(r + f, optimal_discriminator(r, f)).sum()),
        "log D counts for both",
    ),
    (
        "optimal_discriminator",
        value(lambda r, f, w: w * (optimal_discriminator(r, f).log() + (1 - optimal_discriminator(r, f)).log()).sum()),
        "every place counts by its density",
    ),
    (
        "optimal_discriminator",
        value(lambda r, f, w: w * (r * (r / (r + f)).log() + f * (f / (r + f)).log()).sum()),
        "0 log 0 counts 0",
    ),
    ("psnr_rmse", from_mse(lambda peak, mse: 10 * math.log10(peak / mse)), "the peak is squared"),
    ("psnr_rmse", from_mse(lambda peak, mse: 20 * math.log10(peak**2 / mse)), "10 log10 with the MSE"),
    ("psnr_rmse", from_mse(lambda peak, mse: 20 * math.log10(peak / mse)), "the root of the MSE is missing"),
    ("psnr_rmse", from_mse(lambda peak, mse: 10 * math.log(peak**2 / mse)), "the natural logarithm"),
    ("psnr_rmse", from_mse(lambda peak, mse: 10 * math.log2(peak**2 / mse)), "the logarithm of base 2"),
    ("psnr_rmse", from_mse(lambda peak, mse: math.log10(peak**2 / mse)), "the factor 10 is missing"),
    ("psnr_rmse", from_mse(lambda peak, mse: 10 * math.log10(mse / peak**2)), "upside down"),
    ("psnr_rmse", from_mse(lambda peak, mse: 10 * math.log10(1 / mse)), "the peak is always 1"),
    ("psnr_rmse", [lambda a, b, p: psnr(a, b, 255), back], "the peak is always 255"),
    ("psnr_rmse", [lambda a, b, p: psnr(a, b, a.max()), back], "not the brightest pixel"),
    ("psnr_rmse", [lambda a, b, p: psnr(a, b, p) if (a == b).all() else 20 * np.log10(p / abs(a - b).mean()), back],
     "take squares"),
    ("psnr_rmse", [lambda a, b, p: psnr(a, b, p) - (10 * np.log10(a.size)), back], "the sum of the squares"),
    ("psnr_rmse", [lambda a, b, p: psnr(a, b, p) if (a != b).any() else 100.0, back], "their PSNR is infinite"),
    ("psnr_rmse", [psnr, lambda db, p: p**2 * 10 ** (-db / 10)], "this is the MSE"),
    ("psnr_rmse", [psnr, lambda db, p: p * 10 ** (-db / 10)], "the exponent is -PSNR / 20"),
    ("psnr_rmse", [psnr, lambda db, p: p * 10 ** (db / 20)], "lacks its minus sign"),
    ("psnr_rmse", [psnr, lambda db, p: 10 ** (-db / 20)], "multiply by the peak"),
    ("psnr_rmse", [psnr, lambda db, p: math.sqrt(p) * 10 ** (-db / 20)], "the root of the peak"),
    ("psnr_rmse", [psnr, lambda db, p: p * math.exp(-db / 20)], "e to the power"),
]  # fmt: skip
