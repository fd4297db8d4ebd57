"""Time of a training step in both memory layouts, and which `pick_layout` takes, for every network of the course.

Forward and backward pass on the CPU; both layouts in turn, the best of some rounds. Above 1 channels-last is faster.

    python tests/benchmarks/layout.py
"""

import time

import torch
from torch import Tensor, nn

from medlab import models
from medlab.train.devices import pick_layout

ROUNDS = 9
LAYOUTS = (torch.contiguous_format, torch.channels_last)
CPU = torch.device("cpu")


def networks() -> dict[str, tuple[nn.Module, Tensor]]:
    """Each network at the size of its lesson, and a batch of inputs."""
    return {
        "ShallowCNN 32": (models.ShallowCNN(), torch.rand(64, 1, 32, 32)),
        "SmallCNN 28": (models.SmallCNN(in_channels=1, classes=7), torch.rand(64, 1, 28, 28)),
        "LesionCNN 64": (models.LesionCNN(classes=3), torch.rand(32, 1, 64, 64)),
        "LesionCNN 32": (models.LesionCNN(classes=3, size=32), torch.rand(64, 1, 32, 32)),
        "small_resnet18 28": (models.small_resnet18(in_channels=1, classes=2), torch.rand(32, 1, 28, 28)),
        "PatchCNN single": (models.PatchCNN("single", width=29), torch.rand(64, 1, 29, 29)),
        "PatchCNN stacked": (models.PatchCNN("stacked", width=29), torch.rand(64, 3, 29, 29)),
        "PatchCNN triplanar": (models.PatchCNN("triplanar", width=29), torch.rand(64, 3, 29, 29)),
        "UNet 8, 64": (models.UNet(width=8, levels=4), torch.rand(8, 1, 64, 64)),
        "UNet 32, 64": (models.UNet(width=32, levels=4), torch.rand(4, 1, 64, 64)),
        "DRINet 8": (models.DRINet(growth=8), torch.rand(4, 1, 64, 64)),
        "SCANSegmenter": (models.SCANSegmenter(), torch.rand(2, 1, 128, 128)),
        "DCGenerator 64, 256": (Latent(models.DCGenerator(size=64, width=256)), torch.rand(16, 1, 64, 64)),
        "DCDiscriminator 64, 256": (models.DCDiscriminator(size=64, width=256), torch.rand(16, 1, 64, 64)),
        "DCDiscriminator 32, 64": (models.DCDiscriminator(size=32, width=64), torch.rand(32, 1, 32, 32)),
        "WGANCritic 64, 256": (models.WGANCritic(size=64, width=256), torch.rand(16, 1, 64, 64)),
        "RingDiscriminator": (models.RingDiscriminator(), torch.rand(64, 2, 1, 1)),
    }


class Latent(nn.Module):
    """A generator that takes as many latent vectors as it is given images."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, images: Tensor) -> Tensor:
        return self.generator(self.generator.sample_latent(len(images), None))


def step(network: nn.Module, images: Tensor, dtype: torch.dtype) -> float:
    """Seconds of one forward and backward pass."""
    start = time.perf_counter()
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        outputs = network(images)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    sum(output.float().square().mean() for output in outputs).backward()
    return time.perf_counter() - start


def main() -> None:
    torch.manual_seed(0)
    print(f"{torch.get_num_threads()} threads, best of {ROUNDS} rounds in turn")
    print(f"{'network':26}{'float32':>9}{'bfloat16':>10}  pick_layout")
    for name, (network, images) in networks().items():
        ratios = []
        for dtype in (torch.float32, torch.bfloat16):
            best = dict.fromkeys(LAYOUTS, float("inf"))
            for _ in range(ROUNDS + 1):
                for layout in LAYOUTS:
                    network.to(memory_format=layout)
                    best[layout] = min(best[layout], step(network, images.contiguous(memory_format=layout), dtype))
            ratios.append(best[LAYOUTS[0]] / best[LAYOUTS[1]])
        print(f"{name:26}{ratios[0]:9.2f}{ratios[1]:10.2f}  {str(pick_layout(network, images, CPU))[6:]}", flush=True)


if __name__ == "__main__":
    main()
