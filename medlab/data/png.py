"""PNG images and masks, from two folders."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medlab.data.archives import ImageStore
from medlab.data.folders import counted, list_files, told
from medlab.data.images import ImageSet, Info
from medlab.data.nifti import check_size
from medlab.data.pictures import open_picture


def load_png_folder(images: str | Path, masks: str | Path, info: Info | None = None) -> ImageSet:
    """Read images and binary masks of the same names from two folders: ``(N, 1, H, W)`` and ``(N, H, W)`` of 0 and 1.

    Each image counts as its own patient. Color is turned to gray; 8-bit 0 to 255 becomes 0 to 1. A mask shows its
    object by any value, palette index, color or opacity other than that of the background. Hidden files are passed
    over; what else is left out is counted in a warning and in the note of the set. More than 2 GiB are kept on disk, in
    the cache folder.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no PNG, two of one name, an image without mask, images or masks of different size, not 8-bit or
            damaged, a transparent image, a mask with more than two values, an image larger than allowed.
    """
    paths, others = list_files(images, [".png"])
    if not paths:
        raise ValueError(f"{images} holds no .png file; {counted(others, 'of other kinds') or 'it is empty'}")
    mask_paths, more = list_files(masks, [".png"])
    own, mask_of = _by_stem(paths), _by_stem(mask_paths)
    missing = [path.name for path in paths if path.stem not in mask_of]
    if missing:
        raise ValueError(f"{len(missing)} of {len(paths)} images have no mask in {masks}, the first is {missing[0]}")
    unused = [path for path in mask_paths if path.stem not in own]
    size = open_picture(paths[0]).size[::-1]
    check_size(paths[0], size)
    store, labels = ImageStore(), []
    for path in paths:
        store.add(_sized(path, size, opaque_gray)[None, None].astype(np.float32) / 255)
        label = _sized(mask_of[path.stem], size, mask_values)
        _check_mask(mask_of[path.stem], np.unique(label))
        labels.append(label > 0)
    info = info or Info(Path(images).name, "unknown", "segmentation", ("background", "object"), "unknown", "")
    left_out = [counted([*others, *more], "left out, not .png"), counted(unused, "left out, masks without an image")]
    if said := told(f"{images} and {masks}", left_out):
        info = replace(info, note=f"{info.note} {said}".lstrip())
    return ImageSet(store.array(), np.stack(labels), [path.stem for path in paths], info)


def opaque(image: Image.Image, path: Path) -> Image.Image:
    """Return the picture, or raise a ValueError if it is transparent somewhere: no gray value is known there."""
    if image.has_transparency_data and np.array(image.convert("RGBA"))[..., 3].min() < 255:
        raise ValueError(f"{path} has transparent pixels, whose brightness is unknown; flatten it onto a background")
    return image


def opaque_gray(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    """The pixels ``(H, W)`` of a picture without transparent ones, its colors turned to gray."""
    return np.array(opaque(image, path).convert("L"))


def mask_values(image: Image.Image, path: Path) -> NDArray[np.int32]:
    """The values ``(H, W)`` of a mask that was opened at `path`: 0 is background, whatever the object looks like.

    A palette gives its indices, color one number per color, a gray picture its values; where one color is all there
    is, opacity draws the mask.

    Raises:
        ValueError: a palette whose background is not clear, or color and opacity that show different masks.
    """
    if image.mode == "P":
        values = np.array(image, np.int32)
        used, colors = np.unique(values), np.array(image.convert("RGB")).reshape(-1, 3)
        dark = {int(index) for index in used if not colors[(values == index).ravel()].any()}
        if 0 in used and 0 not in dark and dark:
            raise ValueError(
                f"mask {path}: index 0 of its palette is not black, but index {min(dark)} is, so which is background "
                "is unclear; write it as 0 and 255"
            )
        return values
    pixels = np.array(image.convert("RGBA"), np.int32)
    color, opacity = pixels[..., :3], pixels[..., 3]
    gray = (color == color[..., :1]).all()
    values = color[..., 0] if gray else color @ np.array([65536, 256, 1], np.int32)
    if opacity.min() == opacity.max():
        return values
    if values.min() == values.max():
        return opacity
    if ((values > 0) != (opacity > 0)).any():
        raise ValueError(f"mask {path}: its colors and its opacity show different masks; write it as 0 and 255")
    return values


def _by_stem(paths: list[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        if path.stem in found:
            raise ValueError(f"{path.parent} holds both {found[path.stem].name} and {path.name}; remove one")
        found[path.stem] = path
    return found


def _sized(path: Path, size: tuple[int, int], read) -> NDArray:
    image = open_picture(path)
    if (image.height, image.width) != size:
        raise ValueError(f"{path} is {image.height} x {image.width}, expected {size[0]} x {size[1]}: use one size")
    return read(image, path)


def _check_mask(path: Path, values: NDArray[np.int32]) -> None:
    if len(values) < 2 or (len(values) == 2 and values[0] == 0):
        return
    message = f"mask {path.name} must hold 0 and one other value, got {values[:5].tolist()}"
    if len(values) > 2:
        message += " ..." * (len(values) > 5)
        message += "; if these are several classes, write the one to be found as 0 and 255"
        if 128 <= values[-1] <= 255:
            message += (
                "; if its edges were smoothed, threshold at 128: Image.open(path).convert('L')"
                ".point(lambda value: 255 * (value >= 128)).save(path)"
            )
    raise ValueError(f"{message} ({path})")
