"""Where images lie, downloads checked by hash, and rows of .npz archives read without trusting their headers."""

import errno
import hashlib
import math
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from tqdm.auto import tqdm

BLOCK = 2**24  # bytes unpacked at a time
BUDGET = 2 * 2**30  # bytes of float32 images kept in memory; more than that is mapped from disk
LARGEST = 2 * 2**30  # bytes of one array of an archive whose shape is not known beforehand
_hashes: dict[tuple, str] = {}  # (path, size, time of change) -> MD5, so that a file version is hashed once


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
    places = [] if data_folder() is None else [data_folder() / path for path in in_data]
    places += [] if in_cache is None else [cache_folder() / in_cache]
    return next((path for path in places if path.exists()), None)


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Create `folder`; raise an OSError (same `errno`) that says what to do when it cannot be written."""
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
            raise OSError(code, f"{message} a folder on a larger disk") from error
        message = f"cannot write to the cache folder {folder} ({os.strerror(code)}); set MEDLAB_CACHE to a folder"
        raise OSError(code, f"{message} you may write to") from error


def md5_of(path: Path) -> str:
    """The MD5 of a file, kept for as long as the file does not change."""
    state = path.stat()
    key = (str(path.resolve()), state.st_size, state.st_mtime_ns)
    if key not in _hashes:
        with path.open("rb") as file:
            _hashes[key] = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return _hashes[key]


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
        with disk_errors(target):
            downloader = pooch.HTTPDownloader(progressbar=progress, chunk_size=2**16, timeout=(10, 60))
            return Path(fetcher.fetch(file, downloader=downloader))
    except RequestException as error:
        reason = "no connection" if isinstance(error, NoConnection | Timeout) else str(error)
        raise ConnectionError(
            f"cannot download {file} from {host} ({reason}): check the network or put the file into "
            f'MEDLAB_DATA/{folder}; until then a phantom can stand in, e.g. load("{stand_in}")'
        ) from error
    except ValueError as error:  # pooch names expected and got
        raise ValueError(
            f"the download from {url} has the wrong hash: {str(error).partition(' Deleted')[0]} Nothing was kept: load "
            "again later; if it stays, a firewall changes it or the server holds another version, so get the file "
            f"elsewhere and put it into MEDLAB_DATA/{folder}"
        ) from error


def read_archive(
    path: Path, parts: dict[str, int], item: tuple[int, ...], labels: int, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read `rows` (ascending) of the splits `parts` (name: number of images), counted on from split to split.

    Returns:
        Images uint8 ``(N, *item)``, labels int64 ``(N, labels)``, and the name of the split ``(N,)`` of each.

    Raises:
        ValueError: the archive is truncated, holds a pickled object, or an array of another shape or type.
    """
    images, targets, splits, start = [], [], [], 0
    for part, count in parts.items():
        own = rows[(rows >= start) & (rows < start + count)] - start
        start += count
        if len(own):
            images.append(read_rows(path, f"{part}_images", (count, *item), own))
            targets.append(read_rows(path, f"{part}_labels", (count, labels), own))
            splits += [part] * len(own)
    return np.concatenate(images), np.concatenate(targets), np.array(splits)


def read_rows(path: Path, key: str, shape: tuple[int, ...], rows: np.ndarray) -> np.ndarray:
    """Read the `rows` (ascending, at least one) of the array `key`: images as uint8, labels as int64.

    Raises:
        ValueError: see `read_archive`.
    """
    pieces, start = [], 0
    for block in _blocks(path, key, shape):
        pieces.append(block[rows[(rows >= start) & (rows < start + len(block))] - start])
        start += len(block)
        if start > rows[-1]:
            break
    return np.concatenate(pieces) if key.endswith("images") else np.concatenate(pieces).astype(np.int64)


