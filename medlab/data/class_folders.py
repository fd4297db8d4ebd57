"""One's own images, sorted into a folder per class."""

import re
from pathlib import Path

from medlab.data.folders import counted, list_files, list_folders, told
from medlab.data.image_files import DICOM, PICTURES, is_picture, load_image_files
from medlab.data.images import ImageSet
from medlab.data.pictures import read_table

TABLE = "patients.csv"


def load_class_folders(
    folder: str | Path, size: int, window: tuple[float, float] | None = None, pattern: str | None = None
) -> ImageSet:
    """Read a folder ``CLASS/PATIENT_IMAGE.png`` of one's own images as a set ``(N, C, size, size)``.

    Each folder in it that holds images is a class. Who the patient is says ``patients.csv`` in the folder, if there is
    one, with the columns ``file`` (``CLASS/NAME.png``) and ``patient``; else `pattern`; else what stands before the
    first ``_`` of a file's name, and images whose names are numbers alone count as a patient each. PNG, JPEG, TIFF and
    BMP pictures of 8 bits and DICOM images (.dcm) are read, suffixes in any case. C is 3 if any image has color, else
    1. What is not square is squeezed: crop or pad first. Hidden files and folders are passed over; what else is left
    out is counted in a warning and in the note of the set. More than 2 GiB are kept on disk, in the cache folder.

    Args:
        folder: the folder of class folders.
        size: height and width that every image is resized to, in pixels.
        window: level and width in the unit of the DICOM images (HU for CT); its ends become 0 and 1.
        pattern: a regular expression; what its first group finds in a file's name is the patient's id.

    Raises:
        FileNotFoundError: no such folder, or no image in it.
        ValueError: a file that `load_dicom` refuses, damaged, of more than 8 bits or transparent; DICOM beside
            pictures or without `window`; a size below 1, a width not above 0; a file whose patient neither the table
            nor `pattern` names, a pattern without a group.
    """
    folder = Path(folder).expanduser().absolute()
    if size < 1 or (window is not None and window[1] <= 0):
        raise ValueError(f"size must be at least 1 and the width of the window above 0, got {size} and {window}")
    if pattern is not None:
        _check_pattern(pattern)
    listed = {path: list_files(path, PICTURES + DICOM) for path in list_folders(folder)}
    paths = [path for files, _ in listed.values() for path in files]
    if not paths:
        raise FileNotFoundError(f"no file CLASS/PATIENT_IMAGE.png (or {', '.join(PICTURES[1:] + DICOM)}) in {folder}")
    empty = [path.name for path, (files, _) in listed.items() if not files]
    left_out = [path for _, others in listed.values() for path in others] + sum(list_files(folder), [])
    left_out = [path for path in left_out if path != folder / TABLE]
    if window is None and not all(map(is_picture, paths)):
        raise ValueError(
            f"{folder} holds {counted(paths, 'of images')}: give DICOM a window, such as window=(40, 400) for CT"
        )
    said = [counted(left_out, "left out"), f"no image in {', '.join(empty)}, so no class" if empty else ""]
    deeper = sum(len(list_folders(path)) for path in listed)
    said.append(f"folders within classes not entered: {deeper}" if deeper else "")
    return load_image_files(
        paths,
        size,
        [path.parent.name for path in paths],
        _patients(folder, paths, pattern),
        window=window and (window[0] - window[1] / 2, window[0] + window[1] / 2),
        classes=[path.name for path, (files, _) in listed.items() if files],
        name=folder.name,
        note=told(folder, said),
    )


def _check_pattern(pattern: str) -> None:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"pattern {pattern!r} is no regular expression: {error}") from error
    if not groups:
        raise ValueError(f"pattern {pattern!r} has no group: put brackets around the patient, such as '(.+)_'")


def _patients(folder: Path, paths: list[Path], pattern: str | None) -> list[str]:
    if (folder / TABLE).is_file():
        known = dict(read_table(folder / TABLE, ("file", "patient"))[["file", "patient"]].to_numpy().tolist())
        ids = [known.get(f"{path.parent.name}/{path.name}") for path in paths]
        source = f"{folder / TABLE} has no row"
    elif pattern is not None:
        found = [re.search(pattern, path.stem) for path in paths]
        ids = [match[1] if match else None for match in found]
        source = f"pattern {pattern!r} finds no patient"
    else:
        return [f"{p.parent.name}/{p.stem}" if p.stem.isdecimal() else p.stem.partition("_")[0] for p in paths]
    for path, patient in zip(paths, ids):
        if not patient:
            raise ValueError(f"{source} for {path.parent.name}/{path.name}: every image needs a patient")
    return [str(patient) for patient in ids]
