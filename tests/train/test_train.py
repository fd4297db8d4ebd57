"""`fit`: it learns, repeats, stops when it should, and refuses what cannot work."""

import copy
import math
import random
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from toys import CPU, network, stripes, weights
from tqdm.auto import tqdm

from medlab.data import load
from medlab.data.augment import Augment
from medlab.data.images import ImageSet
from medlab.models import ShallowCNN, Standardize
from medlab.train import History, fit, pick_device, pick_precision, predict, seed_everything
from medlab.train.devices import pick_layout, place_model
from medlab.train.distributed import ProcessGroup
from medlab.train.evaluate import validate
from medlab.train.fit import Recipe, SupervisedTrainer
from medlab.train.sampling import NO_PATIENT

pytestmark = pytest.mark.filterwarnings("ignore:.* validation patients stand")  # what these tests do


def train(model=None, data=None, **arguments):
    model = network() if model is None else model
    arguments = {"epochs": 2, "batch_size": 16, "progress": False, **arguments}
    return model, fit(model, stripes() if data is None else data, **arguments)


class Scale(nn.Module):
    """Logits are a constant per class: what it predicts can be worked out by hand."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.tensor([0.0, 0.0]))

    def forward(self, images):
        return self.bias.expand(len(images), 2)


# --- it learns -------------------------------------------------------------------------------------------------------


def test_loss_falls_on_the_lung_phantom():
    data, val, _ = load("lung").split()
    seed_everything(0)
    history = fit(nn.Sequential(Standardize(data), ShallowCNN()), data, val, epochs=3, progress=False)
    assert history.train_loss[-1] < 0.8 * history.train_loss[0]
    assert len(history.val_loss) == len(history.metrics["accuracy"]) == len(history.metrics["auc"]) == 3


def test_shallow_cnn_overfits_20_patches_to_zero_error():
    data = load("lung")[np.arange(0, 600, 30)]
    assert set(data.counts().values()) == {4}
    seed_everything(0)
    model = nn.Sequential(Standardize(data), ShallowCNN(dropout=0))
    fit(model, data, epochs=100, batch_size=20, progress=False)
    assert (predict(model, data).argmax(1) == data.targets).all()


@pytest.mark.parametrize("task", ["multi-label", "segmentation"])
def test_other_tasks_are_learnt(task):
    seed_everything(0)
    model = nn.Conv2d(1, 2, 3, padding=1) if task == "segmentation" else network()
    data = stripes(task=task)
    history = fit(
        model, data, data, epochs=20, batch_size=8, lr=0.05 if task == "segmentation" else 0.01, progress=False
    )
    assert history.metrics["accuracy"][-1] > 0.95
    assert ("auc" in history.metrics) == (task == "multi-label")
    probs = predict(model, data)
    assert probs.shape == ((48, 2, 8, 8) if task == "segmentation" else (48, 2))
    assert float(((probs > 0.5) == data.targets).float().mean() if task == "multi-label" else 1) > 0.95


def test_volumes_are_trained_on():
    images = torch.rand(8, 1, 4, 4, 4)
    data = ImageSet(images, torch.arange(8) % 2, np.arange(8), stripes().info)
    model = nn.Sequential(nn.Conv3d(1, 2, 3), nn.Flatten(), nn.Linear(16, 2))
    assert len(fit(model, data, data, epochs=1, batch_size=4, progress=False)) == 1


def test_uint8_images_train_as_their_float_version():
    small = stripes(dtype=torch.uint8)
    big = ImageSet(small.images.float() / 255, small.targets, small.patients, small.info)
    augment = Augment(shift=0.1, intensity=0.1)
    assert torch.equal(weights(train(data=small, augment=augment)[0]), weights(train(data=big, augment=augment)[0]))


def test_bfloat16_runs_and_learns():
    model, history = train(precision="bfloat16", epochs=4, batch_size=8, lr=3e-3)
    assert history.precision == "bfloat16" and history.train_loss[-1] < history.train_loss[0]
    assert all(p.dtype == torch.float32 and p.is_contiguous() for p in model.parameters())
    exact, _ = train(precision="float32", epochs=4, batch_size=8, lr=3e-3)
    assert not torch.equal(weights(model), weights(exact))


def test_dilated_convolutions_learn_in_bfloat16():
    """In channels-last, oneDNN's gradient for 17 to 31 maps with dilation is NaN where it computes in bfloat16."""
    seed_everything(0)
    model = nn.Sequential(nn.Conv2d(1, 20, 3, padding=1), nn.Conv2d(20, 20, 3, padding="same", dilation=2))
    model.append(nn.Conv2d(20, 2, 1))
    _, history = train(model, stripes(task="segmentation"), precision="bfloat16", epochs=3, lr=3e-3)
    assert history.train_loss[-1] < history.train_loss[0]
    images = torch.zeros(2, 1, 8, 8)
    assert pick_layout(model, images, torch.device("cpu")) == torch.contiguous_format
    assert pick_layout(model, images, torch.device("cuda")) == torch.channels_last
    assert pick_layout(model[:1], images, torch.device("cpu")) == torch.channels_last
    assert pick_layout(model[:1], images[:, :, None], torch.device("cpu")) == torch.contiguous_format
    assert pick_layout(model[:1], images, torch.device("mps")) == torch.contiguous_format


