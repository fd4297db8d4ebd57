"""Right and wrong answers to the exercises of lesson 07, as students would write them."""

import torch
from scipy.stats import norm

from medlab import metrics
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


OTHER = [
    ("wasserstein_critic", [lambda real, fake: -(real.mean() - fake.mean()), by_minimum]),
    ("wasserstein_critic", [course_loss, lambda weights, limit: tuple(torch.clip(w, -limit, limit) for w in weights)]),
    ("mode_count", [lambda p, c, radius, least: metrics.modes_covered(p, c, radius, least).covered]),
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
