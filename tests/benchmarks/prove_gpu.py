"""Nine minutes on one GPU: does a training repeat, how fast is it, what do the lessons take?

    python tests/benchmarks/prove_gpu.py --out data/results/gpu.json      # what `make gpu` does
    python tests/benchmarks/prove_gpu.py --out gpu.json --small      # tiny sizes, also without a GPU

Stages, each written to the file when it is done; "seconds" says how long they took:

    machine    card, memory, versions
    team       NCCL and synchronized batch normalization in a team of one process
    speed      images/s of medlab over MedMNIST's loop, and over the textbook loop of a DCGAN
    steps      the trainings of the papers at their size: ms a step, peak memory; hence the minutes of each lesson
    repeat     small trainings twice: the same bits? with any kernels, with cuDNN's deterministic ones (what medlab
               takes), with PyTorch's too; and how long each takes
    lessons    `medlab run` of every lesson as it is, while there is time
"""

import argparse
import contextlib
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import gan_throughput
import torch
import train_throughput
from gpu_work import WORK, Work, estimate
from torch import nn
from torch.utils.data import DataLoader

from medlab.data import load
from medlab.models import DCDiscriminator, DCGenerator, SmallCNN
from medlab.runs.recording import provenance
from medlab.runs.state import write_json
from medlab.train import seed_everything

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda", 0) if GPU else torch.device("cpu")
SETTINGS = {"progress": False, "device": DEVICE}
LESSONS = ("02", "04", "05", "06", "07", "08", "09", "10", "11", "12", "01", "03", "00", "capstone")
AT_A_TIME = 4  # lessons


class Budget:
    """The seconds that are left of the time allowed."""

    def __init__(self, minutes: float) -> None:
        self.end = time.perf_counter() + 60 * minutes

    def left(self) -> float:
        return self.end - time.perf_counter()


def machine(small: bool, budget: Budget) -> dict:
    """Card, memory, versions."""
    found = provenance(Path(__file__).parent)
    if GPU:
        card = torch.cuda.get_device_properties(0)
        found |= {"card": card.name, "memory_gb": card.total_memory / 2**30, "cudnn": torch.backends.cudnn.version()}
    return found


def team(small: bool, budget: Budget) -> dict:
    """A forward and a backward pass of a network in `DistributedDataParallel`, the team being this process."""
    import torch.distributed as dist

    from medlab.train.distributed import ProcessGroup

    dist.init_process_group(
        "nccl" if GPU else "gloo", store=dist.HashStore(), rank=0, world_size=1, device_id=DEVICE if GPU else None
    )
    try:
        net = ProcessGroup(0, 2).wrap(SmallCNN().to(DEVICE).to(memory_format=torch.channels_last), DEVICE)
        images = torch.rand(8, 1, 28, 28, device=DEVICE).contiguous(memory_format=torch.channels_last)
        loss = net(images).square().mean()
        loss.backward()
        dist.barrier()
        return {"backend": dist.get_backend(), "loss": loss.item()}
    finally:
        dist.destroy_process_group()


