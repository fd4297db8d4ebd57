"""How much a patch network saves on whole volumes by sharing convolutions, measured beside what arithmetic allows.

Patch by patch, a voxel costs all positions of both convolutions; shared, it costs one position of each, and the fully
connected layer either way. So in a large volume every weight is used once per voxel, and the bound of the ratio is

    multiply-adds of one patch / weights of the network.

At the sizes of the report it is small for planes (19.4 M / 12.8 M = 1.5), because the fully connected layer, which
nothing can share, is most of the work. Around the border patches stick out: `with border` counts that too. Measured
ratios can pass the bound: one large convolution keeps a processor busier than many small ones.

    python tests/benchmarks/whole_volume.py          # the sizes of the lesson, on a volume of 32 x 32 x 32
    python tests/benchmarks/whole_volume.py --full   # the sizes of the report, planes only; patches of some voxels
"""

import argparse
import time

import torch

from medlab.data.patches import VIEWS, extract_patches
from medlab.models import PatchCNN, WholeVolume, multiply_adds

SMALL = {"width": 12, "kernel": 3, "channels": (12, 24), "dense": 64}


def compare(view: str, sizes: dict, voxels: int) -> None:
    """Print the line of one view; patch by patch is timed on `voxels` voxels and scaled to the whole volume."""
    torch.manual_seed(0)
    network = PatchCNN(view, **sizes).eval()
    volume = torch.rand(1, 1, 32, 32, 32)
    everywhere = torch.cartesian_prod(torch.arange(1), *[torch.arange(32)] * 3)
    centers = everywhere[torch.randperm(len(everywhere), generator=torch.Generator().manual_seed(0))[:voxels]]
    with torch.inference_mode():
        start = time.perf_counter()
        one_by_one = torch.cat(
            [network(extract_patches(volume, part, view, network.width)) for part in centers.split(512)]
        )
        apart = (time.perf_counter() - start) / len(centers) * len(everywhere)
        start = time.perf_counter()
        logits = WholeVolume(network)(volume)
        whole = time.perf_counter() - start
    difference = (logits[0][:, *centers[:, 1:].T].T - one_by_one).abs().max().item()
    patch = multiply_adds(network, extract_patches(volume, centers[:1], view, network.width))
    weights = sum(p.numel() for p in network.parameters() if p.ndim > 1)
    border = patch * len(everywhere) / multiply_adds(WholeVolume(network), volume)
    print(
        f"{view:10} {patch / 1e6:9.2f} {weights / 1e6:9.2f} {patch / weights:7.2f} {border:12.2f} "
        f"{apart:10.1f} {whole:8.2f} {apart / whole:9.2f} {difference:12.1e}",
        flush=True,
    )


def main() -> None:
    """Print one line for each view."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="the sizes of the report, planes only")
    full = parser.parse_args().full
    print("view       M/patch   M weights   bound  with border   apart s  whole s  measured   difference")
    for view in VIEWS[:3] if full else VIEWS:
        compare(view, {} if full else SMALL, 512 if full else 4096)


if __name__ == "__main__":
    main()
