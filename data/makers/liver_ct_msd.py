"""liver_ct_msd: CT slices with liver masks, 256 x 256 pixels.

SOURCE: Task03_Liver of the Medical Segmentation Decathlon, unpacked (imagesTr, labelsTr, dataset.json); license
CC BY-SA 4.0. Liver and tumors become one mask; 0 to 255 HU become 8 bits. Of every volume five slices are taken, spread
evenly over those with liver. Somebody else chose the slices of our folder, numbered the volumes in another order and
stored JPEG: pictures made here are of the same kind, but none is that of the list. Here ``volNNN`` is the Decathlon's
number.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import run, write_slices

from medlab.data import load_decathlon

EACH = 5  # slices of a volume


def make(source: Path, folder: Path) -> None:
    """Write ``images/volNNN_SSS.jpg``, ``masks/volNNN_SSS.png`` and ``slices.csv``."""
    rows = write_slices(folder, _slices(source), ".jpg")
    with (folder / "slices.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "volume", "slice", "liver_pixels"])
        writer.writerows([name, *name.split("_"), small] for name, _, small in rows)


def _slices(source: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for case in load_decathlon(source)[0]:
        volume, mask = case.load()
        with_liver = np.flatnonzero((mask > 0).any(axis=(1, 2)))
        for z in with_liver[np.linspace(0, len(with_liver) - 1, EACH + 2).round().astype(int)[1:-1]]:
            number = int(case.patient.partition("_")[2])
            yield f"vol{number:03d}_{z:03d}", volume.voxels[z, ::-1, ::-1], mask[z, ::-1, ::-1] > 0


if __name__ == "__main__":
    run(make, __file__, __doc__)
