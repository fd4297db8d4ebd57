"""Evaluation of generated images: similarity and distribution distances.

No number here is enough alone: a generator that memorized training images has perfect PSNR and FID, one that generates
the same good image again and again has a high PSNR, and FID hides which of the two is wrong. Read nearest neighbors and
diversity beside them (`medlab.metrics.coverage`).

Images are ``(N, C, H, W)`` in [0, 1], tensor or array; uint8 counts as 0 to 255.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from medlab.errors import unknown_name_error, whole_number
from medlab.metrics.classification import check_probs
from medlab.metrics.coverage import CHUNK, nearest
from medlab.metrics.image_checks import check_images, check_same_size, check_ssim_size

if TYPE_CHECKING:  # torch takes a second to import, torchmetrics several
    from torch import Tensor, nn

PAIRINGS = ("random", "nearest", "all")


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


class InceptionScore(NamedTuple):
    """Mean and standard deviation over the splits; between 1 and the number of classes."""

    mean: float
    std: float


def psnr_ssim(
    fake: ArrayLike, real: ArrayLike, pairing: str = "random", mask: ArrayLike | None = None, seed: int = 0,
    max_pairs: int = 2000,
) -> Similarity:  # fmt: skip
    """Mean PSNR and SSIM of generated images, each paired with a real one.

    Both measures compare an image with *its* reference. An image generated from a noise vector has none, so the pairing
    decides the result and has to be reported with it.

    PSNR is ``10 log10(L^2 / MSE)``, L the range of gray values: 32.83 dB is a root mean squared error of 5.82 at
    L = 255. SSIM (Wang et al. 2004, DOI 10.1109/TIP.2003.819861) with a Gaussian window of 11 pixels, sigma 1.5,
    C1 = (0.01 L)^2, C2 = (0.03 L)^2; images are mirrored at their edges. Both as torchmetrics computes them.

    Args:
        fake, real: images ``(N, C, H, W)`` and ``(M, C, H, W)``.
        pairing: "random": each generated image with a real one sampled by `seed`; "nearest": with the real one of least
            mean squared error; "all": with every real one.
        mask: ``(H, W)``, e.g. the head: only pixels inside count, since a black background raises both measures.
            Windows of SSIM reach over its edge. None takes the whole image.
        seed: of the random pairs, and of the pairs that are kept if there are too many.
        max_pairs: at most so many pairs are compared; of more, so many are sampled.

    Raises:
        ValueError: unknown pairing, sizes that differ or are below 11 pixels, NaN, values outside [0, 1], an
            empty mask.
    """
    import torch
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    if pairing not in PAIRINGS:
        raise unknown_name_error("pairing", pairing, PAIRINGS)
    fake, real = check_images(fake, "fake"), check_images(real, "real")
    check_same_size(fake, real, "fake", "real")
    inside = _mask(mask, fake)
    rng = np.random.default_rng(whole_number("seed", seed, 0))
    if pairing == "all":
        pairs = np.stack(np.divmod(np.arange(len(fake) * len(real)), len(real)), 1)
    else:
        partner = rng.integers(len(real), size=len(fake))
        if pairing == "nearest":
            partner = nearest(*(images[:, :, inside][..., None] for images in (fake, real))).index
        pairs = np.stack([np.arange(len(fake)), partner], 1)
    if len(pairs) > whole_number("max_pairs", max_pairs, 1):
        pairs = pairs[np.sort(rng.choice(len(pairs), max_pairs, replace=False))]
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


def features_of(network: nn.Module, images: ArrayLike, batch_size: int = 256) -> np.ndarray:
    """Penultimate features ``(N, A)`` of the images, float32: the input of the last linear layer of `network`.

    For `SmallCNN` these are 4 `width` globally averaged channels. The network is evaluated in evaluation mode, and its
    mode is restored.

    Args:
        network: maps images to something through a linear layer, trained on images of this kind and scale.
        images: ``(N, C, H, W)``, as the network was trained on.
        batch_size: images at a time.

    Raises:
        ValueError: a network without a linear layer, images that are not ``(N, C, H, W)`` in [0, 1].
    """
    import torch

    from medlab.models.modes import eval_mode, explain_shape

    images = check_images(images, "images")
    heads = [module for module in network.modules() if isinstance(module, torch.nn.Linear)]
    if not heads:
        raise ValueError(f"{type(network).__name__} has no linear layer to take features before; give a classifier")
    seen, device = [], next(network.parameters()).device
    hook = heads[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].float().cpu()))
    try:
        with eval_mode(network), torch.inference_mode(), explain_shape(images):
            for some in images.split(whole_number("batch_size", batch_size, 1)):
                network(some.to(device))
    finally:
        hook.remove()
    return torch.cat(seen).numpy()


def fid(real: Tensor | np.ndarray, fake: Tensor | np.ndarray, network: nn.Module) -> float:
    """Frechet inception distance (FID) of two sets of images; 0 = equal distributions.

    ``|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))`` for means m and covariances S of the features, taken as Gaussian
    (Heusel et al. 2017, arXiv:1706.08500). The published FID takes the features of Inception-v3, trained on
    photographs; here they are those of `network`, trained on images of this kind. The unit is that of its features, so
    a value compares only with others of the **same network**.

    **Biased in small samples**: with few images it is too large even for two samples of the same distribution, the
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


