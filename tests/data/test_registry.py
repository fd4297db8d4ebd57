"""`load` and `available` by name, on a made phantom and made files; the real sets where they are at hand."""

import os
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from medlab.data import medmnist, registry

needs_data = pytest.mark.skipif("MEDLAB_DATA" not in os.environ, reason="needs real images: set MEDLAB_DATA")


def make(n, size, seed):
    """Every image holds its position in it; ten images a patient."""
    images = (torch.arange(n) / 1000).reshape(n, 1, 1, 1).expand(n, 1, size, size).contiguous()
    return images, (torch.arange(n) + seed) % 2, np.arange(n) // 10


@pytest.fixture(autouse=True)
def phantom(monkeypatch):
    """A phantom "fake" in place of the real ones."""
    module = ModuleType("medlab.phantoms.fake")
    module.make = make
    module.ABOUT = {
        "modality": "CT",
        "task": "multi-class",
        "classes": ("a", "b"),
        "license": "<MIT>",
        "citation": "none",
        "unit": "0 = -1000 HU, 1 = 400 HU",
        "note": "made up",
        "sizes": None,
        "size": 32,
        "n": 100,
    }
    monkeypatch.setitem(sys.modules, "medlab.phantoms.fake", module)
    monkeypatch.setattr(registry, "PHANTOMS", ("fake",))
    return module


@pytest.fixture
def folders(tmp_path, monkeypatch):
    for name, folder in (("MEDLAB_DATA", "data"), ("MEDLAB_CACHE", "cache")):
        (tmp_path / folder).mkdir()
        monkeypatch.setenv(name, str(tmp_path / folder))
    return tmp_path


def positions(images):
    return (images.images[:, 0, 0, 0] * 1000).round().int().tolist()


def test_phantom_by_default_and_by_number_and_size():
    images = registry.load("fake")
    assert images.images.shape == (100, 1, 32, 32)
    assert (images.info.name, images.info.phantom, images.info.unit) == ("fake", True, "0 = -1000 HU, 1 = 400 HU")
    assert registry.load("fake", n=250, size=64).images.shape == (250, 1, 64, 64)
    assert registry.load("fake", n=3, seed=1).targets.tolist() == [1, 0, 1]


def test_phantom_splits_share_no_patient_and_make_the_whole_whatever_n_is():
    parts = [registry.load("fake", split, seed=3) for split in ("train", "val", "test")]
    assert sorted(sum((positions(part) for part in parts), [])) == list(range(100))
    patients = [set(part.patients) for part in parts]
    assert not patients[0] & patients[1] and not patients[0] & patients[2] and not patients[1] & patients[2]
    some = registry.load("fake", "train", n=7, seed=3)
    assert len(some) == 7 and positions(some) == sorted(positions(some))
    assert set(positions(some)) <= set(positions(parts[0]))
    assert positions(some) == positions(registry.load("fake", "train", n=7, seed=3))


@pytest.mark.parametrize(
    "given, message",
    [
        ({"name": "pneumonia"}, "unknown set 'pneumonia'. Did you mean 'pneumoniamnist'. Allowed: .*bccd.*fake"),
        ({"split": "valid"}, "unknown split 'valid'. Did you mean 'val'"),
        ({"size": 30}, "fake has no size 30; sizes: any multiple of 8 from 16"),
        ({"size": 8}, "fake has no size 8; sizes: any multiple of 8 from 16"),
        ({"n": 0}, "fake: n = 0, but it must be a whole number from 1"),
        ({"n": 1.5}, "fake: n = 1.5, but it must be a whole number from 1"),
        ({"n": 0, "split": "train"}, r"fake \(train\): n = 0, but it must be a whole number from 1 to 60"),
        ({"n": 61, "split": "train"}, r"fake \(train\): n = 61, but it must be a whole number from 1 to 60"),
        ({"name": "pathmnist", "size": 32}, "pathmnist has no size 32; sizes: 28, 64, 128, 224"),
        ({"name": "nuclei", "size": 128}, "nuclei has no size 128; sizes: 256"),
        ({"name": "pathmnist", "n": 107181}, "pathmnist: n = 107181, but .* from 1 to 107180"),
    ],
)
def test_bad_arguments(given, message):
    with pytest.raises(ValueError, match=message):
        registry.load(**{"name": "fake", **given})


def test_phantom_with_listed_sizes(phantom):
    phantom.ABOUT["sizes"] = (32, 64)
    with pytest.raises(ValueError, match="fake has no size 48; sizes: 32, 64"):
        registry.load("fake", size=48)


