"""Right and wrong answers to the exercises of lesson 07, as students would write them."""

from collections import Counter
from statistics import NormalDist

import numpy as np
import torch
from scipy.spatial import KDTree
from scipy.special import erfinv
from scipy.stats import norm
from torch import nn
from torch.nn import functional as F

from medlab import metrics
from medlab.reader_study import turing_counts
from medlab.train.gan_losses import Batch, Wasserstein

# The right answers, as a student would write them


def critic_loss(real_scores, fake_scores):
    return fake_scores.mean() - real_scores.mean()


def clip_weights(weights, limit):
    return [weight.clamp(-limit, limit) for weight in weights]


def mode_count(points, centers, radius, least):
    distance, nearest = torch.cdist(points, centers, compute_mode="donot_use_mm_for_euclid_dist").min(1)
    held = torch.bincount(nearest[distance <= radius], minlength=len(centers))
    return int((held / len(points) >= least).sum())


def rate(count, n):
    return min(max(count / n, 1 / (2 * n)), 1 - 1 / (2 * n))


def d_prime(real_as_real, real_as_synth, synth_as_real, synth_as_synth):
    hits = rate(synth_as_synth, synth_as_real + synth_as_synth)
    false_alarms = rate(real_as_synth, real_as_real + real_as_synth)
    return float(norm.ppf(hits) - norm.ppf(false_alarms))


RIGHT = {"wasserstein_critic": [critic_loss, clip_weights], "mode_count": [mode_count], "d_prime": [d_prime]}


# Other right answers


def course_loss(real_scores, fake_scores):
    """The course's objective, with a critic that returns its input."""
    return Wasserstein().discriminator_loss(torch.nn.Identity(), Batch(real_scores), Batch(fake_scores))[0]


def by_minimum(weights, limit):
    bound = torch.tensor(limit)
    return [torch.minimum(torch.maximum(weight, -bound), bound) for weight in weights]


def score_by_score(real_scores, fake_scores):
    loss = 0
    for score in fake_scores:
        loss = loss + score / len(fake_scores)
    for score in real_scores:
        loss = loss - score / len(real_scores)
    return loss


def by_signs(real_scores, fake_scores):
    """The signs that DCGAN's labels become in many programs: 1 for real, -1 for fakes."""
    return -sum((sign * scores).mean() for sign, scores in ((1, real_scores), (-1, fake_scores)))


def in_one_product(real_scores, fake_scores):
    scores = torch.cat([fake_scores, real_scores])
    weights = [1 / len(fake_scores)] * len(fake_scores) + [-1 / len(real_scores)] * len(real_scores)
    return torch.tensor(weights) @ scores


class Loss(nn.Module):
    def forward(self, real, fake):
        return fake.double().sum() / fake.numel() - real.double().sum() / real.numel()


def in_a_loop(weights, limit):
    clipped = []
    for weight in weights:
        copy = weight.clone()
        copy[copy > limit] = limit
        copy[copy < -limit] = -limit
        clipped.append(copy)
    return clipped


def on_copies(weights, limit):
    parameters = [nn.Parameter(weight.clone()) for weight in weights]
    with torch.no_grad():
        for parameter in parameters:
            parameter.clamp_(-limit, limit)
    return parameters


def by_numpy(weights, limit):
    return [torch.from_numpy(np.clip(weight.numpy(), -limit, limit)) for weight in weights]


def by_sign(weights, limit):
    return [torch.sign(weight) * torch.min(weight.abs(), torch.full_like(weight, limit)) for weight in weights]


def by_where(weights, limit):
    return [
        torch.where(weight.abs() > limit, torch.copysign(torch.tensor(limit), weight), weight) for weight in weights
    ]


def all_at_once(weights, limit):
    flat = torch.cat([weight.flatten() for weight in weights]).clip(-limit, limit)
    parts = flat.split([weight.numel() for weight in weights])
    return [part.reshape(weight.shape) for part, weight in zip(parts, weights)]


def point_by_point(points, centers, radius, least):
    held = [0] * len(centers)
    for x, y in points.double().tolist():
        away = [np.hypot(x - a, y - b) for a, b in centers.double().tolist()]
        if min(away) <= radius:
            held[away.index(min(away))] += 1
    covered = 0
    for number in held:
        if number / len(points) >= least:
            covered += 1
    return covered


def squared(points, centers, radius, least):
    away = (points[:, None, :] - centers[None, :, :]).pow(2).sum(-1)
    near, which = away.min(dim=1)
    return sum(((which == k) & (near <= radius**2)).float().mean().item() >= least for k in range(len(centers)))


def counted_modes(points, centers, radius, least):
    away = np.linalg.norm(points.numpy()[:, None] - centers.numpy(), axis=2)
    held = Counter(away.argmin(1)[away.min(1) <= radius].tolist())
    return len([mode for mode, number in held.items() if number >= least * len(points)])


def by_tree(points, centers, radius, least):
    away, which = KDTree(centers.numpy()).query(points.numpy())
    shares = np.bincount(which[away <= radius], minlength=len(centers)) / len(points)
    return np.count_nonzero(shares >= least)


