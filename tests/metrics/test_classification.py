"""Metrics against hand-computed values, scikit-learn and torchmetrics; intervals against simulated truth."""

import json
import math
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from scipy.stats import t as student
from sklearn import metrics as sk
from torchmetrics.functional.classification import multiclass_calibration_error, multilabel_auroc

from medlab.metrics import (
    bootstrap_ci,
    calibration,
    classification_report,
    mean_interval,
    paired_difference,
)


def simulated(n: int, kinds: int, seed: int = 0, signal: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, kinds, n)
    logits = rng.normal(size=(n, kinds))
    logits[np.arange(n), targets] += signal
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return np.round(probs[:, :-1], 2), targets  # rounded, so that there are ties


def softmax(n: int, kinds: int, seed: int = 0, signal: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    most, targets = simulated(n, kinds, seed, signal)
    return np.column_stack([most, np.maximum(1 - most.sum(1), 0)]), targets


@pytest.mark.parametrize("kinds", [2, 3, 6])
def test_values_equal_scikit_learn(kinds):
    probs, targets = softmax(400, kinds)
    report = classification_report(torch.tensor(probs), torch.tensor(targets), resamples=20)
    predicted = probs.argmax(1)
    auc = sk.roc_auc_score(targets, probs[:, 1] if kinds == 2 else probs, multi_class="ovr")
    assert report.auc.value == pytest.approx(auc, abs=1e-12)
    assert report.accuracy.value == pytest.approx(sk.accuracy_score(targets, predicted))
    assert report.balanced_accuracy.value == pytest.approx(sk.balanced_accuracy_score(targets, predicted))
    assert report.macro_f1.value == pytest.approx(sk.f1_score(targets, predicted, average="macro"))
    assert (report.confusion == sk.confusion_matrix(targets, predicted)).all()
    expected = sk.precision_recall_fscore_support(targets, predicted)
    for k, one in enumerate(report.per_class.values()):
        got = (one.precision.value, one.recall.value, one.f1.value, one.images)
        assert got == pytest.approx([column[k] for column in expected])
        false, true, _ = sk.roc_curve(targets == k, probs[:, k], drop_intermediate=False)
        assert one.sensitivity.value == pytest.approx(true[1 - false >= 0.9 - 1e-9].max())
    per_class = [one.sensitivity.value for one in report.per_class.values()]
    assert report.sensitivity.value == pytest.approx(per_class[1] if kinds == 2 else np.mean(per_class))


def test_resampled_scores_are_those_of_the_resampled_images():
    """The weights of the fast path mean the same as drawing the images: same draws, same interval."""
    probs, targets = softmax(120, 3)
    patients = np.arange(120) // 4
    report = classification_report(probs, targets, patients=patients, resamples=60, seed=3)
    slow = {
        "auc": lambda p, y: sk.roc_auc_score(y, p, multi_class="ovr"),
        "accuracy": lambda p, y: sk.accuracy_score(y, p.argmax(1)),
        "macro_f1": lambda p, y: sk.f1_score(y, p.argmax(1), average="macro"),
    }
    for name, metric in slow.items():
        expected = bootstrap_ci(metric, probs, targets, groups=patients, resamples=60, seed=3)
        assert getattr(report, name) == pytest.approx(expected), name


def test_multi_label_values():
    rng = np.random.default_rng(1)
    targets = rng.integers(0, 2, (300, 4))
    probs = 1 / (1 + np.exp(-(rng.normal(size=(300, 4)) + 2 * targets - 1)))
    report = classification_report(probs, targets, classes=list("abcd"), resamples=20)
    assert report.auc.value == pytest.approx(float(multilabel_auroc(torch.tensor(probs), torch.tensor(targets), 4)))
    assert report.accuracy.value == pytest.approx(((probs >= 0.5) == targets).mean())
    assert report.macro_f1.value == pytest.approx(sk.f1_score(targets, probs >= 0.5, average="macro"))
    each = [sk.balanced_accuracy_score(targets[:, k], probs[:, k] >= 0.5) for k in range(4)]
    assert report.balanced_accuracy.value == pytest.approx(np.mean(each))
    assert report.confusion.shape == (4, 2, 2)
    assert (
        report.confusion[2].ravel().tolist() == sk.confusion_matrix(targets[:, 2], probs[:, 2] >= 0.5).ravel().tolist()
    )


def test_worked_example_by_hand():
    probs = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8], [0.55, 0.45]])
    report = classification_report(probs, [0, 0, 0, 1, 1], specificity=0.6, resamples=10)
    assert report.accuracy.value == pytest.approx(3 / 5)
    assert report.balanced_accuracy.value == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert report.auc.value == pytest.approx(5 / 6)  # one of six pairs is in the wrong order
    assert report.sensitivity.value == 1.0  # with 0.45 as threshold two of three negatives stay below
    assert classification_report(probs, [0, 0, 0, 1, 1], specificity=1, resamples=10).sensitivity.value == 0.5
    assert report.confusion.tolist() == [[2, 1], [1, 1]]


