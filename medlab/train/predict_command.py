"""`medlab predict`: what a saved network says of files: classes in a table, or masks on the grids of the files."""

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from medlab.data import Volume, load_dicom, load_dicom_series, load_nifti, to_nifti
from medlab.data.dicom import has_image, read_header
from medlab.data.folders import list_files, list_folders
from medlab.data.grids import PERCENTILES, fit_to, resample_slices, resample_volume, scale_voxels
from medlab.data.image_files import DICOM, PICTURES, is_picture, read_picture, resize_plane
from medlab.data.scans import up_to_percentile
from medlab.metrics.classification import scale_temperature
from medlab.storage import write_file
from medlab.text import to_spreadsheet
from medlab.train.evaluate import predict

if TYPE_CHECKING:
    import pandas as pd

NIFTI = (".nii", ".nii.gz")


class FilesFailedError(Exception):
    """Some files of a folder could not be predicted; the others were."""


def predict_to(network: nn.Module, path: str | Path, out: Path | None = None) -> Iterator[str]:
    """Predict files as `predict_files` does; masks are written to the folder `out`, ``predictions`` for None, and a
    table to the file `out`, if that is given. A file of a folder that cannot be predicted is a row, or a line, that
    says why.

    Yields:
        What to print: the table, or where each mask is.

    Raises:
        FileNotFoundError, ValueError: see `predict_files`; two files of which the masks would have one name.
        OSError: `out` cannot be written.
        FilesFailedError: after all others, where a file of a folder failed.
    """
    import pandas as pd

    card: Any = network.card
    tables, written, failed = [], set(), []
    for name, found in predict_files(network, path):
        if isinstance(found, Exception):
            failed.append(name)
            if card["task"] == "segmentation":
                yield f"{name}: error: {found}"
            else:
                tables.append(pd.DataFrame({"image": [name], "slice": [None], "error": [str(found)]}))
            continue
        if not isinstance(found, nib.Nifti1Image | Image.Image):
            tables.append(found)
            continue
        folder = out or Path("predictions")
        volume = isinstance(found, nib.Nifti1Image)
        target = folder / Path(name).with_name(
            f"{Path(name).name.partition('.')[0]}_mask{'.nii.gz' if volume else '.png'}"
        )
        if target in written:
            raise ValueError(f"{target} would be the mask of two files, the second is {name}: rename one")
        written.add(target)
        write_file(target, _file_of(found))
        yield f"{name}: {target}"
    if tables:
        table = pd.concat(tables)
        if failed:
            table["error"] = table.pop("error")  # the last column
        table = table.rename(columns=to_spreadsheet)
        table = table.map(lambda cell: to_spreadsheet(cell) if isinstance(cell, str) else cell)
        if out is not None:
            write_file(out, table.to_csv(index=False))
        yield table.to_csv(index=False, float_format="%.4f").rstrip()
    if failed:
        raise FilesFailedError(f"{len(failed)} of the files could not be predicted, the first is {failed[0]}")


def predict_files(
    network: nn.Module, path: str | Path
) -> Iterator[tuple[str, "pd.DataFrame | nib.Nifti1Image | Image.Image | Exception"]]:
    """Predict a file, or all files of a folder and the folders in it.

    The DICOM slices of one series in a folder are one scan, unless a classifier was trained on images of unknown
    spacing: then each is an image. Scans are resampled to the pixels that the network knows, and scaled as those that
    it was trained on, by its window or by percentiles; pictures are taken as they are, 0 to 255, but for percentiles.
    To be classified they are padded or cropped around their center, or where no size of a pixel is known squeezed, as
    pictures are; each slice is an image if the network takes slices. Color is turned to gray for one channel.

    Args:
        network: as of `load_model`: its `card` says `task`, `classes`, `channels`, `size`, what 0 and 1 are (`window`,
            (low, high), or percentiles as `unit`), and where they are known `spacing` (mm by axis) and `temperature`,
            by which probabilities are calibrated.
        path: DICOM, NIfTI, or pictures (PNG, JPEG, TIFF, BMP).

    Yields:
        The name of each file, and what was found: a table with the columns image, slice, class, a probability for each
        class, and calibrated (yes or no); or the label map on the grid of the file; or, in a folder, the error that
        says why this file cannot be predicted.

    Raises:
        FileNotFoundError: no such file; no image in the folder.
        ValueError: a network without a card, or that predicts nothing; a single file that its reader refuses, of other
            channels, or a scan for a network whose card does not say how scans were scaled.
    """
    card: Any = getattr(network, "card", None)
    if card is None:
        raise ValueError(f"network must be one of load_model, which has a card; this {type(network).__name__} has none")
    if card["task"] not in ("multi-class", "multi-label", "segmentation"):
        raise ValueError(f"{card['name']} is for {card['task']}, it predicts nothing; take a classifier")
    segments, root = card["task"] == "segmentation", Path(path).expanduser().absolute()
    for item in _items(root, card):
        name = item.name if item == root else item.relative_to(root).as_posix()
        try:
            image = _read(item, card)
            found = _mask(network, image) if segments else _table(network, name, image)
        except (OSError, ValueError) as error:
            if item == root:
                raise
            found = error
        yield name, found


