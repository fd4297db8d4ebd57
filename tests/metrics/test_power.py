"""Planning: the numbers promised are those that simulated experiments reach."""

import numpy as np
import pytest
from scipy import stats

from medlab.metrics import interval_floor, mean_interval, paired_difference, seeds_needed, smallest_detectable

PILOT = np.array([0.01, -0.02, 0.03, 0.0, 0.04])


def found(difference, seeds, rng, trials=2000):
    """Share of experiments whose interval lies above 0, for a true difference in deviations of the pilot."""
    draws = rng.normal(difference, PILOT.std(ddof=1), (trials, seeds))
    return np.mean(stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05)


@pytest.mark.parametrize("margin", [0.05, 0.02, 0.01])
def test_the_planned_seeds_find_the_margin_in_eighty_percent(margin):
    n, rng = seeds_needed(PILOT, margin), np.random.default_rng(0)
    assert 0.77 <= found(margin, n, rng) and found(margin, n - 1, rng) <= 0.83


def test_detectable_is_the_inverse_of_needed():
    rng = np.random.default_rng(0)
    for n in (3, 5, 20):
        size = smallest_detectable(PILOT, n)
        assert found(size, n, rng) == pytest.approx(0.8, abs=0.03)
        assert seeds_needed(PILOT, size * 1.001) == n
    assert smallest_detectable(PILOT) == smallest_detectable(PILOT, 5)
    assert smallest_detectable(PILOT, power=0.9) > smallest_detectable(PILOT)


def test_more_seeds_do_not_pass_the_floor():
    """With 400 seeds on the same 20 patients the interval is as wide as the floor that a pilot of five foretold."""
    rng = np.random.default_rng(0)
    patients = rng.normal(0, 0.1, (1, 20))

    def experiment(seeds):
        return rng.normal(0, 0.02, (seeds, 1)) + patients + rng.normal(0, 0.1, (seeds, 20))

    floor = interval_floor(experiment(5))
    many = paired_difference(*(experiment(400), np.zeros((400, 20))))
    assert floor == pytest.approx((many.high - many.low) / 2, rel=0.25)
    naive = mean_interval(experiment(400).mean(1))
    assert (naive.high - naive.low) / 2 < floor / 5, "over seeds alone the patients would be missing"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: seeds_needed([0.1, 0.2], 0.1), "at least 3 seeds"),
        (lambda: seeds_needed([0.1, np.nan, 0.2], 0.1), "without NaN"),
        (lambda: seeds_needed(PILOT, 0), "margin must be positive"),
        (lambda: seeds_needed(PILOT, 0.1, power=80), "between 0 and 1"),
        (lambda: smallest_detectable(PILOT, 2), "seeds must be a whole number of at least 3"),
        (lambda: interval_floor(PILOT), "by seed and patient"),
    ],
)
def test_bad_plans_say_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
