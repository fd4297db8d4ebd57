"""`fit_gan`: a generator and a discriminator trained in turn, with one of the losses in `gan_losses.py`.

`GANTrainer.train_epoch` is one epoch; `discriminator_step` and `generator_step` are the two steps.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from medlab.data.images import ImageSet
from medlab.errors import whole_number
from medlab.train.devices import Placement, place_model, seed_everything
from medlab.train.distributed import require_one_process
from medlab.train.gan_losses import Batch, GANLoss, GradientPenalty, resolve_loss
from medlab.train.sampling import sample_labels, to_pixels
from medlab.train.state import History, TrainState, dataset_fingerprint, epoch_seed

CALLBACK_IMAGES = 64  # images that `callback` gets


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
    ema: float | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    precision: str | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
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
        ema: decay of an exponential moving average of the generator's weights, such as 0.999, which replaces them at
            the end.
        seed: decides data order and noise; the initial weights are the caller's.
        device, precision, checkpoint, resume, progress: as in `fit`; the file holds both networks.
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
    if lr is not None:
        if not lr > 0:
            raise ValueError(f"lr must be positive, got {lr}; None takes the paper's, here {loss.lr}")
        loss = replace(loss, lr=float(lr))
    if ema is not None and not 0 < ema < 1:
        raise ValueError(f"ema must lie between 0 and 1, such as 0.999, got {ema}; None for no average")
    _check_images(train, batch_size)
    steps_per_pass = max(1, len(train) // (batch_size * loss.critic_steps))
    steps = steps_per_pass if steps_per_epoch is None else whole_number("steps_per_epoch", steps_per_epoch, 1)

    networks = nn.ModuleDict({"generator": generator, "discriminator": discriminator})
    placement = place_model(networks, train.images, device, precision)
    _check_networks(generator, discriminator, loss, train)
    if ema is not None:
        networks["average"] = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(ema), use_buffers=True)
    optimizers = [loss.make_optimizer(network) for network in (generator, discriminator)]
    settings = {
        "epochs": epochs, "steps_per_epoch": steps, "batch_size": batch_size, "loss": repr(loss), "ema": ema,
        "seed": seed, "precision": placement.precision, "data": dataset_fingerprint(train),
    }  # fmt: skip
    state = TrainState(
        model=networks, optimizers=optimizers, placement=placement, checkpoint=checkpoint, settings=settings
    )
    trainer = GANTrainer(networks, loss, *optimizers, train.to(placement.device), batch_size, steps, seed, placement)
    history = state.run(
        trainer.train_epoch, epochs=epochs, steps_per_epoch=steps, resume=resume, progress=progress,
        callback=callback and (lambda history: callback(trainer.fixed_samples(), history)),
    )  # fmt: skip
    if ema is not None:
        generator.load_state_dict(networks["average"].module.state_dict())
    return history


def fit_class_gans(
    train: ImageSet, build: Callable[[], tuple[nn.Module, nn.Module]], *, seed: int = 0, **kwargs: object
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
    seed: int
    placement: Placement

    def train_epoch(self, epoch: int, bar: tqdm) -> list[dict]:
        """Train through epoch number `epoch` (from 0); what each generator step logged."""
        torch.manual_seed(epoch_seed(self.seed, epoch))  # for layers and losses that draw random numbers
        rng = torch.Generator().manual_seed(epoch_seed(self.seed, epoch))
        batches = self._real_batches(rng)
        self.networks.train()
        logs = []
        for _ in range(self.steps):
            for step in range(self.loss.critic_steps):
                real, last = next(batches), step == self.loss.critic_steps - 1
                with torch.set_grad_enabled(last):  # the last fakes serve the generator's step too
                    fake = self._generate(self.networks["generator"], self.batch_size, rng)
                logged = self.discriminator_step(real, fake)
            logged["generator_loss"] = self.generator_step(real, fake)
            logs.append(logged | {"lr": self.loss.lr, "n_images": self.loss.critic_steps * self.batch_size})
            bar.update()
        return logs

    def discriminator_step(self, real: Batch, fake: Batch) -> dict[str, Tensor]:
        """One gradient step of the discriminator on real images and fakes; its loss and what is logged."""
        discriminator, optimizer = self.networks["discriminator"], self.discriminator_optimizer
        fake = fake._replace(images=fake.images.detach())  # no gradient to the generator
        with self.placement.autocast():
            loss, logs = self.loss.discriminator_loss(discriminator, real, fake)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        self.loss.after_discriminator_step(discriminator)
        return {"loss": loss.detach()} | {name: value.detach() for name, value in logs.items()}

    def generator_step(self, real: Batch, fake: Batch) -> Tensor:
        """One gradient step of the generator, whose graph `fake` still holds; its loss."""
        generator, discriminator = self.networks["generator"], self.networks["discriminator"]
        optimizer = self.generator_optimizer
        discriminator.requires_grad_(False)  # the gradient passes through it to the generator
        with self.placement.autocast():
            loss = self.loss.generator_loss(discriminator, real, fake)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        discriminator.requires_grad_(True)
        if "average" in self.networks:
            self.networks["average"].update_parameters(generator)
        return loss.detach()

    @torch.no_grad()
    def fixed_samples(self) -> Tensor:
        """Images ``(64, C, H, W)`` in [0, 1] of the generator, or of its moving average, from the same noise always."""
        network = self.networks["average"] if "average" in self.networks else self.networks["generator"]
        rng = torch.Generator().manual_seed(self.seed)
        return to_pixels(self._generate(network.eval(), CALLBACK_IMAGES, rng).images).cpu()

    def _generate(self, network: nn.Module, n: int, rng: torch.Generator) -> Batch:
        """`n` fakes of the generator, or of its moving average."""
        generator, device = self.networks["generator"], self.placement.device
        z, labels = generator.sample_latent(n, rng).to(device), sample_labels(generator, n, rng)
        labels = None if labels is None else labels.to(device)
        with self.placement.autocast():
            images = network(z) if labels is None else network(z, labels)
        return Batch(images, labels)

    def _real_batches(self, rng: torch.Generator) -> Iterator[Batch]:
        """Batches of real images without end, each image once before any comes twice."""
        order, with_classes = torch.empty(0, dtype=torch.long), self.train.info.task == "multi-class"
        while True:
            while len(order) < self.batch_size:
                order = torch.cat([order, torch.randperm(len(self.train), generator=rng)])
            index, order = order[: self.batch_size], order[self.batch_size :]
            images, targets = self.train.batch(index.to(self.train.targets.device))
            images = (2 * images - 1).contiguous(memory_format=self.placement.memory_format)
            yield Batch(images, targets if with_classes else None)


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
def _check_networks(generator: nn.Module, discriminator: nn.Module, loss: GANLoss, train: ImageSet) -> None:
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
    try:
        discriminator(images.to(device))
    except RuntimeError as error:  # the channels of its first layer, or the size of its last
        raise ValueError(
            f"{type(discriminator).__name__} cannot take images {wanted}: build it with that size and channels "
            f"({str(error).partition(chr(10))[0]})"
        ) from error
