"""Pretrained generators: weights in `data/checkpoints/NAME.safetensors`, and a model card in `NAME.json`.

The weights are stored in half precision as plain tensors; reading them runs no code. The model card says how they were
trained and how good they are, and holds their hash. `data/checkpoints/train.ipynb` makes both files.
"""

import hashlib
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from medlab.errors import unknown_name_error
from medlab.models.cost import count_parameters
from medlab.models.dcgan import DCGenerator

GENERATORS = {"DCGenerator": DCGenerator}
AGAIN = "restore both files from the repository, or train it again with data/checkpoints/train.ipynb"


class ModelCard(dict):
    """Facts about a pretrained generator, as in its JSON file; printing it gives a summary."""

    def __str__(self) -> str:
        hardware, images = self["hardware"], self["images"]
        kind = f", {images['kind']}" if images["kind"] else ""
        return (
            f"{self['name']}: {self['about']}\n"
            f"  {self['generator']} {self['arguments']}, {self['weights']:,} weights\n"
            f"  trained on {images['n']} images of {images['name']}{kind} for {self['steps']} steps as {self['loss']}, "
            f"seed {self['seed']}, {self['seconds'] / 60:.0f} min on {hardware['gpu'] or hardware['cpu']}\n"
            f"  FID {self['fid']:.3g}, KID {self['kid']:.2g} to {self['held_out']} held-out images; training images "
            f"have {self['fid_of_training']:.3g} and {self['kid_of_training']:.2g}\n"
            f"  `{self['command']}`"
        )

    __repr__ = __str__


def checkpoints_folder() -> Path:
    """Folder `data/checkpoints/` of the repository, or of the current folder without a checkout."""
    checkout = Path(__file__).resolve().parents[2] / "data" / "checkpoints"
    return checkout if checkout.is_dir() else Path.cwd() / "data" / "checkpoints"


def pretrained_names(folder: str | Path | None = None) -> list[str]:
    """Names of the pretrained generators, sorted; `folder` as in `load_pretrained`."""
    folder = checkpoints_folder() if folder is None else Path(folder)
    return sorted(path.stem for path in folder.glob("*.safetensors"))


def load_pretrained(name: str, folder: str | Path | None = None) -> tuple[nn.Module, ModelCard]:
    """Load a pretrained generator, on the CPU in evaluation mode, and its model card.

    Args:
        name: one of `pretrained_names()`.
        folder: with weights and model card, such as that of a run of `train.ipynb`; None for `data/checkpoints/`.

    Raises:
        ValueError: an unknown name; weights and model card that do not belong together, or one of them damaged.
        FileNotFoundError: no pretrained generator at all, or one without a model card.
    """
    folder = checkpoints_folder() if folder is None else Path(folder)
    names = pretrained_names(folder)
    if not names:
        raise FileNotFoundError(
            f"no pretrained generators in {folder}: work in a checkout of the repository, or {AGAIN}"
        )
    if name not in names:
        raise unknown_name_error("pretrained generator", name, names)
    file, card = folder / f"{name}.safetensors", _read_card(folder / f"{name}.json")
    data = file.read_bytes()
    if (got := hashlib.sha256(data).hexdigest()) != card["sha256"]:
        raise ValueError(f"{file} has the SHA-256 {got}, its model card says {card['sha256']}: {AGAIN}")
    return _build(data, card, file).eval(), card


def _read_card(file: Path) -> ModelCard:
    if not file.is_file():
        raise FileNotFoundError(f"the model card {file} is missing: {AGAIN}")
    try:
        card = ModelCard(json.loads(file.read_text(encoding="utf-8")))
        if missing := sorted({"generator", "arguments", "sha256"} - set(card)):
            raise ValueError(f"lacks {', '.join(missing)}")
    except (ValueError, TypeError) as error:
        raise ValueError(f"the model card {file} cannot be read ({error}): {AGAIN}") from None
    return card


def _build(data: bytes, card: ModelCard, file: Path) -> nn.Module:
    """Return the generator with its weights as float32, without drawing from the global random generator."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    if card["generator"] not in GENERATORS:
        raise unknown_name_error(f"generator on the model card of {file.name}", card["generator"], GENERATORS)
    try:
        weights = {key: part.float() if part.is_floating_point() else part for key, part in load(data).items()}
        with torch.device("meta"):
            generator = GENERATORS[card["generator"]](**card["arguments"])
        generator.load_state_dict(weights, assign=True)
    except (SafetensorError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{file} does not fit its model card, {card['generator']} {card['arguments']} ({error}): {AGAIN}"
        ) from None
    return generator


def save_pretrained(
    folder: str | Path, name: str, generator: nn.Module, arguments: dict[str, object], facts: dict[str, object]
) -> ModelCard:
    """Write the weights of a generator, in half precision, and its model card.

    Args:
        folder: where to write, see `checkpoints_folder`.
        name: of both files.
        generator: of a class in `GENERATORS`, built from `arguments`.
        arguments: of the generator, as JSON values.
        facts: further entries of the model card.

    Returns:
        The model card: the facts, and name, generator, arguments, weights (their number), sha256, and `samples`, the
        `fingerprint` by which a test recognizes the generator.

    Raises:
        ValueError: a class that cannot be saved.
        OSError: the folder cannot be written.
    """
    from safetensors.torch import save

    kind = type(generator).__name__
    if kind not in GENERATORS:
        raise unknown_name_error("class of generator to save", kind, GENERATORS)
    state = {key: part.cpu().contiguous() for key, part in generator.state_dict().items()}
    data = save({key: part.half() if part.is_floating_point() else part for key, part in state.items()})
    entries = {"name": name, "generator": kind, "arguments": arguments, "weights": count_parameters(generator)}
    card = ModelCard(entries | {"sha256": hashlib.sha256(data).hexdigest()} | facts)
    file = Path(folder) / f"{name}.safetensors"
    card["samples"] = fingerprint(_build(data, card, file).eval())
    file.write_bytes(data)  # a file cut short by a kill has another hash, and is refused
    file.with_suffix(".json").write_text(json.dumps(card, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return card


@torch.no_grad()
def fingerprint(generator: nn.Module, seed: int = 0) -> list[list[float]]:
    """Mean gray values (0 to 1) of the four quarters of eight images: equal for equal weights, up to rounding."""
    images: Tensor = generator(generator.sample_latent(8, torch.Generator().manual_seed(seed)))
    quarters = nn.functional.adaptive_avg_pool2d((images / 2 + 0.5).clamp(0, 1).mean(1, keepdim=True), 2)
    return [[round(value, 4) for value in one] for one in quarters.flatten(1).tolist()]
