"""MedMNIST: 18 sets of small images, downloaded once, checked, and read straight from their .npz archives."""

import math
from contextlib import suppress
from pathlib import Path

import numpy as np

from medlab.data.archives import BUDGET, channels_first, map_array, read_rows
from medlab.data.draws import draw_rows
from medlab.data.files import cache_folder, download, find_path, hashes, md5_of, mirror_url
from medlab.data.images import SPLITS, ImageSet, Info
from medlab.data.real_sets import FACTS, make_info

SOURCES = {name: facts for name, facts in FACTS.items() if "source" in facts}
NO_PATIENTS = FACTS["medmnist"]["note"]


def entry(name: str) -> dict:
    """What MedMNIST publishes about a set: urls, MD5s, split lengths, labels."""
    from medmnist import INFO

    return INFO[name]


def sizes(name: str) -> tuple[int, ...]:
    """The edge lengths in pixels that a set is published in."""
    return (28, 64) if name.endswith("3d") else (28, 64, 128, 224)


def about(name: str) -> Info:
    """The `Info` of a MedMNIST set."""
    published, facts = entry(name), SOURCES[name]
    graded = " The classes are grades, published as ordinal regression."
    about = {
        "task": "multi-label" if published["task"].startswith("multi-label") else "multi-class",
        "classes": tuple(published["label"][key] for key in sorted(published["label"], key=int)),
        "license": published["license"],
        "citation": f"{facts['citation']}; {facts['source']}",
        "note": NO_PATIENTS + graded * (published["task"] == "ordinal-regression"),
    }
    return make_info(name, facts | about)


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
        file, stand_in = f"{name}{suffix}.npz", SOURCES[name]["stand_in"]
        if hashes("medmnist").get(file) == expected and mirror_url():
            with suppress(ConnectionError):  # a mirror need not hold it
                return download(file, f"{mirror_url()}/medmnist/{file}", expected, "medmnist", stand_in)
        return download(file, url, expected, "medmnist", stand_in)
    if (got := md5_of(path)) != expected:
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
    counts = {part: published["n_samples"][part] for part in SPLITS}
    split_of = np.repeat(SPLITS, list(counts.values()))
    rows = np.arange(len(split_of)) if split is None else np.flatnonzero(split_of == split)
    rows = rows[draw_rows(name if split is None else f"{name} ({split})", len(rows), n, seed)]
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
        images = channels_first(map_array(path, f"{split}_images", (len(rows), *item), target))
    else:
        shapes = {f"{part}_images": (count, *item) for part, count in counts.items()}
        images = channels_first(read_rows(path, shapes, rows)).contiguous().float().div_(255)
    targets = read_rows(path, {f"{part}_labels": (count, labels) for part, count in counts.items()}, rows)
    return ImageSet(images, targets[:, 0] if labels == 1 else targets, rows, info, split_of[rows])


def _suffix(name: str, size: int) -> str:
    if size not in sizes(name):
        raise ValueError(f"{name} has no size {size!r}; sizes: {', '.join(map(str, sizes(name)))}")
    return "" if size == 28 else f"_{size}"
