"""SCAN: both networks of the paper, and their game: its gradients, its fair baseline, its stop and its resumption."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from medlab.data.augment import Augment
from medlab.data.images import ImageSet, Info
from medlab.models import SCANCritic, SCANSegmenter, count_parameters
from medlab.train import CheckpointError, checkpoint, fit, fit_scan, predict, state
from medlab.train.gan_losses import discriminator_accuracy, discriminator_bce, non_saturating_loss
from medlab.train.scan import SCANTrainer

pytestmark = pytest.mark.filterwarnings("ignore:.* validation patients stand")  # what these tests do

CLASSES = ("background", "square", "bar")


def toy(n: int = 12, classes: tuple[str, ...] = CLASSES) -> ImageSet:
    """A bright square and a middling bar in noise, wherever."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.zeros(n, 16, 16, dtype=torch.uint8)
    for label, corner in zip(labels, torch.randint(0, 8, (n, 2), generator=generator).tolist()):
        label[corner[0] : corner[0] + 8, corner[1] : corner[1] + 8] = 1
        label[:, 14:] = 2
    images = (labels[:, None] == 1) * 0.5 + (labels[:, None] == 2) * 0.3
    images = (images + 0.3 * torch.rand(n, 1, 16, 16, generator=generator)).clamp(0, 1)
    info = Info("toy", "none", "segmentation", classes, "none", "none", phantom=True)
    return ImageSet(images.float(), labels, np.arange(n), info)


def players(image_channels: int = 0) -> tuple[SCANSegmenter, SCANCritic]:
    torch.manual_seed(0)
    shape = {"classes": 3, "width": 2, "poolings": 2}
    return SCANSegmenter(**shape), SCANCritic(image_channels=image_channels, **shape)


def train(segmenter: nn.Module, critic: nn.Module, data: ImageSet | None = None, **settings) -> object:
    usual = {"epochs": 2, "pretrain": 2, "batch_size": 5, "lr": 0.01, "precision": "float32", "progress": False}
    return fit_scan(segmenter, critic, data or toy(), **usual | settings)


def same(one: nn.Module, other: nn.Module) -> bool:
    """All weights and all statistics of batch normalization, bit for bit."""
    theirs = other.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in one.state_dict().items())


def test_the_papers_sizes():
    assert count_parameters(SCANSegmenter()) == 271_440  # the printed 271 k
    assert count_parameters(SCANSegmenter(width=4, poolings=2)) == 65_660
    convolutions = [
        m for name, m in SCANSegmenter().named_modules() if isinstance(m, nn.Conv2d) and "shortcut" not in name
    ]
    assert len(convolutions) == 21
    assert count_parameters(SCANCritic()) == 256_057
    assert count_parameters(SCANCritic(image_channels=1)) == 256_057 + 49 * 8 + 8
    with torch.no_grad():
        assert SCANSegmenter().eval()(torch.rand(1, 1, 400, 400)).shape == (1, 4, 400, 400)


def test_the_papers_resolution_in_the_middle():
    shapes = []
    model = SCANSegmenter().eval()
    model.classifier.register_forward_hook(lambda _, given, __: shapes.append(given[0].shape))
    with torch.no_grad():
        model(torch.rand(1, 1, 400, 400))
    assert shapes == [(1, 64, 25, 25)]


@pytest.mark.parametrize("poolings", [1, 2, 3, 4])
def test_the_label_map_is_as_large_as_the_image(poolings):
    model = SCANSegmenter(in_channels=3, classes=5, width=2, poolings=poolings)
    assert model(torch.rand(2, 3, 32, 48)).shape == (2, 5, 32, 48)
    with pytest.raises(ValueError, match=f"multiples of {2**poolings}, got 32 x 33: pad to 32 x {32 + 2**poolings}"):
        model(torch.rand(1, 3, 32, 33))
    assert SCANCritic(5, 3, 2, poolings)(torch.rand(2, 5, 32, 48), torch.rand(2, 3, 32, 48)).shape == (2,)


@pytest.mark.parametrize("network", [SCANSegmenter, SCANCritic])
def test_networks_that_cannot_be(network):
    with pytest.raises(ValueError, match="poolings must be 1 to 4, got 5"):
        network(poolings=5)


def test_a_critic_without_image_channels_does_not_look_at_the_image():
    masks, images = torch.rand(3, 3, 16, 16), torch.rand(2, 3, 1, 16, 16)
    blind, seeing = (players(channels)[1].eval() for channels in (0, 1))
    assert torch.equal(blind(masks, images[0]), blind(masks, images[1]))
    assert not torch.equal(seeing(masks, images[0]), seeing(masks, images[1]))


