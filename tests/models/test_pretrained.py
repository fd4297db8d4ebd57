"""Networks that come with the course fit their cards, and the notebook that trains them runs."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from lesson_rules import describes_its_images, has_one_cell_of_commented_parameters, is_stripped, is_valid
from nbformat.v4 import reads
from project import ROOT
from torch.nn.functional import pad
from toys import network, stripes

from medlab.data import load, load_sample
from medlab.metrics import nearest, psnr_ssim, segmentation_report
from medlab.models import (
    ACGenerator,
    DCGenerator,
    UNet,
    count_parameters,
    load_model,
    load_pretrained,
    pretrained_names,
    save_model,
)
from medlab.models.pretrained import checkpoints_folder, fingerprint
from medlab.runs import publish, recorded, run
from medlab.runs.sweeping import read_plan
from medlab.train import predict, sample

CHECKPOINTS = ROOT / "data" / "checkpoints"
NAMES = ("train", "segment", "hippocampus", "films")
NOTEBOOK, SEGMENTER, HIPPOCAMPUS, FILMS = (CHECKPOINTS / f"{name}.ipynb" for name in NAMES)
FREE = ("CC BY 4.0", "CC BY-SA 4.0", "CC0")  # licenses that let us hand on what was learned from real images
TASKS = {
    name: json.loads((CHECKPOINTS / f"{name}.json").read_text(encoding="utf-8"))["task"]
    for name in pretrained_names(CHECKPOINTS)
}


# The files that came with the course


@pytest.mark.parametrize("name", pretrained_names(CHECKPOINTS))
def test_a_shipped_network_fits_its_card(name):
    network = load_pretrained(name)  # checks the hashes, the class and its arguments
    card = network.card
    assert checkpoints_folder() == CHECKPOINTS and card["name"] == name and card["half"]
    assert card["weights"] == count_parameters(network)
    np.testing.assert_allclose(fingerprint(network, card["channels"], card["size"]), card["output"], atol=2e-3)
    needed = {"about", "commit", "hardware", "versions", "started", "seconds", "steps", "seed", "loss", "drawn"}
    assert needed <= set(card) and not card["commit"].endswith("-dirty")
    assert all((card["unit"], card["images"]["license"], card["classes"]))
    assert card["images"]["phantom"] or card["images"]["license"] in FREE
    notebook = ROOT / shlex.split(card["plan"])[2]
    assert notebook in (NOTEBOOK, SEGMENTER, HIPPOCAMPUS, FILMS) and card["plan"] in str(card)


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task == "segmentation"])
def test_a_shipped_segmenter_finds_the_organs_of_new_patients(name):
    segmenter = load_pretrained(name)
    if segmenter.card["images"]["phantom"]:
        patients = load(segmenter.card["images"]["name"], size=segmenter.card["size"][0], patients=4, seed=7)
    else:  # cases of the sample that it has not learned from
        sample_cases = load_sample(segmenter.card["images"]["name"])
        new = np.isin(sample_cases.patients, recorded("04-hippocampus").values["test_patients"])
        patients = sample_cases[np.flatnonzero(new)]
    report = segmentation_report(predict(segmenter, patients, labels=True), patients, resamples=1)
    for organ, scores in report.per_class.items():
        assert scores.dice.value == pytest.approx(segmenter.card["figures"][f"dice_{organ}"], abs=0.15)


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task == "generation"])
def test_a_shipped_generator_is_measured_and_did_not_collapse(name):
    generator = load_pretrained(name)
    pairs = {"kid": "kid_of_training", "nearest": "nearest_of_held_out"}
    if NOTEBOOK.name in generator.card["plan"]:
        pairs["fid"] = "fid_of_training"
    assert {"held_out", *pairs, *pairs.values()} <= set(generator.card["figures"])
    images = sample(generator, 32, seed=1)
    assert images.shape == (32, generator.card["channels"], *generator.card["size"]) and images.std() > 0.1
    assert psnr_ssim(images[:16], images[16:], "all").ssim < 0.95


def films(split=None):
    """The real films of the course as their networks take them: 32 pixels, of one official part or of all."""
    sample = load_sample("pneumoniamnist")
    images = pad(sample.images, [2] * 4, "reflect")
    return images if split is None else images[torch.from_numpy(sample.published_split == split)]


def kept(t):
    """How much of a film's variance is left at the times t: the cosine of Nichol and Dhariwal (2021)."""
    return torch.cos((t + 0.008) / 1.008 * torch.pi / 2).square().clamp(1e-4, 1)


