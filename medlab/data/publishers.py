"""Public sets as their publishers lay them out, for those who have the publisher's files in place of our folders.

The functions `*_files` list what is there, unpacked anywhere below one folder, as one row an image, and read no pixels.
"""

import csv
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from medlab.data.files import cache_folder, data_folder, disk_errors, download, find_path, md5_of
from medlab.data.images import SPLITS, Info
from medlab.data.listing import Listing
from medlab.data.nifti import check_size
from medlab.data.real_images import ISIC2017, ISIC2017_MASKS, MEDNIST, NIH_CHESTXRAY

ISIC_SPLITS = {"train": "Training", "val": "Validation", "test": "Test_v2"}
ISIC_CLASSES = ("nevus", "melanoma", "seborrheic_keratosis")
MEDNIST_CLASSES = ("AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT")
MEDNIST_GAP = 50  # files left out between two splits: neighboring files are slices of one patient
NIH_CLASSES = ("No Finding", "Pneumonia")
LARGEST_SIDE = 8192  # pixels; ISIC 2017 has 6748


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


def list_isic2017(folder: Path, size: int, info: Info) -> Listing:
    """List ISIC 2017 with classes or, for `ISIC2017_MASKS`, masks; its official split where all three parts are there.

    Raises:
        ValueError: see `isic2017_files`; an image without a mask where masks are wanted.
    """
    lesions = isic2017_files(folder)
    splits = [lesion.split for lesion in lesions] if {lesion.split for lesion in lesions} == set(SPLITS) else None
    info = replace(
        info, note=f"{_ISIC_NOTE} {'The official split.' if splits else 'No official test images: drawn anew.'}"
    )
    ids, images = [lesion.id for lesion in lesions], [lesion.image for lesion in lesions]
    if info.task != "segmentation":
        kinds = np.array([lesion.kind for lesion in lesions])
        return Listing(info, ids, _reader(images, size, "RGB"), kinds, splits)
    if without := [lesion.id for lesion in lesions if lesion.mask is None]:
        raise ValueError(f"{folder} has no mask of {without[0]}; unpack the ground truth of part 1 there, too")
    return Listing(info, ids, _reader(images, size, "RGB", [lesion.mask for lesion in lesions]), None, splits)


def list_pictures(folder: Path, size: int, files: Callable[[Path], list[Picture]], info: Info) -> Listing:
    """List gray pictures of one class each; `files` says which are there."""
    pictures = files(folder)
    kinds = np.array([picture.kind for picture in pictures])
    splits = None if pictures[0].split is None else [picture.split for picture in pictures]
    read = _reader([picture.image for picture in pictures], size, "L")
    return Listing(info, [picture.patient for picture in pictures], read, kinds, splits)


def fetch_mednist() -> Path:
    """Download MedNIST as MONAI publishes it, check its hash, and unpack it into the cache folder.

    Raises:
        ConnectionError, ValueError, OSError: see `download`.
    """
    from monai.apps import MedNISTDataset, extractall

    file, target = MedNISTDataset.compressed_file_name, cache_folder() / MedNISTDataset.dataset_folder_name
    path = find_path(f"mednist/{file}")
    if path is None:
        path = download(file, MedNISTDataset.resource, MedNISTDataset.md5, "mednist", "lung")
    elif md5_of(path) != MedNISTDataset.md5:
        raise ValueError(f"{path} is not the published file, its MD5 is not {MedNISTDataset.md5}: get it again")
    with disk_errors(target.parent), tempfile.TemporaryDirectory(dir=target.parent) as part:
        extractall(path, part)
        os.replace(Path(part) / target.name, target)  # a killed run leaves no half folder
    return target


@dataclass(frozen=True)
class Publisher:
    """A set as its publisher lays it out.

    Args:
        folder: our own folder of the set.
        ours: a pattern of the names of its files; where one is there, it is not the publisher's.
        marker: a pattern of the name of a file or folder by which they are known.
        list: lists the images of a folder in a given size.
        cached, fetch: the folder in the cache, and the download into it; None where no hash is published.
    """

    folder: str
    ours: str
    marker: str
    list: Callable[[Path, int], Listing]
    cached: str | None = None
    fetch: Callable[[], Path] | None = None

    def find(self) -> Path | None:
        """The folder that holds the files, ``MEDLAB_DATA/FOLDER`` with our name or `MEDLAB_DATA`; or None."""
        data = data_folder()
        places = [] if data is None else [data / self.folder, data]
        found = next((place for place in places if any(place.glob(self.marker))), None)
        return found or find_path(in_cache=self.cached)


def _reader(
    images: Sequence[Path], size: int, mode: str, masks: Sequence[Path] | None = None
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]:
    """A reader, for `Listing`, of pictures squeezed to squares of `size` ("L": gray, "RGB": color), and of masks."""

    def read(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        check_size(images[0].parent, (len(rows), len(mode), size, size))
        pixels = np.stack([_squeezed(images[row], size, mode) for row in rows])
        pixels = pixels[:, None] if mode == "L" else pixels.transpose(0, 3, 1, 2)
        if masks is None:
            return pixels, None
        return pixels, np.stack([_squeezed(masks[row], size, "L") > 127 for row in rows]).astype(np.uint8)

    return read


def _squeezed(path: Path, size: int, mode: str) -> np.ndarray:
    with Image.open(path, formats=("JPEG", "PNG")) as image:
        if max(image.size) > LARGEST_SIDE:
            raise ValueError(f"{path} is {image.height} x {image.width}, allowed are {LARGEST_SIDE} pixels a side")
        try:
            return np.asarray(image.convert(mode).resize((size, size), Image.Resampling.BOX))
        except OSError as error:
            raise ValueError(f"{path} is truncated or damaged ({error}); get it again") from error


_ISIC_NOTE = (
    "No ids of patients or lesions: every image counts as its own patient, and a lesion may appear twice. "
    "Squeezed to squares."
)
_MEDNIST_DATA = replace(MEDNIST, note=f"All pictures of the publisher. {MEDNIST.note}")
_NIH_DATA = replace(
    NIH_CHESTXRAY,
    note="All films of the publisher's table with no finding or pneumonia, alone or not. " + NIH_CHESTXRAY.note,
)
PUBLISHERS = {
    "isic2017": Publisher(
        "isic2017", "labels.csv", "ISIC-2017_*_Part3_GroundTruth.csv", partial(list_isic2017, info=ISIC2017)
    ),
    "isic2017_masks": Publisher(
        "isic2017", "labels.csv", "ISIC-2017_*_Part3_GroundTruth.csv", partial(list_isic2017, info=ISIC2017_MASKS)
    ),
    "nih_chestxray": Publisher(
        "nih_chestxray", "*.npz", "Data_Entry_2017*.csv", partial(list_pictures, files=nih_files, info=_NIH_DATA)
    ),
    "mednist": Publisher(
        "mednist",
        "*.npz",
        "MedNIST",
        partial(list_pictures, files=mednist_files, info=_MEDNIST_DATA),
        cached="MedNIST",
        fetch=fetch_mednist,
    ),
}
