"""One's own images from files: pictures, or single DICOM images."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from medlab.data.archives import ImageStore
from medlab.data.dicom import check_image, read_header, read_pixels, summary
from medlab.data.folders import counted, visible
from medlab.data.grids import PERCENTILES, scale_voxels
from medlab.data.images import ImageSet
from medlab.data.pictures import open_picture
from medlab.data.png import opaque
from medlab.data.scans import in_window

DICOM = (".dcm", ".dicom")  # and files without a suffix
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


def load_image_files(
    paths: Iterable[str | Path],
    size: int,
    targets: Sequence | Mapping | None = None,
    patients: Sequence | None = None,
    *,
    window: tuple[float, float] | None = None,
    **about: Any,
) -> ImageSet:
    """Read images of any sizes as a set ``(N, C, size, size)``.

    What is not square is squeezed: crop or pad first. Pictures (PNG, JPEG, TIFF, BMP of 8 bits) are known by their
    suffix, in any case; any other file is read as DICOM, as by `load_dicom`. Folders and hidden files are passed over,
    so that ``sorted(Path("scans").rglob("*"))`` will do. C is 3 if any image has color, else 1. More than 2 GiB are
    kept on disk, in the cache folder, as 256 gray levels.

    Args:
        paths: the files.
        size: height and width that every image is resized to, in pixels.
        targets: as of `ImageSet`, one for each file; or by patient, such as ``{"4711": "ill", "4712": "healthy"}``.
        patients: one id for each file; None takes the PatientID of DICOM files, and pictures have none.
        window: (low, high) in the unit of the DICOM files, HU for CT: what becomes 0 and 1. None scales each between
            its own 0.5th and 99.5th percentile, but refuses CT.
        about: as of `ImageSet`, such as `classes` or ``name="our clinic"``.

    Raises:
        FileNotFoundError: no file, or one that is not there.
        ValueError: a file that `load_dicom` refuses, damaged, of more than 8 bits or transparent; DICOM beside
            pictures, some of it without PatientID, or CT without `window`; a size below 1, a window without width;
            targets by patient where a patient has none; what `ImageSet` refuses.
    """
    files = [path for path in map(Path, paths) if visible(path) and not path.is_dir()]
    if not files:
        raise FileNotFoundError(f"no file given; paths are looked up from {Path.cwd()}")
    if size < 1 or (window is not None and not window[0] < window[1]):
        raise ValueError(f"size must be at least 1, and window (low, high) with low below high, got {size}, {window}")
    dicom = sum(not is_picture(path) for path in files)
    if 0 < dicom < len(files):
        raise ValueError(
            f"do not mix DICOM with pictures, which a network would tell apart by that; {counted(files, 'given')}"
        )
    store, notes, ids, gray = ImageStore(), [], [], True
    for path in files:
        if dicom:
            header = read_header(path)
            pixels, said = read_plane(path, header, window)
            pixels = resize_plane(pixels, (size, size))[None]
            ids.append(str(header.get("PatientID") or ""))
            notes.append(said)
        else:
            pixels = read_picture(path, (size, size))
            gray = gray and (pixels == pixels[:1]).all()
        store.add(pixels[None])
    if patients is None and any(ids):
        if "" in ids:
            raise ValueError(f"{files[ids.index('')]} has no PatientID, others have: give patients=[...], one each")
        patients = ids
    if isinstance(targets, Mapping):
        targets = _by_patient(targets, patients)
    if dicom:
        about = ({"window": window} if window else {"unit": f"{PERCENTILES} image"}) | about
        if said := "; ".join(summary(notes)):
            warnings.warn(said, stacklevel=2)
            about["note"] = "; ".join(filter(None, [said, about.get("note")]))
    images = store.array()
    return ImageSet(images[:, :1] if gray else images, targets, patients, **about)


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its suffix."""
    return path.name.lower().endswith(PICTURES)


def read_plane(path: Path, header, window: tuple[float, float] | None) -> tuple[NDArray[np.float32], list[str]]:
    """A DICOM image ``(H, W)`` in [0, 1], scaled as by `load_image_files`, and what there is to say of it.

    Raises:
        ValueError: as of `load_image_files`.
    """
    check_image(path, header)
    pixels, notes = read_pixels(path)
    if window is not None:
        return in_window(pixels, *window), notes
    if header.get("Modality") == "CT":
        raise ValueError(
            f"{path} is CT, in HU: give window=(low, high), what becomes 0 and 1; (-160, 240) is usual for soft "
            "tissue, (-1000, 400) for lungs"
        )
    return scale_voxels(pixels, None, path), notes


def read_picture(path: Path, size: tuple[int, int] | None = None, mode: str = "RGB") -> NDArray[np.float32]:
    """A picture as ``(C, H, W)`` float32 in [0, 1], upright as its EXIF tag says; `size` (H, W) resizes it.

    `mode` is "RGB" for three channels, "L" for one.

    Raises:
        FileNotFoundError, ValueError: as of `load_image_files`.
    """
    upright = ImageOps.exif_transpose(opaque(open_picture(path), path)).convert(mode)
    pixels = np.asarray(upright if size is None else upright.resize(size[::-1]), np.float32) / np.float32(255)
    return np.atleast_3d(pixels).transpose(2, 0, 1)


def resize_plane(plane: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """A gray image ``(H, W)`` in [0, 1] resized to `size` (H, W)."""
    return np.clip(np.asarray(Image.fromarray(plane).resize(size[::-1])), 0, 1)


def _by_patient(targets: Mapping, patients: Sequence | None) -> list:
    """The target of each image, by its patient: a table may hold the ids as numbers."""
    if patients is None:
        raise ValueError("targets by patient need to know the patient of each file: give patients=[...], one each")
    known = {str(patient): target for patient, target in targets.items()}
    if unknown := sorted({str(patient) for patient in patients} - set(known)):
        raise ValueError(
            f"{len(unknown)} patients have no target, the first is {unknown[0]!r}; targets know {next(iter(known))!r} "
            "and others: leave the files of these patients out, or add them"
        )
    return [known[str(patient)] for patient in patients]
