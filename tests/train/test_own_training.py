"""`fit` with what is one's own: data sets, losses, augmentations, optimizers; few images, more epochs, Ctrl-C."""

import re
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms import v2
from toys import network, stripes, weights

from medlab.data.images import ImageSet
from medlab.models import DCDiscriminator, DCGenerator
from medlab.train import CheckpointError, fit, fit_gan, seed_everything


def train(model=None, data=None, val=None, **arguments):
    model = network() if model is None else model
    defaults = {"epochs": 1, "batch_size": 16, "progress": False, "precision": "float32"}
    return model, fit(model, stripes() if data is None else data, val, **defaults | arguments)


@pytest.mark.parametrize("loader", [False, True])
@pytest.mark.parametrize("as_val", [False, True])
def test_data_sets_of_pytorch_get_the_way_in(loader, as_val):
    whole = stripes()
    given = TensorDataset(whole.images, whole.targets)
    given = DataLoader(given, 12) if loader else given
    message = f"this takes sets of images, got a {type(given).__name__}: ImageSet.from_dataset"
    with pytest.raises(TypeError, match=re.escape(message)):
        train(data=whole if as_val else given, val=given if as_val else None)
    read = ImageSet.from_dataset(given, whole.patients, **vars(whole.info))
    assert torch.equal(weights(train(data=read)[0]), weights(train()[0]))


def test_images_without_targets_train_a_gan_but_no_classifier():
    images = stripes().replace(targets=None)
    with pytest.raises(ValueError, match=r"stripes has no targets to learn: .*; fit_gan needs none"):
        train(data=images)
    nets = DCGenerator(8, latent=3, width=8, kernel=4), DCDiscriminator(8, width=4, kernel=4)
    assert len(fit_gan(*nets, images, epochs=1, batch_size=16, progress=False)) == 1


def test_few_images_make_one_batch():
    few = stripes(40)
    with pytest.warns(UserWarning, match="^batch_size 64 is larger than the .* set: every step takes all 40") as said:
        model, history = train(data=few, batch_size=64, epochs=2)
    assert len(history) == 2 and [warning.filename for warning in said] == [__file__]
    assert torch.equal(weights(model), weights(train(data=few, batch_size=40, epochs=2)[0]))


class Joined(nn.Module):
    """The logit of class 1 alone, or a pair of outputs."""

    def __init__(self, pair):
        super().__init__()
        self.pair, self.net = pair, nn.Sequential(nn.Flatten(), nn.Linear(64, 1))

    def forward(self, images):
        logit = self.net(images)
        return (logit, logit) if self.pair else logit


@pytest.mark.parametrize("pair", [False, True])
def test_other_outputs_are_validated_by_their_own_loss_alone(pair):
    def loss(outputs, targets):
        return binary_cross_entropy_with_logits((outputs[0] if pair else outputs)[:, 0], targets.float())

    history = train(Joined(pair), val=stripes(20, seed=1), loss=loss, epochs=2)[1]
    assert len(history.val_loss) == 2 and history.metrics == {}


def test_large_images_are_validated_in_the_batches_of_training():
    pixels = torch.zeros(5, 1, 1024, 1025, dtype=torch.uint8)
    pixels[:, :, :300] = 255
    large = ImageSet(pixels, pixels[:, 0] > 0, classes=["background", "object"])
    sizes = []

    def loss(outputs, targets):
        sizes.append(len(targets))
        return (outputs * 0).sum()

    model = nn.Conv2d(1, 2, 1)
    model.weight.data, model.bias.data = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1), torch.tensor([0.5, -0.5])
    history = train(model, large[:2], large, loss=loss, batch_size=2, weight_decay=0)[1]
    assert sizes == [2, 2, 2, 1] and history.metrics == {"accuracy": [1.0], "dice": [1.0]}


def mirrored(images, targets):
    return images.flip(3), targets


def test_an_augmentation_of_ones_own_is_any_callable():
    data = stripes()
    flipped = data.replace(images=data.images.flip(3))
    assert torch.equal(weights(train(augment=mirrored)[0]), weights(train(data=flipped)[0]))
    turned = [weights(train(augment=v2.RandomRotation(30))[0]) for _ in range(2)]
    assert torch.equal(*turned) and not torch.equal(turned[0], weights(train()[0]))
    for wrong in (lambda images: images, lambda images, targets: images):
        with pytest.raises(TypeError, match=r"augment must take and return \(images, targets\)"):
            train(augment=wrong)
    with pytest.raises(TypeError, match="augment must be something to call, such as Augment.*, got a int"):
        train(augment=3)


