"""Every training, prediction and sampling on a pretend accelerator: nothing mixes devices, no step waits for a copy."""

import numpy as np
import pytest
import torch
from pretend_device import COPY, counted, pretend_device
from toys import network, stripes

from medlab.data import Augment, AugmentVolumes, ImageSet
from medlab.models import (
    ACDiscriminator,
    ACGenerator,
    DCDiscriminator,
    DCGenerator,
    SCANCritic,
    SCANSegmenter,
    SmallCNN,
    SynergicNetwork,
    UNet,
    WGANCritic,
)
from medlab.train import (
    AuxiliaryClassifier,
    FeatureMatching,
    HistoricalAveraging,
    SemiSupervised,
    dice_cross_entropy,
    fit,
    fit_class_gans,
    fit_gan,
    fit_scan,
    fit_synergic,
    predict,
    sample,
    seed_everything,
    synthetic_images,
)

QUIET = {"progress": False, "precision": "float32"}
AUGMENT = Augment(flip=True, shift=0.1, rotate=10, intensity=0.1)
GAN = {"batch_size": 8, **QUIET}


@pytest.fixture(scope="module")
def device():
    with pretend_device() as device:
        yield device


def pixels(n=48, side=16, task="multi-class", channels=1, axes=2, dtype=torch.float32):
    """Noise of two classes, whose pixels are brighter in the second."""
    rng = torch.Generator().manual_seed(0)
    kind = torch.arange(n) % 2
    bright = kind.view(-1, *[1] * (axes + 1))
    images = 0.5 * bright + 0.5 * torch.rand(n, channels, *[side] * axes, generator=rng)
    targets = {"multi-class": kind, "multi-label": torch.stack([kind, 1 - kind], 1)}.get(task)
    if targets is None:
        targets = (images[:, 0] > 0.5).long()
    images = (255 * images).byte() if dtype == torch.uint8 else images
    return ImageSet(images, targets, np.arange(n), task=task, classes=("dark", "bright"), name="noise")


def players(side=16, critic=False):
    generator = DCGenerator(side, width=32, latent=8)
    return generator, WGANCritic(side, width=8, norm=False) if critic else DCDiscriminator(side, width=8)


def semi(device, steps):
    few = pixels(10)
    loss = SemiSupervised(images=few.images, labels=few.targets, feature_matching=False)
    classifier = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 2))
    return fit_gan(players()[0], classifier, pixels(), epochs=2, steps_per_epoch=steps, loss=loss, device=device, **GAN)


def conditional(device, steps):
    pair = ACGenerator(2, 32, width=32, latent=8, kernel=4), ACDiscriminator(2, 32, width=8, kernel=4)
    train = pixels(side=32)
    return fit_gan(*pair, train, epochs=2, steps_per_epoch=steps, loss=AuxiliaryClassifier(), device=device, **GAN)


def supervised(make, train, **arguments):
    """A function of device and steps an epoch, each of 8 images."""
    return lambda device, steps: fit(
        make(), train[: 8 * steps], epochs=2, batch_size=8, device=device, **QUIET | arguments
    )


def gan(critic=False, **arguments):
    return lambda device, steps: fit_gan(
        *players(critic=critic), pixels(), epochs=2, steps_per_epoch=steps, device=device, **GAN | arguments
    )


MAPS = {"train": pixels(task="segmentation"), "loss": dice_cross_entropy}
# Each trains for two epochs of some steps, and returns the history.
TRAININGS = {
    "fit": supervised(network, stripes(), augment=AUGMENT, clip=1.0),
    "fit, SGD and your own augmentation": supervised(network, stripes(), optimizer="sgd", augment=lambda x, y: (x, y)),
    "fit, dropout and RMSprop": supervised(lambda: network(dropout=0.5), stripes(), optimizer=torch.optim.RMSprop),
    "fit, several labels": supervised(lambda: SmallCNN(1, 2, 4), pixels(task="multi-label")),
    "fit, label maps": supervised(lambda: UNet(1, 2, 4, 2), **MAPS, augment=AUGMENT),
    "fit, volumes": supervised(
        lambda: UNet(1, 2, 4, 2, axes=3),
        pixels(side=8, task="segmentation", axes=3),
        augment=AugmentVolumes(flip=True, rotate=10, warp=0.05),
    ),
    "fit_scan": lambda device, steps: fit_scan(
        SCANSegmenter(1, 2, 4, 2), SCANCritic(2, 0, 4, 2), pixels(8 * steps, task="segmentation"), epochs=2,
        pretrain=1, warmup=1, batch_size=8, augment=AUGMENT, device=device, **QUIET,
    ),
    "fit_synergic": lambda device, steps: fit_synergic(
        SynergicNetwork(2, 2, 1, 8), pixels(8 * steps), epochs=2, batch_size=8, lr=0.01, augment=AUGMENT,
        device=device, **QUIET,
    ),
    "fit_gan": gan(ema=0.9),
    "fit_gan, wgan": gan(critic=True, loss="wgan"),
    "fit_gan, wgan-gp": gan(critic=True, loss="wgan-gp"),
    "fit_gan, feature matching": gan(loss=FeatureMatching()),
    "fit_gan, historical averaging": gan(loss=HistoricalAveraging()),
    "fit_gan, ACGAN": conditional,
    "fit_gan, semi-supervised": semi,
}  # fmt: skip