def test_the_losses_of_the_game():
    true, made = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0, 1.0])
    by_hand = -true.sigmoid().log().mean() - (1 - made.sigmoid()).log().mean()
    torch.testing.assert_close(discriminator_bce(true, made), by_hand)
    torch.testing.assert_close(non_saturating_loss(made), -made.sigmoid().log().mean())
    assert discriminator_accuracy(true, made) == 2 / 5
    sure = torch.tensor([-8.0], requires_grad=True)  # a critic that is sure: this form pushes, the formula's does not
    (push,) = torch.autograd.grad(non_saturating_loss(sure), sure)
    (formula,) = torch.autograd.grad(-discriminator_bce(true, sure), sure)
    assert push < -0.99 and formula.abs() < 0.001


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "step"])
def test_weight_0_is_plain_training_bit_for_bit(precision, schedule):
    together, critic = players()
    alone, before = deepcopy(together), deepcopy(critic)
    shared = {"batch_size": 5, "lr": 0.01, "precision": precision, "schedule": schedule, "seed": 3, "progress": False}
    shared["augment"] = Augment(shift=0.1, intensity=0.1)
    history = train(together, critic, critic_weight=0.0, warmup=2, **shared)
    plain = fit(alone, toy(), epochs=4, optimizer="adamw", weight_decay=0.0, **shared)
    assert same(together, alone) and history.train_loss == plain.train_loss and history.lr == plain.lr
    assert not same(critic, before)  # it was trained


def test_one_step_follows_the_gradients():
    segmenter, critic = players(image_channels=1)
    was, judge = deepcopy(segmenter), deepcopy(critic)
    data = toy(5)
    shared = {"batch_size": 5, "pretrain": 0, "warmup": 0, "epochs": 1, "lr": 1e-3}
    train(segmenter, critic, data, critic_weight=0.5, **shared)
    was.train(), judge.train()
    images, truth = data.images, one_hot(data.targets.long(), 3).movedim(-1, 1).float()
    logits = was(images)
    probs = logits.softmax(1)
    theirs = discriminator_bce(judge(truth, images), judge(probs.detach(), images))
    steps = [torch.optim.AdamW(player.parameters(), lr=1e-3, weight_decay=0) for player in (judge, was)]
    theirs.backward()
    steps[0].step()
    found_out = judge(probs, images)
    ours = cross_entropy(logits, data.targets.long())
    ours = ours + 0.5 * binary_cross_entropy_with_logits(found_out, torch.ones(5))
    ours.backward()
    steps[1].step()
    # Adam's first step is the sign of the gradient: where that is next to 0, rounding decides
    for one, other in ((segmenter, was), (critic, judge)):
        close = [torch.isclose(a, b, atol=1e-6) for a, b in zip(one.parameters(), other.parameters())]
        assert torch.cat([c.flatten() for c in close]).float().mean() > 0.98


