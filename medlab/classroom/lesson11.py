"""Exercises of lesson 11: temperature scaling, one conformal threshold per class."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from medlab.classroom.exercises import Attempt, exercise


@exercise
def temperature(temperature: Attempt) -> None:
    """Write ``temperature(logits, targets)``: the best temperature for validation cases, a float.

    `logits` ``(N, K)`` and `targets` ``(N,)`` are NumPy arrays. Divided by a temperature T, the logits give the
    probabilities ``softmax(logits / T)``; the best T has the smallest mean of ``-log(probability of the target)``. In
    every case it lies between 0.1 and 10; within 2 % of it is right, so trying many T will do. Two logits ``[2, 0]``
    each, of which the first class is right in 3 of 4 cases, have T = 2 / log(3) = 1.82: 75 % sure, and 75 % right.
    """
    rng = np.random.default_rng(0)
    cases = [(np.tile([2.0, 0.0], (4, 1)), np.array([0, 0, 0, 1]))]
    drawn = [(200, 2, 3.0, 1.5), (150, 4, 0.5, 1.5), (300, 3, 1.0, 1.5), (80, 2, 6.0, 1.5)]
    drawn += [(1000, 2, 9.0, 0.5), (300, 2, 0.11, 1.5)]  # near both ends
    for n, k, factor, spread in drawn:
        logits = rng.normal(0, spread, (n, k))
        targets = np.array([rng.choice(k, p=p) for p in softmax(logits, 1)])
        cases.append((logits * factor, targets))
    for logits, targets in cases:
        probs = softmax(logits, 1)
        best = _best(lambda t, a=logits, b=targets: _loss(a / t, b))
        temperature.compare(
            temperature(logits, targets),
            best,
            {
                "inverse": 1 / best,
                "softmax_first": _best(lambda t, a=probs, b=targets: _loss(a / t, b)),
                "without_targets": _best(lambda t, a=logits: _loss(a / t, a.argmax(1))),
                "not_fitted": 1.0,
                "logarithm": np.log(best),
            },
            tolerance=0.02,
        )


def _loss(logits: np.ndarray, targets: np.ndarray) -> float:
    return float(-log_softmax(logits, 1)[np.arange(len(targets)), targets].mean())


def _best(loss: Callable[..., float]) -> float:
    return float(np.exp(minimize_scalar(lambda log_t: loss(np.exp(log_t)), bounds=(-4, 4), method="bounded").x))


@exercise
def class_thresholds(class_thresholds: Attempt) -> None:
    """Write ``class_thresholds(probs, targets, kept)``: conformal thresholds, one for each class.

    `probs` ``(N, K)`` and `targets` ``(N,)`` are NumPy arrays of validation cases, `kept` the share that is promised to
    each class. The threshold of class k is the largest that the probability of k reaches in at least ``kept * (n + 1)``
    of the n cases *of class k*. Where that would be more than n cases, it is 0. The answer is an array ``(K,)``. For
    ``[[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]]``, targets ``[0, 0, 0, 1]`` and kept 0.5 it is ``[0.7, 0.8]``.
    """
    rng = np.random.default_rng(0)
    cases = [(np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]]), np.array([0, 0, 0, 1]), 0.5)]
    for n, k, kept, few in ((80, 2, 0.9, 12), (150, 3, 0.8, 9), (120, 4, 0.85, 15), (60, 2, 0.9, 7)):
        probs = softmax(rng.normal(0, 1.5, (n, k)), 1)
        targets = np.concatenate([np.full(few, k - 1), rng.integers(0, k - 1, n - few)])
        order = rng.permutation(n)
        cases.append((probs[order], targets[order], kept))
    for probs, targets, kept in cases:
        classes = range(probs.shape[1])
        own = [probs[targets == k, k] for k in classes]
        called = [probs[probs.argmax(1) == k, k] for k in classes]
        of_truth = probs[np.arange(len(targets)), targets]
        class_thresholds.compare(
            class_thresholds(probs, targets, kept),
            _each(own, kept),
            {
                "single": _each([of_truth for _ in classes], kept),
                "all_cases": _each([probs[:, k] for k in classes], kept),
                "by_predicted": _each([p if len(p) else np.zeros(1) for p in called], kept),
                "other_end": np.array([np.sort(p)[min(_rank(p, kept), len(p)) - 1] for p in own]),
                "new_case": np.array([np.sort(p)[::-1][int(np.ceil(len(p) * kept - 1e-9)) - 1] for p in own]),
                "quantile": np.array([np.quantile(p, 1 - kept) for p in own]),
                "too_few": np.array([np.sort(p)[::-1][min(_rank(p, kept), len(p)) - 1] for p in own]),
            },
        )


def _rank(cases: np.ndarray, kept: float) -> int:
    return int(np.ceil((len(cases) + 1) * kept - 1e-9))


def _each(groups: list[np.ndarray], kept: float) -> np.ndarray:
    ranks = [_rank(cases, kept) for cases in groups]
    return np.array([np.sort(p)[::-1][r - 1] if r <= len(p) else 0.0 for p, r in zip(groups, ranks)])
