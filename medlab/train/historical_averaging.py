"""Historical averaging of GANs (Salimans et al. 2016): an optimizer that remembers where the weights have been."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from medlab.train.gan_losses import NonSaturating


@dataclass(frozen=True)
class HistoricalAveraging(NonSaturating):
    """Historical averaging: weights of both players are pulled towards the mean of their past values.

    Salimans et al. 2016, section 3.3: each player's cost gets ``weight * |theta - (theta_1 + ... + theta_t) / t|^2``,
    theta_i being its weights after step i. They give no `weight`; that of lesson 09 is 0.1. The optimizers add the
    gradient, the mean held fixed, and keep the mean, so a checkpoint has it; the losses in the history are without.

    Raises:
        ValueError: `weight` is not positive.
    """

    weight: float = 0.1

    def make_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """Adam with DCGAN's momentum, and the pull."""
        # not fused: that would leave the gradients of float16 scaled until after the pull
        optimizer = torch.optim.Adam(network.parameters(), self.lr, betas=(0.5, 0.999))
        optimizer.register_step_pre_hook(self._add_pull)
        return optimizer

    @torch.no_grad()
    def _add_pull(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Add the penalty's gradient to that of the loss."""
        for weights in (one for group in optimizer.param_groups for one in group["params"]):
            if (state := optimizer.state.get(weights)) and weights.grad is not None:  # from the second step on
                mean = state.setdefault("mean", weights.clone())
                mean.lerp_(weights, 1 / float(state["step"]))
                weights.grad.add_(weights - mean, alpha=2 * self.weight)
