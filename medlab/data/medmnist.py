"""MedMNIST: 18 sets of small images, downloaded once, checked, and read straight from their .npz archives."""

import math
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medlab.data.draws import draw_rows
from medlab.data.files import BUDGET, cache_folder, download, find_path, map_array, md5_of, read_archive, read_rows
from medlab.data.images import SPLITS, ImageSet, Info
from medlab.data.mirror import hashes, mirror_url

CITATION = "Yang et al., MedMNIST v2, Scientific Data 10:41, 2023"
NO_PATIENTS = (
    "MedMNIST publishes no patient ids: every image counts as its own patient, so intervals are too narrow where one "
    "patient gave several images. Use the official splits."
)
# name: modality, and the source to cite beside MedMNIST itself
SOURCES = {
    "pathmnist": ("histology", "Kather et al., PLOS Medicine 16:e1002730, 2019"),
    "chestmnist": ("X-ray", "Wang et al., CVPR 2017"),
    "dermamnist": ("dermatoscopy", "Tschandl et al., Scientific Data 5:180161, 2018"),
    "octmnist": ("retinal OCT", "Kermany et al., Cell 172:1122-1131, 2018"),
    "pneumoniamnist": ("X-ray", "Kermany et al., Cell 172:1122-1131, 2018"),
    "retinamnist": ("fundus photograph", "DeepDRiD challenge, ISBI 2020"),
    "breastmnist": ("ultrasound", "Al-Dhabyani et al., Data in Brief 28:104863, 2020"),
    "bloodmnist": ("blood smear microscopy", "Acevedo et al., Data in Brief 30:105474, 2020"),
    "tissuemnist": ("kidney cell microscopy", "Ljosa et al., Nature Methods 9:637, 2012"),
    "organamnist": ("CT", "Bilic et al., LiTS, arXiv:1901.04056; Xu et al., IEEE TMI 38:1885-1898, 2019"),
    "organcmnist": ("CT", "Bilic et al., LiTS, arXiv:1901.04056; Xu et al., IEEE TMI 38:1885-1898, 2019"),
    "organsmnist": ("CT", "Bilic et al., LiTS, arXiv:1901.04056; Xu et al., IEEE TMI 38:1885-1898, 2019"),
    "organmnist3d": ("CT", "Bilic et al., LiTS, arXiv:1901.04056; Xu et al., IEEE TMI 38:1885-1898, 2019"),
    "nodulemnist3d": ("CT", "Armato et al., Medical Physics 38:915-931, 2011"),
    "adrenalmnist3d": ("shape from CT", "published with MedMNIST v2"),
    "fracturemnist3d": ("CT", "Jin et al., EBioMedicine 62:103106, 2020"),
    "vesselmnist3d": ("shape from MR angiography", "Yang et al., IntrA, CVPR 2020"),
    "synapsemnist3d": ("electron microscopy", "published with MedMNIST v2"),
}
STAND_INS = {"X-ray": "chest", "ultrasound": "ultrasound"}  # phantoms to use without a network; lung for the rest


def entry(name: str) -> dict:
    """What MedMNIST publishes about a set: urls, MD5s, split lengths, labels."""
    from medmnist import INFO

    return INFO[name]


def sizes(name: str) -> tuple[int, ...]:
    """The edge lengths in pixels that a set is published in."""
    return (28, 64) if name.endswith("3d") else (28, 64, 128, 224)


def about(name: str) -> Info:
    """The `Info` of a MedMNIST set."""
    published = entry(name)
    modality, source = SOURCES[name]
    note = NO_PATIENTS
    if published["task"] == "ordinal-regression":
        note += " The classes are grades, published as ordinal regression."
    return Info(
        name=name,
        modality=modality,
        task="multi-label" if published["task"].startswith("multi-label") else "multi-class",
        classes=tuple(published["label"][key] for key in sorted(published["label"], key=int)),
        license=published["license"],
        citation=f"{CITATION}; {source}",
        unit="0 = pixel value 0, 1 = pixel value 255 of the published 8-bit image",
        note=note,
    )


def find(name: str, size: int = 28) -> Path | None:
    """Find the archive, unchecked: under `MEDLAB_DATA`, else in the cache, else None."""
    file = f"{name}{_suffix(name, size)}.npz"
    return find_path(f"medmnist/{file}", file, in_cache=f"medmnist/{file}")


