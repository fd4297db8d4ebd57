"""How good label maps are: Dice and the 95th percentile of the Hausdorff distance (HD95), patient by patient.

MONAI computes both for each patient; the interval behind a mean is a bootstrap over patients, which only changes how
often a patient counts. One rule settles empty masks:

| the class is in | Dice              | HD95        |
| --------------- | ----------------- | ----------- |
| both            | overlap           | defined     |
| one of the two  | 0                 | not defined |
| neither         | not counted (NaN) | not defined |

HD95 therefore says nothing of a class that was not found at all: read it beside Dice and `missed`.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from medlab.metrics.intervals import (
    Interval,
    bootstrap_weights,
    check_groups,
    check_level,
    enough_groups,
    percentile_interval,
    plain,
    to_array,
)


@dataclass(frozen=True)
class SegmentationScores:
    """One class. `patients` have it in their target; in the masks of `missed` of these there is not a pixel of it."""

    patients: int
    dice: Interval
    hd95: Interval
    missed: int


@dataclass(frozen=True)
class SegmentationReport:
    """What `segmentation_report` found; print it, or read its attributes.

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
        return f"{self.images} images of {self.patients} patients, {self.level:.0%} intervals resampled by patient"

    def _table(self) -> list[tuple[str, ...]]:
        rows = [("class", "patients", "missed", "Dice", f"HD95 ({self.unit})")]
        for name, one in self.per_class.items():
            rows.append((name, str(one.patients), str(one.missed), f"{one.dice:.3f}", f"{one.hd95:.2f}"))
        return [*rows, ("mean over classes", "", "", f"{self.dice:.3f}", f"{self.hd95:.2f}")]

    def __str__(self) -> str:
        rows = self._table()
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths)).rstrip() for row in rows]
        return "\n".join([self._title(), *lines])

    def _repr_html_(self) -> str:
        top, *rows = self._table()
        head = "".join(f"<th scope='col'>{name}</th>" for name in top)
        body = "".join(
            f"<tr><th scope='row'>{escape(name)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
            for name, *cells in rows
        )
        return f"<table><caption>{self._title()}</caption><tr>{head}</tr>{body}</table>"

    def to_dict(self) -> dict:
        """Plain numbers, lists and dicts, ready for JSON; None stands for a value that is not defined."""
        return plain(self)


def segmentation_report(
    masks: object,
    targets: object,
    *,
    patients: object = None,
    classes: Sequence[str] | None = None,
    spacing: float | Sequence[float] = 1.0,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> SegmentationReport:
    """Dice and HD95 of every foreground class, each with a bootstrap interval resampled by patient.

    Slices ``(N, H, W)``: Dice is that of all slices of a patient stacked to one volume. HD95 is two-dimensional, the
    mean over those slices of the patient that have the class in mask and target, since slices may not be neighbors.
    Volumes ``(N, D, H, W)``: a patient's value is the mean over the patient's volumes. Class 0 is the background and is
    left out. A class that no target shows is named in a warning.

    Args:
        masks: label maps of the shape of `targets`, or probabilities ``(N, K, H, W)`` / ``(N, K, D, H, W)`` as
            `predict` gives them, of which the largest is taken; tensor or array.
        targets: label maps of whole numbers 0..K-1, ``(N, H, W)`` or ``(N, D, H, W)``.
        patients: ``(N,)`` ids; None counts every image as a patient of its own. One patient only: no intervals (NaN
            ends, and a warning).
        classes: K names, the background first; "0", "1", ... for None.
        spacing: mm between pixels, one number or one per axis; 1 gives HD95 in pixels.
        level: share of the resamples inside an interval.
        resamples: number of bootstrap resamples.
        seed: of the resampling.

    Raises:
        ValueError: shapes that do not fit, labels that are no whole numbers or not among the classes, NaN, targets
            without foreground, spacing that is not positive.
    """
    check_level(level)
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}; 1000 is usual")
    masks, targets, names = _check(masks, targets, classes)
    groups = check_groups(patients, len(targets))
    steps = _check_spacing(spacing, targets.ndim - 1)
    ids, members = np.unique(groups, return_inverse=True)
    kinds = range(1, len(names))
    dice, hd95 = np.empty((2, len(ids), len(kinds)))  # (P, K - 1) each
    for p in range(len(ids)):
        dice[p], hd95[p] = _patient(masks[members == p], targets[members == p], len(names), steps)
    values = np.concatenate([_mean(dice)[:, None], _mean(hd95)[:, None], dice, hd95], 1)  # (P, 2 K)
    drawn = np.full((1, values.shape[1]), np.nan)
    if enough_groups(groups, stacklevel=3):
        blocks = bootstrap_weights(np.arange(len(ids)), resamples, seed)
        drawn = np.concatenate([_weighted(weights, values) for weights in blocks])
    means = _weighted(np.ones((1, len(ids))), values)[0]
    scores = [percentile_interval(value, column, level) for value, column in zip(means, drawn.T)]
    axes = tuple(range(1, targets.ndim))
    shown, called = (
        np.stack([np.bincount(members, (maps == k).any(axes)) > 0 for k in kinds], 1) for maps in (targets, masks)
    )  # (P, K - 1) each
    absent = [name for name, some in zip(names[1:], shown.any(0)) if not some]
    if absent:
        warnings.warn(f"no target shows class {', '.join(absent)}: where masks show it, its Dice is 0", stacklevel=2)
    missed = (shown & ~called).sum(0)
    per_class = {
        name: SegmentationScores(int(shown[:, k].sum()), scores[2 + k], scores[1 + len(names) + k], int(missed[k]))
        for k, name in enumerate(names[1:])
    }
    return SegmentationReport(
        *scores[:2],
        per_class=per_class,
        by_patient=dict(zip(names[1:], dice.T)),
        hd95_by_patient=dict(zip(names[1:], hd95.T)),
        patient_ids=ids,
        images=len(targets),
        patients=len(ids),
        unit="pixels" if set(steps) == {1.0} else "mm",
        level=level,
    )


