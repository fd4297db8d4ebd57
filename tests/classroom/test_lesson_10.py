"""The right answers of lesson 10 against the course."""

import numpy as np
from answers_10 import pairs, rates


def test_the_worked_numbers():
    assert pairs(np.array([1, 2]), np.array([2, 3])) == 0.875
    worked = rates(np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3]]), np.array([0, 1, 1]), 0.35)
    assert worked.round(3).tolist() == [0.667, 1, 0.5]
