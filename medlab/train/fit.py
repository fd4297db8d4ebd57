"""`fit`: supervised training of any network on an `ImageSet`, on whatever hardware is there.

`fit` checks its arguments (`recipe.py`), `SupervisedTrainer.train_epoch` is one epoch, `SupervisedTrainer.train_step`
one step. The loop over epochs with validation and checkpoints is `TrainState.run` in `state.py`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from medlab.data.augment import Augment
from medlab.data.images import ImageSet
from medlab.train.devices import Placement, pick_device, place_model
from medlab.train.distributed import ProcessGroup, init_distributed
from medlab.train.evaluate import validate
from medlab.train.recipe import (
    MakeOptimizer,
    Recipe,
    apply_augment,
    check_data,
    check_outputs,
    has_params,
    named,
    needs_two,
    set_lr,
)
from medlab.train.state import History, TrainState, epoch_seed


def fit(
    model: nn.Module,
    train: ImageSet,
    val: ImageSet | None = None,
    *,
    epochs: int,
    batch_size: int = 64,
    lr: float = 1e-3,
    optimizer: str | MakeOptimizer = "adamw",
    weight_decay: float = 0.01,
    schedule: str = "cosine",
    clip: float | None = None,
    augment: Augment | Callable | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    patience: int | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    precision: str | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> History:
    """Train `model` in place, leave it in evaluation mode on the device, and return its learning curves.

    Args:
        model: maps images ``(N, C, H, W)`` to logits ``(N, K)``, or ``(N, K, H, W)`` for label maps (segmentation).
        train, val: the sets, of other patients each; the training images live on the device as one tensor, of which a
            batch selects rows. `ImageSet.from_dataset` makes a set of a `Dataset` or `DataLoader`.
        epochs: passes over the training images.
        batch_size: images per step, over all processes together; no more than there are, which is warned of. The last
            batch of an epoch may be smaller; a single image joins the batch before it, if the network needs two.
        lr: (highest) learning rate.
        optimizer: "adamw", "sgd" (momentum 0.9) or "nesterov" (SGD with Nesterov momentum 0.9); or a callable that
            takes the parameters, such as ``torch.optim.RMSprop``, whose learning rate `lr` and `schedule` set.
        weight_decay: of the optimizer, unless it is your own.
        schedule: "constant"; "cosine", a linear warmup over the first 5 % of the steps, then a cosine to zero; or
            "step", a tenth after half of the steps and a hundredth after three quarters (MedMNIST v2's).
        clip: maximal norm of the gradient, None for no limit.
        augment: applied to every training batch, with random parameters of its own for each image. Your own is any
            callable that takes and returns (images, targets), such as a transform of ``torchvision.transforms.v2``; its
            random numbers must be PyTorch's. One that also has ``make_params(n, generator)``, giving a tensor
            ``(n, P)``, is called with the rows of the batch, as ``augment(images, targets, params=...)``.
        loss: takes (outputs, targets), gives the batch's mean; None takes the cross-entropy that fits the set's task
            (binary where an image has several labels). Where outputs are no logits of the classes, validation gives
            this loss alone.
        patience: stop when the validation loss has not fallen for this many epochs, and restore the best weights.
        seed: decides data order, augmentation and dropout; the initial weights are the caller's.
        device: None takes CUDA, MPS or CPU, whichever is there first.
        precision: "float32", or by autocast "bfloat16" or "float16" (with scaled losses); None takes bfloat16 where the
            hardware has it, float16 on older CUDA cards.
        checkpoint: file of the whole state, rewritten after every epoch.
        resume: go on from `checkpoint` if it is there; the result is that of a run never interrupted. A finished
            training goes on for more epochs with the schedule "constant".
        overwrite: start anew although `checkpoint` holds a training; else that is refused.
        progress: show a bar with the loss; in a notebook one line, shared by all trainings of a cell.

    Under ``torchrun --nproc_per_node=K`` the same call trains with K processes: same batches, and the same loss to
    rounding, for losses that are means over images and without dropout (each process draws its own).

    On the CPU the same call gives the same weights bit for bit, resumed or not, on one machine with as many threads. On
    a GPU cuDNN's deterministic kernels are taken, but some of PyTorch's have no such form (cross-entropy over label
    maps, the gradients of bilinear upsampling and of 3-D pooling): there the last bits may differ.

    Interrupted (Ctrl-C), the network is left as after the last step, or with the best weights where there is patience.

    Raises:
        TypeError: a set that is no `ImageSet`, an `optimizer` or `augment` that cannot be called.
        ValueError: an argument out of its range, no targets, a class without training images, a model with other
            outputs than the set has classes.
        FloatingPointError: the loss became NaN or infinite; says at which step and learning rate.
        CheckpointError: the checkpoint is damaged, or belongs to another model, other images or other settings.
        FileExistsError: the checkpoint holds a training, and neither `resume` nor `overwrite` is given.
        BlockingIOError: another training writes the same checkpoint.
        OSError: the checkpoint cannot be written.
        torch.OutOfMemoryError: the device's memory is too small; says which argument to lower.
    """
    recipe = Recipe(
        epochs=epochs, batch_size=batch_size, lr=lr, optimizer=optimizer, weight_decay=weight_decay,
        schedule=schedule, clip=clip, augment=augment, patience=patience, seed=seed,
    )  # fmt: skip
    check_data(recipe, train, val)
    device = pick_device(device)
    processes = init_distributed(device)
    if device.type == "cuda" and processes.world_size > 1:
        device = torch.device("cuda", torch.cuda.current_device())
    placement = place_model(model, train.images, device, precision)
    loss_name = named(loss)
    if loss is None:
        check_outputs(model, train)
        loss = _default_loss(train)
    elif isinstance(loss, nn.Module):
        loss.to(device)
    state = TrainState(
        model=model, optimizers=[recipe.make_optimizer(model)], placement=placement, checkpoint=checkpoint,
        settings=recipe.settings(placement) | {"loss": loss_name, "world_size": processes.world_size},
        sets=(train, val), patience=patience, processes=processes,
    )  # fmt: skip
    val = None if val is None else val.to(device)
    trainer = SupervisedTrainer(
        recipe=recipe, model=processes.wrap(model, device), train=train.to(device), optimizer=state.optimizers[0],
        loss=loss, placement=placement, processes=processes, needs_two=needs_two(model, train),
    )  # fmt: skip
    return state.run(
        trainer.train_epoch, epochs=epochs, steps_per_epoch=len(trainer.split_order(torch.arange(len(train)))),
        resume=resume, overwrite=overwrite, progress=progress,
        advice="clip the gradient (clip=1.0), or look for images with extreme values",
        validate=None if val is None else (lambda: validate(model, val, loss, placement, recipe.batch_size)),
    )  # fmt: skip


@dataclass(kw_only=True)
class SupervisedTrainer:
    """One epoch, and one step, of supervised training.

    `placement` is where and how it computes (device, precision, memory format), `processes` those of `torchrun`,
    `needs_two` whether the model cannot train on a batch of one image.
    """

    recipe: Recipe
    model: nn.Module
    train: ImageSet
    optimizer: torch.optim.Optimizer
    loss: Callable[[Tensor, Tensor], Tensor]
    placement: Placement
    processes: ProcessGroup = ProcessGroup()
    needs_two: bool = False

    def train_epoch(self, epoch: int, bar: tqdm) -> list[dict]:
        """Train through epoch number `epoch` (from 0); what each step logged."""
        batches = self.sample_batches(epoch)
        first_step, total_steps = epoch * len(batches), self.recipe.epochs * len(batches)
        show_loss = (
            self.placement.device.type == "cpu" and self.processes.world_size == 1
        )  # reading it would stall a GPU
        logs = []
        self.model.train()
        for step, (index, augmentation) in enumerate(batches, start=first_step):
            logs.append(self.train_step(index, augmentation, self.recipe.learning_rate(step, total_steps)))
            if show_loss:
                loss = logs[-1]["loss"].item()
                if not math.isfinite(loss):
                    break
                bar.set_postfix_str(f"loss={loss:.4f}", refresh=False)
            bar.update()
        return logs

    def train_step(self, index: Tensor, augmentation: Tensor | None, lr: float) -> dict:
        """One gradient step on the images at `index`, with the parameters of their augmentation; what is logged."""
        images, targets, weight = self.load_batch(index, augmentation)
        set_lr(self.optimizer, lr)
        with self.placement.autocast():
            logits = self.model(images)
            loss = self.loss(logits, targets) * weight
        self.placement.step(loss, self.optimizer, self.recipe.clip)
        return {"loss": loss.detach(), "lr": lr, "n_images": len(index)}

    def sample_batches(self, epoch: int) -> list[tuple[Tensor, Tensor | None]]:
        """Seed the epoch; its shuffled batches: indices of their images, and the parameters of their augmentation.

        Sampled for the whole epoch at once: all processes get the same batches, and no step waits for the CPU.
        """
        seed = epoch_seed(self.recipe.seed, epoch)
        torch.manual_seed(seed * self.processes.world_size + self.processes.rank)  # dropout
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self.train), generator=generator)
        batches = self.split_order(order.to(self.train.images.device))
        if not has_params(self.recipe.augment):
            return [(index, None) for index in batches]
        augmentations = self.recipe.augment.make_params(len(order), generator).to(self.train.targets.device)
        return list(zip(batches, augmentations.split([len(index) for index in batches])))

    def split_order(self, order: Tensor) -> list[Tensor]:
        """The batches of an epoch; a last image that cannot stand alone joins the batch before it."""
        batches = list(order.split(self.recipe.batch_size))
        if self.needs_two and len(batches) > 1 and len(batches[-1]) == 1:
            batches[-2:] = [torch.cat(batches[-2:])]
        return batches

    def load_batch(self, index: Tensor, augmentation: Tensor | None) -> tuple[Tensor, Tensor, float]:
        """This process's images and targets at `index`, augmented, and the weight of their loss.

        The weight is 1 in one process; in several it makes the averaged gradient that of the whole batch.
        """
        shard, weight = self.processes.shard(index)
        images, targets = self.train.batch(shard)
        augment = self.recipe.augment
        if augment is not None and augmentation is not None:
            images, targets = augment(images, targets, params=self.processes.shard(augmentation)[0])
        elif augment is not None:
            images, targets = apply_augment(augment, images, targets, self.train.info.task)
        return images.contiguous(memory_format=self.placement.memory_format), targets, weight


def _default_loss(data: ImageSet) -> Callable[[Tensor, Tensor], Tensor]:
    if data.info.task == "multi-label":
        return lambda logits, targets: nn.functional.binary_cross_entropy_with_logits(logits, targets.float())
    return nn.functional.cross_entropy
