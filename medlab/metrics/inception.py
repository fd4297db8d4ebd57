"""The inception score: is each image clearly of some class, and are all classes made?

Salimans et al., arXiv:1606.03498, section 4: ``IS = exp(E_x KL(p(y | x) || p(y)))``. The paper's p comes from an
Inception network trained on photographs; for medical images take a classifier trained on the task, and name it with the
score. Not a distance: it never looks at real images. It does not see collapse within a class, and images made to raise
it are adversarial examples.
"""

import math
from typing import NamedTuple

import numpy as np

from medlab.metrics.intervals import to_array


class InceptionScore(NamedTuple):
    """Mean and standard deviation over `splits` equal parts of the images; between 1 and `classes`."""

    mean: float
    deviation: float
    splits: int
    classes: int

    def __str__(self) -> str:
        return f"inception score {self.mean:.2f} +- {self.deviation:.2f} ({self.splits} splits; 1 to {self.classes})"


def inception_score(probs: object, splits: int = 10) -> InceptionScore:
    """Inception score of the class probabilities ``(N, K)`` that a classifier gives to N images.

    The deviation over splits is that of the published code. It measures the size of the splits more than any doubt
    about the generator, and a small split has a lower score: compare at equal N and `splits` only.

    Raises:
        ValueError: not ``(N, K)``, rows that are no probabilities, fewer images than splits.
    """
    probs = to_array(probs).astype(np.float64)
    if probs.ndim != 2 or probs.shape[1] < 2:
        raise ValueError(f"give probabilities (N, K) of at least two classes, got shape {probs.shape}")
    if not (probs >= 0).all() or not np.allclose(probs.sum(1), 1, atol=1e-3):
        raise ValueError("each row must hold probabilities that add up to 1: take the softmax of logits")
    if not 1 <= splits <= len(probs):
        raise ValueError(f"cannot cut {len(probs)} images into {splits} splits; take splits=1, or more images")
    scores = []
    for part in np.array_split(probs, splits):
        entropy = _entropy(part.mean(0)) - _entropy(part).mean()  # the mean KL, as a difference of entropies
        scores.append(math.exp(max(float(entropy), 0.0)))
    return InceptionScore(float(np.mean(scores)), float(np.std(scores)), splits, probs.shape[1])


def _entropy(probs: np.ndarray) -> np.ndarray:
    """Entropy in nats along the last axis; 0 log 0 counts as 0."""
    return -(probs * np.log(np.where(probs > 0, probs, 1))).sum(-1)
