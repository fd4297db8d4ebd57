"""Pretrained generators fit their model cards, damaged ones are refused, and the notebook that trains them runs."""

import json
import os
import shlex

import numpy as np
import pytest
import torch
from lesson_rules import describes_its_images, has_one_cell_of_commented_parameters, is_stripped, is_valid
from nbformat.v4 import reads
from project import ROOT

from medlab.metrics import psnr_ssim
from medlab.models import DCGenerator, RingGenerator, count_parameters, load_pretrained, pretrained_names
from medlab.models.pretrained import checkpoints_folder, fingerprint, save_pretrained
from medlab.runs import publish, run
from medlab.runs.sweeping import read_plan
from medlab.train import sample

CHECKPOINTS = ROOT / "data" / "checkpoints"
NOTEBOOK = CHECKPOINTS / "train.ipynb"
ARGUMENTS = {"size": 16, "width": 8, "latent": 4, "kernel": 4, "noise": "normal", "tanh": False}
FACTS = {
    "about": "a test", "images": {"name": "pet", "kind": "", "n": 10}, "steps": 5, "loss": "wgan", "seed": 0,
    "seconds": 60, "hardware": {"gpu": None, "cpu": "a CPU"}, "fid": 1.0, "kid": 0.1, "fid_of_training": 0.5,
    "kid_of_training": 0.0, "held_out": 7, "command": "medlab run x",
}  # fmt: skip


@pytest.fixture
def saved(tmp_path):
    """A folder with one saved generator, and that generator."""
    torch.manual_seed(0)
    generator = DCGenerator(**ARGUMENTS)
    with torch.no_grad():
        for part in generator.parameters():
            part.mul_(10)  # as if it were trained: initially all images are gray
    generator(generator.sample_latent(64, torch.Generator().manual_seed(0)))  # statistics of batch normalization
    save_pretrained(tmp_path, "small", generator, ARGUMENTS, FACTS)
    return tmp_path, generator.eval()


# The files that came with the course


@pytest.mark.parametrize("name", pretrained_names(CHECKPOINTS))
def test_a_pretrained_generator_fits_its_model_card(name):
    generator, card = load_pretrained(name)  # checks the hash, the class and its arguments
    assert checkpoints_folder() == CHECKPOINTS and card["name"] == name and not generator.training
    assert card["weights"] == count_parameters(generator)
    np.testing.assert_allclose(fingerprint(generator), card["samples"], atol=2e-3)
    needed = {
        "about", "command", "commit", "hardware", "versions", "started", "seconds", "steps", "seed", "loss", "fid",
        "kid", "fid_of_training", "kid_of_training", "nearest", "nearest_of_held_out", "images", "license", "held_out",
    }  # fmt: skip
    assert needed <= set(card) and not card["commit"].endswith("-dirty")
    assert card["command"].startswith("medlab run data/checkpoints/train.ipynb")
    assert name in str(card) and card["command"] in str(card)
    images = sample(generator, 32, seed=1)
    assert images.shape == (32, 1, card["arguments"]["size"], card["arguments"]["size"]) and images.std() > 0.1
    assert psnr_ssim(images[:16], images[16:], "all").ssim < 0.95  # no collapse


def test_shipped_files_are_small_and_each_has_its_model_card():
    names = {suffix: {path.stem for path in CHECKPOINTS.glob(f"*{suffix}")} for suffix in (".safetensors", ".json")}
    assert names[".safetensors"] == names[".json"]
    assert sum(path.stat().st_size for path in CHECKPOINTS.iterdir()) < 8 * 2**20


def test_the_plans_make_what_is_published_and_nothing_else(monkeypatch):
    monkeypatch.chdir(ROOT)
    planned, made = [], []
    for plan in sorted(CHECKPOINTS.glob("*.yaml")):
        notebook, runs, _ = read_plan(plan)
        assert notebook == NOTEBOOK
        planned += [{name: str(value) for name, value in run.items()} for run in runs]
    for card in sorted(CHECKPOINTS.glob("*.json")):
        words = shlex.split(json.loads(card.read_text(encoding="utf-8"))["command"])
        made.append(dict(zip(words[4::3], words[5::3])))  # medlab run NOTEBOOK -p NAME VALUE ...
    assert sorted(made, key=str) == sorted(planned, key=str) and made


def test_the_notebook_has_the_form_of_the_course():
    notebook = reads(NOTEBOOK.read_text(encoding="utf-8"))
    for rule in (is_valid, is_stripped, has_one_cell_of_commented_parameters, describes_its_images):
        assert list(rule(notebook, NOTEBOOK)) == []
    assert all(len(cell.source.splitlines()) <= 25 for cell in notebook.cells if cell.cell_type == "code")


# Saving and loading


