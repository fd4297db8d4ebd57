"""One's own images, sorted into a folder per class."""

from pathlib import Path

from medlab.data.folders import counted, list_files, list_folders, told
from medlab.data.image_files import DICOM, PICTURES, is_picture, load_image_files
from medlab.data.images import ImageSet


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
        [path.stem.partition("_")[0] for path in paths],
        window=window and (window[0] - window[1] / 2, window[0] + window[1] / 2),
        classes=[path.name for path, (files, _) in listed.items() if files],
        name=folder.name,
        note=told(folder, said),
    )
