"""PneumoniaMNIST at 28 x 28: our recipe over five seeds, recorded in data/results/01-pneumoniamnist.json.

Published by MedMNIST v2 (Yang et al., Scientific Data 10:41, 2023): ResNet-18 at 28 pixels AUC 0.944, accuracy 0.854;
at 224 pixels AUC 0.956, accuracy 0.864. The recipe was chosen on the validation split; the test split is read once per
seed, after the last epoch.

    python tests/benchmarks/pneumonia.py            # prints
    python tests/benchmarks/pneumonia.py --record   # and writes the result
"""

import time

from kept import Clock
from torch import nn

from medlab.data import Augment, load
from medlab.metrics import classification_report, mean_interval
from medlab.models import SmallCNN, Standardize
from medlab.train import fit, predict, seed_everything

RECIPE = {"epochs": 8, "batch_size": 64, "lr": 2e-3, "weight_decay": 0.05}
AUGMENT = Augment(shift=0.08, rotate=8, scale=0.08, intensity=0.1)
WIDTH, DROPOUT, SEEDS = 16, 0.3, range(5)


def train_once(seed: int) -> tuple[dict, float]:
    """Validation and test scores of one seed, and the seconds of its training."""
    train, val, test = load("pneumoniamnist").split()
    seed_everything(seed)
    model = nn.Sequential(Standardize(train), SmallCNN(width=WIDTH, dropout=DROPOUT))
    start = time.perf_counter()
    fit(model, train, seed=seed, augment=AUGMENT, progress=False, **RECIPE)
    seconds = time.perf_counter() - start
    scores = {}
    for name, part in (("val", val), ("test", test)):
        report = classification_report(predict(model, part), part.targets, resamples=2)
        scores |= {f"{name}_auc": report.auc.value, f"{name}_accuracy": report.accuracy.value}
    return scores, seconds


def main() -> None:
    """Train, print, and record if asked."""
    clock = Clock(__doc__)
    per_seed, seconds = [], []
    for seed in SEEDS:
        scores, took = train_once(seed)
        per_seed.append(scores)
        seconds.append(took)
        print(f"seed {seed}: {took:5.1f} s  " + "  ".join(f"{name} {value:.4f}" for name, value in scores.items()))
    means = {name: mean_interval([scores[name] for scores in per_seed]) for name in per_seed[0]}
    for name, interval in means.items():
        print(f"{name:14} {interval:.4f}")
    values = {
        "scores": {name: interval.to_dict() for name, interval in means.items()},
        "per_seed": {name: [scores[name] for scores in per_seed] for name in means},
        "seconds_per_seed": seconds,
    }
    parameters = {**RECIPE, "augment": repr(AUGMENT), "width": WIDTH, "dropout": DROPOUT, "seeds": len(SEEDS)}
    clock.keep("01-pneumoniamnist", __file__, parameters, values)


if __name__ == "__main__":
    main()
