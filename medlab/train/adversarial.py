"""Two players: what a critic loses by taking made for true, and what the other loses by being found out.

Goodfellow et al.: Generative Adversarial Nets. NeurIPS 2014, arXiv:1406.2661. A critic gives a logit per example,
above 0 for "true".
"""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def critic_loss(true: Tensor, made: Tensor) -> Tensor:
    """What the critic minimises: cross-entropy of its logits ``(N,)`` of true and of made examples, added."""
    target_1, target_0 = torch.ones_like(true), torch.zeros_like(made)
    return binary_cross_entropy_with_logits(true, target_1) + binary_cross_entropy_with_logits(made, target_0)


def fooling_loss(made: Tensor) -> Tensor:
    """What the other player minimises, in the non-saturating form: low where the critic takes made examples for true.

    The game as a formula would minimise minus the critic's loss instead; its gradient vanishes when the critic is sure,
    which is when the other player needs it most.
    """
    return binary_cross_entropy_with_logits(made, torch.ones_like(made))


def critic_accuracy(true: Tensor, made: Tensor) -> Tensor:
    """Share of the logits ``(N,)`` of true and ``(M,)`` of made examples that the critic has on the right side of 0."""
    return torch.cat([true > 0, made <= 0]).float().mean()
