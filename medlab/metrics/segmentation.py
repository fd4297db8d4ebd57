"""Segmentation metrics: Dice, the 95th percentile of the Hausdorff distance (HD95), IoU and sensitivity by patient.

MONAI computes Dice, HD95 and IoU for each patient; the interval of a mean is a bootstrap over patients, which only
changes how often a patient counts. One rule settles empty masks:

| the class is in | Dice, IoU         | HD95        |
| --------------- | ----------------- | ----------- |
| both            | overlap           | defined     |
| one of the two  | 0                 | not defined |
| neither         | not counted (NaN) | not defined |

HD95 therefore says nothing of a class that was missed altogether: read it beside Dice and `missed`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from medlab.metrics.classification import check_names, nan_mean
from medlab.metrics.intervals import Interval, check_groups, check_level, to_array, weighted_bootstrap
from medlab.metrics.report import Report

if TYPE_CHECKING:  # torch takes a second to import, MONAI several
    from torch import Tensor

    from medlab.data.images import ImageSet


@dataclass(frozen=True)
class SegmentationScores:
    """Scores of one class. `patients` have it in their targets; the masks of `missed` of these have no pixel of it."""

    patients: int
    missed: int
    dice: Interval
    hd95: Interval


@dataclass(frozen=True)
class SegmentationReport(Report):
    """Result of `segmentation_report`: print it, read its attributes, or take `to_frame`.

    `dice` and `hd95` are means over patients of each patient's mean over foreground classes. `by_patient` holds the
    Dice of each class, `hd95_by_patient` its HD95, both ``(P,)`` in the order of `patient_ids` and NaN where not
    defined: subtract those of two networks to compare them patient by patient. `unit` is that of HD95.
    """

    dice: Interval
    hd95: Interval
    per_class: dict[str, SegmentationScores]
    by_patient: dict[str, np.ndarray]
    hd95_by_patient: dict[str, np.ndarray]
    patient_ids: np.ndarray
    images: int
    patients: int
    unit: str
    level: float

    def _title(self) -> str:
        return f"{super()._title()}; HD95 in {self.unit}"


def segmentation_report(
    masks: ArrayLike,
    targets: ImageSet | ArrayLike,
    *,
    patients: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    spacing: float | Sequence[float] | np.ndarray | None = None,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> SegmentationReport:
    """Dice and HD95 of every foreground class, each with a bootstrap confidence interval resampled by patient.

    Slices ``(N, H, W)``: Dice is that of all slices of a patient stacked to one volume. HD95 is two-dimensional, the
    mean over those slices of the patient that have the class in mask and target, since slices may not be neighbors.
    Volumes ``(N, D, H, W)``: a patient's value is the mean over the patient's volumes. Class 0 is the background and is
    left out. A class that is in no target is named in a warning.

    Args:
        masks: label maps of the shape of `targets`, or probabilities ``(N, K, H, W)`` / ``(N, K, D, H, W)`` as
            `predict` gives them, of which the argmax is taken; tensor or array.
        targets: label maps of whole numbers 0..K-1, ``(N, H, W)`` or ``(N, D, H, W)``; or the `ImageSet` that holds
            them, whose patients, classes and spacing are then taken where none are given.
        patients: ``(N,)`` ids; None counts every image as a patient of its own. One patient only: no intervals (NaN
            ends, and a warning).
        classes: K names, the background first; "0", "1", ... for None.
        spacing: mm between pixels: one number, one per axis, or one per image and axis, ``(N, axes)``. None gives HD95
            in pixels.
        level: confidence level of the intervals.
        resamples: number of bootstrap samples.
        seed: of the resampling.

    Raises:
        ValueError: shapes that do not fit, labels that are no whole numbers or not among the classes, NaN, targets
            without foreground, spacing that is not positive.
    """
    check_level(level, resamples)
    given: Any = targets
    if hasattr(given, "patients"):  # an ImageSet
        patients = given.patients if patients is None else patients
        classes = given.info.classes if classes is None else classes
        spacing = given.spacing if spacing is None else spacing
        given = given.targets
    masks, targets, names = _check(masks, given, classes)
    if not targets.any():
        raise ValueError("targets show background only; take images with some foreground")
    groups = check_groups(patients, len(targets))
    steps = _check_spacing(1.0 if spacing is None else spacing, len(targets), targets.ndim - 1)
    ids, members = np.unique(groups, return_inverse=True)
    labels = range(1, len(names))
    dice, hd95 = np.empty((2, len(ids), len(labels)))  # (P, K - 1) each
    for p in range(len(ids)):
        dice[p], hd95[p] = _patient(masks[members == p], targets[members == p], len(names), steps[members == p])
    values = np.concatenate([nan_mean(dice)[:, None], nan_mean(hd95)[:, None], dice, hd95], 1)  # (P, 2 K)
    scores = weighted_bootstrap(
        lambda weights: _weighted(weights, values),
        np.arange(len(ids)),
        resamples,
        level,
        seed,
        units=(~np.isnan(values)).sum(0),
        bounds=[(0.0, 1.0), None] + [(0.0, 1.0)] * len(labels) + [None] * len(labels),
    )
    scores = [one._replace(low=0.0) if one.low < 0 else one for one in scores]  # t intervals of few distances
    axes = tuple(range(1, targets.ndim))
    present, predicted = (
        np.stack([np.bincount(members, (maps == k).any(axes)) > 0 for k in labels], 1) for maps in (targets, masks)
    )  # (P, K - 1) each
    absent = [name for name, some in zip(names[1:], np.any(present, 0)) if not some]
    if absent:
        warnings.warn(f"no target shows class {', '.join(absent)}: where masks show it, its Dice is 0", stacklevel=2)
    missed = (present & ~predicted).sum(0)
    per_class = {
        name: SegmentationScores(int(present[:, k].sum()), int(missed[k]), scores[2 + k], scores[1 + len(names) + k])
        for k, name in enumerate(names[1:])
    }
    return SegmentationReport(
        scores[0],
        scores[1],
        per_class=per_class,
        by_patient=dict(zip(names[1:], dice.T)),
        hd95_by_patient=dict(zip(names[1:], hd95.T)),
        patient_ids=ids,
        images=len(targets),
        patients=len(ids),
        unit="pixels" if spacing is None else "mm",
        level=level,
    )


def intersection_over_union(masks: ArrayLike, targets: ArrayLike, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """Intersection over union (Jaccard index) ``(N,)`` of every foreground class; NaN where neither has it.

    With the Dice coefficient D it is ``D / (2 - D)``: the smaller of the two, in the same order.

    Args:
        masks, targets: label maps ``(N, H, W)`` or ``(N, D, H, W)``, or masks as probabilities.
        classes: K names, the background first.

    Raises:
        ValueError: as `segmentation_report`.
    """
    from monai.metrics import compute_iou

    masks, targets, names = _check(masks, targets, classes)
    iou = _overlap(compute_iou, _one_hot(masks, len(names)), _one_hot(targets, len(names)))
    return dict(zip(names[1:], iou.T))


def sensitivity(masks: ArrayLike, targets: ArrayLike) -> np.ndarray:
    """Sensitivity (recall) of the voxels of each image ``(N,)``, the mean over the foreground classes of its target.

    Args:
        masks, targets: label maps of whole numbers ``(N, H, W)`` or ``(N, D, H, W)``, 0 for the background.

    Returns:
        NaN where a target is all background.

    Raises:
        ValueError: not label maps, or shapes that differ.
    """
    masks, targets = check_label_maps(masks), check_label_maps(targets, "targets")
    if masks.shape != targets.shape:
        raise ValueError(f"masks {masks.shape} do not fit targets {targets.shape}; give label maps of the same shape")
    pairs = zip(masks, targets)
    recall = [[(mask[target == k] == k).mean() for k in np.unique(target[target > 0])] for mask, target in pairs]
    return np.array([np.mean(classes) if classes else np.nan for classes in recall])


def _patient(masks: np.ndarray, targets: np.ndarray, count: int, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dice ``(K - 1,)`` and HD95 ``(K - 1,)`` of one patient's label maps ``(S, ...)``, in steps ``(S, axes)``."""
    from monai.metrics import compute_dice  # here: it takes seconds to import

    predicted, true = _one_hot(masks, count), _one_hot(targets, count)
    hd95 = np.full(predicted.shape[:2], np.nan)
    for s, k in (predicted.flatten(2).any(2) & true.flatten(2).any(2)).nonzero().tolist():
        hd95[s, k] = _hd95(predicted[s, k].numpy(), true[s, k].numpy(), steps[s].tolist())
    if targets.ndim == 3:  # slices: one volume of the patient
        predicted, true = predicted.transpose(0, 1)[None], true.transpose(0, 1)[None]
    return nan_mean(_overlap(compute_dice, predicted, true), 0), nan_mean(hd95, 0)