def test_calibration_agrees_with_torchmetrics():
    probs, targets = softmax(1000, 4, signal=0.3)
    rng = np.random.default_rng(0)
    probs = probs * (1 - 1e-3) + 1e-3 * rng.dirichlet(np.ones(4), 1000)  # off the edges of the bins
    for bins in (5, 15):
        expected = multiclass_calibration_error(torch.tensor(probs), torch.tensor(targets), 4, n_bins=bins, norm="l1")
        got = calibration(probs, targets, bins)
        assert got.ece == pytest.approx(float(expected), abs=1e-6)  # torchmetrics counts in float32
        assert got.count.sum() == 1000 and len(got.count) == bins
    assert classification_report(probs, targets, resamples=5).ece.value == pytest.approx(got.ece)


def test_calibration_by_hand():
    probs = np.array([[1.0, 0.0], [0.95, 0.05], [0.7, 0.3], [0.7, 0.3]])
    result = calibration(probs, [0, 1, 0, 0], bins=5)  # a confidence of 1 shares the last bin
    assert result.count.tolist() == [0, 0, 0, 2, 2]
    assert result.accuracy[3:].tolist() == [1.0, 0.5] and np.isnan(result.accuracy[:3]).all()
    assert result.ece == pytest.approx(0.5 * 0.3 + 0.5 * 0.475)


def clustered(rng: np.random.Generator, patients: int, each: int) -> tuple[np.ndarray, np.ndarray]:
    """Right or wrong per image: patients differ in how easy they are, 70 % right on average."""
    ease = rng.beta(1.4, 0.6, patients)
    return (rng.random((patients, each)) < ease[:, None]).ravel().astype(float), np.arange(patients).repeat(each)


def test_bootstrap_by_patient_is_wider_and_covers():
    rng, hits = np.random.default_rng(0), {"patient": 0, "image": 0}
    for trial in range(120):
        right, patients = clustered(rng, 40, 10)
        by = {"patient": patients, "image": None}
        found = {
            name: bootstrap_ci(np.mean, right, groups=groups, resamples=150, seed=trial) for name, groups in by.items()
        }
        assert found["patient"].high - found["patient"].low > found["image"].high - found["image"].low
        for name, interval in found.items():
            hits[name] += interval.low <= 0.7 <= interval.high
    assert 0.87 <= hits["patient"] / 120 <= 1.0
    assert hits["image"] / 120 < 0.8  # resampling images of the same patient claims too much


def test_report_resamples_by_patient():
    right, patients = clustered(np.random.default_rng(5), 40, 10)
    targets = np.arange(400) % 2
    predicted = np.where(right == 1, targets, 1 - targets)
    probs = np.where(np.eye(2)[predicted] == 1, 0.8, 0.2)
    by_patient = classification_report(probs, targets, patients=[f"p{i:02d}" for i in patients]).accuracy
    by_image = classification_report(probs, targets).accuracy
    assert by_patient.value == by_image.value == pytest.approx(right.mean())
    assert by_patient.high - by_patient.low > 1.5 * (by_image.high - by_image.low)
    assert classification_report(probs, targets, patients=patients, seed=0).accuracy == by_patient


def test_t_interval():
    values = [0.81, 0.83, 0.80, 0.84, 0.82]
    expected = student.interval(0.9, 4, np.mean(values), np.std(values, ddof=1) / math.sqrt(5))
    assert mean_interval(values, 0.9)[1:] == pytest.approx(expected)
    rng = np.random.default_rng(0)
    covered = [low <= 1 <= high for _, low, high in (mean_interval(rng.normal(1, 2, 4)) for _ in range(2000))]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)
    difference = paired_difference([0.9, 0.8, 0.7], [0.85, 0.74, 0.66])
    assert difference.value == pytest.approx(0.05) and difference.low > 0  # paired: the seeds' spread cancels
    assert mean_interval([0.9, 0.8, 0.7]).low < mean_interval([0.85, 0.74, 0.66]).value
    with pytest.warns(UserWarning, match="at least three"):
        assert math.isnan(mean_interval([0.5]).low)


def test_empty_class_is_named_and_left_out():
    probs, targets = softmax(200, 3)
    two = targets < 2
    with pytest.warns(UserWarning, match="no image of class fibrosis"):
        report = classification_report(
            probs[two], targets[two], classes=["normal", "emphysema", "fibrosis"], resamples=50
        )
    missing = report.per_class["fibrosis"]
    assert all(math.isnan(score.value) for score in (missing.recall, missing.f1, missing.auc, missing.precision))
    others = [report.per_class[name] for name in ("normal", "emphysema")]
    for name, mean in (("auc", report.auc), ("f1", report.macro_f1), ("recall", report.balanced_accuracy)):
        assert mean.value == pytest.approx(np.mean([getattr(one, name).value for one in others]))
        assert mean.low < mean.value < mean.high
    assert "not defined" in report._repr_html_() and "not defined" in str(report)


