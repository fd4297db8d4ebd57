"""Right and wrong answers to the exercises of lesson 00, as students would write them."""

import random

import numpy as np
import pandas as pd
import torch
from monai.transforms import ScaleIntensityRange
from skimage.exposure import rescale_intensity
from sklearn.model_selection import GroupShuffleSplit, train_test_split

# The right answers, as a student would write them


def window(hu, level, width):
    return ((hu - (level - width / 2)) / width).clip(0, 1)


def split_patients(patients, fraction, seed):
    ids = np.unique(patients)
    size = min(max(round(fraction * len(ids)), 1), len(ids) - 1)
    return np.isin(patients, np.random.default_rng(seed).choice(ids, size, replace=False))


RIGHT = {"window": window, "split_patients": split_patients}


# Other right answers


def alike(of_array):
    """An answer for arrays, which gives a tensor for a tensor."""

    def answer(hu, level, width):
        gray = of_array(np.asarray(hu), level, width)
        return torch.from_numpy(gray) if isinstance(hu, torch.Tensor) else gray

    return answer


def value_by_value(hu, level, width):
    low, flat = level - width / 2, []
    for value in hu.reshape(-1).tolist():
        flat.append(min(max((value - low) / width, 0.0), 1.0))
    return (torch.tensor if isinstance(hu, torch.Tensor) else np.array)(flat).reshape(hu.shape)


def with_masks(hu, level, width):
    gray = (hu - level) / width + 0.5
    gray[gray < 0] = 0
    gray[gray > 1] = 1
    return gray


def in_single_precision(hu, level, width):
    hu = hu.float() if isinstance(hu, torch.Tensor) else hu.astype(np.float32)
    return ((hu - level) / width + 0.5).clip(0, 1)


def by_monai(hu, level, width):
    return ScaleIntensityRange(level - width / 2, level + width / 2, 0, 1, clip=True)(hu).numpy()


def by_hardtanh(hu, level, width):
    gray = torch.nn.functional.hardtanh((torch.as_tensor(hu) - level) / width, -0.5, 0.5) + 0.5
    return gray if isinstance(hu, torch.Tensor) else gray.numpy()


def by_skimage(hu, level, width):
    return rescale_intensity(hu.astype(float), (level - width / 2, level + width / 2), (0, 1))


def piecewise(hu, level, width):
    low, high = level - width / 2, level + width / 2
    return np.piecewise(hu.astype(float), [hu < low, hu > high], [0, 1, lambda inside: (inside - low) / width])


def drawing(draw):
    """A split of the patients that `draw(ids, size, seed)` gives."""

    def split(patients, fraction, seed):
        ids = np.unique(patients)
        return np.isin(patients, draw(ids, min(max(round(fraction * len(ids)), 1), len(ids) - 1), seed))

    return split


def patient_by_patient(patients, fraction, seed):
    ids = sorted(set(patients.tolist()))
    drawn = set(random.Random(seed).sample(ids, min(max(round(fraction * len(ids)), 1), len(ids) - 1)))
    return np.array([one in drawn for one in patients.tolist()])


def one_flag_for_each(patients, fraction, seed):
    ids, which = np.unique(patients, return_inverse=True)
    flags = np.zeros(len(ids), dtype=bool)
    flags[: min(max(round(fraction * len(ids)), 1), len(ids) - 1)] = True
    return np.random.default_rng(seed).permutation(flags)[which]


def by_table(patients, fraction, seed):
    table = pd.Series(patients)
    ids = table.drop_duplicates()
    size = min(max(round(fraction * len(ids)), 1), len(ids) - 1)
    return table.isin(ids.sample(size, random_state=seed)).to_numpy()


def by_groups(patients, fraction, seed):
    count = len(np.unique(patients))
    size = min(max(round(fraction * count), 1), count - 1)
    _, chosen = next(GroupShuffleSplit(1, test_size=size, random_state=seed).split(patients, groups=patients))
    test = np.full(len(patients), False)
    test[chosen] = True
    return test


def without_the_training_set(patients, fraction, seed):
    ids = np.random.default_rng(seed).permutation(list(dict.fromkeys(patients.tolist())))
    training = ids[min(max(round(fraction * len(ids)), 1), len(ids) - 1) :]
    return ~(patients[:, None] == training).any(axis=1)


def by_torch(ids, size, seed):
    return ids[torch.randperm(len(ids), generator=torch.Generator().manual_seed(seed))[:size].numpy()]


def draw_by_shuffling(patients, fraction, seed):
    ids = np.random.RandomState(seed).permutation(sorted(set(patients.tolist())))
    return np.isin(patients, ids[: min(max(int(fraction * len(ids) + 0.5), 1), len(ids) - 1)])


