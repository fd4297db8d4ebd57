"""What a class asks of one server: a lesson run by several kernels at once, against one kernel alone.

Prints the peak memory of a student and of all, and how much longer the lesson takes. Memory is counted so that what
kernels share is counted once (proportional set size; where the system does not tell it, resident set size).

    python tests/benchmarks/classroom_load.py 01 --students 30
"""

import argparse
import asyncio
import os
import time
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient

from medlab import runs

EVERY = 0.5  # seconds between two looks at the memory


async def load(path: Path, students: int) -> tuple[float, float, float]:
    """Seconds until the last student's notebook is through; peak GB of one student, and of all at the same time."""
    folder = {"metadata": {"path": str(path.parent)}}
    notebooks = [nbformat.read(path, as_version=4) for _ in range(students)]
    clients = [NotebookClient(nb, timeout=None, kernel_name="python3", resources=folder) for nb in notebooks]
    start, one, everyone = time.perf_counter(), 0.0, 0.0
    done = asyncio.gather(*(client.async_execute() for client in clients))
    while not done.done():
        each = [memory(kernel) for kernel in psutil.Process().children()]
        one, everyone = max([one, *each]), max(everyone, sum(each))
        await asyncio.sleep(EVERY)
    await done
    return time.perf_counter() - start, one, everyone


def memory(kernel: psutil.Process) -> float:
    """GB of a kernel and the processes it started."""
    total = 0
    for process in [kernel, *children(kernel)]:
        try:
            used = process.memory_full_info()
        except psutil.Error:  # it has just ended
            continue
        total += getattr(used, "pss", used.rss)
    return total / 1e9


def children(kernel: psutil.Process) -> list[psutil.Process]:
    """The processes that a kernel started; none if it has just ended."""
    try:
        return kernel.children(recursive=True)
    except psutil.Error:
        return []


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lesson", help="number or name of a lesson, or the path of a notebook")
    parser.add_argument("--students", type=int, default=2, help="kernels at once")
    chosen = parser.parse_args()
    path = runs.find_notebook(chosen.lesson)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{path.stem} on {cores} core(s), OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'not set')}")
    alone, one, _ = asyncio.run(load(path, 1))
    print(f"one student alone: {alone:.0f} s, {one:.2f} GB at most")
    together, one, everyone = asyncio.run(load(path, chosen.students))
    print(
        f"{chosen.students} at once: {together:.0f} s until the last is through, {together / alone:.2f} times as long"
    )
    print(f"memory at most: {one:.2f} GB for a student, {everyone:.2f} GB for all of them together")


if __name__ == "__main__":
    main()
