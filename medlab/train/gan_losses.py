"""Losses for `fit_gan`: what generator and discriminator minimize, and with which optimizer.

A GAN loss is a small object with `lr`, `critic_steps` (discriminator steps per generator step) and the four methods of
`NonSaturating`. A discriminator returns one number per image ``(N,)``: a logit, or the unbounded score of a critic.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, logsigmoid, softplus

from medlab.errors import unknown_name


def discriminator_bce(true: Tensor, made: Tensor) -> Tensor:
    """What the critic minimizes: cross-entropy of its logits ``(N,)`` of true and of made examples, added."""
    target_1, target_0 = torch.ones_like(true), torch.zeros_like(made)
    return binary_cross_entropy_with_logits(true, target_1) + binary_cross_entropy_with_logits(made, target_0)


def non_saturating_loss(made: Tensor) -> Tensor:
    """What the other player minimizes, in the non-saturating form: low where the critic takes made examples for true.

    The game as a formula would minimize minus the critic's loss instead; its gradient vanishes when the critic is sure,
    which is when the other player needs it most.
    """
    return binary_cross_entropy_with_logits(made, torch.ones_like(made))


def discriminator_accuracy(true: Tensor, made: Tensor) -> Tensor:
    """Share of the logits ``(N,)`` of true and ``(M,)`` of made examples that the critic has on the right side of 0."""
    return torch.cat([true > 0, made <= 0]).float().mean()


class Examples(NamedTuple):
    """A batch that one player shows the other: images ``(N, C, H, W)``, and classes ``(N,)`` where they have any."""

    images: Tensor
    labels: Tensor | None = None


@dataclass(frozen=True)
class NonSaturating:
    """The GAN as it is trained: the generator maximizes log D(G(z)).

    Goodfellow et al.: Generative Adversarial Nets. NeurIPS 2014, arXiv:1406.2661, section 3. Adam as in DCGAN.
    """

    lr: float = 2e-4
    critic_steps: int = 1

    def optimizer(self, player: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of one player's weights."""
        return torch.optim.Adam(player.parameters(), self.lr, betas=(0.5, 0.999), fused=True)

    def discriminator_loss(
        self, discriminator: nn.Module, real: Examples, fake: Examples
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What the discriminator minimizes, and figures worth a curve: its "accuracy" on both batches."""
        on_real, on_fake = discriminator(real.images).float(), discriminator(fake.images).float()
        return discriminator_bce(on_real, on_fake), {"accuracy": discriminator_accuracy(on_real, on_fake)}

    def generator_loss(self, discriminator: nn.Module, real: Examples, fake: Examples) -> Tensor:
        """What the generator minimizes; the gradient comes through `fake`."""
        return non_saturating_loss(discriminator(fake.images).float())

    def after_discriminator_step(self, discriminator: nn.Module) -> None:
        """Nothing here; WGAN clips."""


@dataclass(frozen=True)
class Saturating(NonSaturating):
    """The minimax game as the formula has it: the generator minimizes log(1 - D(G(z))), which is flat while D is sure.

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

    def optimizer(self, player: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of one player's weights."""
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
    steps of the critic as in the authors' code. The critic may not normalize over the batch.
    """

    weight: float = 10.0
    lr: float = 1e-4
    critic_steps: int = 5

    def optimizer(self, player: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of one player's weights."""
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


def source_likelihood(on_real: Tensor, on_fake: Tensor) -> Tensor:
    """L_S from the logits of "real" ``(N,)`` and ``(M,)``."""
    return logsigmoid(on_real).mean() + logsigmoid(-on_fake).mean()


def class_likelihood(logits: Tensor, labels: Tensor) -> Tensor:
    """One term of L_C: the mean log-probability of the classes ``(N,)`` from logits ``(N, K)``."""
    return -cross_entropy(logits, labels)


@dataclass(frozen=True)
class AuxiliaryClassifier(NonSaturating):
    """ACGAN's game: the discriminator minimizes ``-(L_S + L_C)``.

    The generator's part of L_S is played in the non-saturating form, as every GAN is in practice: log P(real | fake
    image) goes up instead of log P(fake | fake image) down. Its part of L_C is as it stands. The learning rate is
    Frid-Adar's.
    """

    lr: float = 1e-4

    def discriminator_loss(
        self, discriminator: nn.Module, real: Examples, fake: Examples
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Minus L_S + L_C; its "accuracy" on the source, and "class_accuracy" on the classes of real images."""
        (on_real, classes), (on_fake, made) = (discriminator(one.images) for one in (real, fake))
        on_real, on_fake, classes, made = on_real.float(), on_fake.float(), classes.float(), made.float()
        named = class_likelihood(classes, real.labels) + class_likelihood(made, fake.labels)
        notes = {
            "accuracy": discriminator_accuracy(on_real, on_fake),
            "class_accuracy": (classes.argmax(1) == real.labels).float().mean(),
        }
        return -(source_likelihood(on_real, on_fake) + named), notes

    def generator_loss(self, discriminator: nn.Module, real: Examples, fake: Examples) -> Tensor:
        """What fooling asks for, minus the generator's term of L_C."""
        source, classes = discriminator(fake.images)
        return non_saturating_loss(source.float()) - class_likelihood(classes.float(), fake.labels)


def feature_matching_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Squared distance of the mean features ``(N, A)`` of both batches (section 3.1); for the generator alone.

    The authors' code takes the mean absolute difference instead.
    """
    return (real.detach().mean(0) - fake.mean(0)).square().sum()


def smoothed_loss(real: Tensor, fake: Tensor, target: float) -> Tensor:
    """Cross-entropy of the discriminator's logits with `target` for real images and 0 for fakes (section 3.4)."""
    on_real = binary_cross_entropy_with_logits(real, torch.full_like(real, target))
    return on_real + binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))


@dataclass(frozen=True)
class FeatureMatching(NonSaturating):
    """The generator matches the mean of the discriminator's features and does not look at its answer.

    The discriminator needs `features(images) -> (N, A)`, as those of `medlab.models` have.
    """

    def generator_loss(self, discriminator: nn.Module, real: Examples, fake: Examples) -> Tensor:
        """The squared distance of the mean features."""
        real, fake = (discriminator.features(batch.images).float() for batch in (real, fake))
        return feature_matching_loss(real, fake)


@dataclass(frozen=True)
class OneSidedSmoothing(NonSaturating):
    """The discriminator's target is `target` for real images and stays 0 for fakes.

    Were it above 0 for fakes too, the best discriminator would have the fakes' density in its numerator, and nothing
    would push samples far from the data. The authors' ImageNet code has 0.75; 0.9 is customary.
    """

    target: float = 0.9

    def __post_init__(self) -> None:
        if not 0.5 < self.target <= 1:
            raise ValueError(f"target must lie above 0.5 and at most at 1, got {self.target}; 0.9 is customary")

    def discriminator_loss(
        self, discriminator: nn.Module, real: Examples, fake: Examples
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The cross-entropy with the smoothed target."""
        on_real, on_fake = discriminator(real.images).float(), discriminator(fake.images).float()
        return smoothed_loss(on_real, on_fake, self.target), {"accuracy": discriminator_accuracy(on_real, on_fake)}


def real_or_fake(logits: Tensor) -> Tensor:
    """Logits of K classes ``(N, K)`` to one logit of "real" ``(N,)``: ``log sum exp``.

    A class K + 1 for fakes with its logit fixed at 0 leaves ``D(x) = Z / (Z + 1)`` with ``Z = sum_k exp l_k(x)``.
    """
    return logits.logsumexp(1)


@dataclass(frozen=True, eq=False)
class SemiSupervised(NonSaturating):
    """A discriminator of K outputs learns classes from a few labelled images, and from all others what is real.

    The images that `fit_gan` trains on are the unlabelled ones; their targets are never looked at. After the training
    the discriminator is the classifier: of images scaled to (-1, 1) it gives K logits.

    Args:
        images: labelled ones ``(M, C, H, W)`` in [0, 1]. Each step draws as many of them as it has unlabelled ones.
        labels: their classes ``(M,)``.
        feature_matching: the generator matches features, the paper's choice for classifiers; else it fools.
    """

    images: Tensor = field(kw_only=True, repr=False)
    labels: Tensor = field(kw_only=True, repr=False)
    feature_matching: bool = True

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels) or len(self.labels) == 0:
            raise ValueError(
                f"{len(self.images)} labelled images and {len(self.labels)} labels: give one each, and at least one"
            )

    def discriminator_loss(
        self, discriminator: nn.Module, real: Examples, fake: Examples
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy of the labelled images, plus half that of real against fake for the others (authors' code)."""
        drawn = torch.randint(len(self.labels), (len(real.images),))
        labelled = (2 * self.images[drawn] - 1).to(real.images)
        classes = cross_entropy(discriminator(labelled).float(), self.labels[drawn].to(labelled.device))
        on_real, on_fake = (real_or_fake(discriminator(batch.images).float()) for batch in (real, fake))
        unsupervised = (softplus(-on_real).mean() + softplus(on_fake).mean()) / 2
        notes = {"accuracy": discriminator_accuracy(on_real, on_fake), "class_loss": classes.detach()}
        return classes + unsupervised, notes

    def generator_loss(self, discriminator: nn.Module, real: Examples, fake: Examples) -> Tensor:
        """The squared distance of the mean features, or what fools the discriminator."""
        if self.feature_matching:
            return FeatureMatching.generator_loss(self, discriminator, real, fake)
        return softplus(-real_or_fake(discriminator(fake.images).float())).mean()


GAMES = {"non-saturating": NonSaturating, "saturating": Saturating, "wgan": Wasserstein, "wgan-gp": GradientPenalty}


def resolve_loss(loss: str | object) -> object:
    """The game called `loss`; a game as an object comes back as it is.

    Raises:
        ValueError: an unknown name.
    """
    if not isinstance(loss, str):
        return loss
    if loss not in GAMES:
        raise unknown_name("loss", loss, GAMES)
    return GAMES[loss]()
