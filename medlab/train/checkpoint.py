"""Checkpoints: written atomically, loaded without executing code in them."""

import time
import zipfile
from pathlib import Path

import torch
from torch import nn

from medlab.storage import write_files

FORMAT = "medlab checkpoint 4"
NOT_WHOLE = "{} is not a whole checkpoint of plain tensors; it may be truncated: give another path, or remove it"


class CheckpointError(ValueError):
    """A checkpoint that cannot be used: truncated, not medlab's, or of another model or other settings."""


def save_checkpoint(path: str | Path, state: dict) -> None:
    """Write `state` (tensors and plain values) to `path`, atomically: a kill leaves the old file or the new one.

    Raises:
        CheckpointError: `path` is a link, or a file that is no checkpoint.
        OSError: the folder cannot be written or the disk is full; nothing half-written is left behind.
    """
    path = Path(path)
    refuse_others(path)
    write_files({path: lambda file: torch.save({"format": FORMAT, **state}, file)})


def refuse_others(path: Path) -> None:
    """Refuse a link, and a file that no `torch.save` wrote, such as a picture or a notebook.

    Raises:
        CheckpointError: it is one.
    """
    if path.is_symlink():
        raise CheckpointError(f"{path} is a link to {path.resolve()}; give the path of the checkpoint itself")
    if not path.is_file():
        return
    try:
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/data.pkl") for name in archive.namelist()):
                return
    except Exception:  # damaged bytes can break anywhere in the reader
        pass
    raise CheckpointError(NOT_WHOLE.format(path))


def refuse_to_lose(path: Path) -> None:
    """Refuse to start anew over a checkpoint that holds at least one epoch; say what it holds.

    Raises:
        FileExistsError: it does.
        CheckpointError: it is no checkpoint.
    """
    refuse_others(path)
    if not path.is_file():
        return
    history = load_checkpoint(path).get("history", {})
    if epochs := len(history.get("train_loss", [])):
        last = {name: history[name][-1] for name in ("train_loss", "val_loss") if history.get(name)}
        losses = ", ".join(f"{name.replace('_', ' ')} {loss:.4f}" for name, loss in last.items())
        written = time.strftime("%Y-%m-%d %H:%M", time.localtime(path.stat().st_mtime))
        raise FileExistsError(
            f"{path} holds a training of {epochs} epochs ({losses}, written {written}): go on from it with resume=True "
            "(--resume), start anew with overwrite=True (--overwrite), or give another path"
        )


def load_checkpoint(path: str | Path) -> dict:
    """Read what `save_checkpoint` wrote, to the CPU.

    Raises:
        FileNotFoundError: no such file.
        CheckpointError: the file is truncated, or was not written by medlab.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        whole = zipfile.is_zipfile(path)
    except zipfile.BadZipFile:
        whole = False
    if not whole:  # torch's readers of older formats need not see it
        raise CheckpointError(NOT_WHOLE.format(path))
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes can break anywhere in the reader
        raise CheckpointError(f"{NOT_WHOLE.format(path)} ({type(error).__name__})") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"{path} was not written by medlab's training; expected format {FORMAT!r}")
    return state


def model_name(model: nn.Module) -> str:
    """The network's class, or those of its parts in a row."""
    if isinstance(model, nn.Sequential | nn.ModuleDict):
        return " + ".join(type(part).__name__ for part in model.children())
    return type(model).__name__


def check_model(path: str | Path, state: dict, model: nn.Module) -> None:
    """Refuse a checkpoint whose weights do not fit `model`.

    Raises:
        CheckpointError: it names the model that made it and the first weight that does not fit.
    """
    if "model_name" not in state:
        raise CheckpointError(f"{path} does not hold the training of one network by fit")
    name, made_by = model_name(model), state["model_name"]
    ours, theirs = model.state_dict(), state["model"]
    for key in sorted(ours.keys() | theirs.keys()):
        mine, stored = (tuple(s[key].shape) if key in s else None for s in (ours, theirs))
        if mine != stored:
            raise CheckpointError(
                f"{path} was made by another model: {made_by} with {key} {stored}, but this {name} has {key} {mine}; "
                "build the same model, or train again without resume"
            )


def check_settings(path: str | Path, state: dict, settings: dict) -> None:
    """Refuse to go on with other settings than the checkpoint was trained with: the result would be neither run's.

    Raises:
        CheckpointError: it lists what differs.
    """
    stored = state["settings"]
    differ = [
        f"{key}={stored.get(key)!r} there, {settings[key]!r} here"
        for key in settings
        if settings[key] != stored.get(key)
    ]
    if differ:
        advice = "" if settings.get("epochs") == stored.get("epochs") else '; only schedule="constant" goes on for more'
        raise CheckpointError(
            f"{path} was trained with other settings: {'; '.join(differ)}; use those, or start anew{advice}"
        )