def fetch(name: str, size: int = 28) -> Path:
    """Find the archive of a set, downloaded where needed, and check its hash.

    Raises:
        ValueError: unknown size, or a file with the wrong hash.
        ConnectionError: no network.
        OSError: the cache folder cannot be written, or its disk is full.
    """
    published, suffix = entry(name), _suffix(name, size)
    url, expected = published[f"url{suffix}"], published[f"MD5{suffix}"]
    path = find(name, size)
    if path is None:
        file, stand_in = f"{name}{suffix}.npz", STAND_INS.get(SOURCES[name][0], "lung")
        if hashes("medmnist").get(file) == expected and mirror_url():
            with suppress(ConnectionError):  # a mirror need not hold it
                return download(file, f"{mirror_url()}/medmnist/{file}", expected, "medmnist", stand_in)
        return download(file, url, expected, "medmnist", stand_in)
    got = md5_of(path)
    if got != expected:
        raise ValueError(
            f"{path} has the wrong hash: expected MD5 {expected}, got {got}. It is incomplete or not the published "
            f"file: delete it and load again, or replace it by {url}"
        )
    return path


def load(name: str, split: str | None = None, size: int = 28, n: int | None = None, seed: int = 0) -> ImageSet:
    """Load a MedMNIST set with its official splits.

    Returns:
        Images float32 in [0, 1], ``(N, C, H, W)`` or ``(N, C, D, H, W)``; targets ``(N,)``, for ChestMNIST ``(N, 14)``.
        A split of more than `BUDGET` bytes stays on disk, as uint8 images mapped into memory.

    Raises:
        ValueError: unknown size, bad `n`, a damaged archive, or more images than fit in memory.
        ConnectionError, OSError: see `fetch`.
    """
    published, info, suffix = entry(name), about(name), _suffix(name, size)
    parts = {part: published["n_samples"][part] for part in (SPLITS if split is None else (split,))}
    rows = draw_rows(name if split is None else f"{name} ({split})", sum(parts.values()), n, seed)
    item = (size,) * 3 if name.endswith("3d") else (size, size, 3)[: 3 if published["n_channels"] == 3 else 2]
    labels = len(info.classes) if info.task == "multi-label" else 1
    needed = 4 * len(rows) * math.prod(item)
    if needed > BUDGET and (split is None or n is not None):
        raise ValueError(
            f"{name} at size {size}: {len(rows)} images need {needed / 2**30:.1f} GiB of memory, the limit is "
            f'{BUDGET / 2**30:.1f}. Load one whole split at a time (split="train", no n), which stays on disk, or at '
            f"most n={BUDGET // (4 * math.prod(item))} images."
        )
    path = fetch(name, size)
    if needed > BUDGET:
        target = cache_folder() / "medmnist" / f"{path.stem}-{split}-{published[f'MD5{suffix}'][:8]}.npy"
        stored = map_array(path, f"{split}_images", (len(rows), *item), target)
        images = channels_first(stored, len(item))
        targets = read_rows(path, f"{split}_labels", (len(rows), labels), rows)
        published_split = np.full(len(rows), split)
    else:
        stored, targets, published_split = read_archive(path, parts, item, labels, rows)
        images = channels_first(stored, len(item)).contiguous().float().div_(255)
    before = SPLITS.index(split) if split else 0  # ids go on from split to split, so that no two share one
    patients = rows + sum(published["n_samples"][part] for part in SPLITS[:before])
    return ImageSet(images, targets[:, 0] if labels == 1 else targets, patients, info, published_split)


def channels_first(images: np.ndarray, item_dims: int) -> Tensor:
    """View stored images ``(N, H, W)``, ``(N, H, W, 3)`` or ``(N, D, H, W)`` as a tensor with its channels second."""
    tensor = torch.from_numpy(images)
    return tensor.movedim(-1, 1) if item_dims == 3 and images.shape[-1] == 3 else tensor[:, None]


def _suffix(name: str, size: int) -> str:
    if size not in sizes(name):
        raise ValueError(f"{name} has no size {size!r}; sizes: {', '.join(map(str, sizes(name)))}")
    return "" if size == 28 else f"_{size}"
