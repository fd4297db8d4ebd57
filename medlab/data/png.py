"""PNG images and masks, from two folders."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medlab.data.images import ImageSet, Info
from medlab.data.nifti import check_size


def load_png_folder(images: str | Path, masks: str | Path, info: Info | None = None) -> ImageSet:
    """Read images and binary masks of the same names from two folders: ``(N, 1, H, W)`` and ``(N, H, W)`` of 0 and 1.

    Each image counts as its own patient. Color is turned to gray; 8-bit 0 to 255 becomes 0 to 1.

    Raises:
        ValueError: no PNG, an image without mask, images or masks of different size or not 8-bit, a mask with more
            than two values, more than `LIMIT`.
    """
    paths = sorted(Path(images).glob("*.png"))
    if not paths:
        raise ValueError(f"{images} holds no .png file")
    missing = [path.name for path in paths if not (Path(masks) / path.name).is_file()]
    if missing:
        raise ValueError(f"{len(missing)} of {len(paths)} images have no mask in {masks}, the first is {missing[0]}")
    with Image.open(paths[0]) as first:
        size = first.height, first.width
    check_size(images, (len(paths), *size))
    pixels = np.stack([_png(path, size) for path in paths])
    labels = np.stack([_png(Path(masks) / path.name, size) for path in paths])
    for path, label in zip(paths, labels):
        values = np.unique(label)
        if len(values) > 2 or (len(values) == 2 and values[0] != 0):
            raise ValueError(f"mask {path.name} must hold 0 and one other value, got {values[:5].tolist()}")
    info = info or Info(Path(images).name, "unknown", "segmentation", ("background", "object"), "unknown", "")
    return ImageSet(pixels[:, None].astype(np.float32) / 255, labels > 0, [path.stem for path in paths], info)


def gray_pixels(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    """The pixels ``(H, W)`` of a picture that was opened at `path`, its colors turned to gray.

    Raises:
        ValueError: more than 8 bits, or a damaged file.
    """
    if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
        raise ValueError(f"{path} is not an 8-bit image (mode {image.mode}); convert it first")
    try:
        return np.array(image.convert("L"))
    except OSError as error:
        raise ValueError(f"{path} is truncated or damaged ({error}); get it again") from error


def _png(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        if (image.height, image.width) != size:
            raise ValueError(f"{path} is {image.height} x {image.width}, expected {size[0]} x {size[1]}: use one size")
        return gray_pixels(image, path)
