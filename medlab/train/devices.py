"""Device, precision and memory format of a training, and the seeds that make it repeatable."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from medlab.errors import unknown_name_error, whole_number

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

LARGEST_SEED = 2**32 - 1  # those of the epochs, which follow from it, are numbers of 64 bits


def pick_device(name: str | torch.device | None = None) -> torch.device:
    """The device of that name; None takes that of the variable MEDLAB_DEVICE, else CUDA, Apple's MPS, or the CPU.

    Raises:
        ValueError: the named device is not on this machine.
    """
    name = name or os.environ.get("MEDLAB_DEVICE") or None
    available = ["cpu"]
    if torch.backends.mps.is_available():
        available.insert(0, "mps")
    if torch.cuda.is_available():
        available.insert(0, "cuda")
    if name is None:
        return torch.device(available[0])
    try:
        device = torch.device(name)
    except RuntimeError:
        raise unknown_name_error("device", name, available) from None
    if device.type not in available:
        raise ValueError(f"no {device.type!r} device on this machine; available: {', '.join(available)}")
    return device


def pick_precision(name: str | None, device: torch.device) -> torch.dtype:
    """The dtype of that name; None takes bfloat16 where the hardware has it, float16 on older CUDA cards, else float32.

    A card below capability 8.0, such as the T4, emulates bfloat16.
    """
    if name is not None:
        if name not in PRECISIONS:
            raise unknown_name_error("precision", name, PRECISIONS)
        return PRECISIONS[name]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    # Without these instructions the CPU emulates bfloat16, which is slower than float32.
    fast = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def pick_layout(model: nn.Module, images: Tensor, device: torch.device) -> torch.memory_format:
    """Channels-last for images ``(N, C, H, W)`` on CUDA and the CPU, up to 1.8 times as fast there; else contiguous.

    Not on Apple's MPS: its batch normalization has wrong gradients then (PyTorch 175189). Contiguous too for a network
    with dilated convolutions on a CPU: they take up to twice as long in channels-last, and in bfloat16 their gradient
    is NaN for 17 to 31 channels (PyTorch 2.12, oneDNN 3.11).
    """
    dilated = any(isinstance(layer, nn.Conv2d) and max(layer.dilation) > 1 for layer in model.modules())
    if images.ndim != 4 or device.type not in ("cpu", "cuda") or (dilated and device.type == "cpu"):
        return torch.contiguous_format
    return torch.channels_last


@dataclass(frozen=True)
class Placement:
    """Where a training computes: device, dtype of autocast, memory format of the images.

    `scaler` scales losses in float16, whose gradients would fall below its smallest number; in others it does nothing.
    """

    device: torch.device
    dtype: torch.dtype
    memory_format: torch.memory_format
    scaler: torch.amp.GradScaler = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        object.__setattr__(self, "scaler", scaler)

    @property
    def precision(self) -> str:
        """Name of the dtype, as histories and checkpoints hold it."""
        return str(self.dtype).removeprefix("torch.")

    def autocast(self) -> torch.autocast:
        """Context in which the forward pass computes in the chosen precision."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def step(self, loss: Tensor, optimizer: torch.optim.Optimizer, clip: float | None = None) -> None:
        """One gradient step down `loss`, the gradient's norm limited to `clip`; none where float16 overflowed."""
        optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        if clip is not None:
            self.scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_([one for group in optimizer.param_groups for one in group["params"]], clip)
        self.scaler.step(optimizer)
        self.scaler.update()


def place_model(
    model: nn.Module, images: Tensor, device: str | torch.device | None, precision: str | None
) -> Placement:
    """Choose device, precision and memory format for training on `images`, and move `model` there, in place."""
    device = pick_device(device)
    placement = Placement(device, pick_precision(precision, device), pick_layout(model, images, device))
    model.to(device).to(memory_format=placement.memory_format)  # type: ignore[call-overload]
    return placement


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and PyTorch's generators, so that a network starts from the same weights.

    Raises:
        ValueError: `seed` negative, not a whole number, or above `LARGEST_SEED`.
    """
    seed = whole_number("seed", seed, 0, LARGEST_SEED)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Context of a training: the random numbers of others stay as they were, and cuDNN's kernels are deterministic."""
    before = torch.backends.cudnn.deterministic
    kind = "mps" if device.type == "mps" else "cuda"
    with torch.random.fork_rng(devices=[device] if device.type == kind else [], device_type=kind):
        torch.backends.cudnn.deterministic = True
        try:
            yield
        finally:
            torch.backends.cudnn.deterministic = before
