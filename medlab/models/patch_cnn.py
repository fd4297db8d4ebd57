"""Patch networks: segmentation by classifying every voxel from the patch around it.

Lai: Deep learning for medical image segmentation. arXiv:1505.02000, 2015. The three planes come from Prasoon et al.:
Deep feature learning for knee cartilage segmentation using a triplanar convolutional neural network. MICCAI 2013.

| view      | input               | conv, 20 channels    | conv, 50 channels    | fully connected  | parameters  |
| --------- | ------------------- | -------------------- | -------------------- | ---------------- | ----------- |
| single    | 1 x 24 x 24         | 20 x 20 x 20         | 50 x 16 x 16         | 12 800, 1000, 2  |  12 828 572 |
| stacked   | 3 slices, 24 x 24   | 20 x 20 x 20         | 50 x 16 x 16         | 12 800, 1000, 2  |  12 829 572 |
| triplanar | 3 times 1 x 24 x 24 | 3 times 20 x 20 x 20 | 3 times 50 x 16 x 16 | 38 400, 1000, 2  |  38 479 712 |
| volume    | 1 x 24 x 24 x 24    | 20 x 20 x 20 x 20    | 50 x 16 x 16 x 16    | 204 800, 1000, 2 | 204 930 572 |

Kernels are 5 wide, and there is no pooling. The three planes have weights of their own and are concatenated before the
fully connected layer. The sizes of the last three views are those of a published reading of the report; the single
patch on the same template, ReLU and softmax are our choice.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv3d, pad

from medlab.errors import unknown_name_error

STREAMS = {"single": 1, "stacked": 1, "triplanar": 3, "volume": 1}  # parallel pairs of convolutions
CHANNELS = {"single": 1, "stacked": 3, "triplanar": 1, "volume": 1}  # of the input of each of them


class PatchCNN(nn.Module):
    """Two convolutions without pooling and one wide fully connected layer, in one of four views of a voxel.

    Args:
        view: "single", "stacked", "triplanar" or "volume".
        classes: classes of the voxels, background included.
        width: side of the patches.
        kernel: side of the convolution kernels.
        channels: of the two convolutions.
        dense: units of the fully connected layer.

    Raises:
        ValueError: an unknown view, patches smaller than the two kernels.
    """

    def __init__(
        self,
        view: str = "single",
        classes: int = 2,
        width: int = 24,
        kernel: int = 5,
        channels: tuple[int, int] = (20, 50),
        dense: int = 1000,
    ) -> None:
        super().__init__()
        if view not in STREAMS:
            raise unknown_name_error("view", view, STREAMS)
        if len(channels) != 2 or min(channels) < 1:
            raise ValueError(f"channels are two numbers from 1, one per convolution, got {channels}")
        side = width - 2 * (kernel - 1)
        if side < 1:
            raise ValueError(
                f"patches {width} wide are too small for two kernels of {kernel}; take at least {width - side + 1}"
            )
        self.view, self.width, self.side = view, width, side
        axes, convolution = (3, nn.Conv3d) if view == "volume" else (2, nn.Conv2d)
        self.streams = nn.ModuleList(
            nn.Sequential(
                convolution(CHANNELS[view], channels[0], kernel),  # (N, channels[0], width - kernel + 1, ...)
                nn.ReLU(),
                convolution(channels[0], channels[1], kernel),  # (N, channels[1], side, ...)
                nn.ReLU(),
            )
            for _ in range(STREAMS[view])
        )
        self.dense = nn.Linear(STREAMS[view] * channels[1] * side**axes, dense)
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
        # (N, channels[1] side^axes) each
        features = [stream(plane).flatten(1) for stream, plane in zip(self.streams, planes)]
        return self.head(self.dense(torch.cat(features, 1)).relu())


class WholeVolume(nn.Module):
    """Dense inference with a patch network: every voxel of a volume gets the logits of the patch around it.

    Without pooling, the feature maps of neighboring patches are shifted copies of each other. So each plane of the
    volume is convolved once, and the fully connected layer becomes a convolution with a kernel as large as the feature
    maps of a patch.

    Args:
        network: a `PatchCNN`.
        chunk: slices (for the volume view, axial slices of the output) computed at a time; bounds the memory.
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
        net, head = self.network, self.network.head
        units = sum(self._units(volume)) + net.dense.bias[:, None, None, None]  # (dense, D, H, W)
        return torch.einsum("ku,udhw->kdhw", head.weight, units.relu()) + head.bias[:, None, None, None]

    def _units(self, volume: Tensor) -> Iterator[Tensor]:
        """What each stream contributes to the units of the fully connected layer, ``(dense, D, H, W)``."""
        net = self.network
        margin = (net.width // 2, net.width - 1 - net.width // 2)
        if net.view == "volume":
            yield self._slide(pad(volume, margin * 3)[None, None], 0)[0]
        elif net.view == "stacked":
            padded = pad(volume, margin * 2 + (1, 1))
            slices = torch.stack([padded[:-2], padded[1:-1], padded[2:]], 1)  # (D, 3, H + w - 1, W + w - 1)
            yield self._slide(slices, 0).transpose(0, 1)
        else:
            for number in range(len(net.streams)):  # slices across D, H or W: axial, coronal, sagittal
                slices = pad(volume.movedim(number, 0), margin * 2)[:, None]
                yield self._slide(slices, number).movedim(0, 1 + number)

    def _slide(self, images: Tensor, number: int) -> Tensor:
        """One stream and its part of the fully connected layer, as convolutions: ``(N, dense, ...)``."""
        net = self.network
        stream, weight = net.streams[number], net.dense.weight.chunk(len(net.streams), 1)[number]
        side = net.side
        kernel = weight.view(len(weight), -1, *[side] * (images.ndim - 2))
        if net.view == "volume":
            features = stream(images)  # (1, channels, D + side - 1, H + side - 1, W + side - 1)
            layers = range(0, features.shape[2] - side + 1, self.chunk)
            return torch.cat([conv3d(features[:, :, z : z + self.chunk + side - 1], kernel) for z in layers], 2)
        return torch.cat([conv2d(stream(part), kernel) for part in images.split(self.chunk)])
