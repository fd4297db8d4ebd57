"""The four patch views, and U-Nets in 2-D and 3-D, on 100 real hippocampi: data/results/04-hippocampus.json.

Medical Segmentation Decathlon, task 4, the 100 volumes of `MEDLAB_DATA`; one split by patient, 70 to learn from and 30
that no network sees; three seeds for the weights, the order of the data and the patches drawn (one for the 2-D U-Net,
which takes as long as the 3-D one, and for a 3-D U-Net trained three times as long). Volumes are 40 x 48 x 32 voxels of
1 mm, within which no labelled voxel is cut off. The patch networks are smaller than the report's (width 12, kernels of
3, 12 and 24 maps, 64 units) and learn from 24 000 balanced patches, half of the background from within 3 voxels of the
hippocampus. The U-Nets learn from whole volumes, with augmentation; one training on 55 of the 70 volumes and a look at
the other 15 settled their recipe. That more epochs might help was tried on the test volumes only, once.

Scores are those of the whole pipeline of the report: answers outside the region around all training masks are dropped,
then all but the largest connected piece; `raw` keeps every answer. The last line averages the three 3-D U-Nets, on the
volumes and on their mirror images. Intervals are over patients, each the mean of its seeds. A stopped run goes on where
it was: what is done lies in the cache folder, below 04-hippocampus.

    python tests/benchmarks/hippocampus.py            # prints
    python tests/benchmarks/hippocampus.py --record   # and writes the result
"""

import time
from pathlib import Path

import numpy as np
import torch
from kept import Clock
from monai.losses import DiceCELoss
from torch import Tensor, nn

from medlab.data import AugmentVolumes, ImageSet
from medlab.data.files import cache_folder, data_folder
from medlab.data.patches import VIEWS, extract_patches, patch_set, region_mask, sample_centers
from medlab.data.volumes import load_decathlon, volume_set
from medlab.metrics import bootstrap_ci, keep_largest_component, segmentation_report, sensitivity, verdict
from medlab.metrics.intervals import nan_to_none
from medlab.models import PatchCNN, SliceBySlice, UNet, WholeVolume, count_parameters, multiply_adds, training_bytes
from medlab.runs.state import load_json, write_json
from medlab.train import fit, predict, seed_everything
from medlab.train.checkpoint import load_checkpoint

SIZE = (40, 48, 32)
PATCHES = {"width": 12, "kernel": 3, "channels": (12, 24), "dense": 64}
PATCH_RECIPE = {"epochs": 5, "batch_size": 128, "lr": 1e-3}
PER_CLASS = 8000
UNETS = {"U-Net 2-D": 2, "U-Net 3-D": 3, "U-Net 3-D, longer": 3}  # axes
EPOCHS = {"U-Net 2-D": 32, "U-Net 3-D": 32, "U-Net 3-D, longer": 96}
UNET = {"width": 16, "levels": 4}
UNET_RECIPE = {"batch_size": 2, "lr": 3e-3}
AUGMENT = AugmentVolumes(flip=True, shift=0.05, rotate=12, scale=0.12, intensity=0.15, warp=0.06)
SEEDS = {**dict.fromkeys(VIEWS, 3), "U-Net 3-D": 3, "U-Net 2-D": 1, "U-Net 3-D, longer": 1}
MARGIN = 0.02  # of Dice, for "as good as"
DICE_LOSS = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True)


def load_split() -> tuple[ImageSet, ImageSet]:
    """70 volumes to learn from, 30 of other patients to test on."""
    folder = data_folder() and data_folder() / "hippocampus_msd"
    data = volume_set(*load_decathlon(folder or cache_folder() / "Task04_Hippocampus", download=True), SIZE)
    train, more, test = data.split((0.6, 0.1, 0.3), seed=0)
    return data[np.flatnonzero(np.isin(data.patients, [*train.patients, *more.patients]))], test


