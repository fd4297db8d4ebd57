"""sts_pet_ct_mr: FDG-PET, CT and T1 MR of soft-tissue sarcomas with tumor masks.

SOURCE: github.com/theibsi/data_sets, folder ibsi_validation/nifti (STS_NNN/...); license CC BY 3.0. The files of our
folder are those of the publisher, found by their hash; which modality and part a file is, the list says.
"""

import csv
from pathlib import Path

import nibabel as nib
import numpy as np
from common import collect, run

HEADER = ["patient", "modality", "shape", "zooms_mm", "min", "max", "tumour_voxels", "tumour_mean"]


def make(source: Path, folder: Path) -> None:
    """Write ``STS_NNN/MODALITY_image.nii.gz`` and ``_mask.nii.gz``, and ``volumes.csv``."""
    collect(source, folder)
    rows = []
    for modality in ("PET", "CT", "MR_T1"):
        for path in folder.glob(f"*/{modality}_image.nii.gz"):
            image = nib.load(path)
            values = image.get_fdata()
            mask = nib.load(path.with_name(f"{modality}_mask.nii.gz")).get_fdata() > 0
            shape, zooms = "x".join(map(str, image.shape)), "x".join(f"{mm:.2f}" for mm in image.header.get_zooms())
            numbers = [round(float(value), 3) for value in (values.min(), values.max(), values[mask].mean())]
            rows.append([path.parent.name, modality, shape, zooms, *numbers[:2], np.count_nonzero(mask), numbers[2]])
    with (folder / "volumes.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *sorted(rows, key=lambda row: row[0])])


if __name__ == "__main__":
    run(make, __file__, __doc__)
