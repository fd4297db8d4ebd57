"""Whole scans of the real sets, by name and case, in their own units."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medlab.data.nifti import Volume, load_nifti, load_nifti_pair
from medlab.data.real_scans import ENDING, region_labels, stem
from medlab.data.real_sets import REAL, locate
from medlab.data.volumes import load_decathlon
from medlab.errors import unknown_name_error

Cases = dict[str, tuple[Path, Path | None]]


def read_volume(name: str, case: str) -> tuple[Volume, NDArray[np.int64] | None]:
    """Read one scan in its own units (HU, SUV, the scanner's numbers), with the affine of its grid.

    Args:
        name: "abdomen_ct", "brain_pet_maps", "hippocampus", "ixi", "lung_ct", "mni152", "sts_pet" or "tcga_lgg".
        case: a patient of ``load(name)`` where that names one scan; else the name of its file. An unknown one, such as
            "", is answered by the list of all.

    Returns:
        The `Volume`, and its label map ``(D, H, W)`` with the labels of its file; None where there is none.

    Raises:
        ValueError: unknown name or case; a damaged file.
        FileNotFoundError, ConnectionError, OSError: see `load`.
    """
    if name not in CASES:
        raise unknown_name_error("set of volumes", name, CASES)
    cases = CASES[name](REAL[name].locate() if name in REAL else locate(name, name))
    if case not in cases:
        raise unknown_name_error(f"case of {name}", case, cases)
    image, labels = cases[case]
    return (load_nifti(image), None) if labels is None else load_nifti_pair(image, labels)


def _files(folder: Path, pattern: str = "*") -> Cases:
    return {stem(path): (path, None) for path in sorted(folder.glob(f"{pattern}{ENDING}"))}


def _hippocampus(folder: Path) -> Cases:
    return {case.patient: (case.image, case.mask) for case in load_decathlon(folder, download=True)[0]}


def _brain_pet_maps(folder: Path) -> Cases:
    """The maps; the mask beside that of FDG is on another grid and is left out."""
    return {name: files for name, files in _files(folder).items() if not name.endswith("_mask")}


def _sts_pet(folder: Path) -> Cases:
    """PET goes by the patient, CT and MR by patient and modality."""
    cases = {}
    for path in sorted(folder.glob(f"*/*_image{ENDING}")):
        modality = stem(path).removesuffix("_image")
        name = path.parent.name if modality == "PET" else f"{path.parent.name}_{modality}"
        cases[name] = path, path.with_name(f"{modality}_mask{ENDING}")
    return cases


def _ixi(folder: Path) -> Cases:
    return {name[:-3]: (path, region_labels(path)) for name, (path, _) in _files(folder / "T1").items()}


def _tcga_lgg(folder: Path) -> Cases:
    files = _files(folder, "*/*")
    labels = {path.parent: path for name, (path, _) in files.items() if name.endswith(("_seg_fused", "_edema"))}
    return {name: (path, labels.get(path.parent)) for name, (path, _) in files.items() if path not in labels.values()}


CASES: dict[str, Callable[[Path], Cases]] = {
    "abdomen_ct": lambda folder: {"ct": (folder / f"ct{ENDING}", folder / f"organs{ENDING}")},
    "brain_pet_maps": _brain_pet_maps,
    "hippocampus": _hippocampus,
    "ixi": _ixi,
    "lung_ct": _files,
    "mni152": lambda folder: {path.name.split("_")[2]: (path, None) for path in folder.glob(f"mni_icbm152_*{ENDING}")},
    "sts_pet": _sts_pet,
    "tcga_lgg": _tcga_lgg,
}
