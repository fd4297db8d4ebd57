"""The table of `quick_recipe`: every set at hand, five seeds, beside what MedMNIST v2 published for ResNet-18.

The rule was made on training and validation parts; here the test part is read once a seed, after the last epoch. Where
a set has no test part of its own, `ImageSet.split` makes one by patient, of seed 0. Images have 28
pixels a side, 32 where a set has no 28.
Published (Yang et al., Scientific Data 10:41, 2023): ResNet-18 at 28 pixels; for VesselMNIST3D that with 3-D
convolutions (ACS convolutions reached .930 and .928). Seconds are those of one processor core. The published recipe is
not trained here: its seconds are those of its loop on 256 images, times the images it sees in 100 epochs.

    python tests/benchmarks/quick.py                         # prints, those sets that are at hand
    python tests/benchmarks/quick.py --record                # and writes data/results/quick-table.json
"""

import time

import torch
from kept import Clock
from torch import nn
from torch.utils.data import DataLoader
from train_throughput import PILImages, baseline_epoch

from medlab.data import ImageSet, load
from medlab.metrics import classification_report, mean_interval
from medlab.models import small_resnet18
from medlab.train import fit, predict, quick_recipe, seed_everything

SETS = {  # side in pixels, published AUC and accuracy
    "pneumoniamnist": (28, 0.944, 0.854),
    "retinamnist": (28, 0.717, 0.524),
    "vesselmnist3d": (28, 0.874, 0.877),
    "mednist": (28, None, None),
    "isic2017": (32, None, None),
    "nih_chestxray": (28, None, None),
    "bccd": (28, None, None),
}
EPOCHS, TIMED = 100, 256  # of the published recipe, and the images that its loop is timed on


def published_seconds(train: ImageSet) -> float:
    """Seconds on one core of MedMNIST's loop over 100 epochs of `train`, from one over some images."""
    some = train[torch.arange(min(TIMED, len(train)))]
    arrays = (some.images * 255).round().byte().movedim(1, -1).squeeze(-1).numpy()
    loader = DataLoader(PILImages(arrays, some.targets.numpy()[:, None]), batch_size=128, shuffle=True)
    network: nn.Module = small_resnet18(some.images.shape[1], len(some.info.classes))
    adam, seconds = torch.optim.Adam(network.parameters(), lr=1e-3), []
    for _ in range(2):  # the first warms up
        start = time.process_time()
        baseline_epoch(network, loader, adam, torch.device("cpu"))
        seconds.append(time.process_time() - start)
    return seconds[-1] / len(some) * len(train) * EPOCHS


def row(name: str, seeds: int) -> dict:
    """What the rule reaches on a set, and what was published."""
    side, published_auc, published_accuracy = SETS[name]
    train, _, test = load(name, size=side).split(seed=0)
    recipe, aucs, accuracies, seconds = quick_recipe(train), [], [], []
    for seed in range(seeds):
        seed_everything(seed)
        network = recipe.build(train)
        start = time.process_time()
        fit(network, train, seed=seed, progress=False, **recipe.training)
        seconds.append(time.process_time() - start)
        report = classification_report(predict(network, test), test.targets, resamples=2)
        aucs.append(report.auc.value)
        accuracies.append(report.accuracy.value)
    return {
        "set": name, "images": len(train), "test_images": len(test), "auc": mean_interval(aucs).value,
        "auc_per_seed": aucs, "accuracy": mean_interval(accuracies).value, "accuracy_per_seed": accuracies,
        "seconds": sum(seconds) / len(seconds), "operations": recipe.operations, "network": recipe.network,
        "training": recipe.training | {"augment": repr(recipe.training["augment"])},
        "published_auc": published_auc, "published_accuracy": published_accuracy,
        "published_seconds": published_seconds(train) if train.images.ndim == 4 else None,
    }  # fmt: skip


def main() -> None:
    """Train, print, and record if asked."""
    clock, rows = Clock(__doc__, seeds=5), []
    torch.set_num_threads(1)
    print(f"{'set':15} images    AUC  published  accuracy  published  seconds  published")
    for name in SETS:
        try:
            rows.append(row(name, clock.options.seeds))
        except OSError as error:
            print(f"{name:15} left out: {str(error).partition('.')[0]}")
            continue
        one = {key: "-" if value is None else value for key, value in rows[-1].items()}
        print(
            f"{name:15} {one['images']:6} {one['auc']:6.3f} {one['published_auc']:>10} {one['accuracy']:9.3f} "
            f"{one['published_accuracy']:>10} {one['seconds']:8.0f} {one['published_seconds']:>10.6}",
            flush=True,
        )
    clock.keep("quick-table", __file__, {"seeds": clock.options.seeds, "threads": 1}, {"rows": rows})


if __name__ == "__main__":
    main()
