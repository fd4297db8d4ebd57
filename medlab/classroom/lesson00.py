"""Exercises of lesson 00: CT window, patient-wise split."""

from typing import Any

import numpy as np
import torch

from medlab.classroom.exercises import Attempt, describe, exercise


@exercise
def window(window: Attempt) -> None:
    """Write ``window(hu, level, width)``, which turns Hounsfield units into gray values from 0 to 1.

    `hu` is a NumPy array or a torch tensor of any shape, integer or floating point; the answer is a floating-point one
    of the same kind and shape. Values at or below ``level - width / 2`` give 0, values at or above
    ``level + width / 2`` give 1, and in between it rises linearly, so that `level` gives 0.5. `hu` itself is not
    changed. ``window(np.array([-160, 40, 140]), 40, 400)`` is ``[0.0, 0.5, 0.75]``.
    """
    rng = np.random.default_rng(0)
    edges = np.array([-1000.0, -160.0, -60.0, 40.0, 140.0, 240.0, 3000.0])
    cases: list[tuple[Any, int, int]] = [(edges, 40, 400), (torch.tensor(edges, dtype=torch.float32), 40, 400)]
    for level, width in zip(rng.integers(-600, 300, 6).tolist(), rng.integers(100, 2000, 6).tolist()):
        hu = rng.normal(level, width, (2, 3, 4))
        stored = hu.round().astype(np.int16)  # as a CT is stored
        cases += [(hu, level, width), (stored, level, width), (torch.from_numpy(stored), level, width)]
    for hu, level, width in cases:
        low, high = level - width / 2, level + width / 2
        expected = ((hu - low) / width).clip(0, 1)
        window.compare(
            window(hu, level, width),
            expected,
            {
                "not_clipped": (hu - low) / width,
                "level_as_lower_end": ((hu - level) / width).clip(0, 1),
                "level_as_upper_end": ((hu - level) / width + 1).clip(0, 1),
                "half_width": ((hu - level) / width / 2 + 0.5).clip(0, 1),
                "not_scaled": (hu + 0.0).clip(low, high),
                "scaled_to_255": expected * 255,
                "inverted": 1 - expected,
                "thresholded": (expected > 0.5) * 1.0,
                "range_of_image": (hu - hu.min()) / (hu.max() - hu.min()),
            },
        )


@exercise
def split_patients(split_patients: Attempt) -> None:
    """Write ``split_patients(patients, fraction, seed)``, which selects the images of the test set.

    `patients` is a NumPy array ``(N,)`` with one patient id per image, integers or strings, in any order. The answer is
    a boolean array ``(N,)``, True where the image belongs to the test set. All images of a patient are on the same
    side. Of P patients, ``round(fraction * P)`` are in the test set, but at least one and never all; they are drawn at
    random: the same seed gives the same answer, another seed another.
    """
    rng = np.random.default_rng(0)
    few = np.array(["anna", "ben", "anna", "cem", "cem", "anna"])
    cases = [(few, 0.3)]
    for count, fraction in [(11, 0.2), (9, 0.3), (24, 0.25), (40, 0.3), (40, 0.7)]:
        images = rng.integers(1, 9, count)
        images[0] = images.sum()  # one patient has half of the images, so that counting images is not counting patients
        ids = rng.permutation(1000)[:count]
        patients = rng.permutation(np.repeat(ids, images))
        cases += [(patients, fraction), (np.array([f"p{number:03d}" for number in patients]), fraction)]
    for patients, fraction in [*cases, (few, 0.01), (few, 0.99), (few[:2], 0.5)]:
        test = split_patients(patients, fraction, seed=7)
        _check_split(split_patients, test, patients, fraction)
        if not np.array_equal(test, split_patients(patients, fraction, seed=7)):
            mistake = "other_randomness"
            split_patients.wrong("another answer at the second call", "the same answer for the same seed", mistake)
    patients, fraction = cases[-1]  # enough patients for two seeds to differ
    test = split_patients(patients, fraction, seed=7)
    for seed in range(5):
        other = split_patients(patients, fraction, seed=seed)
        _check_split(split_patients, other, patients, fraction)
        if np.array_equal(other, test):
            split_patients.wrong("the answer of seed=7", "another answer for another seed", "seed_unused")


def _check_split(attempt: Attempt, test: Any, patients: np.ndarray, fraction: float) -> None:
    ids = np.unique(patients)
    wanted = min(max(round(fraction * len(ids)), 1), len(ids) - 1)
    if not isinstance(test, np.ndarray) or test.dtype != bool:
        kind = f"array of {test.dtype}" if isinstance(test, np.ndarray) else type(test).__name__
        answer = f"a boolean NumPy array, shape ({len(patients)},)"
        attempt.wrong(test, answer, "no_mask", kind=kind)
    if test.shape != patients.shape:
        per_patient = test.shape == ids.shape
        expected = f"shape {patients.shape}, one entry per image"
        attempt.wrong(f"shape {test.shape}", expected, "per_patient" if per_patient else "")
    divided = np.intersect1d(patients[test], patients[~test])
    if len(divided):
        mine = test[patients == divided[0]]
        attempt.wrong(
            f"patient {describe(divided[0])}: images in the test set {mine.sum()}, outside {(~mine).sum()}",
            "all images of a patient on one side",
            "images_drawn",
        )
    drawn = len(np.unique(patients[test]))
    if drawn != wanted:
        mistake = "fraction_of_images"
        if 0 < drawn < wanted:
            mistake = "too_few"
        if drawn == len(ids) - wanted:
            mistake = "training_set"
        attempt.wrong(f"{drawn} of {len(ids)} patients in the test set", f"{wanted} of {len(ids)} patients", mistake)
