"""Where images lie: folders, downloads checked by hash, and folders from a mirror, a web server of one's own.

`hashes/FOLDER.md5` lists the files of each folder that a mirror may hold, in the format of md5sum:
``cd FOLDER && md5sum -c FOLDER.md5``. A mirror serves them as plain files, laid out as under `MEDLAB_DATA`.
"""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from tqdm.auto import tqdm

LISTS = Path(__file__).parent / "hashes"
CONNECTIONS = 8  # files fetched at a time: thousands of small ones mostly wait for an answer


def data_folder() -> Path | None:
    """The folder of images that the user already has, `MEDLAB_DATA`, or None."""
    return Path(os.environ["MEDLAB_DATA"]).expanduser() if os.environ.get("MEDLAB_DATA") else None


def cache_folder() -> Path:
    """Where downloads go: `MEDLAB_CACHE`, else ``data/cache`` of the checkout, else the user's cache folder."""
    if os.environ.get("MEDLAB_CACHE"):
        return Path(os.environ["MEDLAB_CACHE"]).expanduser()
    root = Path(__file__).resolve().parents[2]
    if (root / "pyproject.toml").is_file():
        return root / "data" / "cache"
    import pooch

    return Path(pooch.os_cache("medlab"))


def find_path(*in_data: str, in_cache: str | None = None) -> Path | None:
    """The first of these paths that exists: those under `MEDLAB_DATA`, then that in the cache folder; else None."""
    root = data_folder()
    places = [] if root is None else [root / path for path in in_data]
    places += [] if in_cache is None else [cache_folder() / in_cache]
    return next((path for path in places if path.exists()), None)


def present(path: Path) -> Path:
    """Return `path`.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: the set is not complete; copy its whole folder again")
    return path


@contextmanager
def damage(path: str | Path, *errors: type[Exception]) -> Iterator[None]:
    """Raise a ValueError that names the file `path` in place of `errors` of the library that reads it.

    Raises:
        FileNotFoundError, PermissionError: as they come.
    """
    kinds: tuple[type[Exception], ...] = (*errors, EOFError, OSError)
    try:
        yield
    except (FileNotFoundError, PermissionError):
        raise
    except kinds as error:
        raise ValueError(
            f"{path} is truncated or damaged, or of another format ({error}); get it again: in the cache folder, "
            "delete it and load again"
        ) from error


@contextmanager
def disk_errors(folder: Path, needs: Callable[[], str] = str) -> Iterator[None]:
    """Create `folder`; raise an OSError (same `errno`) that says what to do when it cannot be written.

    Args:
        folder: in the cache.
        needs: for a full disk, says which file needs how many bytes.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except (ConnectionError, TimeoutError):
        raise
    except OSError as error:
        code = errno.EACCES if isinstance(error, PermissionError) else error.errno
        if code is None:  # network errors of requests and urllib are OSErrors without a number
            raise
        if code in (errno.ENOSPC, errno.EDQUOT):
            message = f"the disk with the cache folder {folder} is full; free some space there or set MEDLAB_CACHE to"
            room = f"({needs()}{shutil.disk_usage(folder).free:,} bytes are free)"
            raise OSError(code, f"{message} a folder on a larger disk {room}") from error
        message = f"cannot write to the cache folder {folder} ({os.strerror(code)}); set MEDLAB_CACHE to a folder"
        raise OSError(code, f"{message} you may write to") from error


def md5_of(path: Path) -> str:
    """The MD5 of a file, kept for as long as the file does not change."""
    state = path.stat()
    return _md5_of(path.resolve(), state.st_size, state.st_mtime_ns)


@cache
def _md5_of(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def download(file: str, url: str, md5: str, folder: str, stand_in: str, progress: bool = True) -> Path:
    """Download `file` from `url` into `folder` of the cache: retried, hash checked, complete or not at all.

    `progress` shows a bar of its bytes.

    Raises:
        ConnectionError: no network; the message names the phantom `stand_in`.
        ValueError: the wrong hash.
        OSError: the cache folder cannot be written, or its disk is full.
    """
    import pooch
    from requests.exceptions import ConnectionError as NoConnection
    from requests.exceptions import RequestException, Timeout

    target, host = cache_folder() / folder, urlsplit(url).hostname
    pooch.get_logger().setLevel("WARNING")  # the progress bar says it already
    fetcher = pooch.create(target, base_url="", registry={file: f"md5:{md5}"}, urls={file: url}, retry_if_failed=2)
    try:
        with disk_errors(target, lambda: _needs(file, url)):
            downloader = pooch.HTTPDownloader(progressbar=progress, chunk_size=2**16, timeout=(10, 60))
            return Path(fetcher.fetch(file, downloader=downloader))
    except RequestException as error:
        reason = "no connection" if isinstance(error, NoConnection | Timeout) else str(error)
        raise ConnectionError(
            f"cannot download {file} from {host} ({reason}): check the network, or fetch {url} elsewhere and put it "
            f"into {(data_folder() or cache_folder()) / folder}; until then a phantom can stand in, e.g. "
            f'load("{stand_in}")'
        ) from error
    except ValueError as error:  # pooch names expected and got
        raise ValueError(
            f"the download from {url} has the wrong hash: {str(error).partition(' Deleted')[0]} Nothing was kept: load "
            "again later; if it stays, a firewall changes it or the server holds another version, so get the file "
            f"elsewhere and put it into MEDLAB_DATA/{folder}"
        ) from error


def _needs(file: str, url: str) -> str:
    import requests

    with suppress(requests.RequestException, KeyError, ValueError):
        size = int(requests.head(url, timeout=10, allow_redirects=True).headers["content-length"])
        return f"{file} needs {size:,} bytes, "
    return f"too few for {file}: "


def fetch_archive(file: str, url: str, md5: str, folder: str, target: Path, stand_in: str) -> Path:
    """Unpack what an archive holds under the name of `target` to there; a killed run leaves no half folder.

    The archive is ``MEDLAB_DATA/FOLDER/FILE`` or downloaded, and then not kept.

    Raises:
        ConnectionError, ValueError, OSError: see `download`.
    """
    from monai.apps import extractall

    path = find_path(f"{folder}/{file}") or download(file, url, md5, folder, stand_in)
    if md5_of(path) != md5:
        raise ValueError(f"{path} is not the published file, its MD5 is not {md5}: get it again")
    with disk_errors(target.parent), tempfile.TemporaryDirectory(dir=target.parent) as part:
        extractall(path, part)
        os.replace(Path(part) / target.name, target)
    if cache_folder() in path.parents:
        path.unlink()
    return target


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
