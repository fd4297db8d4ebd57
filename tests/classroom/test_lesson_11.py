"""The right answers of lesson 11 against the course."""

import numpy as np
from answers_11 import by_rank, from_course, search


def test_the_worked_numbers():
    assert round(search(np.tile([2.0, 0.0], (4, 1)), np.array([0, 0, 0, 1])), 2) == 1.82
    worked = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    assert by_rank(worked, np.array([0, 0, 0, 1]), 0.5).tolist() == [0.7, 0.8]
    for cases, lowest in ((7, 0.0), (9, 0.1)):  # of a class, for a promise of 90 %: eight of seven cannot keep it
        probs = np.linspace(0.1, 0.9, cases)
        assert from_course(np.stack([probs, 1 - probs], 1), np.zeros(cases, int), 0.9)[0] == lowest


def test_new_cases_of_every_class_keep_the_promise():
    """The share kept of many new cases, mean over validation sets of 30 cases of the rare class."""
    rng = np.random.default_rng(0)

    def draw(n, rare):
        targets = np.r_[np.zeros(n, int), np.ones(rare, int)]
        risk = 1 / (1 + np.exp(-rng.normal(2.5 * targets - 3, 1)))
        return np.stack([1 - risk, risk], 1), targets

    shares = []
    for _ in range(200):
        thresholds = from_course(*draw(300, 30), 0.9)
        probs, targets = draw(300, 300)
        kept = probs[np.arange(600), targets] >= thresholds[targets]
        shares.append([kept[targets == k].mean() for k in (0, 1)])
    assert np.all(np.abs(np.mean(shares, 0) - 0.905) < 0.01)