def _one_hot(maps: np.ndarray, count: int) -> Tensor:
    """Label maps ``(N, ...)`` as one mask per foreground class, ``(N, K - 1, ...)``."""
    import torch

    return torch.from_numpy(np.stack([maps == k for k in range(1, count)], 1))


def _overlap(compute: Callable, predicted: Tensor, true: Tensor) -> np.ndarray:
    """MONAI's `compute_dice` or `compute_iou` ``(N, K - 1)``, NaN where both masks are empty (it would count 1)."""
    values = compute(predicted, true, ignore_empty=False).double().numpy()
    values[~(predicted | true).flatten(2).any(2).numpy()] = np.nan
    return values


def _hd95(predicted: np.ndarray, true: np.ndarray, spacing: list[float]) -> float:
    """HD95 of two masks that are not empty: the larger of the two directed 95th percentiles, as MONAI takes it."""
    from monai.metrics import get_surface_distance
    from scipy.ndimage import binary_erosion

    # parts of its `compute_hausdorff_distance`, which looks for a GPU library and crops anew for every pair of masks
    a, b = (mask & ~binary_erosion(mask) for mask in (predicted, true))
    ways = (get_surface_distance(*pair, spacing=spacing) for pair in ((a, b), (b, a)))
    return max(float(np.percentile(way, 95)) for way in ways)


