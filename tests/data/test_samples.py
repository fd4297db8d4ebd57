"""The samples that come with the course, and the script that makes them."""

import importlib
import os
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from project import ROOT

from medlab.data import ImageSet, Info, load_sample, read_volume, samples

needs_data = pytest.mark.skipif("MEDLAB_DATA" not in os.environ, reason="needs real images: set MEDLAB_DATA")
NAMES = sorted(path.stem for path in samples.SAMPLES.glob("*.npz"))
FREE = re.compile(r"CC0|CC BY(-SA)? [34]\.0|MIT|no restrictions")


@pytest.fixture
def script(monkeypatch):
    """The script that makes the samples."""
    monkeypatch.syspath_prepend(ROOT / "data" / "makers")
    return importlib.import_module("samples")


def test_the_samples_are_those_that_are_planned_and_small(script):
    assert NAMES == sorted(sample.name for sample in script.PLAN)
    assert sum(path.stat().st_size for path in samples.SAMPLES.iterdir()) <= script.LIMIT


@pytest.mark.parametrize("name", [*NAMES, *samples.MASKS])
def test_a_sample_loads_without_data_or_network(monkeypatch, tmp_path, name):
    monkeypatch.delenv("MEDLAB_DATA", raising=False)
    monkeypatch.setenv("MEDLAB_CACHE", str(tmp_path))
    images = load_sample(name)
    assert images.images.dtype == torch.float32 and images.images.max() > 0.9
    assert images.info.name == f"{name} (sample)" and not images.info.phantom
    assert re.match(rf"A sample of {len(images)} of \d+ images, not drawn at random\.", images.info.note)
    assert FREE.match(images.info.license) and images.info.citation
    row = f"| `{samples.MASKS.get(name, name)}` | {len(images)} |"
    lines = samples.SAMPLES.joinpath("README.md").read_text(encoding="utf-8").splitlines()
    assert [f"| {images.info.license} |" in line for line in lines if line.startswith(row)] == [True]
    if images.info.task == "segmentation":
        assert images.targets.flatten(1).any(1).all() or name in samples.MASKS
    else:
        assert len(set(images.counts().values())) == 1  # as many of each class
    if len(np.unique(images.patients)) > 2 and images.published_split is None:
        assert sum(map(len, images.split())) == len(images)
    assert list(tmp_path.iterdir()) == []


def test_a_chest_ct_comes_with_the_course(monkeypatch, tmp_path):
    monkeypatch.delenv("MEDLAB_DATA", raising=False)
    monkeypatch.setenv("MEDLAB_CACHE", str(tmp_path))
    scan, labels = read_volume("lung_ct", "sample")
    assert scan.voxels.shape == (70, 100, 100) and scan.spacing == (4, 4, 4) and labels is None
    assert scan.voxels.min() == -1000 and -150 < np.median(scan.voxels[0, 20:80, 10:90]) < 50  # air; fat and muscle
    with pytest.raises((ValueError, OSError)):
        read_volume("hippocampus", "sample")


def test_the_readme_is_that_of_the_files(script):
    assert samples.SAMPLES.joinpath("README.md").read_text(encoding="utf-8") == script.readme(samples.SAMPLES)


def test_an_unknown_sample_and_an_installed_library(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="unknown sample 'isic2016'. Did you mean 'isic2017'"):
        load_sample("isic2016")
    monkeypatch.setattr(samples, "SAMPLES", tmp_path / "data/samples")
    with pytest.raises(FileNotFoundError, match=r'data/samples of the course.s repository.*use load\("isic2017"\)'):
        load_sample("isic2017")


def test_images_are_chosen_evenly_from_what_shows_a_label(script):
    info = Info("made", "CT", "segmentation", ("background", "organ"), "MIT", "")
    maps = torch.zeros(24, 8, 8, dtype=torch.uint8)
    maps[2:10, 4, 4] = maps[20:22, 4, 4] = 1
    made = ImageSet(torch.zeros(24, 1, 8, 8), maps, np.repeat(["a", "b", "c"], 8), info)
    assert script.choose(made, "patient", 2).tolist() == [3, 6, 8, 9, 20, 21]
    classes = torch.tensor([0] * 20 + [1] * 4)
    made = ImageSet(torch.zeros(24, 1, 8, 8), classes, np.arange(24), replace(info, task="multi-class"))
    assert script.choose(made, "class", 4).tolist() == [2, 7, 12, 17, 20, 21, 22, 23]


@needs_data
@pytest.mark.parametrize("name", ["lung_ct_patches", "retinamnist"])
def test_a_sample_is_made_again_bit_for_bit(script, tmp_path, name):
    plan = {sample.name: sample for sample in script.PLAN}
    (tmp_path / "again").mkdir()
    first = script.make(plan[name], tmp_path)
    assert first.read_bytes() == script.make(plan[name], tmp_path / "again").read_bytes()
    kept, made = np.load(samples.SAMPLES / f"{name}.npz"), np.load(first)
    assert kept.files == made.files
    for key in kept.files:
        np.testing.assert_array_equal(kept[key], made[key])
