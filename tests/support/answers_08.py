"""Right and wrong answers to the exercises of lesson 08, as students would write them."""

import math
import random
from collections import deque
from decimal import Decimal
from fractions import Fraction
from itertools import chain, zip_longest
from math import comb

import numpy as np
import torch
from scipy import special, stats
from scipy.stats import binomtest, chi2
from sklearn.metrics import multilabel_confusion_matrix, recall_score

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


# Other right answers


def dealt(kinds, sizes):
    """Groups from the shuffled positions of each class: one of each, the next of each, and so on."""
    order = [one for one in chain(*zip_longest(*kinds)) if one is not None]
    return [np.array(order[:size], dtype=int) for size in sizes]


def by_python(classes, sizes, seed):
    rng = random.Random(seed)
    kinds = [[i for i, c in enumerate(classes) if c == k] for k in sorted(set(classes.tolist()))]
    for kind in kinds:
        rng.shuffle(kind)
    return dealt(kinds, sizes)


def by_torch(classes, sizes, seed):
    order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(seed)).numpy()
    return dealt([order[classes[order] == k] for k in np.unique(classes)], sizes)


def by_rank(classes, sizes, seed):
    """Shuffle all, number the images of each class, and sort by that number."""
    order = np.random.default_rng(seed).permutation(len(classes))
    rank = np.array([np.sum(classes[order[:i]] == classes[one]) for i, one in enumerate(order)])
    order = order[np.argsort(rank, kind="stable")]
    return [order[:size] for size in sizes]


def classes_in_random_turn(classes, sizes, seed):
    rng = np.random.default_rng(seed)
    kinds = [rng.permutation(np.flatnonzero(classes == k)) for k in rng.permutation(np.unique(classes))]
    return tuple(dealt(kinds, sizes))


def fewest_first(classes, sizes, seed):
    rng, groups, group = np.random.RandomState(seed), [], []
    piles = {k: list(rng.permutation(np.where(classes == k)[0])) for k in np.unique(classes)}
    taken = dict.fromkeys(piles, 0)
    for size in sizes:
        while len(group) < size:
            k = min((k for k in piles if piles[k]), key=taken.get)
            group.append(piles[k].pop())
            taken[k] += 1
        groups.append(np.array(group, dtype=np.int32))
    return groups


def in_a_queue(classes, sizes, seed):
    rng = np.random.default_rng([seed, 7])
    queue = deque(deque(rng.permutation(np.nonzero(classes == k)[0]).tolist()) for k in range(max(classes) + 1))
    order = []
    while queue:
        pile = queue.popleft()
        if pile:
            order.append(pile.popleft())
            queue.append(pile)
    return [np.asarray(order[:size]) for size in sizes]


def sorted_groups(classes, sizes, seed):
    return [np.sort(group) for group in nested_right(classes, sizes, seed)]


def class_by_class(confusion):
    rows = []
    for k in range(len(confusion)):
        others = [i for i in range(len(confusion)) if i != k]
        missed = sum(confusion[k, j] for j in others)
        alarms = sum(confusion[i, k] for i in others)
        rest = sum(confusion[i, j] for i in others for j in others)
        rows.append([confusion[k, k] / (confusion[k, k] + missed), rest / (rest + alarms)])
    return np.array(rows)


def as_labels(confusion):
    """The labels that have this confusion matrix."""
    k = len(confusion)
    true, predicted = np.indices((k, k)).reshape(2, -1).repeat(confusion.ravel(), axis=1)
    return true, predicted


def by_sklearn(confusion):
    tables = multilabel_confusion_matrix(*as_labels(confusion))
    return np.stack([tables[:, 1, 1] / tables[:, 1].sum(1), tables[:, 0, 0] / tables[:, 0].sum(1)], axis=-1)


def by_recall(confusion):
    """Specificity is the recall of "not this class"."""
    true, predicted = as_labels(confusion)
    pairs = [[recall_score(true == k, predicted == k, pos_label=is_k) for is_k in (True, False)] for k in set(true)]
    return np.array(pairs)


def by_deleting(confusion):
    answer = np.empty((len(confusion), 2))
    for k, row in enumerate(confusion):
        left = np.delete(confusion, k, axis=0)
        answer[k] = row[k] / row.sum(), np.delete(left, k, axis=1).sum() / left.sum()
    return answer


