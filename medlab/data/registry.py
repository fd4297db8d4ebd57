"""Every set of the course by name: `load` one, see which are `available`."""

import html
from collections.abc import Callable
from dataclasses import astuple, dataclass, fields, replace
from importlib import import_module
from pathlib import Path

import numpy as np

from medlab.data import medmnist
from medlab.data.files import cache_folder, data_folder, pick_rows, read_archive
from medlab.data.images import SPLITS, ImageSet, Info
from medlab.data.medmnist import channels_first
from medlab.data.png import load_png_folder
from medlab.data.volumes import load_decathlon, slice_set, volume_set
from medlab.data.xrays import JSRT, MONTGOMERY, load_jsrt, load_montgomery
from medlab.errors import unknown_name

# Modules of medlab.phantoms.
PHANTOMS = (
    "abdomen", "brain", "chest", "chest_b", "csf", "glioma", "glioma_sagittal", "liver", "lung", "pet", "pet_coronal",
    "pet_sagittal", "ring", "skin", "temporal_lobe", "ultrasound",
)  # fmt: skip
BCCD_SPLITS = {"train": 934, "val": 388, "test": 313}


def load(name: str, split: str | None = None, size: int | None = None, n: int | None = None, seed: int = 0) -> ImageSet:
    """Load a set by name; `available` lists the names.

    Args:
        name: a phantom ("lung"), a MedMNIST set ("pneumoniamnist"), or another real set ("hippocampus").
        split: "train", "val" or "test": the publisher's, else the patient-wise ``ImageSet.split(seed=seed)``.
        size: edge length in pixels, one of those the set offers; None for its usual one.
        n: that many images, drawn by `seed` and kept in order. A phantom without `split` makes as many as asked for.
        seed: makes a phantom, draws the split and the `n` images. Load all splits of a set with one seed.

    Returns:
        Images ``(N, C, H, W)`` or ``(N, C, D, H, W)`` in [0, 1], see `ImageSet`.

    Raises:
        ValueError: unknown name or split, a size that is not offered, `n` below 1 or above what there is, a wrong hash,
            a damaged file.
        FileNotFoundError: a real set that must be put under `MEDLAB_DATA` by hand.
        ConnectionError, OSError: no network; the cache cannot be written or its disk is full.
    """
    names = (*PHANTOMS, *medmnist.SOURCES, *REAL)
    if name not in names:
        raise unknown_name("set", name, names)
    if split is not None and split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    if name in medmnist.SOURCES:
        return medmnist.load(name, split, 28 if size is None else size, n, seed)
    if name in PHANTOMS:
        made = n if split is None and n is not None else None  # splits always come from the same patients
        return _narrow(_phantom(name, size, made, seed), split, n, seed)
    real = REAL[name]
    size = real.size if size is None else size
    _check_size(name, size, real.sizes)
    return _narrow(real.read(real.find(), size), split, n, seed)


@dataclass(frozen=True)
class Row:
    """One line of the table of sets; `images` counts all splits, `here` says what `load` will have to do."""

    name: str
    modality: str
    task: str
    sizes: str
    images: int | str
    classes: int
    license: str
    kind: str
    here: str


class Table(list):
    """A list of `Row` that prints as a table, in a notebook as HTML."""

    def __str__(self) -> str:
        cells = [[field.name for field in fields(Row)], *([str(cell) for cell in astuple(row)] for row in self)]
        widths = [max(map(len, column)) for column in zip(*cells)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{field.name}</th>' for field in fields(Row))
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in astuple(row)) + "</tr>" for row in self
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def available() -> Table:
    """Every set that `load` knows: what it is, and whether it is cached, not cached, or made here."""
    table = Table()
    for name in PHANTOMS:
        about = import_module(f"medlab.phantoms.{name}").ABOUT
        table.append(_row(_phantom_info(name, about), about["sizes"], about["n"], "made here"))
    for name in medmnist.SOURCES:
        sizes = medmnist.sizes(name)
        cached = any(medmnist.find(name, size) for size in sizes)
        images = sum(medmnist.entry(name)["n_samples"].values())
        table.append(_row(medmnist.about(name), sizes, images, "cached" if cached else "not cached"))
    for real in REAL.values():
        table.append(_row(real.info, real.sizes, real.images, "cached" if real.find() else "not cached"))
    return table


def _row(info: Info, sizes: tuple[int, ...] | None, images: int | str, here: str) -> Row:
    offered = "multiples of 8" if sizes is None else ", ".join(map(str, sizes))
    kind = "phantom" if info.phantom else "real"
    return Row(info.name, info.modality, info.task, offered, images, len(info.classes), info.license, kind, here)


def _check_size(name: str, size: int, sizes: tuple[int, ...] | None) -> None:
    if sizes is None and not (isinstance(size, int) and size >= 16 and size % 8 == 0):
        raise ValueError(f"{name} has no size {size!r}; sizes: any multiple of 8 from 16")
    if sizes is not None and size not in sizes:
        raise ValueError(f"{name} has no size {size!r}; sizes: {', '.join(map(str, sizes))}")


def _narrow(images: ImageSet, split: str | None, n: int | None, seed: int) -> ImageSet:
    if split is not None:
        images = images.split(seed=seed)[SPLITS.index(split)]
    if n is None or n == len(images):
        return images
    name = images.info.name if split is None else f"{images.info.name} ({split})"
    return images[pick_rows(name, len(images), n, seed)]


