"""Losses for `fit_gan`: what generator and discriminator minimize, and with which optimizer.

Each is a small object, a `GANLoss`. A discriminator returns one number per image ``(N,)``: a logit, or the unbounded
score of a critic.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, logsigmoid, softplus

from medlab.errors import unknown_name_error, whole_number


class Batch(NamedTuple):
    """A batch of real or fake images ``(N, C, H, W)``, with classes ``(N,)`` where they have any."""

    images: Tensor
    labels: Tensor | None = None


class GANLoss(ABC):
    """What `fit_gan` asks of a loss. `critic_steps` is the number of discriminator steps per generator step."""

    lr: float
    critic_steps: int

    def __post_init__(self) -> None:
        whole_number("critic_steps", self.critic_steps, 1)
        for name in ("lr", "clip", "weight"):
            if not 0 < (value := getattr(self, name, 1)) < math.inf:
                raise ValueError(f"{name} must be positive, got {value}")

    @abstractmethod
    def make_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of one network's weights."""

    @abstractmethod
    def discriminator_loss(
        self, discriminator: nn.Module, real: Batch, fake: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The discriminator's loss on a batch of each kind, and metrics to log."""

    @abstractmethod
    def generator_loss(self, discriminator: nn.Module, real: Batch, fake: Batch) -> Tensor:
        """The generator's loss; its gradient flows through `fake`."""

    def after_discriminator_step(self, discriminator: nn.Module) -> None:  # noqa: B027  (most losses need nothing)
        """Change the discriminator's weights after its step, such as WGAN's clipping."""

    def to(self, device: torch.device) -> "GANLoss":
        """The loss with the tensors that it holds, if any, on `device`."""
        return self


def discriminator_bce(real: Tensor, fake: Tensor, target: float = 1.0) -> Tensor:
    """Binary cross-entropy of the discriminator's logits ``(N,)`` on real images plus that on fakes.

    Args:
        real, fake: logits of real and of fake images.
        target: of the real images; below 1 it is one-sided label smoothing. That of fakes is 0.
    """
    real_logits = binary_cross_entropy_with_logits(real, torch.full_like(real, target))
    return real_logits + binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))


def non_saturating_loss(fake: Tensor) -> Tensor:
    """Binary cross-entropy of the discriminator's logits ``(N,)`` on fakes with target 1: -log D(G(z)).

    The minimax loss would be log(1 - D(G(z))); its gradient vanishes while the discriminator is confident, which is
    when the generator needs it most.
    """
    return binary_cross_entropy_with_logits(fake, torch.ones_like(fake))


def discriminator_accuracy(real: Tensor, fake: Tensor) -> Tensor:
    """Accuracy of the discriminator: share of logits above 0 on real ``(N,)``, at most 0 on fake ``(M,)`` images."""
    return torch.cat([real > 0, fake <= 0]).float().mean()


@dataclass(frozen=True)
class NonSaturating(GANLoss):
    """Non-saturating GAN loss: the generator maximizes log D(G(z)).

    Goodfellow et al.: Generative Adversarial Nets. NeurIPS 2014, arXiv:1406.2661, section 3. Adam as in DCGAN.
    """

    lr: float = 2e-4
    critic_steps: int = 1

    def make_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """Adam with DCGAN's momentum."""
        return torch.optim.Adam(network.parameters(), self.lr, betas=(0.5, 0.999), fused=True)

    def discriminator_loss(
        self, discriminator: nn.Module, real: Batch, fake: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Binary cross-entropy; logs the "accuracy" on both batches."""
        real_logits, fake_logits = discriminator(real.images).float(), discriminator(fake.images).float()
        logs = {"accuracy": discriminator_accuracy(real_logits, fake_logits)}
        return discriminator_bce(real_logits, fake_logits), logs

    def generator_loss(self, discriminator: nn.Module, real: Batch, fake: Batch) -> Tensor:
        """Binary cross-entropy of the fakes with target 1."""
        return non_saturating_loss(discriminator(fake.images).float())


@dataclass(frozen=True)
class Saturating(NonSaturating):
    """Minimax GAN loss (Goodfellow et al. 2014, equation 1): the generator minimizes log(1 - D(G(z)))."""

    def generator_loss(self, discriminator: nn.Module, real: Batch, fake: Batch) -> Tensor:
        """Minus the discriminator's cross-entropy on the fakes."""
        logits = discriminator(fake.images).float()
        return -binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))