@torch.no_grad()
def clean_in(network, noisy, t):
    """The clean films that a denoiser, asked for the velocity, sees in noisy ones from -1 to 1."""
    velocity = network(torch.cat([noisy, torch.full_like(noisy, float(t))], 1))
    return kept(t).sqrt() * noisy - (1 - kept(t)).sqrt() * velocity


def test_the_shipped_denoiser_finds_new_films_under_noise():
    """As well as its card says of held-out films, and new ones as well as films that it has learned from."""
    network, t, errors = load_pretrained("films-diffusion"), torch.tensor(0.5), {}
    for part in ("train", "val", "test"):
        clean = 2 * films(part) - 1
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
        found = clean_in(network, kept(t).sqrt() * clean + (1 - kept(t)).sqrt() * noise, t)
        errors[part] = (found - clean).square().mean((1, 2, 3))
    figures = network.card["figures"]
    assert float(errors["val"].mean()) == pytest.approx(figures["error_at_0.5"], rel=0.3)
    assert float(errors["test"].mean()) < figures["error_of_the_mean_film"] / 2
    # medians, for one of the 36 test films is odd
    assert float(errors["test"].median()) == pytest.approx(float(errors["train"].median()), rel=0.3)


def test_what_the_shipped_denoiser_draws_is_no_copy():
    """Nor noise: the nearest real film is about as far as it is for films that the network never saw."""
    network, times = load_pretrained("films-diffusion"), torch.linspace(1, 0, 21)
    drawn = torch.randn(12, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    for now, then in zip(times, times[1:]):
        a, b = kept(now), kept(then)
        clean = clean_in(network, drawn, now).clamp(-1, 1)
        drawn = b.sqrt() * clean + (1 - b).sqrt() * (drawn - a.sqrt() * clean) / (1 - a).sqrt()
    far = np.median(nearest((drawn / 2 + 0.5).clamp(0, 1), films("train")).distance)
    new = np.median(nearest(films("test"), films("train")).distance)
    assert 0.7 * new < far < 1.5 * new
    figures = network.card["figures"]
    assert figures["nearest"] > 0.8 * figures["nearest_of_held_out"]


def test_the_films_of_both_networks_are_measured_by_one_judge():
    cards = [load_pretrained(name).card for name in ("films-diffusion", "films-dcgan")]
    shared = ("judge_accuracy", "kid_of_training", "held_out", "generated", "nearest_of_held_out")
    assert all(cards[0]["figures"][name] == cards[1]["figures"][name] for name in shared)
    for card in cards:
        curve = card["figures"]["curve"]
        assert curve["steps"][-1] == card["steps"] and curve["cpu_seconds"] == sorted(curve["cpu_seconds"])
        assert len(curve["kid"]) == 8 and curve["kid"][-1] < 0.33 / 4  # 0.33: a DCGAN of two seconds


def test_shipped_files_are_small_and_each_has_its_card():
    files = {suffix: list(CHECKPOINTS.glob(f"*{suffix}")) for suffix in (".safetensors", ".json")}
    assert len({tuple(sorted(path.stem for path in paths)) for paths in files.values()}) == 1
    assert max(path.stat().st_size for path in files[".safetensors"]) < 3 * 2**20
    assert sum(path.stat().st_size for path in CHECKPOINTS.iterdir()) < 32 * 2**20


def test_the_plans_make_what_is_published_and_nothing_else(monkeypatch):
    monkeypatch.chdir(ROOT)
    planned, made = [], []
    for plan in sorted(CHECKPOINTS.glob("*.yaml")):
        notebook, runs, _ = read_plan(plan)
        planned += [{"notebook": notebook.name} | {name: str(value) for name, value in run.items()} for run in runs]
    for card in sorted(CHECKPOINTS.glob("*.json")):
        words = shlex.split(json.loads(card.read_text(encoding="utf-8"))["plan"])
        arguments = dict(zip(words[4::3], words[5::3]))  # medlab run NOTEBOOK -p NAME VALUE ...
        made.append({"notebook": Path(words[2]).name} | arguments)
    assert sorted(made, key=str) == sorted(planned, key=str) and made


@pytest.mark.parametrize("path", [NOTEBOOK, SEGMENTER, HIPPOCAMPUS, FILMS], ids=lambda path: path.stem)
def test_the_notebook_has_the_form_of_the_course(path):
    notebook = reads(path.read_text(encoding="utf-8"))
    for rule in (is_valid, is_stripped, has_one_cell_of_commented_parameters, describes_its_images):
        assert list(rule(notebook, path)) == []
    assert all(len(cell.source.splitlines()) <= 25 for cell in notebook.cells if cell.cell_type == "code")


# Finding and publishing


def test_names_are_found_in_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="no trained networks in .*checkout"):
        load_pretrained("stripes", tmp_path)
    model = network()
    save_model(tmp_path / "stripes", model, stripes())
    assert pretrained_names(tmp_path) == ["stripes"]
    assert torch.equal(load_pretrained("stripes", tmp_path).classifier[1].weight, model.classifier[1].weight)
    with pytest.raises(ValueError, match=r"unknown trained network 'stripe'\. Did you mean 'stripes'\?"):
        load_pretrained("stripe", tmp_path)


