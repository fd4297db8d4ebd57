"""`fit_scan`: a segmentation network and a critic of its masks, trained in turn.

Dai, Dong, Wang, Liang, Zhang, Xing: DLMIA 2018, 263-273, arXiv:1703.08770.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot
from tqdm import tqdm

from medlab.data.augment import Augment
from medlab.data.images import ImageSet
from medlab.errors import not_negative, whole_number
from medlab.train.devices import place_model
from medlab.train.distributed import require_one_process
from medlab.train.evaluate import validate
from medlab.train.fit import SupervisedTrainer
from medlab.train.gan_losses import discriminator_accuracy, discriminator_bce, non_saturating_loss
from medlab.train.recipe import Recipe, check_data, check_outputs, set_lr
from medlab.train.state import History, TrainState, average_logs


def fit_scan(
    segmenter: nn.Module,
    critic: nn.Module,
    train: ImageSet,
    val: ImageSet | None = None,
    *,
    epochs: int,
    pretrain: int = 0,
    warmup: int = 1,
    critic_weight: float = 0.01,
    batch_size: int = 10,
    lr: float = 2e-4,
    schedule: str = "constant",
    augment: Augment | Callable | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    precision: str | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> History:
    """Train both networks in place, leave them in evaluation mode, and return the learning curves.

    The segmenter is first trained alone (`pretrain`), by the cross-entropy of its pixels. Then the critic is trained
    alone (`warmup`) to tell the true masks, one-hot, from the segmenter's softmax. Then they take turns on every batch:
    the critic minimizes `discriminator_bce`, the segmenter its cross-entropy plus `critic_weight` times the
    `non_saturating_loss`.

    With ``critic_weight=0`` the critic has no influence, and the segmenter becomes, on the CPU bit for bit, that of
    ``fit(..., epochs=pretrain + epochs, optimizer="adamw", weight_decay=0)`` with the same settings.

    Args:
        segmenter: maps images ``(N, C, H, W)`` to logits ``(N, K, H, W)``.
        critic: maps masks ``(N, K, H, W)`` and their images to logits ``(N,)``, above 0 for a true mask.
        train, val: sets of label maps; the critic takes no part in the validation.
        epochs: passes over the training images with both networks.
        pretrain: passes before, with the segmenter alone.
        warmup: passes in between, with the critic alone; the segmenter is frozen, in evaluation mode.
        critic_weight: the paper's lambda.
        batch_size: images per step.
        lr: (highest) learning rate of both; Adam without weight decay.
        schedule: as for `fit`, over the `pretrain` + `epochs` passes.
        augment: applied to every batch, with random parameters of its own for each image; any callable, as in `fit`.
        seed: decides data order, augmentation and dropout; the initial weights are the caller's.
        device, precision, progress: as in `fit`.
        checkpoint, resume, overwrite: as in `fit`; the file holds both networks.

    Returns:
        History of `pretrain` + `epochs` passes. `train_loss` is the segmenter's cross-entropy. Metrics of the training
        batches: "critic_loss" (2 log 2 = 1.39 for a critic at chance), "critic_accuracy" and "adversarial_loss"; NaN
        for the passes without critic. The time of the warmup counts to the first pass with both.

    Raises:
        ValueError: an argument out of its range, a set without label maps, a network with other outputs than classes.
        FloatingPointError: a loss became NaN or infinite; says at which step and learning rate.
        CheckpointError: the checkpoint is damaged, or belongs to other networks, other images or other settings.
        OSError: the checkpoint cannot be written.
        RuntimeError: `torchrun` started several processes.
    """
    require_one_process("fit_scan")
    for name, value, least in (("epochs", epochs, 1), ("pretrain", pretrain, 0), ("warmup", warmup, 0)):
        whole_number(name, value, least)
    not_negative("critic_weight", critic_weight)
    recipe = Recipe(
        epochs=pretrain + epochs, batch_size=batch_size, lr=lr, schedule=schedule, augment=augment, seed=seed
    )
    if train.info.task != "segmentation" or train.images.ndim != 4:
        raise ValueError(
            f"fit_scan needs images (N, C, H, W) with label maps; {train.info.name} is a {train.info.task} set of "
            f"images {tuple(train.images.shape)}"
        )
    check_data(recipe, train, val)
    networks = nn.ModuleDict({"segmenter": segmenter, "critic": critic})
    placement = place_model(networks, train.images, device, precision)
    check_outputs(segmenter, train)
    _check_critic(critic, train)
    settings = recipe.settings(placement)
    settings |= {"epochs": recipe.epochs, "pretrain": pretrain, "warmup": warmup, "critic_weight": float(critic_weight)}
    optimizers = [recipe.make_optimizer(network) for network in networks.values()]
    state = TrainState(
        model=networks,
        optimizers=optimizers,
        placement=placement,
        checkpoint=checkpoint,
        settings=settings,
        sets=(train, val),
    )
    train, val = train.to(placement.device), None if val is None else val.to(placement.device)
    alone = SupervisedTrainer(
        recipe=recipe, model=segmenter, train=train, optimizer=optimizers[0], loss=cross_entropy, placement=placement
    )
    both = SCANTrainer(**vars(alone), critic=critic, critic_optimizer=optimizers[1], critic_weight=critic_weight)

    def train_epoch(epoch: int, bar: tqdm) -> list[dict]:
        if epoch < pretrain:
            return alone.train_epoch(epoch, bar)
        if epoch == pretrain:  # no checkpoint in between: a killed run warms up again, from the same weights
            both.warm_up(warmup)
        critic.train()
        return both.train_epoch(epoch, bar)

    return state.run(
        train_epoch, epochs=pretrain + epochs, steps_per_epoch=math.ceil(len(train) / batch_size),
        resume=resume, overwrite=overwrite, progress=progress,
        validate=None if val is None else (lambda: validate(segmenter, val, cross_entropy, placement)),
    )  # fmt: skip


@dataclass(kw_only=True)
class SCANTrainer(SupervisedTrainer):
    """One epoch, and the steps of critic and segmenter; batches and learning rates are those of `fit`."""

    critic: nn.Module
    critic_optimizer: torch.optim.Optimizer
    critic_weight: float

    def warm_up(self, epochs: int) -> None:
        """Train the critic alone.

        Raises:
            FloatingPointError: its loss became NaN or infinite.
        """
        set_lr(self.critic_optimizer, self.recipe.lr)
        self.model.eval()
        self.critic.train()
        for epoch in range(epochs):
            logs = []
            for index, augmentation in self.sample_batches(self.recipe.epochs + epoch):  # numbers of no other epoch
                images, targets, _ = self.load_batch(index, augmentation)
                with torch.no_grad(), self.placement.autocast():
                    probs = self.model(images).softmax(1)
                step = self.critic_step(images, probs, targets)
                logs.append(step | {"lr": self.recipe.lr, "n_images": len(index)})
            advice = "or look at the critic: this was its warmup"
            average_logs(logs, epoch=epoch, first_step=epoch * len(logs), advice=advice)

    def train_step(self, index: Tensor, augmentation: Tensor | None, lr: float) -> dict:
        """A step of the critic, then one of the segmenter, on the images at `index`; what is logged."""
        images, targets, _ = self.load_batch(index, augmentation)
        set_lr(self.optimizer, lr)
        set_lr(self.critic_optimizer, lr)
        with self.placement.autocast():
            logits = self.model(images)
            loss = self.loss(logits, targets)
            probs = logits.softmax(1)
        logs = self.critic_step(images, probs.detach(), targets)
        self.critic.requires_grad_(False)  # the gradient passes through it to the segmenter
        with self.placement.autocast():
            adversarial = non_saturating_loss(self.critic(probs, images).float())
        self.placement.step(loss + self.critic_weight * adversarial, self.optimizer)
        self.critic.requires_grad_(True)
        logs |= {"loss": loss.detach(), "adversarial_loss": adversarial.detach()}
        return logs | {"lr": lr, "n_images": len(index)}

    def critic_step(self, images: Tensor, probs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """One gradient step of the critic on true masks and on `probs`; its loss and its accuracy."""
        masks = one_hot(targets, probs.shape[1]).movedim(-1, 1).to(probs, memory_format=self.placement.memory_format)
        with self.placement.autocast():
            # Two batches, so that each is normalized by itself, as predicted masks are in the segmenter's step.
            real, fake = self.critic(masks, images).float(), self.critic(probs, images).float()
        loss = discriminator_bce(real, fake)
        self.placement.step(loss, self.critic_optimizer)
        return {"critic_loss": loss.detach(), "critic_accuracy": discriminator_accuracy(real, fake)}


@torch.no_grad()
def _check_critic(critic: nn.Module, train: ImageSet) -> None:
    """Refuse a critic that does not fit the masks of `train`."""
    critic.eval()
    images, targets = train.batch(torch.arange(1))
    classes, device = len(train.info.classes), next(critic.parameters()).device
    masks = one_hot(targets, classes).movedim(-1, 1).float()
    try:
        scores = tuple(critic(masks.to(device), images.to(device)).shape)
    except RuntimeError as error:  # the channels of its first layer
        scores = str(error).partition("\n")[0]
    if scores != (1,):
        raise ValueError(
            f"the critic must give a logit for each mask of {classes} classes with its image of {images.shape[1]} "
            f"channels, such as SCANCritic(classes={classes}); got {scores}"
        )