def by_one_hot(points, centers, radius, least):
    away = torch.stack([(points - center).norm(dim=1) for center in centers], 1)
    belongs = F.one_hot(away.argmin(1), len(centers)) * (away <= radius)
    return (belongs.float().mean(0) >= least).sum()


def strays_last(points, centers, radius, least):
    """A further mode for the points of none."""
    away = torch.cdist(points.double(), centers.double(), compute_mode="donot_use_mm_for_euclid_dist")
    which = torch.where(away.amin(1) > radius, len(centers), away.argmin(1))
    modes, counts = which.unique(return_counts=True)
    return int(((counts / len(points) >= least) & (modes < len(centers))).sum())


def by_statistics(real_as_real, real_as_synth, synth_as_real, synth_as_synth):
    z = NormalDist().inv_cdf

    def finite(count, n):
        if count == 0:
            return 1 / (2 * n)
        if count == n:
            return 1 - 1 / (2 * n)
        return count / n

    hits = finite(synth_as_synth, synth_as_real + synth_as_synth)
    return z(hits) - z(finite(real_as_synth, real_as_real + real_as_synth))


def by_table(real_as_real, real_as_synth, synth_as_real, synth_as_synth):
    table = np.array([[real_as_real, real_as_synth], [synth_as_real, synth_as_synth]], dtype=float)
    n = table.sum(axis=1)
    z = norm.ppf(np.clip(table[:, 1] / n, 1 / (2 * n), 1 - 1 / (2 * n)))
    return z[1] - z[0]


def with_half_an_image(real_as_real, real_as_synth, synth_as_real, synth_as_synth):
    """A rate of 0 is half an image of N, a rate of 1 all but half an image."""
    rates = []
    for right, wrong in ((synth_as_synth, synth_as_real), (real_as_synth, real_as_real)):
        rates.append(max(right, 0.5) / (right + wrong) if wrong else (right - 0.5) / right)
    return norm.isf(rates[1]) - norm.isf(rates[0])


def by_error_function(a, b, c, d):
    return float(2**0.5 * (erfinv(2 * rate(d, c + d) - 1) - erfinv(2 * rate(b, a + b) - 1)))


def by_torch(a, b, c, d):
    counts, n = torch.tensor([float(d), b]), torch.tensor([float(c + d), a + b])
    z = torch.special.ndtri(torch.minimum(torch.maximum(counts / n, 0.5 / n), 1 - 0.5 / n))
    return z[0] - z[1]


OTHER = [
    ("wasserstein_critic", [lambda real, fake: -(real.mean() - fake.mean()), by_minimum]),
    ("wasserstein_critic", [course_loss, lambda weights, limit: tuple(torch.clip(w, -limit, limit) for w in weights)]),
    ("wasserstein_critic", [score_by_score, in_a_loop]),
    ("wasserstein_critic", [by_signs, on_copies]),
    ("wasserstein_critic", [in_one_product, by_numpy]),
    ("wasserstein_critic", [Loss(), by_sign]),
    ("wasserstein_critic", [lambda real, fake: torch.mean(fake) + (-real).mean(), by_where]),
    ("wasserstein_critic", [lambda real, fake: (fake - real.mean()).mean(), all_at_once]),
    (
        "wasserstein_critic",
        [
            lambda real, fake: (fake[None] - real[:, None]).mean(),
            lambda weights, limit: [F.hardtanh(w, -limit, limit) for w in weights],
        ],
    ),
    ("mode_count", [point_by_point]),
    ("mode_count", [squared]),
    ("mode_count", [counted_modes]),
    ("mode_count", [by_tree]),
    ("mode_count", [by_one_hot]),
    ("mode_count", [strays_last]),
    ("mode_count", [lambda p, c, radius, least: metrics.modes_covered(p, c, radius, least).covered]),
    ("d_prime", [by_statistics]),
    ("d_prime", [by_table]),
    ("d_prime", [with_half_an_image]),
    ("d_prime", [by_error_function]),
    ("d_prime", [by_torch]),
    ("d_prime", [lambda *counts: turing_counts(*counts).d_prime.value]),
]


# Wrong answers, and what the check must say to them


def count(nearest=True, radius=True, share=len, least=lambda held, n, least: held / n >= least):
    """A `mode_count` with a mistake."""

    def wrong(points, centers, reach, part):
        distance = torch.cdist(points, centers)
        inside = distance <= reach if radius else torch.ones_like(distance).bool()
        if nearest:
            inside &= distance == distance.amin(1, keepdim=True)
        held = inside.sum(0)
        return int(least(held, share(points) if share is len else max(int(held.sum()), 1), part).sum())

    return wrong


def prime(hits=lambda a, b, c, d: rate(d, c + d), alarms=lambda a, b, c, d: rate(b, a + b), of=norm.ppf, sign=1):
    """A `d_prime` with a mistake."""
    return lambda *counts: float(sign * (of(hits(*counts)) - of(alarms(*counts))))


