"""Exercises of lesson 07: loss and weight clipping of a Wasserstein critic, covered modes, d' from a table."""

from itertools import product

import numpy as np
import torch
from scipy.special import ndtr, ndtri

from medlab.classroom.exercises import Attempt, exercise


@exercise
def wasserstein_critic(critic_loss: Attempt, clip_weights: Attempt) -> None:
    """Write ``critic_loss(real_scores, fake_scores)`` and ``clip_weights(weights, limit)``: WGAN's critic.

    `real_scores` ``(N,)`` and `fake_scores` ``(M,)`` are the critic's scores of both batches. Its mean score of real
    images should be as far as possible above its mean score of fakes; the loss is what it *minimizes* for that, a
    tensor without axes through which gradients flow. There is no sigmoid and no logarithm. `weights` is a list of
    tensors; the answer is a list of tensors of the same shapes in which every value outside ``[-limit, limit]`` is
    replaced by the nearer end, the others are as they were. For real ``[1.0, 3.0]`` and fake ``[0.5]`` the loss is
    ``0.5 - 2.0 = -1.5``; ``[0.02, -0.5, 0.004]`` clipped at 0.01 is ``[0.01, -0.01, 0.004]``.
    """
    generator = torch.Generator().manual_seed(0)
    cases = [(torch.tensor([0.5, -1.0, 2.0]), torch.tensor([0.3, -1.1]))]  # no two mistakes agree on it
    cases += [(torch.tensor([1.0, 3.0]), torch.tensor([0.5])), (torch.tensor([-2.0, 0.5]), torch.tensor([1.5]))]
    for n, m in ((4, 4), (6, 2), (1, 5), (32, 32)):
        cases.append((1 + 2 * torch.randn(n, generator=generator), 3 * torch.randn(m, generator=generator) - 1))
    for real, fake in cases:
        gap = real.mean() - fake.mean()
        critic_loss.compare(
            critic_loss(real, fake),
            -gap,
            {
                "sign": gap,
                "sums": fake.sum() - real.sum(),
                "absolute": -gap.abs(),
                "square": -gap.square(),
                "sigmoid": fake.sigmoid().mean() - real.sigmoid().mean(),
                "cross_entropy": -real.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean(),
                "generator_loss": -fake.mean(),
                "fake_missing": -real.mean(),
                "halved": -gap / 2,
            },
        )
    critic_loss.check_gradient(torch.tensor([0.5, -1.0], requires_grad=True), torch.tensor([0.2]))
    lists = [([torch.tensor([0.02, -0.5, 0.004])], 0.01)]
    for limit in (0.01, 0.5):
        shapes = ((3, 2, 4, 4), (5,), (2, 7))
        lists.append(([3 * limit * torch.randn(shape, generator=generator) for shape in shapes], limit))
    for weights, limit in lists:
        got = clip_weights(weights, limit)
        if not isinstance(got, list | tuple) or len(got) != len(weights):
            clip_weights.wrong(got, f"a list of {len(weights)} tensors", "count")
        for part, weight in zip(got, weights):
            clip_weights.compare(
                part,
                weight.clamp(-limit, limit),
                {
                    "upper_only": weight.clamp(max=limit),
                    "lower_only": weight.clamp(min=-limit),
                    "positive_only": weight.clamp(0, limit),
                    "not_clipped": weight,
                    "scaled": weight * limit / weight.abs().max(),
                    "zeroed": weight * (weight.abs() <= limit),
                    "signs": limit * weight.sign(),
                },
            )