def build(name: str) -> nn.Module:
    """The network that learns."""
    if name in VIEWS:
        return PatchCNN(name, classes=3, **PATCHES)
    network = UNet(1, 3, axes=UNETS[name], **UNET)
    return SliceBySlice(network) if UNETS[name] == 2 else network


def train_once(name: str, train: ImageSet, seed: int, checkpoint: Path) -> tuple[nn.Module, float]:
    """A network that answers for whole volumes, and the seconds of its training."""
    seed_everything(seed)
    model = build(name)
    shared = {"seed": seed, "checkpoint": checkpoint, "resume": True, "progress": False}
    if name not in VIEWS:
        loss = {"loss": lambda logits, targets: DICE_LOSS(logits.float(), targets[:, None])}
        history = fit(model, train, epochs=EPOCHS[name], augment=AUGMENT, **loss, **UNET_RECIPE, **shared)
        return model, sum(history.seconds)
    centers = sample_centers(train, PER_CLASS, seed=seed, region=region_mask(train.targets))
    patches = patch_set(train, centers, name, PATCHES["width"])
    history = fit(model, patches, **PATCH_RECIPE, **shared)
    return WholeVolume(model), sum(history.seconds)


def score(masks: np.ndarray, test: ImageSet) -> dict:
    """Dice (mean over anterior and posterior), HD95 in mm and sensitivity of every patient."""
    report = segmentation_report(masks, test.targets, patients=test.patients, classes=test.info.classes, resamples=1)
    order = np.argsort(test.patients)
    assert (report.patient_ids == test.patients[order]).all()
    found = sensitivity(masks, test.targets)[order]
    dice, hd95 = (np.stack(list(one.values())).mean(0) for one in (report.by_patient, report.hd95_by_patient))
    return nan_to_none({"dice": dice, "hd95": hd95, "sensitivity": found, **report.by_patient})


def scores_of(probs: Tensor, test: ImageSet, region: Tensor) -> dict:
    """Scores of all answers, and of what is left in the region and in its largest connected piece."""
    masks = probs.argmax(1).numpy()
    accuracy = float((masks == test.targets.numpy()).mean())
    inside = masks * region.numpy()
    return {"raw": score(masks, test), "region": score(inside, test), "accuracy": accuracy} | score(
        keep_largest_component(inside, independent=False, connectivity=1), test
    )


def cost(name: str, volume: Tensor) -> dict:
    """Multiply-adds per voxel of a whole volume (patch by patch too), memory of one training step, parameters."""
    model = build(name).eval()
    whole = WholeVolume(model) if name in VIEWS else model
    found = {"parameters": count_parameters(model)}
    found["multiply_adds_per_voxel"] = multiply_adds(whole, volume) / volume.numel()
    batch = volume.expand(UNET_RECIPE["batch_size"], -1, -1, -1, -1)
    if name in VIEWS:
        centers = torch.zeros(PATCH_RECIPE["batch_size"], 4, dtype=torch.long)
        batch = extract_patches(volume, centers, name, PATCHES["width"])
        found["multiply_adds_of_a_patch"] = multiply_adds(model, batch[:1])
    return found | {"training_megabytes": training_bytes(model.train(), batch) / 1e6}


def run(name: str, seed: int, train: ImageSet, test: ImageSet, work: Path) -> dict:
    """One network of one seed: trained, or read if that was done before."""
    file = work / f"{name}-{seed}.json"
    if file.is_file():
        return load_json(file)
    model, seconds = train_once(name, train, seed, work / f"{name}-{seed}.pt")
    start = time.perf_counter()
    probs = predict(model, test, batch_size=2)
    per_volume = (time.perf_counter() - start) / len(test)
    result = {"training_seconds": seconds, "seconds_per_volume": per_volume}
    result |= scores_of(probs, test, region_mask(train.targets))
    write_json(file, result)
    return result


