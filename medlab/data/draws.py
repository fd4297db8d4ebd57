"""Random draws: of images, and of patients with their classes spread evenly."""

import numpy as np


def check_count(name: str, argument: str, value: int, most: int | None = None) -> int:
    """Return `value`, a number of images (`argument` "n") or of "patients" that is asked for of the set `name`.

    Raises:
        ValueError: it is no whole number from 1, or larger than `most`.
    """
    if not isinstance(value, int | np.integer) or value < 1 or (most is not None and value > most):
        end = "" if most is None else f" to {most}, the {'images' if argument == 'n' else argument} there are"
        raise ValueError(f"{name}: {argument} = {value!r}, but it must be a whole number from 1{end}")
    return int(value)


def draw_rows(name: str, total: int, n: int | None, seed: int) -> np.ndarray:
    """Positions ``(n,)`` of `n` of the `total` images of the set `name`, in ascending order; all of them for None.

    Raises:
        ValueError: see `check_count`.
    """
    if n is None:
        return np.arange(total)
    return np.sort(np.random.default_rng(seed).choice(total, check_count(name, "n", n, total), replace=False))


def draw_evenly(units: np.ndarray, classes: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count` of the `units`, in the proportions of their `classes` where every class has units enough.

    Returns:
        The units that are left, and those drawn, each in random order.
    """
    from sklearn.model_selection import train_test_split  # here, since it takes a second to import

    if count == len(units):
        return units[:0], units
    kinds, counts = np.unique(classes, return_counts=True)
    even = counts.min() >= 2 and min(count, len(units) - count) >= len(kinds)
    return train_test_split(units, test_size=count, random_state=seed, stratify=classes if even else None)
