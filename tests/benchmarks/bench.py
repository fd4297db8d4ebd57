"""How fast the course is here: each of its trainings beside the published-style loop, and beside what the machine can.

Ratios are medians over epochs in turn, in one run; the share is of the largest matrix product's operations a second.
All on one core, and on a GPU where there is one. A ratio that fell by more than a fifth against the record of the same
kind of machine is red; it is no test, for machines differ. `make bench` takes a few minutes.

    python tests/benchmarks/bench.py            # prints the table
    python tests/benchmarks/bench.py --record   # and writes data/results/bench.json, which README quotes
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import augmentation
import gan_throughput
import phantoms
import torch
import train_throughput
from kept import Clock

from medlab.models import DCDiscriminator, DCGenerator, multiply_adds
from medlab.phantoms.catalog import PHANTOMS
from medlab.runs import recorded
from medlab.train import pick_device, pick_precision

FELL = 0.8  # of the recorded ratio
RED, PLAIN = "\033[31m", "\033[0m"
IMAGES = {"resnet18": 512, "shallow": 4096, "gan": 320}


def best_seconds(work: Callable[[], object], rounds: int = 7) -> float:
    """The fastest of some calls."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def peaks() -> dict[str, float]:
    """What the machine can: operations a second of a matrix product, bytes a second of a copy, in units of 1e9."""
    device, side = pick_device(), 2048
    found = {}
    for kind in dict.fromkeys([torch.float32, pick_precision(None, device)]):
        one, two = (torch.rand(side, side, device=device, dtype=kind) for _ in range(2))
        found[f"matrix product, {str(kind)[6:]}"] = 2 * side**3 / best_seconds(partial(torch.mm, one, two)) / 1e9
    source = torch.rand(2**25, device=device)  # 128 MiB, more than any cache
    target = torch.empty_like(source)
    found["memory"] = 2 * 4 * len(source) / best_seconds(partial(target.copy_, source)) / 1e9
    return found


def trainings() -> dict[str, tuple[float, float]]:
    """The ratio to the published-style loop of each training, and the operations a second of ours, in units of 1e9."""
    found = {}
    for name, network in train_throughput.NETWORKS.items():
        both = train_throughput.in_turn(name, IMAGES[name], 3)
        operations = 6 * multiply_adds(network(), torch.rand(1, 1, 28, 28)) * IMAGES[name]  # 3 passes, 2 for each
        found[f"fit, {name} at 28 pixels"] = both, operations
    both = gan_throughput.in_turn(64, 256, IMAGES["gan"], 3)
    generator, discriminator = DCGenerator(64, width=256), DCDiscriminator(64, width=32)
    made = multiply_adds(generator, torch.rand(1, generator.latent))
    judged = multiply_adds(discriminator, torch.rand(1, 1, 64, 64))
    found["fit_gan, DCGAN at 64 pixels"] = both, 2 * (3 * made + 8 * judged) * IMAGES["gan"]
    return {
        what: (
            statistics.median(slow / fast for slow, fast in both),
            operations / statistics.median(fast for _, fast in both) / 1e9,
        )
        for what, (both, operations) in found.items()
    }


def others() -> dict[str, float]:
    """Augmentation beside torchvision's image by image, and the slowest phantom beside a plain deformation."""
    batch, side = augmentation.SETTINGS[0]
    images, works = torch.rand(batch, 1, side, side), augmentation.contenders()
    rates = {name: max(augmentation.rate(work, images) for _ in range(5)) for name, work in works.items()}
    found = {"Augment, 28 pixels, beside v2 image by image": rates["Augment"] / rates["v2, image by image"]}
    phantoms.reference(1)
    plain = max(phantoms.rate(partial(phantoms.reference, 240)) for _ in range(3))
    slices = {}
    for name, phantom in PHANTOMS.items():
        if name == "ring":
            continue
        number = 240 if phantom.make(1, 16, 0)[0].ndim == 4 else 2
        slices[name] = max(phantoms.rate(partial(phantoms.draw, phantom.make, number)) for _ in range(3))
    slowest = min(slices, key=slices.__getitem__)
    return found | {f"slowest phantom, beside one plain deformation ({slowest})": slices[slowest] / plain}


def recorded_ratios(hardware: dict) -> dict[str, float]:
    """The ratios on record, where they were measured on this kind of machine."""
    record = recorded("bench")
    if record.details is None:
        return {}
    same = all(record.details["hardware"][part] == hardware[part] for part in ("cpu", "gpu"))
    return record.values["ratios"] if same else {}


def main() -> None:
    """Measure, print, and record if asked."""
    clock = Clock(__doc__)
    torch.set_num_threads(1)
    limits, speeds, ratios = peaks(), {}, {}
    for what, (ratio, speed) in trainings().items():
        ratios[what], speeds[what] = ratio, speed
    ratios |= others()
    before = recorded_ratios(clock.provenance["hardware"])
    top = max(value for what, value in limits.items() if what != "memory")
    print(f"{clock.provenance['hardware']['cpu']}, one core, {clock.provenance['precision']}")
    print(
        "\n".join(
            f"{what:55} {value:6.0f} {'GB/s' if what == 'memory' else 'GFLOP/s'}" for what, value in limits.items()
        )
    )
    for what, ratio in ratios.items():
        share = f"{speeds[what] / top:6.0%} of the matrix product" if what in speeds else ""
        line = f"{what:55} {ratio:6.2f} times {share}"
        fell = what in before and ratio < FELL * before[what]
        print(f"{RED}{line}, recorded: {before[what]:.2f}{PLAIN}" if fell else line)
    shares = {what: speed / top for what, speed in speeds.items()}
    values = {"ratios": ratios, "shares": shares, "peaks": limits}
    clock.keep("bench", __file__, {}, values)


if __name__ == "__main__":
    main()
