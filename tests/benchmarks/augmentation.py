"""Images per second of `medlab.data.Augment` beside torchvision.transforms.v2, in one run.

All three flip, shift by 10 %, rotate by 10 degrees, scale by 10 % and change contrast and brightness by 10 %:
`Augment` with one draw per image; v2 applied image by image, so with one draw per image too; v2 applied once to the
batch, so that all images of it are moved alike (not the same augmentation, but the cheapest v2 gives).

    python tests/benchmarks/augmentation.py
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from medlab.data import Augment

SETTINGS = ((128, 28), (64, 128))  # batch, side
ROUNDS = 7


def contenders() -> dict[str, Callable[[Tensor], Tensor]]:
    ours = Augment(flip=True, shift=0.1, rotate=10, scale=0.1, intensity=0.1)
    theirs = v2.Compose(
        [
            v2.RandomAffine(10, translate=(0.1, 0.1), scale=(0.9, 1.1), interpolation=InterpolationMode.BILINEAR),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(brightness=0.1, contrast=0.1),
        ]
    )
    return {
        "Augment": lambda images: ours(images)[0],
        "v2, image by image": lambda images: torch.stack([theirs(image) for image in images]),
        "v2, one draw for all": theirs,
    }


def rate(work: Callable[[Tensor], Tensor], images: Tensor) -> float:
    """Images per second over about a quarter of a second."""
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < 0.25:
        work(images)
        done += len(images)
    return done / (time.perf_counter() - start)


def main() -> None:
    print(f"{torch.get_num_threads()} threads, best of {ROUNDS} rounds in turn")
    for batch, side in SETTINGS:
        images, works = torch.rand(batch, 1, side, side), contenders()
        best = dict.fromkeys(works, 0.0)
        for work in works.values():
            work(images)
        for _ in range(ROUNDS):
            for name, work in works.items():
                best[name] = max(best[name], rate(work, images))
        for name, images_per_second in best.items():
            ratio = best["Augment"] / images_per_second
            print(
                f"{batch} x 1 x {side} x {side}: {name:21s} {images_per_second:9.0f} images/s, Augment {ratio:5.2f} x"
            )


if __name__ == "__main__":
    main()
