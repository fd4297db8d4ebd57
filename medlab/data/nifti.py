"""Volumes, and readers of NIfTI files.

Every `Volume` is stored the same way, whatever the file says: axis 0 (D) runs from the feet to the head, axis 1 (H)
from the back to the front, axis 2 (W) from the patient's left to the right (RAS+, read backwards). Any plane shows
upright with ``plt.imshow(plane, origin="lower")``.
"""

import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

LIMIT = 2 * 2**30  # bytes of float32 voxels in one volume or one set


@dataclass(frozen=True, eq=False)
class Volume:
    """A scan on its grid: `voxels` float32 ``(D, H, W)``, `spacing` in mm for D, H, W, and `affine` ``(4, 4)``.

    `affine` maps ``(w, h, d, 1)`` to mm right, front, up, in the order of nibabel, so that
    ``nib.Nifti1Image(volume.voxels.T, volume.affine)`` is the scan again.
    """

    voxels: NDArray[np.float32]
    spacing: tuple[float, float, float]
    affine: NDArray[np.float64]


def load_nifti(path: str | Path) -> Volume:
    """Read one 3-D NIfTI file (.nii, .nii.gz), reoriented to the closest RAS axes, in the unit of the file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not NIfTI, truncated, not 3-D, larger than `LIMIT`, or voxels that are NaN or infinite.
    """
    try:
        image = nib.load(path)
        check_size(path, image.shape)
        if len(image.shape) > 3:
            image = nib.squeeze_image(image)
        if len(image.shape) != 3:
            raise ValueError(f"{path} has shape {image.shape}, expected 3-D; split it with nib.four_to_three first")
        volume = canonical(image)
    except ImageFileError as error:
        raise ValueError(f"{path} is not a NIfTI file: {error}") from error
    except (EOFError, zlib.error, OSError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise ValueError(f"{path} is truncated or damaged ({error}); fetch it again") from error
    bad = volume.voxels.size - np.count_nonzero(np.isfinite(volume.voxels))
    if bad:
        raise ValueError(
            f"{path}: {bad} of {volume.voxels.size} voxels are NaN or infinite; if they lie outside the body, write a "
            "copy with np.nan_to_num(image.get_fdata(), nan=0, posinf=0, neginf=0) and load that"
        )
    return volume


def load_nifti_pair(image: str | Path, mask: str | Path) -> tuple[Volume, NDArray[np.int64]]:
    """Read a scan and its label map: the `Volume` and int64 labels ``(D, H, W)`` on the same grid.

    Raises:
        FileNotFoundError, ValueError: see `load_nifti`; also where shape or affine of the two differ, or where the mask
            holds anything but whole numbers from 0.
    """
    volume, labels = load_nifti(image), load_nifti(mask)
    if volume.voxels.shape != labels.voxels.shape:
        raise ValueError(
            f"image {image} has shape {volume.voxels.shape} (D, H, W) but mask {mask} has {labels.voxels.shape}; "
            "they must lie on one grid: resample the mask (order 0) or find the right one"
        )
    if not np.allclose(volume.affine, labels.affine, atol=0.01):  # mm
        raise ValueError(
            f"image {image} and mask {mask} have the same shape but another affine (origins {volume.affine[:3, 3]} and "
            f"{labels.affine[:3, 3]} mm): the mask may belong to another scan; resample it to the image"
        )
    if labels.voxels.min() < 0 or (labels.voxels != np.rint(labels.voxels)).any():
        raise ValueError(f"mask {mask} must hold whole numbers from 0; it may be a probability map, so threshold it")
    return volume, labels.voxels.astype(np.int64)


def check_size(path: str | Path, shape: tuple[int, ...]) -> None:
    """Raise a ValueError for what is empty or too large by its header, before memory is allocated."""
    needed = 4 * math.prod(int(length) for length in shape)
    if not 0 < needed <= LIMIT:
        raise ValueError(
            f"{path}: shape {tuple(shape)} needs {needed / 2**30:.1f} GiB, allowed are {LIMIT / 2**30:.1f}"
        )


def canonical(image: nib.Nifti1Image) -> Volume:
    """Reorient a NIfTI image to the closest RAS axes, as a `Volume`."""
    image = nib.as_closest_canonical(image)
    voxels = np.ascontiguousarray(image.get_fdata(dtype=np.float32, caching="unchanged").T)
    return Volume(voxels, tuple(float(mm) for mm in nib.affines.voxel_sizes(image.affine)[::-1]), image.affine)
