"""Own arrays as `ImageSet` keeps them: images cast or refused by name, class names as numbers, patients without ids."""

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2.functional import pil_to_tensor

SCALE = "scale them, np.clip((images - low) / (high - low), 0, 1), a CT by a window (low, high) in HU"
MISSING = {"", "none", "nan", "nat", "<na>"}  # ids, as text
NO_ID = "no id "  # how the id of an image without one begins


def as_images(images: Tensor | np.ndarray | Sequence, name: str) -> Tensor:
    """Images ``(N, C, H, W)`` or ``(N, C, D, H, W)`` as float32 in [0, 1]; uint8 stays as it is, mapped files too.

    Raises:
        ValueError: another shape, colors on the last axis, integers of no known range, values outside [0, 1].
    """
    images = _as_tensor(images, name, "images")
    shape = tuple(images.shape)
    if images.ndim not in (4, 5):
        advice = "; gray images have one channel: give images[:, None]" if images.ndim == 3 else ""
        raise ValueError(f"{name}: images must be (N, C, H, W) or (N, C, D, H, W), got {shape}{advice}")
    if len(images) == 0:
        raise ValueError(f"{name}: the set holds no image")
    if shape[-1] in (3, 4) and shape[1] > 4:
        raise ValueError(
            f"{name}: images {shape} would be {shape[-1]} pixels wide and have {shape[1]} channels; channels come "
            "second: give np.moveaxis(images, -1, 1)"
        )
    if images.dtype == torch.uint8:
        return images
    if not images.is_floating_point():
        raise ValueError(
            f"{name}: images must be float in [0, 1] or uint8, got {images.dtype}, of no known range: {SCALE}, or "
            "cast gray values of 0 to 255, images.astype(np.uint8)"
        )
    low, high = images.aminmax()  # one pass over memory; NaN where there is one
    if not (low >= 0 and high <= 1):
        raise ValueError(f"{name}: images must lie in [0, 1] without NaN, got {low:g} to {high:g}; {SCALE}")
    return images.float()


def as_targets(
    targets: Tensor | np.ndarray | Sequence | None,
    shape: tuple[int, ...],
    task: str,
    classes: tuple[str, ...],
    name: str,
) -> tuple[Tensor, str, tuple[str, ...]]:
    """Targets that fit images of `shape`, label maps as uint8 and the rest as int64, their task and their classes.

    None gives targets ``(N, 0)``. Names of classes become their positions in `classes`, or where there are none, in the
    order of the alphabet; numbers without classes are their own names. The task "unlabeled" follows from the shape.

    Raises:
        ValueError: targets of another shape, missing, not whole, or not among the classes; numbers with a gap and no
            classes.
    """
    n = shape[0]
    if targets is None:
        return torch.empty((n, 0), dtype=torch.int64), "unlabeled", classes
    if not isinstance(targets, Tensor):
        targets = _without_missing(np.asarray(targets), name, "targets")
        if targets.dtype.kind == "U":
            targets, classes = _numbered(targets, classes, name)
    targets = _as_tensor(targets, name, "targets")
    if targets.is_floating_point() or targets.is_complex():
        raise ValueError(
            f"{name}: targets must be whole numbers, got {targets.dtype}: cast classes, targets.astype(int); measured "
            "values (regression) are out of scope here, so cut them into classes"
        )
    if task == "unlabeled":
        if targets.ndim == 2 and targets.shape[1] == 1:
            raise ValueError(f"{name}: targets {tuple(targets.shape)} are of one column: give targets[:, 0]")
        if targets.ndim == 2 and bool(((targets != 0).sum(1) == 1).all() & (targets.sum(1) == 1).all()):
            raise ValueError(
                f"{name}: targets {tuple(targets.shape)} have a single 1 in each row, as classes in one-hot code: give "
                'targets.argmax(1); labels of which an image may have several are task="multi-label"'
            )
        task = {1: "multi-class", 2: "multi-label"}.get(targets.ndim, "segmentation")
    if task == "multi-label" and not classes and targets.ndim == 2:
        classes = tuple(map(str, range(targets.shape[1])))
    expected = {"multi-class": (n,), "multi-label": (n, len(classes)), "segmentation": (n, *shape[2:])}[task]
    if tuple(targets.shape) != expected:
        raise ValueError(
            f"{name}: {task} targets must have shape {expected} to match images {shape}, got {tuple(targets.shape)}"
        )
    targets = targets if targets.dtype == torch.uint8 else targets.long()
    classes = classes or _number_names(targets, name)
    if task == "segmentation" and len(classes) > 256:
        raise ValueError(f"{name}: label maps hold at most 256 classes, got {len(classes)}")
    top = 1 if task == "multi-label" else len(classes) - 1
    low, high = targets.aminmax()
    if low < 0 or high > top:
        bad = targets[(targets < 0) | (targets > top)][0].item()
        raise ValueError(f"{name}: target {bad} is out of range 0..{top} for classes {classes}")
    return targets.to(torch.uint8 if task == "segmentation" else torch.int64), task, classes


