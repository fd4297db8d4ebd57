"""2-D convolution written out as one matrix product. To read; networks use PyTorch's."""

from torch import Tensor
from torch.nn.functional import unfold


def conv2d_unfold(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """2-D convolution as one matrix product: kernels as rows times patches as columns (no padding, stride 1).

    Args:
        images: ``(N, C, H, W)``.
        weight: ``(O, C, k, k)``.
        bias: ``(O,)``.

    Returns:
        ``(N, O, H - k + 1, W - k + 1)``.
    """
    n, _, height, width = images.shape
    out_channels, _, k, _ = weight.shape
    columns = unfold(images, k)  # (N, C * k * k, positions)
    out = weight.flatten(1) @ columns + bias[:, None]  # (N, O, positions)
    return out.reshape(n, out_channels, height - k + 1, width - k + 1)
