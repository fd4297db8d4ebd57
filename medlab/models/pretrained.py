"""The trained networks that come with the course, in `data/checkpoints/`: found by name, loaded by `load_model`."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from medlab.errors import unknown_name_error
from medlab.models.saving import load_model


def checkpoints_folder() -> Path:
    """Folder `data/checkpoints/` of the repository, or of the current folder without a checkout."""
    checkout = Path(__file__).resolve().parents[2] / "data" / "checkpoints"
    return checkout if checkout.is_dir() else Path.cwd() / "data" / "checkpoints"


def pretrained_names(folder: str | Path | None = None) -> list[str]:
    """Names of the trained networks, sorted; `folder` as in `load_pretrained`.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    folder = checkpoints_folder() if folder is None else Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}: work in a checkout of the repository")
    return sorted(path.stem for path in folder.glob("*.safetensors"))


def load_pretrained(name: str, folder: str | Path | None = None) -> nn.Module:
    """Load a trained network that comes with the course, as `load_model` does.

    Args:
        name: one of `pretrained_names()`.
        folder: another folder, such as that of a run that calls `medlab.runs.publish`; None for `data/checkpoints/`.

    Raises:
        ValueError: an unknown name; files that `load_model` refuses.
        FileNotFoundError: no network at all, or one without a card.
    """
    folder = checkpoints_folder() if folder is None else Path(folder)
    names = pretrained_names(folder)
    if not names:
        raise FileNotFoundError(f"no trained networks in {folder}: work in a checkout of the repository")
    if name not in names:
        raise unknown_name_error("trained network", name, names)
    return load_model(folder / name)


@torch.no_grad()
def fingerprint(network: nn.Module, channels: int, size: Sequence[int]) -> list[list[float]]:
    """Answers to fixed noise, by which a test knows the network again: equal for equal weights, up to rounding.

    Args:
        network: maps images to logits; or a generator, which has `sample_latent`.
        channels, size: of its images.

    Returns:
        For each of eight generated images, the mean gray values (0 to 1) of its quarters; else for each of two images
        the mean probability of each class, or of the one thing that the network says.
    """
    rng = torch.Generator().manual_seed(0)
    draw = getattr(network, "sample_latent", None)
    if draw is None:
        logits = network(torch.rand((2, channels, *size), generator=rng))
        probs = logits.softmax(1) if logits.shape[1] > 1 else logits.sigmoid()  # a softmax of one is 1
        means = probs.reshape(*probs.shape[:2], -1).mean(2)
        return [[round(value, 4) for value in one] for one in means.tolist()]
    z, classes = draw(8, rng), getattr(network, "classes", 0)  # a conditional generator has classes
    images: Tensor = network(z, torch.arange(8) % classes) if classes else network(z)
    quarters = nn.functional.adaptive_avg_pool2d((images / 2 + 0.5).clamp(0, 1).mean(1, keepdim=True), 2)
    return [[round(value, 4) for value in one] for one in quarters.flatten(1).tolist()]
