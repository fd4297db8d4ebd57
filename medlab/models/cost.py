"""Cost of a network: parameters, multiplications and memory. Counted, not timed: the same on every machine."""

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from medlab.models.modes import explain_shape


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters of a network, or of a part of it."""
    return sum(p.numel() for p in model.parameters())


@torch.no_grad()
def multiply_adds(model: nn.Module, images: Tensor) -> int:
    """Multiply-accumulate operations of one forward pass; with model and images on the meta device it takes no time.

    Raises:
        ValueError: images that the model cannot take.
    """
    with FlopCounterMode(display=False) as counter, explain_shape(images):
        model(images)
    return counter.get_total_flops() // 2  # a multiplication and an addition are two


def training_bytes(model: nn.Module, images: Tensor) -> int:
    """Memory in bytes of one training step in float32: parameters, gradients, Adam's two moments, and activations.

    Parameters count 16 bytes each. Activations are what the forward pass of `images` keeps for the backward pass; the
    workspace of the convolution library comes on top.

    Raises:
        ValueError: images that the model cannot take.
    """
    kept = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes(), tensor
        return tensor

    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), explain_shape(images):
        model(images)
    activations = sum(size for storage, (size, _) in kept.items() if storage not in own)
    return 16 * count_parameters(model) + activations
