"""Speed of training with and without vector instructions (AVX), measured in child processes limited to one set each.

PyTorch, oneDNN and MKL choose their code when they are loaded, by environment variables, so each measurement needs a
process of its own.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from runpy import run_path
from statistics import median

# PyTorch's own kernels, oneDNN's, MKL's (by its reproducibility mode: the plain switch works on Intel only)
LIMITS = {
    "no AVX": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"},
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "AVX2"},
    "AVX-512": {"ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "MKL_CBWR": "AVX512"},
}


def supported() -> list[str]:
    """The instruction sets of `LIMITS` that this processor has; ["no AVX"] on other architectures."""
    import torch  # here: it takes a second to import, and the command line imports this room

    has = {"AVX2": torch.cpu._is_avx2_supported(), "AVX-512": torch.cpu._is_avx512_supported()}
    return ["no AVX", *(name for name, found in has.items() if found)]


def patches_per_second(seconds: float = 1.0) -> dict[str, float]:
    """Training speed of `ShallowCNN` on 32 x 32 patches, batch 64, one core, with each instruction set there is.

    The median step counts, so that other programs disturb little.

    Args:
        seconds: to measure for, per instruction set; starting a process takes a few seconds more.

    Raises:
        RuntimeError: a child process failed; its last words are quoted.
    """
    speeds = {}
    for name in supported():
        command = [sys.executable, "-P", __file__, str(seconds)]
        child = subprocess.run(command, env={**os.environ, **LIMITS[name]}, capture_output=True, text=True, check=False)
        if child.returncode != 0:
            raise RuntimeError(f"measuring {name} failed: {child.stderr.strip()[-500:]}")
        speeds[name] = json.loads(child.stdout)
    return speeds


def _measure(seconds: float) -> float:
    import torch

    # By path: importing the package would take longer than the measurement.
    ShallowCNN = run_path(str(Path(__file__).parents[1] / "models" / "shallow_cnn.py"))["ShallowCNN"]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = ShallowCNN().to(memory_format=torch.channels_last)  # as `fit` trains it
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    images, labels = torch.rand(64, 1, 32, 32), torch.randint(5, (64,))

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    durations: list[float] = []
    for _ in range(5):  # the first steps also set things up
        step()
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        step()
        durations.append(time.perf_counter() - start)
    return 64 / median(durations)


if __name__ == "__main__":
    print(json.dumps(_measure(float(sys.argv[1]))))
