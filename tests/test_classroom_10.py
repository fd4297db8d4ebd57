"""The checks of lesson 10: right answers pass, known wrong ones are told what is wrong."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from medlab import metrics
from medlab.classroom import check

TRIED = np.exp(np.linspace(-3, 3, 1200))


def pairs(members, others):
    gap = others[None, :] - members[:, None]
    return float(((gap > 0) + 0.5 * (gap == 0)).mean())


def search(logits, targets, of=lambda logits, t: logits / t):
    def loss(t):
        return -log_softmax(of(logits, t), 1)[np.arange(len(targets)), targets].mean()

    return float(TRIED[np.argmin([loss(t) for t in TRIED])])


def rates(probs, targets, threshold):
    held = probs[np.arange(len(targets)), targets] >= threshold
    return np.array([held.mean(), *(held[targets == k].mean() for k in range(probs.shape[1]))])


def from_course(probs, targets, threshold):
    held = metrics.prediction_sets(probs, threshold)[np.arange(len(targets)), targets]
    return np.array([held.mean(), *(held[targets == k].mean() for k in np.unique(targets))])


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("membership", pairs),
        ("temperature", search),
        ("temperature", lambda logits, targets: metrics.fit_temperature(softmax(logits, 1), targets)),
        ("coverage", rates),
        ("coverage", from_course),
    ],
)
def test_right_answers_pass(name, answer, capsys):
    assert getattr(check, name)(answer)
    assert capsys.readouterr().out == f"Exercise {name}: passed\n"


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("membership", lambda a, b: pairs(b, a), "members are *closer*"),
        ("membership", lambda a, b: float((a[:, None] < b).mean()), "one half, not 0"),
        ("membership", lambda a, b: float((a[:, None] <= b).mean()), "one half, not 1"),
        ("membership", lambda a, b: 100 * pairs(a, b), "in per cent"),
        ("membership", lambda a, b: a[:, None] < b, "a number"),
        ("temperature", lambda x, y: 1 / search(x, y), "1 / T"),
        ("temperature", lambda x, y: search(x, y, lambda x, t: x * t), "1 / T"),
        ("temperature", lambda x, y: search(softmax(x, 1), y), "divide the logits"),
        ("temperature", lambda x, y: 1.0, "nothing was fitted"),
        ("coverage", lambda p, y, t: rates(p, y, t)[1:], "the shape is"),
        ("coverage", lambda p, y, t: np.array([rates(p, y, t)[1:].mean(), *rates(p, y, t)[1:]]), "mean of the classes"),
        ("coverage", lambda p, y, t: rates(p, y, t + 1e-9), ">=, not >"),
        ("coverage", lambda p, y, t: rates((p == p.max(1, keepdims=True)) * 1.0, y, 0.5), "this is the accuracy"),
        ("coverage", lambda p, y, t: float(rates(p, y, t)[0]), "not a NumPy array"),
    ],
)
def test_wrong_answers_are_told_why(name, answer, said, capsys):
    assert not getattr(check, name)(answer)
    assert said in capsys.readouterr().out
