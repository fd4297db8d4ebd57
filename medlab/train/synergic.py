"""`fit_synergic`: several classifiers at once, each on its own images, with a verifier for every pair of them.

Zhang, Xie, Wu, Xia: Medical Image Analysis 54:10-19, 2019, section 3.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from tqdm import tqdm

from medlab.data.augment import Augment
from medlab.data.images import ImageSet
from medlab.errors import not_negative, whole_number
from medlab.models.synergic import SynergicNetwork
from medlab.train.devices import Placement, place_model
from medlab.train.distributed import require_one_process
from medlab.train.evaluate import validate
from medlab.train.recipe import Recipe, apply_augment, check_data, check_outputs, has_params, set_lr
from medlab.train.state import History, TrainState, epoch_seed


def fit_synergic(
    model: SynergicNetwork,
    train: ImageSet,
    val: ImageSet | None = None,
    *,
    epochs: int,
    batch_size: int = 32,
    lr: float = 1e-4,
    decay: float = 1e-4,
    synergy: float = 3.0,
    augment: Augment | Callable | None = None,
    patience: int | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    precision: str | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> History:
    """Train all components and verifiers of `model` in place, and return the learning curves.

    Component i minimizes its cross-entropy plus `synergy` times its verifiers' losses; a verifier minimizes its own
    loss (section 3.3, with the minus sign that the printed loss lacks). SGD has momentum 0.9, which the paper does not
    state. With ``synergy=0`` the components learn as if each were alone, on the CPU bit for bit: that is the ensemble
    to compare with.

    Args:
        model: the components and their verifiers.
        train, val: sets of single classes; an epoch is as many steps as it takes to sample ``len(train)`` images per
            component, with replacement.
        epochs: passes of that length.
        batch_size: images per step and component.
        lr: learning rate of the first step; at step t it is ``lr / (1 + decay t)``, the paper's schedule. 1e-4 suits
            ImageNet weights; a small network from scratch wants about 0.05.
        decay: how fast the learning rate falls.
        synergy: the paper's lambda: weight of the verifiers' losses in the components' gradient.
        augment: applied to every batch, with random parameters of its own for each image; any callable, as in `fit`.
        patience: stop when the validation loss has not fallen for this many epochs, and restore the best weights.
        seed: decides the sampling of pairs, augmentation and dropout; the initial weights are the caller's.
        device, precision, checkpoint, resume, overwrite, progress: as in `fit`.

    Returns:
        History, whose `train_loss` is the mean cross-entropy of a component, with two more metrics of the training
        pairs per epoch: "verifier_loss" and "verifier_accuracy" (for two components or more).

    Raises:
        ValueError: an argument out of its range, a task other than single classes, a class without training images,
            a set with other classes than the model.
        FloatingPointError: the loss became NaN or infinite; says at which step and learning rate.
        CheckpointError, OSError: as in `fit`.
        RuntimeError: `torchrun` started several processes.
    """
    require_one_process("fit_synergic")
    recipe = Recipe(
        epochs=epochs, batch_size=batch_size, lr=lr, optimizer="sgd", augment=augment, patience=patience, seed=seed
    )
    own = {"decay": float(decay), "synergy": float(synergy)}
    for name, value in own.items():
        not_negative(name, value)
    if train.info.task != "multi-class":
        raise ValueError(f"fit_synergic pairs images by class, but {train.info.name} is a {train.info.task} set")
    check_data(recipe, train, val)
    placement = place_model(model, train.images, device, precision)
    check_outputs(model, train)
    state = TrainState(
        model=model, optimizers=[recipe.make_optimizer(model)], placement=placement, checkpoint=checkpoint,
        settings=recipe.settings(placement) | own, sets=(train, val), patience=patience,
    )  # fmt: skip
    train, val = train.to(placement.device), None if val is None else val.to(placement.device)
    trainer = SynergicTrainer(recipe, model, train, state.optimizers[0], placement, **own)
    return state.run(
        trainer.train_epoch, epochs=epochs, steps_per_epoch=trainer.steps, resume=resume, overwrite=overwrite,
        progress=progress, advice="or synergy",
        validate=None if val is None else (lambda: validate(model, val, cross_entropy, placement)),
    )  # fmt: skip


@dataclass
class SynergicTrainer:
    """One epoch, and one step, of all components and verifiers."""

    recipe: Recipe
    model: SynergicNetwork
    train: ImageSet
    optimizer: torch.optim.Optimizer
    placement: Placement
    decay: float
    synergy: float

    @property
    def steps(self) -> int:
        """Steps per epoch."""
        return math.ceil(len(self.train) / self.recipe.batch_size)

    def train_epoch(self, epoch: int, bar: tqdm) -> list[dict]:
        """Train through epoch number `epoch` (from 0); what each step logged."""
        seed = epoch_seed(self.recipe.seed, epoch)
        torch.manual_seed(seed)  # dropout
        generator = torch.Generator().manual_seed(seed)
        n, components = self.steps * self.recipe.batch_size, len(self.model.components)
        # Sampled for the whole epoch, so that no step waits for the CPU.
        pairs = sample_pairs(self.train.targets.cpu(), components, n, generator).to(self.placement.device)
        augmentations: list[Tensor | None] = [None] * self.steps
        if has_params(self.recipe.augment):
            shape = (self.steps, components, self.recipe.batch_size, -1)
            each = [self.recipe.augment.make_params(shape[2], generator) for _ in range(self.steps * components)]
            augmentations = list(torch.cat(each).view(shape).to(self.placement.device))
        logs = []
        self.model.train()
        batches = zip(pairs.split(self.recipe.batch_size, dim=1), augmentations)
        for step, (index, augmentation) in enumerate(batches, start=epoch * self.steps):
            lr = self.recipe.lr / (1 + self.decay * step)  # the paper's schedule
            logs.append(self.train_step(index, augmentation, lr))
            bar.update()
        return logs

    def train_step(self, index: Tensor, augmentation: Tensor | None, lr: float) -> dict:
        """One gradient step on the images at `index` ``(components, n)``, with the parameters of their augmentation."""
        set_lr(self.optimizer, lr)
        with self.placement.autocast():
            losses, features, classes = self._components(index, augmentation)
            loss, logs = losses.sum(), {"loss": losses.detach().float().mean(), "lr": lr, "n_images": index.numel()}
            if self.model.pairs:
                same = torch.stack([classes[i] == classes[j] for i, j in self.model.pairs])
                logits = self.model.verify(features).float()
                verifiers = binary_cross_entropy_with_logits(logits, same.float(), reduction="none").mean(1)
                loss = loss + verifiers.sum()
                logs |= {
                    "verifier_loss": verifiers.detach().mean(),
                    "verifier_accuracy": ((logits > 0) == same).float().mean(),
                }
        self.placement.step(loss, self.optimizer)
        return logs

    def _components(self, index: Tensor, augmentation: Tensor | None) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Of every component on its images: the cross-entropy ``(components,)``, the features, the true classes."""
        losses, features, classes = [], [], []
        for k, component in enumerate(self.model.components):
            images, targets = self.train.batch(index[k])
            augment = self.recipe.augment
            if augment is not None and augmentation is not None:
                images, targets = augment(images, targets, params=augmentation[k])
            elif augment is not None:
                images, targets = apply_augment(augment, images, targets, "multi-class")
            images = images.contiguous(memory_format=self.placement.memory_format)
            feature, logits = component(images)
            losses.append(cross_entropy(logits, targets))
            feature = feature.clone()
            if feature.requires_grad:  # weights the gradient from the verifiers to the component, not their own
                feature.register_hook(lambda gradient: self.synergy * gradient)
            features.append(feature)
            classes.append(targets)
        return torch.stack(losses), features, classes