@pytest.mark.parametrize("name, file", [("nuclei", "nuclei_dsb2018/images"), ("bccd", "bccd_crops/bccd_crops_28.npz")])
def test_sets_to_fetch_by_hand_say_where_to_put_them(folders, monkeypatch, name, file):
    for _ in range(2):  # with an empty folder, and with none
        with pytest.raises(FileNotFoundError, match=rf'set MEDLAB_DATA to a folder that holds {file}.*load\("lung"\)'):
            registry.load(name)
        monkeypatch.delenv("MEDLAB_DATA", raising=False)


@pytest.mark.parametrize("name", ["hippocampus", "hippocampus_volumes"])
def test_hippocampus_is_fetched_into_the_cache(folders, monkeypatch, name):
    asked = {}

    def offline(folder, download):
        asked.update(folder=folder, download=download)
        raise ConnectionError("no network")

    monkeypatch.setattr(registry, "load_decathlon", offline)
    with pytest.raises(ConnectionError):
        registry.load(name)
    assert asked == {"folder": folders / "cache" / "Task04_Hippocampus", "download": True}


def test_nuclei_folder_is_split_by_image(folders):
    for kind in ("images", "masks"):
        (folders / "data/nuclei_dsb2018" / kind).mkdir(parents=True)
        for number in range(10):
            pixels = np.full((256, 256), number, np.uint8) if kind == "images" else np.eye(256, dtype=np.uint8) * 255
            Image.fromarray(pixels).save(folders / "data/nuclei_dsb2018" / kind / f"{number}.png")
    parts = [registry.load("nuclei", split) for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [6, 2, 2]
    assert sorted(sum((part.patients.tolist() for part in parts), [])) == [str(number) for number in range(10)]
    assert parts[0].info.license == "CC0" and parts[0].counts()["nucleus"] == 6 * 256


def test_the_table_lists_every_set_once_and_says_where_it_is(folders):
    table = registry.available()
    assert [row.name for row in table] == ["fake", *medmnist.SOURCES, *registry.REAL]
    here = {row.name: row.here for row in table}
    assert here.pop("fake") == "made here" and set(here.values()) == {"not cached"}
    (folders / "cache/medmnist").mkdir()
    (folders / "cache/medmnist/octmnist_64.npz").write_text("")
    (folders / "cache/Task04_Hippocampus").mkdir()
    here = {row.name: row.here for row in registry.available()}
    assert [name for name, where in here.items() if where == "cached"] == [
        "octmnist",
        "hippocampus",
        "hippocampus_volumes",
    ]
    rows = {row.name: row for row in table}
    assert (rows["organmnist3d"].sizes, rows["organmnist3d"].images, rows["organmnist3d"].classes) == (
        "28, 64",
        1742,
        11,
    )
    assert (rows["fake"].kind, rows["bccd"].kind, rows["fake"].sizes) == ("phantom", "real", "multiples of 8")


def test_the_table_prints_as_text_and_as_html(folders):
    table = registry.available()
    lines = str(table).splitlines()
    assert lines[0].split() == [*"name modality task sizes images classes license kind here".split()]
    assert len(lines) == len(table) + 1
    column = lines[0].index("modality")
    assert all(line[column - 1] == " " and line[column] != " " for line in lines)
    page = table._repr_html_()
    assert page.count("<tr>") == len(table) + 1 and "&lt;MIT&gt;" in page and "<MIT>" not in page


@needs_data
def test_real_sets(monkeypatch):
    bccd = registry.load("bccd")
    assert bccd.images.shape == (1635, 3, 28, 28)
    assert [len(part) for part in bccd.split()] == [934, 388, 313]
    assert list(registry.load("bccd", "test").counts().values()) == [207, 44, 62]
    nuclei = registry.load("nuclei")
    assert nuclei.images.shape == (60, 1, 256, 256) and 0.05 < nuclei.targets.float().mean() < 0.09
    slices = registry.load("hippocampus", n=40)
    assert slices.images.shape == (40, 1, 64, 64) and slices.info.classes == ("background", "anterior", "posterior")
    volumes = registry.load("hippocampus_volumes")
    assert volumes.images.shape == (100, 1, 40, 48, 32) and volumes.info.name == "hippocampus_volumes"
    assert registry.load("pneumoniamnist", "test", n=10).images.shape == (10, 1, 28, 28)