def test_a_loss_of_ones_own_and_its_weights_are_used():
    model, history = train(
        network(dropout=0), loss=nn.CrossEntropyLoss(weight=torch.tensor([1.0, 50.0])), epochs=1, lr=0.01
    )
    assert predict(model, stripes())[:, 1].mean() > 0.65
    assert train(loss=lambda logits, targets: (logits**2).mean())[1].train_loss[0] < 0.1


# --- it repeats ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("augment", [None, Augment(flip=True, shift=0.2, rotate=20)])
def test_one_seed_repeats_bit_for_bit_and_another_does_not(augment):
    (first, a), (again, b) = train(augment=augment), train(augment=augment)
    assert torch.equal(weights(first), weights(again)) and a.train_loss == b.train_loss
    other, _ = train(augment=augment, seed=1)
    assert not torch.equal(weights(first), weights(other))


def test_seed_decides_order_augmentation_and_dropout_each_by_itself():
    data = stripes()
    seen = {}
    for seed in (0, 1):
        batches = []
        model = network(dropout=0)
        model.register_forward_pre_hook(
            lambda m, x, batches=batches: batches.append(x[0].clone()) if m.training else None
        )
        train(model, data, epochs=1, seed=seed)
        seen[seed] = torch.cat(batches)
    assert not torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0].sum((1, 2, 3)).sort()[0], seen[1].sum((1, 2, 3)).sort()[0])  # each image once
    whole = {"batch_size": 48, "epochs": 2}  # one batch: the order decides nothing but the order of sums
    rates = [
        train(network(dropout=rate), seed=seed, **whole)[1].train_loss[0] for rate in (0.0, 0.5) for seed in (0, 1)
    ]
    assert rates[0] == pytest.approx(rates[1], rel=1e-5) and rates[2] != pytest.approx(rates[3], rel=1e-3)


def test_augmentation_sees_every_batch_with_new_numbers():
    seen = []
    model = network(dropout=0)
    model.register_forward_pre_hook(lambda m, x: seen.append(x[0].clone()) if m.training else None)
    train(model, augment=Augment(intensity=0.3), epochs=2)
    images = torch.cat(seen)
    assert len(images) == 96
    plain = stripes().images.flatten(1)
    assert torch.cdist(images.flatten(1), plain).min() > 1e-3  # none went through as it was
    assert torch.cdist(images[:48].flatten(1), images[48:].flatten(1)).min() > 1e-3  # nor twice the same


def test_the_callers_random_numbers_are_left_alone():
    seed_everything(3)
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    model = network()
    seed_everything(3)
    fit(model, stripes(), stripes(), epochs=1, augment=Augment(shift=0.1), batch_size=16, progress=False)
    assert random.getstate() == before[0] and np.array_equal(np.random.get_state()[1], before[1])
    assert torch.equal(torch.get_rng_state(), before[2])


def test_seed_everything_seeds_all_three_generators():
    def draw(seed):
        seed_everything(seed)
        return random.random(), np.random.rand(), torch.rand(1).item()

    assert draw(1) == draw(1)
    assert all(a != b for a, b in zip(draw(1), draw(2)))


