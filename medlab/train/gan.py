"""`fit_gan`: a generator and a discriminator trained in turn, as one of the `games`."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from medlab.data.images import ImageSet
from medlab.errors import whole_number
from medlab.train.devices import pick_device, pick_layout, pick_precision, seed_everything
from medlab.train.fit import LARGE_PRIME
from medlab.train.gan_losses import Examples, GradientPenalty, resolve_loss
from medlab.train.sampling import sample_labels, to_pixels
from medlab.train.state import History, Training, mark

WATCHED = 64  # images that `watch` sees


def fit_gan(
    generator: nn.Module,
    discriminator: nn.Module,
    train: ImageSet,
    *,
    epochs: int,
    steps_per_epoch: int | None = None,
    loss: str | object = "non-saturating",
    batch_size: int = 64,
    lr: float | None = None,
    ema: float | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    precision: str | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    watch: Callable[[Tensor, History], None] | None = None,
    progress: bool = True,
) -> History:
    """Train both players in place, leave them in evaluation mode, and return the curves of their losses.

    Args:
        generator: maps noise ``(N, latent)`` to images in (-1, 1) and has `sample_latent(n, rng)`, as `DCGenerator` does. With
            an attribute `classes` above 0 it is called with labels ``(N,)`` too.
        discriminator: maps images to logits or scores ``(N,)``; a game of your own may ask for more.
        train: real images ``(N, C, H, W)``; they are scaled from [0, 1] to (-1, 1).
        epochs: number of times that the curve, the checkpoint and `watch` get an entry.
        steps_per_epoch: steps of the generator in each; None: as many as one pass of the discriminator over the images.
        loss: "non-saturating", "saturating", "wgan", "wgan-gp", or a game as in `medlab.train.gan_losses`, whose docstrings
            name the papers.
        batch_size: real images per step of the discriminator, and as many fakes.
        lr: learning rate of both; None takes that of the game's paper.
        ema: decay of a running average of the generator's weights, such as 0.999, which takes their place in the end.
        seed: decides data order and noise; the starting weights are the caller's.
        device, precision, checkpoint, resume, progress: as in `fit`; the file holds both players.
        watch: called after every epoch with images ``(64, C, H, W)`` in [0, 1], always from the same noise, and the
            history so far.

    Returns:
        History in which `train_loss` is the discriminator's loss. Metrics: "generator_loss", and what the game notes:
        "accuracy" of the discriminator, or the critic's "gap". Images per second count the real ones.

    Raises:
        ValueError: an argument out of its range, images that are all the same, players that do not fit the images, a
            sigmoid at the end of the discriminator, a gradient penalty with batch normalization.
        FloatingPointError: a loss became NaN or infinite; says at which step.
        CheckpointError: the checkpoint is damaged, or belongs to other players, other images or other settings.
        OSError: the checkpoint cannot be written.
    """
    game = resolve_loss(loss)
    epochs, batch_size = whole_number("epochs", epochs, 1), whole_number("batch_size", batch_size, 2)
    seed = whole_number("seed", seed, 0)
    if lr is not None:
        if not lr > 0:
            raise ValueError(f"lr must be positive, got {lr}; None takes the paper's, here {game.lr}")
        game = replace(game, lr=float(lr))
    if ema is not None and not 0 < ema < 1:
        raise ValueError(f"ema must lie between 0 and 1, such as 0.999, got {ema}; None for no average")
    _check_images(train, batch_size)
    passes = max(1, len(train) // (batch_size * game.critic_steps))
    steps = passes if steps_per_epoch is None else whole_number("steps_per_epoch", steps_per_epoch, 1)

    device = pick_device(device)
    dtype = pick_precision(precision, device)
    players = nn.ModuleDict({"generator": generator, "discriminator": discriminator})
    layout = pick_layout(players, train.images, device)
    players.to(device).to(memory_format=layout)
    _check_players(generator, discriminator, game, train)
    if ema is not None:
        players["average"] = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(ema), use_buffers=True)
    precision = str(dtype).removeprefix("torch.")
    optimizers = [game.optimizer(player) for player in (generator, discriminator)]
    training = Training(
        model=players, optimizers=optimizers, patience=None, checkpoint=checkpoint,
        history=History(device=device.type, precision=precision),
        settings={
            "epochs": epochs, "steps_per_epoch": steps, "batch_size": batch_size, "loss": repr(game), "ema": ema,
            "seed": seed, "precision": precision, "data": mark(train),
        },
    )  # fmt: skip
    if resume:
        training.restore()
    history = training.history
    if not len(history):
        training.save()  # holds the starting weights, and fails now rather than after an epoch
    bar = tqdm(total=epochs * steps, initial=len(history) * steps, disable=not progress, unit="step")
    turns = Turns(players, game, optimizers, train.to(device), batch_size, steps, seed, dtype, layout, bar)
    with bar, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        while len(history) < epochs:
            start = time.perf_counter()
            means = turns.run(len(history))
            images = steps * game.critic_steps * batch_size
            history.add_epoch(means.pop("loss"), game.lr, images, time.perf_counter() - start)
            for name, value in means.items():
                history.metrics.setdefault(name, []).append(value)
            training.save()
            if watch is not None:
                watch(turns.samples(), history)
    if ema is not None:
        generator.load_state_dict(players["average"].module.state_dict())
    return training.finish()


def fit_class_gans(
    train: ImageSet, build: Callable[[], tuple[nn.Module, nn.Module]], *, seed: int = 0, **settings: object
) -> tuple[list[nn.Module], list[History]]:
    """One GAN per class of `train`, each shown the images of its class and no others; the generators and their curves.

    Args:
        train: the images, those of the training folds only.
        build: makes a new generator and a new discriminator.
        seed: of their starting weights and of the training; every class has its own.
        settings: what `fit_gan` takes beside the two players and the images.

    Raises:
        ValueError: a class without an image, and all that `fit_gan` raises.
    """
    generators, histories = [], []
    for c, (name, count) in enumerate(train.counts().items()):
        if count == 0:
            raise ValueError(f"{train.info.name}: no image of class {name} to train its GAN on")
        seed_everything(seed + 1000 * c)
        generator, discriminator = build()
        of_class = train[(train.targets == c).cpu().numpy()]
        histories.append(fit_gan(generator, discriminator, of_class, seed=seed + 1000 * c, **settings))
        generators.append(generator)
    return generators, histories


@dataclass
class Turns:
    """The steps of both players."""

    players: nn.ModuleDict
    game: object
    optimizers: list[torch.optim.Optimizer]
    train: ImageSet
    batch_size: int
    steps: int
    seed: int
    dtype: torch.dtype
    layout: torch.memory_format
    bar: tqdm

    def run(self, epoch: int) -> dict[str, float]:
        """Train through epoch number `epoch` (from 0); the means of the losses and of what the game notes.

        Raises:
            FloatingPointError: a loss became NaN or infinite.
        """
        # All randomness of an epoch follows from the seed and its number, so that resuming needs no other state.
        torch.manual_seed(self.seed * LARGE_PRIME + epoch)  # for layers and games that draw
        rng = torch.Generator().manual_seed(self.seed * LARGE_PRIME + epoch)
        batches = self._batches(rng)
        self.players.train()
        notes = []
        for _ in range(self.steps):
            for turn in range(self.game.critic_steps):
                real, last = next(batches), turn == self.game.critic_steps - 1
                with torch.set_grad_enabled(last):  # the last fakes serve the generator's step too
                    fake = self._fakes(rng)
                note = self._teach_discriminator(real, fake)
            notes.append(note | {"generator_loss": self._teach_generator(real, fake)})
            self.bar.update()
        names = list(notes[0])
        table = torch.stack([torch.stack([note[name].float() for name in names]) for note in notes])
        table = table.cpu()  # the one place where the GPU is waited for
        bad = (~table[:, [names.index("loss"), names.index("generator_loss")]].isfinite()).any(1).nonzero()
        if len(bad):
            step = epoch * self.steps + int(bad[0]) + 1
            raise FloatingPointError(
                f"a loss became NaN or infinite at step {step} (epoch {epoch + 1}) with learning rate "
                f"{self.game.lr:.3g}: lower lr, or look for odd images"
            )
        return dict(zip(names, table.mean(0).tolist()))

    @torch.no_grad()
    def samples(self) -> Tensor:
        """Images ``(64, C, H, W)`` in [0, 1] of the generator, or of its average, always from the same noise."""
        player = self.players["average"] if "average" in self.players else self.players["generator"]
        rng = torch.Generator().manual_seed(self.seed)
        player.eval()
        return to_pixels(self._fakes(rng, player, WATCHED).images).cpu()

    def _batches(self, rng: torch.Generator) -> Iterator[Examples]:
        """Real images without end, each once before any comes twice."""
        order, classes = torch.empty(0, dtype=torch.long), self.train.info.task == "multi-class"
        while True:
            while len(order) < self.batch_size:
                order = torch.cat([order, torch.randperm(len(self.train), generator=rng)])
            batch, order = order[: self.batch_size], order[self.batch_size :]
            images, targets = self.train.batch(batch.to(self.train.targets.device))
            images = (2 * images - 1).contiguous(memory_format=self.layout)
            yield Examples(images, targets if classes else None)

    def _fakes(self, rng: torch.Generator, player: nn.Module | None = None, n: int | None = None) -> Examples:
        generator, n = self.players["generator"], n or self.batch_size
        device = self.train.targets.device
        z, labels = generator.sample_latent(n, rng).to(device), sample_labels(generator, n, rng)
        labels = None if labels is None else labels.to(device)
        with self._autocast():
            images = (player or generator)(z) if labels is None else (player or generator)(z, labels)
        return Examples(images, labels)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.train.targets.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def _teach_discriminator(self, real: Examples, fake: Examples) -> dict[str, Tensor]:
        discriminator, optimizer = self.players["discriminator"], self.optimizers[1]
        with self._autocast():
            loss, notes = self.game.discriminator_loss(discriminator, real, fake._replace(images=fake.images.detach()))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        self.game.after_discriminator_step(discriminator)
        return {"loss": loss.detach()} | {name: value.detach() for name, value in notes.items()}

    def _teach_generator(self, real: Examples, fake: Examples) -> Tensor:
        generator, discriminator = self.players["generator"], self.players["discriminator"]
        optimizer = self.optimizers[0]
        discriminator.requires_grad_(False)  # it only passes the gradient on
        with self._autocast():
            loss = self.game.generator_loss(discriminator, real, fake)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        discriminator.requires_grad_(True)
        if "average" in self.players:
            self.players["average"].update_parameters(generator)
        return loss.detach()


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
def _check_players(generator: nn.Module, discriminator: nn.Module, game: object, train: ImageSet) -> None:
    """Refuse players that do not fit the images, each other, or the game."""
    for layer in discriminator.modules():
        if isinstance(layer, nn.Sigmoid):
            raise ValueError(
                f"{type(discriminator).__name__} has a Sigmoid: the losses take logits (a GAN) or scores without bound "
                "(a WGAN); leave it out"
            )
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and isinstance(game, GradientPenalty):
            raise ValueError(
                "the gradient penalty is taken image by image and batch normalization mixes them: build the critic "
                "without, such as WGANCritic(norm=False)"
            )
    rng, device = torch.Generator().manual_seed(0), next(generator.parameters()).device
    given = [
        part.to(device)
        for part in (generator.sample_latent(2, rng), sample_labels(generator, 2, rng))
        if part is not None
    ]
    made, wanted = tuple(generator.eval()(*given).shape[1:]), tuple(train.images.shape[1:])
    if made != wanted:
        raise ValueError(
            f"{type(generator).__name__} makes images {made}, but {train.info.name} has {wanted} (channels, height, "
            "width): build the generator with that size and channels, or load the images at its size"
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
