"""Readers of sets of pictures: files named by a table, and the arrays of .npz archives."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from medlab.data.files import array_shape, read_rows
from medlab.data.listing import Read
from medlab.data.medmnist import channels_first
from medlab.data.nifti import check_size
from medlab.errors import unknown_name_error

if TYPE_CHECKING:
    import pandas as pd

LARGEST_SIDE = 4096  # pixels


def read_table(path: Path, columns: Sequence[str]) -> "pd.DataFrame":
    """Read a .csv file as strings.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a column is missing, or there is no row.
    """
    import pandas as pd  # here, since it takes a fifth of a second to import

    table = pd.read_csv(present(path), dtype=str, keep_default_na=False)
    if missing := [column for column in columns if column not in table]:
        raise ValueError(f"{path} has no column {', '.join(missing)}; it has {', '.join(table.columns)}")
    if table.empty:
        raise ValueError(f"{path} lists nothing; get it again")
    return table


def present(path: Path) -> Path:
    """Return `path`.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: the set is not complete; copy its whole folder again")
    return path


def codes(names: Sequence[str], classes: tuple[str, ...]) -> NDArray[np.int64]:
    """The positions in `classes` of the class of each image.

    Raises:
        ValueError: a name that is no class.
    """
    if unknown := sorted(set(names) - set(classes)):
        raise unknown_name_error("class", unknown[0], classes)
    return np.array([classes.index(name) for name in names])


def picture_reader(
    folder: Path, names: Sequence[str], size: int, mode: str, ending: str, masks: str | None = None
) -> Read:
    """A reader, for `Listing`, of ``images/NAME`` and of binary masks in the folder `masks`, averaged to `size`.

    Args:
        folder: the folder of the set.
        names: of the files, without their `ending` (masks end in .png), with ``/`` before the name of a subfolder.
        size: edge length in pixels. Half of a pixel or more must lie in the mask for the pixel to.
        mode: "L" for gray images ``(N, 1, size, size)``, "RGB" for color ``(N, 3, size, size)``.
        ending: such as ".jpg".
        masks: such as "masks"; None for none.

    Raises:
        ValueError: a name that leads out of the folder.
    """
    if outside := [name for name in names if Path(name).is_absolute() or ".." in Path(name).parts]:
        raise ValueError(f"{folder}: its table names a file outside the folder ({outside[0]}); do not trust it")

    def read(rows: np.ndarray) -> tuple[torch.Tensor, np.ndarray | None]:
        check_size(folder, (len(rows), len(mode), size, size))
        drawn = [names[row] for row in rows]
        pixels = np.stack([_picture(folder / "images" / f"{name}{ending}", size, mode) for name in drawn])
        if masks is None:
            return channels_first(pixels, pixels.ndim - 1), None
        inside = np.stack([_picture(folder / masks / f"{name}.png", size, "L") for name in drawn]) > 127
        return channels_first(pixels, pixels.ndim - 1), inside.astype(np.uint8)

    return read


def array_reader(path: Path, size: int, images: Sequence[str], masks: Sequence[str] = ()) -> tuple[Read, list[int]]:
    """A reader, for `Listing`, of the uint8 arrays ``(N, H, H)`` of these names in an archive, one after the other.

    Masks hold 0 and any other number. Both are averaged to `size`, as by `picture_reader`.

    Returns:
        The reader, and the number of images in each array.

    Raises:
        FileNotFoundError: there is no archive.
        ValueError: see `array_shape`; images that are not square, or another number of masks.
    """
    shapes = {key: array_shape(present(path), key) for key in (*images, *masks)}
    counts = [shapes[key][0] for key in images]
    if any(len(shape) != 3 or shape[1] != shape[2] for shape in shapes.values()) or (
        masks and [shapes[key] for key in masks] != [shapes[key] for key in images]
    ):
        raise ValueError(f"{path} must hold square gray images, and a mask for each, but holds {shapes}; get it again")
    starts = np.concatenate([[0], np.cumsum(counts)])

    def stored(keys: Sequence[str], rows: np.ndarray) -> np.ndarray:
        parts = [rows[(rows >= a) & (rows < b)] - a for a, b in zip(starts, starts[1:])]
        return np.concatenate([read_rows(path, key, shapes[key], part) for key, part in zip(keys, parts) if len(part)])

    def resized(array: np.ndarray) -> np.ndarray:
        return np.stack([_averaged(Image.fromarray(pixels), size) for pixels in array])

    def read(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        check_size(path, (len(rows), size, size))
        pixels = resized(stored(images, rows))[:, None]
        if not masks:
            return pixels, None
        inside = (stored(masks, rows) > 0).astype(np.uint8) * 255
        return pixels, (resized(inside) > 127).astype(np.uint8)

    return read, counts


def column(path: Path, *keys: str) -> np.ndarray:
    """The values ``(N,)`` of the arrays of these names, one after the other: numbers or strings, not pickled.

    Raises:
        ValueError: see `array_shape`; pickled objects.
    """
    for key in keys:
        array_shape(path, key)
    with np.load(path, allow_pickle=False) as archive:
        return np.concatenate([archive[key].reshape(-1) for key in keys])


def _picture(path: Path, size: int, mode: str) -> NDArray[np.uint8]:
    """A square picture of 8 bits or fewer, averaged to `size`; its own size is read before its pixels."""
    present(path)
    try:
        with Image.open(path, formats=("JPEG", "PNG")) as image:
            if image.mode not in ("1", "L", "RGB"):
                raise ValueError(f"{path} is not a gray or color image of 8 bits (mode {image.mode}); convert it first")
            if image.width != image.height or image.width > LARGEST_SIDE:
                shape = f"{image.height} x {image.width}"
                raise ValueError(f"{path} is {shape}, expected a square of at most {LARGEST_SIDE} pixels a side")
            return _averaged(image.convert(mode), size)
    except OSError as error:
        raise ValueError(f"{path} is truncated or damaged ({error}); get it again") from error


def _averaged(image: Image.Image, size: int) -> NDArray[np.uint8]:
    return np.array(image.resize((size, size), Image.Resampling.BOX))
