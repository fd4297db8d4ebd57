"""Volumes, and readers of NIfTI files.

Every `Volume` is stored the same way, whatever the file says: axis 0 (D) runs from the feet to the head, axis 1 (H)
from the back to the front, axis 2 (W) from the patient's left to the right (RAS+, read backwards). Any plane shows
upright with ``plt.imshow(plane, origin="lower")``.
"""

import math
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from medlab.data.files import damage
from medlab.limits import excess

DEFLATE = 1032  # times: the most that its compression can do
MM = {"meter": 1000.0, "micron": 0.001}  # mm in the units of length of NIfTI; "unknown" is taken for mm
SHEAR = 0.5  # degrees that are taken for rounding


@dataclass(frozen=True, eq=False)
class Grid:
    """Where an image of a set lies: `affine` ``(4, 4)`` maps ``(w, h, d, 1)`` of its array to mm right, front, up.

    In a slice d is 0, and a step of d leads to the next slice. `source` is the grid of the file that it was read from,
    ``(shape, affine)`` as nibabel reads it.
    """

    affine: NDArray[np.float64]
    source: tuple[tuple[int, ...], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Volume:
    """A scan on its grid: `voxels` float32 ``(D, H, W)``, `spacing` in mm for D, H, W, and `affine` ``(4, 4)``.

    `affine` maps ``(w, h, d, 1)`` to mm right, front, up, in the order of nibabel, so that
    ``nib.Nifti1Image(volume.voxels.T, volume.affine)`` is the scan again. `info` says what reading changed or left out;
    `source` is the grid of the file, ``(shape, affine)`` as nibabel reads it, for the way back by `to_nifti`.
    """

    voxels: NDArray[np.float32] = field(repr=False)
    spacing: tuple[float, float, float]
    affine: NDArray[np.float64]
    info: str = ""
    source: tuple[tuple[int, ...], NDArray[np.float64]] | None = None


def load_nifti(path: str | Path) -> Volume:
    """Read one 3-D scan from a NIfTI file (.nii, .nii.gz), reoriented to the closest RAS axes; its values as they are.

    The affine comes in mm, also from files in meters or micrometers. For label maps take `load_nifti_labels`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not NIfTI, truncated, not 3-D, in color or complex, larger than allowed, an affine that is sheared
            or no grid, or voxels that are NaN or infinite.
    """
    with damage(path, ImageFileError, HeaderDataError, zlib.error):
        image, info = _open(path)
        volume = replace(canonical(image), info=info)
    bad = volume.voxels.size - np.count_nonzero(np.isfinite(volume.voxels))
    if bad:
        raise ValueError(
            f"{path}: {bad} of {volume.voxels.size} voxels are NaN or infinite; if they lie outside the body, write a "
            "copy with np.nan_to_num(image.get_fdata(), nan=0, posinf=0, neginf=0) and load that"
        )
    return volume


def load_nifti_labels(path: str | Path) -> tuple[NDArray, NDArray[np.float64]]:
    """Read a label map from a NIfTI file: labels ``(D, H, W)``, oriented as in `load_nifti`, and the affine in mm.

    Labels keep the integer type of the file. Those stored as fractions become int64, rounded where all of them lie
    within 0.05 of whole numbers.

    Raises:
        FileNotFoundError: no such file.
        ValueError: see `load_nifti`; also anything but whole numbers from 0, or numbers that the file's floating-point
            type cannot tell apart.
    """
    with damage(path, ImageFileError, HeaderDataError, zlib.error):
        image = nib.as_closest_canonical(_open(path)[0])
        labels = np.ascontiguousarray(np.asanyarray(image.dataobj).T)
    if labels.dtype.kind not in "iub":
        if not np.isfinite(labels).all():
            raise ValueError(f"mask {path} holds NaN or infinite values; write a copy with a label for them")
        exact = 2 ** (np.finfo(image.get_data_dtype()).nmant + 1) if image.get_data_dtype().kind == "f" else 2**53
        low, high, whole = labels.min(), labels.max(), np.rint(labels)
        if np.abs(labels - whole).max() > 0.05:
            advice = (
                "it may be a probability map, so threshold it"
                if low >= 0 and high <= 1
                else "values between labels come from interpolation: resample the label map again with order 0"
            )
            raise ValueError(f"mask {path} must hold whole numbers from 0; {advice}")
        if high > exact:
            raise ValueError(
                f"mask {path} holds labels up to {high:.0f} as {image.get_data_dtype()}, which merges labels above "
                f"{exact}; get it in its own integer type"
            )
        labels = whole.astype(np.int64)
    if labels.min() < 0:
        raise ValueError(
            f"mask {path} must hold whole numbers from 0, the lowest is {labels.min()}; give that label a number"
        )
    return labels, image.affine


def load_nifti_pair(image: str | Path, mask: str | Path) -> tuple[Volume, NDArray[np.int64]]:
    """Read a scan and its label map: the `Volume` and int64 labels ``(D, H, W)`` on the same grid.

    Raises:
        FileNotFoundError, ValueError: see `load_nifti` and `load_nifti_labels`; also where shape or affine of the two
            differ, or where a label does not fit into int64.
    """
    volume, (labels, affine) = load_nifti(image), load_nifti_labels(mask)
    if volume.voxels.shape != labels.shape:
        raise ValueError(
            f"image {image} has shape {volume.voxels.shape} (D, H, W) but mask {mask} has {labels.shape}; "
            "they must lie on one grid: resample the mask (order 0) or find the right one"
        )
    if not np.allclose(volume.affine, affine, atol=0.01):  # mm
        raise ValueError(
            f"image {image} and mask {mask} have the same shape but another affine (origins {volume.affine[:3, 3]} and "
            f"{affine[:3, 3]} mm): the mask may belong to another scan; resample it to the image"
        )
    if labels.dtype == np.uint64 and labels.max() > np.iinfo(np.int64).max:
        raise ValueError(f"mask {mask} holds the label {labels.max()}, more than int64 does; give it a smaller number")
    return volume, labels.astype(np.int64)


def check_size(path: str | Path, shape: tuple[int, ...]) -> None:
    """Raise a ValueError for what is empty or too large by its header, before memory is allocated."""
    needed = 4 * math.prod(int(length) for length in shape)
    if needed <= 0:
        raise ValueError(f"{path}: shape {tuple(shape)} is empty")
    if more := excess("volume_bytes", needed):
        raise ValueError(f"{path}: shape {tuple(shape)} needs {needed:,} bytes, {more}")


def canonical(image: nib.Nifti1Pair) -> Volume:
    """Reorient a NIfTI image to the closest RAS axes, as a `Volume`."""
    source = image.shape, image.affine
    image = nib.as_closest_canonical(image)
    voxels = np.ascontiguousarray(image.get_fdata(dtype=np.float32, caching="unchanged").T)
    x, y, z = (float(mm) for mm in nib.affines.voxel_sizes(image.affine))
    return Volume(voxels, (z, y, x), image.affine, source=source)


def read_grid(path: str | Path) -> tuple[tuple[int, ...], NDArray[np.float64]]:
    """The shape (W, H, D) and the affine of a scan as `load_nifti` would give it; its voxels are not read.

    Raises:
        FileNotFoundError, ValueError: see `load_nifti`.
    """
    with damage(path, ImageFileError, HeaderDataError, zlib.error):
        image, _ = _open(path)
    turn = nib.io_orientation(image.affine)
    shape = tuple(image.shape[axis] for axis in turn[:, 0].argsort())
    return shape, image.affine @ nib.orientations.inv_ornt_aff(turn, image.shape)


def _open(path: str | Path) -> tuple[nib.Nifti1Pair, str]:
    """A 3-D image of numbers, its voxels not read yet and its affine in mm, and what was done for that."""
    try:
        image = nib.load(path)
    except ValueError as error:  # such as NaN where the voxels begin
        raise ValueError(f"{path}: the header is damaged ({error}); get the file again") from error
    if not isinstance(image, nib.Nifti1Pair):
        raise ValueError(f"{path} is not a NIfTI file but of {type(image).__name__}; convert it to .nii.gz first")
    with image.file_map.get("header", image.file_map["image"]).get_prepare_fileobj("rb") as file:
        stored = type(image.header).from_fileobj(file, check=False)  # that of the image has lost its scaling
    for name in ("scl_slope", "scl_inter"):
        if np.isinf(stored[name]):
            raise ValueError(f"{path}: its {name} is {stored[name]}; repair the header")
    check_size(path, image.shape)
    _check_promise(path, image)
    if len(image.shape) > 3:
        image = nib.squeeze_image(image)
    if len(image.shape) != 3:
        advice = {
            2: "it is a single slice: stack the slices of the scan into one volume",
            4: "split it with nib.four_to_three first",
        }
        more = "take one scan of it first, such as image.slicer[..., 0, 0]"
        raise ValueError(f"{path} has shape {image.shape}, expected 3-D; {advice.get(len(image.shape), more)}")
    dtype = image.get_data_dtype()
    if dtype.kind not in "biuf":
        kind = "complex numbers" if dtype.kind == "c" else f"colors ({', '.join(dtype.names or [str(dtype)])})"
        raise ValueError(f"{path} holds {kind}, expected one number a voxel; write a copy with one channel of it")
    try:
        unit = image.header.get_xyzt_units()[0]
    except KeyError as error:
        raise ValueError(f"{path}: the code of its unit of length is unknown ({error}); set xyzt_units") from error
    factor = MM.get(unit, 1.0)
    affine = np.diag([factor, factor, factor, 1.0]) @ image.affine
    _check_affine(path, affine)
    info = [f"converted from {unit} to mm"] if factor != 1 else []
    if not (image.header["sform_code"] or image.header["qform_code"]):
        info.append("sform_code and qform_code are 0, so left and right are a guess")
    header = image.header.copy()
    header.set_xyzt_units("mm")
    return type(image)(image.dataobj, affine, header), "; ".join(info)


def _check_promise(path: str | Path, image: nib.Nifti1Pair) -> None:
    """Refuse a header that promises more voxels than its file can hold, before memory is allocated for them."""
    file = Path(image.file_map["image"].filename or path)
    promised = math.prod(image.shape) * image.get_data_dtype().itemsize
    most = file.stat().st_size * {".gz": DEFLATE, ".bz2": math.inf}.get(file.suffix, 1)
    if promised > most:
        raise ValueError(
            f"{path} is truncated or damaged: its header promises {promised:,} bytes of voxels, and its "
            f"{file.stat().st_size:,} bytes hold less; get it again"
        )


def _check_affine(path: str | Path, affine: NDArray[np.float64]) -> None:
    sides = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or sides.min() == 0:
        raise ValueError(f"{path}: its affine is no grid (voxels of {sides} mm); repair sform, qform or pixdim")
    axes = affine[:3, :3] / sides
    shear = float(np.rad2deg(np.arcsin(min(np.abs(axes.T @ axes - np.eye(3)).max(), 1))))
    if shear > SHEAR:
        raise ValueError(
            f"{path}: its grid is sheared by {shear:.1f} degrees (a tilted gantry?); resample it first: "
            "nibabel.processing.resample_to_output(image, nibabel.affines.voxel_sizes(image.affine)), and labels with "
            "order=0"
        )
