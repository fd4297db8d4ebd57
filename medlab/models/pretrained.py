"""Trained generators that come with the course: `data/checkpoints/NAME.safetensors`, and `NAME.json`, the card.

The weights are kept in half precision as plain tensors; reading them runs no code. The card says how they were made and
how good they are, and its hash belongs to exactly these weights. `data/checkpoints/train.ipynb` makes both.
"""

import hashlib
import json
import os
from pathlib import Path

import torch
from torch import Tensor, nn

from medlab.errors import unknown_name
from medlab.models.dcgan import DCGenerator

GENERATORS = {"DCGenerator": DCGenerator}
LARGEST = 2**25  # bytes of weights that are read: four times what all published ones have together
AGAIN = "restore both files from the repository, or make them anew with data/checkpoints/train.ipynb"


class Card(dict):
    """What is known about a published generator, as in its JSON file; printing it gives the gist."""

    def __str__(self) -> str:
        hardware, images = self["hardware"], self["images"]
        kind = f", {images['kind']}" if images["kind"] else ""
        return "\n".join(
            [
                f"{self['name']}: {self['about']}",
                f"  {self['generator']} {self['arguments']}, {self['weights']:,} weights",
                f"  trained on {images['n']} images of {images['name']}{kind} for {self['steps']} steps as "
                f"{self['loss']}, seed {self['seed']}, {self['seconds'] / 60:.0f} min on "
                f"{hardware['gpu'] or hardware['cpu']}",
                f"  FID {self['fid']:.3g}, KID {self['kid']:.2g} to {self['held_out']} held-out images; training "
                f"images have {self['fid_of_training']:.3g} and {self['kid_of_training']:.2g}",
                f"  `{self['command']}`",
            ]
        )

    __repr__ = __str__


def checkpoints_folder() -> Path:
    """`data/checkpoints/` of the repository, or of the current folder if medlab is not installed from a checkout."""
    checkout = Path(__file__).resolve().parents[2] / "data" / "checkpoints"
    return checkout if checkout.is_dir() else Path.cwd() / "data" / "checkpoints"


def pretrained_names(folder: str | Path | None = None) -> list[str]:
    """Names of the published generators, in order of the alphabet."""
    folder = checkpoints_folder() if folder is None else Path(folder)
    return sorted(path.stem for path in folder.glob("*.safetensors"))


def load_pretrained(name: str, folder: str | Path | None = None) -> tuple[nn.Module, Card]:
    """A trained generator, on the CPU in evaluation mode, and its card.

    Args:
        name: one of `pretrained_names()`.
        folder: where weights and card lie, such as that of a run of `train.ipynb`; None: `data/checkpoints/`.

    Raises:
        ValueError: an unknown name; weights and card that do not belong together, or one of them damaged.
        FileNotFoundError: there is no published generator at all, or one without a card.
    """
    folder = checkpoints_folder() if folder is None else Path(folder)
    names = pretrained_names(folder)
    if not names:
        raise FileNotFoundError(
            f"no published generators in {folder}: work in a checkout of the repository, or {AGAIN}"
        )
    if name not in names:
        raise unknown_name("published generator", name, names)
    file, card = folder / f"{name}.safetensors", _read_card(folder / f"{name}.json")
    if (size := file.stat().st_size) > LARGEST:
        raise ValueError(f"{file} has {size:,} bytes, more than any published generator ({LARGEST:,}); {AGAIN}")
    data = file.read_bytes()
    if (got := hashlib.sha256(data).hexdigest()) != card["sha256"]:
        raise ValueError(f"{file} has the SHA-256 {got}, its card says {card['sha256']}: {AGAIN}")
    return _build(data, card, file).eval(), card


def _read_card(file: Path) -> Card:
    if not file.is_file():
        raise FileNotFoundError(f"the card {file} is missing: {AGAIN}")
    try:
        card = Card(json.loads(file.read_text(encoding="utf-8")))
        if missing := sorted({"generator", "arguments", "sha256"} - set(card)):
            raise ValueError(f"lacks {', '.join(missing)}")
    except (ValueError, TypeError) as error:
        raise ValueError(f"the card {file} cannot be read ({error}): {AGAIN}") from None
    return card


def _build(data: bytes, card: Card, file: Path) -> nn.Module:
    """The generator with its weights as float32. Nothing is drawn: the global random numbers stay as they were."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    if card["generator"] not in GENERATORS:
        raise unknown_name(f"generator on the card of {file.name}", card["generator"], GENERATORS)
    try:
        weights = {key: part.float() if part.is_floating_point() else part for key, part in load(data).items()}
        with torch.device("meta"):
            generator = GENERATORS[card["generator"]](**card["arguments"])
        generator.load_state_dict(weights, assign=True)
    except (SafetensorError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{file} does not fit its card, {card['generator']} {card['arguments']} ({error}): {AGAIN}"
        ) from None
    return generator


def save_pretrained(
    folder: str | Path, name: str, generator: nn.Module, arguments: dict[str, object], facts: dict[str, object]
) -> Card:
    """Write the weights of a generator, in half precision, and its card.

    Args:
        folder: where to, see `checkpoints_folder`.
        name: of both files.
        generator: of a class in `GENERATORS`, built from `arguments`.
        arguments: as JSON holds them.
        facts: what else the card says.

    Returns:
        The card. With the facts it has: name, generator, arguments, weights (their number), sha256, and `samples`, the
        `fingerprint` by which a test recognizes the generator.

    Raises:
        ValueError: a class that cannot be published.
        OSError: the folder cannot be written.
    """
    from safetensors.torch import save

    kind = type(generator).__name__
    if kind not in GENERATORS:
        raise unknown_name("class of generator to publish", kind, GENERATORS)
    state = {key: part.cpu().contiguous() for key, part in generator.state_dict().items()}
    data = save({key: part.half() if part.is_floating_point() else part for key, part in state.items()})
    made = {"name": name, "generator": kind, "arguments": arguments, "weights": count(generator)}
    made["sha256"] = hashlib.sha256(data).hexdigest()
    card = Card(made | facts)
    card["samples"] = fingerprint(_build(data, card, Path(folder) / f"{name}.safetensors").eval())
    _write(Path(folder) / f"{name}.safetensors", data)
    _write(Path(folder) / f"{name}.json", (json.dumps(card, indent=2, allow_nan=False) + "\n").encode())
    return card


def count(network: nn.Module) -> int:
    """Number of trained weights."""
    return sum(part.numel() for part in network.parameters())


@torch.no_grad()
def fingerprint(generator: nn.Module, seed: int = 0) -> list[list[float]]:
    """Mean gray values of the four quarters of eight images, 0 to 1: the same for the same weights, within rounding."""
    images: Tensor = generator(generator.sample_latent(8, torch.Generator().manual_seed(seed)))
    quarters = nn.functional.adaptive_avg_pool2d((images / 2 + 0.5).clamp(0, 1).mean(1, keepdim=True), 2)
    return [[round(value, 4) for value in one] for one in quarters.flatten(1).tolist()]


def _write(file: Path, data: bytes) -> None:
    """All of the file or nothing."""
    part = file.with_name(file.name + ".part")
    part.write_bytes(data)
    os.replace(part, file)