def test_what_is_loaded_is_what_was_saved_rounded_to_half_precision(saved):
    folder, generator = saved
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    loaded, card = load_pretrained("small", folder)
    assert torch.equal(torch.rand(1), expected)  # nothing was drawn
    for name, value in generator.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value.half().float() if value.ndim else value)
    assert {part.dtype for part in loaded.parameters()} == {torch.float32}
    torch.testing.assert_close(sample(loaded, 4), sample(generator, 4), atol=0.02, rtol=0)
    assert card["samples"] == fingerprint(loaded) and len({tuple(row) for row in card["samples"]}) == 8
    assert card["weights"] == count_parameters(generator)
    assert "small: a test" in str(card) and "trained on 10 images of pet for 5 steps as wgan" in str(card)
    assert pretrained_names(folder) == ["small"] and not list(folder.glob("*.part"))


def test_only_known_classes_are_saved(tmp_path):
    with pytest.raises(ValueError, match="unknown class of generator to save 'RingGenerator'"):
        save_pretrained(tmp_path, "ring", RingGenerator(), {}, {})
    assert list(tmp_path.iterdir()) == []


def test_publishing_outside_a_run_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEDLAB_RUN_DIR", raising=False)
    assert publish("small", DCGenerator(**ARGUMENTS), ARGUMENTS) is None
    assert "`medlab run` writes it" in capsys.readouterr().out and not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="fact 'fid' is nan"):
        publish("small", DCGenerator(**ARGUMENTS), ARGUMENTS, fid=float("nan"))


def change(file, **values):
    card = json.loads(file.read_text()) | values
    file.write_text(json.dumps({key: value for key, value in card.items() if value is not None}))


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda d: (d / "small.safetensors").unlink(), FileNotFoundError, "no pretrained generators in .*train.ipynb"),
        (lambda d: (d / "small.json").unlink(), FileNotFoundError, "small.json is missing: restore both files"),
        (lambda d: (d / "small.json").write_text("{"), ValueError, "small.json cannot be read"),
        (lambda d: (d / "small.json").write_text("[1]"), ValueError, "small.json cannot be read"),
        (lambda d: change(d / "small.json", sha256=None), ValueError, "lacks sha256"),
        (lambda d: change(d / "small.json", sha256="0"), ValueError, "has the SHA-256 .*, its model card says 0"),
        (lambda d: (d / "small.safetensors").write_bytes(b"x"), ValueError, "has the SHA-256"),
        (lambda d: change(d / "small.json", generator="os.system"), ValueError, "unknown generator on the model card"),
        (lambda d: change(d / "small.json", arguments={"sise": 16}), ValueError, "does not fit its model card.*sise"),
        (lambda d: change(d / "small.json", arguments={"size": 15}), ValueError, "does not fit .*power of two"),
        (
            lambda d: change(d / "small.json", arguments=ARGUMENTS | {"width": 16}),
            ValueError,
            "does not fit its model card, DCGenerator .*size mismatch",
        ),
        (lambda d: os.truncate(d / "small.safetensors", 1000), ValueError, "has the SHA-256"),
    ],
)
def test_bad_files_say_what_to_do(saved, damage, error, message):
    damage(saved[0])
    with pytest.raises(error, match=f"(?s){message}"):
        load_pretrained("small", saved[0])


def test_an_unknown_name_names_the_nearest(saved):
    with pytest.raises(ValueError, match=r"unknown pretrained generator 'smal'\. Did you mean 'small'\?"):
        load_pretrained("smal", saved[0])


def test_weights_that_are_no_safetensors_are_refused(saved):
    import hashlib

    folder, _ = saved
    (folder / "small.safetensors").write_bytes(b"not tensors")
    change(folder / "small.json", sha256=hashlib.sha256(b"not tensors").hexdigest())
    with pytest.raises(ValueError, match="does not fit its model card"):
        load_pretrained("small", folder)


# The notebook


def test_a_run_of_the_notebook_publishes(tmp_path):
    tiny = {
        "size": 16,
        "n": 240,
        "width": 16,
        "critic_width": 4,
        "latent": 8,
        "steps": 4,
        "epochs": 2,
        "batch_size": 16,
    }
    chosen = tiny | {"judge_epochs": 1, "loss": "wgan", "design": "han2018"}
    result = run(NOTEBOOK, chosen, out=tmp_path / "run", progress=False)
    assert result.ok, result
    generator, card = load_pretrained("pet-normal-wgan", result.folder)
    assert generator.size == 16 and generator.noise == "normal" and card["steps"] == 4
    assert card["command"].startswith("medlab run data/checkpoints/train.ipynb -p size 16 ")
    assert card["fid"] == result.values["fid"] > card["fid_of_training"] and card["images"]["kind"] == "normal"
    assert card["commit"] == result.details["commit"] and card["hardware"] == result.details["hardware"]
