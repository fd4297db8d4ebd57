"""Medical Segmentation Decathlon folders, and sets of slices or of whole volumes from them."""

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import nibabel.processing
import numpy as np
from numpy.typing import NDArray

from medlab.data.files import disk_errors
from medlab.data.images import ImageSet, Info
from medlab.data.nifti import Volume, canonical, check_size, load_nifti_pair
from medlab.errors import unknown_name_error

DECATHLON = "Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 13:4128, 2022"


@dataclass(frozen=True)
class Case:
    """One labeled case of a Decathlon task: an id and two files.

    `spacing` is the side of the cubic voxels (mm) that it is resampled to, along the axes of the body; None for none.
    """

    patient: str
    image: Path
    mask: Path
    spacing: float | None = None

    def load(self) -> tuple[Volume, NDArray[np.int64]]:
        """Read the volume and its mask, see `load_nifti_pair`; resampled linearly, the mask to the nearest label."""
        volume, mask = load_nifti_pair(self.image, self.mask)
        if self.spacing is None:
            return volume, mask
        resampled = [
            nib.processing.resample_to_output(nib.Nifti1Image(voxels.T, volume.affine), self.spacing, order=order)
            for voxels, order in ((volume.voxels, 1), (mask.astype(np.float32), 0))
        ]
        return canonical(resampled[0]), canonical(resampled[1]).voxels.astype(np.int64)


def load_decathlon(folder: str | Path, download: bool = False) -> tuple[list[Case], Info]:
    """List the labeled cases of a Medical Segmentation Decathlon folder (dataset.json, imagesTr, labelsTr).

    Cases of which a file is missing are left out. With `download`, a folder that does not exist is downloaded by MONAI;
    its name must then be that of a task, e.g. ``Task04_Hippocampus``.

    Returns:
        The cases, and what dataset.json says about them.

    Raises:
        FileNotFoundError: no dataset.json in the folder.
        ValueError: dataset.json of another form, no case, unknown task, or a download with the wrong hash.
        ConnectionError, OSError: no network; the folder cannot be written or its disk is full.
    """
    folder = Path(folder)
    if download and not folder.exists():
        _download_task(folder)
    try:
        about = json.loads((folder / "dataset.json").read_text())
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
        unit="0 = 0.5th, 1 = 99.5th percentile of the case; padding is 0",
    )


def slice_set(cases: Iterable[Case], info: Info, size: int) -> ImageSet:
    """Make a set of all axial slices: images ``(N, 1, size, size)``, label maps ``(N, size, size)``.

    Each case is a patient. Its gray values are scaled to [0, 1] between their 0.5th and 99.5th percentile, its slices
    padded or cropped around their center; they follow each other from the feet to the head. Radiological view with row
    0 on top, unlike `Volume`: the front of the head is up, the patient's right on the left.
    """
    return _collect(cases, info, (size, size))


def volume_set(cases: Iterable[Case], info: Info, size: tuple[int, int, int], spacing: float | None = None) -> ImageSet:
    """Make a set of volumes: images ``(N, 1, D, H, W)``, label maps ``(N, D, H, W)``.

    They are scaled and oriented as by `slice_set`.

    Args:
        cases, info: as of `load_decathlon`.
        size: D, H and W that every case is padded or cropped to, around its center.
        spacing: None keeps the voxels, and refuses a case whose voxels differ in size from those of the first, or whose
            axes are rotated against the body: a network would see it distorted. A length in mm resamples every case to
            cubic voxels of that side along the axes of the body, labels to the nearest.

    Raises:
        ValueError: no case, a constant one, a set too large for memory; without `spacing`, cases on unlike grids.
    """
    cases = _alike(cases) if spacing is None else (replace(case, spacing=spacing) for case in cases)
    return _collect(cases, info, size)


def _alike(cases: Iterable[Case]) -> Iterator[Case]:
    """Yield the cases; refuse voxels of unlike size, or not along the axes of the body (to 5 % and 5 degrees)."""
    first = None
    for case in cases:
        affine = nib.as_closest_canonical(nib.load(case.image)).affine[:3, :3]
        spacing = np.linalg.norm(affine, axis=0)
        first = spacing if first is None else first
        cosines = np.abs(np.diag(affine)) / spacing
        if not np.allclose(spacing, first, rtol=0.05) or cosines.min() < np.cos(np.deg2rad(5)):
            raise ValueError(
                f"{case.image} has voxels of {' x '.join(f'{mm:.2f}' for mm in spacing)} mm, turned by up to "
                f"{np.rad2deg(np.arccos(min(cosines.min(), 1))):.0f} degrees; those of the first case have "
                f"{' x '.join(f'{mm:.2f}' for mm in first)} mm: give spacing=1.0 (mm) to resample all cases"
            )
        yield case


def _download_task(folder: Path) -> None:
    from urllib.error import URLError

    from monai.apps import DecathlonDataset, download_url, extractall

    task = folder.name
    if task not in DecathlonDataset.resource:
        raise unknown_name_error("Decathlon task", task, DecathlonDataset.resource)
    url, md5 = DecathlonDataset.resource[task], DecathlonDataset.md5[task]
    try:
        with disk_errors(folder.parent), tempfile.TemporaryDirectory(dir=folder.parent) as part:
            download_url(url, f"{part}/{task}.tar", md5, "md5")
            extractall(f"{part}/{task}.tar", part)
            os.replace(f"{part}/{task}", folder)  # a killed download leaves no half folder
    except (URLError, ConnectionError, TimeoutError) as error:
        raise ConnectionError(
            f"cannot download {task} from {url} ({error}): check the network, or unpack {task}.tar to {folder}; until "
            'then a phantom can stand in, e.g. load("brain")'
        ) from error
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"the download from {url} is not the published file ({error}); load again later") from error


def _scaled(voxels: NDArray[np.float32], case: Case) -> NDArray[np.float32]:
    low, high = np.percentile(voxels, (0.5, 99.5))
    if high <= low:
        raise ValueError(f"{case.image} is constant, there is nothing to see; leave the case out")
    return np.clip((voxels - low) / (high - low), 0, 1).astype(np.float32)


def _fit(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Pad with 0 or crop the last axes to `shape`, around the center."""
    have = array.shape[-len(shape) :]
    cut = [slice(max(h - w, 0) // 2, max(h - w, 0) // 2 + w) for h, w in zip(have, shape)]
    place = [slice(max(w - h, 0) // 2, max(w - h, 0) // 2 + min(h, w)) for h, w in zip(have, shape)]
    fitted = np.zeros((*array.shape[: -len(shape)], *shape), array.dtype)
    fitted[(..., *place)] = array[(..., *cut)]
    return fitted


def _collect(cases: Iterable[Case], info: Info, shape: tuple[int, ...]) -> ImageSet:
    images, masks, patients = [], [], []
    for case in cases:
        volume, mask = case.load()
        upright = (..., slice(None, None, -1), slice(None, None, -1))
        image, mask = _fit(_scaled(volume.voxels, case)[upright], shape), _fit(mask[upright], shape)
        images.append(image.reshape(-1, 1, *shape))
        masks.append(mask.reshape(-1, *shape).astype(np.min_scalar_type(mask.max())))  # int64 is 8 times larger
        patients += [case.patient] * len(images[-1])
        check_size(f"{info.name} (take fewer cases)", (len(patients), *shape))
    if not images:
        raise ValueError(f"{info.name}: no case given")
    return ImageSet(np.concatenate(images), np.concatenate(masks), patients, info)
