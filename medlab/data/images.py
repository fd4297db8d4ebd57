"""`ImageSet`, the data structure of the course: images, targets, patients, and what is known about them."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from medlab.data.arrays import as_images, as_patients, as_targets, count_without_id, read_dataset
from medlab.data.draws import check_count, draw_evenly
from medlab.data.nifti import Grid
from medlab.data.repeats import at_once, describe_repeats, fingerprint
from medlab.errors import explain_memory, unknown_name_error

SPLITS = ("train", "val", "test")
PARTS = {"train": "training", "val": "validation", "test": "test"}  # in words
TASKS = ("multi-class", "multi-label", "segmentation", "unlabeled")


@dataclass(frozen=True)
class Info:
    """What is known about a set of images.

    `unit` says what 0 and 1 mean in the images ("0 = -1000 HU, 1 = 400 HU"), and `window` holds these two values of the
    files where all images share them, else None; it makes the `unit` where that is not given. `phantom` is True for
    simulated images; `note` holds what a reader must know before trusting a result (no patient ids, averaged brains,
    ...); splitting a set adds the repeated images and shared patients that it finds.
    """

    name: str = "own images"
    modality: str = "unknown"
    task: str = "unlabeled"
    classes: tuple[str, ...] = ()
    license: str = "unknown"
    citation: str = "unknown"
    phantom: bool = False
    unit: str = "0 = darkest, 1 = brightest"
    note: str = ""
    window: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise unknown_name_error("task", self.task, TASKS)
        if isinstance(self.classes, str):
            raise ValueError(f"classes must be several names, got {self.classes!r}")
        object.__setattr__(self, "classes", tuple(map(str, self.classes)))
        if self.window is not None and self.unit == Info.unit:
            low, high = self.window
            object.__setattr__(self, "unit", f"0 = {low:g}, 1 = {high:g} in the unit of the files")


def check_sets(*sets: object) -> None:
    """TypeError for anything but an `ImageSet`."""
    for each in sets:
        if not isinstance(each, ImageSet):
            raise TypeError(
                f"this takes sets of images, got a {type(each).__name__}: ImageSet.from_dataset(...) makes one of a "
                "Dataset or DataLoader, ImageSet(images, targets) of arrays"
            )


class ImageSet:
    """Images with their targets and patients.

    What is not given is said by `repr`, and never guessed.

    Args:
        images: float in [0, 1], shape ``(N, C, H, W)`` or ``(N, C, D, H, W)``; kept as float32. uint8 (0 to 255) is
            kept as it is: that is how sets too large for memory stay mapped from disk. Batches are float32 in [0, 1].
        targets: classes ``(N,)``, multi-label 0/1 ``(N, L)``, or label maps ``(N, H, W)`` / ``(N, D, H, W)``: whole
            numbers of any type, or names of classes. Label maps are kept as uint8, an eighth of int64; batches are
            int64 either way. None for images to predict or to generate from: targets are then ``(N, 0)``.
        patients: ``(N,)``, one id per image, integers or strings. None: every image counts as a patient of its own.
        info: what is known about the set; its `task` must fit the shape of `targets`, and follows from it where `info`
            names none. Row 0 of an image is its top.
        published_split: ``(N,)`` of "train", "val" or "test" where the publisher split the set, else None.
        grids: ``(N,)``, where each image lies, for `spacing` and `to_nifti`; None where that is not known.
        classes: names of the classes, the background first for label maps; None takes the names that are targets in
            their order, or the numbers.
        about: other fields of `Info`, such as ``name="our clinic"``, or ``window=(-160, 240)`` where these HU became 0
            and 1: a network trained on the set then scales scans in the same way.

    Raises:
        ValueError: empty set, shapes that do not fit, NaN or values outside [0, 1], targets outside the classes.
    """

    def __init__(
        self,
        images: Tensor | np.ndarray | Sequence,
        targets: Tensor | np.ndarray | Sequence | None = None,
        patients: Sequence | np.ndarray | None = None,
        info: Info | None = None,
        published_split: Sequence[str] | np.ndarray | None = None,
        grids: Sequence[Grid] | np.ndarray | None = None,
        *,
        classes: Sequence[str] | None = None,
        **about: Any,
    ) -> None:
        if not isinstance(info, Info | None):
            raise TypeError(f"info must be an Info, got {type(info).__name__}; names of classes are classes=[...]")
        about |= {} if classes is None else {"classes": classes}
        said = replace(info or Info(), **about)
        self.images = as_images(images, said.name)
        shape = tuple(self.images.shape)
        self.targets, task, names = as_targets(targets, shape, said.task, said.classes, said.name)
        said = replace(said, task=task, classes=names)
        self.info = info if said == info else said
        self.patients = as_patients(patients, self.images, self.info.name)
        self.published_split = None if published_split is None else np.asarray(published_split)
        self.grids = None if grids is None else np.asarray(grids, object)
        if self.grids is not None and self.grids.shape != (len(self),):
            raise ValueError(
                f"{self.info.name}: {len(self)} images but {len(self.grids)} grids; give one per image, or None"
            )
        if self.published_split is not None and (
            self.published_split.shape != (len(self),) or not np.isin(self.published_split, SPLITS).all()
        ):
            raise ValueError(f"{self.info.name}: `published_split` must hold one of {SPLITS} per image")

    @classmethod
    def from_dataset(
        cls, dataset: Dataset | DataLoader, patients: Sequence | np.ndarray | None = None, **about: Any
    ) -> "ImageSet":
        """Read all of a PyTorch `Dataset`, or that of a `DataLoader`, whose items are (image, target) or image alone.

        Images are arrays ``(C, H, W)`` or ``(H, W)`` of one shape, or of Pillow; names of classes are those of the
        data set, if it has `classes`.

        Args:
            dataset: the data set.
            patients, about: as of `ImageSet`.

        Raises:
            ValueError, TypeError: images that an `ImageSet` refuses, items of another form.
        """
        dataset = dataset.dataset if isinstance(dataset, DataLoader) else dataset
        images, targets = read_dataset(dataset)
        names = getattr(dataset, "classes", None)
        return cls(images, targets, patients, **({"classes": names} | about))

    def replace(self, **changes: Any) -> "ImageSet":
        """Copy with other `images`, `targets`, `patients`, or fields of `info`; all is checked again.

        Images of another shape lie on other grids, which are then not known.

        Raises:
            ValueError: as of `ImageSet`.
        """
        targets = None if self.info.task == "unlabeled" else self.targets
        kept = {"targets": targets, "patients": self.patients, "published_split": self.published_split}
        if np.shape(changes.get("images", self.images))[2:] == self.images.shape[2:]:
            kept["grids"] = self.grids
        return ImageSet(**{"images": self.images, "info": self.info, **kept, **changes})

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index) -> "ImageSet":
        """Select the images at `index` as a new set: a slice shares memory with this one, positions or a mask copy.

        Raises:
            ValueError: no image at `index`.
            IndexError: a position that is not there.
        """
        index = index if isinstance(index, slice) else np.atleast_1d(index)
        where = index if isinstance(index, slice) else torch.from_numpy(index).to(self.images.device)
        if len(self.patients[index]) == 0:
            raise ValueError(f"{self.info.name}: the set holds no image")
        part = copy(self)  # checked already
        part.images, part.targets = self.images[where], self.targets[where]
        part.patients = self.patients[index]
        part.published_split = None if self.published_split is None else self.published_split[index]
        part.grids = None if self.grids is None else self.grids[index]
        return part

    def __repr__(self) -> str:
        kind = "phantom" if self.info.phantom else "real"
        people, lacking = len(np.unique(self.patients)), count_without_id(self.patients)
        patients = f"{people} patients" if people < len(self) else "each image its own patient"
        if lacking:
            patients = "no patient ids" if lacking == len(self) else f"{lacking} images without patient id"
            patients += ": every image counts as its own"
        task = f"{self.info.task}, {len(self.info.classes)} classes" if self.targets.numel() else "no targets"
        return (
            f"ImageSet({self.info.name}, {kind}, images {tuple(self.images.shape)} on {self.images.device.type}, "
            f"{task}, {patients})"
        )

    @property
    def spacing(self) -> NDArray[np.float64] | None:
        """The mm between the pixels of each image, ``(N, 2)`` for H, W or ``(N, 3)`` for D, H, W; None: not known."""
        if self.grids is None:
            return None
        sides = np.linalg.norm([grid.affine[:3, :3] for grid in self.grids], axis=1)  # (N, 3) for W, H, D
        return sides[:, self.images.ndim - 3 :: -1]

    def counts(self) -> dict[str, int]:
        """Count images per class (multi-class), positives per label (multi-label), pixels per class (segmentation)."""
        if self.info.task == "multi-label":
            numbers = self.targets.sum(0)
        else:
            numbers = torch.bincount(self.targets.flatten(), minlength=len(self.info.classes))
        return dict(zip(self.info.classes, numbers.tolist()))

    def to(self, device: str | torch.device) -> "ImageSet":
        """Move the set to `device`; images mapped from disk stay there, and their batches are moved."""
        moved = copy(self)
        with explain_memory(f"load fewer or smaller images, or give {self.info.name} as uint8, which is not moved"):
            moved.images = self.images if self.images.dtype == torch.uint8 else self.images.to(device)
        moved.targets = self.targets.to(device)
        return moved

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Get a batch: float32 images in [0, 1] and int64 targets at `index` ``(N,)``, on the device of the targets."""
        images, targets = self.images[index.to(self.images.device)], self.targets[index.to(self.targets.device)]
        if images.dtype == torch.uint8:
            images = images.to(targets.device).float().div_(255)
        return images, targets.long()

    def batches(self, size: int, *, shuffle: bool = False, seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield ``(images, targets)`` of at most `size` images; the last batch may be smaller.

        Raises:
            ValueError: `size` below 1.
        """
        if size < 1:
            raise ValueError(f"batch size must be at least 1, got {size}")
        for index in self.order(seed if shuffle else None).split(size):
            yield self.batch(index)

    def order(self, seed: int | None = None) -> Tensor:
        """Get positions ``(N,)`` of all images: as stored for None, else the permutation of that seed."""
        if seed is None:
            return torch.arange(len(self))
        return torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))

    def split(
        self, fractions: tuple[float, float, float] = (0.6, 0.2, 0.2), *, by: str = "patient", seed: int = 0
    ) -> tuple["ImageSet", "ImageSet", "ImageSet"]:
        """Split into train, validation and test sets that share no patient.

        Where the publisher split the set (`published_split`), those splits are used and the arguments are ignored.
        Otherwise whole patients are drawn, with the classes (each patient's commonest) spread evenly over the three
        where there are patients enough.
        ``by="image"`` ignores patients: **it leaks**, and is there to show how much.

        The parts are compared: images that stand in two of them, or under two patients, pixel by pixel, and patients
        that a published split left in two are printed in one line and written to the `info.note` of the parts.

        Raises:
            ValueError: fewer than three patients, fractions that are not three positive numbers adding up to 1, or a
                published set of which only one split was loaded.
        """
        if by not in ("patient", "image"):
            raise unknown_name_error("way to split by", by, ("patient", "image"))
        if self.published_split is not None:
            published = {PARTS[name]: self._named_split(name, self.published_split) for name in SPLITS}
            train, val, test = scan_split(published)
            return train, val, test
        if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
            raise ValueError(f"fractions must be three positive numbers that add up to 1, got {fractions}")
        groups = np.arange(len(self)) if by == "image" else np.unique(self.patients, return_inverse=True)[1]
        units, classes = np.unique(groups), self._classes_of(groups)
        if len(units) < 3:
            raise ValueError(
                f"{self.info.name} has only {len(units)} {by}{'s' * (len(units) > 1)}, too few for training, "
                "validation and test: load more, or use the whole set as one of them"
            )
        count = _part(fractions[1] + fractions[2], len(units), least=2)
        train, rest = draw_evenly(units, classes, count, seed)
        count = _part(fractions[2] / (fractions[1] + fractions[2]), len(rest))
        val, test = draw_evenly(rest, classes[rest], count, seed)
        parts = (self[np.flatnonzero(np.isin(groups, part))] for part in (train, val, test))
        train, val, test = scan_split(dict(zip(PARTS.values(), parts)), apart=by == "patient")
        return train, val, test

    def draw_patients(self, count: int, *, seed: int = 0) -> "ImageSet":
        """Draw `count` patients, their classes spread as in `split`, and select all their images, in order.

        Raises:
            ValueError: `count` is no whole number from 1 to the number of patients.
        """
        units, groups = np.unique(self.patients, return_inverse=True)
        check_count(self.info.name, "patients", count, len(units))
        drawn = draw_evenly(np.arange(len(units)), self._classes_of(groups), count, seed)[1]
        return self[np.isin(groups, drawn)]

    def _named_split(self, name: str, published: np.ndarray) -> "ImageSet":
        where = np.flatnonzero(published == name)
        if len(where) == 0:
            raise ValueError(
                f"{self.info.name} holds no image of the {name!r} split, only of "
                f"{', '.join(np.unique(published))}: use it as it is, or load the set without naming a split"
            )
        return self[where]

    def _classes_of(self, groups: np.ndarray) -> np.ndarray:
        """The commonest class of the images of each group 0, 1, ...; 0 for all where an image has no one class."""
        if self.info.task != "multi-class":
            return np.zeros(groups.max() + 1, np.int64)
        targets, order = self.targets.cpu().numpy(), np.argsort(groups, kind="stable")
        starts = np.searchsorted(groups[order], np.arange(1, groups.max() + 1))
        return np.array([np.bincount(part).argmax() for part in np.split(targets[order], starts)])


def scan_split(parts: Mapping[str, ImageSet], *, apart: bool = True) -> tuple[ImageSet, ...]:
    """Look for what the parts of a split, by name, share; print it in one line and add it to the `info.note` of each.

    That is: images that stand in an earlier part too, or under several patients, pixel by pixel, and patients of
    several parts. Patients alone are not printed without `apart`: they were split on purpose.
    """
    sets = tuple(parts.values())
    prints = zip(*(fingerprint(part.batches(at_once(part.images))) for part in sets))
    hashes, blank, patients = map(np.concatenate, (*prints, [part.patients for part in sets]))
    numbers = np.repeat(np.arange(len(sets)), [len(part) for part in sets])
    repeats, shared = describe_repeats(list(parts), numbers, hashes, blank, patients)
    info, found = sets[0].info, "; ".join(repeats + shared)
    if repeats or (shared and apart):
        print(f"{info.name}: {found}")
    if found and found not in info.note:
        info = replace(info, note=f"{info.note} In the split, {found}.".lstrip())
        for part in sets:
            part.info = info
    return sets


def _part(fraction: float, total: int, least: int = 1) -> int:
    return min(max(round(fraction * total), least), total - 1)