OTHER = [
    ("window", lambda hu, level, width: (hu * 1.0 - level + width / 2).clip(0, width) / width),
    ("window", alike(lambda hu, level, width: np.interp(hu, [level - width / 2, level + width / 2], [0, 1]))),
    ("window", by_hardtanh),
    ("window", alike(lambda hu, level, width: np.minimum(np.maximum((hu - level) / width + 0.5, 0), 1))),
    ("window", lambda hu, level, width: (abs(x := (hu - level) / width + 0.5) - abs(x - 1) + 1) / 2),
    ("window", value_by_value),
    ("window", with_masks),
    ("window", in_single_precision),
    ("window", alike(by_monai)),
    ("window", alike(by_skimage)),
    ("window", alike(piecewise)),
    ("split_patients", draw_by_shuffling),
    ("split_patients", drawing(by_torch)),
    (
        "split_patients",
        drawing(lambda ids, size, seed: ids[np.random.default_rng(seed).random(len(ids)).argsort()[:size]]),
    ),
    ("split_patients", drawing(lambda ids, size, seed: train_test_split(ids, test_size=size, random_state=seed)[1])),
    ("split_patients", drawing(lambda ids, size, seed: random.Random(seed).sample(ids.tolist(), size))),
    ("split_patients", patient_by_patient),
    ("split_patients", one_flag_for_each),
    ("split_patients", by_table),
    ("split_patients", by_groups),
    ("split_patients", without_the_training_set),
]


# Wrong answers, and what the check must say to them


def in_place(hu, level, width):
    hu -= int(level - width / 2)
    return (hu / width).clip(0, 1)


def mask(draw):
    """A split whose test patients are `draw(ids, size, images)`."""

    def split(patients, fraction, seed):
        ids = np.unique(patients)
        size = min(max(round(fraction * len(ids)), 1), len(ids) - 1)
        return np.isin(patients, draw(np.random.default_rng(seed), ids, size))

    return split


def by_image(patients, fraction, seed):
    return np.random.default_rng(seed).random(len(patients)) < fraction


def until_enough_images(patients, fraction, seed):
    ids = np.random.default_rng(seed).permutation(np.unique(patients))
    images = np.cumsum([(patients == one).sum() for one in ids])
    return np.isin(patients, ids[: max(int((images < fraction * len(patients)).sum()), 1)])


WRONG = [
    ("window", lambda hu, level, width: (hu - level + width / 2) / width, "not clipped"),
    ("window", lambda hu, level, width: ((hu - level) / width).clip(0, 1), "the middle of the window"),
    ("window", lambda hu, level, width: window(hu, level, 2 * width), "`width` is the whole window"),
    ("window", lambda hu, level, width: hu.clip(level - width / 2, level + width / 2), "not scaled to 0..1"),
    ("window", lambda hu, level, width: 1 - window(hu, level, width), "inverted"),
    ("window", lambda hu, level, width: (hu - hu.min()) / (hu.max() - hu.min()), "the range of this image"),
    (
        "window",
        lambda hu, level, width: window(hu, level, width).astype(np.uint8),
        "first value that differs is at [2]",
    ),
    ("window", lambda hu, level, width: window(hu, level, width).ravel(), "the shape is"),
    ("window", lambda hu, level, width: window(np.asarray(hu), level, width), "returned ndarray, not a torch tensor"),
    ("window", lambda hu, level, width: [0, 0, 0.25, 0.5, 0.75, 1, 1], "returned list, not a NumPy array"),
    ("window", lambda hu, level, width: np.array([0, 0, 0.25, 0.5, 0.75, 1, 1]), "not a torch tensor"),
    ("window", lambda hu, level, width: None, "there is no `return`"),
    ("window", in_place, "an operation in place; work on a copy"),
    ("split_patients", by_image, "draw among np.unique(patients)"),
    ("split_patients", until_enough_images, "`fraction` is of the patients, not of the images"),
    (
        "split_patients",
        mask(lambda rng, ids, n: rng.choice(ids, len(ids) - n, replace=False)),
        "looks like the training",
    ),
    ("split_patients", mask(lambda rng, ids, n: ids[:n]), "`seed` is not used"),
    ("split_patients", mask(lambda rng, ids, n: np.random.choice(ids, n, replace=False)), "depend on `seed` alone"),
    ("split_patients", mask(lambda rng, ids, n: rng.choice(ids, max(n - 1, 1), replace=False)), "rounded"),
    ("split_patients", mask(lambda rng, ids, n: ids), "never all"),
    ("split_patients", lambda *a, **k: np.flatnonzero(split_patients(*a, **k)), "np.isin(patients, drawn) is a mask"),
    ("split_patients", lambda *a, **k: None, "there is no `return`"),
    ("split_patients", lambda p, f, seed: np.unique(p) < np.unique(p)[1], "one per image"),
]
