"""The files of public sets as their publishers lay them out, unpacked anywhere below one folder.

Each function lists what is there as one row an image, and reads no pixels.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from medlab.data.images import SPLITS

ISIC_SPLITS = {"train": "Training", "val": "Validation", "test": "Test_v2"}
ISIC_CLASSES = ("nevus", "melanoma", "seborrheic_keratosis")
MEDNIST_CLASSES = ("AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT")
MEDNIST_GAP = 50  # files left out between two splits: neighboring files are slices of one patient
NIH_CLASSES = ("No Finding", "Pneumonia")


class Lesion(NamedTuple):
    """An image of ISIC 2017: `kind` is its place in `ISIC_CLASSES`; `mask` is None where part 1 is not there."""

    id: str
    split: str
    kind: int
    age: str
    sex: str
    image: Path
    mask: Path | None


class Picture(NamedTuple):
    """An image of one class; `split` is None where the publisher has none."""

    image: Path
    kind: int
    patient: str
    split: str | None = None


def isic2017_files(folder: Path) -> list[Lesion]:
    """List the lesions of ISIC 2017, by split and id.

    Expected, of Training and where they are there of Validation and Test_v2: ``ISIC-2017_Training_Data/ID.jpg``,
    ``ISIC-2017_Training_Part3_GroundTruth.csv`` (image_id, melanoma, seborrheic_keratosis), and if at hand
    ``ISIC-2017_Training_Part1_GroundTruth/ID_segmentation.png`` and ``ISIC-2017_Training_Data_metadata.csv``.

    Raises:
        ValueError: none of the tables of part 3, an image of a table that is not there, or a table of another form.
    """
    images = {path.stem: path for path in folder.rglob("ISIC_*.jpg")}
    masks = {path.stem.lower(): path for path in folder.rglob("ISIC_*.png")}  # among them those of superpixels
    lesions = []
    for split, word in ISIC_SPLITS.items():
        about = {row["image_id"]: row for row in _table(folder, f"ISIC-2017_{word}_Data_metadata.csv", "image_id")}
        for row in _table(folder, f"ISIC-2017_{word}_Part3_GroundTruth.csv", "image_id", *ISIC_CLASSES[1:]):
            name = row["image_id"]
            if name not in images:
                raise ValueError(f"{folder} has no {name}.jpg, which a table of part 3 names; unpack all images there")
            kind = next((k for k in (1, 2) if float(row[ISIC_CLASSES[k]]) == 1), 0)
            person, mask = about.get(name, {}), masks.get(f"{name}_segmentation".lower())
            age, sex = person.get("age_approximate", "unknown"), person.get("sex", "unknown")
            lesions.append(Lesion(name, split, kind, age, sex, images[name], mask))
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
    for row in _table(folder, "Data_Entry_2017*.csv", "Image Index", "Finding Labels"):
        findings, image = row["Finding Labels"].split("|"), images.get(row["Image Index"])
        kind = next((k for k, name in enumerate(NIH_CLASSES) if name in findings), None)
        if kind is not None and image is not None:
            pictures.append(Picture(image, kind, image.name.partition("_")[0]))
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


def _table(folder: Path, pattern: str, *columns: str) -> Iterator[dict[str, str]]:
    """The rows of the first table of that name at any depth; none where there is no such table."""
    paths = sorted(folder.rglob(pattern))
    if not paths:
        return
    with paths[0].open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        missing = [name for name in columns if name not in (rows.fieldnames or ())]
        if missing:
            raise ValueError(f"{paths[0]} has no column {missing[0]!r} but {rows.fieldnames}: use the published file")
        yield from rows
