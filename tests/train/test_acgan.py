"""ACGAN's networks and game, GANs for each class, and that no patient of a test fold reaches a GAN."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import log_softmax, logsigmoid

from medlab.data import load
from medlab.data.images import ImageSet
from medlab.data.lesions import augment_lesions
from medlab.data.subsets import folds, join
from medlab.models import ACDiscriminator, ACGenerator, DCDiscriminator, DCGenerator, count_parameters
from medlab.phantoms.liver import DIAMETER
from medlab.train import fit_gan, gan, sample
from medlab.train.gan import fit_class_gans
from medlab.train.gan_losses import (
    AuxiliaryClassifier,
    Batch,
    NonSaturating,
    class_log_likelihood,
    source_log_likelihood,
)
from medlab.train.sampling import NO_PATIENT, synthetic_images

SETTINGS = {"epochs": 1, "steps_per_epoch": 2, "batch_size": 8, "precision": "float32", "progress": False}


def tiny() -> tuple[DCGenerator, DCDiscriminator]:
    return DCGenerator(16, latent=4, width=8, kernel=4), DCDiscriminator(16, width=4, kernel=4)


def test_networks_are_those_of_dcgan_with_what_a_class_needs():
    generator, discriminator = ACGenerator(3, embedding=20), ACDiscriminator(3)
    idle = 16 * 1024 + 512 + 256 + 128  # biases that batch normalization would cancel: ours are left out
    assert count_parameters(DCGenerator()) + idle == 18_865_921
    assert count_parameters(generator) == count_parameters(DCGenerator()) + 20 * 16 * 1024 + 3 * 20
    assert count_parameters(discriminator) == count_parameters(DCDiscriminator()) + 3 * (64 * 8 * 16 + 1)
    small, judge = ACGenerator(4, 16, latent=5, width=8).eval(), ACDiscriminator(4, 16, width=4).eval()
    noise = small.sample_latent(6, torch.Generator().manual_seed(0))
    assert noise.shape == (6, 5) and noise.abs().max() <= 1
    source, classes = judge(small(noise, torch.arange(6) % 4))
    assert source.shape == (6,) and classes.shape == (6, 4)
    same_noise = small(noise[:1].expand(4, -1), torch.arange(4))
    assert (same_noise[0] - same_noise[1]).abs().max() > 0  # the class is seen
    for network in (ACGenerator, ACDiscriminator):
        with pytest.raises(ValueError, match="classes must be a whole number of at least 2, got 1"):
            network(1)


class Table(nn.Module):
    """A discriminator whose answers are given: an image's first number is the logit, the next three the classes."""

    def forward(self, images):
        return images[:, 0], images[:, 1:]


def test_the_game_is_the_papers():
    rng = torch.Generator().manual_seed(0)
    real, fake = (Batch(torch.randn(n, 4, generator=rng), torch.randint(3, (n,), generator=rng)) for n in (7, 5))
    (s, c), (t, d) = Table()(real.images), Table()(fake.images)
    probability = [s.sigmoid(), 1 - t.sigmoid()]
    l_s = sum(p.log().mean() for p in probability)
    l_c = sum(log_softmax(logits, 1)[range(len(logits)), one.labels].mean() for logits, one in ((c, real), (d, fake)))
    torch.testing.assert_close(source_log_likelihood(s, t), l_s)
    torch.testing.assert_close(class_log_likelihood(c, real.labels) + class_log_likelihood(d, fake.labels), l_c)
    game = AuxiliaryClassifier()
    loss, notes = game.discriminator_loss(Table(), real, fake)
    torch.testing.assert_close(loss, -(l_s + l_c))
    assert notes["class_accuracy"] == (c.argmax(1) == real.labels).float().mean() and 0 <= notes["accuracy"] <= 1
    named = log_softmax(d, 1)[range(5), fake.labels].mean()
    torch.testing.assert_close(game.generator_loss(Table(), real, fake), -logsigmoid(t).mean() - named)
    assert game.lr == 1e-4 and (game.critic_steps, NonSaturating().lr) == (1, 2e-4)


def test_generators_step_goes_the_way_of_the_papers_formula():
    """For L_C - L_S, which the paper's generator maximizes, the step of the non-saturating form is uphill too."""
    images = torch.tensor([[-1.0, 0.3, 0.1, -0.4]], requires_grad=True)
    fake = Batch(images, torch.tensor([1]))
    (ours,) = torch.autograd.grad(AuxiliaryClassifier().generator_loss(Table(), fake, fake), images)
    theirs = class_log_likelihood(images[:, 1:], fake.labels) - logsigmoid(-images[:, 0]).mean()
    (up,) = torch.autograd.grad(theirs, images)
    assert (ours * up < 0).all()