@exercise
def mode_count(mode_count: Attempt) -> None:
    """Write ``mode_count(points, centers, radius, least)``: how many modes of a mixture a generator covers (an int).

    `points` ``(N, 2)`` and `centers` ``(M, 2)`` are tensors. A point belongs to the center nearest to it if it lies
    within `radius` of it, the border included, else to none. A mode is covered if the points that belong to it are at
    least the share `least` of *all* N points. Example: centers ``(0, 0)`` and ``(1, 0)``, radius 0.2; of four points at
    ``(0, 0.1)``, ``(0, -0.1)``, ``(0.5, 0)`` and ``(0.9, 0)``, two belong to the first mode and one to the second: with
    `least` 0.25 both are covered, with 0.3 one is.
    """
    generator = torch.Generator().manual_seed(0)
    small = torch.tensor([[0.0, 0.1], [0.0, -0.1], [0.5, 0.0], [0.9, 0.0]])
    pair = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    tenths = [(15, 2), (14, 19), (16, 4), (18, 3), (7, 5), (9, 2), (17, 14), (15, 3), (6, 8), (4, 1), (3, 6), (18, 19)]
    seven = [(16, 6), (18, 14), (14, 2), (6, 14), (4, 6), (6, 8), (4, 4)]
    cases = [(torch.tensor(tenths) / 10, torch.tensor(seven) / 10, 0.4, 0.2)]  # no two mistakes agree on it
    cases += [(small, pair, 0.2, 0.25), (small, pair, 0.2, 0.3), (small, pair, 0.05, 0.25)]
    angle = torch.arange(8) * torch.pi / 4
    ring = torch.stack([angle.cos(), angle.sin()], 1)
    for share, spread, least in product((1.0, 0.5), (0.02, 0.08), (0.012, 0.06)):
        n = 200
        drop = torch.randint(8, (3,), generator=generator)
        weights = torch.ones(8).index_fill(0, drop[:1], 0.0).index_fill(0, drop[1:], 0.06)
        at = ring[torch.multinomial(weights, n, True, generator=generator)]
        points = at + spread * torch.randn(n, 2, generator=generator)
        stray = torch.rand(n, generator=generator) > share
        points[stray] = 3 * torch.rand(int(stray.sum()), 2, generator=generator) - 1.5
        cases.append((points, ring, 3 * 0.02, least))
    close = torch.tensor([[0.0, 0.0], [0.3, 0.0]])  # their circles overlap
    cases.append((torch.tensor([[0.12, 0.0]] * 8 + [[0.3, 0.0]] * 2), close, 0.2, 0.5))
    cases.append((torch.tensor([[3.0, 4.0], [20.0, 0.0]]), torch.tensor([[0.0, 0.0], [20.0, 0.0]]), 5.0, 0.5))  # border
    for points, centers, radius, least in cases:
        distance = (points[:, None] - centers).square().sum(2).sqrt()
        nearest = distance == distance.amin(1, keepdim=True)
        everywhere = torch.bincount(distance.argmin(1), minlength=len(centers)) / len(points)
        held = (nearest & (distance <= radius)).sum(0)
        mode_count.compare(
            mode_count(points, centers, radius, least),
            int((held / len(points) >= least).sum()),
            {
                "radius_unused": int((everywhere >= least).sum()),
                "one_point": int((held > 0).sum()),
                "share_of_near": int((held / max(int(held.sum()), 1) >= least).sum()),
                "two_centers": int(((distance <= radius).float().mean(0) >= least).sum()),
                "points": int(held.sum()),
                "missing": int((held / len(points) < least).sum()),
                "radius_not_squared": int(((nearest & (distance**2 <= radius)).float().mean(0) >= least).sum()),
            },
        )


@exercise
def d_prime(d_prime: Attempt) -> None:
    """Write ``d_prime(real_as_real, real_as_synth, synth_as_real, synth_as_synth)``: d' of a visual Turing test.

    The four arguments are whole numbers: how many real images the rater judged real and synthetic, and how many
    synthetic images. A *hit* is a synthetic image judged synthetic, a *false alarm* a real image judged synthetic; with
    z the quantile function of the normal distribution (``scipy.stats.norm.ppf``), ``d' = z(hit rate) - z(false alarm
    rate)``, a number. A rate of 0 or 1 has no finite quantile: of N images it counts as ``1 / 2N`` or ``1 - 1 / 2N``.
    For 26, 24, 6 and 44 the rates are 0.88 and 0.48 and d' is 1.23.
    """
    rng = np.random.default_rng(0)
    cases = [(26, 24, 6, 44), (40, 10, 25, 25), (24, 26, 3, 47), (30, 20, 12, 8)]
    cases += [tuple(rng.integers(2, 40, 4).tolist()) for _ in range(12)]
    cases += [(50, 0, 10, 40), (12, 8, 0, 30), (0, 20, 5, 5), (20, 0, 0, 20)]
    for counts in cases:
        a, b, c, d = counts
        real, synth = a + b, c + d
        hits, alarms = d / synth, b / real
        ends = 0 in counts
        z_hit, z_alarm = _quantile(hits, synth), _quantile(alarms, real)
        expected, right = z_hit - z_alarm, (a + d) / (real + synth)
        of_all = _quantile(d / (real + synth), real + synth) - _quantile(b / (real + synth), real + synth)
        of_judged = _quantile(d / max(b + d, 1), b + d) - _quantile(c / max(a + c, 1), a + c)
        mistakes = {
            "sign": -expected,
            "accuracy": right,
            "rates": hits - alarms,
            "cdf": float(ndtr(hits) - ndtr(alarms)),
            "z_of_accuracy": _quantile(right, real + synth),
            "criterion": -(z_hit + z_alarm) / 2,
            "sum": z_hit + z_alarm,
            "share_of_all": of_all,
            "share_of_answers": of_judged,
            "halved": expected / 2,
        }
        if ends:
            mistakes = {
                "n_of_all": _quantile(hits, real + synth) - _quantile(alarms, real + synth),
                "log_linear": float(ndtri((d + 0.5) / (synth + 1)) - ndtri((b + 0.5) / (real + 1))),
            }
        got = d_prime(*counts)
        if ends and isinstance(got, float | np.floating) and not np.isfinite(got):
            d_prime.wrong(got, expected, "infinite")
        d_prime.compare(got, expected, mistakes, tolerance=1e-4)


def _quantile(rate: float, n: int) -> float:
    end = 1 / (2 * max(n, 1))
    return float(ndtri(min(max(rate, end), 1 - end)))
