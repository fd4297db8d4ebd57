"""One epoch of supervised training, in one process or in a team of them."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from medlab.data.images import ImageSet
from medlab.train.recipe import Recipe
from medlab.train.team import Team

LARGE_PRIME = 1_000_003  # keeps the seeds of neighbouring epochs and runs apart


@dataclass(kw_only=True)
class Loop:
    """What every epoch needs, put together once by `fit`."""

    recipe: Recipe
    model: nn.Module
    train: ImageSet
    optimiser: torch.optim.Optimizer
    loss: Callable[[Tensor, Tensor], Tensor]
    dtype: torch.dtype
    layout: torch.memory_format
    team: Team
    bar: tqdm

    def run(self, epoch: int) -> tuple[float, float]:
        """Train through epoch number `epoch` (from 0); its mean loss and the last learning rate.

        Raises:
            FloatingPointError: the loss became NaN or infinite.
        """
        recipe = self.recipe
        batches = self._draw(epoch)
        first, steps = epoch * len(batches), recipe.epochs * len(batches)
        watch = self.train.targets.device.type == "cpu" and self.team.size == 1  # reading a loss stalls elsewhere
        losses = []
        self.model.train()
        for i, (batch, draws) in enumerate(batches):
            lr = recipe.learning_rate(first + i, steps)
            losses.append(self._step(batch, lr, draws))
            if watch:
                value = losses[-1].item()
                if not math.isfinite(value):
                    break
                self.bar.set_postfix_str(f"loss={value:.4f}", refresh=False)
            self.bar.update()
        read = self.team.average(torch.stack(losses)).tolist()  # the one place where the GPU is waited for
        for i, value in enumerate(read):
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"the loss became {value} at step {first + i + 1} (epoch {epoch + 1}) with learning rate "
                    f"{recipe.learning_rate(first + i, steps):.3g}: lower lr, clip the gradient (clip=1.0), "
                    "or look for odd images"
                )
        return sum(value * len(batch) for value, (batch, _) in zip(read, batches)) / len(self.train), lr

    def _draw(self, epoch: int) -> list[tuple[Tensor, Tensor | None]]:
        """The batches of epoch number `epoch`: positions of their images, and the numbers to augment these with."""
        # All randomness of an epoch follows from the seed and its number, so that resuming needs no other state.
        seed = self.recipe.seed * LARGE_PRIME + epoch
        torch.manual_seed(seed * self.team.size + self.team.rank)  # dropout
        generator = torch.Generator().manual_seed(seed)
        # Drawn for the whole epoch: a team cuts the same batches as one process, and a GPU need not wait in each step.
        order = torch.randperm(len(self.train), generator=generator)
        batches = order.to(self.train.images.device).split(self.recipe.batch_size)
        if self.recipe.augment is None:
            return [(batch, None) for batch in batches]
        draws = self.recipe.augment.draw(len(order), generator).to(self.train.targets.device)
        return list(zip(batches, draws.split(self.recipe.batch_size)))

    def _step(self, batch: Tensor, lr: float, draws: Tensor | None) -> Tensor:
        """One step on the images at `batch`; this process's weighted loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        images, targets, weight = self._batch(batch, draws)
        with torch.autocast(images.device.type, self.dtype, enabled=self.dtype != torch.float32):
            loss = self.loss(self.model(images), targets) * weight
        self._descend(loss)
        return loss.detach().float()

    def _batch(self, batch: Tensor, draws: Tensor | None) -> tuple[Tensor, Tensor, float]:
        """This process's images and targets of `batch`, augmented, and the weight of their loss."""
        mine, weight = self.team.share(batch)
        images, targets = self.train.take(mine)
        if draws is not None:
            images, targets = self.recipe.augment(images, targets, draws=self.team.share(draws)[0])
        return images.contiguous(memory_format=self.layout), targets, weight

    def _descend(self, loss: Tensor) -> None:
        """Move the model's weights down the gradient of `loss`."""
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self.recipe.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimiser.step()
