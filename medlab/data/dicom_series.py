"""Reader of a folder of DICOM slices as a `Volume`: one series, on one regular grid, nothing missing or repeated."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import nibabel.processing
import numpy as np
from nibabel.spaces import vox2out_vox
from numpy.typing import NDArray

from medlab.data.dicom import CONVERT, check_image, has_image, numbers, pixel_spacing, read_header, read_pixels, summary
from medlab.data.folders import counted, list_files, told
from medlab.data.nifti import Volume, canonical, check_size

PART_TAGS = (  # what can tell the parts of a 4-D series apart
    "TemporalPositionIdentifier EchoTime EchoNumbers DiffusionBValue InversionTime FlipAngle TriggerTime "
    "NominalCardiacTriggerDelayTime FrameReferenceTime ImageType ConvolutionKernel KVP AcquisitionNumber "
    "DiffusionGradientOrientation AcquisitionTime ContentTime"
).split()
SAME_PLACE = 0.01  # mm
TILT = 0.5  # degrees that are taken for rounding


def load_dicom_series(folder: str | Path, resample: bool = False) -> Volume:
    """Read a folder of DICOM slices into a volume, sorted by position, rescaled to HU (CT) as in `load_dicom`.

    Files without an image and hidden ones are passed over. `Volume.info` says how many, and what else there is to know
    (inverted, not in HU, slices that may be missing); a warning says the same. A slice missing at either end leaves no
    gap and cannot be detected.

    Args:
        folder: the slices of one series.
        resample: bring slices of a tilted gantry to a grid at right angles, linearly. Without it they are refused.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: fewer than two slices, several series, a 4-D series, slices that `load_dicom` refuses, that differ
            in geometry, lie at the same position, leave a gap or are unevenly spaced, a tilted gantry, or more than
            what is allowed.
    """
    from pydicom.misc import is_dicom

    files, _ = list_files(folder)
    found = {path: read_header(path, PART_TAGS) for path in files if is_dicom(path)}
    headers = {path: header for path, header in found.items() if has_image(header)}
    if len(headers) < 2:
        raise ValueError(
            f"{folder} holds {len(headers)} DICOM files with an image, a series needs two; read one with load_dicom"
        )
    series = Counter(str(header.get("SeriesInstanceUID")) for header in headers.values())
    if len(series) > 1:
        listed = ", ".join(f"{uid} ({count} files)" for uid, count in series.items())
        raise ValueError(f"{folder} holds {len(series)} series: {listed}; give each a folder of its own")
    spacing, directions = _geometry(headers)
    corners = np.array([numbers(path, header, "ImagePositionPatient", 3) for path, header in headers.items()])
    heights = corners @ np.cross(*directions)
    order = np.argsort(heights, kind="stable")
    headers = dict(list(headers.items())[index] for index in order)
    paths, corners, heights = list(headers), corners[order], heights[order]
    check_size(folder, (len(paths), headers[paths[0]].Rows, headers[paths[0]].Columns))
    _check_repeats(folder, headers, heights)
    notes = [counted([path for path in files if path not in headers], "without an image passed over")]
    notes.append(_check_spacing(folder, headers, heights))
    tilt = _tilt(folder, corners, directions, spacing.min())
    if tilt and not resample:
        raise ValueError(
            f"{folder}: the gantry was tilted by {tilt:.1f} degrees, so the slices do not lie above each other at "
            "right angles; give resample=True for an upright grid"
        )
    affine = np.eye(4)  # from (column, row, slice) to mm left, back, up
    affine[:3, 0] = directions[0] * spacing[1]
    affine[:3, 1] = directions[1] * spacing[0]
    affine[:3, 2] = (corners[-1] - corners[0]) / (len(paths) - 1)
    affine[:3, 3] = corners[0]
    pixels, said = zip(*map(read_pixels, paths))
    units = {tuple(note for note in each if "HU" in note) for each in said}
    if len(units) > 1:
        raise ValueError(f"{folder}: some slices are in HU and others are not ({units}); they form no one volume")
    image = nib.Nifti1Image(np.stack(pixels).T, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)
    if tilt:
        image = _upright(folder, image)
        notes.append(f"resampled, since the gantry was tilted by {tilt:.1f} degrees")
    return replace(canonical(image), info=told(folder, [*summary(said), *notes]))


def _geometry(headers: dict) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The (row, column) spacing and the unit vectors along a row and down a column, the same in all slices."""
    first = next(iter(headers))
    held: dict[str, NDArray[np.float64]] = {}  # of the first slice
    for tag in ("Rows", "Columns", "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient"):
        count = {"PixelSpacing": 2, "ImageOrientationPatient": 6, "ImagePositionPatient": 3}.get(tag, 1)
        for path, header in headers.items():
            value = numbers(path, header, tag, count)
            if value is None:
                raise ValueError(f"{path} has no {tag}, so its place in the volume is unknown; remove it")
            if tag != "ImagePositionPatient" and not np.allclose(value, held.setdefault(tag, value), atol=1e-4):
                raise ValueError(f"{path}: {tag} differs from that of {first.name}; remove what is not of the series")
    for path, header in headers.items():
        check_image(path, header)
    pixel_spacing(first, headers[first], "PixelSpacing")  # refuses lengths that are not above 0
    directions = held["ImageOrientationPatient"].reshape(2, 3)
    if not np.allclose(directions @ directions.T, np.eye(2), atol=0.01):
        raise ValueError(
            f"{first}: ImageOrientationPatient is {directions.ravel().tolist()}, but must hold two vectors of length 1 "
            "at right angles; repair the tag"
        )
    return held["PixelSpacing"], directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _check_repeats(folder: str | Path, headers: dict, heights: NDArray[np.float64]) -> None:
    places = np.concatenate([[0], np.cumsum(np.diff(heights) >= SAME_PLACE)])
    counts = np.bincount(places)
    if counts.max() == 1:
        return
    values = {tag: [str(header.get(tag)) for header in headers.values()] for tag in PART_TAGS}
    tell = [
        tag
        for tag, held in values.items()
        if len(set(held)) == counts.max() and len(set(zip(places, held))) == len(places)
    ]
    vary = [tag for tag, held in values.items() if len(set(zip(places, held))) > len(counts)]
    if tell or (vary and counts.min() == counts.max()):
        shown = ", ".join(sorted(set(values[tell[0]]), key=lambda text: (len(text), text))[:4]) if tell else ""
        by = f"{tell[0]} ({shown}) tells its parts apart" if tell else f"its parts differ in {', '.join(vary)}"
        raise ValueError(
            f"{folder} is a 4-D series, {len(counts)} positions with up to {counts.max()} slices each: {by}; give each "
            f"part a folder of its own, or {CONVERT}"
        )
    first, names = np.argmax(np.diff(places) == 0), [path.name for path in headers]
    raise ValueError(
        f"{folder}: slices {names[first]} and {names[first + 1]} lie at the same position ({heights[first]:.2f} mm); a "
        "slice is repeated, remove one"
    )


