"""Training speed of `fit` against MedMNIST's published baseline loop: the same network, the same images, one run.

The baseline is written anew from its description (Yang et al., Scientific Data 10:41, 2023): a DataLoader over PIL
images with ToTensor and Normalize, float32, Adam, batches of 128. Prints images/s of both and their ratio, epoch by
epoch in turn, so that a change in the machine's speed hits both.

    python tests/benchmarks/train_throughput.py --network resnet18 --pairs 3
"""

import argparse
import statistics
import time

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from medlab.data import ImageSet, Info, load
from medlab.models import ShallowCNN, small_resnet18
from medlab.train import fit, pick_device, pick_precision, seed_everything

NETWORKS = {"resnet18": lambda: small_resnet18(1, 2), "shallow": lambda: ShallowCNN(1, 2, size=28)}


class PILImages(Dataset):
    """Images kept as arrays, handed out one by one through PIL and torchvision transforms."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images, self.labels = images, labels
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5], [0.5])])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, np.ndarray]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index].astype(int)


def baseline_epoch(
    model: nn.Module, loader: DataLoader, optimizer: torch.optim.Optimizer, device: torch.device
) -> float:
    """One epoch of the plain loop; seconds."""
    start = time.perf_counter()
    model.train()
    losses = []
    for images, labels in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images.to(device)), labels.squeeze(1).long().to(device))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return time.perf_counter() - start


def medlab_epoch(model: nn.Module, train: ImageSet, device: torch.device) -> float:
    """One epoch of `fit`, its set-up included; seconds."""
    start = time.perf_counter()
    fit(model, train, epochs=1, batch_size=128, schedule="constant", device=device, progress=False)
    return time.perf_counter() - start


def in_turn(network: str, images: int, pairs: int) -> list[tuple[float, float]]:
    """Seconds of an epoch of the plain loop and of `fit`, in turn, after one of each to warm up."""
    device = pick_device()
    train = training_images(images)
    arrays = (train.images[:, 0] * 255).round().byte().numpy()
    loader = DataLoader(PILImages(arrays, train.targets.numpy()[:, None]), batch_size=128, shuffle=True)
    seed_everything(0)
    theirs, ours = (NETWORKS[network]().to(device) for _ in range(2))
    adam = torch.optim.Adam(theirs.parameters(), lr=1e-3)
    train = train.to(device)
    both = [(baseline_epoch(theirs, loader, adam, device), medlab_epoch(ours, train, device)) for _ in range(pairs + 1)]
    return both[1:]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=NETWORKS, default="resnet18")
    parser.add_argument("--images", type=int, default=1024, help="training images per epoch")
    parser.add_argument("--pairs", type=int, default=3, help="epochs of each, in turn, after one of each to warm up")
    chosen = parser.parse_args()
    both = in_turn(chosen.network, chosen.images, chosen.pairs)
    ratios = [slow / fast for slow, fast in both]
    for (slow, fast), ratio in zip(both, ratios):
        speeds = f"baseline {chosen.images / slow:8.0f} images/s   medlab {chosen.images / fast:8.0f} images/s"
        print(f"{speeds}   ratio {ratio:.2f}")
    device = pick_device()
    precision = str(pick_precision(None, device)).removeprefix("torch.")
    print(
        f"{chosen.network} on {device.type} in {precision}: median ratio {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f})"
    )


def training_images(n: int) -> ImageSet:
    """`n` images of 28 x 28: PneumoniaMNIST where it is at hand, else as many random ones (speed is the same)."""
    try:
        return load("pneumoniamnist", split="train", n=n)
    except OSError:
        info = Info("random", "none", "multi-class", ("0", "1"), "none", "none", phantom=True)
        generator = torch.Generator().manual_seed(0)
        images = torch.rand(n, 1, 28, 28, generator=generator)
        return ImageSet(images, torch.arange(n) % 2, np.arange(n), info)


if __name__ == "__main__":
    main()
