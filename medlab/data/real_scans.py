"""Real sets of scans in NIfTI files: which file holds what, for sets of slices and for whole volumes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from medlab.data.images import ImageSet, Info
from medlab.data.listing import Listing
from medlab.data.nifti import Volume, load_nifti
from medlab.data.scans import Scan, list_slices, up_to_percentile
from medlab.data.volumes import load_decathlon, slice_set, volume_set

ENDING = ".nii.gz"
SEQUENCES = ("t1", "t1c", "t2", "fla")  # of `tcga_lgg`, as its files are named
TUMOR_LABELS = (0, 1, 2, 4)
Scans = dict[str, Scan]  # by the name of the case


def read_hippocampus(folder: Path, size: int, info: Info) -> ImageSet:
    """Read Decathlon task 4, downloaded where it is not there, in slices."""
    spacing = None if size >= 48 else 48 / size  # mm: 48 mm hold all of it
    return slice_set(load_decathlon(folder, download=True)[0], info, size, spacing=spacing)


def read_hippocampus_volumes(folder: Path, size: int, info: Info) -> ImageSet:
    """Read Decathlon task 4, downloaded where it is not there, in volumes."""
    shape = (5 * size // 6, size, 2 * size // 3)  # 40 x 48 x 32 mm cut off no labeled voxel of 100 cases
    return volume_set(load_decathlon(folder, download=True)[0], info, shape)


def list_scans(folder: Path, size: int, info: Info, *, cases: Callable[[Path], Scans], field: float, **how) -> Listing:
    """List the axial slices of the `cases` of a folder; `field` and the rest as of `list_slices`."""
    return list_slices(list(cases(folder).values()), info, size, field, **how)


def brain(scan: Scan) -> Volume:
    """Where the label map of a scan shows brain."""
    return load_nifti(scan.labels)  # type: ignore[arg-type]  # every head has them


def bright(scan: Scan) -> Volume:
    """Where the first image of a scan is not dark."""
    volume = load_nifti(scan.images[0])
    return replace(volume, voxels=(up_to_percentile(volume.voxels) > 0.05).astype(np.float32))


def pets(folder: Path) -> Scans:
    """The PET of the sarcomas."""
    return {name: scan for name, scan in _sarcomas(folder).items() if name == scan.patient}


def gliomas(folder: Path) -> Scans:
    """All sequences of a glioma together: ``PATIENT/PATIENT_SEQUENCE.nii.gz``, ``PATIENT/PATIENT_seg_fused.nii.gz``."""
    labels = {path.parent.name: path for path in sorted(folder.glob(f"*/*_seg_fused{ENDING}"))}
    return {
        name: Scan(name, tuple(path.with_name(f"{name}_{sequence}{ENDING}") for sequence in SEQUENCES), path)
        for name, path in labels.items()
    }


def _files(folder: Path, pattern: str = "*") -> dict[str, Path]:
    """The NIfTI files of a pattern by their names."""
    return {path.name.removesuffix(ENDING): path for path in sorted(folder.glob(f"{pattern}{ENDING}"))}


def lungs(folder: Path) -> Scans:
    """The chest CTs: ``PATIENT_SCAN.nii.gz``."""
    return {name: Scan(name.split("_")[0], (path,)) for name, path in _files(folder).items()}


def _hippocampi(folder: Path) -> Scans:
    cases = load_decathlon(folder, download=True)[0]
    return {case.patient: Scan(case.patient, (Path(case.image),), Path(case.mask)) for case in cases}


def maps(folder: Path) -> Scans:
    """The average PET, ``MAP.nii.gz``; the mask beside that of FDG is on another grid and is left out."""
    return {name: Scan(name, (path,)) for name, path in _files(folder).items() if not name.endswith("_mask")}


def _sarcomas(folder: Path) -> Scans:
    """PET goes by the patient, CT and MR by patient and modality."""
    scans = {}
    for path in sorted(folder.glob(f"*/*_image{ENDING}")):
        patient, modality = path.parent.name, path.name.removesuffix(f"_image{ENDING}")
        name = patient if modality == "PET" else f"{patient}_{modality}"
        scans[name] = Scan(patient, (path,), path.with_name(f"{modality}_mask{ENDING}"))
    return scans


def heads(folder: Path) -> Scans:
    """A subject's T1, ``T1/SUBJECT_T1.nii.gz``, with the regions of its brain, ``DLMUSE/SUBJECT_DLMUSE.nii.gz``."""
    scans = {}
    for name, path in _files(folder / "T1").items():
        subject = name.removesuffix("_T1")
        scans[subject] = Scan(subject, (path,), folder / "DLMUSE" / f"{subject}_DLMUSE{ENDING}")
    return scans


def _gliomas(folder: Path) -> Scans:
    """Every sequence is a case, with the label map of its patient."""
    files = _files(folder, "*/*")
    labels = {path.parent: path for name, path in files.items() if name.endswith(("_seg_fused", "_edema"))}
    return {
        name: Scan(path.parent.name, (path,), labels.get(path.parent))
        for name, path in files.items()
        if path not in labels.values()
    }


def _templates(folder: Path) -> Scans:
    return {name.split("_")[2]: Scan(name, (path,)) for name, path in _files(folder, "mni_icbm152_*").items()}


CASES: dict[str, Callable[[Path], Scans]] = {  # the whole scans of a set, for `read_volume`
    "abdomen_ct": lambda folder: {"ct": Scan("ct", (folder / f"ct{ENDING}",), folder / f"organs{ENDING}")},
    "brain_pet_maps": maps,
    "hippocampus": _hippocampi,
    "ixi": heads,
    "lung_ct": lungs,
    "mni152": _templates,
    "sts_pet": _sarcomas,
    "tcga_lgg": _gliomas,
}
