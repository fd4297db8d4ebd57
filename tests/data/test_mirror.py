"""Folders from a mirror: a server on this machine with a tiny set of its own list."""

import hashlib
import re
import socket
from pathlib import Path

import numpy as np
import pytest
from loopback import address, serve
from medmnist import INFO

from medlab.data import available, files, load, medmnist
from medlab.data.real_sets import locate

FILES = {"labels.csv": b"id,class\n1,nevus\n", "images/train/1.png": b"not really a picture", "images/val/2.png": b"2"}


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The list of a set "tiny" and a folder with its files to serve; data and cache folders are empty."""
    for file, content in FILES.items():
        path = tmp_path / "served" / "tiny" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "hashes").mkdir()
    lines = [f"{hashlib.md5(content).hexdigest()}  {file}\n" for file, content in FILES.items()]
    (tmp_path / "hashes/tiny.md5").write_text("".join(lines))
    monkeypatch.setattr(files, "LISTS", tmp_path / "hashes")
    monkeypatch.setenv("MEDLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    files.hashes.cache_clear()
    yield tmp_path
    files.hashes.cache_clear()


def test_a_folder_is_fetched_once_with_retries_and_only_what_is_missing(tiny, monkeypatch):
    with serve(tiny / "served", failures=2) as server:
        monkeypatch.setenv("MEDLAB_MIRROR", address(server, ""))
        assert files.from_mirror("tiny") is None
        folder = files.fetch_folder("tiny", "skin")
        assert server.requests == len(FILES) + 2
        found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        assert folder == tiny / "cache/tiny" and found == FILES
        assert files.from_mirror("tiny") == folder
        (folder / "labels.csv").unlink()
        assert files.from_mirror("tiny") is None
        files.fetch_folder("tiny", "skin")
        assert server.requests == len(FILES) + 3


def test_a_file_with_another_hash_is_refused_and_not_kept(tiny, monkeypatch):
    (tiny / "served/tiny/images/val/2.png").write_bytes(b"3")
    with serve(tiny / "served") as server:
        monkeypatch.setenv("MEDLAB_MIRROR", address(server, ""))
        with pytest.raises(ValueError, match=r"/tiny/images/val/2\.png has the wrong hash.*Nothing was kept") as error:
            files.fetch_folder("tiny", "skin")
    assert "\n" not in str(error.value) and not (tiny / "cache/tiny/images/val/2.png").exists()
    assert files.from_mirror("tiny") is None


def test_a_missing_file_is_named(tiny, monkeypatch):
    (tiny / "served/tiny/labels.csv").unlink()
    with serve(tiny / "served") as server:
        monkeypatch.setenv("MEDLAB_MIRROR", address(server, ""))
        with pytest.raises(
            ConnectionError, match=r'cannot download labels\.csv from 127\.0\.0\.1 \(404.*load\("skin"\)'
        ):
            files.fetch_folder("tiny", "skin")


def test_no_network_is_one_line(tiny, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MEDLAB_MIRROR", f"http://127.0.0.1:{taken.getsockname()[1]}/images")
    with pytest.raises(ConnectionError, match=r"from 127\.0\.0\.1 \(no connection\): check the network") as error:
        files.fetch_folder("tiny", "skin")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("url", ["ftp://example.org/images", "/srv/images", "file:///srv/images", "https://"])
def test_only_web_servers_are_mirrors(monkeypatch, url):
    monkeypatch.setenv("MEDLAB_MIRROR", url)
    with pytest.raises(ValueError, match="it must be the address of a web server"):
        files.mirror_url()


@pytest.mark.parametrize("path", sorted(files.LISTS.glob("*.md5")), ids=lambda path: path.stem)
def test_a_list_holds_hashes_and_plain_names_inside_its_folder(path):
    lines = path.read_text(encoding="ascii").splitlines()
    assert lines and len(set(lines)) == len(lines)
    for line in lines:
        assert re.fullmatch(r"[0-9a-f]{32}  \w[\w.-]*(/\w[\w.-]*)*", line), line


def test_the_lists_stay_small():
    assert sum(path.stat().st_size for path in Path(files.LISTS).iterdir()) < 400_000


@pytest.fixture
def films(tiny, monkeypatch):
    """The list of "nih_chestxray" names a tiny archive, which is there to serve."""
    pixels = np.arange(3, dtype=np.uint8)[:, None, None] * np.ones((96, 96), np.uint8)
    (tiny / "served/nih_chestxray").mkdir()
    path = tiny / "served/nih_chestxray/nih_cxr_96.npz"
    np.savez(path, images=pixels, labels=np.zeros((3, 1), np.uint8), patients=np.array(["a", "b", "c"]))
    (tiny / "hashes/nih_chestxray.md5").write_text(f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.name}\n")
    (tiny / "data").mkdir()
    monkeypatch.setenv("MEDLAB_DATA", str(tiny / "data"))
    return path


def test_a_set_that_is_not_there_comes_from_the_mirror(tiny, films, monkeypatch):
    with serve(tiny / "served") as server:
        monkeypatch.setenv("MEDLAB_MIRROR", address(server, ""))
        assert load("nih_chestxray").patients.tolist() == ["a", "b", "c"]
    monkeypatch.delenv("MEDLAB_MIRROR")
    assert len(load("nih_chestxray", n=2)) == 2  # from the cache
    here = available().set_index("name")["here"]
    assert here["nih_chestxray"] == "cached" and here["isic2017"] == "not cached"


def test_a_set_that_is_at_hand_is_not_fetched(tiny, films, monkeypatch):
    (tiny / "data/nih_chestxray").mkdir()
    films.rename(tiny / "data/nih_chestxray" / films.name)
    monkeypatch.setenv("MEDLAB_MIRROR", "http://127.0.0.1:9")
    assert len(load("nih_chestxray")) == 3


def test_without_a_mirror_one_line_says_what_to_do(films, monkeypatch):
    monkeypatch.delenv("MEDLAB_MIRROR", raising=False)
    with pytest.raises(FileNotFoundError) as error:
        locate("tiny", "tiny/x.npz", stand_in="chest")
    assert str(error.value) == (
        "tiny is not downloaded by medlab: set MEDLAB_DATA to a folder that holds tiny/x.npz (data/makers/README.md "
        "says how to make it), or MEDLAB_MIRROR to the address of a web server that has it; until then a phantom can "
        'stand in, e.g. load("chest")'
    )


def test_medmnist_comes_from_the_mirror_where_the_list_has_its_published_hash(tiny, monkeypatch):
    sent = b"not an archive"
    md5 = hashlib.md5(sent).hexdigest()
    (tiny / "served/medmnist").mkdir()
    (tiny / "served/medmnist/retinamnist.npz").write_bytes(sent)
    (tiny / "hashes/medmnist.md5").write_text(f"{md5}  retinamnist.npz\n")
    monkeypatch.delenv("MEDLAB_DATA", raising=False)
    monkeypatch.setitem(INFO, "retinamnist", INFO["retinamnist"] | {"MD5": md5, "url": "http://127.0.0.1:9/x.npz"})
    with serve(tiny / "served") as server:
        monkeypatch.setenv("MEDLAB_MIRROR", address(server, ""))
        assert medmnist.fetch("retinamnist").read_bytes() == sent


def test_what_has_a_download_of_its_own_need_not_be_on_the_mirror(tiny, monkeypatch):
    md5 = hashlib.md5(FILES["labels.csv"]).hexdigest()
    (tiny / "hashes/medmnist.md5").write_text(f"{md5}  retinamnist.npz\n")
    (tiny / "hashes/hippocampus_msd.md5").write_text(f"{md5}  dataset.json\n")
    monkeypatch.delenv("MEDLAB_DATA", raising=False)
    with serve(tiny / "served") as server:
        monkeypatch.setenv("MEDLAB_MIRROR", address(server, ""))
        url = address(server, "tiny/labels.csv")
        monkeypatch.setitem(INFO, "retinamnist", INFO["retinamnist"] | {"MD5": md5, "url": url})
        assert medmnist.fetch("retinamnist").read_bytes() == FILES["labels.csv"]
        place = locate("hippocampus", "hippocampus_msd", cached="Task04_Hippocampus")
    assert place == tiny / "cache/Task04_Hippocampus"
