"""Which files of a folder are meant: suffixes in any case, without what operating systems and editors leave there."""

import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

# Lower case. Names that begin with a dot (.DS_Store, ._image.png, .ipynb_checkpoints) are passed over anyway.
SYSTEM_NAMES = {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "@eadir", "icon\r"}


def visible(path: Path) -> bool:
    """Whether the last part of a path is a name that a user gave: not hidden, not left by an operating system."""
    return not path.name.startswith(".") and path.name.lower() not in SYSTEM_NAMES


def list_folders(folder: str | Path) -> list[Path]:
    """The visible folders in a folder, sorted by name.

    Raises:
        FileNotFoundError, NotADirectoryError: see `list_files`.
    """
    return [path for path in _entries(folder) if path.is_dir()]


def list_files(folder: str | Path, suffixes: Iterable[str] = ("",)) -> tuple[list[Path], list[Path]]:
    """The visible files in a folder whose names end in one of `suffixes` in any case, and the other visible files.

    Both are sorted by name; folders within the folder are not entered.

    Raises:
        FileNotFoundError: no such folder; the message names it in full.
        NotADirectoryError: it is a file.
    """
    files = [path for path in _entries(folder) if path.is_file()]
    ends = tuple(suffix.lower() for suffix in suffixes)
    return [path for path in files if path.name.lower().endswith(ends)], [
        path for path in files if not path.name.lower().endswith(ends)
    ]


def counted(paths: list[Path], what: str) -> str:
    """Say how many files there are and of which suffix: "3 files left out (2 .jpg, 1 .txt)"; nothing for none."""
    if not paths:
        return ""
    kinds = Counter(path.suffix.lower() or "without suffix" for path in paths)
    listed = ", ".join(f"{count} {suffix}" for suffix, count in kinds.most_common(5))
    return f"{len(paths)} file{'s' * (len(paths) > 1)} {what} ({listed}{', ...' * (len(kinds) > 5)})"


def told(place: str | Path, notes: Iterable[str]) -> str:
    """Warn of what there is to say of the files at `place`, the notes that are not empty, and return it in one line."""
    said = "; ".join(filter(None, notes))
    if said:
        warnings.warn(f"{place}: {said}", stacklevel=3)
    return said


def _entries(folder: str | Path) -> list[Path]:
    folder = Path(folder).expanduser().absolute()
    if not folder.exists():
        raise FileNotFoundError(f"there is no folder {folder}; check the path, it was looked up from {Path.cwd()}")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; give the folder that holds it")
    return sorted(path for path in folder.iterdir() if visible(path))
