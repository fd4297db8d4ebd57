"""Make data/samples and its README from the sets under MEDLAB_DATA: real images that every student sees at once.

Of each class, or of each patient, a few images are taken, evenly spaced in the order of the set; of label maps those
that show something. Running it twice gives the same files.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.processing import resample_to_output

from medlab.data import load, read_volume
from medlab.data.images import ImageSet
from medlab.data.registry import info_of
from medlab.data.samples import MASKS, SAMPLES

VOLUME = "LIDC-IDRI-0314_3mm"  # the scan of which a coarse copy is kept, too
LIMIT = 8 * 2**20  # bytes of all samples together


@dataclass(frozen=True)
class Sample:
    """What of a set is taken: `each` images of every class or patient (`by`) at an edge length of `size` pixels."""

    name: str
    size: int
    by: str
    each: int
    source: str
    left_out: str
    patients: int | None = None


PLAN = (
    Sample("isic2017", 64, "class", 66, "challenge.isic-archive.com/data, ISIC 2017", "age and sex"),
    Sample("nih_chestxray", 64, "class", 100, "nihcc.app.box.com/v/ChestXray-NIHCC", "all other findings"),
    Sample("pneumoniamnist", 28, "class", 150, "medmnist.com", "larger sizes"),
    Sample("retinamnist", 28, "class", 16, "medmnist.com", "larger sizes"),
    Sample("vesselmnist3d", 28, "class", 24, "medmnist.com", "larger sizes"),
    Sample("mednist", 64, "class", 50, "github.com/Project-MONAI/MONAI-extra-test-data", ""),
    Sample("hippocampus", 64, "patient", 6, "medicaldecathlon.com, Task04", "other cases and slices", 20),
    Sample("hippocampus_volumes", 48, "patient", 1, "medicaldecathlon.com, Task04", "other cases", 12),
    Sample("liver_ct", 128, "patient", 1, "medicaldecathlon.com, Task03", "HU outside 0 to 255", 60),
    Sample("pancreas_ct", 128, "patient", 1, "doi 10.7937/K9/TCIA.2016.tNB1kqBU", "HU outside 0 to 255"),
    Sample("lung_ct_patches", 48, "patient", 5, "medicaldecathlon.com, Task06", ""),
    Sample("lung_ct", 128, "patient", 8, "doi 10.7937/K9/TCIA.2015.LO9QL9SX, 10.7937/TCIA.2020.NNC2-0461", "boxes"),
    Sample("sts_pet", 64, "patient", 3, "doi 10.7937/K9/TCIA.2015.7GO2GSKS, github.com/theibsi/data_sets", "CT and MR"),
    Sample("brain_pet_maps", 112, "patient", 6, "github.com/DlutMedimgGroup, github.com/juryxy/JuSpace", ""),
    Sample("brain_tumor_t1", 96, "class", 32, "doi 10.6084/m9.figshare.1512427.v5", "boxes"),
    Sample("ixi", 96, "patient", 2, "brain-development.org/ixi-dataset", "region labels, age and sex"),
    Sample("tcga_lgg", 120, "patient", 6, "doi 10.7937/K9/TCIA.2016.L4LTD3TK, github.com/BrainLesion/tutorials", ""),
)


def choose(images: ImageSet, by: str, each: int) -> np.ndarray:
    """Positions of `each` images of every class or patient, evenly spaced; with labels, of those that show one."""
    groups = images.targets.numpy() if by == "class" else images.patients
    shown = np.ones(len(images), bool)
    if images.info.task == "segmentation":
        shown = images.targets.flatten(1).any(1).numpy()
    chosen = []
    for group in np.unique(groups):
        where = np.flatnonzero((groups == group) & shown)
        chosen += where[np.unique(((np.arange(each) + 0.5) * len(where) / each).astype(int))].tolist()
    return np.sort(chosen)


def make(sample: Sample, folder: Path) -> Path:
    """Write the sample of one set: images as bytes, targets, patients, and the publisher's split where there is one."""
    whole = load(sample.name, size=sample.size)
    images = whole if sample.patients is None else whole.draw_patients(sample.patients)
    rows = choose(images, sample.by, sample.each)
    some = images[rows]
    arrays = {
        "images": (some.images * 255).round().byte().numpy(),
        "targets": some.targets.numpy().astype(np.uint8),
        "patients": some.patients.astype(str),
        "total": np.array(len(whole)),
    }
    if some.published_split is not None:
        arrays["split"] = some.published_split.astype(str)
    for masks, other in MASKS.items():
        if other == sample.name:
            arrays["masks"] = load(masks, size=sample.size)[rows].targets.numpy()
    np.savez_compressed(folder / f"{sample.name}.npz", **arrays)
    return folder / f"{sample.name}.npz"