def trained(name: str, device: object, steps: int):
    """The history, and how often something was copied to the device."""
    seed_everything(0)
    counted.clear()
    history = TRAININGS[name](device, steps)
    return history, sum(n for (kind, *_), n in counted.items() if kind == COPY)


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_stays_on_the_device_and_no_step_copies_to_it(device, name):
    history, copies = trained(name, None, steps=3)
    assert history.device == "pretend"
    assert trained(name, None, steps=6)[1] == copies
    assert history.train_loss == pytest.approx(trained(name, "cpu", steps=3)[0].train_loss, rel=1e-3, abs=1e-4)


def test_bytes_stay_on_the_cpu_and_are_copied_batch_by_batch(device):
    def copies(steps):
        counted.clear()
        fit(SmallCNN(1, 2, 4), pixels(8 * steps, dtype=torch.uint8), epochs=1, batch_size=8, **QUIET)
        return sum(n for (kind, *_), n in counted.items() if kind == COPY)

    assert copies(6) - copies(3) == 3 * 2  # the images of a batch, and their indices


def test_validation_patience_and_a_resumed_checkpoint(device, tmp_path):
    def train(epochs, **kept):
        model = network()
        sets = stripes(), stripes(20, seed=1).replace(patients=range(100, 120))
        return model, fit(model, *sets, epochs=epochs, batch_size=16, patience=5, schedule="constant", **QUIET, **kept)

    straight, history = train(4)
    train(2, checkpoint=tmp_path / "run.pt")
    resumed, again = train(4, checkpoint=tmp_path / "run.pt", resume=True)
    assert history.val_loss == again.val_loss
    assert torch.equal(*(predict(model, stripes()) for model in (straight, resumed)))


def test_predictions_are_those_of_the_cpu(device):
    segmenter, volumes = UNet(1, 2, 4, 2).eval(), UNet(1, 2, 4, 2, axes=3).eval()
    maps, scan, labeled = pixels(6, task="segmentation"), torch.rand(8, 16, 16), pixels(6, task="multi-label")
    cases = [
        (network(), stripes(), {}),
        (network(), stripes(), {"labels": True}),
        (SmallCNN(1, 2, 4).eval(), labeled, {"labels": True}),
        (segmenter, maps, {"window": 8}),
        (segmenter, maps, {"labels": True}),
        (volumes, scan, {}),
    ]
    for model, data, how in cases:
        here = predict(model, data, **how)
        there = predict(model.to(device), data if isinstance(data, torch.Tensor) else data.to(device), **how)
        assert there.device.type == "cpu" and torch.allclose(here.float(), there.float(), atol=1e-6)


def test_generators_sample_on_the_device(device):
    pairs, _ = fit_class_gans(pixels(), players, epochs=1, steps_per_epoch=1, **GAN)
    assert next(pairs[0].parameters()).device == device
    assert sample(pairs[0], 3).shape == (3, 1, 16, 16)
    assert synthetic_images(pairs, 2, pixels()).images.device.type == "cpu"


def test_the_pretend_device_refuses_what_cuda_refuses(device):
    here, there = torch.ones(3), torch.ones(3).to(device)
    refused = [
        lambda: here + there,
        lambda: there.add_(here),
        lambda: here.add_(there),
        lambda: torch.cat([here, there]),
        lambda: torch.nn.Linear(3, 1)(there),
        lambda: here[there.long()],
        lambda: torch.rand(2, device=device, generator=torch.Generator()),
    ]
    for one in refused:
        with pytest.raises(RuntimeError, match="same device|on the device|device type for generator"):
            one()
    for one in (there.numpy, lambda: np.asarray(there)):
        with pytest.raises(TypeError, match="Use Tensor.cpu"):
            one()
    assert (there + torch.tensor(1.0))[torch.tensor([0, 2])].cpu().tolist() == [2, 2]  # these it allows
