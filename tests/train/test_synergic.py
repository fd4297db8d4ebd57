"""Synergic deep learning: the network of the paper, its pairs, its gradients, its training."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from medlab.data.images import ImageSet, Info
from medlab.models import Backbone, SynergicNetwork, count_parameters
from medlab.train import CheckpointError, fit_synergic, predict
from medlab.train.synergic import sample_pairs

pytestmark = pytest.mark.filterwarnings("ignore:.* validation patients stand")  # what these tests do

CLASSES = ("dark", "middle", "bright")


def toy(n: int = 48, classes: tuple[str, ...] = CLASSES) -> ImageSet:
    """Gray squares whose brightness tells the class."""
    targets = torch.arange(n) % len(classes)
    noise = torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    images = (0.3 * targets[:, None, None, None] + 0.3 * noise).clamp(0, 1)
    info = Info("toy", "none", "multi-class", classes, "none", "none", phantom=True)
    return ImageSet(images, targets, np.arange(n), info)


def flat(features: int) -> nn.Module:
    return nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(12, features))


def network(components: int = 2, features: int = 6) -> SynergicNetwork:
    torch.manual_seed(0)
    return SynergicNetwork(components, features=features, backbone=flat)


def train(model: SynergicNetwork, **settings) -> object:
    return fit_synergic(
        model, toy(), **{"epochs": 2, "batch_size": 8, "lr": 0.05, "precision": "float32", "progress": False} | settings
    )


@pytest.mark.parametrize(("components", "heads"), [(1, 0), (2, 1), (3, 3), (4, 6)])
def test_there_is_a_verifier_for_every_pair(components, heads):
    model = network(components)
    assert len(model.components) == components and len(model.verifiers) == heads
    features = [component(torch.rand(5, 3, 8, 8))[0] for component in model.components]
    assert model.verify(features).shape == (heads, 5)


def test_the_papers_sizes():
    def backbone(features):
        return nn.Sequential(Backbone("resnet50"), nn.Linear(2048, features))

    model = SynergicNetwork(2, classes=30, backbone=backbone)
    component, verifier = model.components[0], model.verifiers[0]
    assert count_parameters(verifier) == 2048 * 1024 + 1024 + 1024 + 1
    assert count_parameters(component.classifier) == 1024 * 30 + 30
    # torchvision's 25 557 032 with a last layer of 1024 in place of 1000
    assert count_parameters(component.backbone) == 25_557_032 + 24 * 2049
    assert model.eval()(torch.rand(1, 3, 64, 64)).shape == (1, 30)
    assert component.classifier.weight.abs().max() <= 0.05


def test_components_share_no_weight():
    first, second = network().components
    assert not {id(p) for p in first.parameters()} & {id(p) for p in second.parameters()}


def test_inference_is_the_mean_softmax_and_ignores_the_verifiers():
    model = network(3).eval()
    images = torch.rand(4, 3, 8, 8)
    mean = torch.stack([component(images)[1].softmax(1) for component in model.components]).mean(0)
    assert torch.allclose(model(images).softmax(1), mean, atol=1e-6)
    before = model(images)
    for parameter in model.verifiers.parameters():
        nn.init.normal_(parameter)
    assert torch.equal(model(images), before)


def test_every_two_networks_see_one_class_in_half_of_the_pairs():
    targets = torch.tensor([0] * 60 + [1] * 20 + [2] * 5)[
        torch.randperm(85, generator=torch.Generator().manual_seed(0))
    ]
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):  # 100 batches of 32 each
        drawn = targets[torch.cat([sample_pairs(targets, 3, 32, generator) for _ in range(100)], 1)]
        for i, j in [(0, 1), (0, 2), (1, 2)]:
            assert 0.45 < (drawn[i] == drawn[j]).float().mean() < 0.55
        shares = torch.stack([torch.bincount(row, minlength=3) / 3200 for row in drawn])
        assert (shares > 0.05).all() and (shares.amax(0) - shares.amin(0) < 0.05).all()


def test_pairs_use_every_image_of_a_class_and_differ_from_each_other():
    targets = torch.arange(30) % 3
    index = sample_pairs(targets, 2, 3000, torch.Generator().manual_seed(0))
    assert torch.bincount(index.flatten(), minlength=30).min() > 100  # 200 expected
    assert (index[0] == index[1]).float().mean() < 0.1  # one image twice is chance: 1 in 20


def test_one_class_has_no_pairs():
    with pytest.raises(ValueError, match="at least two classes"):
        sample_pairs(torch.zeros(9, dtype=torch.long), 2, 4, torch.Generator())


@pytest.mark.parametrize("synergy", [0.0, 3.0])
def test_one_step_follows_the_papers_gradients(synergy):
    """Components: own loss plus synergy times the verifiers'; verifiers: their loss, not weighted."""
    model, data = network(3), toy()
    twin = deepcopy(model)
    train(model, epochs=1, batch_size=48, synergy=synergy, lr=0.1)  # one step, still without momentum
    index = sample_pairs(data.targets, 3, 48, torch.Generator().manual_seed(0))
    out = [component(data.images[own]) for component, own in zip(twin.components, index)]
    losses = sum(cross_entropy(logits, data.targets[own]) for (_, logits), own in zip(out, index))
    same = torch.stack([data.targets[index[i]] == data.targets[index[j]] for i, j in twin.pairs]).float()
    verifiers = 3 * binary_cross_entropy_with_logits(twin.verify([feature for feature, _ in out]), same)
    parts, heads = list(twin.components.parameters()), list(twin.verifiers.parameters())
    expected = torch.autograd.grad(losses + synergy * verifiers, parts, retain_graph=True)
    expected += torch.autograd.grad(verifiers, heads)
    after = [*model.components.parameters(), *model.verifiers.parameters()]
    for was, now, gradient in zip(parts + heads, after, expected):
        assert torch.allclose(was - 0.1 * gradient, now, atol=1e-6)


