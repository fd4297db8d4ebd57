"""A saved network is the network that was saved, in a fresh process too; what was changed or is foreign is refused."""

import errno
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from medlab import models
from medlab.data import ImageSet
from medlab.metrics import classification_report
from medlab.models import (
    ACDiscriminator,
    Backbone,
    DCDiscriminator,
    DCGenerator,
    DRINet,
    DRINetBaseline,
    LesionCNN,
    MinibatchDiscrimination,
    PatchCNN,
    RingDiscriminator,
    RingGenerator,
    SCANCritic,
    SCANSegmenter,
    ShallowCNN,
    SliceBySlice,
    SmallCNN,
    Standardize,
    SynergicNetwork,
    UNet,
    VirtualBatchNorm,
    WGANCritic,
    WholeVolume,
    WithReference,
    load_model,
    save_model,
    small_resnet18,
)
from medlab.models.acgan import ACGenerator
from medlab.models.description import NETWORKS

ABOUT = {"name": "toy", "license": "MIT", "classes": ["a", "b", "c"]}
IMAGES = ImageSet(
    torch.rand((12, 1, 16, 16), generator=torch.Generator().manual_seed(0)), np.arange(12) % 3, phantom=True, **ABOUT
)


def latent(network):
    return network, (network.sample_latent(3, torch.Generator().manual_seed(0)),)


def images(network, channels=1, *sides):
    return network, (torch.rand(2, channels, *(sides or (32, 32))),)


# Every class of medlab.models, with other arguments than its defaults, and what it takes
CASES = {
    "ACDiscriminator": lambda: images(ACDiscriminator(4, 16, width=8), 1, 16, 16),
    "ACGenerator": lambda: (ACGenerator(4, 16, latent=5, width=8), (torch.rand(3, 5), torch.tensor([0, 1, 3]))),
    "Backbone": lambda: images(Backbone("resnet18", "nothing but noise"), 3),
    "DCDiscriminator": lambda: images(DCDiscriminator(32, width=8, activation="elu")),
    "DCGenerator": lambda: latent(DCGenerator(16, 1, latent=4, width=8, tanh=False)),
    "DRINet": lambda: images(DRINet(growth=[4, 8], stem=8)),
    "DRINetBaseline": lambda: images(DRINetBaseline(width=4, levels=3, skips=False)),
    "LesionCNN": lambda: images(LesionCNN(size=32, width=4)),
    "MinibatchDiscrimination": lambda: (MinibatchDiscrimination(6, 4, 3), (torch.rand(5, 6),)),
    "PatchCNN": lambda: images(PatchCNN(channels=(4, 6), dense=np.int64(10)), 1, 24, 24),
    "RingDiscriminator": lambda: images(RingDiscriminator(8), 2, 1, 1),
    "RingGenerator": lambda: latent(RingGenerator(3, 8)),
    "SCANCritic": lambda: (SCANCritic(3, 1, poolings=2), (torch.rand(2, 3, 32, 32), torch.rand(2, 1, 32, 32))),
    "SCANSegmenter": lambda: images(SCANSegmenter(classes=3, width=4, poolings=2)),
    "ShallowCNN": lambda: images(ShallowCNN(activation=nn.Sigmoid, convolutions=2)),
    "SliceBySlice": lambda: images(SliceBySlice(UNet(width=4, levels=2)), 1, 3, 16, 16),
    "SmallCNN": lambda: images(SmallCNN(classes=3, width=4, dropout=0.2)),
    "SynergicNetwork": lambda: images(
        SynergicNetwork(2, features=8, backbone=lambda n: nn.Sequential(Standardize(IMAGES), SmallCNN(1, n, 4)))
    ),
    "UNet": lambda: images(UNet(width=4, levels=2, norm=False, axes=3), 1, 8, 8, 8),
    "VirtualBatchNorm": lambda: images(VirtualBatchNorm(1, 1, 0.1)),
    "WGANCritic": lambda: images(WGANCritic(32, width=8, norm=False)),
    "WholeVolume": lambda: images(WholeVolume(PatchCNN(channels=(4, 6), dense=10)), 1, 2, 24, 24),
    "WithReference": lambda: latent(WithReference(DCGenerator(16, latent=4, width=8), torch.rand(4, 4))),
    "small_resnet18": lambda: images(small_resnet18(1, 3)),
    "Sequential": lambda: images(
        nn.Sequential(Standardize(IMAGES), SmallCNN(1, 6, 4), nn.ReLU(), nn.Dropout(0.1), nn.Linear(6, 2, bias=False))
    ),
    "Standardize": lambda: images(Standardize(IMAGES)),
}


def saved(tmp_path, network=None, **facts):
    """A saved network, trained for a step so that all its weights and statistics are its own."""
    network = network or nn.Sequential(Standardize(IMAGES), SmallCNN(1, 3, 4))
    network.train()(IMAGES.images)
    save_model(tmp_path / "net", network.eval(), IMAGES, **facts)
    return network


