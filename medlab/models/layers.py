"""Building blocks that several networks share."""

from torch import Tensor, nn


def conv_bn_relu(
    in_channels: int, out_channels: int, kernel: int, *, dilation: int = 1, bias: bool = True
) -> nn.Sequential:
    """Convolution that keeps the sides, batch normalization, ReLU."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, padding="same", dilation=dilation, bias=bias)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


def upsample2x(in_channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    """Transposed convolution (kernel 2 or 3) that doubles the sides, batch normalization, ReLU."""
    padding, output_padding = (kernel - 1) // 2, kernel % 2
    conv = nn.ConvTranspose2d(in_channels, out_channels, kernel, 2, padding, output_padding)
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