def test_synergy_0_trains_each_component_as_if_it_were_alone():
    together, data = network(2), toy()
    alone = deepcopy(together.components)
    train(together, epochs=1, synergy=0.0)
    optimizers = [torch.optim.SGD(component.parameters(), lr=0.05, momentum=0.9, fused=True) for component in alone]
    pairs = sample_pairs(data.targets, 2, 48, torch.Generator().manual_seed(0))
    for step, index in enumerate(pairs.split(8, dim=1)):
        for component, optimizer, own in zip(alone, optimizers, index):
            optimizer.param_groups[0]["lr"] = 0.05 / (1 + 1e-4 * step)
            optimizer.zero_grad()
            images = data.images[own].contiguous(memory_format=torch.channels_last)  # rounds in its own way
            cross_entropy(component(images)[1], data.targets[own]).backward()
            optimizer.step()
    for one, other in zip(alone.parameters(), together.components.parameters()):
        assert torch.equal(one, other)


def test_training_learns_classes_and_pairs_and_repeats():
    model, twin = network(features=32), network(features=32)
    history = train(model, epochs=40, val=toy(), lr=0.03)
    assert history.train_loss[-1] < 0.5 * history.train_loss[0]
    first, *_, late = np.split(np.array(history.metrics["verifier_accuracy"]), 4)
    assert first[0] < 0.7 and late.mean() > 0.85  # ten seeds of weights and pairs: all 1.00; guessing gives 0.50
    assert history.metrics["accuracy"][-1] > 0.9 and len(history) == 40
    assert float((predict(model, toy()).argmax(1) == toy().targets).float().mean()) == history.metrics["accuracy"][-1]
    assert train(twin, epochs=40, lr=0.03).train_loss == history.train_loss
    for one, other in zip(model.parameters(), twin.parameters()):
        assert torch.equal(one, other)


def test_the_learning_rate_falls_as_in_the_paper():
    history = train(network(), epochs=3, decay=0.1)
    assert history.lr == pytest.approx([0.05 / (1 + 0.1 * t) for t in (5, 11, 17)])


def test_one_component_is_a_plain_classifier():
    history = train(network(1))
    assert "verifier_accuracy" not in history.metrics and np.isfinite(history.train_loss).all()


def test_early_stopping_goes_back_to_the_best_weights():
    model = network()
    history = train(model, val=toy(), epochs=60, lr=2.0, patience=2)
    assert history.stopped_early and len(history) == history.best_epoch + 2
    probs = predict(model, toy())
    assert float(nn.functional.nll_loss(probs.log(), toy().targets)) == pytest.approx(min(history.val_loss), rel=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"lr": 0}, "lr must be positive"),
        ({"synergy": -1}, "synergy must not be negative, got -1"),
        ({"patience": 2}, "patience needs a validation set"),
        ({"resume": True}, "resume=True needs `checkpoint`"),
        ({"lr": 1e30}, "the loss became .* at step .*: lower lr, or synergy"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises((ValueError, FloatingPointError), match=message):
        train(network(), **settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"synergy": 1}, "other settings: synergy=3.0 there, 1.0 here; use those, or start anew"),
        ({"decay": 0.5, "seed": 1}, "other settings: seed=0 there, 1 here; decay=0.0001 there, 0.5 here"),
        ({"model": 3}, "another model: SynergicNetwork with components.2.* None, but this SynergicNetwork has"),
        ({"model": 1}, "another model: SynergicNetwork with components.1"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(tmp_path, change, message):
    file = tmp_path / "run.pt"
    train(network(), checkpoint=file, epochs=1)
    model = network(change.pop("model", 2))
    with pytest.raises(CheckpointError, match=message):
        train(model, checkpoint=file, resume=True, epochs=1, **change)


def test_sets_that_do_not_fit():
    data = toy(classes=("dark", "bright"))
    with pytest.raises(
        ValueError, match="toy has 2 classes, but SynergicNetwork gives 3 outputs; build it with classes=2"
    ):
        fit_synergic(network(), data, epochs=1)
    with pytest.raises(ValueError, match="no training image of class middle, bright"):
        fit_synergic(network(), toy()[toy().targets.numpy() == 0], epochs=1, batch_size=8)


def test_label_maps_have_no_pairs():
    info = Info("maps", "none", "segmentation", CLASSES, "none", "none", phantom=True)
    maps = ImageSet(torch.rand(4, 3, 8, 8), torch.zeros(4, 8, 8, dtype=torch.uint8), np.arange(4), info)
    with pytest.raises(ValueError, match="pairs images by class, but maps is a segmentation set"):
        fit_synergic(network(), maps, epochs=1, batch_size=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0,), "components must be a whole number of at least 1"), ((2, 1), "at least 2 classes")],
)
def test_networks_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        SynergicNetwork(*arguments)


def mirrored(images, targets):
    return images.flip(3), targets


def test_an_augmentation_of_ones_own_is_any_callable():
    model, other = network(), network()
    train(model, augment=mirrored)
    data = toy()
    settings = {"epochs": 2, "batch_size": 8, "lr": 0.05, "precision": "float32", "progress": False}
    fit_synergic(other, data.replace(images=data.images.flip(3)), **settings)
    assert torch.equal(*(nn.utils.parameters_to_vector(each.parameters()) for each in (model, other)))
    with pytest.raises(TypeError, match=r"augment must take and return \(images, targets\)"):
        train(network(), augment=lambda images: images)