def _patient(masks: np.ndarray, targets: np.ndarray, kinds: int, spacing: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Dice ``(K - 1,)`` and HD95 ``(K - 1,)`` of one patient's label maps ``(S, ...)``."""
    import torch
    from monai.metrics import compute_dice  # here: it takes seconds to import

    called, shown = (
        torch.from_numpy(np.stack([maps == k for k in range(1, kinds)], 1)) for maps in (masks, targets)
    )  # (S, K - 1, ...) each
    hd95 = np.full(called.shape[:2], np.nan)
    for s, k in (called.flatten(2).any(2) & shown.flatten(2).any(2)).nonzero().tolist():
        hd95[s, k] = _hd95(called[s, k].numpy(), shown[s, k].numpy(), spacing)
    if targets.ndim == 3:  # slices: one volume of the patient
        called, shown = called.transpose(0, 1)[None], shown.transpose(0, 1)[None]
    dice = compute_dice(called, shown, ignore_empty=False).double().numpy()
    dice[~(called | shown).flatten(2).any(2).numpy()] = np.nan  # MONAI would count two empty masks as 1
    return _mean(dice.T), _mean(hd95.T)


def _hd95(called: np.ndarray, shown: np.ndarray, spacing: list[float]) -> float:
    """HD95 of two masks that are not empty: the larger of the two directed 95th percentiles, as MONAI takes it."""
    from monai.metrics import get_mask_edges, get_surface_distance

    # parts of its `compute_hausdorff_distance`, which crops each pair by a transform slower than all the rest
    a, b = get_mask_edges(called, shown, crop=False)
    ways = (get_surface_distance(*pair, spacing=spacing) for pair in ((a, b), (b, a)))
    return max(float(np.percentile(way, 95)) for way in ways)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis without the NaN, NaN where there is nothing else."""
    return _weighted(np.ones((1, values.shape[-1])), values.T)[0]


def _weighted(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Means ``(R, M)`` of the columns of values ``(P, M)`` with weights ``(R, P)``, NaN left out."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return weights @ np.where(defined, values, 0) / (weights @ defined)


def _check(masks: object, targets: object, classes: Sequence[str] | None) -> tuple[np.ndarray, np.ndarray, list[str]]:
    targets = to_array(targets)
    if targets.ndim not in (3, 4) or targets.size == 0:
        raise ValueError(f"targets must be label maps (N, H, W) or (N, D, H, W), got {targets.shape}")
    masks = masks if hasattr(masks, "argmax") else np.asarray(masks)
    channels = None
    if masks.ndim == targets.ndim + 1:
        channels = masks.shape[1]
        if (masks != masks).any():
            raise ValueError("masks hold NaN; look at the loss of the training")
        masks = masks.argmax(1)
    masks = to_array(masks)
    if masks.shape != targets.shape:
        raise ValueError(
            f"masks {masks.shape} do not fit targets {targets.shape}; give label maps of the same shape, or "
            "probabilities with the classes as second axis"
        )
    for kind, maps in (("masks", masks), ("targets", targets)):
        if maps.dtype.kind not in "iub":
            raise ValueError(f"{kind} must be label maps of whole numbers, got {maps.dtype}; round or argmax them")
    count = channels or 1 + int(max(masks.max(), targets.max()))
    names = [str(name) for name in (range(count) if classes is None else classes)]
    if len(set(names)) != len(names) or (channels and len(names) != channels):
        raise ValueError(f"classes must be {channels or 'all'} different names, background first, got {names}")
    if len(names) < 2:
        raise ValueError(f"only the background, classes {names}: name it and at least one class to be found")
    for kind, maps in (("masks", masks), ("targets", targets)):
        bad = maps[(maps < 0) | (maps >= len(names))]
        if bad.size:
            raise ValueError(
                f"{kind} hold label {bad[0]}, allowed are 0 to {len(names) - 1} for classes {names}; "
                "name every class, or set pixels without a label to 0"
            )
    if not targets.any():
        raise ValueError("targets show background only, so there is nothing to find; take images with some structure")
    return masks, targets, names


def _check_spacing(spacing: float | Sequence[float], axes: int) -> list[float]:
    steps = np.atleast_1d(to_array(spacing)).astype(float)
    steps = np.repeat(steps, axes) if steps.shape == (1,) else steps
    if steps.shape != (axes,) or not (steps > 0).all():
        raise ValueError(f"spacing must be one length above 0 in mm, or {axes}, one per axis, got {spacing}")
    return steps.tolist()
