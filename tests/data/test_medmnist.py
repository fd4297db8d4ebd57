"""MedMNIST: made archives from a server on this machine, and the real PneumoniaMNIST where it is at hand."""

import errno
import hashlib
import os
import socket
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from loopback import address, serve
from medmnist import INFO

from medlab.data import archives, files, load, medmnist

COUNTS = {"train": 6, "val": 3, "test": 4}
needs_data = pytest.mark.skipif("MEDLAB_DATA" not in os.environ, reason="needs real images: set MEDLAB_DATA")


def arrays(item=(28, 28), labels=1, counts=COUNTS, seed=0):
    random = np.random.default_rng(seed)
    made = {}
    for split, count in counts.items():
        made[f"{split}_images"] = random.integers(0, 256, (count, *item), dtype=np.uint8)
        made[f"{split}_labels"] = random.integers(0, 2, (count, labels), dtype=np.uint8)
    return made


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """An empty data folder and an empty cache; nothing of the user's is read or written."""
    for name, folder in (("MEDLAB_DATA", "data"), ("MEDLAB_CACHE", "cache")):
        (tmp_path / folder).mkdir()
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    return tmp_path


@pytest.fixture
def publish(folders, monkeypatch):
    """Write `content` (arrays or bytes) as the published archive of a set; `url` says where it is fetched from."""

    def publish(
        content, name="pneumoniamnist", size=28, folder="data/medmnist", url="http://127.0.0.1:9/x.npz", **info
    ):
        path = folders / folder / (f"{name}.npz" if size == 28 else f"{name}_{size}.npz")
        path.parent.mkdir(exist_ok=True)
        if isinstance(content, dict):
            np.savez_compressed(path, **content)
        else:
            path.write_bytes(content)
        suffix = "" if size == 28 else f"_{size}"
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        changed = {"n_samples": COUNTS, f"MD5{suffix}": md5, f"url{suffix}": url, **info}
        monkeypatch.setitem(INFO, name, INFO[name] | changed)
        return path

    return publish


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_patients_of_medmnist_are_images_drawn_with_their_classes_evenly(publish):
    counts = {"train": 60, "val": 20, "test": 20}
    content = arrays(counts=counts) | {f"{part}_labels": np.arange(n)[:, None] % 4 // 3 for part, n in counts.items()}
    publish(content, n_samples=counts)
    some = load("pneumoniamnist", patients=40, seed=1)
    assert list(some.counts().values()) == [30, 10] and (np.diff(some.patients) > 0).all()
    whole = load("pneumoniamnist")
    assert torch.equal(some.images, whole.images[some.patients]) and (some.published_split == "val").any()
    assert list(load("pneumoniamnist", "val", patients=8).counts().values()) == [6, 2]
    with pytest.raises(ValueError, match="patients = 101, but it must be a whole number from 1 to 100, the patients"):
        load("pneumoniamnist", patients=101)


def test_all_18_sets_are_known_with_their_sizes():
    assert set(medmnist.SOURCES) == set(INFO)
    for name, published in INFO.items():
        suffixes = {"" if size == 28 else f"_{size}" for size in medmnist.sizes(name)}
        assert {key.removeprefix("MD5") for key in published if key.startswith("MD5")} == suffixes
        about = medmnist.about(name)
        assert len(about.classes) == len(published["label"]) and about.license == published["license"]
        assert about.task == ("multi-label" if name == "chestmnist" else "multi-class")
        assert "no patient ids" in about.note and not about.phantom


def test_gray_images_are_converted_once(publish):
    made = arrays()
    publish(made)
    images = medmnist.load("pneumoniamnist")
    assert images.images.shape == (13, 1, 28, 28) and images.images.dtype == torch.float32
    expected = np.concatenate([made[f"{split}_images"] for split in COUNTS]) / np.float32(255)
    np.testing.assert_array_equal(images.images[:, 0].numpy(), expected.astype(np.float32))
    assert images.targets.tolist() == np.concatenate([made[f"{split}_labels"] for split in COUNTS])[:, 0].tolist()
    assert images.published_split.tolist() == ["train"] * 6 + ["val"] * 3 + ["test"] * 4
    assert len(set(images.patients)) == 13


def test_a_split_is_the_same_with_the_same_patients_alone_and_in_the_whole(publish):
    publish(arrays())
    whole = medmnist.load("pneumoniamnist").split()
    for split, part in zip(COUNTS, whole):
        alone = medmnist.load("pneumoniamnist", split)
        assert torch.equal(alone.images, part.images) and torch.equal(alone.targets, part.targets)
        assert alone.patients.tolist() == part.patients.tolist()


@pytest.mark.parametrize(
    "name, size, item, labels, shape",
    [
        ("pathmnist", 64, (64, 64, 3), 1, (3, 64, 64)),
        ("chestmnist", 28, (28, 28), 14, (1, 28, 28)),
        ("organmnist3d", 28, (28, 28, 28), 1, (1, 28, 28, 28)),
        ("breastmnist", 224, (224, 224), 1, (1, 224, 224)),
    ],
)
def test_color_multi_label_volumes_and_other_sizes(publish, name, size, item, labels, shape):
    made = arrays(item, labels)
    publish(made, name, size)
    images = medmnist.load(name, "val", size)
    assert images.images.shape == (3, *shape) and images.targets.shape == ((3,) if labels == 1 else (3, labels))
    second = made["val_images"][1]
    second = second.transpose(2, 0, 1) if shape[0] == 3 else second[None]
    np.testing.assert_allclose(images.images[1].numpy() * 255, second, atol=1e-4)


def test_n_draws_rows_by_seed_in_order_and_stops_reading_after_the_last(publish, monkeypatch):
    publish(arrays())
    whole = medmnist.load("pneumoniamnist")
    some = medmnist.load("pneumoniamnist", n=5, seed=1)
    assert len(some) == 5 and (np.diff(some.patients) > 0).all()
    assert torch.equal(some.images, whole.images[some.patients])
    assert torch.equal(some.targets, whole.targets[some.patients])
    assert some.published_split.tolist() == whole.published_split[some.patients].tolist()
    assert some.patients.tolist() == medmnist.load("pneumoniamnist", n=5, seed=1).patients.tolist()
    assert some.patients.tolist() != medmnist.load("pneumoniamnist", n=5, seed=2).patients.tolist()
    monkeypatch.setattr(archives, "BLOCK", 28 * 28)
    taken, blocks = [], archives._blocks
    monkeypatch.setattr(archives, "_blocks", lambda *args: (taken.append(1) or block for block in blocks(*args)))
    path = medmnist.find("pneumoniamnist")
    archives.read_rows(path, {"train_images": (6, 28, 28)}, np.array([0, 2]))
    assert len(taken) == 3


@pytest.mark.parametrize("n", [0, -1, 14, 2.5])
def test_bad_n(publish, n):
    publish(arrays())
    with pytest.raises(ValueError, match=f"n = {n}, but it must be a whole number from 1 to 13"):
        medmnist.load("pneumoniamnist", n=n)


def test_unknown_name_size_and_split():
    with pytest.raises(ValueError, match="unknown set 'pnemoniamnist'. Did you mean 'pneumoniamnist'"):
        load("pnemoniamnist")
    with pytest.raises(ValueError, match="organmnist3d has no size 128; sizes: 28, 64"):
        medmnist.load("organmnist3d", size=128)
    with pytest.raises(ValueError, match="unknown split 'tets'. Did you mean 'test'"):
        load("pneumoniamnist", "tets")


@pytest.mark.parametrize("folder", ["data", "data/medmnist", "cache/medmnist"])
def test_files_at_hand_are_used_in_place_and_hashed_once(publish, folders, monkeypatch, folder):
    path = publish(arrays(), folder=folder)
    hashed = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *args: hashed.append(1) or digest(*args))
    assert medmnist.fetch("pneumoniamnist") == medmnist.fetch("pneumoniamnist") == path
    assert len(hashed) == 1
    assert [file for file in (folders / "cache").rglob("*") if file.is_file() and file != path] == []
    os.utime(path, ns=(1, 1))  # another version of the file
    medmnist.fetch("pneumoniamnist")
    assert len(hashed) == 2


