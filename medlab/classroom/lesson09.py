"""Exercises of lesson 09: minibatch discrimination, inception score, exact binomial test."""

import math

import numpy as np
import torch
from scipy.special import entr, rel_entr
from scipy.stats import binom, norm

from medlab.classroom.exercises import Attempt, exercise


@exercise
def minibatch_discrimination(closeness: Attempt) -> None:
    """Write ``closeness(matrices)``: how close each image of a batch is to the others, in B ways.

    `matrices` ``(N, B, C)`` is a tensor: image i has a matrix of B rows of C numbers. The answer ``(N, B)`` is a tensor
    with ``o[i, b] = sum over j of exp(-d)``, where d is the sum over C of ``|matrices[i, b] - matrices[j, b]|``; the
    sum runs over all images of the batch, i itself among them. No loop over images is needed. For two images with one
    row of one number, 0 and 0.7, it is ``1 + exp(-0.7) = 1.497`` for both.
    """
    generator = torch.Generator().manual_seed(0)
    cases = [torch.tensor([[[0.0]], [[0.7]], [[2.0]]]), torch.tensor([[[0.0]], [[0.7]]])]
    for shape in ((4, 3, 2), (3, 3, 3), (6, 2, 5), (1, 4, 3), (8, 5, 1)):
        cases.append(torch.randn(shape, generator=generator))
    cases.append(torch.randn(1, 3, 2, generator=generator).repeat(5, 1, 1))  # all alike
    for matrices in cases:
        apart = (matrices[:, None] - matrices).abs()  # (N, N, B, C)
        near = torch.exp(-apart.sum(3))  # (N, N, B)
        own, rows = near.sum(1), matrices.flatten(1)
        one_for_all = torch.exp(-(rows[:, None] - rows).abs().sum(2)).sum(1)
        closeness.compare(
            closeness(matrices),
            own,
            {
                "without_itself": own - 1,
                "mean_over_batch": own / len(matrices),
                "sign": torch.exp(apart.sum(3)).sum(1),
                "squared": torch.exp(-apart.square().sum(3)).sum(1),
                "euclidean": torch.exp(-apart.square().sum(3).sqrt()).sum(1),
                "mean_over_c": torch.exp(-apart.mean(3)).sum(1),
                "distances": apart.sum((1, 3)),
                "exp_first": torch.exp(-apart).sum((1, 3)),
                "one_distance": one_for_all[:, None].expand_as(own),
                "not_summed": near,
                "transposed": own.T,
                "summed_over_b": near.sum((1, 2)),
            },
        )


@exercise
def inception_score(inception_score: Attempt) -> None:
    """Write ``inception_score(probs)``: the exponential of the mean KL divergence of the rows from their mean.

    `probs` ``(N, K)`` is a NumPy array of probabilities, one row per image. With m the mean of all rows, the answer is
    the number ``exp(mean over rows p of sum over k of p_k log(p_k / m_k))``, natural logarithm; 0 log 0 is 0. It lies
    between 1 and K. For the rows ``[1, 0]`` and ``[0.5, 0.5]``, m is ``[0.75, 0.25]``, the two divergences are 0.288
    and 0.144, and the score is ``exp(0.216) = 1.241``.
    """
    rng = np.random.default_rng(0)
    cases = [rng.dirichlet(np.ones(4) * 0.3, 7), np.array([[1.0, 0.0], [0.5, 0.5]])]
    cases += [rng.dirichlet(rng.uniform(0.2, 2, classes), 20) for classes in (2, 3, 6)]
    cases += [np.eye(5)[np.arange(20) % 5], np.eye(5)[:1].repeat(4, 0), np.full((6, 3), 1 / 3)]
    for probs in cases:
        mean = probs.mean(0)
        terms = rel_entr(probs, mean)  # p log(p / m), where 0 log 0 is 0
        divergences, entropies = terms.sum(1), entr(probs).sum(1)
        expected = float(np.exp(divergences.mean()))
        got = inception_score(probs)
        if isinstance(got, float | np.floating) and math.isnan(got) and (probs == 0).any():
            inception_score.wrong(got, expected, "zero_log_zero")
        inception_score.compare(
            got,
            expected,
            {
                "no_exponential": divergences.mean(),
                "mean_of_exponentials": np.exp(divergences).mean(),
                "sum": np.exp(min(divergences.sum(), 700.0)),
                "mean_over_classes": np.exp(terms.mean()),
                "swapped": np.exp(rel_entr(mean, probs).sum(1).mean()),
                "base_2": np.exp(divergences.mean() / np.log(2)),
                "entropy_of_rows": np.exp(entropies.mean()),
                "entropy_of_mean": np.exp(entr(mean).sum()),
                "from_uniform": np.exp((np.log(probs.shape[1]) - entropies).mean()),
            },
            tolerance=1e-6,
        )


@exercise
def better_than_chance(p_value: Attempt) -> None:
    """Write ``p_value(right, n)``: the exact two-sided p-value against guessing.

    Of `n` images, as many real as synthetic, a rater judged `right` correctly. Who guesses is right with probability
    1/2 each time, so ``P(k right) = (n choose k) / 2^n``. The answer is the two-sided probability: the sum of P(k) over
    all k from 0 to n that are at least as far from n / 2 as `right` is. For 9 right of 10 it is that of 0, 1, 9 and 10:
    ``22 / 1024 = 0.0215``. It must hold for n up to 2000, where 2^n is too large for a float.
    """
    cases = [(1, 10), (9, 10), (7, 10), (5, 10), (10, 10), (17, 29), (12, 29), (177, 302), (60, 100), (61, 100)]
    cases += [(0, 1), (3, 7), (1048, 2000), (1100, 2000)]
    for right, n in cases:
        far = max(right, n - right)
        tail = float(binom.sf(far - 1, n, 0.5))
        expected = min(1.0, 2 * tail)
        p_value.compare(
            p_value(right, n),
            expected,
            {
                "one_sided": float(binom.sf(right - 1, n, 0.5)),
                "one_tail": tail,
                "upper_tail_twice": 2 * float(binom.sf(right - 1, n, 0.5)),
                "without_itself": 2 * float(binom.sf(far, n, 0.5)),
                "no_cap": 2 * tail,
                "this_result": float(binom.pmf(right, n, 0.5)),
                "normal": 2 * float(norm.sf(abs(right - n / 2) / (math.sqrt(n) / 2))),
                "complement": 1 - expected,
                "share": right / n,
            },
            tolerance=1e-7,
        )
