"""Readers, for `Listing`, of sets of pictures: files, and the arrays of .npz archives."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from medlab.data.archives import array_shape, channels_first, read_rows
from medlab.data.files import damage, present
from medlab.data.listing import Read
from medlab.data.nifti import check_size
from medlab.limits import excess
from medlab.text import from_spreadsheet

if TYPE_CHECKING:
    import pandas as pd

PLAIN = ("1", "L", "RGB")  # kinds of picture, as Pillow calls them
ERRORS = SyntaxError, ValueError, Image.DecompressionBombError  # of Pillow
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF")
EIGHT_BITS = (*PLAIN, "LA", "P", "PA", "RGBA")


def read_table(path: Path, columns: Sequence[str]) -> "pd.DataFrame":
    """Read a .csv file as strings.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a column is missing, or there is no row.
    """
    import pandas as pd  # here, since it takes a fifth of a second to import

    try:
        table = pd.read_csv(present(path), dtype=str, keep_default_na=False).map(from_spreadsheet)
    except (ValueError, pd.errors.ParserError) as error:
        raise ValueError(f"{path} is no table ({error}); write it as CSV in UTF-8, one row a line") from error
    table = table.rename(columns=from_spreadsheet)
    if missing := [column for column in columns if column not in table]:
        raise ValueError(f"{path} has no column {', '.join(missing)}; it has {', '.join(table.columns)}")
    if table.empty:
        raise ValueError(f"{path} lists nothing; get it again")
    return table


def open_picture(path: Path, kinds: Sequence[str] = EIGHT_BITS) -> Image.Image:
    """Read a picture of one page and of one of the `kinds`; its size and kind are checked before its pixels are read.

    Raises:
        FileNotFoundError: no such file.
        ValueError: damaged, larger than allowed, of several pages, or of another kind.
    """
    with damage(path, *ERRORS), _our_limit(), Image.open(path, formats=FORMATS) as image:
        if more := excess("picture_side", max(image.size)):
            wrong = f"is {image.height} x {image.width} pixels, {more}"
        elif image.mode not in kinds:  # 16 bits would turn white
            wrong = f"is not an 8-bit image (mode {image.mode}): convert it to {', '.join(kinds)}, scaled to 0..255"
        elif image.format != "MPO" and (frames := getattr(image, "n_frames", 1)) > 1:  # MPO: a photo and its preview
            wrong = f"holds {frames} pages or frames; write each into a file of its own"
        else:
            image.load()
            return image
    raise ValueError(f"{path} {wrong}")


@contextmanager
def _our_limit() -> Iterator[None]:
    """Let Pillow refuse no picture by its own limit; it reads the size first, and ours decides."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def picture_reader(
    images: Sequence[Path], size: int, mode: str, masks: Sequence[Path] | None = None, *, squeeze: bool = False
) -> Read:
    """A reader of picture files and of their binary masks, averaged to `size`.

    Args:
        images: a file for each image of the set.
        size: edge length in pixels. Half of a pixel or more must lie in the mask for the pixel to.
        mode: "L" for gray images ``(N, 1, size, size)``, "RGB" for color ``(N, 3, size, size)``.
        masks: a file for each image; None for none.
        squeeze: take pictures of any 8-bit kind and squeeze them to squares; else they must be plain and square.
    """

    def read(rows: np.ndarray) -> tuple[Tensor, np.ndarray | None]:
        check_size(images[0].parent, (len(rows), len(mode), size, size))
        pixels = channels_first(np.stack([_resized(images[row], size, mode, squeeze) for row in rows]))
        if masks is None:
            return pixels, None
        inside = np.stack([_resized(masks[row], size, "L", squeeze) for row in rows]) > 127
        return pixels, inside.astype(np.uint8)

    return read


def array_reader(path: Path, size: int, images: Sequence[str], masks: Sequence[str] = ()) -> tuple[Read, list[int]]:
    """A reader of the uint8 arrays ``(N, H, H)`` or ``(N, H, H, 3)`` of these names in an archive, one after the other.

    Masks hold 0 and any other number. Both are averaged to `size`, as by `picture_reader`.

    Returns:
        The reader, and the number of images in each array.

    Raises:
        FileNotFoundError: there is no archive.
        ValueError: see `array_shape`; images that are not square, or another number of masks.
    """
    pixels_of, masks_of = ({key: array_shape(present(path), key) for key in keys} for keys in (images, masks))
    shapes = list(pixels_of.values())
    square = all(len(shape) >= 3 and shape[1] == shape[2] and shape[3:] in ((), (3,)) for shape in shapes)
    if not square or (masks and list(masks_of.values()) != shapes):
        found = pixels_of | masks_of
        raise ValueError(f"{path} must hold square images, and a mask for each, but holds {found}; get it again")

    def resized(array: np.ndarray) -> np.ndarray:
        return np.stack([_averaged(Image.fromarray(pixels), size) for pixels in array])

    def read(rows: np.ndarray) -> tuple[Tensor, np.ndarray | None]:
        check_size(path, (len(rows), size, size))
        pixels = channels_first(resized(read_rows(path, pixels_of, rows)))
        if not masks:
            return pixels, None
        inside = (read_rows(path, masks_of, rows) > 0).astype(np.uint8) * 255
        return pixels, (resized(inside) > 127).astype(np.uint8)

    return read, [shape[0] for shape in shapes]


def _resized(path: Path, size: int, mode: str, squeeze: bool) -> NDArray[np.uint8]:
    image = open_picture(present(path), EIGHT_BITS if squeeze else PLAIN).convert(mode)
    if not squeeze and image.width != image.height:
        raise ValueError(f"{path} is {image.height} x {image.width}, expected a square")
    return _averaged(image, size)


def _averaged(image: Image.Image, size: int) -> NDArray[np.uint8]:
    return np.array(image.resize((size, size), Image.Resampling.BOX))