def test_download_retries_and_lands_in_the_cache(publish, folders):
    served = publish(arrays(), folder="served")
    with serve(served.parent, failures=2) as server:
        publish(arrays(), folder="served", url=address(server, served.name))
        assert len(medmnist.load("pneumoniamnist", "test")) == 4
        medmnist.load("pneumoniamnist", "val")
        assert server.requests == 3  # two failures, one download, then none
    assert [file.name for file in (folders / "cache/medmnist").iterdir()] == ["pneumoniamnist.npz"]


def test_no_network_is_one_line_with_a_phantom(publish, folders):
    published = publish(arrays(), folder="served", url=f"http://127.0.0.1:{closed_port()}/pneumoniamnist.npz")
    with pytest.raises(ConnectionError) as error:
        medmnist.load("pneumoniamnist")
    message = str(error.value)
    assert message.startswith("cannot download pneumoniamnist.npz from 127.0.0.1 (no connection): check the network")
    place = f"put it into {folders / 'data' / 'medmnist'};"
    assert place in message and 'load("chest")' in message and "\n" not in message and published.exists()
    assert not list((folders / "cache/medmnist").iterdir())


def test_a_file_missing_on_the_server_says_so(publish, folders):
    (folders / "served").mkdir()
    with serve(folders / "served") as server:
        publish(arrays(), "octmnist", folder="elsewhere", url=address(server, "gone.npz"))
        with pytest.raises(ConnectionError, match=r'404 .*load\("lung"\)'):
            medmnist.load("octmnist")


