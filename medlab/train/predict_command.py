"""`medlab predict`: what a saved network says of files: classes in a table, or masks on the grids of the files."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import torch
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from medlab.data import Volume, load_dicom, load_dicom_series, load_nifti, to_nifti
from medlab.data.dicom import read_header
from medlab.data.folders import list_files
from medlab.data.grids import fit_to, resample_slices, resample_volume, scale_voxels
from medlab.data.image_files import PICTURES, read_picture, resize_plane
from medlab.metrics.classification import scale_temperature
from medlab.train.evaluate import predict

if TYPE_CHECKING:
    import pandas as pd

NIFTI = (".nii", ".nii.gz")


def predict_to(network: nn.Module, path: str | Path, out: Path | None = None) -> Iterator[str]:
    """Predict files as `predict_files` does; masks are written to the folder `out`, ``predictions`` for None, and a
    table to the file `out`, if that is given.

    Yields:
        What to print: the table, or where each mask is.

    Raises:
        FileNotFoundError, ValueError: see `predict_files`; two files of which the masks would have one name.
        OSError: `out` cannot be written.
    """
    tables, written = [], set()
    for name, found in predict_files(network, path):
        if not isinstance(found, nib.Nifti1Image | Image.Image):
            tables.append(found)
            continue
        folder = out or Path("predictions")
        folder.mkdir(parents=True, exist_ok=True)
        volume = isinstance(found, nib.Nifti1Image)
        target = folder / f"{name.partition('.')[0]}_mask{'.nii.gz' if volume else '.png'}"
        if target in written:
            raise ValueError(f"{target} would be the mask of two files, the second is {name}: rename one")
        written.add(target)
        nib.save(found, target) if volume else found.save(target)
        yield f"{name}: {target}"
    if tables:
        import pandas as pd

        table = pd.concat(tables)
        if out is not None:
            table.to_csv(out, index=False)
        yield table.to_csv(index=False, float_format="%.4f").rstrip()


def predict_files(
    network: nn.Module, path: str | Path
) -> Iterator[tuple[str, "pd.DataFrame | nib.Nifti1Image | Image.Image"]]:
    """Predict a file, each file of a folder, or the scan whose DICOM slices a folder holds.

    Scans are resampled to the pixels that the network knows, and scaled by its window or else between their own 0.5th
    and 99.5th percentile. To be classified they are padded or cropped around their center, or where no size of a pixel
    is known squeezed, as pictures are; each slice is an image if the network takes slices.

    Args:
        network: as of `load_model`: its `card` says `task`, `classes`, `channels`, `size`, and where they are known
            `spacing` (mm by axis), `window` (low, high) and `temperature`, by which probabilities are calibrated.
        path: DICOM, NIfTI, or pictures (PNG, JPEG, TIFF, BMP).

    Yields:
        The name of each file, and what was found: a table with the columns image, slice, class, a probability for each
        class, and calibrated (yes or no); or the label map on the grid of the file.

    Raises:
        FileNotFoundError: no such file; no image in the folder.
        ValueError: a network that predicts nothing; a file that its reader refuses, or of other channels.
    """
    if network.card["task"] not in ("multi-class", "multi-label", "segmentation"):
        raise ValueError(
            f"{network.card['name']} is for {network.card['task']}, it predicts nothing; take a classifier"
        )
    segments = network.card["task"] == "segmentation"
    for item in _items(Path(path).expanduser().absolute()):
        image = _read(item, network.card)
        yield item.name, _mask(network, image) if segments else _table(network, item.name, image)


def _items(path: Path) -> list[Path]:
    """The file itself, a folder that is one series of DICOM slices, or the images in a folder."""
    from pydicom.misc import is_dicom

    if not path.is_dir():
        if not path.exists():
            raise FileNotFoundError(f"there is no file or folder {path}; check the path")
        return [path]
    images, others = list_files(path, PICTURES + NIFTI)
    slices = [each for each in others if is_dicom(each)]
    if len(slices) > 1 and not images and len({read_header(each).get("SeriesInstanceUID") for each in slices}) == 1:
        return [path]
    if not images + slices:
        raise FileNotFoundError(f"no DICOM, NIfTI or picture in {path}; give the folder that holds the images")
    return sorted(images + slices)


def _read(path: Path, card: dict) -> Volume | NDArray[np.float32]:
    """A scan with the network's pixels, or an image ``(C, H, W)`` of its size if it is a classifier; in [0, 1]."""
    name, window = path.name.lower(), card.get("window")
    size = None if card["task"] == "segmentation" else tuple(card["size"])
    if name.endswith(PICTURES):
        return read_picture(path, size, "RGB" if card["channels"] == 3 else "L")
    if not path.is_dir() and not name.endswith(NIFTI):
        plane = scale_voxels(load_dicom(path)[0], window, path)
        return (plane if size is None else resize_plane(plane, size))[None]
    volume = load_dicom_series(path) if path.is_dir() else load_nifti(path)
    if spacing := card.get("spacing"):
        resample = resample_slices if len(spacing) == 2 else resample_volume
        volume, _ = resample(volume, spacing)
    return replace(volume, voxels=scale_voxels(volume.voxels, window, path))


def _mask(network: nn.Module, image: Volume | NDArray[np.float32]) -> nib.Nifti1Image | Image.Image:
    mask = predict(network, image, labels=True)
    if isinstance(image, Volume):
        return to_nifti(mask, like=image)
    picture = Image.fromarray(mask.numpy())
    colors = np.array([(0, 0, 0), *colormaps["tab10"].colors]) * 255  # the labels are their numbers
    picture.putpalette(colors.round().astype(np.uint8).tobytes())
    return picture


def _table(network: nn.Module, name: str, image: Volume | NDArray[np.float32]) -> "pd.DataFrame":
    import pandas as pd

    card, slices = network.card, [None]
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
