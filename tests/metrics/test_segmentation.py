"""Dice and HD95 against values worked out by hand, SciPy's distance transform, and MONAI's own call."""

import json
import math
import time
import warnings

import numpy as np
import pytest
import torch
from monai.metrics import compute_hausdorff_distance
from scipy import ndimage

from medlab.data import ImageSet, Info
from medlab.data.nifti import Grid
from medlab.metrics import bootstrap_ci, intersection_over_union, segmentation_report, sensitivity

ORGANS = ("background", "liver", "spleen")
CHEST = ("background", "right lung", "left lung", "heart")


def blobs(*shape: int, kinds: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Smooth label maps and the same disturbed: masks ``(N, ...)`` and targets ``(N, ...)``."""
    rng = np.random.default_rng(seed)
    fields = ndimage.gaussian_filter(rng.normal(size=(kinds, *shape)), (0, 0, *[3] * (len(shape) - 1)))
    noise = ndimage.gaussian_filter(rng.normal(size=(kinds, *shape)), (0, 0, *[2] * (len(shape) - 1)))
    return (fields / fields.std() + 0.5 * noise / noise.std()).argmax(0), fields.argmax(0)


def report(masks, targets, **arguments):
    """With few resamples, and without the warning that there is only one patient."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "only one patient")
        return segmentation_report(masks, targets, **{"resamples": 20, **arguments})


def scipy_hd95(a: np.ndarray, b: np.ndarray, spacing) -> float:
    """By distance transforms: from every edge pixel of one to the nearest edge pixel of the other, and back."""
    a, b = (one & ~ndimage.binary_erosion(one) for one in (a, b))
    to_a, to_b = (ndimage.distance_transform_edt(~one, sampling=spacing) for one in (a, b))
    return max(np.percentile(to_b[a], 95), np.percentile(to_a[b], 95))


# --- values ----------------------------------------------------------------------------------------------------------


def test_dice_and_hd95_by_hand():
    """A square of 4 x 4 moved by 2 columns: half of it is met, and its farthest edge is 2 pixels away."""
    targets, masks = np.zeros((2, 1, 12, 12), int)
    targets[0, 4:8, 2:6] = masks[0, 4:8, 4:8] = 1
    found = report(masks, targets)
    assert found.dice.value == pytest.approx(2 * 8 / 32) and found.hd95.value == pytest.approx(2)
    assert found.per_class["1"].dice.value == found.dice.value and found.unit == "pixels"
    scaled = report(masks, targets, spacing=(5, 0.7))
    assert scaled.hd95.value == pytest.approx(1.4) and scaled.dice == found.dice and scaled.unit == "mm"
    assert report(masks, targets, spacing=0.5).hd95.value == pytest.approx(1)
    same = report(targets, targets)
    assert (same.dice.value, same.hd95.value) == (1, 0)


def test_slices_of_a_patient_are_pooled_for_dice():
    targets, masks = np.zeros((2, 2, 8, 8), int)
    targets[0, :4] = masks[0, :4] = 1  # 32 pixels, all met
    targets[1, 0, :4] = masks[1, 7, :4] = 1  # 4 pixels, 7 rows away
    pooled = report(masks, targets, patients=["ann", "ann"])
    assert pooled.by_patient["1"] == pytest.approx([2 * 32 / 72]) and pooled.patient_ids.tolist() == ["ann"]
    assert pooled.hd95.value == pytest.approx(7 / 2)  # the mean over slices
    apart = report(masks, targets)
    assert apart.by_patient["1"].tolist() == [1, 0] and apart.hd95_by_patient["1"].tolist() == [0, 7]
    assert (apart.images, apart.patients, pooled.patients) == (2, 2, 1)


def test_volumes_count_one_by_one():
    targets, masks = np.zeros((2, 3, 4, 8, 8), int)
    targets[0, 1:3, :4] = masks[0, 1:3, :4] = 1
    targets[1, 0, :4] = masks[1, 3, :4] = 1
    targets[2, 0, 0, 0] = masks[2, 2, 0, 0] = 1
    found = report(masks, targets, patients=[7, 7, 3], spacing=(2.5, 1, 1))
    assert found.patient_ids.tolist() == [3, 7] and found.by_patient["1"].tolist() == [0, 0.5]
    assert found.hd95_by_patient["1"] == pytest.approx([5, 3.75])  # (0 + 3 * 2.5) / 2


def test_empty_masks():
    targets, masks = np.zeros((2, 4, 8, 8), int)
    targets[0, :4], masks[0, :4] = 1, 1  # patient a: liver only, all of it
    targets[1, :4, :4] = 2  # b: spleen only, wholly missed
    masks[2, :2] = targets[2, :2] = 1
    masks[2, 6:] = 2  # c: a spleen that is not there
    targets[3] = masks[3] = 0  # d: nothing to find and nothing found
    found = report(masks, targets, patients=list("abcd"), classes=ORGANS)
    nan = math.nan
    assert np.array_equal(found.by_patient["liver"], [1, nan, 1, nan], equal_nan=True)
    assert np.array_equal(found.by_patient["spleen"], [nan, 0, 0, nan], equal_nan=True)
    assert np.array_equal(found.hd95_by_patient["spleen"], [nan] * 4, equal_nan=True)
    liver, spleen = found.per_class.values()
    assert (liver.patients, liver.missed, spleen.patients, spleen.missed) == (2, 0, 1, 1)
    assert liver.dice.value == 1 and spleen.dice.value == 0 and math.isnan(spleen.hd95.value)
    assert found.dice.value == pytest.approx((1 + 0 + 0.5) / 3) and found.hd95.value == 0


def test_distances_are_in_mm_where_the_set_knows_its_spacing():
    masks, targets = blobs(4, 24, 24)
    info = Info("made", "CT", "segmentation", ORGANS, "MIT", "", True)
    sides = [np.diag([wide, high, 3, 1]) for wide, high in ((2, 1), (2, 1), (1, 1), (4, 4))]
    grids = [Grid(affine, ((24, 24, 4), affine)) for affine in sides]
    known = ImageSet(np.zeros((4, 1, 24, 24), np.float32), targets, ["a", "a", "b", "c"], info, grids=grids)
    found = report(masks, known)
    given = report(masks, targets, patients=["a", "a", "b", "c"], classes=ORGANS, spacing=known.spacing)
    assert (found.unit, found.patient_ids.tolist(), list(found.per_class)) == ("mm", ["a", "b", "c"], list(ORGANS[1:]))
    for organ in ORGANS[1:]:
        expected = [
            np.mean([scipy_hd95(masks[i] == k, targets[i] == k, sides) for i, sides in rows])
            for k in [ORGANS.index(organ)]
            for rows in ([(0, (1, 2)), (1, (1, 2))], [(2, (1, 1))], [(3, (4, 4))])
        ]
        np.testing.assert_allclose(found.hd95_by_patient[organ], expected)
        np.testing.assert_array_equal(found.hd95_by_patient[organ], given.hd95_by_patient[organ])
    known.grids = None
    assert report(masks, known).unit == "pixels" and report(masks, known, spacing=1.0).unit == "mm"


@pytest.mark.parametrize(("shape", "spacing"), [((6, 40, 30), (1.5, 0.8)), ((3, 12, 20, 16), (3.0, 1.0, 1.2))])
def test_values_equal_scipy_and_monai(shape, spacing):
    masks, targets = blobs(*shape)
    found = report(torch.tensor(masks), torch.tensor(targets), classes=ORGANS, spacing=spacing)
    for k, name in enumerate(ORGANS[1:], 1):
        a, b = masks == k, targets == k
        axes = tuple(range(1, a.ndim))
        assert found.by_patient[name] == pytest.approx(2 * (a & b).sum(axes) / (a.sum(axes) + b.sum(axes)), abs=1e-6)
        expected = [scipy_hd95(*pair, spacing) for pair in zip(a, b)]
        assert found.hd95_by_patient[name] == pytest.approx(expected, rel=1e-5)
        pair = (torch.tensor(a)[:, None], torch.tensor(b)[:, None])
        monai = compute_hausdorff_distance(*pair, include_background=True, percentile=95, spacing=spacing)
        assert found.hd95_by_patient[name] == pytest.approx(monai[:, 0].tolist(), rel=1e-5)
    assert found.dice.value == pytest.approx(np.mean(list(found.by_patient.values())), abs=1e-6)


def test_no_interval_of_a_distance_begins_below_zero():
    targets = np.zeros((4, 8, 16), int)
    targets[:, 2:5, 1:4] = 1
    masks = targets.copy()
    masks[3] = np.roll(targets[3], 11, axis=1)  # one patient far off, so that the t interval reaches below 0
    hd95 = report(masks, targets).per_class["1"].hd95
    assert hd95.low == 0 < hd95.value < hd95.high


def test_interval_is_the_bootstrap_over_patients():
    masks, targets = blobs(12, 24, 24)
    patients = np.arange(12) // 2
    found = report(masks, targets, patients=patients, resamples=200, seed=5)
    for values, interval in (
        (found.by_patient["1"], found.per_class["1"].dice),
        (found.hd95_by_patient["2"], found.per_class["2"].hd95),
        (np.mean(list(found.by_patient.values()), 0), found.dice),
    ):
        assert interval == pytest.approx(bootstrap_ci(np.mean, values, resamples=200, seed=5))
        assert interval.low < interval.value < interval.high


def test_one_patient_has_no_interval():
    masks, targets = blobs(4, 24, 24)
    with pytest.warns(UserWarning, match="only one patient"):
        found = segmentation_report(masks, targets, patients=[0] * 4)
    assert not math.isnan(found.dice.value) and math.isnan(found.dice.low) and "[no interval]" in str(found)


@pytest.mark.parametrize("shape", [(4, 24, 20), (2, 6, 12, 12)])
def test_probabilities_are_the_label_maps_of_their_largest(shape):
    masks, targets = blobs(*shape)
    probs = torch.nn.functional.one_hot(torch.tensor(masks), 3).movedim(-1, 1) * 0.4 + 0.2
    one, other = report(probs, targets, classes=ORGANS), report(masks, targets, classes=ORGANS)
    assert str(one) == str(other) and one.to_dict() == other.to_dict()
    assert report(probs.numpy(), targets).dice == one.dice


def test_a_class_no_target_shows_is_named():
    masks, targets = blobs(4, 24, 24, kinds=2)
    with pytest.warns(UserWarning, match="no target shows class spleen"):
        found = report(masks, targets, classes=ORGANS)
    assert math.isnan(found.per_class["spleen"].dice.value) and found.per_class["spleen"].patients == 0
    assert found.dice == found.per_class["liver"].dice


def test_iou_is_that_of_the_dice_score_of_every_patient():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 4, (6, 9, 9))
    masks = np.where(rng.random(targets.shape) < 0.3, 0, targets)
    found = intersection_over_union(torch.tensor(masks), targets, CHEST)
    dice = segmentation_report(masks, targets, classes=CHEST, resamples=2).by_patient
    for name in CHEST[1:]:
        np.testing.assert_allclose(found[name], dice[name] / (2 - dice[name]))


