"""Training by several processes started with `torchrun`: who am I, who else is there, what do we share."""

import atexit
import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Team:
    """The processes that train together; a team of one outside `torchrun`."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """True for the one process that prints, validates and saves."""
        return self.rank == 0

    def wrap(self, model: nn.Module, device: torch.device) -> nn.Module:
        """The model with its gradients averaged over the team, and batch normalization over the whole batch."""
        if self.size == 1:
            return model
        if device.type == "cuda":
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        else:
            for module in model.modules():
                if type(module) is nn.BatchNorm2d:
                    module.__class__ = SharedBatchNorm
        return DistributedDataParallel(model)

    def share(self, index: Tensor) -> tuple[Tensor, float]:
        """This process's part of a batch, and the weight that makes the averaged gradient that of the whole batch."""
        mine = index[self.rank :: self.size]
        if len(mine) == 0:  # fewer images than processes: take part with no weight (but seen by batch normalization)
            return index[:1], 0.0
        return mine, len(mine) * self.size / len(index)

    def average(self, values: Tensor) -> Tensor:
        """The mean of `values` over the team."""
        if self.size > 1:
            dist.all_reduce(values)
            values /= self.size
        return values

    def broadcast(self, value: object) -> object:
        """What the leading process holds; everybody else's `value` is ignored."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def wait(self) -> None:
        """Return when every process of the team has come this far."""
        if self.size > 1:
            dist.barrier()


class _TeamSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor) -> Tensor:
        values = values.clone()
        dist.all_reduce(values)
        return values

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _TeamSum.forward(ctx, gradient)  # every process's loss depends on everybody's values


team_sum = _TeamSum.apply  # dist.all_reduce, with a gradient


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalization over the images of all processes, on the CPU: PyTorch's SyncBatchNorm runs on GPUs only."""

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, C, H, W)``, this process's share, to the same shape."""
        if not (self.training and dist.is_initialized()):
            return super().forward(images)
        images = images.float()
        count = team_sum(torch.tensor(float(images[:, 0].numel())))
        mean = team_sum(images.sum((0, 2, 3))) / count
        centered = images - mean[:, None, None]
        var = team_sum(centered.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * count / (count - 1), self.momentum)
        scale = self.weight * torch.rsqrt(var + self.eps)
        return centered * scale[:, None, None] + self.bias[:, None, None]


def init_distributed(device: torch.device) -> Team:
    """The team that `torchrun` started this process in; a team of one without it."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Team()
    if not dist.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(_leave)
    return Team(dist.get_rank(), dist.get_world_size())


def _leave() -> None:
    if dist.is_initialized():  # without this some runs abort after a finished training
        dist.destroy_process_group()
