"""Make the images of the visual Turing test of lesson 09, and the answers of a rater that saw mean gray values only.

    python data/makers/reader_study.py

PET phantoms and images of the three trained generators, 64 x 64 pixels averaged to 32 x 32: 20 of each to be judged,
and 200 of each, other patients and other noise, for machines to learn from. Every student judges the same images, so
that answers of a class can be pooled; hence they are kept, and not generated anew in every lesson.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from medlab.data import load
from medlab.models import load_pretrained
from medlab.reader_study import TuringTest
from medlab.train import sample

DATA = Path(__file__).parents[1]
GENERATORS = ("pet-normal-dcgan", "pet-mci-dcgan", "pet-ad-dcgan")
JUDGED, LEARNT = 20, 200
PATIENTS = 987_654  # a seed: patients that no generator has seen


def real_images(n: int, seed: int) -> Tensor:
    """``(n, 1, 32, 32)`` of virtual patients, the three stages mixed."""
    images = load("pet", size=64, n=3 * n, seed=seed)
    return as_shown(images.images[images.order(1)[:n]])


def generated_images(n: int, seed: int) -> Tensor:
    """As many of all generators, mixed."""
    each = -(-n // len(GENERATORS))
    images = torch.cat([sample(load_pretrained(name), each, seed=seed + i) for i, name in enumerate(GENERATORS)])
    return as_shown(images[torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:n]])


def as_shown(images: Tensor) -> Tensor:
    """Four pixels become one; nearly black becomes black, since the real background is exactly 0."""
    images = avg_pool2d(torch.where(images < 0.1, 0, images), 2)
    return (255 * images).round().to(torch.uint8)


def main() -> None:
    """Write both files."""
    images = {
        "real": real_images(JUDGED, PATIENTS),
        "synthetic": generated_images(JUDGED, 5),
        "known_real": real_images(LEARNT, PATIENTS + 1),
        "known_synthetic": generated_images(LEARNT, 77),
    }
    np.savez_compressed(DATA / "reader_study" / "pet.npz", **{name: one.numpy() for name, one in images.items()})
    means = {name: one.float().mean((1, 2, 3)) for name, one in images.items()}
    middle = (means["known_real"].mean() + means["known_synthetic"].mean()) / 2
    brighter = means["known_synthetic"].mean() > middle
    answers = DATA / "results" / "09-answers.csv"
    answers.unlink(missing_ok=True)
    test = TuringTest(images["real"], images["synthetic"], answers, rater="brightness alone", seed=9)
    test.answer_all(lambda shown: (shown.float().mean((1, 2, 3)) * 255 > middle) == brighter)
    print(test.report())


if __name__ == "__main__":
    main()
