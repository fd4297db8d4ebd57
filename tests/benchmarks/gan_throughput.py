"""Training speed of `fit_gan` against the plain textbook DCGAN loop: the same networks, the same images, one run.

The baseline is written anew after Radford et al. (2016): a DataLoader, float32, the plain memory layout, a pass of the
discriminator over the real batch and another over the fake one with a backward pass each, Adam, and both losses read by
`.item()` in every step. Prints images/s of both and their ratio, epoch by epoch in turn, so that a change in the
machine's speed hits both.

    python tests/benchmarks/gan_throughput.py --size 64 --width 256 --pairs 3
"""

import argparse
import statistics
import time

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader

from medlab.data import ImageSet, load
from medlab.models import DCDiscriminator, DCGenerator
from medlab.train import fit_gan, pick_device, pick_precision, seed_everything

BATCH = 64


def baseline_epoch(
    generator: nn.Module, discriminator: nn.Module, loader: DataLoader, optimizers: list, device: torch.device
) -> float:
    """One epoch of the plain loop; seconds."""
    start = time.perf_counter()
    generator.train()
    discriminator.train()
    losses = []
    for images, _ in loader:
        real = (2 * images - 1).to(device)
        fake = generator((2 * torch.rand(len(real), generator.latent) - 1).to(device))
        ones, zeros = torch.ones(len(real), device=device), torch.zeros(len(real), device=device)
        discriminator.zero_grad()
        on_real = binary_cross_entropy_with_logits(discriminator(real), ones)
        on_real.backward()
        on_fake = binary_cross_entropy_with_logits(discriminator(fake.detach()), zeros)
        on_fake.backward()
        optimizers[1].step()
        generator.zero_grad()
        fooling = binary_cross_entropy_with_logits(discriminator(fake), ones)
        fooling.backward()
        optimizers[0].step()
        losses.append((on_real.item() + on_fake.item(), fooling.item()))
    return time.perf_counter() - start


def medlab_epoch(generator: nn.Module, discriminator: nn.Module, train: ImageSet, device: torch.device) -> float:
    """One epoch of `fit_gan`, its set-up included; seconds."""
    start = time.perf_counter()
    fit_gan(generator, discriminator, train, epochs=1, batch_size=BATCH, device=device, progress=False)
    return time.perf_counter() - start


def in_turn(size: int, width: int, images: int, pairs: int) -> list[tuple[float, float]]:
    """Seconds of an epoch of the textbook loop and of `fit_gan`, in turn, after one of each to warm up."""
    device = pick_device()
    train = load("pet", size=size, n=images)
    loader = DataLoader(
        [*zip(train.images, train.targets)], batch_size=BATCH, shuffle=True, drop_last=True
    )  # as fit_gan, which takes whole batches only
    last = max(2 * width // (size // 4), 1)  # maps of the generator's last layer, the discriminator's first
    seed_everything(0)
    theirs, ours = (
        (DCGenerator(size, width=width).to(device), DCDiscriminator(size, width=last).to(device)) for _ in range(2)
    )
    optimizers = [torch.optim.Adam(player.parameters(), 2e-4, betas=(0.5, 0.999)) for player in theirs]
    both = []
    for _ in range(pairs + 1):
        both.append((baseline_epoch(*theirs, loader, optimizers, device), medlab_epoch(*ours, train, device)))
    return both[1:]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64, help="side of the images in pixels")
    parser.add_argument("--width", type=int, default=256, help="maps of the generator at 4 x 4; the paper has 1024")
    parser.add_argument("--images", type=int, default=640, help="training images per epoch")
    parser.add_argument("--pairs", type=int, default=3, help="epochs of each, in turn, after one of each to warm up")
    chosen = parser.parse_args()
    both = in_turn(chosen.size, chosen.width, chosen.images, chosen.pairs)
    images = chosen.images // BATCH * BATCH
    ratios = [slow / fast for slow, fast in both]
    for (slow, fast), ratio in zip(both, ratios):
        print(f"baseline {images / slow:8.0f} images/s   medlab {images / fast:8.0f} images/s   ratio {ratio:.2f}")
    device = pick_device()
    precision = str(pick_precision(None, device)).removeprefix("torch.")
    print(
        f"DCGAN {chosen.size} px, width {chosen.width}, on {device.type} in {precision}: median ratio "
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


if __name__ == "__main__":
    main()
