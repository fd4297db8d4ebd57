"""Patches around voxels of volumes, thousands at a time, gathered on the device of the volumes.

| view      | patches             | what a patch shows                                                             |
| --------- | ------------------- | ------------------------------------------------------------------------------ |
| single    | ``(M, 1, w, w)``    | the axial slice around its center                                              |
| stacked   | ``(M, 3, w, w)``    | that slice, second, with the ones before and after it                          |
| triplanar | ``(M, 3, w, w)``    | three planes through the center: axial (H, W), coronal (D, W), sagittal (D, H) |
| volume    | ``(M, 1, w, w, w)`` | the cube around its center                                                     |

The center of a patch is its voxel number ``w // 2`` along each axis. Beyond the border of a volume a patch holds 0.
"""

from dataclasses import replace

import numpy as np
import torch
from scipy.ndimage import binary_dilation, generate_binary_structure
from torch import Tensor
from torch.nn.functional import pad

from medlab.data.images import ImageSet
from medlab.errors import unknown_name_error, whole_number

VIEWS = ("single", "stacked", "triplanar", "volume")


def extract_patches(volumes: Tensor, centers: Tensor, view: str, width: int) -> Tensor:
    """Extract one patch around each center, all in one gather.

    Args:
        volumes: ``(N, 1, D, H, W)``.
        centers: ``(M, 4)`` whole numbers: volume, depth, row, column.
        view: one of `VIEWS`; the table above says what it shows.
        width: side of the patch in voxels.

    Returns:
        Patches in the shape that the table gives, of the type and on the device of the volumes.

    Raises:
        ValueError: unknown view, volumes or centers of another shape, a patch larger than the volume, a center outside.
    """
    _check(volumes, centers, view, width)
    reach = max(width // 2, 1)  # a stack reaches one slice up and down, however narrow it is
    padded = pad(volumes[:, 0], (reach,) * 6)
    strides = torch.tensor(padded.stride(), device=volumes.device)
    steps = _offsets(view, width).to(volumes.device)  # (channels, sides..., 3)
    around = (steps * strides[1:]).sum(-1).flatten()  # from the center, in memory
    places = (centers.to(volumes.device) * strides).sum(1)[:, None] + reach * strides[1:].sum() + around
    return padded.flatten()[places].view(len(centers), *steps.shape[:-1])


def _offsets(view: str, width: int) -> Tensor:
    """Offsets of the voxels of a patch from its center, ``(channels, sides..., 3)``; the last axis is D, H, W."""
    line = torch.arange(width) - width // 2
    if view == "volume":
        return torch.stack(torch.meshgrid(line, line, line, indexing="ij"), -1)[None]
    down, across = torch.meshgrid(line, line, indexing="ij")
    still = torch.zeros_like(down)
    axial = torch.stack([still, down, across], -1)
    if view == "single":
        return axial[None]
    if view == "stacked":
        return torch.stack([axial + torch.tensor([step, 0, 0]) for step in (-1, 0, 1)])
    return torch.stack([axial, torch.stack([down, still, across], -1), torch.stack([down, across, still], -1)])


def _check(volumes: Tensor, centers: Tensor, view: str, width: int) -> None:
    if view not in VIEWS:
        raise unknown_name_error("view", view, VIEWS)
    if volumes.ndim != 5 or volumes.shape[1] != 1:
        raise ValueError(f"volumes must be (N, 1, D, H, W), got {tuple(volumes.shape)}")
    sides = volumes.shape[2:] if view in ("triplanar", "volume") else volumes.shape[3:]
    if not 1 <= width <= min(sides):
        raise ValueError(
            f"a {view} patch {width} wide does not fit into volumes {tuple(volumes.shape[2:])}: take 1 to {min(sides)}"
        )
    if centers.ndim != 2 or centers.shape[1] != 4 or centers.is_floating_point():
        raise ValueError(
            f"centers must be whole numbers (M, 4): volume, depth, row, column; got {tuple(centers.shape)} "
            f"of {centers.dtype}"
        )
    size = torch.tensor([len(volumes), *volumes.shape[2:]], device=centers.device)
    outside = ((centers < 0) | (centers >= size)).any(1)
    if outside.any():
        raise ValueError(
            f"{int(outside.sum())} of {len(centers)} centers lie outside, the first is {centers[outside][0].tolist()}; "
            f"volume, depth, row and column must be below {size.tolist()}"
        )


def region_mask(targets: Tensor, margin: int = 3) -> Tensor:
    """Mask of where a structure may be: the union of the label maps ``(N, D, H, W)``, dilated by `margin` voxels.

    For volumes in the same position. From the training set it is prior knowledge; from the test set it would leak.

    Returns:
        Boolean mask ``(D, H, W)`` on the device of the targets.

    Raises:
        ValueError: label maps without any structure, a margin below 0.
    """
    mask = (targets > 0).any(0)
    if not mask.any():
        raise ValueError("the label maps show no structure, so there is no region around it")
    return torch.from_numpy(_grow(mask.cpu().numpy(), whole_number("margin", margin, 0))).to(targets.device)


def _grow(mask: np.ndarray, margin: int) -> np.ndarray:
    if margin == 0:
        return mask
    return binary_dilation(mask, generate_binary_structure(3, 1), iterations=margin)


def sample_centers(
    data: ImageSet, per_class: int, *, seed: int = 0, hard: float = 0.5, near: int = 3, region: Tensor | None = None
) -> Tensor:
    """Sample voxels to train on, as many of each class, over all volumes; with replacement where a class is rarer.

    Args:
        data: volumes with label maps.
        per_class: voxels of each class.
        seed: of the draw.
        hard: share of the background voxels that are hard negatives: at most `near` voxels away from the structure.
        near: that distance, in steps from face to face.
        region: boolean ``(D, H, W)`` that all background voxels come from, e.g. of `region_mask`; None for everywhere.

    Returns:
        Centers ``(classes * per_class, 4)`` for `extract_patches`, the background first.

    Raises:
        ValueError: no label maps of volumes, a class without a voxel, a region of another shape, `hard` outside 0 to
            1, fewer than one voxel.
    """
    if data.targets.ndim != 4:
        raise ValueError(f"{data.info.name}: label maps of volumes (N, D, H, W) are needed, got {data.targets.shape}")
    if per_class < 1 or near < 1 or not 0 <= hard <= 1:
        raise ValueError(f"per_class {per_class} and near {near} must be at least 1, hard {hard} between 0 and 1")
    targets = data.targets.cpu().numpy()
    structure = targets > 0
    close = np.stack([_grow(mask, near) for mask in structure]) & ~structure
    far = ~structure & ~close
    if region is not None:
        if region.shape != targets.shape[1:]:
            raise ValueError(f"region {tuple(region.shape)} does not fit the volumes {targets.shape[1:]}")
        close, far = close & region.cpu().numpy(), far & region.cpu().numpy()
    shares = {"background near the structure": (close, round(hard * per_class))}
    shares["background"] = (far, per_class - round(hard * per_class))
    shares |= {name: (targets == k, per_class) for k, name in enumerate(data.info.classes) if k > 0}
    rng = np.random.default_rng(whole_number("seed", seed, 0))
    drawn = []
    for name, (where, count) in shares.items():
        found = np.flatnonzero(where)
        if count and not len(found):
            raise ValueError(f"{data.info.name}: no voxel of class {name} to draw from; take more volumes")
        if count:
            drawn.append(rng.choice(found, count, replace=count > len(found)))
    return torch.from_numpy(np.stack(np.unravel_index(np.concatenate(drawn), targets.shape), 1))


def patch_set(data: ImageSet, centers: Tensor, view: str, width: int) -> ImageSet:
    """Make a classification set of patches: targets are the labels of the centers, patients those of the volumes.

    Raises:
        ValueError: see `extract_patches`.
    """
    patches = extract_patches(data.images, centers, view, width)
    n, d, h, w = centers.T
    labels = data.targets[n, d, h, w].long()
    info = replace(data.info, name=f"{data.info.name}, {view} patches", task="multi-class")
    return ImageSet(patches, labels, data.patients[n.cpu().numpy()], info)
