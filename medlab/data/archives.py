"""Images in .npz archives, read row by row, without trusting what the headers of their arrays claim."""

import math
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from medlab.data.files import cache_folder, damage, disk_errors
from medlab.limits import excess

BUDGET = 2 * 2**30  # bytes of float32 images kept in memory; more than that is mapped from disk
BLOCK = 2**24  # bytes unpacked at a time
DAMAGE = zipfile.BadZipFile, zlib.error, KeyError, NotImplementedError, RuntimeError, UnicodeDecodeError


def read_rows(path: Path, shapes: Mapping[str, tuple[int, ...]], rows: np.ndarray) -> np.ndarray:
    """Read `rows` (ascending, at least one) of the arrays of these names and shapes, counted on from one to the next.

    Returns:
        ``(len(rows), ...)``; images as uint8, labels and masks as int64.

    Raises:
        ValueError: the archive is truncated, holds a pickled object, or an array of another shape or type.
    """
    parts, first = [], 0
    for key, shape in shapes.items():
        own, start = rows[(rows >= first) & (rows < first + shape[0])] - first, 0
        first += shape[0]
        for block in _blocks(path, key, shape) if len(own) else ():
            parts.append(block[own[(own >= start) & (own < start + len(block))] - start])
            start += len(block)
            if start > own[-1]:
                break
    return np.concatenate(parts) if key.endswith("images") else np.concatenate(parts).astype(np.int64)


def array_shape(path: Path, key: str) -> tuple[int, ...]:
    """The shape of the array `key` of an archive, by its header; one that is larger than allowed is refused.

    Raises:
        ValueError: it is larger, or the archive is damaged or has no such array.
    """
    with _opened(path, key) as (_, shape, _, dtype):
        needed = dtype.itemsize * math.prod(shape)
    if more := excess("array_bytes", needed):
        raise ValueError(f"{path}: {key} claims {dtype} {shape}, {needed:,} bytes, {more}")
    return shape


def column(path: Path, *keys: str) -> np.ndarray:
    """The values ``(N,)`` of the arrays of these names, one after the other: numbers or strings, not pickled.

    Raises:
        ValueError: see `array_shape`; pickled objects.
    """
    for key in keys:
        array_shape(path, key)
    return np.concatenate([block.reshape(-1) for key in keys for block in _blocks(path, key)])


def map_array(path: Path, key: str, shape: tuple[int, ...], target: Path) -> np.ndarray:
    """Map an array of bytes of an archive into memory, from the file `target` to which it is unpacked on first use.

    Raises:
        ValueError: see `read_rows`; or `target` holds something else.
        OSError: its folder cannot be written, or the disk is full.
    """
    if not target.exists():
        part = target.with_name(f"{target.name}.{os.getpid()}.part")
        try:
            needs = f"{target.name} needs {math.prod(shape):,} bytes, "
            with disk_errors(target.parent, lambda: needs), part.open("wb") as file:
                np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
                for block in tqdm(_blocks(path, key, shape), desc=f"unpacking {target.stem}", unit=" block"):
                    file.write(np.ascontiguousarray(block).data)
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
        self._bytes = 0
        self._file: IO[bytes] | None = None

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
                    self._file.write(np.rint(block * 255).astype(np.uint8, order="C"))
                self._file.flush()
            self._blocks.clear()
            self._shape = images.shape[1:]

    def array(self) -> np.ndarray:
        """All images: float32, or mapped from disk, uint8."""
        if self._file is None:
            return np.concatenate(self._blocks)
        return np.memmap(self._file, np.uint8, "c").reshape(-1, *self._shape)


def channels_first(images: np.ndarray) -> Tensor:
    """View stored images ``(N, H, W)``, ``(N, H, W, 3)`` or ``(N, D, H, W)`` as a tensor with its channels second."""
    tensor = torch.from_numpy(images)
    return tensor.movedim(-1, 1) if images.ndim == 4 and images.shape[-1] == 3 else tensor[:, None]


def _blocks(path: Path, key: str, shape: tuple[int, ...] | None = None) -> Iterator[np.ndarray]:
    """Unpack an array block by block; that it is of `shape` is checked before memory is allocated."""
    with _opened(path, key) as (stream, found, fortran, dtype):
        wanted = "uint8" if key.endswith("images") else "integers"
        if shape is not None and (
            found != shape or dtype.kind not in "iub" or (wanted == "uint8" and dtype != np.uint8)
        ):
            raise ValueError(f"{path}: {key} must be {wanted} {shape}, got {dtype} {found}; use the published file")
        row = dtype.itemsize * math.prod(found[1:])
        step = found[0] if fortran else max(1, BLOCK // row)
        for start in range(0, found[0], step):
            count = min(step, found[0] - start)
            data = stream.read(count * row)
            if len(data) < count * row:
                raise EOFError(f"{key} ends early")
            yield np.frombuffer(data, dtype).reshape((count, *found[1:]), order="F" if fortran else "C")


@contextmanager
def _opened(path: Path, key: str) -> Iterator[tuple]:
    """Open an array of an archive; yields the stream behind its header, shape, whether in Fortran order, and type."""
    with damage(path, *DAMAGE), zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as stream:
        yield stream, *_header(stream, f"{path}: {key}")


def _header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        if np.lib.format.read_magic(stream) != (1, 0):  # later versions allow headers of gigabytes
            raise ValueError("not .npy format 1.0")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        if dtype.hasobject:
            raise ValueError("a pickled object, which could run code")
        if any(side < 0 for side in shape):
            raise ValueError(f"an impossible shape {shape}")
    except ValueError as error:
        raise ValueError(f"{name} is no plain array ({error}); use the published file") from error
    return shape, fortran, dtype
