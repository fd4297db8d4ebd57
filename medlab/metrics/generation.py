"""How good are made images? Likeness to real ones, distance of the distributions, memory, diversity, modes.

No number here is enough alone: a generator that copies training images has perfect PSNR and FID, one that makes the
same good image again and again has a high PSNR, and FID hides which of the two is wrong. Read `nearest` and `diversity`
beside them.

Images are ``(N, C, H, W)`` in [0, 1], tensor or array; uint8 counts as 0 to 255.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from medlab.errors import unknown_name
from medlab.metrics.intervals import to_array

if TYPE_CHECKING:  # torch takes a second to import, torchmetrics several
    from torch import Tensor, nn

PAIRINGS = ("random", "nearest", "all")
WINDOW = 11  # pixels: the side of SSIM's Gaussian window
CHUNK = 128  # images or pairs at a time


class Similarity(NamedTuple):
    """PSNR (dB) and SSIM as means over `pairs` pairs.

    A pair of identical images has an infinite PSNR. `identical` counts them; they are left out of the mean PSNR, which
    is infinite only if there is no other pair. SSIM is the mean of all.
    """

    psnr: float
    ssim: float
    pairs: int
    identical: int

    def __str__(self) -> str:
        left_out = f", {self.identical} of them identical and left out of the PSNR" if self.identical else ""
        return f"PSNR {self.psnr:.2f} dB, SSIM {self.ssim:.3f} over {self.pairs} pairs{left_out}"


class Nearest(NamedTuple):
    """Per image: the position ``(N,)`` of the reference most like it, and the distance ``(N,)`` to it (RMSE)."""

    index: np.ndarray
    distance: np.ndarray


class Diversity(NamedTuple):
    """Mean over `pairs` pairs of images of one set: distance (RMSE, gray values of 0 to 1) and SSIM (1 = all alike)."""

    distance: float
    ssim: float
    pairs: int


class Modes(NamedTuple):
    """How many modes are covered, the share of all points at each mode ``(M,)``, and at any of them (`good`)."""

    covered: int
    shares: np.ndarray
    good: float


class ClassShares(NamedTuple):
    """Classes of made images against those of the training images.

    `shares` and `training` are ``(K,)`` and add up to 1; `covered` classes have enough of their share. `entropy` is
    that of `shares` in bits: log2 K if all classes are as frequent, 0 if there is but one. `total_variation` is half
    the sum of the absolute differences of the shares: the part of the images that would have to change class.
    """

    shares: np.ndarray
    training: np.ndarray
    covered: int
    entropy: float
    total_variation: float


def psnr_ssim(
    fake: object, real: object, pairing: str = "random", mask: object = None, seed: int = 0, most: int = 2000
) -> Similarity:
    """Mean PSNR and SSIM of made images, each paired with a real one.

    Both measures compare an image with *its* original. An image made from noise has none, so the pairing decides the
    result and has to be named with it.

    PSNR is ``10 log10(L^2 / MSE)``, L the range of gray values: 32.83 dB is a root mean squared error of 5.82 at
    L = 255. SSIM (Wang et al. 2004, DOI 10.1109/TIP.2003.819861) with a Gaussian window of 11 pixels, sigma 1.5,
    C1 = (0.01 L)^2, C2 = (0.03 L)^2; images are mirrored at their edges. Both as torchmetrics computes them.

    Args:
        fake, real: images ``(N, C, H, W)`` and ``(M, C, H, W)``.
        pairing: "random": each made image with a real one drawn by `seed`; "nearest": with the real one of least mean
            squared error; "all": with every real one.
        mask: ``(H, W)``, e.g. the head: only pixels inside count, since black surroundings raise both measures. Windows
            of SSIM reach over its edge. None takes the whole image.
        seed: draws the random pairs, and the pairs that are kept where there are too many.
        most: at most so many pairs are compared; of more, so many are drawn.

    Raises:
        ValueError: unknown pairing, sizes that differ or are below 11 pixels, NaN, values outside [0, 1], an
            empty mask.
    """
    import torch
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    if pairing not in PAIRINGS:
        raise unknown_name("pairing", pairing, PAIRINGS)
    fake, real = _images(fake, "fake"), _images(real, "real")
    _same_size(fake, real, "fake", "real")
    inside = _mask(mask, fake)
    rng = np.random.default_rng(seed)
    if pairing == "all":
        pairs = np.stack(np.divmod(np.arange(len(fake) * len(real)), len(real)), 1)
    else:
        drawn = rng.integers(len(real), size=len(fake))
        partner = drawn if pairing == "random" else _nearest(fake[:, :, inside], real[:, :, inside]).index
        pairs = np.stack([np.arange(len(fake)), partner], 1)
    if len(pairs) > most:
        pairs = pairs[np.sort(rng.choice(len(pairs), most, replace=False))]
    psnr, ssim = [], []
    for some in np.array_split(pairs, -(-len(pairs) // CHUNK)):
        one, other = fake[some[:, 0]], real[some[:, 1]]
        psnr.append(peak_signal_noise_ratio(one[:, :, inside], other[:, :, inside], 1.0, reduction="none", dim=(1, 2)))
        maps = structural_similarity_index_measure(one, other, data_range=1.0, return_full_image=True)[1]
        ssim.append(maps[:, :, inside].mean((1, 2)))
    psnr = torch.cat(psnr).double()
    finite = psnr[psnr.isfinite()]
    mean = float(finite.mean()) if len(finite) else np.inf
    return Similarity(mean, float(torch.cat(ssim).double().mean()), len(pairs), len(psnr) - len(finite))


def features_of(network: nn.Module, images: object, batch_size: int = 256) -> np.ndarray:
    """Penultimate features ``(N, A)`` of the images, float32: what the last linear layer of `network` gets.

    That is 4 `width` averaged maps for `SmallCNN`. The network is run in evaluation mode, which is then as it was.

    Args:
        network: maps images to something through a linear layer, trained on images of this kind and scale.
        images: ``(N, C, H, W)``, as the network was trained on.
        batch_size: images at a time.

    Raises:
        ValueError: a network without a linear layer, images that are not ``(N, C, H, W)`` in [0, 1].
    """
    import torch

    images = _images(images, "images")
    heads = [module for module in network.modules() if isinstance(module, torch.nn.Linear)]
    if not heads:
        raise ValueError(f"{type(network).__name__} has no linear layer to take features before; give a classifier")
    seen, device = [], next(network.parameters()).device
    hook = heads[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].float().cpu()))
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        with torch.inference_mode():
            for some in images.split(batch_size):
                network(some.to(device))
    finally:
        hook.remove()
        for module in training:
            module.training = True
    return torch.cat(seen).numpy()


def fid(real: object, fake: object, network: nn.Module) -> float:
    """Frechet distance of the features of two sets of images (Heusel et al. 2017, arXiv:1706.08500); 0 = alike.

    ``|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))`` for means m and covariances S of the features: two Gaussians.
    The published FID takes the features of Inception-v3, trained on photographs; here they are those of `network`,
    which saw images of this kind. The unit is that of its features, so a value compares only with others of the
    **same network**.

    **Biased in small samples**: with few images it is too large even for two draws from the same distribution, the
    more the fewer images and the more features. Compare only at equal numbers, and beside the FID between two halves of
    the real images. `kid` has no such bias.

    Args:
        real, fake: images ``(N, C, H, W)`` and ``(M, C, H, W)``. Take real images that the generator was not trained
            on: copies of the training images would look best otherwise.
        network: a classifier, see `features_of`.

    Raises:
        ValueError: fewer than two images, real images that are all the same, sizes that differ, NaN.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    return float(_distance(FrechetInceptionDistance, real, fake, network))