@dataclass(frozen=True)
class Wasserstein(GANLoss):
    """WGAN loss: the critic's mean score of real images minus that of fakes estimates their Wasserstein distance.

    Arjovsky, Chintala, Bottou: Wasserstein GAN. ICML 2017, arXiv:1701.07875, algorithm 1: RMSprop, five steps of the
    critic, and every weight of the critic clipped to [-clip, clip] after each. The longer critic phases of the authors'
    code (100 steps for each of the first 25 of the generator) are left out.
    """

    clip: float = 0.01
    lr: float = 5e-5
    critic_steps: int = 5

    def make_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """RMSprop."""
        return torch.optim.RMSprop(network.parameters(), self.lr)

    def discriminator_loss(self, critic: nn.Module, real: Batch, fake: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Minus the critic's "gap", which is logged: its mean score of real images minus that of fakes."""
        gap = critic(real.images).float().mean() - critic(fake.images).float().mean()
        return -gap, {"gap": gap}

    def generator_loss(self: GANLoss, critic: nn.Module, real: Batch, fake: Batch) -> Tensor:
        """Minus the mean score of the fakes."""
        return -critic(fake.images).float().mean()

    @torch.no_grad()
    def after_discriminator_step(self, critic: nn.Module) -> None:
        """Clip every weight."""
        for weight in critic.parameters():
            weight.clamp_(-self.clip, self.clip)


@dataclass(frozen=True)
class GradientPenalty(GANLoss):
    """WGAN-GP loss: a penalty on gradient norms that differ from 1 between real and fake replaces the clipping.

    Gulrajani et al.: Improved Training of Wasserstein GANs. NeurIPS 2017, arXiv:1704.00028, equation 3; Adam and five
    steps of the critic as in the authors' code. The critic may not normalize over the batch.
    """

    weight: float = 10.0
    lr: float = 1e-4
    critic_steps: int = 5

    def make_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(network.parameters(), self.lr, betas=(0.5, 0.9), fused=True)

    def discriminator_loss(self, critic: nn.Module, real: Batch, fake: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Minus the gap, plus the penalty; logs the "gap" and the mean "gradient_norm"."""
        gap = critic(real.images).float().mean() - critic(fake.images).float().mean()
        norms = gradient_norms(critic, real.images, fake.images)
        return self.weight * (norms - 1).square().mean() - gap, {"gap": gap, "gradient_norm": norms.mean()}

    generator_loss = Wasserstein.generator_loss  # type: ignore[assignment]  # calls the discriminator a critic


def gradient_norms(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Gradient norms ``(N,)`` of the critic at random interpolations between real and fake images, one per pair."""
    epsilon = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
    interpolated = torch.lerp(fake.float(), real.float(), epsilon).requires_grad_()
    with torch.autocast(real.device.type, enabled=False):  # the penalty is differentiated twice: in full precision
        (gradient,) = torch.autograd.grad(critic(interpolated).sum(), interpolated, create_graph=True)
    return gradient.flatten(1).norm(dim=1)


def source_log_likelihood(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """ACGAN's L_S, from logits of real ``(N,)`` and of fake ``(M,)`` images."""
    return logsigmoid(real_logits).mean() + logsigmoid(-fake_logits).mean()


def class_log_likelihood(logits: Tensor, labels: Tensor | None) -> Tensor:
    """A term of ACGAN's L_C: mean log-probability of classes ``(N,)``, by logits ``(N, K)``; ValueError for None."""
    if labels is None:
        raise ValueError("this loss needs a set of one class per image and a conditional generator, as ACGenerator is")
    return -cross_entropy(logits, labels)


@dataclass(frozen=True)
class AuxiliaryClassifier(NonSaturating):
    """ACGAN loss: real or fake, and which class.

    Odena, Olah, Shlens: Conditional Image Synthesis with Auxiliary Classifier GANs. ICML 2017, arXiv:1610.09585. With S
    the source and C the class of an image::

        L_S = E[log P(S = real | real image)] + E[log P(S = fake | fake image)]
        L_C = E[log P(C = c | real image)]    + E[log P(C = c | fake image)]

    the discriminator maximizes L_S + L_C, the generator L_C - L_S. The generator's part of L_S is taken in the
    non-saturating form: log P(real | fake image) goes up instead of log P(fake | fake image) down. The learning rate is
    that of Frid-Adar et al. 2018.
    """

    lr: float = 1e-4

    def discriminator_loss(
        self, discriminator: nn.Module, real: Batch, fake: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """``-(L_S + L_C)``; logs the "accuracy" on the source, and "class_accuracy" on the classes of real images."""
        real_logits, real_classes = (part.float() for part in discriminator(real.images))
        fake_logits, fake_classes = (part.float() for part in discriminator(fake.images))
        source = source_log_likelihood(real_logits, fake_logits)
        classes = class_log_likelihood(real_classes, real.labels) + class_log_likelihood(fake_classes, fake.labels)
        logs = {
            "accuracy": discriminator_accuracy(real_logits, fake_logits),
            "class_accuracy": (real_classes.argmax(1) == real.labels).float().mean(),
        }
        return -(source + classes), logs

    def generator_loss(self, discriminator: nn.Module, real: Batch, fake: Batch) -> Tensor:
        """The non-saturating loss, minus the generator's term of L_C."""
        source, classes = discriminator(fake.images)
        return non_saturating_loss(source.float()) - class_log_likelihood(classes.float(), fake.labels)


def feature_matching_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Squared distance of the mean features ``(N, A)`` of both batches; its gradient reaches the fakes only.

    Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen: Improved Techniques for Training GANs. NeurIPS 2016,
    arXiv:1606.03498, section 3.1. The authors' code takes the mean absolute difference instead.
    """
    return (real.detach().mean(0) - fake.mean(0)).square().sum()


@dataclass(frozen=True)
class FeatureMatching(NonSaturating):
    """Feature matching: the generator matches the mean of the discriminator's features, not its decision.

    Salimans et al. 2016, section 3.1. The discriminator needs `features(images) -> (N, A)`, as those of `medlab.models`
    have.
    """

    def generator_loss(self: NonSaturating, discriminator: Any, real: Batch, fake: Batch) -> Tensor:
        """The squared distance of the mean features."""
        return feature_matching_loss(*(discriminator.features(batch.images).float() for batch in (real, fake)))


@dataclass(frozen=True)
class OneSidedSmoothing(NonSaturating):
    """One-sided label smoothing: the discriminator's target is `target` for real images and stays 0 for fakes.

    Salimans et al. 2016, section 3.4. The authors' ImageNet code has 0.75; 0.9 is customary.
    """

    target: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.5 < self.target <= 1:
            raise ValueError(f"target must lie above 0.5 and at most at 1, got {self.target}; 0.9 is customary")

    def discriminator_loss(
        self, discriminator: nn.Module, real: Batch, fake: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Binary cross-entropy with the smoothed target."""
        real_logits, fake_logits = discriminator(real.images).float(), discriminator(fake.images).float()
        logs = {"accuracy": discriminator_accuracy(real_logits, fake_logits)}
        return discriminator_bce(real_logits, fake_logits, self.target), logs


def real_logit(logits: Tensor) -> Tensor:
    """Logits of K classes ``(N, K)`` to one logit of "real" ``(N,)``: log-sum-exp.

    A class K + 1 for fakes with its logit fixed at 0 leaves ``D(x) = Z / (Z + 1)`` with ``Z = sum_k exp l_k(x)``.
    """
    return logits.logsumexp(1)


@dataclass(frozen=True, eq=False)
class SemiSupervised(NonSaturating):
    """Semi-supervised GAN: a discriminator of K outputs learns classes from few labeled images, and realness from all.

    Salimans et al. 2016, section 5. The images that `fit_gan` trains on are the unlabeled ones; their targets are not
    used. After training the discriminator is the classifier: images scaled to (-1, 1) to K logits.

    Args:
        images: labeled ones ``(M, C, H, W)`` in [0, 1]. Each step samples as many of them as it has unlabeled ones.
        labels: their classes ``(M,)``.
        feature_matching: the generator matches features, the paper's choice for classifiers; else its loss is the
            non-saturating one.
    """

    images: Tensor = field(kw_only=True, repr=False)
    labels: Tensor = field(kw_only=True, repr=False)
    feature_matching: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.images) != len(self.labels) or len(self.labels) == 0:
            raise ValueError(f"{len(self.images)} labeled images and {len(self.labels)} labels: give one of each")

    def discriminator_loss(
        self, discriminator: nn.Module, real: Batch, fake: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy of the labeled images, plus half that of real against fake for the others (authors' code)."""
        index = torch.randint(len(self.labels), (len(real.images),), device=self.labels.device)
        labeled = (2 * self.images[index] - 1).to(real.images)
        classes = cross_entropy(discriminator(labeled).float(), self.labels[index])
        real_logits, fake_logits = (real_logit(discriminator(batch.images).float()) for batch in (real, fake))
        unsupervised = (softplus(-real_logits).mean() + softplus(fake_logits).mean()) / 2
        logs = {"accuracy": discriminator_accuracy(real_logits, fake_logits), "class_loss": classes}
        return classes + unsupervised, logs

    def to(self, device: torch.device) -> "SemiSupervised":
        """The loss with its labeled images on `device`."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def generator_loss(self, discriminator: nn.Module, real: Batch, fake: Batch) -> Tensor:
        """The squared distance of the mean features, or the non-saturating loss."""
        if self.feature_matching:
            return FeatureMatching.generator_loss(self, discriminator, real, fake)
        return softplus(-real_logit(discriminator(fake.images).float())).mean()


LOSSES = {"non-saturating": NonSaturating, "saturating": Saturating, "wgan": Wasserstein, "wgan-gp": GradientPenalty}


def resolve_loss(loss: str | GANLoss) -> GANLoss:
    """The loss of that name, with its paper's settings; a `GANLoss` is returned as it is.

    Raises:
        ValueError: an unknown name.
    """
    if isinstance(loss, GANLoss):
        return loss
    if loss not in LOSSES:
        raise unknown_name_error("loss", loss, LOSSES)
    return LOSSES[loss]()
