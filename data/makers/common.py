"""What the makers share: the command line, files found by their hash, pictures of CT, and the list to compare with."""

import argparse
import gzip
import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from medlab.data.files import LISTS, hashes

SIZE = 256, 256  # pixels of a CT slice and of a lesion


def run(make: Callable[[Path, Path], None], script: str, doc: str) -> None:
    """Run a maker from the command line: ``make(source, folder)``, then compare the folder with its list of hashes."""
    name = Path(script).stem
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder with the files of the publisher, unpacked")
    parser.add_argument("target", type=Path, help=f"folder for MEDLAB_DATA; {name}/ is made in it")
    parser.add_argument("--check", action="store_true", help="make nothing, only compare with the list of hashes")
    parser.add_argument("--list", action="store_true", help="make this folder the list that a mirror is checked by")
    arguments = parser.parse_args()
    folder = arguments.target / name
    try:
        if not arguments.check:
            if folder.exists():
                raise ValueError(f"{folder} is there already: move it away first, or name another target")
            make(arguments.source, folder)
        if arguments.list:
            write_list(folder)
        print(compare(folder))
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from error


def compare(folder: Path) -> str:
    """One line: how many files of the list of `folder` are there, and how many of them have its hash."""
    wanted = hashes(folder.name)
    there = {name: md5(folder / name) for name in wanted if (folder / name).is_file()}
    differ = [name for name, value in there.items() if value != wanted[name]]
    missing = sorted(set(wanted) - set(there))
    line = f"{folder.name}: {len(there) - len(differ)} of {len(wanted)} files are those of the list"
    line += f"; {len(differ)} differ, the first is {differ[0]}" if differ else ""
    return line + (f"; {len(missing)} are missing, the first is {missing[0]}" if missing else "")


def write_list(folder: Path) -> None:
    """Write the hashes of all files of `folder`, except its README, into the list that comes with medlab."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in ("README.md", "MD5SUMS"))
    lines = [f"{md5(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (LISTS / f"{folder.name}.md5").write_text("".join(lines), encoding="ascii", newline="\n")
    hashes.cache_clear()


def md5(file: Path | bytes) -> str:
    """The MD5 of a file or of bytes."""
    return hashlib.md5(file if isinstance(file, bytes) else file.read_bytes(), usedforsecurity=False).hexdigest()


def collect(source: Path, folder: Path, packed: dict[str, str] | None = None) -> None:
    """Copy the files whose hash is on the list of `folder` from anywhere below `source`, under the names of the list.

    `packed` names files that are there as plain .nii, by the MD5 of their content, and are to be packed by gzip.

    Raises:
        ValueError: `source` holds no file of the list.
    """
    there = {md5(path): path for path in sorted(source.rglob("*")) if path.is_file()}
    wanted = {name: there[value] for name, value in hashes(folder.name).items() if value in there}
    wanted |= {name: there[value] for value, name in (packed or {}).items() if value in there}
    if not wanted:
        raise ValueError(f"{source} holds no file of the list of {folder.name}; see the README of data/makers")
    for name, path in wanted.items():
        target, content = folder / name, path.read_bytes()
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(gzipped(content, target.stem) if packed and path.suffix == ".nii" else content)


def gzipped(content: bytes, name: str) -> bytes:
    """Pack `content` as gzip does a file of that `name`, without the time."""
    buffer = io.BytesIO()
    with gzip.GzipFile(name, "wb", 9, buffer, mtime=0) as file:
        file.write(content)
    return buffer.getvalue()


def ids(script: str) -> list[str]:
    """The lines of the text file beside a script: which images of the publisher are in our folder."""
    return Path(script).with_suffix(".txt").read_text(encoding="ascii").split()


def write_slices(folder: Path, slices: Iterator[tuple[str, np.ndarray, np.ndarray]], suffix: str) -> list[list]:
    """Write CT slices in HU ``(H, W)``, 0 to 255 HU as 8 bits, with their masks: ``images/NAME`` and ``masks/NAME``.

    Returns:
        Name and number of mask pixels before and after resizing, for the table of the set.
    """
    rows = []
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for name, values, mask in slices:
        image = Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8)).resize(SIZE, Image.Resampling.BOX)
        small = Image.fromarray(mask.astype(bool)).resize(SIZE, Image.Resampling.NEAREST)
        image.save(folder / "images" / f"{name}{suffix}", quality=95)
        small.save(folder / "masks" / f"{name}.png")
        rows.append([name, int(mask.sum()), int(np.asarray(small).sum())])
    return rows