WRONG = [
    ("wasserstein_critic", [lambda real, fake: real.mean() - fake.mean(), clip_weights], "gets a minus"),
    ("wasserstein_critic", [lambda real, fake: fake.sum() - real.sum(), clip_weights], "take means"),
    ("wasserstein_critic", [lambda real, fake: -(real.mean() - fake.mean()).abs(), clip_weights], "no absolute value"),
    (
        "wasserstein_critic",
        [lambda real, fake: fake.sigmoid().mean() - real.sigmoid().mean(), clip_weights],
        "a score is no probability",
    ),
    (
        "wasserstein_critic",
        [lambda real, fake: -real.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean(), clip_weights],
        "DCGAN's discriminator",
    ),
    ("wasserstein_critic", [lambda real, fake: -fake.mean(), clip_weights], "the generator's loss"),
    ("wasserstein_critic", [lambda real, fake: -real.mean(), clip_weights], "are left out"),
    ("wasserstein_critic", [lambda real, fake: critic_loss(real, fake) / 2, clip_weights], "the half of it"),
    ("wasserstein_critic", [lambda real, fake: critic_loss(real, fake).item(), clip_weights], "not a torch tensor"),
    ("wasserstein_critic", [lambda real, fake: critic_loss(real, fake).detach(), clip_weights], "cut the gradient"),
    ("wasserstein_critic", [critic_loss, lambda weights, limit: weights], "nothing is clipped"),
    (
        "wasserstein_critic",
        [critic_loss, lambda weights, limit: clip_weights(weights, limit)[:1]],
        "one tensor for each",
    ),
    ("wasserstein_critic", [critic_loss, lambda ws, limit: [w.clamp(max=limit) for w in ws]], "large negative"),
    ("wasserstein_critic", [critic_loss, lambda ws, limit: [w.clamp(min=-limit) for w in ws]], "large positive"),
    ("wasserstein_critic", [critic_loss, lambda ws, limit: [w.clamp(0, limit) for w in ws]], "down to -limit"),
    ("wasserstein_critic", [critic_loss, lambda ws, limit: [limit * w.sign() for w in ws]], "only the signs"),
    ("wasserstein_critic", [critic_loss, lambda ws, limit: [w * (w.abs() <= limit) for w in ws]], "the nearer end"),
    ("wasserstein_critic", [critic_loss, lambda ws, limit: [w * limit / w.abs().max() for w in ws]], "scaled"),
    ("wasserstein_critic", [critic_loss, lambda ws, limit: [w.clamp_(-limit, limit) for w in ws]], "in place"),
    ("mode_count", [count(radius=False)], "belongs to none"),
    ("mode_count", [count(least=lambda held, n, least: held > 0)], "one point is not enough"),
    ("mode_count", [count(share=None)], "that of all points"),
    ("mode_count", [count(nearest=False)], "the nearer one only"),
    ("mode_count", [count(least=lambda held, n, least: held >= least)], "one point is not enough"),
    ("mode_count", [lambda p, c, r, s: len(c) - mode_count(p, c, r, s)], "that are missing"),
    ("mode_count", [lambda p, c, r, s: mode_count(p, c, r**0.5, s)], "square `radius` too"),
    ("mode_count", [lambda p, c, r, s: float(mode_count(p, c, r, s))], "not int"),
    ("d_prime", [prime(sign=-1)], "the sign"),
    ("d_prime", [lambda a, b, c, d: (a + d) / (a + b + c + d)], "that is the accuracy"),
    ("d_prime", [lambda a, b, c, d: d / (c + d) - b / (a + b)], "take their quantiles"),
    ("d_prime", [prime(of=norm.cdf)], "norm.cdf is its inverse"),
    ("d_prime", [lambda a, b, c, d: norm.ppf((a + d) / (a + b + c + d))], "z of the accuracy"),
    ("d_prime", [lambda a, b, c, d: norm.ppf(rate(d, c + d)) + norm.ppf(rate(b, a + b))], "the sum"),
    ("d_prime", [lambda a, b, c, d: -(norm.ppf(rate(d, c + d)) + norm.ppf(rate(b, a + b))) / 2], "the criterion"),
    ("d_prime", [prime(lambda a, b, c, d: d / (a + b + c + d), lambda a, b, c, d: b / (a + b + c + d))], "not of all"),
    (
        "d_prime",
        [prime(lambda a, b, c, d: d / (b + d), lambda a, b, c, d: c / (a + c))],
        "not by the answers of that kind",
    ),
    ("d_prime", [lambda *counts: d_prime(*counts) / 2], "the half of it"),
    ("d_prime", [prime(lambda a, b, c, d: d / (c + d), lambda a, b, c, d: b / (a + b))], "are infinite"),
    (
        "d_prime",
        [prime(lambda a, b, c, d: (d + 0.5) / (c + d + 1), lambda a, b, c, d: (b + 0.5) / (a + b + 1))],
        "expected: ",
    ),
]