def kid(real: object, fake: object, network: nn.Module, seed: int = 0) -> float:
    """Kernel distance of the features of two sets of images (Binkowski et al. 2018, arXiv:1801.01401); 0 = alike.

    Squared maximum mean discrepancy with the kernel ``(f g / A + 1)^3`` of features of A numbers, unbiased: for draws
    from the same distribution it is 0 on average, so it may be a little below 0. Its unit is that of `network`, as for
    `fid`.

    Args:
        real, fake, network: as for `fid`. Of the larger set as many are drawn as the smaller has, at most 1000; where
            that leaves a choice, ten times, and the mean is returned.
        seed: draws them.

    Raises:
        ValueError: as for `fid`.
    """
    import torch
    from torchmetrics.image.kid import KernelInceptionDistance

    size = min(len(real), len(fake), 1000)
    subsets = 1 if len(real) == len(fake) == size else 10
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Metric `Kernel Inception Distance` will save all")
        torch.manual_seed(seed)
        options = {"subsets": subsets, "subset_size": max(size, 1)}
        return float(_distance(KernelInceptionDistance, real, fake, network, **options)[0])


def _distance(metric: type, real: object, fake: object, network: nn.Module, **options: int) -> object:
    """A metric of torchmetrics on features instead of images."""
    import torch

    real, fake = _images(real, "real"), _images(fake, "fake")
    _same_size(fake, real, "fake", "real")
    for name, images in (("real", real), ("fake", fake)):
        if len(images) < 2:
            raise ValueError(f"one {name} image has no spread: give at least two, better hundreds")
    if (real == real[:1]).all():
        raise ValueError("all real images are the same; give the images that the generator should learn to make")
    features = [torch.from_numpy(features_of(network, images)).double() for images in (real, fake)]
    through = torch.nn.Identity()
    through.num_features = features[0].shape[1]
    measure = metric(through, **options)
    measure.update(features[0], real=True)
    measure.update(features[1], real=False)
    return measure.compute()


