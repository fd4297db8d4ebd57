"""What a notebook hands to its run: plain values checked one by one, trained generators, and where they come from."""

from __future__ import annotations

import math
import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from medlab.runs.state import RECORDED, STATUS, load_json, write_json

if TYPE_CHECKING:  # this room is light
    from torch import nn

    from medlab.models.pretrained import ModelCard

FOLDER_VARIABLE = "MEDLAB_RUN_DIR"  # set for the kernel of a run, absent in an interactive notebook


def record(**values: object) -> None:
    """Keep named values of a notebook: they end up under "values" in the run's `results.json`.

    May be called several times; a name given again replaces the earlier value. Outside a run nothing is stored.

    Args:
        values: numbers, strings, None, lists and dicts of these; NumPy and torch scalars are converted.

    Raises:
        ValueError: a value is of another kind, or NaN or infinite; nothing of this call is stored then.
    """
    checked = {name: plain(f"value {name!r}", value) for name, value in values.items()}
    summary = ", ".join(
        name if isinstance(value, list | dict) else f"{name}={value!r}" for name, value in checked.items()
    )
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        print(f"record: {summary} (shown only; `medlab run` stores it)")
        return
    file = Path(folder) / RECORDED
    write_json(file, (load_json(file) if file.exists() else {}) | checked)
    print(f"recorded: {summary}")


def plain(label: str, value: object) -> object:
    """Return `value` as JSON holds it; `label` is what an error calls it."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()  # a NumPy or torch scalar, without importing either
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{label} is {value}, and only finite numbers can be kept; use None for a missing value.")
        return value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, list | tuple):
        return [plain(f"{label}[{index}]", item) for index, item in enumerate(value)]
    if isinstance(value, dict):
        if wrong := [key for key in value if not isinstance(key, str)]:
            raise ValueError(f"{label} has the key {wrong[0]!r}; keys must be strings.")
        return {key: plain(f"{label}[{key!r}]", item) for key, item in value.items()}
    raise ValueError(
        f"{label} is a {type(value).__name__}; allowed are numbers, strings, None, lists and dicts of these. "
        "Give an array or tensor as .tolist()."
    )


def publish(name: str, generator: nn.Module, arguments: dict[str, object], **facts: object) -> ModelCard | None:
    """Write `NAME.safetensors` and its card `NAME.json` into the folder of this run; outside a run nothing is written.

    Where it comes from is added to the facts: command, commit, hardware, versions, time of the start.

    Args:
        name: of both files; `medlab.models.pretrained` loads them under it.
        generator: of a class that can be published, built from `arguments`.
        arguments: of its class, as JSON holds them.
        facts: what the card says beside, as `record` takes them.

    Returns:
        The card; None outside a run.

    Raises:
        ValueError: a generator of another class, a fact that cannot be kept.
        OSError: the folder cannot be written.
    """
    from medlab.models.pretrained import save_pretrained

    checked = {key: plain(f"fact {key!r}", value) for key, value in facts.items()}
    arguments = {key: plain(f"argument {key!r}", value) for key, value in arguments.items()}
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        print(f"publish: {name} (`medlab run` writes it)")
        return None
    run = load_json(Path(folder) / STATUS)
    origin = {"command": run["command"], "started": run["started"], "commit": commit(Path.cwd())}
    origin |= {"hardware": hardware(), "versions": versions()}
    card = save_pretrained(folder, name, generator, arguments, checked | origin)
    print(f"published: {name}.safetensors and its card in the folder of this run")
    return card


def commit(folder: Path) -> str | None:
    """Return the commit the notebook's folder is at, ending in "-dirty" if tracked files were changed."""
    return _output("git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def hardware() -> dict:
    """Return processor, cores this process may use, and NVIDIA GPUs (None without)."""
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    name = names[0].partition(":")[2].strip() if names else _output("sysctl", "-n", "machdep.cpu.brand_string")
    gpu = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")  # asking torch would take GPU memory
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": name or platform.processor() or platform.machine(),
        "cores": cores,
        "gpu": gpu and gpu.replace("\n", ", "),
    }


def versions() -> dict:
    """Return the versions of Python, medlab and torch."""
    found = {"python": platform.python_version()}
    for package in ("medlab", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def _output(*command: str) -> str | None:
    if not shutil.which(command[0]):
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
