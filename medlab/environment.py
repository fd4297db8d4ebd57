"""The installation that `medlab.doctor()` describes: versions, device and data sets of this machine."""

import os
import platform

import torch

from medlab.data import available
from medlab.train import pick_device, pick_precision


def describe(version: str) -> str:
    """Return one line on versions (medlab's is given), device and data sets."""
    device = pick_device()
    precision = str(pick_precision(None, device)).removeprefix("torch.")
    if device.type == "cuda":
        model = torch.cuda.get_device_name()
    else:
        model = f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
    sets = available()
    cached = sets["name"][(sets["kind"] == "real") & (sets["here"] == "cached")]
    return (
        f"medlab {version}, Python {platform.python_version()}, PyTorch {torch.__version__}, "
        f"{device.type} ({model}, {precision}); whole sets of real images at hand: {', '.join(cached) or 'none'}; "
        f"MEDLAB_DATA {'set' if os.environ.get('MEDLAB_DATA') else 'not set'}"
    )
