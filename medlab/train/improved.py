"""Games of Salimans et al. for `fit_gan`: feature matching, one-sided label smoothing, classification with few labels.

Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen: Improved Techniques for Training GANs. NeurIPS 2016,
arXiv:1606.03498. Their minibatch discrimination and virtual batch normalisation are layers: `medlab.models`.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, softplus

from medlab.train.adversarial import critic_accuracy
from medlab.train.games import Examples, NonSaturating


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
        return smoothed_loss(on_real, on_fake, self.target), {"accuracy": critic_accuracy(on_real, on_fake)}


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
        notes = {"accuracy": critic_accuracy(on_real, on_fake), "class_loss": classes.detach()}
        return classes + unsupervised, notes

    def generator_loss(self, discriminator: nn.Module, real: Examples, fake: Examples) -> Tensor:
        """The squared distance of the mean features, or what fools the discriminator."""
        if self.feature_matching:
            return FeatureMatching.generator_loss(self, discriminator, real, fake)
        return softplus(-real_or_fake(discriminator(fake.images).float())).mean()