def test_publishing_outside_a_run_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEDLAB_RUN_DIR", raising=False)
    assert publish("small", DCGenerator(8, width=8), stripes(), {"fid": 1.0}) is None
    assert "`medlab run` writes it" in capsys.readouterr().out and not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="figures\\['fid'\\] is nan"):
        publish("small", DCGenerator(8, width=8), stripes(), {"fid": float("nan")})


def test_a_classifier_is_published_with_its_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDLAB_RUN_DIR", str(tmp_path))
    (tmp_path / "status.json").write_text('{"command": "medlab run 01", "started": "today"}')
    monkeypatch.setattr("medlab.runs.recording.STATUS", "status.json")
    model = network()
    card = publish("stripes", model, stripes(), {"auc": 0.9}, note="a test")
    assert model.classifier[1].weight.half().float().ne(model.classifier[1].weight).any()  # not rounded itself
    loaded = load_pretrained("stripes", tmp_path)
    assert fingerprint(loaded, 1, (8, 8)) == card["output"] and np.shape(card["output"]) == (2, 2)
    assert (card["plan"], card["note"], card["half"]) == ("medlab run 01", "a test", True)


def test_a_network_of_one_output_has_a_task_of_its_own_and_is_known_by_its_answers(tmp_path):
    networks = [UNet(1, 1, width=2, levels=2), UNet(1, 1, width=2, levels=2)]
    answers = [fingerprint(network.eval(), 1, (8, 8)) for network in networks]
    assert np.shape(answers) == (2, 2, 1) and answers[0] != answers[1]
    card = save_model(tmp_path / "denoiser", networks[0], stripes(), task="denoising")
    assert card["task"] == "denoising" and load_model(tmp_path / "denoiser").card == card


