"""ixi_t1_2mm: healthy brains, T1 at 2 mm, with age, sex and region labels.

SOURCE: one folder with IXI-T1.tar (brain-development.org/ixi-dataset, CC BY-SA 3.0) unpacked, the table IXI.xls saved
as IXI.csv, and the label maps that github.com/CBICA/NiChart_Project holds in its history (test_data/processed/IXI,
DLMUSE: the output of a network). Label maps are found by their hash. T1 is resampled linearly to their grid and stored
as 8 bits with a scale; how ours was resampled is not known, so it may differ from the list.
"""

import csv
from pathlib import Path

import nibabel as nib
import nibabel.processing
import numpy as np
from common import collect, run


def make(source: Path, folder: Path) -> None:
    """Write ``DLMUSE/NAME_DLMUSE.nii.gz``, ``T1/NAME_T1.nii.gz`` and ``participants.csv``."""
    collect(source, folder)
    scans = {path.name.partition("-T1")[0]: path for path in source.rglob("IXI*-T1.nii*")}
    people = {}
    for path in source.rglob("IXI.csv"):
        with path.open(newline="", encoding="utf-8-sig") as file:
            people |= {int(row["IXI_ID"]): row for row in csv.DictReader(file)}
    rows = []
    for labels in sorted((folder / "DLMUSE").glob("*.nii.gz")):
        name = labels.name.removesuffix("_DLMUSE.nii.gz")
        if name not in scans or int(name[3:6]) not in people:
            raise ValueError(f"{source} holds no {name}-T1.nii.gz, or no row {int(name[3:6])} of IXI.csv")
        scan = nib.processing.resample_from_to(nib.load(scans[name]), nib.load(labels), order=1)
        small = nib.Nifti1Image(np.maximum(scan.get_fdata(), 0), scan.affine)
        small.set_data_dtype(np.uint8)  # nibabel stores the scale in the header
        (folder / "T1").mkdir(exist_ok=True)
        nib.save(small, folder / "T1" / f"{name}_T1.nii.gz")
        person = people[int(name[3:6])]
        sex = {"1": "M", "2": "F"}[person["SEX_ID (1=m, 2=f)"]]
        rows.append([name, f"{float(person['AGE']):.2f}", sex])
    with (folder / "participants.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["subject", "age", "sex"], *rows])


if __name__ == "__main__":
    run(make, __file__, __doc__)
