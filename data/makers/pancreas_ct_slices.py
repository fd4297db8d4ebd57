"""pancreas_ct_slices: abdominal CT slices with pancreas masks, 256 x 256 pixels.

SOURCE: Pancreas-CT of TCIA (doi 10.7937/K9/TCIA.2016.tNB1kqBU), license CC BY 3.0: the DICOM files in folders below
PANCREAS_NNNN, and labelNNNN.nii.gz. Labels are stored without their place in the scanner; of the ways to turn
them, the one is taken whose voxels are most often soft tissue (0 to 200 HU). Of every patient of the list four slices
are taken, spread evenly over those with pancreas. Somebody else chose the slices of our folder and stored JPEG:
pictures made here are of the same kind, but none is that of the list. ``SSS`` counts from the feet, from 0.
"""

import csv
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
from common import run, write_slices

from medlab.data import load_dicom_series, load_nifti
from medlab.data.files import hashes

EACH = 4  # slices of a patient
SOFT_TISSUE = 0, 200  # HU


def make(source: Path, folder: Path) -> None:
    """Write ``images/PANCREAS_NNNN-1SSS.png``, ``masks/`` alike, and ``slices.csv``."""
    rows = write_slices(folder, _slices(source), ".png")
    with (folder / "slices.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "patient", "slice", "mask_pixels_512", "mask_pixels_256"])
        writer.writerows([name, *_parts(name), *pixels] for name, *pixels in rows)


def _parts(name: str) -> tuple[str, int]:
    patient, _, number = name.partition("-")
    return patient, int(number) - 1000


def _slices(source: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    series = {path.parent for path in source.rglob("*.dcm")}
    masks = {path.name: path for path in source.rglob("label*.nii*")}
    patients = sorted(
        {_parts(Path(name).stem)[0] for name in hashes("pancreas_ct_slices") if name.startswith("images")}
    )
    for patient in patients:
        folders = [path for path in series if patient in path.parts]
        label = next((path for name, path in masks.items() if name.startswith(f"label{patient[-4:]}.")), None)
        if len(folders) != 1 or label is None:
            print(f"{patient} is left out: {len(folders)} folders of DICOM files, {'a' if label else 'no'} label")
            continue
        voxels, mask = load_dicom_series(folders[0]).voxels, load_nifti(label).voxels > 0
        mask = _turned(voxels, mask, label)
        found = np.flatnonzero(mask.any(axis=(1, 2)))
        for z in found[np.linspace(0, len(found) - 1, EACH + 2).round().astype(int)[1:-1]]:
            yield f"{patient}-{1000 + z}", voxels[z, ::-1, ::-1], mask[z, ::-1, ::-1]


def _turned(voxels: np.ndarray, mask: np.ndarray, label: Path) -> np.ndarray:
    if voxels.shape != mask.shape:
        raise ValueError(f"{label} has shape {mask.shape}, its scan {voxels.shape}: it is the label of another scan")
    low, high = SOFT_TISSUE
    soft = (voxels > low) & (voxels < high)
    ways = [tuple(slice(None, None, step) for step in steps) for steps in product((1, -1), repeat=3)]
    return mask[max(ways, key=lambda way: int(soft[mask[way]].sum()))]


if __name__ == "__main__":
    run(make, __file__, __doc__)
