"""Where a result comes from: commit, hardware, versions."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


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