def make_volume(folder: Path) -> Path:
    """Write one chest CT in voxels of 4 mm, in steps of 8 HU from -1000 to 1016: enough for a picture of all of it."""
    scan, _ = read_volume("lung_ct", VOLUME)
    coarse = resample_to_output(nib.Nifti1Image(scan.voxels.T, scan.affine), (4, 4, 4), order=1, cval=-1000)
    image = nib.Nifti1Image((coarse.get_fdata() / 8).round().clip(-125, 127).astype(np.int8), coarse.affine)
    image.header.set_slope_inter(8, 0)
    nib.save(image, folder / "lung_ct.nii.gz")
    return folder / "lung_ct.nii.gz"


def readme(folder: Path) -> str:
    """The text of the README of the samples that lie in `folder`."""
    lines = []
    for sample in PLAN:
        info = info_of(sample.name)
        with np.load(folder / f"{sample.name}.npz", allow_pickle=False) as file:
            n, shape, total = len(file["images"]), "x".join(map(str, file["images"].shape[2:])), int(file["total"])
        left_out = f"{total - n} of {total} images" + (f", {sample.left_out}" if sample.left_out else "")
        if sample.by == "class":
            left_out += f"; {sample.each} of each class, not in the set's proportions"
        size = (folder / f"{sample.name}.npz").stat().st_size / 1000
        lines.append(f"| `{sample.name}` | {n} | {shape} | {size:.0f} kB | {info.license} | {left_out} |")
    cited = [
        f"- `{sample.name}` ({sample.source}): {info_of(sample.name).citation}. {info_of(sample.name).note}"
        for sample in PLAN
    ]
    return HEAD + "\n".join(lines) + MIDDLE + "\n".join(cited) + "\n"


HEAD = """# Samples: a taste of real images

A few real images of public sets, small enough to come with the course: `medlab.data.load_sample("isic2017")`. They
are there to be looked at and to try code on. They were not drawn at random, so nothing is claimed from them: claims are
tested on the sets that `load` gives.

Each file keeps the license of its set. Changes: images were chosen, resized to the size below, and stored as 8 bits;
where the set had been changed before, its note says so. `isic2017` holds the masks, too:
`load_sample("isic2017_masks")`. `lung_ct.nii.gz` is one chest CT (LIDC-IDRI-0314, CC BY 3.0) in voxels of 4 mm:
`read_volume("lung_ct", "sample")`. Nothing here is for clinical use.

This page and the files are made by `data/makers/samples.py` from the sets under `MEDLAB_DATA`. Those are parts of the
published sets themselves; the table counts images of these parts.

| sample | images | pixels | file | license | what was left out |
| --- | --- | --- | --- | --- | --- |
"""
MIDDLE = """

## Sources, what to cite, and what cannot be excluded

"""


def main() -> None:
    """Make the samples that are named, or all of them, and the README of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="samples to make; none for all")
    names = parser.parse_args().names
    SAMPLES.mkdir(exist_ok=True)
    for sample in PLAN:
        if not names or sample.name in names:
            path = make(sample, SAMPLES)
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
    if not names or "lung_ct" in names:
        make_volume(SAMPLES)
    (SAMPLES / "README.md").write_text(readme(SAMPLES), encoding="utf-8")
    total = sum(path.stat().st_size for path in SAMPLES.iterdir())
    print(f"{total / 2**20:.2f} MiB of {LIMIT / 2**20:.0f}")
    if total > LIMIT:
        raise SystemExit("the samples are too large together: take fewer images")


if __name__ == "__main__":
    main()
