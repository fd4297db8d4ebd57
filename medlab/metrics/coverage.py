"""Evaluation of generated images: memorization, membership inference, diversity and mode coverage.

Images are ``(N, C, H, W)`` in [0, 1], tensor or array; uint8 counts as 0 to 255.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from medlab.errors import not_negative, whole_number
from medlab.metrics.image_checks import check_images, check_same_size, check_ssim_size
from medlab.metrics.intervals import Interval, bootstrap_ci, to_array

CHUNK = 128  # images or pairs at a time


class Nearest(NamedTuple):
    """Nearest neighbor of each image: its position ``(N,)`` among the references, and the distance ``(N,)`` (RMSE)."""

    index: np.ndarray  # type: ignore[assignment]  # hides tuple.index
    distance: np.ndarray


class Diversity(NamedTuple):
    """Mean over `pairs` pairs of images of one set: distance (RMSE, gray values of 0 to 1) and SSIM (1: identical)."""

    distance: float
    ssim: float
    pairs: int


class Modes(NamedTuple):
    """Number of modes covered, share of all points at each mode ``(M,)``, and share at any of them (high quality)."""

    covered: int
    shares: np.ndarray
    high_quality: float


class ClassShares(NamedTuple):
    """Class distribution of generated images against that of the training images.

    `shares` and `training` are ``(K,)`` and add up to 1; `covered` classes have enough of their share. `entropy` is
    that of `shares` in bits: log2 K if all classes are as frequent, 0 if there is but one. `total_variation` distance
    is half the sum of the absolute differences of the shares.
    """

    shares: np.ndarray
    training: np.ndarray
    covered: int
    entropy: float
    total_variation: float


def nearest(images: ArrayLike, references: ArrayLike) -> Nearest:
    """Nearest neighbor of each image among the references, by mean squared error: a test for memorization.

    The distance is the root mean squared error (RMSE) in gray values of 0 to 1. Compare it with that of held-out real
    images: images of a generator that does not memorize are as far from the training images as those are.

    Args:
        images: ``(N, C, H, W)``.
        references: ``(M, C, H, W)``, e.g. the training images.

    Raises:
        ValueError: sizes that differ, NaN, values outside [0, 1].
    """
    from sklearn.metrics import pairwise_distances_argmin  # here: it takes seconds to import

    images, references = check_images(images, "images"), check_images(references, "references")
    check_same_size(images, references, "images", "references")
    images, references = images.flatten(1), references.flatten(1)
    index = pairwise_distances_argmin(images.double().numpy(), references.double().numpy())
    distance = (images - references[index]).square().mean(1).sqrt()  # exact: 0 for a copy
    return Nearest(index, distance.numpy())


def membership_auc(
    generated: ArrayLike, members: ArrayLike, others: ArrayLike, patients: ArrayLike | None = None, seed: int = 0
) -> Interval:
    """AUC of a membership inference attack on a generator, with its bootstrap confidence interval.

    The attack that needs no access to the networks: the nearer the closest generated image, the more likely an image
    was in the training set. An AUC of 0.5 is chance; an interval above 0.5 is a leak. Chen et al.: GAN-Leaks. CCS 2020,
    arXiv:1909.03935, section 4.2 (full black-box).

    Args:
        generated: ``(N, C, H, W)`` in [0, 1].
        members: training images of the generator.
        others: images of patients it was not trained on, from the same source.
        patients: ids of the members, then of the others; None counts every image as a patient of its own.
        seed: of the bootstrap.

    Raises:
        ValueError: sizes that differ, no image, NaN.
    """
    from sklearn.metrics import roc_auc_score  # here: it takes seconds to import

    distances = [nearest(images, generated).distance for images in (members, others)]
    member = np.repeat([1, 0], [len(each) for each in distances])

    def auc(distance: np.ndarray, member: np.ndarray) -> float:
        return float("nan") if len(set(member.tolist())) < 2 else float(roc_auc_score(member, -distance))

    return bootstrap_ci(auc, np.concatenate(distances), member, groups=patients, seed=seed)


def diversity(images: ArrayLike, pairs: int = 1000, seed: int = 0) -> Diversity:
    """Diversity of a set of images, as mean distance and SSIM of its pairs; low in mode collapse.

    The mean SSIM of pairs as a measure of diversity after Odena et al. 2017 (arXiv:1610.09585), who took its
    multi-scale form. Compare with the diversity of real images: noise is more diverse than any brain.

    Args:
        images: ``(N, C, H, W)``.
        pairs: at most so many pairs of different images, sampled by `seed`.
        seed: of the sampling.

    Raises:
        ValueError: one image, which has no pair; below 11 pixels; NaN; values outside [0, 1].
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    images = check_images(images, "images")
    if len(images) < 2:
        raise ValueError("one image has no diversity: give at least two")
    check_ssim_size(images)
    whole_number("pairs", pairs, 1)
    first, second = np.triu_indices(len(images), 1)
    if len(first) > pairs:
        kept = np.sort(np.random.default_rng(whole_number("seed", seed, 0)).choice(len(first), pairs, replace=False))
        first, second = first[kept], second[kept]
    distance, ssim = 0.0, 0.0
    for some in np.array_split(np.arange(len(first)), -(-len(first) // CHUNK)):
        one, other = images[first[some]], images[second[some]]
        distance += float((one - other).square().mean((1, 2, 3)).sqrt().sum())
        ssim += float(structural_similarity_index_measure(one, other, data_range=1.0, reduction="none").sum())  # type: ignore[union-attr]
    return Diversity(distance / len(first), ssim / len(first), len(first))


def modes_covered(points: ArrayLike, centers: ArrayLike, radius: float, min_share: float = 0.01) -> Modes:
    """Mode coverage of points generated from a mixture of Gaussians, whose modes are known.

    High-quality points lie within `radius` of a center, usually three standard deviations of the mode (Srivastava et
    al. 2017, arXiv:1705.07761).

    Args:
        points: ``(N, 2)``, or samples of a ring generator ``(N, 2, 1, 1)``.
        centers: ``(M, 2)`` in the same units, such as `medlab.phantoms.ring.CENTERS`.
        radius: how far from its center a point may lie, in these units.
        min_share: a mode is covered by at least this share of all points. An even share of eight is 0.125.

    Raises:
        ValueError: shapes that do not fit, NaN, a radius that is not positive.
    """
    centers = to_array(centers).astype(float)
    points = to_array(points).astype(float)
    points = points.reshape(len(points), -1)
    if centers.ndim != 2 or len(points) == 0 or points.shape[1] != centers.shape[1]:
        raise ValueError(f"points {points.shape} and centers {centers.shape} must be (N, 2) and (M, 2)")
    if np.isnan(points).any():
        raise ValueError("some points are NaN: the training has diverged; take a smaller learning rate")
    if not radius > 0:
        raise ValueError(f"radius must be above 0, got {radius}; three standard deviations of a mode are usual")
    not_negative("min_share", min_share, 1)
    distance = np.linalg.norm(points[:, None] - centers, axis=2)
    near = distance.argmin(1)[distance.min(1) <= radius]
    shares = np.bincount(near, minlength=len(centers)) / len(points)
    return Modes(int((shares >= max(min_share, 1 / len(points))).sum()), shares, float(shares.sum()))


def class_shares(predicted: ArrayLike, targets: ArrayLike, classes: int, min_ratio: float = 0.1) -> ClassShares:
    """Class distribution of generated images, as predicted by a classifier, against that of the training images.

    A classifier errs: predict real held-out images first, to see its result for images of which no class was dropped.

    Args:
        predicted: ``(N,)`` classes of the generated images, as predicted by a classifier.
        targets: ``(M,)`` classes of the training images.
        classes: how many there are.
        min_ratio: a class is covered by at least this part of its share among the training images.

    Raises:
        ValueError: no image, or a class out of range.
    """
    predicted, targets = to_array(predicted), to_array(targets)
    for name, given in (("predicted", predicted), ("targets", targets)):
        if given.ndim != 1 or len(given) == 0 or not np.isin(given, np.arange(classes)).all():
            raise ValueError(f"{name} must be at least one class number from 0 to {classes - 1} in a row, (N,)")
    shares, training = (
        np.bincount(given.astype(int), minlength=classes) / len(given) for given in (predicted, targets)
    )
    covered = (shares > 0) & (shares >= not_negative("min_ratio", min_ratio, 1) * training)
    positive = shares[shares > 0]
    entropy = float(-(positive * np.log2(positive)).sum())
    return ClassShares(shares, training, int(covered.sum()), entropy, float(np.abs(shares - training).sum() / 2))