def test_iou_by_hand_and_of_classes_that_are_missing():
    masks, targets = np.zeros((2, 3, 2, 2), int)
    masks[0, 0], targets[0, :, 0] = 1, 1  # share 1 of 3
    masks[1, 0, 0] = 1
    assert intersection_over_union(masks, targets, ("b", "o"))["o"][:2] == pytest.approx([1 / 3, 0])
    assert np.isnan(intersection_over_union(masks, targets, ("b", "o"))["o"][2])


def test_sensitivity_is_the_share_of_true_voxels_with_the_right_class():
    targets = np.zeros((3, 2, 3, 4), int)
    targets[0, 0, 0, :4], targets[0, 1, 0, :2] = 1, 2
    targets[1, 0, 0, :2] = 2
    masks = np.zeros_like(targets)
    masks[0, 0, 0, :3] = 1  # three of four; none of the other class
    masks[1] = 2  # all, and false positives, which do not count
    masks[2] = 1
    np.testing.assert_allclose(sensitivity(masks, targets), [0.375, 1, np.nan])  # an empty target: not defined
    np.testing.assert_allclose(sensitivity(torch.from_numpy(masks), torch.from_numpy(targets)), [0.375, 1, np.nan])
    with pytest.raises(ValueError, match=r"masks \(2, 2, 3, 4\) do not fit targets \(3, 2, 3, 4\)"):
        sensitivity(masks[:2], targets)


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_report_is_read_as_text_html_and_json():
    masks, targets = blobs(6, 24, 24)
    masks[masks == 2] = 0  # the spleen is missed
    found = report(masks, targets, patients=[0, 0, 1, 1, 2, 2], classes=("background", "liver", "spleen <left>"))
    text, page = str(found), found._repr_html_()
    assert "6 images of 3 patients, 95% intervals resampled by patient; HD95 in pixels" in text
    assert f"{found.dice:.3f}" in text and f"{found.dice:.3f}" in page and "not defined" in text
    assert "spleen &lt;left&gt;" in page and "<left>" not in page
    frame = found.to_frame()
    assert tuple(frame.loc["liver", "hd95"]) == found.per_class["liver"].hd95 and len(frame) == 2 + 2 * 2
    assert tuple(frame.loc["all classes", "dice"]) == found.dice
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["per_class"]["spleen <left>"]["missed"] == 3 and plain["patient_ids"] == [0, 1, 2]
    assert plain["hd95_by_patient"]["spleen <left>"] == [None] * 3 and plain["dice"]["value"] == found.dice.value