def sample_pairs(targets: Tensor, networks: int, n: int, generator: torch.Generator) -> Tensor:
    """Sample image indices ``(networks, n)`` so that any two networks see the same class in half of the columns.

    A column samples two different classes as often as they occur in `targets` ``(M,)``; every network then gets an
    image of one of them, with probability 1/2 each. The paper asks for 45 to 55 % (section 3.1) and leaves the method
    open; this one gives every network the same distribution, for any number of networks.

    Raises:
        ValueError: only one class in `targets`.
    """
    networks, n = whole_number("networks", networks, 1), whole_number("n", n, 1)
    counts = torch.bincount(targets).double()
    if (counts > 0).sum() < 2:
        raise ValueError("all images have one class, so no pair can differ: give images of at least two classes")
    first = torch.multinomial(counts, n, replacement=True, generator=generator)
    others = counts.repeat(n, 1)
    others[torch.arange(n), first] = 0
    second = torch.multinomial(others, 1, generator=generator)[:, 0]
    coin = torch.rand(networks, n, generator=generator) < 0.5
    chosen = torch.where(coin, first, second)
    place = (torch.rand(networks, n, generator=generator, dtype=torch.float64) * counts[chosen]).long()
    start = counts.cumsum(0) - counts  # of each class in the list sorted by class
    return targets.argsort(stable=True)[start[chosen].long() + place]