@pytest.mark.parametrize("name", CASES)
def test_every_network_comes_back_bit_for_bit(tmp_path, name):
    torch.manual_seed(0)
    network, inputs = CASES[name]()
    network.eval()
    save_model(tmp_path / "deep" / "net.safetensors", network, IMAGES)
    before = torch.get_rng_state()
    loaded = load_model(tmp_path / "deep" / "net")
    assert torch.equal(torch.get_rng_state(), before)  # nothing was drawn
    assert not loaded.training and all(value.device.type == "cpu" for value in loaded.state_dict().values())
    with torch.no_grad():
        ours, theirs = network(*inputs), loaded(*inputs)
    pairs = zip(ours, theirs, strict=True) if isinstance(ours, tuple) else [(ours, theirs)]
    assert all(torch.equal(one, other) for one, other in pairs)
    assert str(loaded) == str(network) and all(part.requires_grad for part in loaded.parameters())


def test_there_is_a_case_for_every_network_class():
    classes = {name for name in models.__all__ if isinstance(getattr(models, name), type)}
    layers = {"InceptionModule", "UnpoolingBlock"}
    assert classes - layers - {"ModelCard"} | {one.__name__ for one in NETWORKS} <= set(CASES)


def test_a_network_predicts_the_same_in_a_fresh_process(tmp_path):
    network = saved(tmp_path)
    torch.save(IMAGES.images, tmp_path / "images.pt")
    program = (
        "import sys, torch; from medlab.models import load_model\n"
        "images = torch.load(sys.argv[1] + '/images.pt', weights_only=True)\n"
        "with torch.no_grad(): torch.save(load_model(sys.argv[1] + '/net')(images), sys.argv[1] + '/answer.pt')\n"
        "assert 'pandas' not in sys.modules"
    )
    settings = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, env=settings)
    with torch.no_grad():
        assert torch.equal(torch.load(tmp_path / "answer.pt", weights_only=True), network(IMAGES.images))


def test_half_precision_takes_half_the_bytes_and_loads_as_float32(tmp_path):
    network = saved(tmp_path)
    whole = (tmp_path / "net.safetensors").stat().st_size
    save_model(tmp_path / "net", network, IMAGES, half=True)
    loaded = load_model(tmp_path / "net")
    assert (tmp_path / "net.safetensors").stat().st_size < 0.6 * whole and loaded.card["half"]
    for name, value in network.state_dict().items():
        expected = value.half().float() if value.is_floating_point() else value
        assert torch.equal(loaded.state_dict()[name], expected)


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    network = SmallCNN(1, 3, 4)
    for value, message in (
        (7e4, "classifier.bias is not finite in half precision: save with half=False"),
        (torch.nan, "not finite"),
    ):
        nn.init.constant_(network.classifier.bias, value)
        with pytest.raises(ValueError, match=message):
            save_model(tmp_path / "net", network, IMAGES, half=True)
    assert not list(tmp_path.iterdir())


def test_the_card_says_what_the_network_takes_and_what_it_was_trained_on(tmp_path):
    probs = torch.softmax(torch.rand(12, 3), 1)
    report = classification_report(probs, IMAGES.targets, classes=IMAGES.info.classes, resamples=50)
    network = saved(tmp_path, figures=report, plan="medlab train SmallCNN toy", temperature=1.5)
    card = load_model(tmp_path / "net.json").card
    assert card["task"] == "multi-class" and card["classes"] == ["a", "b", "c"]
    assert (card["channels"], card["size"], card["spacing"], card["window"]) == (1, [16, 16], None, None)
    assert card["unit"] == IMAGES.info.unit and card["temperature"] == 1.5
    assert card["normalization"]["mean"] == [network[0].mean.item()]
    assert card["images"]["license"] == "MIT" and card["images"]["n"] == 12 and card["images"]["phantom"]
    assert card["figures"]["auc"]["value"] == report.auc.value and card["plan"] == "medlab train SmallCNN toy"
    text = str(card)
    assert "net: Standardize + SmallCNN" in text and f"auc {report.auc.value:.3g} [" in text and "a, b, c" in text


def test_the_card_knows_a_spacing_that_all_images_share(tmp_path):
    from medlab.data.nifti import Grid

    network = SmallCNN(1, 3, 4)
    one, other = (Grid(np.diag([size, 2.0, 3.0, 1.0]), ((16, 16, 1), np.eye(4))) for size in (1.0, 1.5))
    for grids, expected in (([one] * 12, [2.0, 1.0]), ([one] * 11 + [other], None)):
        images = IMAGES.replace(grids=grids)
        assert save_model(tmp_path / "net", network, images)["spacing"] == expected


def test_a_generator_of_real_images_needs_the_distance_to_the_nearest(tmp_path):
    network, real = DCGenerator(16, latent=4, width=8), ImageSet(IMAGES.images, IMAGES.targets, **ABOUT)
    with pytest.raises(ValueError, match=r"generator of real images .* medlab.metrics.nearest"):
        save_model(tmp_path / "net", network, real, figures={"fid": 1.0})
    assert not list(tmp_path.iterdir())
    card = save_model(tmp_path / "net", network, real[:1], figures={"nearest": 0.1})
    assert card["task"] == "generation" and card["classes"] == ["a"] and card["normalization"]["mean"] == [0.5]


