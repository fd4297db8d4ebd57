"""`fit_scan`: a segmentation network and a critic of its masks, trained in turn.

Dai, Dong, Wang, Liang, Zhang, Xing: DLMIA 2018, 263-273, arXiv:1703.08770.
"""

import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot
from tqdm.auto import tqdm

from medlab.data.augment import Augment
from medlab.data.images import ImageSet
from medlab.errors import whole_number
from medlab.train.devices import pick_device, pick_layout, pick_precision
from medlab.train.distributed import Team
from medlab.train.evaluate import validate
from medlab.train.fit import Loop, Recipe, check_data, check_outputs
from medlab.train.gan_losses import discriminator_accuracy, discriminator_bce, non_saturating_loss
from medlab.train.state import History, Training, training_settings


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
    augment: Augment | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    precision: str | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
) -> History:
    """Train both players in place, leave them in evaluation mode, and return the learning curve.

    The segmenter first learns alone, by the cross-entropy of its pixels. Then the critic learns alone to tell the true
    masks, one-hot, from the segmenter's softmax. Then they take turns on every batch: the critic follows the gradient
    of `discriminator_bce`, the segmenter that of its cross-entropy plus `critic_weight` times the `non_saturating_loss`.

    With ``critic_weight=0`` the critic watches without a say, and the segmenter becomes, bit for bit, that of
    ``fit(..., epochs=pretrain + epochs, optimizer="adamw", weight_decay=0)`` with the same settings.

    Args:
        segmenter: maps images ``(N, C, H, W)`` to logits ``(N, K, H, W)``.
        critic: maps masks ``(N, K, H, W)`` and their images to logits ``(N,)``, above 0 for a true mask.
        train, val: sets of label maps; the critic is no part of the validation.
        epochs: passes over the training images with both players.
        pretrain: passes before, with the segmenter alone.
        warmup: passes in between, with the critic alone; the segmenter stands still, in evaluation mode.
        critic_weight: the paper's lambda.
        batch_size: images per step.
        lr: (highest) learning rate of both; Adam without weight decay.
        schedule: "constant", or "cosine" over the `pretrain` + `epochs` passes, as in `fit`.
        augment: applied to every batch, each image with random numbers of its own.
        seed: decides data order, augmentation and dropout; the starting weights are the caller's.
        device, precision, progress: as in `fit`.
        checkpoint, resume: as in `fit`; the file holds both players.

    Returns:
        History of `pretrain` + `epochs` passes. `train_loss` is the segmenter's cross-entropy. Metrics of the training
        batches: "critic_loss" (2 log 2 = 1.39 for a critic that knows nothing), "critic_accuracy" and "adversarial_loss";
        NaN for the passes without critic. The time of the warm-up counts to the first pass with both.

    Raises:
        ValueError: an argument out of its range, a set without label maps, a network with other outputs than classes.
        FloatingPointError: a loss became NaN or infinite; says at which step and learning rate.
        CheckpointError: the checkpoint is damaged, or belongs to other players, other images or other settings.
        OSError: the checkpoint cannot be written.
    """
    for name, value, least in (("epochs", epochs, 1), ("pretrain", pretrain, 0), ("warmup", warmup, 0)):
        whole_number(name, value, least)
    if not 0 <= critic_weight < math.inf:
        raise ValueError(f"critic_weight must not be negative, got {critic_weight}; the paper's is about 0.01")
    recipe = Recipe(
        epochs=pretrain + epochs, batch_size=batch_size, lr=lr, optimizer="adamw", weight_decay=0.0,
        schedule=schedule, clip=None, augment=augment, patience=None, seed=seed,
    )  # fmt: skip
    if train.info.task != "segmentation" or train.images.ndim != 4:
        raise ValueError(
            f"fit_scan needs images (N, C, H, W) with label maps; {train.info.name} is a {train.info.task} set of "
            f"images {tuple(train.images.shape)}"
        )
    check_data(recipe, train, val)
    device = pick_device(device)
    dtype = pick_precision(precision, device)
    players = nn.ModuleDict({"segmenter": segmenter, "critic": critic})
    layout = pick_layout(players, train.images, device)
    players.to(device).to(memory_format=layout)
    check_outputs(segmenter, train)
    _check_critic(critic, train)
    own = {"pretrain": pretrain, "warmup": warmup, "critic_weight": float(critic_weight)}
    precision = str(dtype).removeprefix("torch.")
    optimizer, critic_optimizer = (recipe.make_optimizer(player) for player in players.values())
    training = Training(
        model=players, optimizers=[optimizer, critic_optimizer], patience=None, checkpoint=checkpoint,
        history=History(device=device.type, precision=precision),
        settings=training_settings(recipe, train, val, precision) | own,
    )  # fmt: skip
    if resume:
        training.restore()
    history = training.history
    if not len(history):
        training.save()  # holds the starting weights, and fails now rather than after an epoch
    steps = math.ceil(len(train) / batch_size)
    bar = tqdm(total=(pretrain + epochs) * steps, initial=len(history) * steps, disable=not progress, unit="step")
    train, val = train.to(device), None if val is None else val.to(device)
    alone = Loop(
        recipe=recipe, model=segmenter, train=train, optimizer=optimizer, loss=cross_entropy, dtype=dtype,
        layout=layout, team=Team(), bar=bar,
    )  # fmt: skip
    game = Game(**vars(alone), critic=critic, critic_optimizer=critic_optimizer, critic_weight=critic_weight)
    with bar, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        while len(history) < pretrain + epochs:
            start, epoch = time.perf_counter(), len(history)
            if epoch == pretrain:  # not kept between: a run killed here warms up again, from the same weights
                game.warm_up(warmup)
            mean_loss, last_lr = (alone if epoch < pretrain else game).run(epoch)
            history.add_epoch(mean_loss, last_lr, len(train), time.perf_counter() - start)
            for name, value in game.take_notes().items():
                history.metrics.setdefault(name, []).append(value)
            if val is not None:
                training.add_validation(validate(segmenter, val, cross_entropy, dtype))
            training.save()
    return training.finish()


