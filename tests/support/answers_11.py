"""Right and wrong answers to the exercises of lesson 11, as students would write them."""

import heapq
import math

import numpy as np
import torch
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss
from torch.nn import functional as F

from medlab import metrics

TRIED = np.exp(np.linspace(-3, 3, 1200))


# The right answers, as a student would write them


def search(logits, targets, of=lambda logits, t: logits / t):
    def loss(t):
        return -log_softmax(of(logits, t), 1)[np.arange(len(targets)), targets].mean()

    return float(TRIED[np.argmin([loss(t) for t in TRIED])])


def by_rank(probs, targets, kept, cases=lambda probs, targets, k: probs[targets == k, k], more=1, few=0.0):
    found = []
    for k in range(probs.shape[1]):
        own = sorted(cases(probs, targets, k), reverse=True)
        rank = int(np.ceil((len(own) + more) * kept - 1e-9))
        found.append(own[rank - 1] if rank <= len(own) else own[-1] if few is None else few)
    return np.array(found)


RIGHT = {"temperature": [search], "class_thresholds": [by_rank]}


# Other right answers


def from_course(probs, targets, kept):
    found = np.zeros(probs.shape[1])
    for k in range(len(found)):
        try:
            found[k] = metrics.conformal_threshold(probs[targets == k], targets[targets == k], kept)
        except ValueError:  # too few cases
            pass
    return found


def case_by_case(logits, targets):
    best, least = 1.0, math.inf
    for t in 1.03 ** np.arange(-78, 79):
        loss = 0.0
        for row, target in zip(softmax(logits / t, axis=1), targets):
            loss -= math.log(row[target])
        if loss < least:
            best, least = t, loss
    return best


def log_losses(logits, targets):
    tried = np.geomspace(0.1, 10, 160)
    return tried[np.argmin([log_loss(targets, softmax(logits / t, 1), labels=range(logits.shape[1])) for t in tried])]


def all_at_once(logits, targets):
    logs = log_softmax(logits / np.geomspace(0.1, 10, 500)[:, None, None], axis=2)
    return np.geomspace(0.1, 10, 500)[logs[:, np.arange(len(targets)), targets].mean(1).argmax()]


def by_brent(logits, targets):
    def loss(t):
        return F.cross_entropy(torch.from_numpy(logits / t), torch.from_numpy(targets)).item()

    return minimize_scalar(loss, bounds=(0.1, 10), method="bounded").x


def by_simplex(logits, targets):
    rows = np.arange(len(targets))
    found = minimize(
        lambda log_t: -log_softmax(logits / np.exp(log_t), 1)[rows, targets].mean(), 0, method="Nelder-Mead"
    )
    return float(np.exp(found.x[0]))


def by_derivative(logits, targets):
    """Where the mean logit of the target is the mean that the probabilities expect."""
    own = logits[np.arange(len(targets)), targets].mean()
    return 1 / brentq(lambda sharp: (softmax(sharp * logits, 1) * logits).sum(1).mean() - own, 0.05, 15)


