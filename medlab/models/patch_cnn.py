"""Patch networks: which structure is the voxel at the center of this patch?

Lai: Deep learning for medical image segmentation. arXiv:1505.02000, 2015. The three planes come from Prasoon et al.:
Deep feature learning for knee cartilage segmentation using a triplanar convolutional neural network. MICCAI 2013.

| view      | input               | convolution, 20 maps | convolution, 50 maps | fully connected  | parameters  |
| --------- | ------------------- | -------------------- | -------------------- | ---------------- | ----------- |
| single    | 1 x 24 x 24         | 20 x 20 x 20         | 50 x 16 x 16         | 12 800, 1000, 2  |  12 828 572 |
| stacked   | 3 slices, 24 x 24   | 20 x 20 x 20         | 50 x 16 x 16         | 12 800, 1000, 2  |  12 829 572 |
| triplanar | 3 times 1 x 24 x 24 | 3 times 20 x 20 x 20 | 3 times 50 x 16 x 16 | 38 400, 1000, 2  |  38 479 712 |
| volume    | 1 x 24 x 24 x 24    | 20 x 20 x 20 x 20    | 50 x 16 x 16 x 16    | 204 800, 1000, 2 | 204 930 572 |

Kernels are 5 wide, and there is no pooling. The three planes have weights of their own and meet in the fully connected
layer. The sizes of the last three views are those of a published reading of the report; the single patch on the same
template, ReLU and softmax are our choice.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv3d, pad

from medlab.errors import unknown_name

STREAMS = {"single": 1, "stacked": 1, "triplanar": 3, "volume": 1}  # networks side by side
CHANNELS = {"single": 1, "stacked": 3, "triplanar": 1, "volume": 1}  # of each of them


class PatchCNN(nn.Module):
    """Two convolutions without pooling and one wide fully connected layer, in one of four views of a voxel.

    Args:
        view: "single", "stacked", "triplanar" or "volume".
        classes: classes of the voxels, background included.
        width: side of the patches.
        kernel: side of the convolution kernels.
        maps: of the two convolutions.
        dense: units of the fully connected layer.

    Raises:
        ValueError: an unknown view, patches that the two convolutions use up.
    """

    def __init__(
        self,
        view: str = "single",
        classes: int = 2,
        width: int = 24,
        kernel: int = 5,
        maps: tuple[int, int] = (20, 50),
        dense: int = 1000,
    ) -> None:
        super().__init__()
        if view not in STREAMS:
            raise unknown_name("view", view, STREAMS)
        side = width - 2 * (kernel - 1)
        if side < 1:
            raise ValueError(f"patches {width} wide are used up by two kernels of {kernel}; take {width - side + 1}")
        self.view, self.width, self.side = view, width, side
        axes, convolution = (3, nn.Conv3d) if view == "volume" else (2, nn.Conv2d)
        self.streams = nn.ModuleList(
            nn.Sequential(
                convolution(CHANNELS[view], maps[0], kernel),  # (N, maps[0], width - kernel + 1, ...)
                nn.ReLU(),
                convolution(maps[0], maps[1], kernel),  # (N, maps[1], side, ...)
                nn.ReLU(),
            )
            for _ in range(STREAMS[view])
        )
        self.dense = nn.Linear(STREAMS[view] * maps[1] * side**axes, dense)
        self.head = nn.Linear(dense, classes)

    def forward(self, patches: Tensor) -> Tensor:
        """Patches as `medlab.data.patches` cuts them, ``(N, C, w, w)`` or ``(N, 1, w, w, w)``, to logits (N, classes).

        Raises:
            ValueError: patches of another shape than this view has.
        """
        axes = 3 if self.view == "volume" else 2
        expected = (len(self.streams) * CHANNELS[self.view], *[self.width] * axes)
        if tuple(patches.shape[1:]) != expected:
            raise ValueError(f"the {self.view} view takes patches (N, {expected}), got {tuple(patches.shape)}")
        planes = patches.chunk(len(self.streams), 1)  # one for each stream
        seen = [stream(plane).flatten(1) for stream, plane in zip(self.streams, planes)]  # (N, maps[1] side^axes) each
        return self.head(self.dense(torch.cat(seen, 1)).relu())


class WholeVolume(nn.Module):
    """A patch network slid over whole volumes: each voxel gets the logits of its own patch, shared work is done once.

    Without pooling, the maps of neighboring patches are shifted copies of each other. So each plane of the volume is
    convolved once, and the fully connected layer becomes a convolution whose kernel is as large as the maps of a patch.

    Args:
        network: a `PatchCNN`.
        chunk: slices (for the volume view, axial layers of the answer) computed at a time; bounds the memory.
    """

    def __init__(self, network: PatchCNN, chunk: int = 8) -> None:
        super().__init__()
        self.network, self.chunk = network, chunk

    def forward(self, volumes: Tensor) -> Tensor:
        """Volumes ``(N, 1, D, H, W)`` to logits ``(N, classes, D, H, W)``; beyond the border they are 0.

        Raises:
            ValueError: not volumes of one channel, or volumes smaller than a patch.
        """
        net = self.network
        sides = volumes.shape[2:] if net.view in ("triplanar", "volume") else volumes.shape[3:]
        if volumes.ndim != 5 or volumes.shape[1] != 1 or min(sides) < net.width:
            raise ValueError(f"volumes must be (N, 1, D, H, W), {net.width} voxels wide or more, got {volumes.shape}")
        return torch.stack([self._one(volume) for volume in volumes[:, 0]])

    def _one(self, volume: Tensor) -> Tensor:
        """``(D, H, W)`` to ``(classes, D, H, W)``."""
        net, kinds = self.network, self.network.head
        units = sum(self._units(volume)) + net.dense.bias[:, None, None, None]  # (dense, D, H, W)
        return torch.einsum("ku,udhw->kdhw", kinds.weight, units.relu()) + kinds.bias[:, None, None, None]

    def _units(self, volume: Tensor) -> Iterator[Tensor]:
        """What each stream adds to the units of the fully connected layer, ``(dense, D, H, W)``."""
        net = self.network
        around = (net.width // 2, net.width - 1 - net.width // 2)
        weights = net.dense.weight.chunk(len(net.streams), 1)
        if net.view == "volume":
            yield self._slide(pad(volume, around * 3)[None, None], 0)[0]
            return
        if net.view == "stacked":
            padded = pad(volume, around * 2 + (1, 1))
            slices = torch.stack([padded[:-2], padded[1:-1], padded[2:]], 1)  # (D, 3, H + w - 1, W + w - 1)
            yield self._slide(slices, 0).transpose(0, 1)
            return
        for number in range(len(weights)):  # slices across D, H or W: axial, coronal, sagittal
            slices = pad(volume.movedim(number, 0), around * 2)[:, None]
            yield self._slide(slices, number).movedim(0, 1 + number)

    def _slide(self, images: Tensor, number: int) -> Tensor:
        """One stream and its part of the fully connected layer, as convolutions: ``(N, dense, ...)``."""
        net = self.network
        stream, weight = net.streams[number], net.dense.weight.chunk(len(net.streams), 1)[number]
        maps, side = stream[2].out_channels, net.side
        if net.view == "volume":
            seen = stream(images)  # (1, maps, D + side - 1, H + side - 1, W + side - 1)
            kernel = weight.view(-1, maps, side, side, side)
            layers = range(0, seen.shape[2] - side + 1, self.chunk)
            return torch.cat([conv3d(seen[:, :, z : z + self.chunk + side - 1], kernel) for z in layers], 2)
        kernel = weight.view(-1, maps, side, side)
        return torch.cat([conv2d(stream(part), kernel) for part in images.split(self.chunk)])