def _weighted(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Means ``(R, M)`` of the columns of values ``(P, M)`` with weights ``(R, P)``, NaN left out."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return weights @ np.where(defined, values, 0) / (weights @ defined)


def check_label_maps(
    maps: ArrayLike, name: str = "masks", classes: Sequence[str] | None = None, axes: tuple[int, ...] = (3, 4)
) -> np.ndarray:
    """Label maps ``(N, H, W)`` or ``(N, D, H, W)`` as an array; ValueError for others, or a label without a class."""
    maps = to_array(maps)
    if maps.ndim not in axes or maps.size == 0 or maps.dtype.kind not in "iub":
        shapes = " or ".join({3: "(N, H, W)", 4: "(N, D, H, W)"}[n] for n in axes)
        raise ValueError(
            f"{name} must be label maps {shapes} of whole numbers, got {maps.dtype} {maps.shape}; round them, or take "
            "argmax(1) of probabilities"
        )
    if classes is not None and (maps.min() < 0 or maps.max() >= len(classes)):
        raise ValueError(
            f"{name} hold labels from {maps.min()} to {maps.max()}, allowed are 0 to {len(classes) - 1} for classes "
            f"{list(classes)}; name every class, or set pixels without a label to 0"
        )
    return maps


def _check(masks: Any, targets: ArrayLike, classes: Sequence[str] | None) -> tuple[np.ndarray, np.ndarray, list[str]]:
    targets = check_label_maps(targets, "targets")
    masks = masks if hasattr(masks, "argmax") else np.asarray(masks)
    channels = None
    if masks.ndim == targets.ndim + 1:
        channels = masks.shape[1]
        if (masks != masks).any():
            raise ValueError("masks hold NaN; look at the loss of the training")
        masks = masks.argmax(1)
    masks = check_label_maps(masks)
    if masks.shape != targets.shape:
        raise ValueError(
            f"masks {masks.shape} do not fit targets {targets.shape}; give label maps of the same shape, or "
            "probabilities with the classes as second axis"
        )
    count = channels or (1 + int(max(masks.max(), targets.max())) if classes is None else len(classes))
    names = check_names(classes, count)
    if len(names) < 2:
        raise ValueError(f"only the background, classes {names}: name it and at least one foreground class")
    return check_label_maps(masks, "masks", names), check_label_maps(targets, "targets", names), names


def _check_spacing(spacing: float | Sequence[float] | np.ndarray, images: int, axes: int) -> np.ndarray:
    """The spacing of every image ``(N, axes)``."""
    steps = np.atleast_1d(to_array(spacing)).astype(float)
    if steps.shape not in ((1,), (axes,), (images, axes)) or not (steps > 0).all():
        raise ValueError(
            f"spacing must be one length above 0 in mm, or {axes}, one per axis (or these per image), got {spacing}"
        )
    return np.broadcast_to(steps, (images, axes))