def test_a_conditional_generator_answers_for_each_class_in_turn():
    generator = ACGenerator(3, 8, latent=4, width=8).eval()
    before = np.array(fingerprint(generator, 1, (8, 8)))
    with torch.no_grad():
        generator.embedding.weight[2] += 100
    changed = (before != np.array(fingerprint(generator, 1, (8, 8)))).any(1)
    assert changed.tolist() == [i % 3 == 2 for i in range(8)]


# The notebook


def test_a_run_of_the_notebook_publishes(tmp_path):
    tiny = {
        "size": 16,
        "n": 240,
        "width": 16,
        "critic_width": 4,
        "latent": 8,
        "steps": 20,  # of the critic, four of the generator
        "epochs": 2,
        "batch_size": 16,
    }
    chosen = tiny | {"judge_epochs": 1, "loss": "wgan", "design": "han2018"}
    result = run(NOTEBOOK, chosen, out=tmp_path / "run", progress=False)
    assert result.ok, result
    generator = load_pretrained("pet-normal-wgan", result.folder)
    card, figures = generator.card, generator.card["figures"]
    assert generator.size == 16 and generator.noise == "normal" and card["steps"] == 4
    assert card["plan"].startswith("medlab run data/checkpoints/train.ipynb -p size 16 ")
    assert figures["fid"] == result.values["fid"] > figures["fid_of_training"] and card["classes"] == ["normal"]
    assert card["commit"] == result.details["commit"] and card["hardware"] == result.details["hardware"]
    assert fingerprint(generator, 1, (16, 16)) == card["output"]


def test_a_run_of_the_segmenter_publishes(tmp_path):
    tiny = {"patients": 3, "exam_patients": 3, "size": 32, "width": 4, "steps": 15}
    result = run(SEGMENTER, tiny, out=tmp_path / "run", progress=False)
    assert result.ok, result
    network = load_pretrained("abdomen-unet", result.folder)
    assert network.card["steps"] == 15 and network.card["figures"]["exam_patients"] == 3
    assert fingerprint(network, 1, (32, 32)) == network.card["output"]


def test_a_run_on_hippocampi_publishes(tmp_path, monkeypatch):
    monkeypatch.delenv("MEDLAB_DATA", raising=False)  # so with the cases that come with the course
    monkeypatch.setenv("MEDLAB_CACHE", str(tmp_path / "cache"))
    result = run(HIPPOCAMPUS, {"width": 4, "epochs": 1, "fold": 1}, out=tmp_path / "run", progress=False)
    assert result.ok, result
    network = load_pretrained("hippocampus-unet", result.folder)
    assert network.card["drawn"]["cases"] == 9 and network.card["figures"]["exam_cases"] == 3
    assert fingerprint(network, 1, (40, 48, 32)) == network.card["output"]


@pytest.mark.parametrize("method", ["diffusion", "dcgan"])
def test_a_run_of_the_films_publishes(tmp_path, monkeypatch, method):
    monkeypatch.delenv("MEDLAB_DATA", raising=False)  # the films that come with the course
    monkeypatch.setenv("MEDLAB_CACHE", str(tmp_path / "cache"))
    width = {"diffusion": 2, "dcgan": 16}[method]
    tiny = {"method": method, "seconds": 1, "width": width, "batch_size": 8, "n": 16, "judge_epochs": 1}
    result = run(FILMS, tiny, out=tmp_path / "run", progress=False)
    assert result.ok, result
    network = load_pretrained(f"films-{method}", result.folder)
    card, curve = network.card, network.card["figures"]["curve"]
    assert card["task"] == {"diffusion": "denoising", "dcgan": "generation"}[method]
    assert curve["steps"][-1] == card["steps"] == result.values["steps"]
    assert curve["cpu_seconds"] == sorted(curve["cpu_seconds"]) and len(set(curve["steps"])) == len(curve["kid"])
    assert ("error_at_0.5" in card["figures"]) == (method == "diffusion")
    assert fingerprint(network, card["channels"], card["size"]) == card["output"]
