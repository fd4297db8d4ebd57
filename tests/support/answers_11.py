"""Right and wrong answers to the exercises of lesson 11, as students would write them."""

import numpy as np
from scipy.special import log_softmax, softmax

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


OTHER = [
    ("temperature", [lambda logits, targets: metrics.fit_temperature(softmax(logits, 1), targets)]),
    ("class_thresholds", [from_course]),
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