def speed(small: bool, budget: Budget) -> dict:
    """The ratio of each pair of loops, epochs in turn, after one of each to warm up."""
    data = train_throughput.training_images(256 if small else 4608)
    arrays = (data.images[:, 0] * 255).round().byte().numpy()
    loader = DataLoader(train_throughput.PILImages(arrays, data.targets.numpy()[:, None]), 128, shuffle=True)
    moved, found = data.to(DEVICE), {}
    for network in ("shallow",) if small else ("shallow", "resnet18"):
        theirs, ours = (train_throughput.NETWORKS[network]().to(DEVICE) for _ in range(2))
        adam = torch.optim.Adam(theirs.parameters(), lr=1e-3)
        found[f"{network} / MedMNIST's loop"] = ratio(
            lambda: train_throughput.baseline_epoch(theirs, loader, adam, DEVICE),  # noqa: B023
            lambda: train_throughput.medlab_epoch(ours, moved, DEVICE),  # noqa: B023
            pairs=1 if small else 3,
        )
    pet = load("pet", size=64, n=64 if small else 640)
    batches = DataLoader([*zip(pet.images, pet.targets)], gan_throughput.BATCH, shuffle=True, drop_last=True)
    for width in (32,) if small else (256, 1024):
        theirs, ours = (
            (DCGenerator(64, width=width).to(DEVICE), DCDiscriminator(64, width=width // 8).to(DEVICE))
            for _ in range(2)
        )
        optimizers = [torch.optim.Adam(player.parameters(), 2e-4, betas=(0.5, 0.999)) for player in theirs]
        found[f"DCGAN {width} / textbook loop"] = ratio(
            lambda: gan_throughput.baseline_epoch(*theirs, batches, optimizers, DEVICE),  # noqa: B023
            lambda: gan_throughput.medlab_epoch(*ours, pet, DEVICE),  # noqa: B023
            pairs=1 if small else 3,
        )
    return found


def ratio(theirs: Callable[[], float], ours: Callable[[], float], pairs: int) -> float:
    """The median ratio of their seconds to ours."""
    return statistics.median([theirs() / ours() for _ in range(pairs + 1)][1:])


def steps(small: bool, budget: Budget) -> dict:
    """Milliseconds of a step in the second epoch of each training, the peak of memory, the minutes of each lesson."""
    count, found, minutes = 2 if small else 20, {}, {}
    for name, work in WORK.items():
        if not small and budget.left() < 200:
            break
        if GPU:
            torch.cuda.reset_peak_memory_stats()
        seed_everything(0)
        try:
            _, history = work.run(small, count, SETTINGS)
        except RuntimeError as error:  # out of memory: the next may fit
            found[name] = {"failed": str(error)[:200]}
            minutes |= {work.lesson: None} if work.steps else {}
        else:
            found[name] = {"ms": 1e3 * history.seconds[-1] / count, "precision": history.precision}
            found[name] |= {"peak_gb": torch.cuda.max_memory_allocated() / 2**30} if GPU else {}
            if work.steps and (so_far := minutes.get(work.lesson, 0.0)) is not None:
                minutes[work.lesson] = so_far + history.seconds[-1] / count * work.steps / 60
        gc.collect()
        if GPU:
            torch.cuda.empty_cache()
    return {"trainings": found, "minutes of the trainings": minutes, "estimated": estimate()}


def repeat(small: bool, budget: Budget) -> dict:
    """Whether two trainings from one seed end in the same weights, in three ways to choose kernels."""
    import medlab.train.state as state

    found: dict[str, dict] = {}
    real, until = state.repeatable, budget.left() - 90
    ways = {
        "any kernels": (lambda device: contextlib.nullcontext(), False),
        "cuDNN's": (real, False),
        "all": (real, True),
    }
    for name, work in list(WORK.items())[: 2 if small else None]:
        if budget.left() < until and not small:
            break
        found[name] = {}
        for way, (context, all_of_them) in ways.items():
            state.repeatable = context
            torch.use_deterministic_algorithms(all_of_them, warn_only=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                start = time.perf_counter()
                first, second = (weights_of(work, 2 if small else 6) for _ in range(2))
            found[name][way] = {"same bits": torch.equal(first, second), "seconds": time.perf_counter() - start}
    state.repeatable = real
    torch.use_deterministic_algorithms(False)
    return found


def weights_of(work: Work, count: int) -> torch.Tensor:
    """All weights after two epochs of a small training."""
    seed_everything(0)
    networks, _ = work.run(True, count, SETTINGS)
    return nn.utils.parameters_to_vector([p for network in networks for p in network.parameters()]).detach().cpu()


def lessons(small: bool, budget: Budget) -> dict:
    """`medlab run` of the lessons, some at a time; at the end of the time those that still run are stopped."""
    found, running, queue = {}, {}, [] if small else list(LESSONS)
    environment = os.environ | {"OMP_NUM_THREADS": "3", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with tempfile.TemporaryDirectory() as folder:
        while queue or running:
            while queue and len(running) < AT_A_TIME and budget.left() > 45:
                lesson = queue.pop(0)
                command = [sys.executable, "-m", "medlab", "run", lesson, "--out", f"{folder}/{lesson}"]
                child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
                running[lesson] = (child, time.perf_counter())
            for lesson, (child, start) in list(running.items()):
                if child.poll() is None and budget.left() < 10:
                    child.terminate()
                    child.wait()
                if child.poll() is not None:
                    found[lesson] = {"code": child.returncode, "seconds": time.perf_counter() - start}
                    del running[lesson]
            if budget.left() < 45:
                queue = []
            time.sleep(0.2)
    return found


def main() -> None:
    """Run the stages one by one; what fails says why, and the next one begins."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    parser.add_argument("--minutes", type=float, default=8.5)
    parser.add_argument("--small", action="store_true", help="tiny networks and images, no lessons")
    chosen = parser.parse_args()
    if not GPU and not chosen.small:
        parser.error("no CUDA device here; --small tries the script itself on the CPU")
    budget, proof, took = Budget(chosen.minutes), {}, {}
    for stage in (machine, team, speed, steps, repeat, lessons):
        start = time.perf_counter()
        try:
            proof[stage.__name__] = stage(chosen.small, budget)
        except Exception as error:
            proof[stage.__name__] = {"failed": f"{type(error).__name__}: {error}"}
        took[stage.__name__] = round(time.perf_counter() - start, 1)
        write_json(chosen.out, proof | {"seconds": took})
        print(json.dumps({stage.__name__: proof[stage.__name__]}), flush=True)


if __name__ == "__main__":
    main()
