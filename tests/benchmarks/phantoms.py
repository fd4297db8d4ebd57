"""Slices per second of each phantom, beside a plain reference measured in the same run.

The reference deforms one 128 x 128 slice by ``scipy.ndimage.map_coordinates``, linear, one slice at a time: what a
phantom of one channel without noise, labels or physics would cost at the least.

    python tests/benchmarks/phantoms.py
"""

import time
from collections.abc import Callable
from importlib import import_module

import numpy as np
import torch
from scipy.ndimage import map_coordinates

from medlab.data.library import PHANTOMS

SIZE, SLICES, ROUNDS = 128, 240, 5


def reference(n: int) -> None:
    plane = np.random.default_rng(0).random((233, 197), np.float32)
    grid = np.stack(np.meshgrid(np.linspace(5, 220, SIZE), np.linspace(5, 190, SIZE), indexing="ij"))
    for _ in range(n):
        map_coordinates(plane, grid, order=1)


def rate(work: Callable[[], object], n: int) -> float:
    start = time.perf_counter()
    work()
    return n / (time.perf_counter() - start)


def main() -> None:
    print(f"{torch.get_num_threads()} threads, {SLICES} slices of {SIZE} x {SIZE}, best of {ROUNDS}")
    makers = {name: import_module(f"medlab.phantoms.{name}").make for name in PHANTOMS}
    for name in ("brain", "lung"):
        makers[name](1, SIZE, 0)  # reads the template, starts the threads
    best = dict.fromkeys(("reference", *makers), 0.0)
    for _ in range(ROUNDS):  # in turn, so that what else the machine does falls on all alike
        best["reference"] = max(best["reference"], rate(lambda: reference(SLICES), SLICES))
        for name, make in makers.items():
            best[name] = max(best[name], rate(lambda make=make: make(SLICES, SIZE, 0), SLICES))
    for name, slices in best.items():
        print(f"{name:12s} {slices:7.0f} slices/s   {slices / best['reference']:5.2f} x the reference")


if __name__ == "__main__":
    main()
