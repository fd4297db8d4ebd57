"""What a notebook stores in its run: values, trained networks, and their provenance."""

from __future__ import annotations

import math
import os
import platform
import subprocess
from copy import deepcopy
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medlab.runs.state import RECORDED, STATUS, load_json, recorded_values, write_json

if TYPE_CHECKING:  # importing this room is light
    from torch import nn

    from medlab.data.images import ImageSet
    from medlab.models.saving import ModelCard

FOLDER_VARIABLE = "MEDLAB_RUN_DIR"  # set for the kernel of a run, absent in an interactive notebook


def record(**values: Any) -> None:
    """Store named values of a notebook under "values" in the `results.json` of its run.

    May be called several times; a name given again replaces the earlier value. Outside a run nothing is stored.

    Args:
        values: numbers, strings, None, lists and dicts of these; NumPy and PyTorch scalars are converted.

    Raises:
        ValueError: a value is of another type, or NaN or infinite; nothing of this call is stored then.
    """
    checked = {name: to_strict_json(f"value {name!r}", value) for name, value in values.items()}
    summary = ", ".join(
        name if isinstance(value, list | dict) else f"{name}={value!r}" for name, value in checked.items()
    )
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        print(f"record: {summary} (shown only; `medlab run` stores it)")
        return
    write_json(Path(folder) / RECORDED, recorded_values(Path(folder)) | checked)
    print(f"recorded: {summary}")


def to_strict_json(label: str, value: Any) -> Any:
    """Convert `value` to what strict JSON can hold: no NaN, no infinity, string keys. Errors name it by `label`.

    Raises:
        ValueError: JSON cannot hold it.
    """
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()  # a NumPy or PyTorch scalar, without importing either
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{label} is {value}, and only finite numbers are stored; use None for a missing value.")
        return value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, list | tuple):
        return [to_strict_json(f"{label}[{index}]", item) for index, item in enumerate(value)]
    if isinstance(value, dict):
        if wrong := [key for key in value if not isinstance(key, str)]:
            raise ValueError(f"{label} has the key {wrong[0]!r}; keys must be strings.")
        return {key: to_strict_json(f"{label}[{key!r}]", item) for key, item in value.items()}
    raise ValueError(
        f"{label} is a {type(value).__name__}; allowed are numbers, strings, None, lists and dicts of these. "
        "Give an array or tensor as .tolist()."
    )


def publish(name: str, network: nn.Module, images: ImageSet, figures: dict[str, Any], **facts: Any) -> ModelCard | None:
    """Save a trained network and its card in the folder of this run; outside a run nothing is written.

    The files are `NAME.safetensors`, in half precision, and `NAME.json`. The plan (the command of the run) and the
    provenance (commit, hardware, versions, start time) are added to the card, and the network's answer to noise.

    Args:
        name: of both files; `medlab.models.load_pretrained` loads them by it.
        network, images, figures: as of `medlab.models.save_model`.
        facts: further entries of the card; the same types as for `record`.

    Returns:
        The card; None outside a run.

    Raises:
        ValueError: a name with a folder, a network that `save_model` refuses, or an entry that JSON cannot hold.
        OSError: the folder cannot be written.
    """
    from medlab.models.pretrained import fingerprint
    from medlab.models.saving import save_model

    if Path(name).name != name:
        raise ValueError(f"name is that of a file, without its folder, got {name!r}")
    figures, facts = to_strict_json("figures", figures), to_strict_json("facts", facts)
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        print(f"publish: {name} (`medlab run` writes it)")
        return None
    run = load_json(Path(folder) / STATUS)
    _, channels, *size = images.images.shape
    rounded = deepcopy(network).half().float().cpu().eval()
    facts |= {"started": run["started"], "output": fingerprint(rounded, channels, size)}
    facts |= provenance(Path.cwd())
    card = save_model(Path(folder) / name, network, images, figures=figures, plan=run["command"], half=True, **facts)
    print(f"published: {name}.safetensors and its card in the folder of this run")
    return card


def provenance(folder: Path) -> dict:
    """Return what a result depends on beside its notebook: commit, hardware, threads, precision, versions.

    The commit is that checked out in `folder`; it ends in "-dirty" if tracked files were changed, recorded results
    apart. Outside a repository it is what the variable MEDLAB_COMMIT says, or None. "precision" is what a training
    computes in here when none is named; a GPU that it does not use is not named.
    """
    from medlab.train.devices import pick_device, pick_precision

    git = ("git", "-C", str(folder))
    commit = _output(*git, "rev-parse", "HEAD") or os.environ.get("MEDLAB_COMMIT")
    changed = _output(*git, "status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)data/results")
    device = pick_device(None)
    hardware = _hardware(device.type)
    return {
        "commit": commit and commit + "-dirty" * bool(changed),
        "hardware": hardware,
        "threads": int(os.environ.get("OMP_NUM_THREADS") or hardware["cores"]),
        "precision": str(pick_precision(None, device)).removeprefix("torch."),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in ("medlab", "torch")},
    }


def _hardware(device: str) -> dict:
    """Return the processor, the number of cores this process may use, and the GPUs (None if `device` is none)."""
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    name = names[0].partition(":")[2].strip() if names else _output("sysctl", "-n", "machdep.cpu.brand_string")
    gpu = {"mps": "Apple GPU"}.get(device)
    if device == "cuda":  # asking torch would take GPU memory
        gpu = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cpu = name or platform.processor() or platform.machine()
    return {"cpu": cpu, "cores": cores, "gpu": gpu and gpu.replace("\n", ", ")}


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):  # OSError: there is no such command
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
