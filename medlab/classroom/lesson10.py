"""Exercises of lesson 10: membership inference, distances to training and held-out images."""

import numpy as np

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
def nearer_to_training(nearer_to_training: Attempt) -> None:
    """Write ``nearer_to_training(synthetic, training, held_out)``: how often it is nearer to training images.

    `synthetic` ``(N, P)``, `training` ``(M, P)`` and `held_out` ``(M, P)`` are NumPy arrays, an image in each row. The
    answer is the share of synthetic images whose nearest training image is nearer than their nearest held-out image, by
    Euclidean distance; equal distances count one half. For ``[[0], [5]]``, ``[[1], [9]]`` and ``[[3], [5]]`` it is 0.5.
    """
    rng = np.random.default_rng(0)
    column = np.array([[0.0], [5.0]]), np.array([[1.0], [9.0]]), np.array([[3.0], [5.0]])
    cases = [(np.array([[0.0], [6.0], [2.0]]), np.array([[1.0], [9.0]]), np.array([[3.0], [5.0]])), column]
    for n, m, pixels, copies in ((12, 5, 4, 0), (30, 8, 6, 12), (25, 6, 3, 5), (40, 4, 8, 20)):
        training, held_out = rng.integers(0, 4, (2, m, pixels)).astype(float)
        synthetic = rng.integers(0, 4, (n, pixels)).astype(float)
        synthetic[:copies] = training[rng.integers(0, m, copies)]
        cases.append((synthetic, training, held_out))
    for synthetic, training, held_out in cases:
        near, far = (_distances(synthetic, others) for others in (training, held_out))
        nearest, rival = near.min(1), far.min(1)
        share = (nearest < rival).mean() + (nearest == rival).mean() / 2
        nearer_to_training.compare(
            nearer_to_training(synthetic, training, held_out),
            float(share),
            {
                "inverted": 1 - share,
                "ties_as_zero": (nearest < rival).mean(),
                "ties_as_one": (nearest <= rival).mean(),
                "mean_distance": (near.mean(1) < far.mean(1)).mean() + (near.mean(1) == far.mean(1)).mean() / 2,
                "from_training": (near.min(0) < far.min(0)).mean() + (near.min(0) == far.min(0)).mean() / 2,
                "percent": 100 * share,
            },
        )


def _distances(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.sqrt(((images[:, None] - others) ** 2).sum(2))
