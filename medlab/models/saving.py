"""Trained networks in files: weights in `NAME.safetensors`, a card beside them in `NAME.json`. Reading runs no code.

The card says which network it is, what it takes and gives, what it was trained on, and how good it was. It holds the
SHA-256 of the weights and its own, so that neither file can change unnoticed.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from medlab.data.images import ImageSet, check_sets
from medlab.limits import excess
from medlab.models.cost import count_parameters
from medlab.models.description import build, describe
from medlab.storage import write_files

FORMAT = "medlab model 1"
AGAIN = "copy both files again from where they come from, or save the network again with save_model"


class HasDict(Protocol):
    """What can be turned into JSON, as a report of `medlab.metrics`."""

    def to_dict(self) -> dict[str, Any]:
        """Its values by name."""


class ModelCard(dict):
    """What is known about a saved network, as in its JSON file; printing it gives a summary."""

    def __str__(self) -> str:
        images = self["images"]
        source = f"{'phantom' if images['phantom'] else 'real'}, {images['modality']}; {images['license']}"
        sides = " x ".join(map(str, [self["channels"], *self["size"]]))
        figures = ", ".join(filter(None, (_figure(*item) for item in self["figures"].items())))
        return (
            f"{self['name']}: {_brief(self['network'])}, {self['weights']:,} weights\n"
            f"  {self['task']}: {', '.join(self['classes'])}; images {sides}, {self['unit']}\n"
            f"  trained on {images['n']} images of {images['name']} ({source})\n"
            f"  {figures or 'no figures'}\n"
            f"  {self['plan'] or 'no plan'}"
        )

    __repr__ = __str__


def save_model(
    path: str | Path,
    network: nn.Module,
    images: ImageSet,
    *,
    figures: HasDict | Mapping[str, Any] | None = None,
    plan: str | None = None,
    half: bool = False,
    **facts: Any,
) -> ModelCard:
    """Write a network as it is now to `NAME.safetensors`, and its card to `NAME.json`; older ones are replaced.

    Args:
        path: of either file; the ending may be left out. Missing folders are made.
        network: of a class of `medlab.models`, or these and plain layers in `nn.Sequential`.
        images: the training images. The card takes from them the task, classes, channels, size (pixels), spacing (mm;
            None where it is not known or differs), unit, window, license and where they come from.
        figures: how good the network is: a report of `medlab.metrics`, or figures by name, ``{"auc": 0.93}``. Those of
            a generator of real images hold "nearest", the distance of its images to the nearest training image
            (`medlab.metrics.nearest`).
        plan: what made network and figures, such as a command.
        half: store half precision, half the bytes; loading gives float32 again.
        facts: further entries of the card, as JSON holds them, such as `temperature`, by which it is calibrated. `task`
            is that of the network, where the images have another: "denoising" of images that have classes.

    Returns:
        The card.

    Raises:
        ValueError: a network of another class or changed after it was built; weights that are not finite; a fact that
            JSON cannot hold; no distance to the nearest real image.
        OSError: the files cannot be written.
    """
    from safetensors.torch import save

    file, card_file = _files(path)
    check_sets(images)
    info, given = images.info, figures or {}
    figures = given.to_dict() if hasattr(given, "to_dict") else dict(given)
    generates = hasattr(network, "sample_latent")
    if generates and not info.phantom and "nearest" not in figures:
        raise ValueError(
            f"a generator of real images ({info.name}) may repeat them: measure it with medlab.metrics.nearest and "
            'give figures={"nearest": ...}'
        )
    description = describe(network)
    _check_unchanged(network, description)
    state = {name: part.detach().cpu().contiguous() for name, part in network.state_dict().items()}
    dtype = torch.float16 if half else torch.float32
    state = {name: part.to(dtype) if part.is_floating_point() else part for name, part in state.items()}
    if infinite := [name for name, part in state.items() if not part.isfinite().all()]:
        raise ValueError(
            f"{infinite[0]} is not finite{' in half precision: save with half=False' if half else ': train again'}"
        )
    data = save(state)
    card = ModelCard(
        format=FORMAT, name=file.stem, network=description, weights=count_parameters(network), half=half,
        task=facts.pop("task", "generation" if generates else info.task),
        classes=[name for name, count in images.counts().items() if count or not generates],
        channels=images.images.shape[1], size=list(images.images.shape[2:]), spacing=_common_spacing(images),
        unit=info.unit, window=info.window, normalization=_normalization(network, images.images.shape[1]),
        images={
            "name": info.name, "modality": info.modality, "phantom": info.phantom, "n": len(images),
            "license": info.license, "citation": info.citation,
        },
        figures=figures, plan=plan, **facts, sha256=hashlib.sha256(data).hexdigest(),
    )  # fmt: skip
    try:
        card = ModelCard(json.loads(json.dumps(card, allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the card of {file.name} holds numbers, texts, lists and dicts of these only ({error})"
        ) from None
    card["card_sha256"] = _hash(card)
    text = (json.dumps(card, indent=2) + "\n").encode()
    write_files({file: lambda part: part.write(data), card_file: lambda part: part.write(text)})
    return card


def load_model(path: str | Path) -> nn.Module:
    """Load what `save_model` wrote: the network on the CPU, in float32 and evaluation mode; `network.card` is its card.

    Args:
        path: of either file; the ending may be left out.

    Raises:
        FileNotFoundError: one of the two files is missing.
        ValueError: a card or weights that were changed, are damaged, or do not belong together; a network of a class
            that is not of `medlab.models`.
    """
    file, card_file = _files(path)
    for each in (file, card_file):
        if not each.is_file():
            raise FileNotFoundError(
                f"there is no {each}; save_model writes {file.name} and {card_file.name}, which stay in one folder. A "
                "checkpoint of fit is no saved network: go on from it with resume, then save the network"
            )
    card = _read_card(card_file)
    data = file.read_bytes()
    if (got := hashlib.sha256(data).hexdigest()) != card["sha256"]:
        raise ValueError(f"{file} has the SHA-256 {got}, its card says {card['sha256']}: {AGAIN}")
    network: Any = _rebuild(data, card["network"], file).eval()
    network.card = card
    return network


def _files(path: str | Path) -> tuple[Path, Path]:
    name = str(Path(path).expanduser()).removesuffix(".safetensors").removesuffix(".json")
    return Path(f"{name}.safetensors"), Path(f"{name}.json")


def _hash(card: Mapping[str, Any]) -> str:
    """SHA-256 of all entries but `card_sha256`."""
    entries = {name: value for name, value in card.items() if name != "card_sha256"}
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()


def _read_card(file: Path) -> ModelCard:
    try:
        if more := excess("card_bytes", file.stat().st_size):
            raise ValueError(f"{file.stat().st_size:,} bytes, {more}")
        card = ModelCard(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"the card {file} cannot be read ({error}): {AGAIN}") from None
    if card.get("format") != FORMAT:
        raise ValueError(f"{file} is no card of {FORMAT!r}, but of {card.get('format')!r}: {AGAIN}")
    if card.get("card_sha256") != _hash(card):
        raise ValueError(f"the card {file} was changed after it was written: {AGAIN}")
    return card


def _rebuild(data: bytes, description: dict, file: Path) -> nn.Module:
    """The network with its weights as float32, without drawing from the global random generator."""
    from safetensors.torch import load

    try:
        with torch.device("meta"):
            network = build(description)
        weights = {name: part.float() if part.is_floating_point() else part for name, part in load(data).items()}
        network.load_state_dict(weights, assign=True)
    except Exception as error:  # arguments that do not fit can break anywhere in a network
        raise ValueError(f"{file} does not fit its card, {_brief(description)} ({error}): {AGAIN}") from None
    return network


def _check_unchanged(network: nn.Module, description: dict) -> None:
    """Refuse a network with other layers, or layers with other settings, than its class and arguments give."""
    with torch.device("meta"):
        again = str(build(description)).splitlines()
    for ours, theirs in zip(str(network).splitlines() + ["the end"], again + ["the end"]):
        if ours != theirs:
            raise ValueError(
                f"this {_brief(description)} was changed after it was built: it has {ours.strip()}, its arguments give "
                f"{theirs.strip()}. Build it with arguments only, or save its state_dict() with safetensors"
            )


def _brief(description: object) -> str:
    """The names of the classes: `Standardize + SmallCNN`."""
    if not isinstance(description, dict) or "class" not in description:
        return "no network"
    if description["class"] == "Sequential":
        return " + ".join(map(_brief, description["arguments"]["layers"]))
    return str(description["class"])


def _figure(name: str, value: object) -> str:
    """A figure in words, such as `auc 0.93 [0.91, 0.95]`; nothing for tables."""
    if isinstance(value, dict) and value.get("value") is not None:
        interval = "" if value["low"] is None else f" [{value['low']:.3g}, {value['high']:.3g}]"
        return f"{name} {value['value']:.3g}{interval}"
    return f"{name} {value if isinstance(value, int) else f'{value:.3g}'}" if isinstance(value, int | float) else ""


def _common_spacing(images: ImageSet) -> list[float] | None:
    spacing = images.spacing
    return spacing[0].tolist() if spacing is not None and np.allclose(spacing, spacing[0], rtol=1e-3) else None


def _normalization(network: nn.Module, channels: int) -> dict[str, list[float]] | None:
    """Mean and standard deviation of each channel that the network itself normalizes images by; None if it does not.

    Generators give images normalized so that 0 to 1 became -1 to 1.
    """
    if hasattr(network, "sample_latent"):
        return {"mean": [0.5] * channels, "std": [0.5] * channels}
    layers = (layer for layer in network.modules() if hasattr(layer, "mean") and hasattr(layer, "std"))
    if (first := next(layers, None)) is None:
        return None
    return {name: torch.as_tensor(getattr(first, name)).flatten().tolist() for name in ("mean", "std")}