def kid(real: Tensor | np.ndarray, fake: Tensor | np.ndarray, network: nn.Module, seed: int = 0) -> float:
    """Kernel inception distance (KID) of two sets of images; 0 = equal distributions.

    Unbiased estimate of the squared maximum mean discrepancy of features of A numbers, with the kernel
    ``(f g / A + 1)^3`` (Binkowski et al. 2018, arXiv:1801.01401): for samples of the same distribution it is 0 on
    average, so it may be a little below 0. Its unit is that of `network`, as for `fid`.

    Args:
        real, fake, network: as for `fid`. Of the larger set as many are sampled as the smaller has, at most 1000; where
            that leaves a choice, ten times, and the mean is returned.
        seed: of the sampling.

    Raises:
        ValueError: as for `fid`.
    """
    import torch
    from torchmetrics.image.kid import KernelInceptionDistance

    size = min(len(real), len(fake), 1000)
    subsets = 1 if len(real) == len(fake) == size else 10
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Metric `Kernel Inception Distance` will save all")
        torch.manual_seed(whole_number("seed", seed, 0))
        options = {"subsets": subsets, "subset_size": max(size, 1)}
        return float(_distance(KernelInceptionDistance, real, fake, network, **options)[0])


def _distance(metric: type, real: ArrayLike, fake: ArrayLike, network: nn.Module, **options: int) -> Any:
    """A metric of torchmetrics, computed from the features of `network` instead of Inception's."""
    import torch

    real, fake = check_images(real, "real"), check_images(fake, "fake")
    check_same_size(fake, real, "fake", "real")
    for name, images in (("real", real), ("fake", fake)):
        if len(images) < 2:
            raise ValueError(f"one {name} image has no spread: give at least two, better hundreds")
    if (real == real[:1]).all():
        raise ValueError("all real images are the same; give the images whose distribution the generator should learn")
    features = [torch.from_numpy(features_of(network, images)).double() for images in (real, fake)]
    through: Any = torch.nn.Identity()
    through.num_features = features[0].shape[1]
    measure = metric(through, **options)
    measure.update(features[0], real=True)
    measure.update(features[1], real=False)
    return measure.compute()


def inception_score(probs: ArrayLike, splits: int = 10) -> InceptionScore:
    """Inception score of the class probabilities ``(N, K)`` that a classifier predicts for N generated images.

    ``IS = exp(E_x KL(p(y | x) || p(y)))`` (Salimans et al. 2016, arXiv:1606.03498, section 4): is each image clearly of
    some class, and are all classes generated? The paper's p is that of Inception-v3, trained on photographs; for
    medical images take a classifier trained on the task, and name it with the score. Not a distance: it never looks at
    real images. It does not see collapse within a class, and images optimized for it are adversarial examples.

    The standard deviation over splits is that of the published code. It measures the size of the splits more than any
    uncertainty about the generator, and a small split has a lower score: compare at equal N and `splits` only.

    Raises:
        ValueError: not ``(N, K)``, rows that are no probabilities, fewer images than splits.
    """
    from scipy.stats import entropy

    probs = check_probs(probs)
    if not 1 <= splits <= len(probs):
        raise ValueError(f"cannot cut {len(probs)} images into {splits} splits; take splits=1, or more images")
    scores = [math.exp(entropy(part, part.mean(0), axis=1).mean()) for part in np.array_split(probs, splits)]
    return InceptionScore(float(np.mean(scores)), float(np.std(scores)))


def _mask(mask: ArrayLike | None, images: Tensor) -> Tensor:
    """The pixels that count, ``(H, W)``."""
    import torch

    check_ssim_size(images)
    inside = torch.ones(images.shape[2:], dtype=torch.bool) if mask is None else torch.as_tensor(mask).cpu() > 0
    if inside.shape != images.shape[2:] or not inside.any():
        raise ValueError(
            f"mask {tuple(inside.shape)} holds {int(inside.sum())} pixels; it must be one mask "
            f"{tuple(images.shape[2:])} for all images, with a pixel inside"
        )
    return inside