def _items(path: Path, card: dict) -> list[Path]:
    """The file itself; in a folder and those in it, the images and each folder that is one series of DICOM slices."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}; check the path")
    items = _images_in(path, card) if path.is_dir() else [path]
    if not items:
        raise FileNotFoundError(f"no DICOM, NIfTI or picture in {path}; give the folder that holds the images")
    return items


def _images_in(folder: Path, card: dict) -> list[Path]:
    from pydicom.misc import is_dicom

    images, others = list_files(folder, PICTURES + NIFTI)
    slices, series = [], set()
    for path in others:
        try:
            if not path.name.lower().endswith(DICOM) and not is_dicom(path):
                continue
            header = read_header(path)
        except (OSError, ValueError):  # said when it is read
            slices.append(path)
            continue
        if has_image(header):
            slices.append(path)
            series.add(header.get("SeriesInstanceUID"))
    lone = card["task"] != "segmentation" and len(card["size"]) == 2 and not card.get("spacing")
    one_scan = len(slices) > 1 and not images and len(series) == 1 and not lone
    deeper = [path for each in list_folders(folder) if not each.is_symlink() for path in _images_in(each, card)]
    return [*([folder] if one_scan else sorted(images + slices)), *deeper]


def _read(path: Path, card: dict) -> Volume | NDArray[np.float32]:
    """A scan with the network's pixels, or an image ``(C, H, W)`` of its size if it is a classifier; in [0, 1]."""
    size, channels = None if card["task"] == "segmentation" else tuple(card["size"]), card["channels"]
    if is_picture(path) and card.get("window"):
        raise ValueError(
            f"{path} is a picture, of gray values, but {card['name']} takes {card['unit']}: give it DICOM or NIfTI"
        )
    if is_picture(path) and channels == 3:
        return read_picture(path, size)
    if channels != 1:
        raise ValueError(
            f"{path} has {'1 or 3 channels' if is_picture(path) else 'one channel'}, but {card['name']} takes "
            f"{channels}: {'give it color pictures' if channels == 3 else 'stack them, and call predict'}"
        )
    if is_picture(path):
        picture = read_picture(path, size, "L")
        return _scale(picture, card, path) if card["unit"].startswith(PERCENTILES) else picture
    if not path.is_dir() and not path.name.lower().endswith(NIFTI):
        plane = _scale(load_dicom(path)[0], card, path)
        return (plane if size is None else resize_plane(plane, size))[None]
    volume = load_dicom_series(path) if path.is_dir() else load_nifti(path)
    if spacing := card.get("spacing"):
        resample = resample_slices if len(spacing) == 2 else resample_volume
        volume, _ = resample(volume, spacing)
    return replace(volume, voxels=_scale(volume.voxels, card, path))


def _scale(voxels: NDArray[np.float32], card: dict, path: Path) -> NDArray[np.float32]:
    """Scale to [0, 1] as the training images were."""
    if card.get("window") or card["unit"].startswith(PERCENTILES):
        return scale_voxels(voxels, card.get("window"), path)
    if "1 = 99.5th percentile" in card["unit"]:
        return up_to_percentile(voxels)
    raise ValueError(
        f"{path}: the card of {card['name']} does not say which values of a scan 0 and 1 are ({card['unit']}); make "
        "the training set with load_image_files or slice_set, or give ImageSet its window=(low, high), and save again"
    )


def _mask(network: nn.Module, image: Volume | NDArray[np.float32]) -> nib.Nifti1Image | Image.Image:
    from matplotlib import colormaps

    mask = predict(network, image, labels=True)
    if isinstance(image, Volume):
        return to_nifti(mask, like=image)
    picture = Image.fromarray(mask.numpy())
    colors = np.array([(0, 0, 0), *colormaps["tab10"](range(10))[:, :3]]) * 255  # the labels are their numbers
    picture.putpalette(colors.round().astype(np.uint8).tobytes())
    return picture


def _file_of(mask: nib.Nifti1Image | Image.Image) -> bytes:
    if isinstance(mask, nib.Nifti1Image):
        return gzip.compress(mask.to_bytes())
    file = BytesIO()
    mask.save(file, "png")
    return file.getvalue()


def _table(network: nn.Module, name: str, image: Volume | NDArray[np.float32]) -> "pd.DataFrame":
    import pandas as pd

    card: Any = network.card
    slices: Sequence[int | None] = [None]
    if isinstance(image, Volume):
        size, upright = tuple(card["size"]), image.voxels[:, ::-1, ::-1]
        if card.get("spacing"):
            image = fit_to(upright, size)
        elif len(size) == 2:
            image = np.stack([resize_plane(plane, size) for plane in upright])
        else:
            cube = torch.from_numpy(upright.copy())[None, None]
            image = nn.functional.interpolate(cube, size, mode="trilinear")[0, 0]
        if len(size) == 2:
            slices, image = range(len(image)), image[:, None]
    probs = predict(network, image).double().numpy().reshape(len(slices), -1)
    if calibrated := card.get("temperature"):
        probs = scale_temperature(probs, calibrated)
    above = probs > 0.5 if card["task"] == "multi-label" else probs == probs.max(1, keepdims=True)
    said = [", ".join(c for c, is_said in zip(card["classes"], row) if is_said) for row in above]
    return pd.DataFrame(
        {"image": name, "slice": slices, "class": said}
        | dict(zip(card["classes"], probs.T))
        | {"calibrated": "yes" if calibrated else "no"}
    )
