"""Every set of the course by name: `load` one, see which are `available`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medlab.data import medmnist
from medlab.data.draws import check_count, draw_rows
from medlab.data.files import cache_folder, find_path, read_archive
from medlab.data.images import SPLITS, ImageSet, Info
from medlab.data.medmnist import channels_first
from medlab.data.png import load_png_folder
from medlab.data.volumes import load_decathlon, slice_set, volume_set
from medlab.data.xrays import JSRT, MONTGOMERY, load_jsrt, load_montgomery
from medlab.errors import unknown_name_error
from medlab.phantoms.catalog import PHANTOMS

if TYPE_CHECKING:
    import pandas as pd

BCCD_SPLITS = {"train": 934, "val": 388, "test": 313}


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
    if known.sizes is None and not (isinstance(size, int) and size >= 16 and size % 8 == 0):
        raise ValueError(f"{name} has no size {size!r}; sizes: any multiple of 8 from 16")
    if known.sizes is not None and size not in known.sizes:
        raise ValueError(f"{name} has no size {size!r}; sizes: {', '.join(map(str, known.sizes))}")
    if name in PHANTOMS and split is None:
        if patients is not None:
            n = known.images_of(check_count(name, "patients", patients))
        return _generated(name, known.n if n is None else check_count(name, "n", n), size, seed)
    images = _generated(name, known.n, size, seed) if name in PHANTOMS else known.load(size)
    if split is not None:
        images = images.split(seed=seed)[SPLITS.index(split)]
        name = f"{name} ({split})"
    if patients is not None:
        return images.draw_patients(patients, seed=seed)
    return images if n is None else images[draw_rows(name, len(images), n, seed)]


def available() -> "pd.DataFrame":
    """A table of every set that `load` knows, one a row.

    Its columns: name, modality, task, sizes (in pixels), images (of all splits together), classes (how many), license,
    kind ("phantom" or "real"), and here: whether the images are "generated", "cached", or "not cached" yet.
    """
    import pandas as pd  # here, since it takes a fifth of a second to import

    sets = [(_info(name), phantom.sizes, phantom.n, "generated") for name, phantom in PHANTOMS.items()]
    for name in medmnist.SOURCES:
        sizes, counts = medmnist.sizes(name), medmnist.entry(name)["n_samples"]
        cached = any(medmnist.find(name, size) for size in sizes)
        sets.append((medmnist.about(name), sizes, sum(counts.values()), "cached" if cached else "not cached"))
    for real in REAL.values():
        sets.append((real.info, real.sizes, real.images, "cached" if real.find() else "not cached"))
    table = pd.DataFrame([vars(info) | {"sizes": s, "images": n, "here": here} for info, s, n, here in sets])
    table["sizes"] = ["multiples of 8" if sizes is None else ", ".join(map(str, sizes)) for sizes in table["sizes"]]
    table["classes"] = table["classes"].map(len)
    table["kind"] = table["phantom"].map({True: "phantom", False: "real"})
    return table[["name", "modality", "task", "sizes", "images", "classes", "license", "kind", "here"]]


def _info(name: str) -> Info:
    keys = ("modality", "task", "classes", "license", "citation", "unit", "note")
    return Info(name=name, phantom=True, **{key: getattr(PHANTOMS[name], key) for key in keys})


def _generated(name: str, n: int, size: int, seed: int) -> ImageSet:
    return ImageSet(*PHANTOMS[name].make(n, size, seed), _info(name))


@dataclass(frozen=True)
class RealSet:
    """A real set beside MedMNIST.

    Args:
        info: what is known about it.
        size: usual edge length in pixels.
        sizes: all edge lengths; None for any multiple of 8 from 16.
        images: how many.
        read: reads the set in a given size from its path.
        place: its path under `MEDLAB_DATA`.
        contents: what must be found there.
        stand_in: a phantom to use where it is not.
        cached: its path in the cache folder, where `read` downloads it; None for a set that is not downloaded.
    """

    info: Info
    size: int
    sizes: tuple[int, ...] | None
    images: int | str
    read: Callable[[Path, int], ImageSet]
    place: str
    contents: str = ""
    stand_in: str = "lung"
    cached: str | None = None

    def find(self) -> Path | None:
        """Where the set lies, or None."""
        return find_path(self.place, in_cache=self.cached)

    def load(self, size: int) -> ImageSet:
        """Read the set, downloaded where that is possible and needed.

        Raises:
            FileNotFoundError: it is not there and must be put there by hand.
        """
        path = self.find()
        if path is None and self.cached is None:
            raise FileNotFoundError(
                f"{self.info.name} is not downloaded by medlab: set MEDLAB_DATA to a folder that holds "
                f'{self.place}{self.contents}; until then a phantom can stand in, e.g. load("{self.stand_in}")'
            )
        return self.read(path or cache_folder() / self.cached, size)


def _read_hippocampus(folder: Path, size: int) -> ImageSet:
    spacing = None if size >= 48 else 48 / size  # mm: 48 mm hold all of it
    return slice_set(load_decathlon(folder, download=True)[0], HIPPOCAMPUS, size, spacing=spacing)


def _read_hippocampus_volumes(folder: Path, size: int) -> ImageSet:
    shape = (5 * size // 6, size, 2 * size // 3)  # 40 x 48 x 32 mm cut off no labeled voxel of 100 cases
    return volume_set(load_decathlon(folder, download=True)[0], HIPPOCAMPUS_VOLUMES, shape)


def _read_nuclei(folder: Path, size: int) -> ImageSet:
    return load_png_folder(folder / "images", folder / "masks", NUCLEI)


def _read_bccd(file: Path, size: int) -> ImageSet:
    rows = np.arange(sum(BCCD_SPLITS.values()))
    images, targets, published_split = read_archive(file, BCCD_SPLITS, (28, 28, 3), 1, rows)
    pixels = channels_first(images, 3).contiguous().float().div_(255)
    return ImageSet(pixels, targets[:, 0], rows, BCCD, published_split)


HIPPOCAMPUS = Info(
    name="hippocampus",
    modality="MR",
    task="segmentation",
    classes=("background", "anterior", "posterior"),
    license="CC BY-SA 4.0",
    citation="Antonelli et al., Nature Communications 13:4128, 2022; Simpson et al., arXiv:1902.09063, 2019",
    unit="0 = 0.5th, 1 = 99.5th percentile of the case; padding is 0",
    note="Axial slices of crops around one hippocampus, front up, the patient's right on the left. Ids are those of "
    "the crops: some people gave two, and the numbering does not say which.",
)
HIPPOCAMPUS_VOLUMES = replace(
    HIPPOCAMPUS,
    name="hippocampus_volumes",
    note="Crops of 40 x 48 x 32 mm around one hippocampus; slices from the feet up, front up, the patient's right on "
    "the left. Ids are those of the crops: some people gave two, and the numbering does not say which.",
)
NUCLEI = Info(
    name="nuclei",
    modality="fluorescence microscopy",
    task="segmentation",
    classes=("background", "nucleus"),
    license="CC0",
    citation="Caicedo et al., Nature Methods 16:1247-1253, 2019 (BBBC038)",
    unit="0 = pixel value 0, 1 = pixel value 255; many images are very dark",
    note="No patient ids: every image counts as its own patient, though several come from one experiment.",
)
BCCD = Info(
    name="bccd",
    modality="blood smear microscopy",
    task="multi-class",
    classes=("red blood cell", "white blood cell", "platelets"),
    license="MIT",
    citation="Shenggan, BCCD Dataset, 2017 (images and annotations: cosmicad, akshaylamba)",
    unit="0 = pixel value 0, 1 = pixel value 255",
    note="Crops around annotated cells; a few are mislabeled. Every crop counts as its own patient, but no smear is "
    "in two of the official splits.",
)
HIPPOCAMPUS_TASK = "Task04_Hippocampus"
REAL = {
    "hippocampus": RealSet(
        HIPPOCAMPUS, 64, None, "by case", _read_hippocampus, "hippocampus_msd", cached=HIPPOCAMPUS_TASK
    ),
    "hippocampus_volumes": RealSet(
        HIPPOCAMPUS_VOLUMES, 48, (48,), "by case", _read_hippocampus_volumes, "hippocampus_msd", cached=HIPPOCAMPUS_TASK
    ),
    "nuclei": RealSet(NUCLEI, 256, (256,), 60, _read_nuclei, "nuclei_dsb2018", "/images and nuclei_dsb2018/masks"),
    "jsrt": RealSet(JSRT, 400, None, 247, load_jsrt, "jsrt", "/ with the .IMG files and SCR's masks", "chest"),
    "montgomery": RealSet(
        MONTGOMERY, 400, None, 138, load_montgomery, "montgomery", "/ with CXR_png and ManualMask", "chest"
    ),
    "bccd": RealSet(BCCD, 28, (28,), 1635, _read_bccd, "bccd_crops/bccd_crops_28.npz"),
}
