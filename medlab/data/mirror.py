"""Folders of images from a mirror, a web server of one's own, checked by the lists that come with medlab.

`hashes/FOLDER.md5` lists the files of each folder that a mirror may hold, in the format of md5sum:
``cd FOLDER && md5sum -c FOLDER.md5``. A mirror serves them as plain files, laid out as under `MEDLAB_DATA`.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from tqdm.auto import tqdm

from medlab.data.files import cache_folder, download

LISTS = Path(__file__).parent / "hashes"
CONNECTIONS = 8  # files fetched at a time: thousands of small ones mostly wait for an answer


def mirror_url() -> str | None:
    """The address of the mirror, `MEDLAB_MIRROR`, without a slash at its end; None where there is none.

    Raises:
        ValueError: it is not an http or https address.
    """
    url = os.environ.get("MEDLAB_MIRROR")
    if not url:
        return None
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ValueError(
            f"MEDLAB_MIRROR is {url!r}, but it must be the address of a web server with the folders of images, such "
            "as https://example.org/images"
        )
    return url.rstrip("/")


@cache
def hashes(folder: str) -> dict[str, str]:
    """The MD5 of each file of a folder, by its path in the folder with slashes; empty for an unknown folder."""
    path = LISTS / f"{folder}.md5"
    lines = path.read_text(encoding="ascii").splitlines() if path.is_file() else []
    return {file: md5 for md5, file in (line.split("  ", 1) for line in lines)}


def from_mirror(folder: str) -> Path | None:
    """Where a folder lies in the cache if every file of its list is there, else None."""
    target = cache_folder() / folder
    files = hashes(folder)
    return target if files and all((target / file).is_file() for file in files) else None


def fetch_folder(folder: str, stand_in: str) -> Path:
    """Download all files of a folder from the mirror into the cache folder; those that are there already are kept.

    Each is retried, checked by its hash, and complete or not at all. `stand_in` is a phantom for the error messages.

    Raises:
        ConnectionError: no network, or a file that the mirror does not hold.
        ValueError: a file with another hash than that of the list; a mirror that is not an http or https address.
        OSError: the cache folder cannot be written, or its disk is full.
    """
    url, files = mirror_url(), hashes(folder)

    def fetch(file: str) -> None:
        place, _, name = f"{folder}/{file}".rpartition("/")
        download(name, f"{url}/{folder}/{file}", files[file], place, stand_in, progress=False)

    with ThreadPoolExecutor(CONNECTIONS) as workers:
        list(tqdm(workers.map(fetch, files), desc=folder, total=len(files), unit="file"))
    return cache_folder() / folder