def _phantom_info(name: str, about: dict) -> Info:
    keys = ("modality", "task", "classes", "license", "citation", "unit", "note")
    return Info(name=name, phantom=True, **{key: about[key] for key in keys})


def _phantom(name: str, size: int | None, n: int | None, seed: int) -> ImageSet:
    module = import_module(f"medlab.phantoms.{name}")
    size = module.ABOUT["size"] if size is None else size
    _check_size(name, size, module.ABOUT["sizes"])
    if n is not None and (not isinstance(n, int) or n < 1):
        raise ValueError(f"{name}: n = {n!r}, but it must be a whole number from 1")
    images, targets, patients = module.make(module.ABOUT["n"] if n is None else n, size, seed)
    return ImageSet(images, targets, patients, _phantom_info(name, module.ABOUT))


@dataclass(frozen=True)
class _Real:
    """A real set beside MedMNIST: where it may lie, and how it is read from there."""

    info: Info
    size: int
    sizes: tuple[int, ...] | None
    images: int | str
    find: Callable[[], Path | None]
    read: Callable[[Path | None, int], ImageSet]


def _find(*parts: str) -> Callable[[], Path | None]:
    def find() -> Path | None:
        path = None if data_folder() is None else data_folder().joinpath(*parts)
        return path if path is not None and path.exists() else None

    return find


def _find_hippocampus() -> Path | None:
    fetched = cache_folder() / "Task04_Hippocampus"
    return _find("hippocampus_msd")() or (fetched if fetched.exists() else None)


def _read_hippocampus(folder: Path | None, size: int) -> ImageSet:
    cases, info = load_decathlon(folder or cache_folder() / "Task04_Hippocampus", download=True)
    return slice_set(cases, replace(HIPPOCAMPUS, classes=info.classes), size)


def _read_hippocampus_volumes(folder: Path | None, size: int) -> ImageSet:
    cases, info = load_decathlon(folder or cache_folder() / "Task04_Hippocampus", download=True)
    shape = (5 * size // 6, size, 2 * size // 3)  # 40 x 48 x 32 mm cut off no labelled voxel of 100 cases
    return volume_set(cases, replace(HIPPOCAMPUS_VOLUMES, classes=info.classes), shape)


def _read_nuclei(folder: Path | None, size: int) -> ImageSet:
    folder = _by_hand(folder, "nuclei", "nuclei_dsb2018/images and nuclei_dsb2018/masks")
    return load_png_folder(folder / "images", folder / "masks", NUCLEI)


def _read_bccd(file: Path | None, size: int) -> ImageSet:
    file = _by_hand(file, "bccd", "bccd_crops/bccd_crops_28.npz")
    rows = np.arange(sum(BCCD_SPLITS.values()))
    images, targets, official = read_archive(file, BCCD_SPLITS, (28, 28, 3), 1, rows)
    pixels = channels_first(images, 3).contiguous().float().div_(255)
    return ImageSet(pixels, targets[:, 0], rows, BCCD, official)


def _read_jsrt(folder: Path | None, size: int) -> ImageSet:
    return load_jsrt(_by_hand(folder, "jsrt", "jsrt/ with the .IMG files and SCR's masks", "chest"), size)


def _read_montgomery(folder: Path | None, size: int) -> ImageSet:
    parts = "montgomery/ with CXR_png and ManualMask"
    return load_montgomery(_by_hand(folder, "montgomery", parts, "chest"), size)


def _by_hand(path: Path | None, name: str, parts: str, stand_in: str = "lung") -> Path:
    if path is None:
        raise FileNotFoundError(
            f"{name} is not fetched by medlab: set MEDLAB_DATA to a folder that holds {parts}; until then a phantom "
            f'can stand in, e.g. load("{stand_in}")'
        )
    return path


HIPPOCAMPUS = Info(
    name="hippocampus",
    modality="MR",
    task="segmentation",
    classes=("background", "anterior", "posterior"),
    license="CC BY-SA 4.0",
    citation="Antonelli et al., Nature Communications 13:4128, 2022; Simpson et al., arXiv:1902.09063, 2019",
    phantom=False,
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
    phantom=False,
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
    phantom=False,
    unit="0 = pixel value 0, 1 = pixel value 255",
    note="Crops around annotated cells; a few are mislabelled. Every crop counts as its own patient, but no smear is "
    "in two of the official splits.",
)
REAL = {
    "hippocampus": _Real(HIPPOCAMPUS, 64, None, "by case", _find_hippocampus, _read_hippocampus),
    "hippocampus_volumes": _Real(
        HIPPOCAMPUS_VOLUMES, 48, (48,), "by case", _find_hippocampus, _read_hippocampus_volumes
    ),
    "nuclei": _Real(NUCLEI, 256, (256,), 60, _find("nuclei_dsb2018"), _read_nuclei),
    "jsrt": _Real(JSRT, 400, None, 247, _find("jsrt"), _read_jsrt),
    "montgomery": _Real(MONTGOMERY, 400, None, 138, _find("montgomery"), _read_montgomery),
    "bccd": _Real(BCCD, 28, (28,), 1635, _find("bccd_crops", "bccd_crops_28.npz"), _read_bccd),
}
