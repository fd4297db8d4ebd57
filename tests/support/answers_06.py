"""Right and wrong answers to the exercises of lesson 06, as students would write them."""

import math
from decimal import Decimal

import numpy as np
import torch
from scipy.special import xlogy
from torch import nn
from torch.nn import functional as F

from medlab.train import discriminator_bce, non_saturating_loss

# The right answers, as a student would write them


def optimal_discriminator(real, fake):
    both = real + fake
    return torch.where(both > 0, real / both, 0.5)


def game_value(real, fake, width):
    best = optimal_discriminator(real, fake)
    return (torch.xlogy(real, best) + torch.xlogy(fake, 1 - best)).sum() * width


def psnr(image, reference, peak):
    mse = np.square(image.astype(float) - reference).mean()
    return float(10 * np.log10(peak**2 / mse)) if mse > 0 else math.inf


def rmse_from_psnr(psnr, peak):
    return peak * 10 ** (-psnr / 20)


def discriminator_loss(discriminator, real, fake):
    on_real, on_fake = discriminator(real), discriminator(fake.detach())
    return -F.logsigmoid(on_real).mean() - F.logsigmoid(-on_fake).mean()


def generator_loss(discriminator, fake):
    return -F.logsigmoid(discriminator(fake)).mean()


RIGHT = {
    "optimal_discriminator": [optimal_discriminator, game_value],
    "gan_losses": [discriminator_loss, generator_loss],
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
    rmse = np.sqrt(((image - 1.0 * reference) ** 2).mean())
    return np.inf if rmse == 0 else 20 * np.log10(peak / rmse)


def in_numpy(real, fake):
    p, q = real.numpy(), fake.numpy()
    return torch.from_numpy(np.where(p + q > 0, p / np.maximum(p + q, 1e-12), 0.5))


def by_ratio(real, fake):
    """The sigmoid of the logarithm of the ratio."""
    return (real.log() - fake.log()).sigmoid().nan_to_num(0.5)


def by_index(real, fake):
    answer, some = 0.5 * torch.ones_like(real), (real > 0) | (fake > 0)
    answer[some] = real[some] / (real[some] + fake[some])
    return answer


def by_difference(real, fake):
    both = torch.where(real + fake == 0, torch.ones(()), real + fake)
    return 0.5 + 0.5 * (real - fake) / both


def of_lists(real, fake):
    return torch.tensor([0.5 if r == f == 0 else r / (r + f) for r, f in zip(real.tolist(), fake.tolist())])


def value_in_numpy(real, fake, width):
    p, q = real.double().numpy(), fake.double().numpy()
    d = in_numpy(real, fake).double().numpy()
    return width * np.sum(xlogy(p, d) + xlogy(q, 1 - d))


def value_by_divergence(real, fake, width):
    """Twice the Jensen-Shannon divergence less log 4, for densities of any sum."""
    middle = (real + fake) / 2
    apart = torch.xlogy(real, real) + torch.xlogy(fake, fake) - 2 * torch.xlogy(middle, middle)
    return (apart.sum() - math.log(2) * (real + fake).sum()) * width


def value_by_mask(real, fake, width):
    d = optimal_discriminator(real, fake)
    return width * ((real * d.log())[real > 0].sum() + (fake * (1 - d).log())[fake > 0].sum())


def value_by_zeros(real, fake, width):
    d = optimal_discriminator(real, fake)
    return torch.nansum(real * torch.log(d)).mul(width) + torch.nansum(fake * torch.log1p(-d)).mul(width)


def value_by_dot(real, fake, width):
    d = optimal_discriminator(real, fake).double()
    return float(real.double() @ d.clamp(min=1e-300).log() + fake.double() @ (1 - d).clamp(min=1e-300).log()) * width


def with_targets(loss):
    """Both losses as a comparison of logits with ones and zeros."""

    def of_discriminator(discriminator, real, fake):
        on_real, on_fake = discriminator(real), discriminator(fake.detach())
        return loss(on_real, torch.ones_like(on_real)) + loss(on_fake, torch.zeros_like(on_fake))

    def of_generator(discriminator, fake):
        logits = discriminator(fake)
        return loss(logits, torch.ones(len(logits)))

    return [of_discriminator, of_generator]


def by_softplus(discriminator, real, fake):
    return F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake.data)).mean()


def by_logaddexp(discriminator, real, fake):
    zero = torch.zeros(())
    with torch.no_grad():
        copy = fake.clone()
    return torch.logaddexp(zero, -discriminator(real)).mean() + torch.logaddexp(zero, discriminator(copy)).mean()