def test_the_critic_stands_still_while_the_segmenter_moves_and_the_other_way_round():
    segmenter, critic = players()
    start = deepcopy(segmenter), deepcopy(critic)
    seen = []
    before = SCANTrainer.warm_up

    def watched(game, epochs):
        seen.append((same(critic, start[1]), deepcopy(segmenter)))
        before(game, epochs)
        seen.append((same(critic, start[1]), deepcopy(segmenter)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SCANTrainer, "warm_up", watched)
        train(segmenter, critic, warmup=2)
    (untouched, pretrained), (still_untouched, after) = seen
    assert untouched and not still_untouched
    assert same(pretrained, after) and not same(pretrained, start[0])
    assert all(p.requires_grad for p in critic.parameters())


def test_training_learns_repeats_and_keeps_its_notes():
    (segmenter, critic), twins = players(), players()
    settings = {"epochs": 15, "pretrain": 15, "critic_weight": 0.05, "augment": Augment(shift=0.1)}
    history = train(segmenter, critic, val=toy(), **settings)
    assert len(history) == 30 and history.train_loss[-1] < 0.4 * history.train_loss[0]
    assert history.metrics["dice"][-1] > 0.65  # ten seeds of weights and order: 0.78 to 0.94
    for name in ("critic_loss", "critic_accuracy", "adversarial_loss"):
        alone, both = np.split(np.array(history.metrics[name]), 2)
        assert np.isnan(alone).all() and np.isfinite(both).all()
    assert not segmenter.training and not critic.training
    predicted = predict(segmenter, toy()).argmax(1)
    assert float((predicted == toy().targets).float().mean()) == pytest.approx(
        history.metrics["accuracy"][-1], abs=1e-6
    )
    assert train(*twins, **settings).train_loss == history.train_loss
    assert same(segmenter, twins[0]) and same(critic, twins[1])
    assert not same(segmenter, train_other_seed(**settings))


def train_other_seed(**settings) -> nn.Module:
    segmenter, critic = players()
    train(segmenter, critic, **settings | {"seed": 1})
    return segmenter


def test_a_critic_that_knows_nothing_can_be_told_by_its_loss():
    history = train(*players(), lr=1e-12)
    assert history.metrics["critic_loss"][-1] == pytest.approx(2 * np.log(2), abs=0.4)


@pytest.mark.parametrize("after", [0, 1, 2, 3, 4])
def test_a_stopped_training_goes_on_as_if_nothing_had_happened(tmp_path, after):
    """Stopped after so many epochs: 0 and 1 with the segmenter alone, then before the warm-up, then in the game."""
    settings = {"augment": Augment(shift=0.1), "schedule": "cosine", "critic_weight": 0.1}
    straight = players()
    history = train(*straight, val=toy(), **settings)
    file, save = tmp_path / "run.pt", checkpoint.save_checkpoint

    def stop(path, state):
        save(path, state)
        if len(state["history"]["train_loss"]) == after:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(state, "save_checkpoint", stop)
        train(*players(), val=toy(), checkpoint=file, **settings)
    resumed = players()
    for player in resumed:
        nn.init.zeros_(next(player.parameters()))  # the file counts
    again = train(*resumed, val=toy(), checkpoint=file, resume=True, **settings)
    assert same(straight[0], resumed[0]) and same(straight[1], resumed[1])
    left_out = ("seconds", "images_per_second")
    (one, other) = ({k: repr(v) for k, v in h.to_dict().items() if k not in left_out} for h in (history, again))
    assert one == other


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    file = tmp_path / "run.pt"
    train(*players(), checkpoint=file)
    with pytest.raises(CheckpointError, match="critic_weight=0.01 there, 0.1 here"):
        train(*players(), checkpoint=file, resume=True, critic_weight=0.1)
    with pytest.raises(CheckpointError, match="made by another model: .*SCANCritic with critic.stages.0.*this SCAN"):
        train(players()[0], players(image_channels=1)[1], checkpoint=file, resume=True)
    with pytest.raises(CheckpointError, match="made by another model: SCANSegmenter . SCANCritic"):
        fit(players()[0], toy(), epochs=4, batch_size=5, checkpoint=file, resume=True, progress=False)
    fit(players()[0], toy(), epochs=1, batch_size=5, checkpoint=file, overwrite=True, progress=False)
    with pytest.raises(CheckpointError, match="made by another model: SCANSegmenter with"):
        train(*players(), checkpoint=file, resume=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"pretrain": -1}, "pretrain must be a whole number of at least 0, got -1"),
        ({"warmup": 0.5}, "warmup must be a whole number of at least 0, got 0.5"),
        ({"critic_weight": -1}, "critic_weight must not be negative, got -1"),
        ({"critic_weight": float("nan")}, "critic_weight must not be negative, got nan"),
        ({"resume": True}, "resume=True needs `checkpoint`"),
        (
            {"pretrain": 0, "warmup": 0, "lr": 1e30},
            r"the adversarial loss became .* at step 1 \(epoch 1\) with learning rate 1e\+30",
        ),
        (
            {"pretrain": 0, "warmup": 2, "lr": 1e30},
            "became .* at step . .*this was its warmup",
        ),
        ({"pretrain": 2, "lr": 1e30}, r"the loss became .* at step 2 \(epoch 1\)"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises((ValueError, FloatingPointError), match=message):
        train(*players(), **settings)


def test_players_and_sets_that_do_not_fit():
    segmenter, critic = players()
    with pytest.raises(
        ValueError, match="toy has 4 classes, but SCANSegmenter gives 3 outputs; build it with classes=4"
    ):
        train(segmenter, critic, toy(classes=(*CLASSES, "more")))
    with pytest.raises(ValueError, match=r"such as SCANCritic\(classes=3\); got .*expected input"):
        train(segmenter, SCANCritic(4, width=2, poolings=2))
    info = Info("gray", "none", "multi-class", ("dark", "bright"), "none", "none", phantom=True)
    classes = ImageSet(torch.rand(4, 1, 8, 8), torch.arange(4) % 2, np.arange(4), info)
    with pytest.raises(ValueError, match="needs images .* with label maps; gray is a multi-class set"):
        train(segmenter, critic, classes)
