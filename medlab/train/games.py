"""The games of `fit_gan`: what the two players of a GAN minimise, and with which optimiser.

A game is a small object with `lr`, `critic_steps` (steps of the discriminator for one of the generator) and the four
methods of `NonSaturating`. A discriminator gives a number per image ``(N,)``: a logit, or a critic's score.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from medlab.errors import unknown_name
from medlab.train.adversarial import critic_accuracy, critic_loss, fooling_loss


class Examples(NamedTuple):
    """A batch that one player shows the other: images ``(N, C, H, W)``, and classes ``(N,)`` where they have any."""

    images: Tensor
    labels: Tensor | None = None


@dataclass(frozen=True)
class NonSaturating:
    """The GAN as it is trained: the generator maximises log D(G(z)).

    Goodfellow et al.: Generative Adversarial Nets. NeurIPS 2014, arXiv:1406.2661, section 3. Adam as in DCGAN.
    """

    lr: float = 2e-4
    critic_steps: int = 1

    def optimiser(self, player: nn.Module) -> torch.optim.Optimizer:
        """The optimiser of one player's weights."""
        return torch.optim.Adam(player.parameters(), self.lr, betas=(0.5, 0.999), fused=True)

    def discriminator_loss(
        self, discriminator: nn.Module, real: Examples, fake: Examples
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What the discriminator minimises, and figures worth a curve: its "accuracy" on both batches."""
        on_real, on_fake = discriminator(real.images).float(), discriminator(fake.images).float()
        return critic_loss(on_real, on_fake), {"accuracy": critic_accuracy(on_real, on_fake)}

    def generator_loss(self, discriminator: nn.Module, real: Examples, fake: Examples) -> Tensor:
        """What the generator minimises; the gradient comes through `fake`."""
        return fooling_loss(discriminator(fake.images).float())

    def after_discriminator_step(self, discriminator: nn.Module) -> None:
        """Nothing here; WGAN clips."""


@dataclass(frozen=True)
class Saturating(NonSaturating):
    """The minimax game as the formula has it: the generator minimises log(1 - D(G(z))), which is flat while D is sure.

    Goodfellow et al. 2014, equation 1.
    """

    def generator_loss(self, discriminator: nn.Module, real: Examples, fake: Examples) -> Tensor:
        """Minus the discriminator's cross-entropy on the fakes."""
        logits = discriminator(fake.images).float()
        return -binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))


@dataclass(frozen=True)
class Wasserstein:
    """WGAN: the critic's mean score of real images minus that of fakes estimates a distance between the two.

    Arjovsky, Chintala, Bottou: Wasserstein GAN. ICML 2017, arXiv:1701.07875, algorithm 1: RMSprop, five steps of the
    critic, and every weight of the critic clipped to [-clip, clip] after each. The longer critic phases of the authors'
    code (100 steps for each of the first 25 of the generator) are left out.
    """

    clip: float = 0.01
    lr: float = 5e-5
    critic_steps: int = 5

    def __post_init__(self) -> None:
        if not self.clip > 0:
            raise ValueError(f"clip must be positive, got {self.clip}; the paper's is 0.01")

    def optimiser(self, player: nn.Module) -> torch.optim.Optimizer:
        """The optimiser of one player's weights."""
        return torch.optim.RMSprop(player.parameters(), self.lr)

    def discriminator_loss(self, critic: nn.Module, real: Examples, fake: Examples) -> tuple[Tensor, dict[str, Tensor]]:
        """Minus the critic's "gap": its mean score of real images minus that of fakes."""
        gap = critic(real.images).float().mean() - critic(fake.images).float().mean()
        return -gap, {"gap": gap.detach()}

    def generator_loss(self, critic: nn.Module, real: Examples, fake: Examples) -> Tensor:
        """Minus the mean score of the fakes."""
        return -critic(fake.images).float().mean()

    @torch.no_grad()
    def after_discriminator_step(self, critic: nn.Module) -> None:
        """Clip every weight."""
        torch._foreach_clamp_min_(weights := list(critic.parameters()), -self.clip)
        torch._foreach_clamp_max_(weights, self.clip)


@dataclass(frozen=True)
class GradientPenalty:
    """WGAN-GP: instead of clipping, the critic pays for a gradient whose norm differs from 1 between real and fake.

    Gulrajani et al.: Improved Training of Wasserstein GANs. NeurIPS 2017, arXiv:1704.00028, equation 3; Adam and five
    steps of the critic as in the authors' code. The critic may not normalise over the batch.
    """

    weight: float = 10.0
    lr: float = 1e-4
    critic_steps: int = 5

    def optimiser(self, player: nn.Module) -> torch.optim.Optimizer:
        """The optimiser of one player's weights."""
        return torch.optim.Adam(player.parameters(), self.lr, betas=(0.5, 0.9), fused=True)

    def discriminator_loss(self, critic: nn.Module, real: Examples, fake: Examples) -> tuple[Tensor, dict[str, Tensor]]:
        """Minus the gap, plus the penalty; "gap" and the mean "gradient_norm" between the batches."""
        gap = critic(real.images).float().mean() - critic(fake.images).float().mean()
        norms = gradient_norms(critic, real.images, fake.images)
        return self.weight * (norms - 1).square().mean() - gap, {"gap": gap.detach(), "gradient_norm": norms.mean()}

    def generator_loss(self, critic: nn.Module, real: Examples, fake: Examples) -> Tensor:
        """Minus the mean score of the fakes."""
        return -critic(fake.images).float().mean()

    def after_discriminator_step(self, critic: nn.Module) -> None:
        """Nothing here; WGAN clips."""


def gradient_norms(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Norms ``(N,)`` of the critic's gradient at random points between real images and fakes, one point per pair."""
    share = torch.rand(len(real), *[1] * (real.ndim - 1)).to(real.device)
    between = torch.lerp(fake.float(), real.float(), share).requires_grad_()
    with torch.autocast(real.device.type, enabled=False):  # the penalty is differentiated twice: in full precision
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return gradient.flatten(1).norm(dim=1)


GAMES = {"non-saturating": NonSaturating, "saturating": Saturating, "wgan": Wasserstein, "wgan-gp": GradientPenalty}


def pick_game(loss: str | object) -> object:
    """The game called `loss`; a game as an object comes back as it is.

    Raises:
        ValueError: an unknown name.
    """
    if not isinstance(loss, str):
        return loss
    if loss not in GAMES:
        raise unknown_name("loss", loss, GAMES)
    return GAMES[loss]()
