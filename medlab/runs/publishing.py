"""A trained generator kept by the run that made it: weights and card, ready to be moved to `data/checkpoints/`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from medlab.runs.provenance import commit, hardware, versions
from medlab.runs.recording import FOLDER_VARIABLE, plain
from medlab.runs.state import STATUS, load_json

if TYPE_CHECKING:  # this room is light
    from torch import nn

    from medlab.models.published import Card


def publish(name: str, generator: nn.Module, arguments: dict[str, object], **facts: object) -> Card | None:
    """Write `NAME.safetensors` and its card `NAME.json` into the folder of this run; outside a run nothing is written.

    Where it comes from is added to the facts: command, commit, hardware, versions, time of the start.

    Args:
        name: of both files; `medlab.models.published` loads them under it.
        generator: of a class that can be published, built from `arguments`.
        arguments: of its class, as JSON holds them.
        facts: what the card says beside, as `record` takes them.

    Returns:
        The card; None outside a run.

    Raises:
        ValueError: a generator of another class, a fact that cannot be kept.
        OSError: the folder cannot be written.
    """
    from medlab.models.published import save_published

    checked = {key: plain(f"fact {key!r}", value) for key, value in facts.items()}
    arguments = {key: plain(f"argument {key!r}", value) for key, value in arguments.items()}
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        print(f"publish: {name} (`medlab run` writes it)")
        return None
    run = load_json(Path(folder) / STATUS)
    origin = {"command": run["command"], "started": run["started"], "commit": commit(Path.cwd())}
    origin |= {"hardware": hardware(), "versions": versions()}
    card = save_published(folder, name, generator, arguments, checked | origin)
    print(f"published: {name}.safetensors and its card in the folder of this run")
    return card