def as_patients(patients: Sequence | np.ndarray | None, images: Tensor, name: str) -> np.ndarray:
    """One id per image ``(N,)``; without `patients` every image has one of its own, which begins with `NO_ID`.

    Raises:
        ValueError: another number of ids than images, an id that is missing (empty, None or NaN).
    """
    n = len(images)
    if patients is None:  # the same for the same images, so that a training is known again
        key = zlib.crc32(images[:16].cpu().numpy().tobytes())
        return np.array([f"{NO_ID}{key:08x}-{position}" for position in range(n)])
    patients = np.asarray(patients)
    if patients.shape != (n,):
        raise ValueError(f"{name}: {n} images but patients of shape {patients.shape}; give one patient id per image")
    missing = [index for index, one in enumerate(patients.tolist()) if str(one).strip().lower() in MISSING]
    if missing:
        raise ValueError(
            f"{name}: {len(missing)} of {n} patients are missing (empty, None or NaN), the first is that of image "
            f"{missing[0]}: leave those images out, or give no patients at all"
        )
    return np.array(patients.tolist()) if patients.dtype == object else patients


def read_dataset(dataset: Dataset) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
    """All images ``(C, H, W)`` of a PyTorch data set and their targets, None for items that are images alone.

    Raises:
        TypeError: items of another form than (image, target), or image alone.
    """
    if hasattr(dataset, "__len__"):
        items = [dataset[k] for k in range(len(dataset))]
    else:
        items = list(dataset)  # type: ignore[call-overload]
    pairs = [item if isinstance(item, tuple | list) else (item, None) for item in items]
    if any(len(pair) != 2 or isinstance(pair[0], dict) for pair in pairs):
        raise TypeError("items of the data set must be (image, target), or image alone: give one that yields these")
    images = [pil_to_tensor(image) if isinstance(image, Image.Image) else image for image, _ in pairs]
    images = [np.asarray(image) for image in images]
    images = [image[None] if image.ndim == 2 else image for image in images]
    targets = [target for _, target in pairs]
    return images, None if all(target is None for target in targets) else list(map(np.asarray, targets))


def count_without_id(patients: np.ndarray) -> int:
    """How many images have no patient id."""
    return int(np.char.startswith(patients, NO_ID).sum()) if patients.dtype.kind == "U" else 0


def _numbered(targets: np.ndarray, classes: tuple[str, ...], name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Names of classes as numbers, and the classes."""
    names, places = np.unique(targets, return_inverse=True)
    classes = classes or tuple(names.tolist())
    if unknown := [each for each in names.tolist() if each not in classes]:
        raise ValueError(f"{name}: targets hold {', '.join(map(repr, unknown))}, not among the classes {classes}")
    return np.array([classes.index(each) for each in names.tolist()])[places].reshape(targets.shape), classes


def _number_names(targets: Tensor, name: str) -> tuple[str, ...]:
    """The numbers from 0 as names of classes; none may be left out, as in a mask of 0 and 255."""
    found = targets.unique().tolist()
    if found != list(range(len(found))):
        raise ValueError(
            f"{name}: targets count 0, 1, 2, ..., but these hold {', '.join(map(str, found[:6]))}: number them anew, "
            "np.unique(targets, return_inverse=True)[1], or name every class from 0 on, classes=[...]"
        )
    return tuple(map(str, found))


def _without_missing(values: np.ndarray, name: str, what: str) -> np.ndarray:
    """Values of a table of any type, as numbers or text; a ValueError counts those that are None or NaN."""
    if values.dtype.kind not in "Of":
        return values
    missing = np.frompyfunc(lambda value: value is None or value != value, 1, 1)(values).astype(bool).sum()
    if missing:
        raise ValueError(f"{name}: {missing} of {values.size} {what} are missing (None or NaN); leave those images out")
    return np.array(values.tolist()) if values.dtype == object else values


def _as_tensor(values: Tensor | np.ndarray | Sequence, name: str, what: str) -> Tensor:
    if isinstance(values, Tensor):
        return values
    try:
        values = np.asarray(values)
        native = np.float32 if values.dtype.kind == "f" else values.dtype.newbyteorder("=")
        values = values.astype(native, copy=False)
        return torch.as_tensor(values.copy() if min(values.strides, default=0) < 0 else values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {what} must be one array of numbers, all of one shape ({error})") from error