def test_one_patient_has_no_interval():
    probs, targets = softmax(50, 2)
    with pytest.warns(UserWarning, match="only one patient"):
        report = classification_report(probs, targets, patients=["p1"] * 50)
    assert not math.isnan(report.auc.value) and math.isnan(report.auc.low)
    assert "no interval" in str(report)
    with pytest.warns(UserWarning, match="only one patient"):
        assert math.isnan(bootstrap_ci(np.mean, targets, groups=np.zeros(50)).high)


def test_report_prints_and_is_valid_json():
    probs, targets = softmax(100, 3)
    report = classification_report(probs, targets, classes=["a", "<b>", "c"], patients=np.arange(100) // 2)
    assert "100 images of 50 patients, 95% intervals resampled by patient; sensitivity at 90% specificity" in str(
        report
    )
    alone = classification_report(probs, targets, classes=["a", "<b>", "c"])
    assert "100 images, every image counts as its own patient, 95% intervals resampled by patient;" in str(alone)
    assert f"{report.auc:.3f}" in str(report) and f"{report.per_class['c'].recall:.3f}" in str(report)
    assert "&lt;b&gt;" in report._repr_html_() and "<b>" not in report._repr_html_()
    frame = report.to_frame()
    assert tuple(frame.loc["<b>", "auc"]) == report.per_class["<b>"].auc and len(frame) == 6 + 3 * 5
    assert tuple(frame.loc["all classes", "macro_f1"]) == report.macro_f1 and list(frame) == ["value", "low", "high"]
    numbers = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert numbers["auc"]["low"] < numbers["auc"]["value"] < numbers["auc"]["high"]
    assert numbers["per_class"]["<b>"]["images"] == (targets == 1).sum()
    with pytest.warns(UserWarning):
        alone = classification_report(probs, targets, patients=np.zeros(100))
    assert json.loads(json.dumps(alone.to_dict(), allow_nan=False))["auc"]["low"] is None


GOOD = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])


@pytest.mark.parametrize(
    ("probs", "targets", "options", "message"),
    [
        (GOOD, [0, 1], {}, "3 rows of probs but 2 targets"),
        (GOOD * 9 - 3, [0, 1, 1], {}, "apply softmax"),
        (GOOD * 0.5, [0, 1, 1], {}, "adds up to 0.5.*apply softmax"),
        (GOOD * 9 - 3, np.eye(2, dtype=int)[[0, 1, 1]], {}, "apply sigmoid"),
        (GOOD, [0, 1, 2], {}, "target 2 is out of range"),
        (GOOD, [0, -1, 1], {}, "target -1 is out of range"),
        (GOOD, [0, 0.5, 1], {}, "target 0.5 is out of range: must be a whole number"),
        (np.where(GOOD == 0.4, np.nan, GOOD), [0, 1, 1], {}, "NaN in 1 rows"),
        (GOOD[:, 1], [0, 1, 1], {}, r"stack \[1 - p, p\]"),
        (GOOD[:0], [], {}, "probs are empty"),
        (GOOD, [0, 1, 1], {"patients": [1, 2]}, "one patient id per image"),
        (GOOD, [0, 1, 1], {"classes": ["a"]}, "2 different names"),
        (GOOD, [0, 1, 1], {"level": 95}, "level must lie between 0 and 1"),
        (GOOD, [0, 1, 1], {"specificity": 90}, "0.9 means 90 %"),
        (GOOD, [0, 1, 1], {"resamples": 0}, "at least 1"),
    ],
)
def test_bad_input_says_what_to_do(probs, targets, options, message):
    with pytest.raises(ValueError, match=message):
        classification_report(probs, targets, **options)


def test_bad_input_of_intervals():
    with pytest.raises(ValueError, match="different lengths"):
        bootstrap_ci(lambda a, b: 0.0, [1, 2], [1])
    with pytest.raises(ValueError, match="nothing to resample"):
        bootstrap_ci(np.mean, [])
    with pytest.raises(ValueError, match="1 of 2 scores are NaN"):
        mean_interval([0.5, math.nan])
    with pytest.raises(ValueError, match="in the same order"):
        paired_difference([1, 2], [1])
    with pytest.raises(ValueError, match="bins must be"):
        calibration(GOOD, [0, 1, 1], bins=0)


def test_bootstrap_leaves_out_resamples_without_the_metric():
    targets, scores = np.array([0, 0, 0, 0, 1]), np.array([0.1, 0.2, 0.6, 0.3, 0.5])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of resamples with one class
        interval = bootstrap_ci(sk.roc_auc_score, targets, scores, bounds=(0, 1), resamples=100)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_import_is_light():
    heavy = ("torch", "sklearn", "skimage", "monai", "pandas")
    code = f"import sys, medlab.metrics; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
