"""Sets in the layout of their publishers, in files made here, and MedNIST from a server on this machine."""

import hashlib
import tarfile

import numpy as np
import pytest
from loopback import address, serve
from monai.apps import MedNISTDataset
from PIL import Image
from publisher_files import write_isic, write_mednist, write_nih, write_task

from medlab import limits
from medlab.data import load, registry

NAMES = [f"ISIC_{number:07d}" for number in range(9)]


@pytest.fixture
def data(tmp_path, monkeypatch):
    """An empty `MEDLAB_DATA`; the cache beside it."""
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("MEDLAB_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MEDLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MEDLAB_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    return tmp_path / "data"


@pytest.mark.parametrize("place", ["", "isic2017", "isic2017/unpacked"])
def test_isic2017_with_its_official_split(data, place):
    write_isic(data / place, {"Training": NAMES[:5], "Validation": NAMES[5:7], "Test_v2": NAMES[7:]})
    if place.count("/"):
        for table in (data / place).glob("*.csv"):
            table.rename(data / "isic2017" / table.name)
    images = load("isic2017", size=32)
    assert images.images.shape == (9, 3, 32, 32) and images.info.name == "isic2017"
    assert images.targets.tolist() == [0, 1, 2, 0, 1, 0, 1, 0, 1] and images.patients.tolist() == NAMES
    assert (images.images[:, 0, 5, 5] * 255 / 20).round().tolist() == [0, 1, 2, 3, 4, 0, 1, 0, 1]
    assert [len(part) for part in images.split()] == [5, 2, 2]
    masks = load("isic2017_masks", "val", size=32)
    assert masks.targets[:, :, :16].all() and not masks.targets[:, :, 16:].any() and len(masks) == 2
    assert dict(zip(*registry.available()[["name", "here"]].T.to_numpy()))["isic2017"] == "cached"


def test_isic2017_in_part(data):
    write_isic(data, {"Training": NAMES}, masks=False)
    images = load("isic2017", n=3, size=16)
    assert len(images) == 3 and images.published_split is None
    with pytest.raises(ValueError, match="has no mask of ISIC_0000000; unpack its ground truth there, too"):
        load("isic2017_masks")
    (data / "ISIC-2017_Training_Data" / f"{NAMES[4]}.jpg").unlink()
    with pytest.raises(ValueError, match=f"has no {NAMES[4]}.jpg, which a table of part 3 names"):
        load("isic2017")


def test_our_folder_is_preferred(data):
    write_isic(data, {"Training": NAMES})
    for kind, ending in (("images", "jpg"), ("masks", "png")):
        (data / "isic2017" / kind / "train").mkdir(parents=True)
        Image.new("RGB" if kind == "images" else "L", (16, 16)).save(data / f"isic2017/{kind}/train/mine.{ending}")
    (data / "isic2017/labels.csv").write_text("image_id,split,class\nmine,train,nevus\n")
    assert load("isic2017", size=16).patients.tolist() == ["mine"]


@pytest.mark.parametrize("place", ["", "nih_chestxray"])
def test_nih_films_with_no_finding_or_pneumonia(data, place):
    films = {
        "00000001_000.png": "No Finding",
        "00000001_001.png": "Effusion|Mass",
        "00000002_000.png": "Infiltration|Pneumonia",
        "00000003_000.png": "Pneumonia",
        "00000004_000.png": "No Finding",
    }
    write_nih(data / place, films, missing=("00000004_000.png",))
    images = load("nih_chestxray", size=64)
    assert images.images.shape == (3, 1, 64, 64) and images.targets.tolist() == [0, 1, 1]
    assert images.patients.tolist() == ["00000001", "00000002", "00000003"]
    assert (images.images[:, 0, 9, 9] * 255).round().tolist() == [0, 20, 30]


def test_a_table_of_another_form_says_what_is_missing(data):
    (data / "Data_Entry_2017.csv").write_text("file,label\n1.png,No Finding\n")
    with pytest.raises(
        ValueError, match="Data_Entry_2017.csv has no column Image Index, Finding Labels; it has file, label"
    ):
        load("nih_chestxray")


def test_mednist_is_split_by_the_order_of_its_files(data):
    write_mednist(data, 400)
    images = load("mednist", size=28)
    assert images.images.shape == (6 * 300, 1, 28, 28)
    assert (images.images[:, 0, 3, 3] * 255 / 40 - images.targets).abs().max() < 0.1
    train, val, test = images.split()
    assert [len(part) for part in (train, val, test)] == [6 * 280, 6 * 10, 6 * 10]
    numbers = [[int(name[-6:]) for name in part.patients] for part in (train, val, test)]
    assert max(numbers[0]) == 279 and (min(numbers[1]), max(numbers[1])) == (330, 339) and min(numbers[2]) == 390


def test_mednist_is_downloaded_and_checked(data, monkeypatch):
    served = data.parent / "served"
    write_mednist(served, 400)
    with tarfile.open(served / "MedNIST.tar.gz", "w:gz") as archive:
        archive.add(served / "MedNIST", "MedNIST")
    monkeypatch.setattr(MedNISTDataset, "md5", hashlib.md5((served / "MedNIST.tar.gz").read_bytes()).hexdigest())
    with serve(served, failures=1) as server:
        monkeypatch.setattr(MedNISTDataset, "resource", address(server, "MedNIST.tar.gz"))
        assert len(load("mednist", "test", size=64)) == 60
        assert len(load("mednist", "test", n=5)) == 5 and server.requests == 2
    assert sorted(path.name for path in (data.parent / "cache").iterdir()) == ["MedNIST", "mednist"]


def test_mednist_with_another_hash_is_refused(data, monkeypatch):
    (data.parent / "served").mkdir()
    (data.parent / "served/MedNIST.tar.gz").write_bytes(b"a login page of a firewall")
    with serve(data.parent / "served") as server:
        monkeypatch.setattr(MedNISTDataset, "resource", address(server, "MedNIST.tar.gz"))
        with pytest.raises(ValueError, match="has the wrong hash"):
            load("mednist")
    assert not list((data.parent / "cache/mednist").iterdir())
    (data / "mednist").mkdir()
    (data.parent / "served/MedNIST.tar.gz").rename(data / "mednist/MedNIST.tar.gz")
    with pytest.raises(ValueError, match="MedNIST.tar.gz is not the published file"):
        load("mednist")


def test_decathlon_hippocampus_is_found_under_the_name_of_its_task(data):
    random = np.random.default_rng(0)
    cases = {f"hippocampus_{n:03d}": (random.integers(0, 99, (20, 24, 6)), np.ones((20, 24, 6))) for n in range(3)}
    write_task(data / "Task04_Hippocampus", ("background", "Anterior", "Posterior"), cases, 1.0)
    images = load("hippocampus", size=32)
    assert len(images) == 18 and sorted(set(images.patients)) == sorted(cases)


def test_pictures_that_are_too_large(data, monkeypatch):
    write_nih(data, {"00000001_000.png": "No Finding"})
    monkeypatch.setitem(limits._LIMITS, "picture_side", 100)
    with pytest.raises(ValueError, match="is 128 x 128 pixels, allowed are 100"):
        load("nih_chestxray")