@pytest.fixture(scope="module")
def parts() -> list[ImageSet]:
    return folds(load("liver", size=16, n=60))


def test_it_trains_and_learns_the_classes(parts):
    whole = join(parts)
    torch.manual_seed(0)
    generator, judge = ACGenerator(3, 16, latent=4, width=8, kernel=4), ACDiscriminator(3, 16, width=8, kernel=4)
    game = AuxiliaryClassifier(lr=3e-3)
    history = fit_gan(generator, judge, whole, loss=game, **SETTINGS | {"epochs": 4, "steps_per_epoch": 15})
    assert history.metrics["class_accuracy"][-1] > 0.45 and history.train_loss[-1] < history.train_loss[0]
    labels = torch.arange(3).repeat_interleave(2)
    assert sample(generator, 6, labels=labels).shape == (6, 1, 16, 16)


def test_the_game_needs_classes(parts):
    pair = DCGenerator(16, latent=4, width=8, kernel=4), ACDiscriminator(3, 16, width=4, kernel=4)
    with pytest.raises(ValueError, match="needs a set of one class per image and a conditional generator"):
        fit_gan(*pair, join(parts), loss=AuxiliaryClassifier(), **SETTINGS)


def of_training_folds(parts: list[ImageSet], k: int) -> tuple[list[nn.Module], ImageSet]:
    """What the lesson does for test fold `k`: copies of the other folds, and a GAN per class on them."""
    train = join([augment_lesions(part, 30, diameter=DIAMETER) for i, part in enumerate(parts) if i != k])
    return fit_class_gans(train, tiny, **SETTINGS)[0], train


def test_no_patient_of_the_test_fold_reaches_a_gan(parts, monkeypatch):
    seen = []
    monkeypatch.setattr(
        gan, "fit_gan", lambda g, d, images, **rest: seen.append(images) or fit_gan(g, d, images, **rest)
    )
    for k, test in enumerate(parts):
        seen.clear()
        of_training_folds(parts, k)
        shown = set(np.concatenate([images.patients for images in seen]))
        assert len(seen) == 3 and not shown & set(test.patients)
        assert shown | set(test.patients) == set(range(60))
        assert [set(images.targets.tolist()) for images in seen] == [{0}, {1}, {2}]


def test_other_test_images_change_no_synthetic_image(parts):
    """The same by intervention: what is painted cannot depend on what a GAN never saw."""
    spoilt = list(parts)
    spoilt[2] = parts[2][:]
    spoilt[2].images = torch.rand_like(spoilt[2].images)
    made = [synthetic_images(*of_training_folds(given, 2)[:1], 4, given[0]) for given in (parts, spoilt)]
    assert torch.equal(made[0].images, made[1].images)
    spoilt[0] = spoilt[2]  # and of a training fold they would
    other = synthetic_images(of_training_folds(spoilt, 2)[0], 4, parts[0])
    assert not torch.equal(other.images, made[0].images)


def test_synthetic_images_have_a_class_and_no_patient(parts):
    generators = [tiny()[0] for _ in range(3)]
    made = synthetic_images(generators, 5, parts[0], seed=2)
    assert made.targets.tolist() == [0] * 5 + [1] * 5 + [2] * 5 and set(made.patients) == {NO_PATIENT}
    assert made.images.shape == (15, 1, 16, 16) and 0 <= made.images.min() < made.images.max() <= 1
    assert torch.equal(made.images[5:10], sample(generators[1], 5, seed=1002))
    assert len(join([parts[0], made])) == len(parts[0]) + 15
    one = synthetic_images(ACGenerator(3, 16, latent=4, width=8), 2, parts[0])
    assert one.targets.tolist() == [0, 0, 1, 1, 2, 2]
    with pytest.raises(ValueError, match="2 generators for 3 classes of liver"):
        synthetic_images(generators[:2], 5, parts[0])


def test_a_class_without_images_has_no_gan(parts):
    no_cyst = parts[0][(parts[0].targets != 0).numpy()]
    with pytest.raises(ValueError, match="no image of class cyst to train its GAN on"):
        fit_class_gans(no_cyst, tiny, **SETTINGS)


def test_the_gans_of_the_classes_share_no_checkpoint(parts, tmp_path):
    with pytest.raises(ValueError, match="a checkpoint holds one GAN"):
        fit_class_gans(parts[0], tiny, checkpoint=tmp_path / "gan.pt", **SETTINGS)
    assert not list(tmp_path.iterdir())
