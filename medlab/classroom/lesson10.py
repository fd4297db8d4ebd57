"""Exercises of lesson 10: membership inference, coverage of prediction sets."""

import numpy as np
from scipy.special import softmax

from medlab.classroom.exercises import Attempt, exercise


@exercise
def membership(membership: Attempt) -> None:
    """Write ``membership(members, others)``: AUC of a membership inference attack, 0 to 1.

    `members` ``(N,)`` and `others` ``(M,)`` are NumPy arrays: the distance of each image to the nearest generated one.
    The answer is the AUC of the attack "close, so a member": the share of all N * M pairs of a member and another image
    in which the member has the *smaller* distance; a pair of equal distances counts one half. 0.5 is guessing. For
    ``[1, 2]`` and ``[2, 3]`` three pairs are right and one is equal: 3.5 / 4 = 0.875.
    """
    rng = np.random.default_rng(0)
    # the example of the text comes second: in the first, no two mistakes give the same
    cases = [(np.array([3.0, 4.0]), np.array([1.0, 2.0, 4.0])), (np.array([1.0, 2.0]), np.array([2.0, 3.0]))]
    for n, m, shift in ((5, 9, 0.5), (30, 12, 1.0), (40, 40, 0.0), (20, 50, -0.6)):
        members, others = rng.gamma(2, 1, n), rng.gamma(2, 1, m) + shift
        cases.append((np.maximum(members, 0).round(1), np.maximum(others, 0).round(1)))  # with ties
    for members, others in cases:
        gap = others[None, :] - members[:, None]
        closer, ties = (gap > 0).mean(), (gap == 0).mean()
        middle = np.median(np.concatenate([members, others]))
        membership.compare(
            membership(members, others),
            float(closer + ties / 2),
            {
                "inverted": 1 - closer - ties / 2,
                "ties_as_zero": closer,
                "ties_as_one": closer + ties,
                "one_by_one": _one_by_one(members, others),
                "accuracy": ((members < middle).sum() + (others >= middle).sum()) / (len(members) + len(others)),
                "means": others.mean() - members.mean(),
                "percent": 100 * (closer + ties / 2),
            },
        )


def _one_by_one(members: np.ndarray, others: np.ndarray) -> float:
    n = min(len(members), len(others))
    return float((members[:n] < others[:n]).mean() + (members[:n] == others[:n]).mean() / 2)


@exercise
def coverage(coverage: Attempt) -> None:
    """Write ``coverage(probs, targets, threshold)``: coverage of prediction sets, overall and by class.

    `probs` ``(N, K)`` and `targets` ``(N,)`` are NumPy arrays. The prediction set of a case holds every class with a
    probability of at least `threshold`. The answer is an array ``(1 + K,)``: first the share of all cases whose set
    holds the true class, then that share among the cases of class 0, 1, ... (each is there). For probabilities
    ``[[0.9, 0.1], [0.6, 0.4], [0.7, 0.3]]``, targets ``[0, 1, 1]`` and threshold 0.35 it is ``[0.667, 1, 0.5]``.
    """
    rng = np.random.default_rng(0)
    # the example of the text comes second: in the first, both classes are predicted
    cases = [(np.array([[0.9, 0.1], [0.6, 0.4], [0.45, 0.55], [0.25, 0.75]]), np.array([0, 1, 1, 0]), 0.3)]
    cases += [(np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3]]), np.array([0, 1, 1]), 0.35)]
    for n, k, rank in ((60, 2, 10), (90, 3, 25), (120, 4, 12), (80, 2, 50)):
        probs = softmax(rng.normal(0, 1.5, (n, k)), 1)
        targets = np.concatenate([np.arange(k), rng.choice(k, n - k, p=rng.dirichlet(3 * np.ones(k)))])
        of_truth = np.sort(probs[np.arange(n), targets])  # a threshold is one of these, as conformal ones are
        cases.append((probs, targets, float(of_truth[rank])))
    for probs, targets, threshold in cases:
        held = probs[np.arange(len(targets)), targets] >= threshold
        by_class = [held[targets == k].mean() for k in range(probs.shape[1])]
        predicted = probs.argmax(1)
        single = (probs >= threshold).sum(1) == 1
        coverage.compare(
            coverage(probs, targets, threshold),
            np.array([held.mean(), *by_class]),
            {
                "mean_of_classes": np.array([np.mean(by_class), *by_class]),
                "above": _rates(probs[np.arange(len(targets)), targets] > threshold, targets, probs.shape[1]),
                "accuracy": _rates(predicted == targets, targets, probs.shape[1]),
                "single": _rates(single, targets, probs.shape[1]),
                "by_predicted": _rates(held, predicted, probs.shape[1]),
                "percent": 100 * np.array([held.mean(), *by_class]),
            },
        )


def _rates(held: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    return np.array(
        [held.mean(), *(held[classes == k].mean() if (classes == k).any() else np.nan for k in range(count))]
    )
