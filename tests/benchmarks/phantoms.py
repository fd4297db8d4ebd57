"""Slices per second of each phantom, beside a plain reference measured in the same run.

The reference deforms one 128 x 128 slice by ``scipy.ndimage.map_coordinates``, linear, one slice at a time: what a
phantom of one channel without noise, labels or physics would cost at the least. A volume counts as its slices.

    python tests/benchmarks/phantoms.py
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.ndimage import map_coordinates

from medlab.phantoms.catalog import PHANTOMS

SIZE, SLICES, ROUNDS = 128, 240, 5


def reference(n: int) -> int:
    plane = np.random.default_rng(0).random((233, 197), np.float32)
    grid = np.stack(np.meshgrid(np.linspace(5, 220, SIZE), np.linspace(5, 190, SIZE), indexing="ij"))
    for _ in range(n):
        map_coordinates(plane, grid, order=1)
    return n


def draw(make: Callable[..., tuple], n: int) -> int:
    """Call a phantom and count its slices."""
    images = make(n, SIZE, 0)[0]
    return images[:, 0].numel() // SIZE**2


def rate(work: Callable[[], int]) -> float:
    start = time.perf_counter()
    slices = work()
    return slices / (time.perf_counter() - start)


def main() -> None:
    print(f"{torch.get_num_threads()} threads, {SLICES} slices of {SIZE} x {SIZE}, best of {ROUNDS}")
    makers = {name: phantom.make for name, phantom in PHANTOMS.items() if name != "ring"}
    for name in ("brain", "lung"):
        makers[name](1, SIZE, 0)  # reads the template, starts the threads
    number = {name: SLICES if make(1, 16, 0)[0].ndim == 4 else 2 for name, make in makers.items()}  # 2 volumes
    best = dict.fromkeys(("reference", *makers), 0.0)
    for _ in range(ROUNDS):  # in turn, so that what else the machine does falls on all alike
        best["reference"] = max(best["reference"], rate(lambda: reference(SLICES)))
        for name, make in makers.items():
            best[name] = max(best[name], rate(lambda name=name, make=make: draw(make, number[name])))
    for name, slices in best.items():
        print(f"{name:13s} {slices:7.0f} slices/s   {slices / best['reference']:5.2f} x the reference")


if __name__ == "__main__":
    main()
