"""`fit_gan`: a generator and a discriminator trained in turn, with one of the losses in `gan_losses.py`.

`GANTrainer.train_epoch` is one epoch; `discriminator_step` and `generator_step` are the two steps.
"""

from collections.abc import Callable, Iterator
from copy import copy, deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from medlab.data.images import ImageSet
from medlab.errors import whole_number
from medlab.models.modes import explain_shape
from medlab.train.devices import Placement, place_model, seed_everything
from medlab.train.distributed import require_one_process
from medlab.train.gan_losses import Batch, GANLoss, GradientPenalty, resolve_loss
from medlab.train.recipe import named
from medlab.train.sampling import sample_labels, to_pixels
from medlab.train.state import History, TrainState, epoch_seed

CALLBACK_IMAGES = 64  # images that `callback` gets
STEPS_AHEAD = 100  # steps whose random numbers are drawn, and copied to the device, at once: no step waits for them


def fit_gan(
    generator: nn.Module,
    discriminator: nn.Module,
    train: ImageSet,
    *,
    epochs: int,
    steps_per_epoch: int | None = None,
    loss: str | GANLoss = "non-saturating",
    batch_size: int = 64,
    lr: float | None = None,
    discriminator_lr: float | None = None,
    ema: float | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    precision: str | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    callback: Callable[[Tensor, History], None] | None = None,
    progress: bool = True,
) -> History:
    """Train both networks in place, leave them in evaluation mode, and return the curves of their losses.

    Args:
        generator: maps noise ``(N, latent)`` to images in (-1, 1) and has `sample_latent(n, rng)`, as `DCGenerator`.
            With an attribute `classes` above 0 it is conditional and gets labels ``(N,)`` too.
        discriminator: maps images to logits or scores ``(N,)``; a loss of your own may ask for more.
        train: real images ``(N, C, H, W)``; they are scaled from [0, 1] to (-1, 1).
        epochs: number of times that the history, the checkpoint and `callback` get an entry.
        steps_per_epoch: generator steps per epoch; None: as many as one pass of the discriminator over the images.
        loss: "non-saturating", "saturating", "wgan", "wgan-gp", or a `GANLoss` (`medlab.train.gan_losses`).
        batch_size: real images per step of the discriminator, and as many fakes.
        lr: learning rate of both; None takes that of the loss's paper.
        discriminator_lr: that of the discriminator, where it differs.
        ema: decay of an exponential moving average of the generator's weights, such as 0.999, which replaces them at
            the end.
        seed: decides data order and noise; the initial weights are the caller's.
        device, precision, checkpoint, resume, overwrite, progress: as in `fit`; the file holds both networks.
        callback: called after every epoch with images ``(64, C, H, W)`` in [0, 1], always from the same noise, and the
            history so far.

    Returns:
        History in which `train_loss` is the discriminator's loss. Metrics: "generator_loss", and what the loss logs:
        "accuracy" of the discriminator, or the critic's "gap". Images per second count the real ones.

    Raises:
        ValueError: an argument out of its range, images that are all the same, networks that do not fit the images, a
            sigmoid at the end of the discriminator, a gradient penalty with batch normalization.
        FloatingPointError: a loss became NaN or infinite; says at which step.
        CheckpointError: the checkpoint is damaged, or belongs to other networks, other images or other settings.
        OSError: the checkpoint cannot be written.
        RuntimeError: `torchrun` started several processes.
    """
    require_one_process("fit_gan")
    loss = resolve_loss(loss)
    epochs, batch_size = whole_number("epochs", epochs, 1), whole_number("batch_size", batch_size, 2)
    seed = whole_number("seed", seed, 0)
    for name, rate in (("lr", lr), ("discriminator_lr", discriminator_lr)):
        if rate is not None and not rate > 0:
            raise ValueError(f"{name} must be positive, got {rate}; None takes the paper's, here {loss.lr}")
    loss = _with_lr(loss, lr)
    if ema is not None and not 0 < ema < 1:
        raise ValueError(f"ema must lie between 0 and 1, such as 0.999, got {ema}; None for no average")
    _check_images(train, batch_size)
    steps_per_pass = max(1, len(train) // (batch_size * loss.critic_steps))
    steps = steps_per_pass if steps_per_epoch is None else whole_number("steps_per_epoch", steps_per_epoch, 1)

    networks = nn.ModuleDict({"generator": generator, "discriminator": discriminator})
    placement = place_model(networks, train.images, device, precision)
    _check_networks(generator, discriminator, loss, train)
    if ema is not None:
        networks["average"] = deepcopy(generator).requires_grad_(False)
    discriminator_loss = _with_lr(loss, discriminator_lr)
    optimizers = [loss.make_optimizer(generator), discriminator_loss.make_optimizer(discriminator)]
    settings = {
        "epochs": epochs, "steps_per_epoch": steps, "batch_size": batch_size, "loss": named(loss),
        "discriminator_lr": discriminator_loss.lr, "ema": ema, "seed": seed, "precision": placement.precision,
    }  # fmt: skip
    state = TrainState(
        model=networks,
        optimizers=optimizers,
        placement=placement,
        checkpoint=checkpoint,
        settings=settings,
        sets=(train, None),
    )
    trainer = GANTrainer(
        networks, loss.to(placement.device), optimizers[0], optimizers[1], train.to(placement.device), batch_size,
        steps, ema, seed, placement,
    )  # fmt: skip
    history = state.run(
        trainer.train_epoch, epochs=epochs, steps_per_epoch=steps, resume=resume, overwrite=overwrite,
        progress=progress, callback=callback and (lambda history: callback(trainer.fixed_samples(), history)),
    )  # fmt: skip
    if ema is not None:
        generator.load_state_dict(networks["average"].state_dict())
    return history


def fit_class_gans(
    train: ImageSet, build: Callable[[], tuple[nn.Module, nn.Module]], *, seed: int = 0, **kwargs: Any
) -> tuple[list[nn.Module], list[History]]:
    """One GAN per class of `train`, each trained on the images of its class only.

    Args:
        train: the images, those of the training folds only.
        build: makes a new generator and a new discriminator.
        seed: of their initial weights and of the training; every class has its own.
        kwargs: other arguments of `fit_gan`.

    Returns:
        The generators and their histories, in the order of the classes.

    Raises:
        ValueError: a checkpoint, a class without an image, and all that `fit_gan` raises.
    """
    if kwargs.get("checkpoint") is not None:
        raise ValueError("a checkpoint holds one GAN, and fit_class_gans trains one per class: call fit_gan for each")
    generators, histories = [], []
    for c, (name, count) in enumerate(train.counts().items()):
        if count == 0:
            raise ValueError(f"{train.info.name}: no image of class {name} to train its GAN on")
        seed_everything(seed + 1000 * c)
        generator, discriminator = build()
        class_images = train[(train.targets == c).cpu().numpy()]
        histories.append(fit_gan(generator, discriminator, class_images, seed=seed + 1000 * c, **kwargs))
        generators.append(generator)
    return generators, histories


@dataclass
class GANTrainer:
    """One epoch, and the steps of discriminator and generator."""

    networks: nn.ModuleDict
    loss: GANLoss
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    train: ImageSet
    batch_size: int
    steps: int
    ema: float | None
    seed: int
    placement: Placement

    def train_epoch(self, epoch: int, bar: tqdm) -> list[dict]:
        """Train through epoch number `epoch` (from 0); what each generator step logged."""
        torch.manual_seed(epoch_seed(self.seed, epoch))  # for layers and losses that draw random numbers
        draws = self._draws(torch.Generator().manual_seed(epoch_seed(self.seed, epoch)))
        self.networks.train()
        logs = []
        for generator_step in range(self.steps):
            for step in range(self.loss.critic_steps):
                index, z, labels = next(draws)
                real, last = self._real(index), step == self.loss.critic_steps - 1
                with torch.set_grad_enabled(last):  # the last fakes serve the generator's step too
                    fake = self._generate(self.networks["generator"], z, labels)
                logged = self.discriminator_step(real, fake)
            logged["generator_loss"] = self.generator_step(real, fake)
            if self.ema is not None:
                self.average_weights(decay=self.ema if epoch or generator_step else 0.0)
            logs.append(logged | {"lr": self.loss.lr, "n_images": self.loss.critic_steps * self.batch_size})
            bar.update()
        return logs

    def discriminator_step(self, real: Batch, fake: Batch) -> dict[str, Tensor]:
        """One gradient step of the discriminator on real images and fakes; its loss and what is logged."""
        discriminator, optimizer = self.networks["discriminator"], self.discriminator_optimizer
        fake = fake._replace(images=fake.images.detach())  # no gradient to the generator
        with self.placement.autocast():
            loss, logs = self.loss.discriminator_loss(discriminator, real, fake)
        self.placement.step(loss, optimizer)
        self.loss.after_discriminator_step(discriminator)
        return {"loss": loss.detach()} | {name: value.detach() for name, value in logs.items()}

    def generator_step(self, real: Batch, fake: Batch) -> Tensor:
        """One gradient step of the generator, whose graph `fake` still holds; its loss."""
        discriminator, optimizer = self.networks["discriminator"], self.generator_optimizer
        discriminator.requires_grad_(False)  # the gradient passes through it to the generator
        with self.placement.autocast():
            loss = self.loss.generator_loss(discriminator, real, fake)
        self.placement.step(loss, optimizer)
        discriminator.requires_grad_(True)
        return loss.detach()

    @torch.no_grad()
    def average_weights(self, decay: float) -> None:
        """Move the average to ``decay * average + (1 - decay) * generator``; buffers that count are copied."""
        for average, latest in zip(
            self.networks["average"].state_dict().values(), self.networks["generator"].state_dict().values()
        ):
            if average.is_floating_point():
                average.lerp_(latest, 1 - decay)
            else:
                average.copy_(latest)

    @torch.no_grad()
    def fixed_samples(self) -> Tensor:
        """Images ``(64, C, H, W)`` in [0, 1] of the generator, or of its moving average, from the same noise always."""
        network: Any = self.networks["average" if self.ema is not None else "generator"]
        rng, device = torch.Generator().manual_seed(self.seed), self.placement.device
        z, labels = network.sample_latent(CALLBACK_IMAGES, rng), sample_labels(network, CALLBACK_IMAGES, rng)
        labels = None if labels is None else labels.to(device)
        return to_pixels(self._generate(network.eval(), z.to(device), labels).images).cpu()

    def _generate(self, network: nn.Module, z: Tensor, labels: Tensor | None) -> Batch:
        """The fakes of the generator, or of its moving average."""
        with self.placement.autocast():
            images = network(z) if labels is None else network(z, labels)
        return Batch(images, labels)

    def _real(self, index: Tensor) -> Batch:
        """The real images at `index`, scaled to (-1, 1)."""
        images, targets = self.train.batch(index)
        images = (2 * images - 1).contiguous(memory_format=self.placement.memory_format)
        return Batch(images, targets if self.train.info.task == "multi-class" else None)

    def _draws(self, rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """For one step of the discriminator after the other: indices of its real images, latent vectors, labels.

        Each image comes once before any comes twice.
        """
        order = torch.empty(0, dtype=torch.long)
        generator: Any = self.networks["generator"]
        while True:
            steps = []
            for _ in range(min(STEPS_AHEAD, self.steps * self.loss.critic_steps)):
                while len(order) < self.batch_size:
                    order = torch.cat([order, torch.randperm(len(self.train), generator=rng)])
                index, order = order[: self.batch_size], order[self.batch_size :]
                z = generator.sample_latent(self.batch_size, rng)
                steps.append((index, z, sample_labels(generator, self.batch_size, rng)))
            indices, latents, labels = zip(*steps)
            columns = [torch.stack(column).to(self.placement.device) for column in (indices, latents)]
            if labels[0] is not None:
                labels = torch.stack(labels).to(self.placement.device)
            yield from zip(*columns, labels)


def _with_lr(loss: GANLoss, lr: float | None) -> GANLoss:
    """The loss with this learning rate, if one is given."""
    if lr is not None:
        loss = copy(loss)
        object.__setattr__(loss, "lr", float(lr))  # the losses of `gan_losses` are frozen
    return loss


def _check_images(train: ImageSet, batch_size: int) -> None:
    """Refuse images that no GAN can learn from."""
    name, images = train.info.name, train.images
    if images.ndim != 4:
        raise ValueError(f"fit_gan needs images (N, C, H, W), {name} has {tuple(images.shape)}: take slices")
    if batch_size > len(train):
        raise ValueError(
            f"batch_size {batch_size} is larger than {name} with its {len(train)} images; take at most {len(train)}, "
            "and more images: a GAN copies the few it sees"
        )
    first = images[:1]
    if all(torch.equal(part, first.expand_as(part)) for part in images.split(1024)):
        raise ValueError(f"all {len(train)} images of {name} are the same: there is nothing to learn; look at them")


@torch.no_grad()
def _check_networks(generator: Any, discriminator: nn.Module, loss: GANLoss, train: ImageSet) -> None:
    """Refuse networks that do not fit the images, each other, or the loss."""
    for layer in discriminator.modules():
        if isinstance(layer, nn.Sigmoid):
            raise ValueError(
                f"{type(discriminator).__name__} has a Sigmoid: the losses take logits (a GAN) or scores without bound "
                "(a WGAN); leave it out"
            )
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and isinstance(loss, GradientPenalty):
            raise ValueError(
                "the gradient penalty is taken image by image and batch normalization mixes them: build the critic "
                "without, such as WGANCritic(norm=False)"
            )
    rng, device = torch.Generator().manual_seed(0), next(generator.parameters()).device
    inputs = generator.sample_latent(2, rng), sample_labels(generator, 2, rng)
    fake = generator.eval()(*(part.to(device) for part in inputs if part is not None))
    generated, wanted = tuple(fake.shape[1:]), tuple(train.images.shape[1:])
    if generated != wanted:
        raise ValueError(
            f"{type(generator).__name__} generates images {generated}, but {train.info.name} has {wanted} (channels, "
            "height, width): build the generator with that size and channels, or load the images at its size"
        )
    discriminator.eval()
    images, _ = train.batch(torch.arange(2))
    with explain_shape(images):
        discriminator(images.to(device))