def test_download_with_the_wrong_hash_leaves_nothing(publish, folders):
    served = publish(arrays(), folder="served")
    expected = INFO["pneumoniamnist"]["MD5"]
    served.write_bytes(b"a login page of a firewall")
    got = hashlib.md5(served.read_bytes()).hexdigest()
    with serve(served.parent) as server:
        INFO["pneumoniamnist"]["url"] = address(server, served.name)
        with pytest.raises(
            ValueError, match=f"wrong hash: .*pneumoniamnist.*{expected} but got {got}.*load again later"
        ):
            medmnist.load("pneumoniamnist")
    assert not list((folders / "cache/medmnist").iterdir())


def test_file_with_the_wrong_hash_names_expected_and_got(publish):
    path = publish(arrays())
    expected = INFO["pneumoniamnist"]["MD5"]
    path.write_bytes(path.read_bytes()[:-100])
    got = hashlib.md5(path.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match=f"{path} has the wrong hash: expected MD5 {expected}, got {got}.*delete it"):
        medmnist.load("pneumoniamnist")


@pytest.mark.parametrize("cut", [100, 3000])
def test_truncated_archive(publish, cut):
    whole = publish(arrays()).read_bytes()
    publish(whole[:-cut])  # its hash is right: the published file itself is short
    with pytest.raises(ValueError, match="pneumoniamnist.npz is truncated or damaged.*delete it and load again"):
        medmnist.load("pneumoniamnist")


def test_archive_damaged_inside(publish):
    whole = bytearray(publish(arrays()).read_bytes())
    whole[2000:2100] = bytes(100)
    publish(bytes(whole))
    with pytest.raises(ValueError, match="pneumoniamnist.npz is truncated or damaged"):
        medmnist.load("pneumoniamnist")


