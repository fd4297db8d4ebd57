"""One's own images, sorted into a folder per class."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from medlab.data.archives import ImageStore
from medlab.data.dicom import check_image, read_header, read_pixels, summary
from medlab.data.folders import counted, list_files, list_folders, told
from medlab.data.images import ImageSet, Info
from medlab.data.pictures import open_picture
from medlab.data.png import opaque

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
DICOM = (".dcm", ".dicom")


def load_class_folders(folder: str | Path, size: int, window: tuple[float, float] | None = None) -> ImageSet:
    """Read a folder ``CLASS/PATIENT_IMAGE.png`` of one's own images as a set ``(N, C, size, size)``.

    Each folder in it that holds images is a class; a patient's id is what stands before the first ``_`` of a file's
    name. PNG, JPEG, TIFF and BMP pictures of 8 bits and DICOM images (.dcm) are read, suffixes in any case. C is 3 if
    any image has color, else 1. What is not square is squeezed: crop or pad first. Hidden files and folders are passed
    over; what else is left out is counted in a warning and in the note of the set. More than 2 GiB are kept on disk, in
    the cache folder.

    Args:
        folder: the folder of class folders.
        size: height and width that every image is resized to, in pixels.
        window: level and width in the unit of the DICOM images (HU for CT); its ends become 0 and 1.

    Raises:
        FileNotFoundError: no such folder, or no image in it.
        ValueError: a file that `load_dicom` refuses, damaged, of more than 8 bits or transparent; DICOM beside
            pictures or without `window`; a size below 1, a width not above 0.
    """
    folder = Path(folder).expanduser().absolute()
    if size < 1 or (window is not None and window[1] <= 0):
        raise ValueError(f"size must be at least 1 and the width of the window above 0, got {size} and {window}")
    listed = {path: list_files(path, PICTURES + DICOM) for path in list_folders(folder)}
    paths = [path for files, _ in listed.values() for path in files]
    if not paths:
        raise FileNotFoundError(f"no file CLASS/PATIENT_IMAGE.png (or {', '.join(PICTURES[1:] + DICOM)}) in {folder}")
    empty = [path.name for path, (files, _) in listed.items() if not files]
    left_out = [path for _, others in listed.values() for path in others] + sum(list_files(folder), [])
    dicom = sum(path.suffix.lower() in DICOM for path in paths)
    if dicom and (dicom < len(paths) or window is None):
        raise ValueError(
            f"{folder} holds {counted(paths, 'of images')}: give DICOM a window, such as window=(40, 400) for CT, and "
            "do not mix it with pictures, which a network would tell apart by that"
        )
    store, notes, gray = ImageStore(), [], True
    for path in paths:
        pixels, said = _dicom(path, size, window) if dicom else (read_picture(path, (size, size)), [])
        store.add(pixels[None])
        notes.append(said)
        gray = gray and (pixels == pixels[:1]).all()
    images = store.array()
    said = [*summary(notes), counted(left_out, "left out")]
    said.append(f"no image in {', '.join(empty)}, so no class" if empty else "")
    deeper = sum(len(list_folders(path)) for path in listed)
    said.append(f"folders within classes not entered: {deeper}" if deeper else "")
    note = told(folder, said)
    if gray:
        images = images[:, :1]
    classes = tuple(path.name for path, (files, _) in listed.items() if files)
    targets = np.array([classes.index(path.parent.name) for path in paths])
    info = Info(folder.name, "unknown", "multi-class", classes, "unknown", "unknown", note=note)
    if dicom:
        ends = window[0] - window[1] / 2, window[0] + window[1] / 2
        info = replace(info, unit=f"0 = {ends[0]:g}, 1 = {ends[1]:g} in the unit of the files", window=ends)
    return ImageSet(images, targets, [path.stem.partition("_")[0] for path in paths], info)


def read_picture(path: Path, size: tuple[int, int] | None = None, mode: str = "RGB") -> NDArray[np.float32]:
    """A picture as ``(C, H, W)`` float32 in [0, 1], upright as its EXIF tag says; `size` (H, W) resizes it.

    `mode` is "RGB" for three channels, "L" for one.

    Raises:
        FileNotFoundError, ValueError: as of `load_class_folders`.
    """
    upright = ImageOps.exif_transpose(opaque(open_picture(path), path)).convert(mode)
    pixels = np.asarray(upright if size is None else upright.resize(size[::-1]), np.float32) / 255
    return np.atleast_3d(pixels).transpose(2, 0, 1)


def resize_plane(plane: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """A gray image ``(H, W)`` in [0, 1] resized to `size` (H, W)."""
    return np.clip(np.asarray(Image.fromarray(plane).resize(size[::-1])), 0, 1)


def _dicom(path: Path, size: int, window: tuple[float, float]) -> tuple[NDArray[np.float32], list[str]]:
    """A DICOM image as ``(3, size, size)`` float32, its window from 0 to 1, and what there is to say of it."""
    check_image(path, read_header(path))
    pixels, notes = read_pixels(path)
    shown = np.clip((pixels - window[0]) / window[1] + 0.5, 0, 1).astype(np.float32)
    return np.broadcast_to(resize_plane(shown, (size, size)), (3, size, size)), notes