def in_one_pass(discriminator, real, fake):
    on_real, on_fake = discriminator(torch.cat([real, fake.detach()])).split([len(real), len(fake)])
    return -F.logsigmoid(on_real).mean() - F.logsigmoid(-on_fake).mean()


def image_by_image(discriminator, real, fake):
    on_real = sum(F.softplus(-discriminator(image[None])) for image in real) / len(real)
    on_fake = sum(F.softplus(discriminator(image[None])) for image in fake.detach()) / len(fake)
    return (on_real + on_fake).squeeze()


def generator_by_images(discriminator, fake):
    return torch.stack([F.softplus(-discriminator(image.unsqueeze(0))) for image in fake]).mean()


def generator_by_course(discriminator, fake):
    return non_saturating_loss(discriminator(fake))


def discriminator_by_course(discriminator, real, fake):
    return discriminator_bce(discriminator(real), discriminator(fake.detach()))


def in_double(discriminator, real, fake):
    """In double precision log(1 - D) is exact enough up to 36, so large logits are taken as they are."""
    wrong = torch.cat([-discriminator(real), discriminator(fake.detach())]).double()
    terms = torch.where(wrong > 30, wrong, torch.log1p(wrong.clamp(max=30).exp()))
    return terms[: len(real)].mean() + terms[len(real) :].mean()


def pixel_by_pixel(image, reference, peak):
    squares = [(a - b) ** 2 for a, b in zip(image.ravel().tolist(), reference.ravel().tolist())]
    mse = sum(squares) / len(squares)
    return math.inf if mse == 0 else 20 * math.log10(peak) - 10 * math.log10(mse)


def by_norm(image, reference, peak):
    norm = np.linalg.norm(np.float64(image).ravel() - reference.ravel())
    with np.errstate(divide="ignore"):
        return 10 * np.log10(peak**2 * image.size / np.float64(norm) ** 2)


def by_torch(image, reference, peak):
    mse = F.mse_loss(torch.from_numpy(image).double(), torch.from_numpy(reference).double())
    return 10 * torch.log10(peak**2 / mse)


def scaled_first(image, reference, peak):
    mse = np.mean((image / peak - reference / peak) ** 2)
    return float("inf") if mse == 0.0 else -10 * np.log10(mse)


def in_decimals(image, reference, peak):
    difference = np.asarray(image, float) - np.asarray(reference, float)
    mse = Decimal(float(np.var(difference) + np.mean(difference) ** 2))
    return Decimal("Infinity") if mse == 0 else 10 * (Decimal(peak) ** 2 / mse).log10()


def with_errstate(image, reference, peak):
    with np.errstate(divide="ignore"):
        return -20 * np.log10(np.sqrt(np.average(np.square(np.subtract(image, reference, dtype=float)))) / peak)


back_by = {
    "power": lambda psnr, peak: peak / 10 ** (psnr / 20),
    "root": lambda psnr, peak: np.sqrt(peak**2 * 10 ** (-psnr / 10)),
    "exponential": lambda psnr, peak: peak * np.exp(-psnr * np.log(10) / 20),
    "torch": lambda psnr, peak: peak * torch.tensor(10.0).pow(-psnr / 20),
    "hypot": lambda psnr, peak: float(np.hypot(peak * 10.0 ** (-psnr / 20), 0)),
    "decimals": lambda psnr, peak: Decimal(peak) * Decimal(10) ** (Decimal(-psnr) / 20),
}

