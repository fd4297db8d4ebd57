"""The game of ACGAN: real or fake, and which class.

Odena, Olah, Shlens: Conditional Image Synthesis with Auxiliary Classifier GANs. ICML 2017, arXiv:1610.09585. With S the
source and C the class of an image,

    L_S = E[log P(S = real | real image)] + E[log P(S = fake | fake image)]
    L_C = E[log P(C = c | real image)]    + E[log P(C = c | fake image)]

the discriminator maximises L_S + L_C, the generator L_C - L_S.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import cross_entropy, logsigmoid

from medlab.train.adversarial import critic_accuracy, fooling_loss
from medlab.train.games import Examples, NonSaturating


def source_likelihood(on_real: Tensor, on_fake: Tensor) -> Tensor:
    """L_S from the logits of "real" ``(N,)`` and ``(M,)``."""
    return logsigmoid(on_real).mean() + logsigmoid(-on_fake).mean()


def class_likelihood(logits: Tensor, labels: Tensor) -> Tensor:
    """One term of L_C: the mean log-probability of the classes ``(N,)`` from logits ``(N, K)``."""
    return -cross_entropy(logits, labels)


@dataclass(frozen=True)
class AuxiliaryClassifier(NonSaturating):
    """ACGAN's game: the discriminator minimises ``-(L_S + L_C)``.

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
            "accuracy": critic_accuracy(on_real, on_fake),
            "class_accuracy": (classes.argmax(1) == real.labels).float().mean(),
        }
        return -(source_likelihood(on_real, on_fake) + named), notes

    def generator_loss(self, discriminator: nn.Module, real: Examples, fake: Examples) -> Tensor:
        """What fooling asks for, minus the generator's term of L_C."""
        source, classes = discriminator(fake.images)
        return fooling_loss(source.float()) - class_likelihood(classes.float(), fake.labels)