class Reads(TorchDispatchMode):
    """Counts the values read from a tensor: each makes a GPU's host wait."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_steps_read_no_value_where_that_would_stall():
    class Pair(ProcessGroup):  # of two, so that the loss of a step is not looked at, but everything stays here
        def shard(self, index):
            return index, 1.0

        def average(self, values):
            return values

    counts = {}
    for group in (ProcessGroup(), Pair(0, 2)):
        model, data = network(), stripes()
        trainer = SupervisedTrainer(
            recipe=recipe(clip=1.0, optimizer="adamw", augment=Augment(flip=True, shift=0.1, intensity=0.1)),
            model=model, train=data, optimizer=recipe().make_optimizer(model), processes=group,
            loss=nn.functional.cross_entropy, placement=place_model(model, data.images, "cpu", "float32"),
        )  # fmt: skip
        with Reads() as reads:
            trainer.train_epoch(0, tqdm(disable=True))
        counts[group.world_size] = reads.count
    assert counts == {1: 6, 2: 0}  # 6 steps: on one CPU every loss is read


# --- schedule, clipping, stopping ------------------------------------------------------------------------------------


def recipe(**values):
    defaults = {"epochs": 1, "batch_size": 8, "lr": 0.1, "optimizer": "sgd", "weight_decay": 0.0, "clip": None}
    defaults |= {"schedule": "cosine", "augment": None, "patience": None, "seed": 0}
    return Recipe(**{**defaults, **values})


def test_cosine_schedule_rises_then_falls_to_zero():
    rates = [recipe().learning_rate(step, 100) for step in range(100)]
    assert rates[:5] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    assert all(a >= b for a, b in zip(rates[4:], rates[5:]))
    assert rates[52] == pytest.approx(0.1 * 0.5 * (1 + math.cos(math.pi * 47 / 95)))
    assert 0 < rates[-1] < 1e-4
    assert recipe().learning_rate(0, 1) == 0.1
    assert {recipe(schedule="constant").learning_rate(step, 9) for step in range(9)} == {0.1}


def test_step_schedule_falls_to_a_tenth_at_half_and_again_at_three_quarters():
    rates = [recipe(schedule="step").learning_rate(step, 8) for step in range(8)]
    assert rates == pytest.approx([0.1] * 4 + [0.01] * 2 + [0.001] * 2)


def test_the_schedule_reaches_the_optimizer():
    history = train(epochs=4, lr=0.01)[1]
    assert history.lr == [pytest.approx(recipe(lr=0.01).learning_rate(step, 12)) for step in (2, 5, 8, 11)]
    still, _ = train(model := network(), lr=1e-30, schedule="constant", weight_decay=0.0)
    assert still is model and torch.equal(weights(still), weights(network()))


def test_clip_limits_the_step():
    def step(clip):  # plain gradient descent's first step is lr times the (clipped) gradient
        model = network(dropout=0)
        before = weights(model)
        train(model, epochs=1, batch_size=48, optimizer="sgd", lr=1.0, weight_decay=0, schedule="constant", clip=clip)
        return float((weights(model) - before).norm())

    assert step(1e-3) == pytest.approx(1e-3, rel=1e-3)
    assert step(1e9) == step(None) > 2e-3


def test_weight_decay_pulls_to_zero():
    assert (
        weights(train(weight_decay=5.0, lr=0.01)[0]).norm() < 0.99 * weights(train(weight_decay=0.0, lr=0.01)[0]).norm()
    )


def test_early_stopping_goes_back_to_the_best_weights():
    data = stripes(16)
    train_on = ImageSet(data.images, torch.tensor([0] * 12 + [1] * 4), data.patients, data.info)  # pulls to class 0
    even = data.targets  # half and half: the best bias is none at all, so the loss rises from the first epoch on
    val = ImageSet(data.images, even, data.patients, data.info)
    model = Scale()
    seen = []
    model.register_forward_hook(lambda m, x, y: seen.append(m.bias.detach().clone()) if not m.training else None)
    history = fit(
        model, train_on, val, epochs=50, batch_size=16, lr=0.1, schedule="constant", patience=3, progress=False
    )
    assert history.stopped_early and history.best_epoch == 1 and len(history) == 4
    assert history.val_loss == sorted(history.val_loss)
    after_epoch = seen[1:]  # the first look is the check of the outputs
    assert torch.equal(model.bias, after_epoch[0]) and not torch.equal(model.bias, after_epoch[-1])
    kept = Scale()
    fit(kept, train_on, val, epochs=4, batch_size=16, lr=0.1, schedule="constant", progress=False)
    assert torch.equal(kept.bias, after_epoch[-1])  # without patience the last weights stay


def test_a_validation_loss_that_is_not_a_number_is_never_the_best():
    record = History()
    for loss in (math.nan, 0.5, math.nan, 0.4):
        record.add_epoch({"loss": 1.0, "lr": 0.1}, 10, 1.0)
        record.add_validation({"loss": loss}, patience=3)
    assert record.best_epoch == 4 and not record.stopped_early


# --- losses that are not numbers -------------------------------------------------------------------------------------


def test_a_huge_learning_rate_is_stopped_with_step_and_rate():
    message = r"the loss became (nan|inf) at step (\d+) \(epoch \d+\) with learning rate 1e\+12: lower lr"
    with pytest.raises(FloatingPointError, match=message) as error:
        train(optimizer="sgd", lr=1e12, schedule="constant", epochs=20)
    assert int(re.search(r"step (\d+)", str(error.value))[1]) > 1


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_the_step_of_a_bad_loss_is_named_and_training_ends_there(value):
    calls = 0

    def loss(logits, targets):
        nonlocal calls
        calls += 1
        return nn.functional.cross_entropy(logits, targets) * (value if calls == 5 else 1)

    message = rf"the loss became {value} at step 5 \(epoch 2\) with learning rate 0.001: lower lr, clip"
    with pytest.raises(FloatingPointError, match=message):
        train(loss=loss, schedule="constant", epochs=3)  # 3 steps an epoch
    assert calls == 5


# --- predict, validate, history, progress ----------------------------------------------------------------------------


def test_predict_gives_probabilities_and_leaves_every_mode_as_it_was():
    model, data = network(), stripes(20)
    model.train()
    model.features.eval()
    modes = [module.training for module in model.modules()]
    probs = predict(model, data, batch_size=7)
    assert [module.training for module in model.modules()] == modes
    assert probs.shape == (20, 2) and probs.dtype == torch.float32 and not probs.requires_grad
    assert torch.allclose(probs.sum(1), torch.ones(20))
    model.eval()
    assert torch.allclose(probs, model(data.images).softmax(1), atol=1e-6)
    several = predict(network(), stripes(task="multi-label"))
    assert not torch.allclose(several.sum(1), torch.ones(48), atol=1e-3) and ((several > 0) & (several < 1)).all()


def test_validation_scores_are_those_of_the_whole_set():
    model, data = network().eval(), stripes(300)  # more than one batch
    scores = validate(model, data, nn.functional.cross_entropy, CPU)
    logits = model(data.images)
    assert scores["loss"] == pytest.approx(float(nn.functional.cross_entropy(logits, data.targets).detach()), rel=1e-5)
    assert scores["accuracy"] == pytest.approx(float((logits.argmax(1) == data.targets).float().mean()))
    one = data[np.arange(0, 300, 2)]
    assert math.isnan(validate(model, one, nn.functional.cross_entropy, CPU)["auc"])


def test_history_holds_a_learning_curve():
    data = stripes()
    model = network()
    history = fit(model, data, data, epochs=3, batch_size=20, progress=False)
    assert isinstance(history, History) and len(history) == 3 and not model.training
    for name in ("train_loss", "val_loss", "lr", "seconds", "images_per_second"):
        values = getattr(history, name)
        assert len(values) == 3 and all(type(value) is float and value > 0 for value in values)
    assert all(s * v == pytest.approx(48) for s, v in zip(history.seconds, history.images_per_second))
    assert history.device == "cpu" and history.best_epoch == 1 + np.argmin(history.val_loss)
    assert repr(history).startswith("History(3 epochs on cpu in ") and "accuracy" in repr(history)
    assert repr(History()) == "History(no epoch yet)"
    assert History(**history.to_dict()) == history


def test_train_loss_is_the_mean_over_images_not_over_batches():
    data = stripes(10)
    history = train(Scale(), data, batch_size=8, epochs=1, lr=1e-30, schedule="constant",
                    loss=lambda logits, targets: logits.sum() * 0 + len(targets))[1]  # fmt: skip
    assert history.train_loss == [pytest.approx((8 * 8 + 2 * 2) / 10)]


def test_progress_is_plain_text_outside_a_front_end(capsys):
    data = stripes()
    fit(network(), data, data, epochs=2, batch_size=16)
    out, err = capsys.readouterr()
    assert out == "" and "6/6" in err and "loss=" in err and "val=" in err and "<" not in err.split("[")[0]
    train()
    assert capsys.readouterr() == ("", "")


# --- arguments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lr": -1e-3}, "lr must be positive, got -0.001; 1e-3 is a usual start for adamw"),
        ({"lr": 0}, "lr must be positive, got 0"),
        ({"lr": math.nan}, "lr must be positive, got nan"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"epochs": 2.5}, "epochs must be a whole number of at least 1, got 2.5"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"weight_decay": -1}, "weight_decay must not be negative, got -1"),
        ({"clip": 0}, "clip must be positive, got 0; 1.0 is usual, None for no limit"),
        ({"patience": 3}, "patience needs a validation set"),
        ({"patience": 0, "val": stripes()}, "patience must be a whole number of at least 1, got 0"),
        ({"optimizer": "adamx"}, "unknown optimizer 'adamx'. Did you mean 'adamw'? Allowed: adamw, nesterov, sgd."),
        ({"schedule": "cosin"}, "unknown schedule 'cosin'. Did you mean 'cosine'? Allowed: constant, cosine, step."),
        ({"device": "cpuu"}, "unknown device 'cpuu'. Did you mean 'cpu'?"),
        ({"device": "xpu"}, "no 'xpu' device on this machine; available: "),
        ({"precision": "float23"}, "unknown precision 'float23'. Did you mean 'float32'? Allowed: bfloat16, float16"),
        ({"resume": True}, "resume=True needs `checkpoint`, the file to go on from"),
        (
            {"val": stripes(task="multi-label")},
            "must share task and classes, got stripes (multi-class, 2 classes) and ",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_a_bad_argument_fails_at_the_door(arguments, message):
    model = network()
    with pytest.raises(ValueError) as error:
        train(model, **arguments)
    assert message in str(error.value)
    assert torch.equal(weights(model), weights(network()))


def test_an_empty_class_and_a_wrong_number_of_outputs_are_named():
    with pytest.raises(ValueError, match="no training image of class left, right: load more images or leave the class"):
        train(network(classes=4), stripes(classes=("down", "across", "left", "right")))
    with pytest.raises(
        ValueError, match="stripes has 2 classes, but ShallowCNN gives 5 outputs; build it with classes=2"
    ):
        train(network(classes=5))


def test_the_environment_names_the_device(monkeypatch):
    monkeypatch.setenv("MEDLAB_DEVICE", "xpu")
    with pytest.raises(ValueError, match="no 'xpu' device on this machine"):
        pick_device()
    assert pick_device("cpu") == torch.device("cpu")
    monkeypatch.setenv("MEDLAB_DEVICE", "cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device() == torch.device("cpu")


def test_device_and_precision_by_name():
    assert pick_device("cpu") == torch.device("cpu") and pick_device() == pick_device(None)
    assert pick_precision("bfloat16", torch.device("cpu")) == torch.bfloat16
    fast = torch.cpu._is_avx512_bf16_supported()
    assert pick_precision(None, torch.device("cpu")) == (torch.bfloat16 if fast else torch.float32)


def test_a_model_can_be_trained_twice():
    model, _ = train()
    once = copy.deepcopy(model)
    train(model)
    assert not torch.equal(weights(model), weights(once))


def test_validation_patients_that_are_trained_on_are_warned_of():
    data = stripes()
    data.patients = np.arange(len(data)) // 2
    with pytest.warns(UserWarning, match="^2 of 4 validation patients stand in the training set, .*: split by") as said:
        train(data=data[:36], val=data[32:40])
    assert [warning.filename for warning in said] == [__file__]  # the caller's line


def test_validation_on_other_patients_or_synthetic_images_or_another_set_is_not_warned_of(recwarn):
    data = stripes()
    train(data=data[:40], val=data[40:])
    other = data[:8]
    other.info = replace(data.info, name="other hospital")
    train(data=data, val=other)
    data.patients = np.where(np.arange(len(data)) % 2, data.patients, NO_PATIENT)
    train(data=data[:40], val=data[40:])
    assert not [str(warning.message) for warning in recwarn if "validation" in str(warning.message)]
