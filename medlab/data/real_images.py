"""Real sets of pictures beside MedMNIST, in our folders: which file holds what."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medlab.data.archives import column
from medlab.data.images import SPLITS, ImageSet, Info
from medlab.data.listing import Listing, Read
from medlab.data.pictures import array_reader, picture_reader, read_table
from medlab.data.png import load_png_folder

BLOCK = 40  # file numbers; a patient of `brain_tumor_t1` has about 13


def read_nuclei(folder: Path, size: int, info: Info) -> ImageSet:
    """Read the nuclei of BBBC038: ``images/NAME.png``, ``masks/NAME.png``."""
    return load_png_folder(folder / "images", folder / "masks", info)


def list_isic2017(folder: Path, size: int, info: Info) -> Listing:
    """List the lesions of ISIC 2017, with their classes or their masks by the task of `info`.

    Files: ``labels.csv``, ``images/SPLIT/ID.jpg`` and ``masks/SPLIT/ID.png``.
    """
    table = read_table(folder / "labels.csv", ("image_id", "split", "class"))
    masked = info.task == "segmentation"
    classes = None if masked else table["class"].str.replace("_", " ")
    read = _named_pictures(folder, table["split"] + "/" + table["image_id"], size, "RGB", ".jpg", masked)
    return Listing(info, table["image_id"], read, classes)


def list_ct_slices(folder: Path, size: int, info: Info, *, patient: str, ending: str) -> Listing:
    """List slices and masks: ``slices.csv`` with a column `patient`, ``images/NAME`` + `ending`, ``masks/NAME.png``."""
    table = read_table(folder / "slices.csv", ("name", patient))
    return Listing(info, table[patient], _named_pictures(folder, table["name"], size, "L", ending, masked=True))


def list_splits(path: Path, size: int, info: Info) -> Listing:
    """List an archive of the arrays ``SPLIT_images`` and ``SPLIT_labels``; in a folder, ``FOLDER_SIZE.npz``."""
    path = path / f"{path.name}_{size}.npz" if path.is_dir() else path
    read, counts = array_reader(path, size, [f"{split}_images" for split in SPLITS])
    classes = column(path, *(f"{split}_labels" for split in SPLITS))
    return Listing(info, np.arange(sum(counts)), read, classes, np.repeat(SPLITS, counts))


def list_lung_ct_patches(path: Path, size: int, info: Info) -> Listing:
    """List the patches of Decathlon task 6; its parts "val" and "test" are one set here, to be split by case."""
    read, _ = array_reader(path, size, ("val_images", "test_images"), ("val_masks", "test_masks"))
    return Listing(info, column(path, "val_cases", "test_cases"), read)


def list_nih_chestxray(path: Path, size: int, info: Info) -> Listing:
    """List the films of the NIH."""
    read, _ = array_reader(path, size, ("images",))
    return Listing(info, column(path, "patients"), read, column(path, "labels"))


def list_brain_tumor_t1(path: Path, size: int, info: Info) -> Listing:
    """List the slices of the figshare set, with blocks of file numbers for patients."""
    read, _ = array_reader(path, size, ("images",))
    blocks = [f"block {number // BLOCK:02d}" for number in column(path, "source_number")]
    return Listing(info, blocks, read, column(path, "labels"))


def _named_pictures(folder: Path, names: Sequence[str], size: int, mode: str, ending: str, masked: bool) -> Read:
    """A reader of the pictures that a table names, with ``/`` between a subfolder and a name."""
    if outside := [name for name in names if Path(name).is_absolute() or ".." in Path(name).parts]:
        raise ValueError(f"{folder}: its table names a file outside the folder ({outside[0]}); do not trust it")
    images, masks = (
        [folder / kind / f"{name}{end}" for name in names] for kind, end in (("images", ending), ("masks", ".png"))
    )
    return picture_reader(images, size, mode, masks if masked else None)
