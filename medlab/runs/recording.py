"""What a notebook hands to its run: plain values, checked one by one."""

import math
import os
from pathlib import Path

from medlab.runs.state import RECORDED, load_json, write_json

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