def array_shape(path: Path, key: str) -> tuple[int, ...]:
    """The shape of the array `key` of an archive, by its header; an array larger than 2 GiB is refused.

    Raises:
        ValueError: it is larger, or the archive is damaged or has no such array.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as stream:
            np.lib.format.read_magic(stream)
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is truncated or damaged ({error}); get it again") from error
    if dtype.itemsize * math.prod(shape) > LARGEST:
        raise ValueError(
            f"{path}: {key} claims {dtype} {shape}, allowed are {LARGEST / 2**30:.0f} GiB; do not trust it"
        )
    return shape


def map_array(path: Path, key: str, shape: tuple[int, ...], target: Path) -> np.ndarray:
    """Map an array of bytes of an archive into memory, from the file `target` to which it is unpacked on first use.

    Raises:
        ValueError: see `read_rows`; or `target` holds something else.
        OSError: its folder cannot be written, or the disk is full.
    """
    if not target.exists():
        part = target.with_name(f"{target.name}.{os.getpid()}.part")
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        try:
            with disk_errors(target.parent), part.open("wb") as file:
                np.lib.format.write_array_header_1_0(file, header)
                with tqdm(total=shape[0], desc=f"unpacking {target.stem}", unit="image") as bar:
                    for block in _blocks(path, key, shape):
                        file.write(np.ascontiguousarray(block))
                        bar.update(len(block))
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
    array = np.load(target, mmap_mode="c", allow_pickle=False)  # "c": torch warns about read-only memory
    if array.shape != shape or array.dtype != np.uint8:
        raise ValueError(f"{target} holds {array.dtype} {array.shape}, not uint8 {shape}; delete it and load again")
    return array


class ImageStore:
    """Images that are read one after the other: in memory up to `BUDGET` bytes, beyond that as uint8 on disk.

    The file lies in the cache folder for as long as it is in use, and needs a quarter of the bytes.
    """

    def __init__(self) -> None:
        self._blocks: list[np.ndarray] = []
        self._bytes, self._file = 0, None

    def add(self, images: np.ndarray) -> None:
        """Append images ``(n, ...)``, float32 in [0, 1].

        Raises:
            OSError: the cache folder cannot be written, or its disk is full.
        """
        self._blocks.append(images)
        self._bytes += images.nbytes
        if self._bytes > BUDGET:
            with disk_errors(cache_folder()):
                self._file = tempfile.TemporaryFile(dir=cache_folder()) if self._file is None else self._file
                for block in self._blocks:
                    self._file.write(np.rint(block * 255).astype(np.uint8))
                self._file.flush()
            self._blocks.clear()
            self._shape = images.shape[1:]

    def array(self) -> np.ndarray:
        """All images: float32, or mapped from disk, uint8."""
        if self._file is None:
            return np.concatenate(self._blocks)
        return np.memmap(self._file, np.uint8, "c").reshape(-1, *self._shape)


def _blocks(path: Path, key: str, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Unpack an array block by block; its header is checked before memory is allocated."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as stream:
            dtype, fortran = _header(path, key, shape, stream)
            row = dtype.itemsize * math.prod(shape[1:])
            step = shape[0] if fortran else max(1, BLOCK // row)
            for start in range(0, shape[0], step):
                count = min(step, shape[0] - start)
                data = stream.read(count * row)
                if len(data) < count * row:
                    raise EOFError(f"{key} ends early")
                yield np.frombuffer(data, dtype).reshape((count, *shape[1:]), order="F" if fortran else "C")
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        raise ValueError(f"{path} is truncated or damaged ({error}); delete it and load again") from error


def _header(path: Path, key: str, shape: tuple[int, ...], stream) -> tuple[np.dtype, bool]:
    if np.lib.format.read_magic(stream) != (1, 0):  # later versions allow headers of gigabytes
        raise ValueError(f"{path}: {key} is not stored in .npy format 1.0; use the published file")
    found, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.hasobject:
        raise ValueError(f"{path}: {key} holds a pickled object, which could run code; use the published file")
    if found != shape or dtype.kind not in "iub" or (key.endswith("images") and dtype != np.uint8):
        wanted = "uint8" if key.endswith("images") else "integers"
        raise ValueError(f"{path}: {key} must be {wanted} {shape}, got {dtype} {found}; use the published file")
    return dtype, fortran
