"""Right and wrong answers to the exercises of lesson 08, as students would write them."""

from math import comb

import numpy as np
from scipy.stats import binomtest, chi2

from medlab import metrics


def nested_right(classes, sizes, seed):
    rng = np.random.default_rng(seed)
    kinds = [rng.permutation(np.flatnonzero(classes == c)) for c in range(classes.max() + 1)]
    order = [kind[i] for i in range(max(map(len, kinds))) for kind in kinds if i < len(kind)]
    return [np.array(order[:size], dtype=int) for size in sizes]


def anew(classes, sizes, seed):
    return [nested_right(classes, [size], seed + i)[0] for i, size in enumerate(sizes)]


def any_class(classes, sizes, seed):
    order = np.random.default_rng(seed).permutation(len(classes))
    return [order[:size] for size in sizes]


def increments(classes, sizes, seed):
    return nested_right(classes, np.diff([0, *sizes]).tolist(), seed)


def unshuffled(classes, sizes, seed):
    return nested_right(classes, sizes, 0)


def twice(classes, sizes, seed):
    rng = np.random.default_rng(seed)
    order = [rng.choice(np.flatnonzero(classes == i % (classes.max() + 1))) for i in range(max(sizes))]
    return [np.array(order[:size], dtype=int) for size in sizes]


def unseeded(classes, sizes, seed):
    return nested_right(classes, sizes, None)


def first_images(classes, sizes, seed):
    """Shuffled, but only the first images of each class ever come first."""
    rng = np.random.default_rng(seed)
    kinds = [np.flatnonzero(classes == c) for c in range(classes.max() + 1)]
    kinds = [np.concatenate([rng.permutation(kind[:20]), kind[20:]]) for kind in kinds]
    order = [kind[i] for i in range(max(map(len, kinds))) for kind in kinds if i < len(kind)]
    return [np.array(order[:size], dtype=int) for size in sizes]


def rates(confusion, order=(0, 1), others=False, transpose=False):
    counts = confusion.T if transpose else confusion
    right, true = np.diag(counts), counts.sum(1)
    negatives = counts.sum() - true
    true_negatives = negatives - (counts.sum(0) - right)
    columns = right / true, ((right.sum() - right) if others else true_negatives) / negatives
    return np.stack([columns[i] for i in order], 1)


def p_value(first, second):
    b, c = int((first & ~second).sum()), int((second & ~first).sum())
    return float(binomtest(b, b + c).pvalue) if b + c else 1.0


def uncapped(first, second):
    b, c = int((first & ~second).sum()), int((second & ~first).sum())
    return 2 * sum(comb(b + c, k) for k in range(min(b, c) + 1)) / 2 ** (b + c)


def approximate(first, second):
    b, c = int((first & ~second).sum()), int((second & ~first).sum())
    return float(chi2.sf((b - c) ** 2 / (b + c), 1)) if b + c else 1.0


def of_numpy(first, second):
    b, c = (first & ~second).sum(), (second & ~first).sum()
    with np.errstate(all="ignore"):
        return float(min(1.0, 2 * sum(comb(b + c, k) / 2 ** (b + c) for k in range(min(b, c) + 1))))


RIGHT = {"nested_groups": nested_right, "sensitivity_specificity": rates, "mcnemar": p_value}
OTHER = [("sensitivity_specificity", metrics.sensitivity_specificity), ("mcnemar", metrics.mcnemar)]
WRONG = [
    ("nested_groups", anew, "drawn anew"),
    ("nested_groups", any_class, "take the classes in turn"),
    ("nested_groups", increments, "the sizes are those of the whole groups"),
    ("nested_groups", unshuffled, "`seed` is not used"),
    ("nested_groups", twice, "drawn with replacement"),
    ("nested_groups", unseeded, "not drawn from `seed`: rng = np.random.default_rng(seed)"),
    ("nested_groups", first_images, "shuffle all images of a class"),
    ("nested_groups", lambda *given: [group.tolist() for group in nested_right(*given)], "not a list"),
    ("nested_groups", lambda *given: nested_right(*given)[0], "one array of positions per size"),
    ("sensitivity_specificity", lambda c: rates(c, (1, 0)), "the columns are swapped"),
    ("sensitivity_specificity", lambda c: rates(c, transpose=True), "rows are the true classes"),
    ("sensitivity_specificity", lambda c: rates(c, others=True), "need not be predicted correctly"),
    ("sensitivity_specificity", lambda c: 100 * rates(c), "in percent"),
    ("sensitivity_specificity", lambda c: rates(c).T, "one row per class"),
    ("mcnemar", uncapped, "the cap is missing"),
    ("mcnemar", approximate, "the chi-squared approximation"),
    ("mcnemar", of_numpy, "overflows from n = 63 on"),
    ("mcnemar", lambda a, b: p_value(a, b) / 2, "one-sided"),
    ("mcnemar", lambda a, b: float(binomtest(min((a & ~b).sum(), (b & ~a).sum()), len(a)).pvalue), "not all N"),
]
