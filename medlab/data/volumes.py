"""Medical Segmentation Decathlon folders, and sets of slices or of whole volumes from them."""

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medlab.data.archives import ImageStore
from medlab.data.files import fetch_archive
from medlab.data.grids import (
    PERCENTILES,
    fit_start,
    fit_to,
    image_grids,
    removed_labels,
    resample_slices,
    resample_volume,
    scale_voxels,
)
from medlab.data.images import ImageSet, Info
from medlab.data.nifti import Volume, load_nifti_pair, read_grid
from medlab.errors import unknown_name_error, whole_number

DECATHLON = "Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 13:4128, 2022"
SOFT_TISSUE = (-160.0, 240.0)  # HU


@dataclass(frozen=True)
class Case:
    """One labeled case: an id, and the files of its image and its labels, both NIfTI on one grid."""

    patient: str
    image: str | Path
    mask: str | Path

    def load(self) -> tuple[Volume, NDArray[np.int64]]:
        """Read the volume and its mask, see `load_nifti_pair`."""
        return load_nifti_pair(self.image, self.mask)


def load_decathlon(folder: str | Path, download: bool = False) -> tuple[list[Case], Info]:
    """List the labeled cases of a Medical Segmentation Decathlon folder (dataset.json, imagesTr, labelsTr).

    Cases of which a file is missing are left out. With `download`, a folder that does not exist is downloaded; its
    name must then be that of a task, e.g. ``Task04_Hippocampus``.

    Returns:
        The cases, and what dataset.json says about them.

    Raises:
        FileNotFoundError: no dataset.json in the folder.
        ValueError: dataset.json of another form, no case, unknown task, or a download with the wrong hash.
        ConnectionError, OSError: no network; the folder cannot be written or its disk is full.
    """
    folder = Path(folder)
    if download and not folder.exists():
        from monai.apps import DecathlonDataset  # here, since it takes seconds to import

        if folder.name not in DecathlonDataset.resource:
            raise unknown_name_error("Decathlon task", folder.name, DecathlonDataset.resource)
        url, md5 = DecathlonDataset.resource[folder.name], DecathlonDataset.md5[folder.name]
        fetch_archive(f"{folder.name}.tar", url, md5, "decathlon", folder, "brain")
    try:
        about = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        classes = tuple(about["labels"][str(label)].lower() for label in range(len(about["labels"])))
        pairs = [(Path(case["image"]), Path(case["label"])) for case in about["training"]]
        modality = ", ".join(about["modality"].values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder}/dataset.json is not that of a Decathlon task ({error!r})") from error
    outside = [path for pair in pairs for path in pair if path.is_absolute() or ".." in path.parts]
    if outside:
        raise ValueError(f"{folder}/dataset.json names a file outside the folder ({outside[0]}); do not trust it")
    files = [(folder / image, folder / mask) for image, mask in pairs]
    cases = [Case(image.name.split(".")[0], image, mask) for image, mask in files if image.exists() and mask.exists()]
    if not cases:
        raise ValueError(f"{folder}: none of the {len(pairs)} cases of dataset.json is there (imagesTr, labelsTr)")
    return cases, Info(
        name=str(about.get("name", folder.name)).lower(),
        modality=modality,
        task="segmentation",
        classes=classes,
        license=str(about.get("license", "unknown")),
        citation=DECATHLON,
    )


def slice_set(
    cases: Iterable[Case],
    info: Info,
    size: int,
    *,
    window: tuple[float, float] | None = None,
    spacing: float | None = None,
) -> ImageSet:
    """Make a set of all axial slices: images ``(N, 1, size, size)``, label maps ``(N, size, size)``.

    Each case is a patient. Its slices are padded or cropped around their center; they follow each other from the feet
    to the head. Radiological view with row 0 on top, unlike `Volume`: the front of the head is up, the patient's right
    on the left.

    CT keeps its units: all cases are scaled by one window in HU, so that a gray value means one tissue in all of them.
    Anything else (MR) has no unit, and each case is scaled between its own 0.5th and 99.5th percentile. What is beyond
    becomes 0 or 1; `info.unit` of the set says which values 0 and 1 are. A set of more than 2 GiB is kept on disk, in
    the cache folder, as 256 gray levels. It knows where its images lie: `spacing` is in mm, and `to_nifti` brings masks
    back to the grids of the files.

    Args:
        cases, info: as of `load_decathlon`; `info.modality` says whether the scans are CT.
        size: pixels that every slice is padded or cropped to.
        window: what becomes 0 and 1 in a CT, in HU. None takes -160 to 240, the usual soft tissue window of level 40
            and width 400: fat, fluid and organs differ in it, air is 0 and dense bone 1. Lungs need about -1000 to 400.
        spacing: None keeps the pixels, and refuses a case whose pixels differ in size from those of the first (by more
            than 5 %): a network would see organs of another size. A length in mm resamples the slices of every case to
            square pixels of that side, labels to the nearest; those that have it already stay as they are.

    Raises:
        ValueError: no case, a constant one, a window that is none or not for a CT; without `spacing`, cases of unlike
            pixels; a crop that removes more than 1 % of the voxels of a class from a case (less than that is counted in
            `info.note`).
    """
    return _collect(cases, info, (size, size), window, spacing)