def _check_spacing(folder: str | Path, headers: dict, heights: NDArray[np.float64]) -> str:
    """Refuse a gap or uneven spacing; say where even spacing looks like that of a thinned series."""
    names, gaps = [path.name for path in headers], np.diff(heights)
    found = [numbers(path, header, "InstanceNumber", 1) for path, header in headers.items()]
    numbered = [number for number in found if number is not None]
    steps = np.abs(np.diff(np.ravel(numbered))) if len(numbered) == len(found) else np.zeros(1)
    usual = np.percentile(gaps, 50, method="lower")
    odd = np.abs(gaps - usual) > 0.1 * usual
    if odd.any():
        multiples, worst = gaps[odd] / usual, np.abs(gaps - usual).argmax()
        missing = bool(multiples.min() > 1.5 and (np.abs(multiples / np.rint(multiples) - 1) < 0.1).all())
        if odd.sum() > 1:  # a gap, or another spacing from here on?
            missing = bool(np.ptp(gaps / steps) < 0.1 * usual) if steps.min() > 0 else missing and odd.mean() <= 0.25
        if missing:
            raise ValueError(
                f"{folder}: slices {names[worst]} and {names[worst + 1]} are {gaps[worst]:.2f} mm apart, the others "
                f"{usual:.2f} mm; a slice is missing between them, or one does not belong here"
            )
        raise ValueError(
            f"{folder}: the spacing of the slices varies between {gaps.min():.2f} and {gaps.max():.2f} mm (first at "
            f"{names[odd.argmax()]}); take a part with one spacing, or {CONVERT}"
        )
    path, header = next(iter(headers.items()))
    thick, between = (numbers(path, header, tag, 1) for tag in ("SliceThickness", "SpacingBetweenSlices"))
    told = []
    if steps.min() > 1.5 and np.ptp(steps) == 0:
        told.append(f"InstanceNumber counts by {steps[0]:.0f}")
    deliberate = between is not None and abs(abs(between[0]) - usual) < 0.1 * usual
    if thick is not None and 0 < 1.5 * thick[0] < usual and not deliberate:
        told.append(f"SliceThickness is {thick[0]:.2f} mm")
    return f"slices may be missing: they are {usual:.2f} mm apart, but {' and '.join(told)}" if told else ""


def _tilt(folder: str | Path, corners: NDArray, directions: NDArray, pixel: float) -> float:
    """Degrees between the direction in which slices are stacked and their normal; 0 for what is rounding."""
    steps = corners - corners[0]
    sideways, along = steps @ directions.T, steps @ np.cross(*directions)  # mm, in the plane and across it
    drift = np.linalg.norm(sideways[-1])
    strays = np.linalg.norm(sideways - np.outer(along / along[-1], sideways[-1]), axis=1).max()
    if strays > max(0.25 * pixel, 0.1):
        raise ValueError(
            f"{folder}: slices are shifted sideways against each other by up to {strays:.2f} mm, so they form no grid; "
            "remove what is not of the series"
        )
    degrees = float(np.rad2deg(np.arctan2(drift, along[-1])))
    return degrees if degrees > TILT and drift > 0.1 * pixel else 0.0


def _upright(folder: str | Path, image: nib.Nifti1Image) -> nib.Nifti1Image:
    """Resample a sheared grid to one along the axes of the body, with its spacings; outside is its lowest value."""
    image = nib.as_closest_canonical(image)
    sides = nib.affines.voxel_sizes(image.affine)
    check_size(folder, vox2out_vox(image, sides)[0])
    return nib.processing.resample_to_output(image, sides, order=1, cval=float(image.get_fdata().min()))
