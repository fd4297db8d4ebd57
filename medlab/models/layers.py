"""Building blocks that several networks share."""

import torch
from torch import Tensor, nn


class Conv3d(nn.Conv3d):
    """`torch.nn.Conv3d` that computes in float32 on a CPU where the kernel is larger than the depth.

    There the gradient of bfloat16 weights is NaN now and then, for it reads memory that nobody wrote (PyTorch 2.12,
    oneDNN 3.11: 12 of 200 at a depth of 2 with kernel 3).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Volumes ``(N, C, D, H, W)`` to ``(N, out_channels, D', H', W')``."""
        if x.device.type == "cpu" and x.shape[2] < self.kernel_size[0]:
            with torch.autocast("cpu", enabled=False):
                return super().forward(x.float())
        return super().forward(x)


class ConvTranspose3d(nn.ConvTranspose3d):
    """`torch.nn.ConvTranspose3d` that computes in float32 on Apple's MPS, which has it in no half precision."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Volumes ``(N, C, D, H, W)`` to ``(N, out_channels, D', H', W')``."""
        if x.device.type == "mps":
            with torch.autocast("mps", enabled=False):
                return super().forward(x.float(), output_size)
        return super().forward(x, output_size)


LAYERS = {  # by number of axes: convolution, up-convolution, batch normalization, pooling
    2: (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.MaxPool2d),
    3: (Conv3d, ConvTranspose3d, nn.BatchNorm3d, nn.MaxPool3d),
}
INSTANCE = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}


def conv_bn_relu(in_channels: int, out_channels: int, kernel: int, *, dilation: int = 1) -> nn.Sequential:
    """Convolution that keeps the sides, batch normalization, ReLU."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, padding="same", dilation=dilation)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


def two_convs(
    in_channels: int, out_channels: int, padding: str = "same", norm: bool | str = True, axes: int = 2, stride: int = 1
) -> nn.Sequential:
    """Two times convolution 3 x 3 (x 3), the first with `stride`, and what `norm` names: True is batch normalization
    and ReLU, "instance" instance normalization and leaky ReLU, False ReLU alone."""
    convolution, _, batch, _ = LAYERS[axes]
    layers: list[nn.Module] = []
    for channels, step in ((in_channels, stride), (out_channels, 1)):
        pad: str | int = padding if step == 1 else 1  # "same" is for stride 1 alone
        layers.append(convolution(channels, out_channels, 3, step, pad, bias=not norm))
        if norm == "instance":
            layers += [INSTANCE[axes](out_channels, affine=True), nn.LeakyReLU(0.01, inplace=True)]
        else:
            layers += [*([batch(out_channels)] if norm else []), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def transposed_conv(in_channels: int, out_channels: int, kernel: int, *, bias: bool = True) -> nn.ConvTranspose2d:
    """Transposed convolution (kernel 2 to 5) that doubles the sides."""
    return nn.ConvTranspose2d(in_channels, out_channels, kernel, 2, (kernel - 1) // 2, kernel % 2, bias=bias)


def upsample2x(in_channels: int, out_channels: int, kernel: int, *, bias: bool = True) -> nn.Sequential:
    """Transposed convolution (kernel 2 to 5) that doubles the sides, batch normalization, ReLU."""
    conv = transposed_conv(in_channels, out_channels, kernel, bias=bias)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


def check_sides(images: Tensor, poolings: int, network: nn.Module) -> None:
    """Refuse images ``(N, C, H, W)`` with a side that `poolings` halvings do not divide."""
    step = 2**poolings
    height, width = images.shape[2:]
    if height % step or width % step:
        larger = " x ".join(str(-(-side // step) * step) for side in (height, width))
        raise ValueError(
            f"{type(network).__name__} pools {poolings} times, so both sides must be multiples of {step}, "
            f"got {height} x {width}: pad to {larger}"
        )