def together_of(name: str, test: ImageSet, work: Path) -> Tensor:
    """Mean probabilities of the networks of all seeds, each asked for the volumes and for their mirror images."""
    mirrored = ImageSet(test.images.flip(4), test.targets.flip(3), test.patients, test.info)
    probs = []
    for seed in range(SEEDS[name]):
        model = build(name)
        model.load_state_dict(load_checkpoint(work / f"{name}-{seed}.pt")["model"])
        probs += [predict(model, test, batch_size=2), predict(model, mirrored, batch_size=2).flip(4)]
    return torch.stack(probs).mean(0)


def differences(dice: dict[str, np.ndarray]) -> dict[str, tuple]:
    """The claims as paired differences of Dice, patient by patient, and their margins."""
    claims = {
        "a stack is better than a single patch": ("stacked", "single", 0),
        "tri-planar is better than a stack": ("triplanar", "stacked", 0),
        "tri-planar is as good as 3-D": ("triplanar", "volume", MARGIN),
        "the 3-D U-Net is better than 3-D patches": ("U-Net 3-D", "volume", 0),
        "the 3-D U-Net is better than the 2-D one": ("U-Net 3-D", "U-Net 2-D", 0),
    }
    return {claim: (bootstrap_ci(np.mean, dice[a] - dice[b]), margin) for claim, (a, b, margin) in claims.items()}


def main() -> None:
    """Train, print, and record if asked."""
    clock = Clock(__doc__)
    work = cache_folder() / "04-hippocampus"
    work.mkdir(parents=True, exist_ok=True)
    train, test = load_split()
    runs: dict[str, list[dict]] = {name: [] for name in SEEDS}
    for name, seeds in SEEDS.items():
        for seed in range(seeds):
            runs[name].append(one := run(name, seed, train, test, work))
            print(
                f"seed {seed} {name:10} {one['training_seconds']:6.1f} s  Dice {np.mean(one['dice']):.4f}, "
                f"raw {np.mean(one['raw']['dice']):.4f}, in the region {np.mean(one['region']['dice']):.4f}",
                flush=True,
            )
    together = together_of("U-Net 3-D", test, work)
    runs["three 3-D U-Nets together"] = [scores_of(together, test, region_mask(train.targets))]
    averages = {
        kind: {name: np.mean([np.array(one[kind], float) for one in seeds], 0) for name, seeds in runs.items()}
        for kind in ("dice", "sensitivity", "hd95")
    }
    scores = {
        kind: {name: bootstrap_ci(np.nanmean, values) for name, values in one.items()} for kind, one in averages.items()
    }
    gaps = differences(averages["dice"])
    for name in runs:
        print(f"{name:28} " + "   ".join(f"{kind} {one[name]:.3f}" for kind, one in scores.items()))
    for claim, (gap, margin) in gaps.items():
        print(f"{claim:42} {gap:.4f}   {verdict(gap, margin, as_good_as=margin > 0)}")
    if clock.recording:
        volume = torch.rand(1, 1, *SIZE)
        trained = [one for name in SEEDS for one in runs[name]]
        seconds = sum(one["training_seconds"] + len(test) * one["seconds_per_volume"] for one in trained)
        values = {
            "scores": {name: interval.to_dict() for name, interval in scores["dice"].items()},
            "sensitivity": {name: interval.to_dict() for name, interval in scores["sensitivity"].items()},
            "hd95_mm": {name: interval.to_dict() for name, interval in scores["hd95"].items()},
            "differences": {claim: gap.to_dict() for claim, (gap, _) in gaps.items()},
            "verdicts": {claim: verdict(gap, margin, as_good_as=margin > 0) for claim, (gap, margin) in gaps.items()},
            "cost": {name: cost(name, volume) for name in SEEDS},
            "test_patients": sorted(test.patients.tolist()),
            "per_seed": runs,
        }
        parameters = {
            "size": SIZE, "seeds": SEEDS, "patches": PATCHES, "per_class": PER_CLASS, "patch_recipe": PATCH_RECIPE,
            "unet": UNET, "unet_recipe": UNET_RECIPE, "epochs": EPOCHS, "augment": repr(AUGMENT),
        }  # fmt: skip
        clock.keep("04-hippocampus", __file__, parameters, values, seconds)


if __name__ == "__main__":
    main()