def by_lbfgs(logits, targets):
    logits, targets = torch.from_numpy(logits), torch.from_numpy(targets)
    sharp = torch.ones((), dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.LBFGS([sharp], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(logits * sharp, targets)
        loss.backward()
        return loss

    optimizer.step(closure)
    return 1 / sharp.detach()


def by_newton(logits, targets):
    sharp, own = 0.1, logits[np.arange(len(targets)), targets].mean()
    for _ in range(100):
        probs = softmax(sharp * logits, 1)
        expected = (probs * logits).sum(1)
        curvature = ((probs * logits**2).sum(1) - expected**2).mean()
        sharp += (own - expected.mean()) / curvature
    return 1 / sharp


def by_halving(logits, targets):
    """Golden sections of the range of log(T)."""

    def loss(log_t):
        return -log_softmax(logits * np.exp(-log_t), axis=1)[range(len(targets)), targets].sum()

    low, high, part = np.log(0.1), np.log(10), (5**0.5 - 1) / 2
    while high - low > 1e-3:
        a, b = high - part * (high - low), low + part * (high - low)
        low, high = (low, b) if loss(a) < loss(b) else (a, high)
    return math.exp((low + high) / 2)


def coarse_then_fine(logits, targets):
    low, high = 0.1, 10.0
    for _ in range(5):
        tried = np.linspace(low, high, 21)
        losses = [
            np.mean(np.log(np.exp(logits / t).sum(1)) - logits[np.arange(len(logits)), targets] / t) for t in tried
        ]
        at = int(np.argmin(losses))
        low, high = tried[max(at - 1, 0)], tried[min(at + 1, 20)]
    return (low + high) / 2


def by_counting(probs, targets, kept):
    """Each probability in turn: how many reach it?"""
    found = []
    for k in range(probs.shape[1]):
        own, best = probs[targets == k][:, k], 0.0
        for value in own:
            if (own >= value).sum() >= kept * (len(own) + 1) and value > best:
                best = value
        found.append(best)
    return np.array(found)


def by_heap(probs, targets, kept):
    found = np.zeros(probs.shape[1])
    for k in range(probs.shape[1]):
        own = [row[k] for row, target in zip(probs.tolist(), targets.tolist()) if target == k]
        rank = math.ceil(kept * (len(own) + 1))
        if rank <= len(own):
            found[k] = heapq.nlargest(rank, own)[-1]
    return found


def by_partition(probs, targets, kept):
    def threshold(own):
        rank = int(np.ceil(kept * (len(own) + 1)))
        return -np.partition(-own, rank - 1)[rank - 1] if rank <= len(own) else 0

    return np.stack([threshold(probs[targets == k, k]) for k in np.arange(probs.shape[1])])


def with_a_zero_below(probs, targets, kept):
    """0 stands after the cases, for a rank that is one too high."""
    found = {}
    for k in sorted(set(targets)):
        own = np.append(np.sort(probs[targets == k, k])[::-1], 0)
        found[k] = own[min(math.ceil((len(own)) * kept) - 1, len(own) - 1)]
    return np.array(list(found.values()))


def by_topk(probs, targets, kept):
    columns = []
    for k, column in enumerate(torch.from_numpy(probs).T):
        own = column[torch.from_numpy(targets) == k]
        rank = math.ceil(kept * (len(own) + 1))
        columns.append(own.topk(rank).values[-1] if rank <= len(own) else torch.zeros((), dtype=own.dtype))
    return torch.stack(columns).numpy()


def from_below(probs, targets, kept):
    """The smallest first: so many may lie below the threshold."""
    found = np.zeros(probs.shape[1])
    for k in range(len(found)):
        own = np.sort(probs[targets == k, k])
        left_out = math.floor(len(own) - kept * (len(own) + 1))
        found[k] = own[left_out] if left_out >= 0 else 0
    return found


def by_kth_value(probs, targets, kept):
    found = []
    for k in range(probs.shape[1]):
        own = torch.from_numpy(probs[targets == k, k])
        left = int(len(own) - np.ceil((len(own) + 1) * kept)) + 1
        found.append(own.kthvalue(left).values.item() if left > 0 else 0.0)
    return np.array(found, dtype=np.float32)


def by_quantile_of_scores(probs, targets, kept):
    """As conformal prediction is often written: a quantile of 1 - probability."""
    found = []
    for k in range(probs.shape[1]):
        scores = 1 - probs[targets == k, k]
        level = math.ceil((len(scores) + 1) * kept) / len(scores)
        found.append(1 - np.quantile(scores, level, method="inverted_cdf") if level <= 1 else 0.0)
    return np.array(found)


OTHER = [
    ("temperature", [lambda logits, targets: metrics.fit_temperature(softmax(logits, 1), targets)]),
    ("temperature", [case_by_case]),
    ("temperature", [log_losses]),
    ("temperature", [all_at_once]),
    ("temperature", [by_brent]),
    ("temperature", [by_simplex]),
    ("temperature", [by_derivative]),
    ("temperature", [by_lbfgs]),
    ("temperature", [by_newton]),
    ("temperature", [by_halving]),
    ("temperature", [coarse_then_fine]),
    ("class_thresholds", [from_course]),
    ("class_thresholds", [by_counting]),
    ("class_thresholds", [by_heap]),
    ("class_thresholds", [by_partition]),
    ("class_thresholds", [with_a_zero_below]),
    ("class_thresholds", [by_topk]),
    ("class_thresholds", [from_below]),
    ("class_thresholds", [by_kth_value]),
    ("class_thresholds", [by_quantile_of_scores]),
]


# Wrong answers, and what the check must say to them


def of_all(probs, targets, kept):
    return by_rank(probs, targets, kept, lambda p, t, k: p[np.arange(len(t)), t])


def of_predicted(probs, targets, kept):
    return by_rank(probs, targets, kept, lambda p, t, k: p[p.argmax(1) == k, k])


def smallest_first(probs, targets, kept):
    return -by_rank(-probs, targets, kept, few=None)


def by_quantile(probs, targets, kept):
    return np.array([np.quantile(probs[targets == k, k], 1 - kept) for k in range(probs.shape[1])])


WRONG = [
    ("temperature", [lambda x, y: 1 / search(x, y)], "1 / T"),
    ("temperature", [lambda x, y: search(x, y, lambda x, t: x * t)], "1 / T"),
    ("temperature", [lambda x, y: search(softmax(x, 1), y)], "divide the logits"),
    ("temperature", [lambda x, y: search(x, x.argmax(1))], "the *largest* probability"),
    ("temperature", [lambda x, y: 1.0], "nothing was fitted"),
    ("temperature", [lambda x, y: np.log(search(x, y))], "log(T)"),
    ("class_thresholds", [of_all], "for every class the same"),
    ("class_thresholds", [lambda p, t, kept: by_rank(p, t, kept, lambda p, t, k: p[:, k])], "*of class k* only"),
    ("class_thresholds", [of_predicted], "not by the predicted class"),
    ("class_thresholds", [smallest_first], "the largest first"),
    ("class_thresholds", [lambda p, t, kept: by_rank(p, t, kept, more=0)], "n + 1 cases"),
    ("class_thresholds", [by_quantile], "by its rank"),
    ("class_thresholds", [lambda p, t, kept: by_rank(p, t, kept, few=None)], "then the threshold is 0"),
    ("class_thresholds", [lambda p, t, kept: by_rank(p, t, kept).tolist()], "not a NumPy array"),
    ("class_thresholds", [lambda p, t, kept: float(by_rank(p, t, kept)[0])], "not a NumPy array"),
]