def nearest(images: object, references: object) -> Nearest:
    """For each image the reference with the least mean squared error: were training images learnt by heart?

    The distance is the root mean squared error (RMSE) in gray values of 0 to 1. Compare it with that of held-out real
    images: a generator that made new images is as far from the training images as those are.

    Args:
        images: ``(N, C, H, W)``.
        references: ``(M, C, H, W)``, e.g. the training images.

    Raises:
        ValueError: sizes that differ, NaN, values outside [0, 1].
    """
    images, references = _images(images, "images"), _images(references, "references")
    _same_size(images, references, "images", "references")
    return _nearest(images.flatten(2), references.flatten(2))


def _nearest(images: Tensor, references: Tensor) -> Nearest:
    """`nearest` of pixels ``(N, C, P)``."""
    import torch

    found, distance, flat = [], [], references.flatten(1).double()
    for some in images.flatten(1).split(CHUNK):
        index = torch.cdist(some.double(), flat).argmin(1)
        found.append(index)
        distance.append((some - references.flatten(1)[index]).square().mean(1).sqrt())  # exact: 0 for a copy
    return Nearest(torch.cat(found).numpy(), torch.cat(distance).numpy())


def diversity(images: object, pairs: int = 1000, seed: int = 0) -> Diversity:
    """How much the images of one set differ, over pairs of them: a collapsed generator makes the same one again.

    The mean SSIM of pairs as a measure of diversity after Odena et al. 2017 (arXiv:1610.09585), who took its
    multi-scale form. Compare with the diversity of real images: noise is more diverse than any brain.

    Args:
        images: ``(N, C, H, W)``.
        pairs: at most so many pairs of different images, drawn by `seed`.
        seed: draws the pairs.

    Raises:
        ValueError: one image, which has no pair; below 11 pixels; NaN; values outside [0, 1].
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    images = _images(images, "images")
    if len(images) < 2:
        raise ValueError("one image has no diversity: give at least two")
    _check_window(images)
    first, second = np.triu_indices(len(images), 1)
    if len(first) > pairs:
        drawn = np.sort(np.random.default_rng(seed).choice(len(first), pairs, replace=False))
        first, second = first[drawn], second[drawn]
    distance, ssim = 0.0, 0.0
    for some in np.array_split(np.arange(len(first)), -(-len(first) // CHUNK)):
        one, other = images[first[some]], images[second[some]]
        distance += float((one - other).square().mean((1, 2, 3)).sqrt().sum())
        ssim += float(structural_similarity_index_measure(one, other, data_range=1.0, reduction="none").sum())
    return Diversity(distance / len(first), ssim / len(first), len(first))


def modes_covered(points: object, centers: object, radius: float, least: float = 0.01) -> Modes:
    """Which modes of a mixture the points reach: the ring of Gaussians, where the truth is known.

    Good points lie within `radius` of a center, usually three standard deviations of the mode (Srivastava et al. 2017,
    arXiv:1705.07761, call them high quality).

    Args:
        points: ``(N, 2)``, or samples of a ring generator ``(N, 2, 1, 1)``.
        centers: ``(M, 2)`` in the same units, such as `medlab.phantoms.ring.CENTERS`.
        radius: how far from its center a point may lie, in these units.
        least: a mode is covered by at least this share of all points. An even share of eight is 0.125.

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
    distance = np.linalg.norm(points[:, None] - centers, axis=2)
    near = distance.argmin(1)[distance.min(1) <= radius]
    shares = np.bincount(near, minlength=len(centers)) / len(points)
    return Modes(int((shares >= max(least, 1 / len(points))).sum()), shares, float(shares.sum()))


