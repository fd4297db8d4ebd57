"""Readers of DICOM: one image, or a folder of slices as a `Volume`, CT in HU."""

from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from medlab.data.nifti import Volume, canonical, check_size


def load_dicom(path: str | Path) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Read one DICOM image: pixels float32 ``(H, W)`` as stored, row 0 on top, and the (row, column) spacing in mm.

    Rescale slope and intercept are applied: CT comes in HU; images without them (MR, X-ray) keep their stored values.
    The spacing is NaN where the file gives none.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not DICOM, in color or of several frames, truncated, or larger than `LIMIT`.
    """
    dataset = _dicom_header(path)
    spacing = dataset.get("PixelSpacing") or dataset.get("ImagerPixelSpacing") or (np.nan, np.nan)
    return _dicom_pixels(path), (float(spacing[0]), float(spacing[1]))


def load_dicom_series(folder: str | Path) -> Volume:
    """Read a folder of DICOM slices into a volume, sorted by position, rescaled to HU (CT) as in `load_dicom`.

    Files that are not DICOM are skipped. A slice missing at either end leaves no gap and cannot be detected.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: fewer than two slices, several series, slices that differ in geometry, lie at the same position or
            leave a gap, or more than `LIMIT`.
    """
    from pydicom.misc import is_dicom

    paths = [path for path in sorted(Path(folder).iterdir()) if path.is_file() and is_dicom(path)]
    if len(paths) < 2:
        raise ValueError(f"{folder} holds {len(paths)} DICOM files, a series needs two; read one with load_dicom")
    headers = [_dicom_header(path) for path in paths]
    series = Counter(str(header.get("SeriesInstanceUID")) for header in headers)
    if len(series) > 1:
        found = ", ".join(f"{uid} ({count} files)" for uid, count in series.items())
        raise ValueError(f"{folder} holds {len(series)} series: {found}; give each a folder of its own")
    for tag in ("Rows", "Columns", "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient"):
        for path, header in zip(paths, headers):
            if header.get(tag) is None:
                raise ValueError(f"{path} has no {tag}, so its place in the volume is unknown; remove it")
            if tag != "ImagePositionPatient" and not np.allclose(header[tag].value, headers[0][tag].value, atol=1e-4):
                raise ValueError(
                    f"{path}: {tag} differs from that of {paths[0].name}; remove what is not of the series"
                )
    check_size(folder, (len(paths), headers[0].Rows, headers[0].Columns))
    directions = np.array(headers[0].ImageOrientationPatient, float).reshape(2, 3)  # along a row, down a column
    corners = np.array([header.ImagePositionPatient for header in headers], float)
    heights = corners @ np.cross(*directions)
    order = np.argsort(heights)
    paths, corners, heights = [paths[index] for index in order], corners[order], heights[order]
    _check_gaps(folder, [path.name for path in paths], heights)
    affine = np.eye(4)  # from (column, row, slice) to mm left, back, up
    affine[:3, 0] = directions[0] * float(headers[0].PixelSpacing[1])
    affine[:3, 1] = directions[1] * float(headers[0].PixelSpacing[0])
    affine[:3, 2] = (corners[-1] - corners[0]) / (len(paths) - 1)
    affine[:3, 3] = corners[0]
    voxels = np.stack([_dicom_pixels(path) for path in paths])
    return canonical(nib.Nifti1Image(voxels.T, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine))


def _dicom_header(path: str | Path):
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        header = dcmread(path, stop_before_pixels=True)
    except InvalidDicomError as error:
        raise ValueError(f"{path} is not a DICOM file") from error
    if header.get("SamplesPerPixel", 1) != 1 or int(header.get("NumberOfFrames") or 1) != 1:
        raise ValueError(f"{path} is a color or multi-frame image; only single gray images are read here")
    if "Rows" not in header or "Columns" not in header:
        raise ValueError(f"{path} holds no image")
    check_size(path, (header.Rows, header.Columns))
    return header


def _dicom_pixels(path: str | Path) -> NDArray[np.float32]:
    from pydicom import dcmread

    dataset = dcmread(path)
    try:
        stored = dataset.pixel_array.astype(np.float32)
    except (AttributeError, NotImplementedError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path}: the pixels cannot be read, the file may be truncated ({error})") from error
    return stored * float(dataset.get("RescaleSlope") or 1) + float(dataset.get("RescaleIntercept") or 0)


def _check_gaps(folder: str | Path, names: list[str], heights: NDArray[np.float64]) -> None:
    gaps = np.diff(heights)
    if gaps.min() < 0.01:  # mm
        first = gaps.argmin()
        raise ValueError(
            f"{folder}: slices {names[first]} and {names[first + 1]} lie at the same position ({heights[first]:.2f} "
            "mm); a slice is repeated, remove one"
        )
    usual = np.percentile(gaps, 50, method="lower")
    worst = np.abs(gaps - usual).argmax()
    if abs(gaps[worst] - usual) > 0.1 * usual:
        raise ValueError(
            f"{folder}: slices {names[worst]} and {names[worst + 1]} are {gaps[worst]:.2f} mm apart, the others "
            f"{usual:.2f} mm; a slice is missing between them, or one does not belong here"
        )