def test_torchvision_moves_label_maps_with_their_images():
    seen = []

    def loss(outputs, targets):
        seen.append(targets)
        return outputs.sum()

    data = stripes(task="segmentation")
    train(nn.Conv2d(1, 2, 1), data, augment=v2.RandomHorizontalFlip(1.0), loss=loss, batch_size=48)
    assert type(seen[0]) is torch.Tensor
    assert sorted(map(str, seen[0].tolist())) == sorted(map(str, data.targets.flip(2).tolist()))


def test_an_optimizer_of_ones_own_is_a_callable():
    sgd = partial(torch.optim.SGD, lr=99.0, momentum=0.9)
    own = train(optimizer=sgd, lr=0.01)[0]  # its learning rate is that of fit
    named = train(optimizer="sgd", lr=0.01, weight_decay=0)[0]
    torch.testing.assert_close(weights(own), weights(named))  # the named one is fused
    model = network()
    message = "optimizer must be something to call, such as torch.optim.RMSprop, got a RMSprop"
    with pytest.raises(TypeError, match=message):
        train(model, optimizer=torch.optim.RMSprop(model.parameters()))


def test_a_finished_training_goes_on_under_a_constant_schedule(tmp_path):
    file, sets = tmp_path / "run.pt", (stripes(), stripes(20, seed=1))
    more = {"schedule": "constant", "checkpoint": file, "augment": mirrored, "optimizer": torch.optim.RMSprop}
    whole = train(None, *sets, epochs=5, **more)[0]
    train(None, *sets, epochs=2, overwrite=True, **more)
    extended, history = train(network(seed=5), *sets, epochs=5, resume=True, **more)
    assert len(history) == 5 and torch.equal(weights(extended), weights(whole))
    with pytest.raises(CheckpointError, match="was trained for 5 epochs: ask for as many or more, got epochs=4"):
        train(None, *sets, epochs=4, resume=True, **more)


def test_a_cosine_cannot_go_on_and_says_what_can(tmp_path):
    file = tmp_path / "run.pt"
    train(checkpoint=file)
    with pytest.raises(CheckpointError, match='epochs=1 there, 2 here; .*; only schedule="constant" goes on for more'):
        train(checkpoint=file, epochs=2, resume=True)


@pytest.mark.parametrize("patience", [None, 3])
def test_an_interrupted_network_is_usable(patience):
    steps, data = iter(range(100)), stripes()

    def loss(outputs, targets):
        if next(steps) == 5:  # in the second epoch: three steps and a validation each
            raise KeyboardInterrupt
        return nn.functional.cross_entropy(outputs, targets)

    model, lr = network(dropout=0), {"lr": 0.01, "schedule": "constant"}
    with pytest.raises(KeyboardInterrupt):
        train(model, data, data, epochs=3, loss=loss, patience=patience, **lr)
    assert not model.training and all(weight.is_contiguous() for weight in model.parameters())
    after_one = weights(train(network(dropout=0), data, data, **lr)[0])
    assert torch.equal(weights(model), after_one) == (
        patience is not None
    )  # the best weights, or those of the last step


def test_a_last_image_joins_the_batch_before_it_where_it_must():
    def build(*layers):
        seed_everything(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), *layers, nn.Linear(8, 2))

    sizes = []

    def loss(outputs, targets):
        sizes.append(len(targets))
        return nn.functional.cross_entropy(outputs, targets)

    data = stripes(33)
    assert len(train(build(nn.BatchNorm1d(8)), data, data, loss=loss)[1]) == 1
    assert sizes == [16, 17, 33]  # and the validation
    sizes.clear()
    train(build(), data, loss=loss)
    train(nn.Sequential(nn.BatchNorm2d(1), build()), data, loss=loss)
    assert sizes == [16, 16, 1] * 2  # as ever


@pytest.mark.parametrize("kind", [np.int64, np.uint8, int])
def test_seeds_are_whole_numbers_of_any_type(kind):
    seed_everything(kind(3))
    assert torch.initial_seed() == 3
    for wrong in (-1, 2.0, "3"):
        with pytest.raises(ValueError, match="seed must be a whole number of at least 0, got"):
            seed_everything(wrong)
