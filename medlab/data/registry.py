"""Every set of the course by name: `load` one, `read_volume` of one, see which are `available`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medlab.data import medmnist
from medlab.data.draws import check_count, draw_rows
from medlab.data.images import SPLITS, ImageSet, Info
from medlab.data.listing import Listing
from medlab.data.nifti import Volume, load_nifti, load_nifti_pair
from medlab.data.real_scans import CASES
from medlab.data.real_sets import REAL, locate, make_info
from medlab.errors import unknown_name_error, whole_number
from medlab.phantoms.catalog import PHANTOMS, Phantom

if TYPE_CHECKING:
    import pandas as pd

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"
APART = 10**9  # between the ids of patients of two seeds: another seed generates other people


def load(
    name: str,
    split: str | None = None,
    size: int | None = None,
    patients: int | None = None,
    n: int | None = None,
    seed: int = 0,
) -> ImageSet:
    """Load a set by name; `available` lists the names.

    Args:
        name: a phantom ("lung"), a MedMNIST set ("pneumoniamnist"), or another real set ("hippocampus").
        split: "train", "val" or "test": the publisher's, else the patient-wise ``ImageSet.split(seed=seed)``.
        size: edge length in pixels, one of those the set offers; None for its usual one.
        patients: all images of that many patients. They are drawn by `seed` with their classes spread evenly, and kept
            in order; a phantom without `split` generates as many as asked for.
        n: in place of `patients`, that many images, drawn by `seed` and kept in order. A phantom without `split`
            generates as many as asked for, so its last patient may have fewer images than the others.
        seed: generates a phantom, draws the split, the patients and the images. Load all splits of a set with one seed.

    Returns:
        Images ``(N, C, H, W)`` or ``(N, C, D, H, W)`` in [0, 1], see `ImageSet`.

    Raises:
        ValueError: unknown name or split, a size that is not offered, `patients` or `n` below 1 or above what there is,
            both of them, a wrong hash, a damaged file.
        FileNotFoundError: a real set that must be put under `MEDLAB_DATA` by hand.
        ConnectionError, OSError: no network; the cache cannot be written or its disk is full.
    """
    names = (*PHANTOMS, *medmnist.SOURCES, *REAL)
    if name not in names:
        raise unknown_name_error("set", name, names)
    if split is not None and split not in SPLITS:
        raise unknown_name_error("split", split, SPLITS)
    whole_number("seed", seed, 0)
    if patients is not None and n is not None:
        raise ValueError(
            f"{name}: both patients = {patients!r} and n = {n!r} are given; give `patients` for all images of that "
            "many patients, or `n` for that many images"
        )
    if name in medmnist.SOURCES:
        images = medmnist.load(name, split, 28 if size is None else size, n, seed)
        return images if patients is None else images.draw_patients(patients, seed=seed)
    known = PHANTOMS[name] if name in PHANTOMS else REAL[name]
    size = known.size if size is None else size
    if not isinstance(size, int) or (size not in known.sizes if known.sizes else size < 16 or size % 8):
        raise ValueError(f"{name} has no size {size!r}; sizes: {sizes_text(known.sizes)}")
    if isinstance(known, Phantom) and split is None:
        if patients is not None:
            n = known.images_of(check_count(name, "patients", patients))
        return _generated(name, known.n if n is None else check_count(name, "n", n), size, seed)
    images = _generated(name, known.n, size, seed) if isinstance(known, Phantom) else known.load(size)
    if split is not None:
        images = images.split(seed=seed)[SPLITS.index(split)]
        name = f"{name} ({split})"
    if patients is not None:
        images = images.draw_patients(patients, seed=seed)
    elif n is not None:
        images = images[draw_rows(name, len(images), n, seed)]
    return images.read() if isinstance(images, Listing) else images


def read_volume(name: str, case: str) -> tuple[Volume, NDArray[np.int64] | None]:
    """Read one scan in its own units (HU, SUV, the scanner's numbers), with the affine of its grid.

    Args:
        name: "abdomen_ct", "brain_pet_maps", "hippocampus", "ixi", "lung_ct", "mni152", "sts_pet" or "tcga_lgg".
        case: a patient of ``load(name)`` where that names one scan; else the name of its file. An unknown one, such as
            "", is answered by the list of all. "sample" is the coarse scan that comes with the course, of "lung_ct".

    Returns:
        The `Volume`, and its label map ``(D, H, W)`` with the labels of its file; None where there is none.

    Raises:
        ValueError: unknown name or case; a damaged file.
        FileNotFoundError, ConnectionError, OSError: see `load`.
    """
    if name not in CASES:
        raise unknown_name_error("set of volumes", name, CASES)
    if case == "sample" and (path := SAMPLES / f"{name}.nii.gz").exists():
        return load_nifti(path), None
    cases = CASES[name](REAL[name].locate() if name in REAL else locate(name, name))
    if case not in cases:
        raise unknown_name_error(f"case of {name}", case, cases)
    (image, *_), labels = cases[case].images, cases[case].labels
    return (load_nifti(image), None) if labels is None else load_nifti_pair(image, labels)


def available() -> "pd.DataFrame":
    """A table of every set that `load` knows, one a row.

    Its columns: name, modality, task, sizes (in pixels), images (of all splits together), classes (how many), license,
    kind ("phantom" or "real"), and here: whether the images are "generated", "cached", or "not cached" yet.
    """
    import pandas as pd  # here, since it takes a fifth of a second to import

    sets: list[tuple] = [(info_of(name), phantom.sizes, phantom.n, "generated") for name, phantom in PHANTOMS.items()]
    for name in medmnist.SOURCES:
        sizes, counts = medmnist.sizes(name), medmnist.entry(name)["n_samples"]
        cached = any(medmnist.find(name, size) for size in sizes)
        sets.append((medmnist.about(name), sizes, sum(counts.values()), "cached" if cached else "not cached"))
    for real in REAL.values():
        sets.append((real.info, real.sizes, real.images, "cached" if real.find() else "not cached"))
    table = pd.DataFrame([vars(info) | {"sizes": s, "images": n, "here": here} for info, s, n, here in sets])
    table["sizes"] = table["sizes"].map(sizes_text)
    table["classes"] = table["classes"].map(len)
    table["kind"] = table["phantom"].map({True: "phantom", False: "real"})
    return table[["name", "modality", "task", "sizes", "images", "classes", "license", "kind", "here"]]


def sizes_text(sizes: Sequence[int] | None) -> str:
    """Edge lengths in words: "28, 64", "multiples of 8 from 16 to 256"; None is any multiple of 8 from 16."""
    if sizes is None:
        return "any multiple of 8 from 16"
    if isinstance(sizes, range):
        return f"multiples of {sizes.step} from {sizes[0]} to {sizes[-1]}"
    return ", ".join(map(str, sizes))


def info_of(name: str) -> Info:
    """What is known about a set, before it is loaded."""
    if name in medmnist.SOURCES:
        return medmnist.about(name)
    if name in REAL:
        return REAL[name].info
    return make_info(name, vars(PHANTOMS[name]), phantom=True)


def _generated(name: str, n: int, size: int, seed: int) -> ImageSet:
    images, targets, patients = PHANTOMS[name].make(n, size, seed)
    return ImageSet(images, targets, patients + APART * (seed % 2**32), info_of(name))