def test_pickled_object_is_refused_and_not_run(publish, tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    publish(arrays() | {"val_labels": np.array([Trap()] * 3, dtype=object).reshape(3, 1)})
    with pytest.raises(ValueError, match="val_labels is no plain array .a pickled object, which could run code"):
        medmnist.load("pneumoniamnist")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "key, array, message",
    [
        (
            "train_images",
            np.zeros((6, 28, 27), np.uint8),
            r"train_images must be uint8 \(6, 28, 28\), got uint8 \(6, 28, 27\)",
        ),
        ("train_images", np.zeros((7, 28, 28), np.uint8), r"got uint8 \(7, 28, 28\)"),
        ("val_images", np.zeros((3, 28, 28), np.float64), "must be uint8 .* got float64"),
        ("test_labels", np.zeros((4, 2), np.uint8), r"test_labels must be integers \(4, 1\), got uint8 \(4, 2\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(publish, key, array, message):
    publish(arrays() | {key: array})
    with pytest.raises(ValueError, match=message):
        medmnist.load("pneumoniamnist")


def test_a_header_that_claims_a_terabyte_takes_no_memory(publish, folders):
    header = {"descr": "|u1", "fortran_order": False, "shape": (2**20, 2**10, 2**10)}
    path = folders / "bomb.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("train_images.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, header)
    publish(path.read_bytes())
    with pytest.raises(ValueError, match=r"must be uint8 \(6, 28, 28\), got uint8 \(1048576, 1024, 1024\)"):
        medmnist.load("pneumoniamnist", "train")


def test_a_member_shorter_than_its_header_says_and_a_missing_one(publish, folders):
    path = folders / "short.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("train_images.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": (6, 28, 28)})
        member.write(bytes(28))
    publish(path.read_bytes())
    with pytest.raises(ValueError, match="damaged.*train_images ends early"):
        medmnist.load("pneumoniamnist", "train")
    with pytest.raises(ValueError, match="damaged.*val_images.npy"):
        medmnist.load("pneumoniamnist", "val")


def test_arrays_in_fortran_order_read_the_same(publish):
    made = arrays()
    publish(made | {"val_images": np.asfortranarray(made["val_images"])})
    images = medmnist.load("pneumoniamnist", "val", n=2)
    np.testing.assert_allclose(images.images[:, 0].numpy() * 255, made["val_images"][images.patients - 6], atol=1e-4)


@pytest.mark.parametrize("name, item", [("pneumoniamnist", (28, 28)), ("pathmnist", (28, 28, 3))])
def test_a_split_above_the_budget_is_mapped_from_disk(publish, folders, monkeypatch, recwarn, name, item):
    publish(arrays(item), name)
    small = medmnist.load(name, "train")
    monkeypatch.setattr(medmnist, "BUDGET", small.images.numel() * 4 - 1)
    monkeypatch.setattr(archives, "BLOCK", 2000)  # several blocks
    mapped = medmnist.load(name, "train")
    assert mapped.images.dtype == torch.uint8 and mapped.images.shape == small.images.shape
    for left, right in zip(mapped.batches(4, shuffle=True), small.batches(4, shuffle=True)):
        assert torch.equal(left[0], right[0]) and torch.equal(left[1], right[1])
    assert mapped.patients.tolist() == small.patients.tolist()
    assert len(list((folders / "cache/medmnist").iterdir())) == 1
    monkeypatch.setattr(archives, "_blocks", lambda path, key, shape: iter([np.zeros(shape, int)]))
    assert torch.equal(medmnist.load(name, "train").images, mapped.images)  # not unpacked again
    assert not [warning for warning in recwarn if "writable" in str(warning.message)]


def test_too_large_without_a_split_or_with_a_large_n(publish, monkeypatch):
    publish(arrays())
    monkeypatch.setattr(medmnist, "BUDGET", 4 * 28 * 28 * 4)
    with pytest.raises(ValueError, match='13 images need .*one whole split at a time .split="train", no n.*n=4 images'):
        medmnist.load("pneumoniamnist")
    with pytest.raises(ValueError, match="5 images need"):
        medmnist.load("pneumoniamnist", "train", n=5)
    assert len(medmnist.load("pneumoniamnist", n=4)) == 4


def test_cache_that_cannot_be_written(publish, folders, monkeypatch):
    publish(arrays(), folder="served")
    (folders / "file").write_text("")
    monkeypatch.setenv("MEDLAB_CACHE", str(folders / "file" / "cache"))  # also refused to root
    with pytest.raises(NotADirectoryError, match="cannot write to the cache folder .*set MEDLAB_CACHE to a folder"):
        medmnist.load("pneumoniamnist")


def test_cache_without_permission(publish, folders, monkeypatch):
    publish(arrays(), folder="served")

    def refuse(*args, **kwargs):
        raise PermissionError("the words of another library")

    monkeypatch.setattr("pooch.core.make_local_storage", refuse)
    with pytest.raises(PermissionError, match="cannot write to the cache folder .*Permission denied.*MEDLAB_CACHE"):
        medmnist.load("pneumoniamnist")


def test_full_disk_while_downloading_and_while_unpacking(publish, folders, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    served = publish(arrays(), folder="served")
    with serve(served.parent) as server, monkeypatch.context() as patch:
        INFO["pneumoniamnist"]["url"] = address(server, served.name)
        patch.setattr("pooch.HTTPDownloader.__call__", full)
        with pytest.raises(
            OSError, match="disk with the cache folder .* is full; free some space .*MEDLAB_CACHE"
        ) as error:
            medmnist.load("pneumoniamnist")
    assert f"(pneumoniamnist.npz needs {served.stat().st_size:,} bytes, " in str(error.value)
    assert error.value.errno == errno.ENOSPC and not list((folders / "cache/medmnist").iterdir())
    publish(arrays())
    monkeypatch.setattr(medmnist, "BUDGET", 1)
    monkeypatch.setattr(np, "ascontiguousarray", full)
    with pytest.raises(
        OSError, match=r"disk .* is full.* \(pneumoniamnist.* needs [\d,]+ bytes, [\d,]+ bytes are free"
    ):
        medmnist.load("pneumoniamnist", "train")
    assert not list((folders / "cache/medmnist").iterdir())


def test_cache_folder_of_a_checkout_and_of_an_installation(monkeypatch, tmp_path):
    monkeypatch.delenv("MEDLAB_CACHE", raising=False)
    root = Path(files.__file__).parents[2]
    assert files.cache_folder() == root / "data" / "cache"
    monkeypatch.setattr(files, "__file__", str(tmp_path / "medlab" / "data" / "files.py"))
    assert files.cache_folder().name == "medlab" and root not in files.cache_folder().parents


@needs_data
def test_real_pneumoniamnist():
    images = medmnist.load("pneumoniamnist")
    train, val, test = images.split()
    assert (len(train), len(val), len(test)) == (4708, 524, 624)
    assert train.counts() == {"normal": 1214, "pneumonia": 3494} and test.counts() == {"normal": 234, "pneumonia": 390}