def class_shares(called: object, targets: object, classes: int, least: float = 0.1) -> ClassShares:
    """The classes that a classifier sees in made images against those of the training images: were any dropped?

    A classifier errs: call real held-out images first, to see what it says of images of which no class was dropped.

    Args:
        called: ``(N,)`` classes of the made images, as a classifier calls them.
        targets: ``(M,)`` classes of the training images.
        classes: how many there are.
        least: a class is covered by at least this part of its share among the training images.

    Raises:
        ValueError: no image, or a class out of range.
    """
    called, targets = to_array(called), to_array(targets)
    for name, given in (("called", called), ("targets", targets)):
        if (
            given.ndim != 1
            or len(given) == 0
            or given.dtype.kind not in "iu"
            or not 0 <= given.min() <= given.max() < classes
        ):
            raise ValueError(f"{name} must be at least one class number from 0 to {classes - 1} in a row, (N,)")
    shares, training = (np.bincount(given, minlength=classes) / len(given) for given in (called, targets))
    covered = (shares > 0) & (shares >= least * training)
    positive = shares[shares > 0]
    entropy = float(-(positive * np.log2(positive)).sum())
    return ClassShares(shares, training, int(covered.sum()), entropy, float(np.abs(shares - training).sum() / 2))


def _images(images: object, name: str) -> Tensor:
    """The images as float32 in [0, 1] on the CPU, checked."""
    import torch

    images = torch.as_tensor(images).detach().cpu()
    images = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    if images.ndim != 4 or len(images) == 0:
        raise ValueError(f"{name} must be at least one image, (N, C, H, W), got {tuple(images.shape)}")
    if images.isnan().any():
        raise ValueError(
            f"{name}: {int(images.isnan().flatten(1).any(1).sum())} images hold NaN; the training diverged"
        )
    if images.min() < -1e-4 or images.max() > 1 + 1e-4:
        raise ValueError(
            f"{name} lie in {images.min():.3g} to {images.max():.3g}, but must lie in [0, 1]: scale those of a "
            "generator with tanh by (images + 1) / 2, or take medlab.train.sample, which does so"
        )
    return images.clamp(0, 1)


def _same_size(images: Tensor, others: Tensor, name: str, other: str) -> None:
    if images.shape[1:] != others.shape[1:]:
        raise ValueError(
            f"{name} are {tuple(images.shape[1:])} and {other} {tuple(others.shape[1:])}; both must have the same "
            "channels, height and width"
        )


def _check_window(images: Tensor) -> None:
    if min(images.shape[2:]) < WINDOW:
        raise ValueError(f"images are {tuple(images.shape[2:])}, but SSIM needs at least {WINDOW} pixels a side")


def _mask(mask: object, images: Tensor) -> Tensor:
    """Which pixels count, ``(H, W)``."""
    import torch

    _check_window(images)
    inside = torch.ones(images.shape[2:], dtype=torch.bool) if mask is None else torch.as_tensor(mask).cpu() > 0
    if inside.shape != images.shape[2:] or not inside.any():
        raise ValueError(
            f"mask {tuple(inside.shape)} holds {int(inside.sum())} pixels; it must be one map "
            f"{tuple(images.shape[2:])} for all images, with a pixel inside"
        )
    return inside
