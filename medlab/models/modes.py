"""Networks for a while: in evaluation mode, or with their errors put in words."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn


@contextmanager
def explain_shape(images: Tensor) -> Iterator[None]:
    """Context in which PyTorch's error for images of a shape that a network cannot take is a ValueError with both."""
    try:
        yield
    except RuntimeError as error:
        said = str(error).partition("\n")[0]
        if "channels" not in said and "shapes" not in said:
            raise
        raise ValueError(
            f"images {tuple(images.shape)} do not fit the network: {said}; build it for their size and channels"
        ) from error


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Context in which `model` is in evaluation mode; afterwards every module is in the mode it was in."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:  # one by one: a frozen part may have been in evaluation mode
            module.training = True
