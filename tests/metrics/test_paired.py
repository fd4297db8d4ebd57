"""Two classifiers on the same patients: exact McNemar; and sensitivity and specificity of the paper's own tables."""

import numpy as np
import pytest
from scipy.stats import binomtest

from medlab.metrics import mcnemar, sensitivity_specificity

# Frid-Adar et al. 2018, rows true: cyst, metastasis, hemangioma.
CLASSIC = np.array([[52, 1, 0], [2, 44, 18], [0, 18, 47]])
WITH_DCGAN = np.array([[53, 0, 0], [2, 52, 10], [1, 13, 51]])


@pytest.mark.parametrize(
    ("confusion", "printed", "means"),
    [
        (CLASSIC, [[98.1, 98.4], [68.7, 83.9], [72.3, 84.6]], [78.6, 88.4]),
        (WITH_DCGAN, [[100, 97.7], [81.2, 89.0], [78.5, 91.4]], [85.7, 92.4]),
    ],
)
def test_the_papers_tables_give_its_percentages(confusion, printed, means):
    rates = sensitivity_specificity(confusion)
    assert (np.abs(100 * rates - printed) < 0.1).all()  # printed to one digit, some cut rather than rounded
    weights = confusion.sum(1) / confusion.sum()
    assert np.abs(100 * weights @ rates - means).max() < 0.1
    assert weights @ rates[:, 0] == pytest.approx(np.trace(confusion) / 182)  # the headline is plain accuracy


def test_the_gain_is_13_lesions():
    assert CLASSIC.sum() == WITH_DCGAN.sum() == 182 and (CLASSIC.sum(1) == [53, 64, 65]).all()
    assert np.trace(WITH_DCGAN) - np.trace(CLASSIC) == 156 - 143 == 13


def test_sensitivity_and_specificity_by_hand():
    rates = sensitivity_specificity([[2, 1], [0, 3]])
    np.testing.assert_allclose(rates, [[2 / 3, 1], [1, 2 / 3]])
    assert np.isnan(sensitivity_specificity([[0, 0], [1, 2]])[0, 0])
    with pytest.raises(ValueError, match=r"square, \(K, K\), got \(2, 3\)"):
        sensitivity_specificity(np.ones((2, 3)))


def test_mcnemar_is_the_exact_binomial_test():
    rng = np.random.default_rng(0)
    for n in (1, 8, 60, 182):
        first, second = rng.random((2, n)) < [[0.8], [0.7]]
        only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
        expected = binomtest(only_first, only_first + only_second).pvalue if only_first + only_second else 1
        assert mcnemar(first, second) == pytest.approx(expected)
        assert mcnemar(second, first) == mcnemar(first, second)
    assert mcnemar(np.ones(13, bool), np.zeros(13, bool)) == pytest.approx(2 / 2**13)
    assert mcnemar(np.ones(5, bool), np.ones(5, bool)) == 1  # no discordant image


def test_mcnemar_refuses_what_it_cannot_compare():
    with pytest.raises(ValueError, match="True or False per image"):
        mcnemar([True, False], [True])
    with pytest.raises(ValueError, match="True or False per image"):
        mcnemar([1, 0], [1, 1])