def volume_set(
    cases: Iterable[Case],
    info: Info,
    size: tuple[int, int, int],
    spacing: float | None = None,
    *,
    window: tuple[float, float] | None = None,
) -> ImageSet:
    """Make a set of volumes: images ``(N, 1, D, H, W)``, label maps ``(N, D, H, W)``.

    They are scaled and oriented as by `slice_set`.

    Args:
        cases, info, window: as of `slice_set`.
        size: D, H and W that every case is padded or cropped to, around its center.
        spacing: None keeps the voxels, and refuses a case whose voxels differ in size from those of the first, or whose
            axes are rotated against the body: a network would see it distorted. A length in mm resamples every case to
            cubic voxels of that side along the axes of the body, labels to the nearest.

    Raises:
        ValueError: see `slice_set`; without `spacing`, cases on unlike grids.
    """
    return _collect(cases, info, size, window, spacing)


def _alike(cases: Iterable[Case], plane: bool) -> Iterator[Case]:
    """Yield the cases; refuse voxels of unlike size, or not along the axes of the body (to 5 % and 5 degrees).

    With `plane`, only the pixels of a slice must be alike: a slice may be oblique, and as thick as it is.
    """
    first = None
    for case in cases:
        affine = read_grid(case.image)[1][:3, :3]
        whole = np.linalg.norm(affine, axis=0)
        cosine = 1 if plane else min((np.abs(np.diag(affine)) / whole).min(), 1)
        spacing = whole[:2] if plane else whole
        first = spacing if first is None else first
        if not np.allclose(spacing, first, rtol=0.05) or cosine < np.cos(np.deg2rad(5)):
            here, there = (" x ".join(f"{mm:.2f}" for mm in sides) for sides in (spacing, first))
            turned = "" if plane else f", turned by up to {np.rad2deg(np.arccos(cosine)):.0f} degrees"
            raise ValueError(
                f"{case.image} has {'pixels' if plane else 'voxels'} of {here} mm{turned}; those of the first "
                f"case have {there} mm: give spacing=1.0 (mm) to resample all cases"
            )
        yield case


def _window(window: tuple[float, float] | None, info: Info) -> tuple[float, float] | None:
    """The checked window of a CT, by default that of soft tissue; None for what is scaled case by case."""
    is_ct = "CT" in re.split(r"\W+", info.modality.upper())
    if window is None:
        return SOFT_TISSUE if is_ct else None
    if not is_ct:
        raise ValueError(
            f"{info.name}: a window is in HU, but the modality is {info.modality}, of no unit: leave `window` out, or "
            'set info.modality to "CT" if it is one'
        )
    if len(window) != 2 or not -math.inf < window[0] < window[1] < math.inf:  # NaN neither
        raise ValueError(
            f"window must be (low, high) in HU with low below high, got {window}; (-160, 240) is usual for soft "
            "tissue, (-1000, 400) for lungs"
        )
    return window


def _collect(
    cases: Iterable[Case],
    info: Info,
    shape: tuple[int, ...],
    window: tuple[float, float] | None,
    spacing: float | None,
) -> ImageSet:
    if spacing is not None and not 0 < spacing < math.inf:  # NaN neither
        raise ValueError(f"spacing must be a positive length in mm, got {spacing}; 1.0 is usual")
    shape = tuple(whole_number("size", side, 1) for side in shape)
    window, plane = _window(window, info), len(shape) == 2
    images, masks, patients, grids, cropped = ImageStore(), [], [], [], {}
    for case in cases if spacing else _alike(cases, plane):
        volume, mask = case.load()
        if spacing:
            volume, mask = (resample_slices if plane else resample_volume)(volume, spacing, mask)
        upright = (..., slice(None, None, -1), slice(None, None, -1))
        mask = mask[upright]
        if removed := removed_labels(mask, shape, info.classes, case.image, volume.spacing):
            cropped[case.patient] = removed
        images.add(fit_to(scale_voxels(volume.voxels, window, case.image)[upright], shape).reshape(-1, 1, *shape))
        masks.append(fit_to(mask, shape).reshape(-1, *shape).astype(np.min_scalar_type(mask.max())))  # not int64
        patients += [case.patient] * len(masks[-1])
        slices = range(len(mask)) if plane else None
        grids += image_grids(volume, fit_start(mask.shape, shape), slices=slices)
    if not masks:
        raise ValueError(f"{info.name}: no case given")
    scale = f"{PERCENTILES} case" if window is None else f"0 = {window[0]:g} HU, 1 = {window[1]:g} HU"
    stored = images.array()
    rounded = ", in 256 steps" if stored.dtype == np.uint8 else ""
    info = replace(info, unit=f"{scale}{rounded}; padding is 0", window=window)
    if cropped:
        where = f"{len(cropped)} of {len(masks)} cases ({', '.join(cropped)})"
        note = f"{info.note} Cropping removed {sum(cropped.values())} labeled voxels of {where}."
        info = replace(info, note=note.lstrip())
    return ImageSet(stored, np.concatenate(masks), patients, info, grids=grids)