OTHER = [
    ("optimal_discriminator", [lambda r, f: torch.nan_to_num(r / (r + f), nan=0.5), by_places]),
    ("optimal_discriminator", [in_numpy, value_in_numpy]),
    ("optimal_discriminator", [by_ratio, value_by_divergence]),
    ("optimal_discriminator", [of_lists, value_by_mask]),
    ("optimal_discriminator", [by_index, value_by_zeros]),
    ("optimal_discriminator", [by_difference, value_by_dot]),
    ("gan_losses", with_targets(F.binary_cross_entropy_with_logits)),
    ("gan_losses", with_targets(nn.BCEWithLogitsLoss())),
    ("gan_losses", [by_softplus, lambda discriminator, fake: F.softplus(-discriminator(fake)).mean()]),
    ("gan_losses", [by_logaddexp, generator_by_images]),
    ("gan_losses", [image_by_image, lambda d, fake: -nn.LogSigmoid()(d(fake)).sum() / len(fake)]),
    ("gan_losses", [discriminator_by_course, generator_by_course]),
    ("gan_losses", [in_one_pass, lambda d, fake: -d(fake).sigmoid().log().mean()]),  # exact enough down to -60
    ("gan_losses", [in_double, lambda d, fake: torch.logaddexp(torch.zeros(()), -d(fake)).mean()]),
    ("psnr_rmse", [by_rmse, lambda psnr, peak: math.sqrt(peak**2 / 10 ** (psnr / 10))]),
    ("psnr_rmse", [pixel_by_pixel, back_by["power"]]),
    ("psnr_rmse", [by_norm, back_by["root"]]),
    ("psnr_rmse", [by_torch, back_by["torch"]]),
    ("psnr_rmse", [scaled_first, back_by["exponential"]]),
    ("psnr_rmse", [in_decimals, back_by["decimals"]]),
    ("psnr_rmse", [with_errstate, back_by["hypot"]]),
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


def of_discriminator(function, *then):
    """A `discriminator_loss` of the logits with a mistake."""
    return [lambda d, real, fake: function(d(real), d(fake.detach())), *(then or (generator_loss,))]


def of_generator(function):
    return [discriminator_loss, lambda d, fake: function(d(fake))]


log = F.logsigmoid
back = rmse_from_psnr
WRONG = [
    ("gan_losses", of_discriminator(lambda a, b: -log(-a).mean() - log(b).mean()), "1 and 0 are swapped"),
    ("gan_losses", of_discriminator(lambda a, b: log(a).mean() + log(-b).mean()), "the minus sign is missing"),
    ("gan_losses", of_discriminator(lambda a, b: -log(a).mean()), "the generated images are left out"),
    ("gan_losses", of_discriminator(lambda a, b: -log(-b).mean()), "the real images are left out"),
    ("gan_losses", of_discriminator(lambda a, b: -(log(a).mean() + log(-b).mean()) / 2), "add both means"),
    ("gan_losses", of_discriminator(lambda a, b: -log(a).sum() - log(-b).sum()), "sums; take means"),
    ("gan_losses", of_discriminator(lambda a, b: -log(a).mean() - log(b).mean()), "both kinds are labeled real"),
    ("gan_losses", of_discriminator(lambda a, b: (1 - a.sigmoid()).mean() + b.sigmoid().mean()), "the logarithm is"),
    ("gan_losses", of_discriminator(lambda a, b: -log(a).mean() - (1 - log(b)).mean()), "1 - log D is not log(1 - D)"),
    ("gan_losses", of_discriminator(lambda a, b: -log(a.sigmoid()).mean() - log(-b.sigmoid()).mean()), "taken twice"),
    ("gan_losses", of_discriminator(lambda a, b: -a.sigmoid().log().mean() - (1 - b.sigmoid()).log().mean()), "logit"),
    ("gan_losses", of_discriminator(lambda a, b: discriminator_loss(lambda x: x, a, b).detach()), "cut the gradient"),
    (
        "gan_losses",
        [lambda d, real, fake: -log(d(real)).mean() - log(-d(fake)).mean(), generator_loss],
        "would learn to be found out: detach it",
    ),
    ("gan_losses", of_generator(lambda b: -log(-b).mean()), "this is the discriminator's term"),
    ("gan_losses", of_generator(lambda b: log(-b).mean()), "the saturating form"),
    ("gan_losses", of_generator(lambda b: log(b).mean()), "this rewards images that are found out"),
    ("gan_losses", of_generator(lambda b: -log(b).sum()), "the sum; take the mean"),
    ("gan_losses", of_generator(lambda b: -log(b.sigmoid()).mean()), "the sigmoid is taken twice"),
    ("gan_losses", [discriminator_loss, lambda d, fake: generator_loss(d, fake.detach())], "up to `fake`"),
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
    ("psnr_rmse", from_mse(lambda peak, mse: 10 * math.log10(peak**2 / mse)), "bytes wrap around"),
    ("psnr_rmse", [psnr, lambda db, p: p**2 * 10 ** (-db / 10)], "this is the MSE"),
    ("psnr_rmse", [psnr, lambda db, p: p * 10 ** (-db / 10)], "the exponent is -PSNR / 20"),
    ("psnr_rmse", [psnr, lambda db, p: p * 10 ** (db / 20)], "lacks its minus sign"),
    ("psnr_rmse", [psnr, lambda db, p: 10 ** (-db / 20)], "multiply by the peak"),
    ("psnr_rmse", [psnr, lambda db, p: math.sqrt(p) * 10 ** (-db / 20)], "the root of the peak"),
    ("psnr_rmse", [psnr, lambda db, p: p * math.exp(-db / 20)], "e to the power"),
]  # fmt: skip