@torch.no_grad()
def _check_critic(critic: nn.Module, train: ImageSet) -> None:
    """Refuse a critic that cannot judge the masks of `train`."""
    critic.eval()
    images, targets = train.batch(torch.arange(1))
    classes, device = len(train.info.classes), next(critic.parameters()).device
    masks = one_hot(targets, classes).movedim(-1, 1).float()
    try:
        judged = tuple(critic(masks.to(device), images.to(device)).shape)
    except RuntimeError as error:  # the channels of its first layer
        judged = str(error).partition("\n")[0]
    if judged != (1,):
        raise ValueError(
            f"the critic must give a logit for each mask of {classes} classes with its image of {images.shape[1]} "
            f"channels, such as SCANCritic(classes={classes}); got {judged}"
        )


@dataclass(kw_only=True)
class Game(Loop):
    """An epoch of both players, with the batches and learning rates of `Loop`."""

    critic: nn.Module
    critic_optimizer: torch.optim.Optimizer
    critic_weight: float
    notes: list[Tensor] = field(default_factory=list)

    def warm_up(self, epochs: int) -> None:
        """Train the critic alone.

        Raises:
            FloatingPointError: its loss became NaN or infinite.
        """
        for group in self.critic_optimizer.param_groups:
            group["lr"] = self.recipe.lr
        self.model.eval()
        self.critic.train()
        losses = []
        for epoch in range(self.recipe.epochs, self.recipe.epochs + epochs):  # numbers that no other epoch has
            for batch, draws in self._draw(epoch):
                images, targets, _ = self._batch(batch, draws)
                with torch.no_grad(), torch.autocast(images.device.type, self.dtype, enabled=self._half()):
                    probs = self.model(images).softmax(1)
                losses.append(self._teach_critic(images, probs, targets)[0])
        bad = [i for i, loss in enumerate(losses) if not math.isfinite(loss)]
        if bad:
            raise FloatingPointError(
                f"the critic's loss became {float(losses[bad[0]])} at step {bad[0] + 1} of its warm-up with learning "
                f"rate {self.recipe.lr:.3g}: lower lr"
            )

    def _half(self) -> bool:
        return self.dtype != torch.float32

    def take_notes(self) -> dict[str, float]:
        """Means over the steps since the last call; NaN if there was none."""
        names = ("critic_loss", "critic_accuracy", "adversarial_loss")
        means = torch.stack(self.notes).mean(0).tolist() if self.notes else [math.nan] * 3
        self.notes.clear()
        return dict(zip(names, means))

    def _step(self, batch: Tensor, lr: float, draws: Tensor | None) -> Tensor:
        """The critic's turn, then the segmenter's, on the images at `batch`; the segmenter's cross-entropy."""
        for group in (*self.optimizer.param_groups, *self.critic_optimizer.param_groups):
            group["lr"] = lr
        images, targets, weight = self._batch(batch, draws)
        self.critic.train()
        with torch.autocast(images.device.type, self.dtype, enabled=self._half()):
            logits = self.model(images)
            loss = self.loss(logits, targets) * weight
            probs = logits.softmax(1)
        theirs, accuracy = self._teach_critic(images, probs.detach(), targets)
        self.critic.requires_grad_(False)  # it only passes the gradient on
        with torch.autocast(images.device.type, self.dtype, enabled=self._half()):
            fooling = non_saturating_loss(self.critic(probs, images).float())
        self._descend(loss + self.critic_weight * fooling)
        self.critic.requires_grad_(True)
        self.notes.append(torch.stack([theirs, accuracy, fooling.detach()]))
        return torch.where(theirs.isfinite(), loss.detach().float(), theirs)  # a critic's NaN ends the training too

    def _teach_critic(self, images: Tensor, probs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """One step of the critic on true masks and on `probs`; its loss and its accuracy."""
        truth = one_hot(targets, probs.shape[1]).movedim(-1, 1).to(probs, memory_format=self.layout)
        with torch.autocast(images.device.type, self.dtype, enabled=self._half()):
            # Two batches, so that each is normalized by itself, as made masks are in the segmenter's turn.
            true, made = self.critic(truth, images).float(), self.critic(probs, images).float()
        loss = discriminator_bce(true, made)
        self.critic_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.critic_optimizer.step()
        return loss.detach(), discriminator_accuracy(true, made)
