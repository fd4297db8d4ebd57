"""What a network costs: multiplications, and memory while it learns. Counted, not timed: the same on every machine."""

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


@torch.no_grad()
def multiply_adds(model: nn.Module, images: Tensor) -> int:
    """Multiply-accumulate operations of one forward pass; with model and images on the meta device it takes no time."""
    with FlopCounterMode(display=False) as counter:
        model(images)
    return counter.get_total_flops() // 2  # a multiplication and an addition are two


def training_bytes(model: nn.Module, images: Tensor) -> int:
    """Memory of one training step in float32: weights, gradients, Adam's two moments, and the maps kept to go back.

    Weights count 16 bytes each. Maps are counted as the forward pass leaves them; what a library takes for its work
    comes on top.
    """
    kept = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes(), tensor
        return tensor

    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(images)
    maps = sum(size for storage, (size, _) in kept.items() if storage not in own)
    return 16 * sum(p.numel() for p in model.parameters()) + maps
