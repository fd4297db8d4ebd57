"""`load` and `available` by name, on a made phantom and made files; the real sets where they are at hand."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from medlab.data import medmnist, real_scans, registry
from medlab.data.images import ImageSet, Info
from medlab.data.real_sets import RealSet
from medlab.phantoms.catalog import Phantom

needs_data = pytest.mark.skipif("MEDLAB_DATA" not in os.environ, reason="needs real images: set MEDLAB_DATA")


def generate(n, size, seed):
    """Every image holds its position in it."""
    images = (torch.arange(n) / 1000).reshape(n, 1, 1, 1).expand(n, 1, size, size).contiguous()
    return images, (torch.arange(n) + seed) % 2


FAKE = Phantom(
    generate,
    modality="CT",
    task="multi-class",
    classes=("a", "b"),
    unit="0 = -1000 HU, 1 = 400 HU",
    note="made up",
    citation="none",
    license="<MIT>",
    size=32,
    n=100,
    images_per_patient=(10,),
)


@pytest.fixture(autouse=True)
def phantom(monkeypatch):
    """Phantoms "fake" (ten images a patient) and "uneven" (three, two and four) in place of the real ones."""
    fakes = {"fake": FAKE, "uneven": replace(FAKE, images_per_patient=(3, 2, 4), sizes=(32, 64))}
    monkeypatch.setattr(registry, "PHANTOMS", fakes)


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


def test_two_draws_of_a_phantom_show_other_people_in_the_same_order():
    first, second = registry.load("fake"), registry.load("fake", seed=1)
    assert first.patients.tolist() == [k // 10 for k in range(100)] and (np.diff(second.patients) >= 0).all()
    assert not set(first.patients) & set(second.patients) and len(set(second.patients)) == 10


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
        ({"patients": 0}, "fake: patients = 0, but it must be a whole number from 1$"),
        ({"patients": 2.5}, "fake: patients = 2.5, but it must be a whole number from 1$"),
        ({"patients": 3, "n": 30}, "fake: both patients = 3 and n = 30 are given; give `patients` for all images"),
        ({"name": "pathmnist", "patients": 3, "n": 30}, "pathmnist: both patients = 3 and n = 30 are given"),
        ({"name": "pathmnist", "size": 32}, "pathmnist has no size 32; sizes: 28, 64, 128, 224"),
        ({"name": "nuclei", "size": 128}, "nuclei has no size 128; sizes: 256"),
        ({"name": "pathmnist", "n": 107181}, "pathmnist: n = 107181, but .* from 1 to 107180"),
    ],
)
def test_bad_arguments(given, message):
    with pytest.raises(ValueError, match=message):
        registry.load(**{"name": "fake", **given})


def test_phantom_with_listed_sizes():
    with pytest.raises(ValueError, match="uneven has no size 48; sizes: 32, 64"):
        registry.load("uneven", size=48)


@pytest.mark.parametrize("patients, counts", [(1, [3]), (3, [3, 2, 4]), (7, [3, 2, 4, 3, 2, 4, 3])])
def test_patients_of_a_phantom_come_with_all_their_images(patients, counts):
    images = registry.load("uneven", patients=patients, seed=1)
    assert np.unique(images.patients, return_counts=True)[1].tolist() == counts
    same = registry.load("uneven", n=sum(counts), seed=1)
    assert torch.equal(images.images, same.images) and torch.equal(images.targets, same.targets)
    assert images.patients.tolist() == same.patients.tolist()
    assert len(registry.load("fake", patients=patients)) == 10 * patients


@pytest.mark.parametrize("name", ["fake", "uneven"])
def test_patients_of_a_split_are_whole_and_in_order(name):
    part = registry.load(name, "train", seed=3)
    some = registry.load(name, "train", patients=4, seed=3)
    kept = np.unique(some.patients)
    assert len(kept) == 4 and positions(some) == np.array(positions(part))[np.isin(part.patients, kept)].tolist()
    assert positions(some) == positions(registry.load(name, "train", patients=4, seed=3))


def a_real_set(monkeypatch, task="multi-class"):
    """A set "clinic" of 60 patients with 1 to 3 images; most have class 0, every fourth class 1, every twelfth 2."""
    patients = np.repeat([f"p{k}" for k in range(60)], np.arange(60) % 3 + 1)
    number = np.array([int(name[1:]) for name in patients])
    targets = np.select([number % 12 == 1, number % 4 == 0], [2, 1], 0)
    info = Info("clinic", "none", task, ("a", "b", "c"), "none", "none")
    images = (torch.arange(len(patients)) / 1000).reshape(-1, 1, 1, 1).expand(-1, 1, 16, 16).contiguous()
    targets = torch.tensor(targets) if task == "multi-class" else torch.zeros(len(images), 16, 16).long()
    data = ImageSet(images, targets, patients, info)
    real = RealSet(info, lambda *asked: data, 16, len(data), "clinic", (16,), cached="clinic")
    monkeypatch.setitem(registry.REAL, "clinic", real)
    return data


@pytest.mark.parametrize("task", ["multi-class", "segmentation"])
def test_patients_of_a_real_set_are_drawn_whole(monkeypatch, folders, task):
    data = a_real_set(monkeypatch, task)
    drawn = [registry.load("clinic", patients=24, seed=seed) for seed in (0, 0, 1)]
    for some in drawn:
        kept = np.unique(some.patients)
        assert len(kept) == 24 and positions(some) == np.flatnonzero(np.isin(data.patients, kept)).tolist()
    assert positions(drawn[0]) == positions(drawn[1]) != positions(drawn[2])
    assert positions(registry.load("clinic", patients=60)) == positions(data)
    assert len(np.unique(registry.load("clinic", "test", patients=5).patients)) == 5


@pytest.mark.parametrize("seed", range(3))
def test_patients_of_a_real_set_keep_the_proportions_of_the_classes(monkeypatch, folders, seed):
    a_real_set(monkeypatch)
    some = registry.load("clinic", patients=24, seed=seed)
    classes = [some.targets[np.flatnonzero(some.patients == name)[0]].item() for name in np.unique(some.patients)]
    assert np.bincount(classes).tolist() == [16, 6, 2]  # of 40, 15 and 5


@pytest.mark.parametrize("name, split, people", [("fake", "train", 6), ("clinic", None, 60), ("clinic", "val", 12)])
def test_numbers_of_patients_that_are_not_there(monkeypatch, folders, name, split, people):
    a_real_set(monkeypatch)
    for patients in (0, -1, 2.5, people + 1):
        message = f"patients = {patients}, but it must be a whole number from 1 to {people}, the patients there are"
        with pytest.raises(ValueError, match=message):
            registry.load(name, split, patients=patients)


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

    monkeypatch.setattr(real_scans, "load_decathlon", offline)
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
    assert table.columns.tolist() == "name modality task sizes images classes license kind here".split()
    assert table["name"].tolist() == ["fake", "uneven", *medmnist.SOURCES, *registry.REAL]
    here = dict(zip(table["name"], table["here"]))
    assert here.pop("fake") == here.pop("uneven") == "generated" and set(here.values()) == {"not cached"}
    (folders / "cache/medmnist").mkdir()
    (folders / "cache/medmnist/octmnist_64.npz").write_text("")
    (folders / "cache/Task04_Hippocampus").mkdir()
    (folders / "data/jsrt").mkdir()
    again = registry.available()
    cached = again["name"][again["here"] == "cached"].tolist()
    assert cached == ["octmnist", "hippocampus", "hippocampus_volumes", "jsrt"]
    rows = table.set_index("name")
    assert rows.loc["organmnist3d", ["sizes", "images", "classes"]].tolist() == ["28, 64", 1742, 11]
    assert rows.loc[["fake", "uneven", "bccd"], "kind"].tolist() == ["phantom", "phantom", "real"]
    assert rows.loc[["fake", "uneven", "bccd"], "sizes"].tolist() == ["any multiple of 8 from 16", "32, 64", "28"]
    assert rows.loc["fake", ["modality", "task", "images", "license"]].tolist() == ["CT", "multi-class", 100, "<MIT>"]


def test_the_table_shows_every_row_in_a_notebook(folders):
    table = registry.available()
    page = table._repr_html_()
    assert page.count("<tr") == len(table) + 1 and "&lt;MIT&gt;" in page and "<MIT>" not in page


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
    small = registry.load("hippocampus", size=32)
    whole = registry.load("hippocampus").counts()  # its pixels have 1 mm, those of the small one 1.5 mm
    assert all(abs(small.counts()[name] * 1.5**2 / whole[name] - 1) < 0.01 for name in small.info.classes[1:])
    volumes = registry.load("hippocampus_volumes")
    assert volumes.images.shape == (100, 1, 40, 48, 32) and volumes.info.name == "hippocampus_volumes"
    assert registry.load("pneumoniamnist", "test", n=10).images.shape == (10, 1, 28, 28)