def test_200_slices_take_less_than_two_seconds():
    masks, targets = blobs(200, 64, 64, kinds=5)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    spent = []
    for _ in range(3):  # the best of three: the machine may be busy
        start = time.process_time()
        segmentation_report(masks, targets, patients=np.arange(200) // 10)
        spent.append(time.process_time() - start)
    torch.set_num_threads(threads)
    assert min(spent) < 2


# --- bad input -------------------------------------------------------------------------------------------------------

ONES = np.ones((2, 4, 4), int)


@pytest.mark.parametrize(
    ("masks", "targets", "arguments", "message"),
    [
        (
            ONES,
            ONES[0],
            {},
            r"targets must be label maps \(N, H, W\) or \(N, D, H, W\) of whole numbers, got int64 \(4, 4\)",
        ),
        (ONES[:0], ONES[:0], {}, r"got int64 \(0, 4, 4\)"),
        (ONES[:1], ONES, {}, r"masks \(1, 4, 4\) do not fit targets \(2, 4, 4\); give label maps of the same shape"),
        (np.ones((2, 3, 4, 5)), ONES, {}, r"masks \(2, 4, 5\) do not fit"),
        (
            ONES * 1.0,
            ONES,
            {},
            "masks must be label maps .* of whole numbers, got float64 .*; round them, or take argmax",
        ),
        (ONES, torch.ones(2, 4, 4), {}, "targets must be label maps .* of whole numbers"),
        (torch.full((2, 3, 4, 4), math.nan), ONES, {}, "masks hold NaN"),
        (ONES * 3, ONES, {"classes": ORGANS}, "masks hold labels from 3 to 3, allowed are 0 to 2 for classes"),
        (ONES, ONES * 255, {"classes": ORGANS}, "targets hold labels from 255 to 255, allowed are 0 to 2"),
        (-ONES, ONES, {}, "masks hold labels from -1 to -1"),
        (ONES * 0, ONES * 0, {}, r"only the background, classes \['0'\]"),
        (ONES, ONES, {"classes": ["liver"]}, "only the background"),
        (ONES, ONES * 0, {}, "targets show background only"),
        (ONES, ONES, {"classes": ["a", "a"]}, "2 different names"),
        (torch.rand(2, 4, 4, 4), ONES, {"classes": ORGANS}, "classes must be 4 different names"),
        (ONES, ONES, {"patients": [1]}, "one patient id per image"),
        (ONES, ONES, {"spacing": 0}, "spacing must be one length above 0 in mm, or 2, one per axis .*, got 0"),
        (ONES, ONES, {"spacing": (1, 1, 1)}, "or 2, one per axis"),
        (ONES, ONES, {"level": 95}, "level must lie between 0 and 1"),
        (ONES, ONES, {"resamples": 0}, "resamples must be a whole number of at least 1"),
    ],
)
def test_bad_input_says_what_to_do(masks, targets, arguments, message):
    with pytest.raises(ValueError, match=message):
        segmentation_report(masks, targets, **arguments)