def by_masks(confusion):
    same = np.eye(len(confusion), dtype=bool)
    hit = confusion[same]
    missed, alarms = np.where(same, 0, confusion).sum(1), np.where(same, 0, confusion).sum(0)
    rest = confusion.sum() - hit - missed - alarms
    return np.column_stack((hit / (hit + missed), rest / (rest + alarms)))


def in_fractions(confusion):
    total, rows = int(confusion.sum()), []
    for k in range(len(confusion)):
        hit, true, called = (int(n) for n in (confusion[k, k], confusion[k].sum(), confusion[:, k].sum()))
        rows.append((float(Fraction(hit, true)), float(1 - Fraction(called - hit, total - true))))
    return np.array(rows)


def rates_by_torch(confusion):
    counts = torch.from_numpy(confusion).double()
    hit, true = counts.diagonal(), counts.sum(1)
    false_alarms = counts.sum(0) - hit
    return torch.stack([hit / true, 1 - false_alarms / (counts.sum() - true)], dim=1).numpy()


def by_einsum(confusion):
    counts = confusion / confusion.sum()
    hit, true, called = np.einsum("ii->i", counts), np.einsum("ij->i", counts), np.einsum("ij->j", counts)
    return np.vstack([hit / true, (1 - true - called + hit) / (1 - true)]).T


def discordant(first, second):
    return int(np.sum(first > second)), int(np.sum(first < second))


def exactly(first, second):
    b, c = discordant(first, second)
    tail = Fraction(sum(comb(b + c, k) for k in range(min(b, c) + 1)), 2 ** (b + c))
    return min(Fraction(1), 2 * tail)


def in_decimals(first, second):
    b, c = discordant(first, second)
    ways = sum(Decimal(comb(b + c, k)) for k in range(min(b, c) + 1))
    return min(Decimal(1), 2 * ways / Decimal(2) ** (b + c))


def patient_by_patient(first, second):
    b = c = 0
    for one, other in zip(first, second):
        b += bool(one) and not other
        c += bool(other) and not one
    way, tail = 1, 0
    for k in range(min(b, c) + 1):
        tail += way
        way = way * (b + c - k) // (k + 1)
    return 1.0 if 2 * tail > 2 ** (b + c) else tail / 2 ** (b + c - 1)


def by_logarithms(first, second):
    b, c = discordant(first, second)
    n, k = b + c, np.arange(min(b, c) + 1)
    logs = math.lgamma(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1) - n * math.log(2)
    return np.minimum(1.0, 2 * np.exp(special.logsumexp(logs)))


def by_both_tails(first, second):
    """The chance of all numbers of heads that are as far from the middle, or farther."""
    b, c = discordant(first, second)
    k = np.arange(b + c + 1)
    return stats.binom.pmf(k, b + c, 0.5)[abs(2 * k - b - c) >= abs(b - c)].sum()


OTHER = [
    ("nested_groups", by_python),
    ("nested_groups", by_torch),
    ("nested_groups", by_rank),
    ("nested_groups", classes_in_random_turn),
    ("nested_groups", fewest_first),
    ("nested_groups", in_a_queue),
    ("nested_groups", sorted_groups),
    ("sensitivity_specificity", metrics.sensitivity_specificity),
    ("sensitivity_specificity", class_by_class),
    ("sensitivity_specificity", by_sklearn),
    ("sensitivity_specificity", by_recall),
    ("sensitivity_specificity", by_deleting),
    ("sensitivity_specificity", by_masks),
    ("sensitivity_specificity", in_fractions),
    ("sensitivity_specificity", rates_by_torch),
    ("sensitivity_specificity", by_einsum),
    ("mcnemar", metrics.mcnemar),
    ("mcnemar", exactly),
    ("mcnemar", in_decimals),
    ("mcnemar", patient_by_patient),
    ("mcnemar", by_logarithms),
    ("mcnemar", by_both_tails),
    ("mcnemar", lambda a, b: min(1.0, 2 * special.bdtr(min(discordant(a, b)), sum(discordant(a, b)), 0.5))),
    (
        "mcnemar",
        lambda a, b: torch.tensor(2 * stats.binom.cdf(min(discordant(a, b)), sum(discordant(a, b)), 0.5)).clamp(max=1),
    ),
]


# Wrong answers, and what the check must say to them


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
