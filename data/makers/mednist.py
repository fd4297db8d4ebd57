"""mednist: six kinds of image, 64 x 64 and 28 x 28 pixels.

SOURCE: MedNIST.tar.gz as MONAI publishes it, unpacked: CLASS/NUMBER.jpeg; license CC BY-SA 4.0. The 3,600 pictures
of 64 pixels are those that mednist.txt names, in its order. Which 12,000 are in mednist_28.npz is not known: the first
of each part are taken here, so that archive differs from the list.
"""

from pathlib import Path

import numpy as np
from common import ids, run
from PIL import Image

from medlab.data.images import SPLITS
from medlab.data.publishers import MEDNIST_CLASSES, Picture, mednist_files

SMALL = {"train": 1400, "val": 250, "test": 350}  # pictures a class in mednist_28.npz


def make(source: Path, folder: Path) -> None:
    """Write ``mednist_64.npz`` and ``mednist_28.npz`` with images and labels of each split."""
    pictures = mednist_files(source)
    by_name = {picture.patient: picture for picture in pictures}
    chosen = [by_name[name] for name in ids(__file__) if name in by_name]
    print(f"{len(chosen)} of {len(ids(__file__))} pictures of 64 pixels found")
    folder.mkdir(parents=True)
    files = {f"{s}_files": np.array([f"{p.patient}.jpeg" for p in chosen if p.split == s]) for s in SPLITS}
    np.savez_compressed(folder / "mednist_64.npz", **_arrays(chosen, 64), **files)
    some = []
    for kind in range(len(MEDNIST_CLASSES)):
        for split, count in SMALL.items():
            some += [p for p in pictures if (p.kind, p.split) == (kind, split)][:count]
    np.savez_compressed(folder / "mednist_28.npz", **_arrays(some, 28))


def _arrays(pictures: list[Picture], side: int) -> dict[str, np.ndarray]:
    arrays = {}
    for split in SPLITS:
        part = [picture for picture in pictures if picture.split == split]
        arrays[f"{split}_images"] = np.stack([_pixels(picture.image, side) for picture in part])
        arrays[f"{split}_labels"] = np.array([[picture.kind] for picture in part], np.uint8)
    return arrays


def _pixels(path: Path, side: int) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L").resize((side, side), Image.Resampling.BICUBIC))


if __name__ == "__main__":
    run(make, __file__, __doc__)
