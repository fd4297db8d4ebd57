"""Files of results: whole or not there, never of two writers at once, and a full disk says what is missing."""

import errno
import glob
import io
import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_files(contents: Mapping[Path, Callable[[IO[bytes]], object]]) -> None:
    """Write files that belong together, each by its function, which gets a binary file; missing folders are made.

    All are written under names of their own before the first takes the place of what was there, so that a kill or a
    full disk leaves the old files or the new ones.

    Raises:
        OSError: a file cannot be written; the message names it, and for a full disk the bytes needed and free.
    """
    parts: dict[Path, Path] = {}
    try:
        for path, write in contents.items():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                parts[path] = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
                with parts[path].open("xb") as file:
                    write(file)
                    file.flush()
                    os.fsync(file.fileno())
            except (OSError, RuntimeError) as error:  # torch's zip writer reports a full disk as RuntimeError
                with suppress(OSError, KeyError):
                    parts[path].unlink()  # so that its bytes count as free
                raise _named(path, error, write) from error
        for path, part in parts.items():
            try:
                os.replace(part, path)
            except OSError as error:
                raise _named(path, error, contents[path]) from error
    finally:
        for part in parts.values():
            with suppress(OSError):
                part.unlink()


def write_file(path: str | Path, content: bytes | str) -> None:
    """Write one file at once, as `write_files` does; text in UTF-8."""
    data = content.encode() if isinstance(content, str) else content
    write_files({Path(path): lambda file: file.write(data)})


def append(path: str | Path, text: str, head: str) -> None:
    """Append `text` to a file, which begins with `head`; on an error it is left as it was.

    Raises:
        OSError: it cannot be written; see `write_files`.
    """
    path, before = Path(path), None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            before = file.tell()
            data = (text if before else head + text).encode()
            if file.write(data) < len(data):  # the disk took a part of it
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
    except OSError as error:
        if before is not None:
            os.truncate(path, before)
        raise _named(path, error, lambda file: file.write(data)) from error


class _Counter(io.RawIOBase):
    """A file that counts the bytes written to it, and keeps none."""

    size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        count = memoryview(data).nbytes
        self.size += count
        return count


def _named(path: Path, error: Exception, write: Callable[[IO[bytes]], object]) -> OSError:
    """The error with the file's name, and if the disk may be full the bytes that it needs and those that are free."""
    code, room = getattr(error, "errno", None), ""
    if full := code in FULL or not isinstance(error, OSError):
        counter: Any = _Counter()
        with suppress(OSError, RuntimeError):
            write(counter)
            room = f" (it needs {counter.size:,} bytes, {shutil.disk_usage(path.parent).free:,} are free)"
    advice = f"free some space or give another path{room}" if full else "give another path"
    return OSError(f"could not write {path}: {os.strerror(code) if code else error}; {advice}")


@contextmanager
def only_writer(path: str | Path) -> Iterator[None]:
    """Keep other processes from writing `path` inside the block; clear what killed writers of it left behind.

    The lock is the system's, on the file `.NAME.lock` beside it: it ends with the process, however that ends.

    Raises:
        BlockingIOError: another writer holds it; the message says who, since when.
        OSError: the folder cannot be written.
    """
    from filelock import Timeout

    path = Path(path)
    lock = _lock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=1)  # a look at the lock, as that of `is_held`, takes no time
    except Timeout:
        raise BlockingIOError(f"{path} is being written by {holder(path)}; wait for it, or give another path") from None
    except OSError as error:
        raise _named(path, error, lambda file: file.write(b"lock")) from error
    owner = Path(lock.lock_file)
    try:
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        with suppress(OSError):  # a full disk
            owner.write_text(f"process {os.getpid()} on {socket.gethostname()} since {since}", encoding="utf-8")
        for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
            part.unlink(missing_ok=True)
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file
            owner.unlink()
        lock.release()


def is_held(path: str | Path) -> bool:
    """Whether a living process is the `only_writer` of `path`."""
    from filelock import Timeout

    lock = _lock(Path(path))
    if not Path(lock.lock_file).exists():
        return False
    try:
        with lock.acquire(timeout=0):
            return False
    except (Timeout, PermissionError):
        return True


def holder(path: str | Path) -> str:
    """Who holds the lock of `path`, in words: process, computer and since when."""
    try:
        return Path(_lock(Path(path)).lock_file).read_text(encoding="utf-8") or "another process"
    except (OSError, ValueError):
        return "another process"


def _lock(path: Path) -> Any:
    from filelock import FileLock

    return FileLock(path.with_name(f".{path.name}.lock"))
