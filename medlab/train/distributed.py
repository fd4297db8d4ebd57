"""Distributed training by processes that `torchrun` starts: gradients averaged, batches sharded (plain DDP)."""

import atexit
import os
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train together; one process outside `torchrun`."""

    rank: int = 0
    world_size: int = 1

    @property
    def is_main(self) -> bool:
        """True for the one process that prints, validates and saves."""
        return self.rank == 0

    def wrap(self, model: nn.Module, device: torch.device) -> nn.Module:
        """The model in `DistributedDataParallel`, with batch normalization over the whole batch."""
        if self.world_size == 1:
            return model
        if device.type == "cuda":
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        else:
            for module in model.modules():
                if type(module) in (nn.BatchNorm2d, nn.BatchNorm3d):
                    module.__class__ = SyncBatchNormCPU
        return DistributedDataParallel(model)

    def shard(self, index: Tensor) -> tuple[Tensor, float]:
        """This process's part of a batch, and its weight, so that the averaged gradient is that of the whole batch."""
        mine = index[self.rank :: self.world_size]
        if len(mine) == 0:  # fewer images than processes: weight 0 (but seen by batch normalization)
            return index[:1], 0.0
        return mine, len(mine) * self.world_size / len(index)

    def average(self, values: Tensor) -> Tensor:
        """The mean of `values` over the processes."""
        if self.world_size > 1:
            dist.all_reduce(values)
            values /= self.world_size
        return values

    def broadcast(self, value: Any) -> Any:
        """The main process's `value`; that of every other process is ignored."""
        if self.world_size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def barrier(self) -> None:
        """Wait until every process has come this far."""
        if self.world_size > 1:
            dist.barrier()


class _AllReduceSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor) -> Tensor:
        values = values.clone()
        dist.all_reduce(values)
        return values

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _AllReduceSum.forward(ctx, gradient)  # every process's loss depends on the values of all


all_reduce_sum = _AllReduceSum.apply  # dist.all_reduce, with a gradient


class SyncBatchNormCPU(_BatchNorm):
    """Synchronized batch normalization on the CPU: PyTorch's `SyncBatchNorm` runs on GPUs only."""

    running_mean: Tensor  # none of these is None: the layers that this one replaces keep statistics
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, images: Tensor) -> Tensor:
        """Normalize this process's images ``(N, C, H, W)`` or volumes ``(N, C, D, H, W)``."""
        if not (self.training and dist.is_initialized()):
            return super().forward(images)
        images = images.float()
        axes, each = (0, *range(2, images.ndim)), (-1, *[1] * (images.ndim - 2))
        count = all_reduce_sum(torch.tensor(float(images[:, 0].numel())))
        mean = all_reduce_sum(images.sum(axes)) / count
        centered = images - mean.view(each)
        var = all_reduce_sum(centered.square().sum(axes)) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * count / (count - 1), self.momentum)
        scale = self.weight * torch.rsqrt(var + self.eps)
        return centered * scale.view(each) + self.bias.view(each)

    def _check_input_dim(self, images: Tensor) -> None:
        """The layer that this one replaces took images or volumes, and so does this one."""


def init_distributed(device: torch.device) -> ProcessGroup:
    """Join the processes that `torchrun` started; without it, a group of one."""
    if launched_processes() == 1:
        return ProcessGroup()
    if not dist.is_initialized():
        if device.type == "cuda":
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(device)
            dist.init_process_group("nccl", device_id=device)  # else NCCL guesses it, and a barrier may hang
        else:
            dist.init_process_group("gloo")
        atexit.register(_destroy)
    return ProcessGroup(dist.get_rank(), dist.get_world_size())


def launched_processes() -> int:
    """Number of processes that `torchrun` started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def require_one_process(trainer: str) -> None:
    """Refuse to train under `torchrun`, where every process would train its own copy and write the same checkpoint.

    Raises:
        RuntimeError: `torchrun` started several processes.
    """
    if launched_processes() > 1:
        raise RuntimeError(
            f"{trainer} trains in one process, but torchrun started {launched_processes()}: start it with python; "
            "only fit and `medlab train` share a training among processes"
        )


def _destroy() -> None:
    if dist.is_initialized():  # without this some runs abort after a finished training
        dist.destroy_process_group()
