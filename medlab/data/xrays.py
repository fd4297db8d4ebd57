"""Chest X-rays with lung and heart masks, in the folders that their publishers provide: JSRT with SCR, Montgomery.

Both must be requested or downloaded by hand; each reader states the layout that it expects. Which mask is the right
lung is decided by its position, not by its name: in the usual view the patient's right is on the image's left.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, pad

from medlab.data.images import ImageSet, Info
from medlab.data.pictures import open_picture

JSRT_SIDE, JSRT_TOP = 2048, 4095  # pixels; the largest value of 12 bits
ORGANS = ("right lung", "left lung", "heart")


def load_jsrt(folder: Path, size: int, info: Info) -> ImageSet:
    """Read JSRT images and SCR masks, averaged down to `size`: ``(N, 1, size, size)`` and label maps.

    Expected: files ``*.IMG`` anywhere under `folder`, 2048 x 2048 numbers of 12 bits, two bytes each, the higher first,
    where dark film (air) is large, so that they are inverted; masks ``left lung/NAME.gif``, ``right lung/NAME.gif``
    and ``heart/NAME.gif`` (or .png) anywhere under it, square, above half of the full range inside.

    Raises:
        ValueError: no image, a file of another length or with larger numbers, a mask that is missing or of another
            shape.
    """
    paths = [path for path in folder.rglob("*") if path.suffix.lower() == ".img"]
    if not paths:
        raise ValueError(f"{folder} holds no .IMG file; put the JSRT images there or into folders below")
    return _read_all(paths, folder, ORGANS, size, info)


def load_montgomery(folder: Path, size: int, info: Info) -> ImageSet:
    """Read Montgomery County images and lung masks, padded to squares with 0 and averaged down to `size`.

    Expected: ``CXR_png/NAME.png`` with 8 bits of gray, and of the same size ``ManualMask/leftMask/NAME.png`` and
    ``ManualMask/rightMask/NAME.png``, in `folder` or a folder below it.

    Raises:
        ValueError: no image, a picture too large, a mask that is missing or of another shape.
    """
    paths = [path for path in folder.rglob("*.png") if path.parent.name == "CXR_png"]
    if not paths:
        raise ValueError(f"{folder} holds no CXR_png/*.png; put the folder MontgomerySet there")
    return _read_all(paths, folder, ("rightMask", "leftMask"), size, info)


def _read_all(paths: list[Path], folder: Path, kinds: Sequence[str], size: int, info: Info) -> ImageSet:
    """The films and, from folders of the names `kinds`, their masks; one image per patient."""
    found = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in (".gif", ".png")]
    masks = {(path.parent.name.lower(), path.stem.lower()): path for path in found}
    images, labels = [], []
    for path in sorted(paths):
        image, parts = _raw(path) if path.suffix.lower() == ".img" else _picture(path), []
        for kind in kinds:
            if (kind.lower(), path.stem.lower()) not in masks:
                raise ValueError(f"{path.name} has no mask {kind}/{path.stem} (.gif or .png) below {folder}")
            part = _picture(masks[kind.lower(), path.stem.lower()])
            if part.shape[0] * image.shape[1] != part.shape[1] * image.shape[0]:  # those of JSRT are smaller
                raise ValueError(
                    f"mask of {path.name} is {tuple(part.shape)}, its image {tuple(image.shape)}: use the right mask"
                )
            parts.append(part)
        images.append(_resized(image, size))
        labels.append(_label_map([_resized(part, size) for part in parts]))
    return ImageSet(torch.stack(images), torch.stack(labels), [path.stem for path in sorted(paths)], info)


def _raw(path: Path) -> Tensor:
    """A JSRT file as ``(2048, 2048)`` float32 in [0, 1], bone bright."""
    wanted = 2 * JSRT_SIDE**2
    if path.stat().st_size != wanted:
        raise ValueError(f"{path} has {path.stat().st_size} bytes, a JSRT image has {wanted}")
    values = np.fromfile(path, ">u2")
    if values.max() > JSRT_TOP:
        raise ValueError(f"{path} holds {values.max()}, more than 12 bits: it is damaged or not from JSRT")
    return torch.from_numpy(1 - values.reshape(JSRT_SIDE, JSRT_SIDE).astype(np.float32) / JSRT_TOP)


def _picture(path: Path) -> Tensor:
    """A picture of 8 bits or fewer as ``(H, W)`` float32 in [0, 1]."""
    return torch.from_numpy(np.array(open_picture(path).convert("L")).astype(np.float32) / 255)


def _resized(picture: Tensor, size: int) -> Tensor:
    """``(H, W)`` padded to a square and averaged to ``(1, size, size)``."""
    height, width = picture.shape
    down, right = max(width - height, 0), max(height - width, 0)
    return adaptive_avg_pool2d(pad(picture[None], (right // 2, right - right // 2, down // 2, down - down // 2)), size)


def _label_map(parts: Sequence[Tensor]) -> Tensor:
    """Two lungs in either order, and a heart if there is one, to a label map; the heart lies over the lungs."""
    inside = [part[0] > 0.5 for part in parts]
    lungs = sorted(inside[:2], key=lambda where: float(where.nonzero()[:, 1].float().mean().nan_to_num(0)))  # by column
    labels = torch.zeros(inside[0].shape, dtype=torch.uint8)
    for value, where in enumerate([*lungs, *inside[2:]], start=1):
        labels[where] = value
    return labels
