"""The right answers of lesson 09 against the course."""

import numpy as np
import torch
from answers_09 import closeness, inception_score, p_value


def test_the_worked_numbers():
    assert round(float(closeness(torch.tensor([[[0.0]], [[0.7]]]))[0]), 3) == 1.497
    assert round(inception_score(np.array([[1.0, 0.0], [0.5, 0.5]])), 3) == 1.241
    assert round(p_value(9, 10), 4) == 0.0215
    assert round(p_value(177, 302), 3) == 0.003 and p_value(17, 29) > 0.4
