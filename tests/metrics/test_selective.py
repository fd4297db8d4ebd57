"""Temperature, conformal sets and abstaining against worked numbers and against what they promise."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from medlab.metrics import (
    calibration,
    conformal_threshold,
    fit_temperature,
    prediction_sets,
    risk_coverage,
    scale_temperature,
)


def softmax(logits):
    return torch.softmax(torch.as_tensor(logits), 1).numpy()


def drawn(n, sharpness, classes=3, seed=0):
    """Logits, and classes drawn with the probabilities of these logits; a network that is `sharpness` times as sure."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.standard_normal((n, classes))
    targets = np.array([rng.choice(classes, p=p / p.sum()) for p in softmax(logits).astype(float)])
    return softmax(sharpness * logits), targets


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_wrong_confidence(sharpness):
    probs, targets = drawn(4000, sharpness)
    temperature = fit_temperature(probs, targets)
    assert temperature == pytest.approx(sharpness, rel=0.08)
    scaled = scale_temperature(probs, temperature)
    grid = [log_loss(targets, scale_temperature(probs, t)) for t in np.geomspace(0.2, 5, 60)]
    assert log_loss(targets, scaled) <= min(grid) + 1e-5
    assert (scaled.argmax(1) == probs.argmax(1)).all()
    assert calibration(scaled, targets).ece < 0.03


def test_temperature_1_changes_nothing_and_a_high_one_leaves_even_odds():
    probs = np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(scale_temperature(probs, 1.0), probs, atol=1e-9)
    np.testing.assert_allclose(scale_temperature(probs[:1], 2.0)[0, 0], 0.7**0.5 / (0.7**0.5 + 0.2**0.5 + 0.1**0.5))
    np.testing.assert_allclose(scale_temperature(probs[:1], 1e6), np.full((1, 3), 1 / 3), atol=1e-5)


def test_a_worked_threshold():
    true = np.array([0.9, 0.8, 0.6, 0.3])  # probabilities of the true class of four cases
    probs, targets = np.stack([1 - true, true], 1), np.ones(4, int)
    assert conformal_threshold(probs, targets, 0.6) == 0.6  # the third of (4 + 1) 0.6 = 3
    assert conformal_threshold(probs, targets, 0.8) == 0.3
    with pytest.raises(ValueError, match="4 cases cannot guarantee a coverage of 0.9: take 9 or more, or cover less"):
        conformal_threshold(probs, targets, 0.9)
    assert prediction_sets([[0.3, 0.7], [0.5, 0.5], [0.05, 0.95]], 0.3).tolist() == [
        [True, True], [True, True], [False, True],
    ]  # fmt: skip


@pytest.mark.parametrize("coverage", [0.7, 0.9])
def test_sets_hold_the_truth_as_often_as_promised_over_many_draws(coverage):
    held = []
    for seed in range(200):
        probs, targets = drawn(60, 3.0, seed=seed)  # a network that is far too sure
        threshold = conformal_threshold(probs[:40], targets[:40], coverage)
        held.append(prediction_sets(probs[40:], threshold)[np.arange(20), targets[40:]].mean())
    assert coverage - 0.02 < np.mean(held) < coverage + 0.045  # 1 / (n + 1) and three standard errors


def test_risk_against_coverage_by_hand():
    found = risk_coverage([0.9, 0.6, 0.8, 0.5], [True, False, False, True])
    np.testing.assert_allclose(found.coverage, [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(found.risk, [0, 1 / 2, 2 / 3, 2 / 4])
    assert found.area == pytest.approx(np.mean(found.risk))
    np.testing.assert_allclose(risk_coverage([1, 1, 1, 1], [1, 0, 0, 1]).risk, 0.5)  # ties: in no order


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_temperature([[2.0, -1.0]], [0]), "these look like logits; apply softmax"),
        (lambda: fit_temperature(np.zeros((0, 2)), np.zeros(0, int)), "probs are empty"),
        (lambda: fit_temperature([[0.5, 0.5]], [2]), "must be a whole number from 0 to 1"),
        (lambda: fit_temperature([[0.5, 0.5]], [[0, 1]]), "one class per case"),
        (lambda: scale_temperature([[0.5, 0.5]], 0), "temperature must be positive, got 0"),
        (lambda: conformal_threshold([[0.5, 0.5]], [0], 1.0), "coverage must lie between 0 and 1, got 1.0"),
        (lambda: risk_coverage([1.0], [True, False]), r"confidence and correct must be \(N,\) both"),
        (lambda: risk_coverage([float("nan")], [True]), "1 confidences are NaN"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