# What is refused


class Foreign(SmallCNN):
    """A class of somebody else."""


def changed():
    network = SmallCNN(1, 3, 4)
    network.features[0][2] = nn.Sigmoid()
    return network


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda: Foreign(), "Foreign cannot be saved: its class is not one of medlab.models. Build the network of"),
        (lambda: nn.Sequential(SmallCNN(), nn.Softplus()), "Softplus cannot be saved"),
        (
            changed,
            r"SmallCNN was changed after it was built: it has \(2\): Sigmoid\(\), its arguments give \(2\): ReLU",
        ),
        (lambda: ShallowCNN(activation=nn.Softplus), "argument activation of a network is <class .*Softplus"),
    ],
)
def test_networks_that_could_not_be_built_again_are_not_saved(tmp_path, network, message):
    with pytest.raises(ValueError, match=message):
        save_model(tmp_path / "net", network(), IMAGES)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [float("nan"), torch.rand(2), {1, 2}])
def test_facts_that_json_cannot_hold_are_refused(tmp_path, value):
    with pytest.raises(ValueError, match="the card of net.safetensors holds numbers"):
        save_model(tmp_path / "net", SmallCNN(), IMAGES, note=value)


def rewrite(folder, sign=True, **entries):
    """Change the card; with `sign`, as somebody who knows how it is made would."""
    card = json.loads((folder / "net.json").read_text()) | entries
    if sign:
        rest = {name: value for name, value in card.items() if name != "card_sha256"}
        card["card_sha256"] = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
    (folder / "net.json").write_text(json.dumps(card))


def other_weights(folder):
    (folder / "net.safetensors").write_bytes(b"no tensors")
    rewrite(folder, sha256=hashlib.sha256(b"no tensors").hexdigest())


def network(name, **arguments):
    return {"class": name, "arguments": arguments}


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda d: (d / "net.safetensors").unlink(), FileNotFoundError, "no .*net.safetensors; .* stay in one folder"),
        (lambda d: (d / "net.json").unlink(), FileNotFoundError, "no .*net.json; save_model writes"),
        (lambda d: (d / "net.json").write_text("{"), ValueError, "card .*net.json cannot be read .* copy both files"),
        (lambda d: (d / "net.json").write_text("[1]"), ValueError, "net.json cannot be read"),
        (lambda d: (d / "net.json").write_text("[" * 9999), ValueError, "net.json cannot be read"),
        (lambda d: (d / "net.json").write_text(" " * 2**21), ValueError, "2,097,152 bytes, allowed are 1,048,576"),
        (lambda d: (d / "net.json").write_text("{}"), ValueError, "no card of 'medlab model 1', but of None"),
        (lambda d: rewrite(d, sign=False, classes=["c", "b", "a"]), ValueError, "net.json was changed after it was"),
        (lambda d: rewrite(d, sign=False, sha256="0"), ValueError, "net.json was changed after it was written"),
        (lambda d: rewrite(d, sha256="0"), ValueError, "net.safetensors has the SHA-256 .*, its card says 0"),
        (lambda d: os.truncate(d / "net.safetensors", 1000), ValueError, "net.safetensors has the SHA-256"),
        (other_weights, ValueError, r"does not fit its card, Standardize \+ SmallCNN"),
        (lambda d: rewrite(d, network=network("os.system")), ValueError, "unknown class of network 'os.system'"),
        (
            lambda d: rewrite(d, network=network("SmallCNN", sise=3)),
            ValueError,
            "does not fit its card, SmallCNN .*sise",
        ),
        (
            lambda d: rewrite(d, network=network("SmallCNN", width=9)),
            ValueError,
            "(?s)does not fit .*SmallCNN.*Missing",
        ),
        (lambda d: rewrite(d, network=None), ValueError, "does not fit its card, no network"),
    ],
)
def test_changed_and_foreign_files_are_refused_by_name(tmp_path, damage, error, message):
    saved(tmp_path)
    damage(tmp_path)
    with pytest.raises(error, match=message):
        load_model(tmp_path / "net")


def test_a_full_disk_leaves_network_and_card_as_they_were(tmp_path, monkeypatch):
    saved(tmp_path)
    before, write, calls = {each.name: each.read_bytes() for each in tmp_path.iterdir()}, os.fsync, []

    def full(number):
        calls.append(number)
        if len(calls) == 2:  # the weights still fitted
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(number)

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"could not write .*net.json: No space left .*it needs"):
        save_model(tmp_path / "net", SmallCNN(classes=2).eval(), IMAGES)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before


def test_a_checkpoint_is_told_from_a_saved_network(tmp_path):
    torch.save({}, tmp_path / "run.pt")
    with pytest.raises(FileNotFoundError, match="checkpoint of fit is no saved network: go on from it with resume"):
        load_model(tmp_path / "run.pt")
