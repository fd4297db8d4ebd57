"""Intervals: what they cover, and what they do where there is too little to resample."""

import math

import numpy as np
import pytest
from coverage_designs import DESIGNS, EXCEPTIONS, covered
from scipy import stats

from medlab.metrics import (
    bootstrap_ci,
    calibration,
    classification_report,
    mean_interval,
    paired_difference,
    segmentation_report,
    success_rate,
)

QUICK = [  # one design of each kind, cheap enough for a test
    ("mean_interval", "3 seeds, normal"),
    ("mean_interval", "5 seeds, logs of skewed"),
    ("mean_interval", "20 seeds, modes 0 to 8"),
    ("paired_difference (S, P)", "3 seeds, 30 patients"),
    ("paired_difference (S, P)", "5 seeds, 60 patients"),
    ("weighted_bootstrap", "accuracy, 5 patients of 4"),
    ("weighted_bootstrap", "accuracy, 16 patients of 4"),
    ("bootstrap_ci", "Dice, 5 patients"),
    ("classification_report", "AUC, 5 of the class"),
]


@pytest.mark.parametrize("name", QUICK, ids=" ".join)
def test_an_interval_covers_what_it_promises(name):
    """400 trials measure 95 % to within 2.2 points (two standard errors); the benchmark does it finer."""
    assert name not in EXCEPTIONS
    share, none, _ = covered(DESIGNS[name], 400, np.random.default_rng(1))
    assert 0.925 <= share <= 0.985 and none == 0


def test_the_patients_of_shared_test_sets_are_in_the_interval():
    """A t interval over seeds that share their patients lacks them; the crossed one does not."""
    rng, crossed, over_seeds = np.random.default_rng(0), 0, 0
    for _ in range(300):
        a = rng.normal(0, 0.02, (5, 1)) + rng.normal(0, 0.1, (1, 30)) + rng.normal(0, 0.1, (5, 30))
        interval, naive = paired_difference(a, 0 * a), mean_interval(a.mean(1))
        crossed += interval.low <= 0 <= interval.high
        over_seeds += naive.low <= 0 <= naive.high
        assert interval.value == pytest.approx(a.mean())
    assert crossed >= 0.93 * 300 and over_seeds < 0.9 * 300


@pytest.mark.parametrize("units", [1, 2])
def test_no_interval_from_fewer_than_three(units):
    with pytest.warns(UserWarning, match=f"only {'one' if units == 1 else units} "):
        assert math.isnan(mean_interval([0.5, 0.6][:units]).low)
    with pytest.warns(UserWarning, match="so no interval"):
        groups = np.arange(6) % units
        assert math.isnan(bootstrap_ci(np.mean, np.arange(6.0), groups=groups, bounds=(0, 5)).high)
    with pytest.warns(UserWarning, match="at least three of each"):
        assert math.isnan(paired_difference(np.ones((units, 9)), np.zeros((units, 9))).low)


def test_ten_of_ten_is_not_certain():
    exact = stats.binomtest(10, 10).proportion_ci(0.95)
    for interval in (
        bootstrap_ci(np.mean, np.ones(10), bounds=(0, 1)),
        mean_interval(np.ones(10), bounds=(0, 1)),
        success_rate(10, 10),
    ):
        assert interval == pytest.approx((1.0, exact.low, 1.0))
    assert bootstrap_ci(np.mean, np.zeros(10), bounds=(0, 1)).high == pytest.approx(1 - exact.low)
    assert math.isnan(bootstrap_ci(np.mean, np.ones(10)).low), "without bounds nothing can be said"
    assert math.isnan(mean_interval([0.5] * 5).low)


def test_a_class_of_few_patients_has_an_interval_of_its_own_size():
    """Nine of nine sick patients found among many others: the interval of the recall is that of nine."""
    targets = np.repeat([0, 1], [200, 9])
    probs = np.stack([1 - 0.9 * targets, 0.9 * targets], 1)
    recall = classification_report(probs, targets, resamples=50).per_class["1"].recall
    assert recall == pytest.approx((1.0, 0.025 ** (1 / 9), 1.0))
    two = np.repeat([0, 1], [200, 2])
    report = classification_report(np.stack([1 - 0.9 * two, 0.9 * two], 1), two, resamples=50)
    assert math.isnan(report.per_class["1"].recall.low) and math.isnan(report.auc.low)
    assert report.accuracy.low < 1


def test_perfect_masks_are_not_certain():
    targets = np.zeros((5, 8, 8), int)
    targets[:, 2:5, 2:5] = 1
    report = segmentation_report(targets, targets, resamples=20)
    assert report.dice == pytest.approx((1.0, 0.025 ** (1 / 5), 1.0))
    assert report.hd95.value == 0 and math.isnan(report.hd95.high), "a distance has no upper bound"


def test_a_calibration_error_lies_in_its_interval():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.5, 1, 60)
    probs, targets = np.stack([1 - p, p], 1), (rng.random(60) < p).astype(int)
    report = classification_report(probs, targets)
    assert report.ece.value == pytest.approx(calibration(probs, targets).ece)
    assert report.ece.low < report.ece.value < report.ece.high
    assert report.ece.value - report.ece.low > 0.02, "resampling inflates it: uncorrected, the low end was the value"


def test_success_rate_needs_counts():
    for wrong in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match="give counts"):
            success_rate(*wrong)
