"""Public sets as their publishers lay them out, for those who have the publisher's files in place of our folders.

The functions `*_files` list what is there, unpacked anywhere below one folder, as one row an image, and read no pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medlab.data.files import cache_folder, data_folder, fetch_archive
from medlab.data.images import SPLITS, Info
from medlab.data.listing import Listing
from medlab.data.pictures import picture_reader, read_table

ISIC_SPLITS = {"train": "Training", "val": "Validation", "test": "Test_v2"}
ISIC_CLASSES = ("nevus", "melanoma", "seborrheic_keratosis")
MEDNIST_CLASSES = ("AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT")
MEDNIST_GAP = 50  # files left out between two splits: neighboring files are slices of one patient
NIH_CLASSES = ("No Finding", "Pneumonia")


class Picture(NamedTuple):
    """An image: `kind` is the number of its class; `split` and `mask` are None where there is none."""

    image: Path
    kind: int
    patient: str
    split: str | None = None
    mask: Path | None = None


def isic2017_files(folder: Path) -> list[Picture]:
    """List the lesions of ISIC 2017, by split and id; `kind` is the place in `ISIC_CLASSES`, the patient is the id.

    Expected, of Training and where they are there of Validation and Test_v2: ``ISIC-2017_Training_Data/ID.jpg``,
    ``ISIC-2017_Training_Part3_GroundTruth.csv`` (image_id, melanoma, seborrheic_keratosis), and if at hand
    ``ISIC-2017_Training_Part1_GroundTruth/ID_segmentation.png``.

    Raises:
        ValueError: none of the tables of part 3, an image of a table that is not there, or a table of another form.
    """
    images = {path.stem: path for path in folder.rglob("ISIC_*.jpg")}
    masks = {path.stem.lower(): path for path in folder.rglob("ISIC_*.png")}  # among them those of superpixels
    lesions = []
    for split, word in ISIC_SPLITS.items():
        for name, *marks in table_rows(
            folder, f"ISIC-2017_{word}_Part3_GroundTruth.csv", "image_id", *ISIC_CLASSES[1:]
        ):
            if name not in images:
                raise ValueError(f"{folder} has no {name}.jpg, which a table of part 3 names; unpack all images there")
            kind = next((k for k, mark in enumerate(marks, start=1) if float(mark) == 1), 0)
            lesions.append(Picture(images[name], kind, name, split, masks.get(f"{name}_segmentation".lower())))
    if not lesions:
        raise ValueError(f"{folder} holds no ISIC-2017_Training_Part3_GroundTruth.csv with its images")
    return lesions


def nih_files(folder: Path) -> list[Picture]:
    """List the films of ChestX-ray14 with no finding or with pneumonia, alone or beside other findings.

    Expected: ``Data_Entry_2017.csv`` or ``Data_Entry_2017_v2020.csv``, and the films that it names in any folders
    below; those of the table that are not there are left out. A patient is the number before the underscore.

    Raises:
        ValueError: no table, one of another form, or no such film.
    """
    images = {path.name: path for path in folder.rglob("*.png")}
    pictures = []
    for name, findings in table_rows(folder, "Data_Entry_2017*.csv", "Image Index", "Finding Labels"):
        kind = next((k for k, finding in enumerate(NIH_CLASSES) if finding in findings.split("|")), None)
        if kind is not None and name in images:
            pictures.append(Picture(images[name], kind, name.partition("_")[0]))
    if not pictures:
        raise ValueError(f"{folder} holds no film of a Data_Entry_2017.csv with no finding or pneumonia")
    return pictures


def mednist_files(folder: Path) -> list[Picture]:
    """List the pictures of MedNIST: ``CLASS/NUMBER.jpeg`` for the six classes, in `folder` or one below it.

    The first 70 % of the files of a class are for training, the next to 85 % for validation, the last for testing; the
    first `MEDNIST_GAP` files of the last two are left out.

    Raises:
        ValueError: a class without pictures.
    """
    pictures = []
    for kind, name in enumerate(MEDNIST_CLASSES):
        files = sorted(path for path in folder.rglob("*.jpeg") if path.parent.name == name)
        if not files:
            raise ValueError(f"{folder} holds no {name}/*.jpeg; unpack MedNIST.tar.gz there")
        ends = 7 * len(files) // 10, 85 * len(files) // 100
        parts = files[: ends[0]], files[ends[0] + MEDNIST_GAP : ends[1]], files[ends[1] + MEDNIST_GAP :]
        for split, part in zip(SPLITS, parts):
            pictures += [Picture(path, kind, f"{name}/{path.stem}", split) for path in part]
    return pictures


def table_rows(folder: Path, pattern: str, *columns: str) -> list[tuple[str, ...]]:
    """The columns of the first table of that name at any depth, row by row; none where there is no such table.

    Raises:
        ValueError: a table without one of the columns, or without rows.
    """
    paths = sorted(folder.rglob(pattern))
    return list(read_table(paths[0], columns)[list(columns)].itertuples(index=False, name=None)) if paths else []


def fetch_mednist() -> Path:
    """Download MedNIST as MONAI publishes it, and unpack it into the cache folder.

    Raises:
        ConnectionError, ValueError, OSError: see `fetch_archive`.
    """
    from monai.apps import MedNISTDataset as published

    target = cache_folder() / published.dataset_folder_name
    return fetch_archive(
        published.compressed_file_name, published.resource, published.md5, "mednist", target, stand_in="lung"
    )


@dataclass(frozen=True)
class Publisher:
    """A set as its publisher lays it out.

    Args:
        folder: the name of our folder of the set.
        marker: a pattern of the name of a file or folder by which the publisher's are known.
        files: lists the images of a folder.
        mode: "L" for gray images, "RGB" for color.
        fetch: downloads them into the cache folder; None where no hash is published.
    """

    folder: str
    marker: str
    files: Callable[[Path], list[Picture]]
    mode: str = "L"
    fetch: Callable[[], Path] | None = None

    def find(self) -> Path | None:
        """What holds the files: a folder in ``MEDLAB_DATA/FOLDER``, `MEDLAB_DATA` or the cache, or one of these."""
        data = data_folder()
        for place in (*([] if data is None else [data / self.folder, data]), cache_folder()):
            for path in place.glob(self.marker):
                return path if path.is_dir() else place
        return None

    def list(self, folder: Path, size: int, info: Info) -> Listing:
        """List the images, squeezed to squares, with classes or masks by the task of `info`.

        Split as by the publisher where all three parts are there.

        Raises:
            ValueError: see `files`; an image without a mask where masks are wanted.
        """
        images, kinds, patients, splits, masks = zip(*self.files(folder))
        masked = info.task == "segmentation"
        if masked and None in masks:
            raise ValueError(
                f"{folder} has no mask of {patients[masks.index(None)]}; unpack its ground truth there, too"
            )
        read = picture_reader(images, size, self.mode, masks if masked else None, squeeze=True)
        official = splits if set(splits) == set(SPLITS) else None
        return Listing(info, patients, read, None if masked else np.array(kinds), official)


_ALL = (
    Publisher("isic2017", "ISIC-2017_*_Part3_GroundTruth.csv", isic2017_files, "RGB"),
    Publisher("nih_chestxray", "Data_Entry_2017*.csv", nih_files),
    Publisher("mednist", "MedNIST", mednist_files, fetch=fetch_mednist),
)
PUBLISHERS = {publisher.folder: publisher for publisher in _ALL}
