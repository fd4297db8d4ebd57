"""The right answers of lesson 10 against the course."""

import numpy as np
from answers_10 import pairs, share


def test_the_worked_numbers():
    assert pairs(np.array([1, 2]), np.array([2, 3])) == 0.875
    assert share(np.array([[0.0], [5.0]]), np.array([[1.0], [9.0]]), np.array([[3.0], [5.0]])) == 0.5


def test_a_copier_is_nearer_to_training_and_a_stranger_is_not():
    rng = np.random.default_rng(0)
    training, held_out, strangers = rng.normal(size=(3, 200, 4))
    assert share(training + 0.01, training, held_out) > 0.95
    assert abs(share(strangers, training, held_out) - 0.5) < 0.1
