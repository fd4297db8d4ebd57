"""DRINet of growth 24 against a U-Net of equal size on real hippocampi, recorded in data/results/03-hippocampus.json.

100 MR volumes of the Medical Segmentation Decathlon (Task04), slice by slice, for three seeds, each with a split of its
own: 70 % of the patients to train on (every second of their axial slices), 20 % to test on (all slices). The paper
compared these sizes on brain CT: DRINet 2.80 million parameters, U-Net 2.91 million (Chen et al. 2018). Loss and
optimizer are ours, the same for both, and nothing was tuned on these images.

    python tests/benchmarks/hippocampus_slices.py            # prints
    python tests/benchmarks/hippocampus_slices.py --record   # and writes the result
"""

import time
from collections.abc import Callable

from kept import Clock
from torch import nn

from medlab.data import ImageSet, load
from medlab.metrics import mean_interval, paired_difference, segmentation_report, verdict
from medlab.metrics.intervals import nan_to_none
from medlab.models import DRINet, Standardize, UNet, count_parameters
from medlab.train import dice_cross_entropy, fit, predict, seed_everything

RECIPE = {"epochs": 6, "batch_size": 16, "lr": 3e-3}
SIZE, SEEDS = 48, range(3)  # pixels: no pixel of a hippocampus is cut off
NETWORKS = {"DRINet": lambda: DRINet(1, 3, growth=24), "U-Net": lambda: UNet(1, 3, width=39, levels=4)}
CLAIM = "DRINet is better than a U-Net of equal size"


def train_once(build: Callable[[], nn.Module], train: ImageSet, test: ImageSet, seed: int) -> dict:
    """Dice and HD95 on the test patients with intervals by patient, and what the network costs."""
    seed_everything(seed)
    model = nn.Sequential(Standardize(train), build())
    start = time.perf_counter()
    fit(model, train, seed=seed, loss=dice_cross_entropy, progress=False, **RECIPE)
    seconds = time.perf_counter() - start
    masks = predict(model, test).argmax(1)
    report = segmentation_report(
        masks, test.targets, patients=test.patients, classes=test.info.classes, spacing=1.0, seed=seed
    )
    return {
        "dice": report.dice, "HD95 (mm)": report.hd95,
        **{f"dice of {name}": scores.dice for name, scores in report.per_class.items()},
        "parameters": count_parameters(model), "seconds": seconds,
        "images per second": RECIPE["epochs"] * len(train) / seconds,
    }  # fmt: skip


def main() -> None:
    """Train, print, and record if asked."""
    clock, runs = Clock(__doc__), {name: [] for name in NETWORKS}
    slices = load("hippocampus", size=SIZE)
    for seed in SEEDS:
        train, _, test = slices.split((0.7, 0.1, 0.2), seed=seed)
        for name, build in NETWORKS.items():
            runs[name].append(train_once(build, train[::2], test, seed))
            print(f"seed {seed} {name}:", {key: f"{value:.3f}" for key, value in runs[name][-1].items()}, flush=True)
    dice = {name: [one["dice"].value for one in each] for name, each in runs.items()}
    gap = paired_difference(dice["DRINet"], dice["U-Net"])
    for name in dice:
        print(f"{name}: Dice {mean_interval(dice[name])} over seeds, {runs[name][0]['parameters']:,} parameters")
    print(f"{CLAIM}: difference {gap}: {verdict(gap)}")
    values = {
        "scores": {f"Dice of {name}": mean_interval(scores).to_dict() for name, scores in dice.items()},
        "differences": {CLAIM: gap.to_dict()}, "verdicts": {CLAIM: verdict(gap)},
        "per_seed": {name: [nan_to_none(one) for one in each] for name, each in runs.items()},
    }  # fmt: skip
    clock.keep("03-hippocampus", __file__, {**RECIPE, "size": SIZE, "seeds": len(SEEDS)}, values)


if __name__ == "__main__":
    main()
