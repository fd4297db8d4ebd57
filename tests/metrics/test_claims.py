"""Claims and their five verdicts."""

import json
from dataclasses import replace

import numpy as np
import pytest

from medlab.metrics import Claim, Interval, judge, verdict

SAME, NO_ROOM, UNDECIDED = "no difference that matters", "no room", "cannot tell"


def claim(**changes):
    facts = {
        "name": "A beats B",
        "better": "A",
        "baseline": "B",
        "metric": "Dice",
        "margin": 0.1,
        "reason": "less is within the raters' difference",
        "seeds": 5,
        "images": "phantom: abdomen",
    }
    return Claim(**facts | changes)


@pytest.mark.parametrize(
    ("low", "high", "room", "expected"),
    [
        (0.2, 0.3, True, "held"),
        (0.05, 0.3, True, "held"),
        (0.05, 0.3, False, "held"),  # no room replaces undecided and no difference only
        (-0.3, -0.05, True, "did not hold"),
        (-0.3, -0.05, False, "did not hold"),
        (-0.05, 0.05, True, SAME),
        (0.01, 0.05, True, SAME),  # inside the margins, whatever the sign
        (-0.05, -0.01, True, SAME),
        (-0.05, 0.05, False, NO_ROOM),
        (-0.05, 0.3, True, UNDECIDED),
        (-0.05, 0.3, False, NO_ROOM),
        (np.nan, np.nan, True, UNDECIDED),
    ],
)
def test_five_verdicts(low, high, room, expected):
    assert verdict(Interval((low + high) / 2, low, high), 0.1, room=room) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(-0.05, 0.05, "held"), (0.2, 0.3, "held"), (-0.3, -0.15, "did not hold"), (-0.2, 0.05, UNDECIDED)],
)
@pytest.mark.parametrize("room", [True, False])
def test_as_good_as_knows_three(low, high, expected, room):
    assert verdict(Interval((low + high) / 2, low, high), 0.1, as_good_as=True, room=room) == expected


def test_a_margin_has_no_sign():
    with pytest.raises(ValueError, match="0 or above"):
        verdict(Interval(0.1, 0.0, 0.2), -0.1)


def outcome(scores, **changes):
    return judge([claim(primary=True, **changes)], {"Dice": scores})[0]


B, NOISE = np.array([0.50, 0.52, 0.48, 0.51, 0.49]), np.array([0.01, -0.01, 0.02, -0.02, 0.0])


def test_an_outcome_says_whether_the_difference_matters():
    large, small = outcome({"A": B + 0.3 + NOISE, "B": B}), outcome({"A": B + 0.11 + NOISE, "B": B})
    assert (large.verdict, large.matters, small.verdict, small.matters) == ("held", True, "held", False)
    assert "and it matters" in str(large) and "by how much is open" in str(small)
    early = replace(large, verdict=UNDECIDED, detectable=float("inf"))  # as while the plan is not met
    assert not early.matters and "matters" not in str(early) and "could have found" not in str(early)
    assert large.difference.value == pytest.approx(0.3) and large.baseline == pytest.approx(0.5)


def test_a_lower_error_is_better():
    found = outcome({"A": B - 0.3 + NOISE, "B": B}, lower_is_better=True)
    assert found.verdict == "held" and found.difference.value == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("control", "ceiling", "expected"),
    [
        (B + 0.3 + NOISE, 1.0, SAME),
        (B + 0.05 + NOISE, 1.0, NO_ROOM),  # the control moves by less than the margin
        (B + 0.2 + 20 * NOISE, 1.0, NO_ROOM),  # it may not have moved at all
        (B + 0.3 + NOISE, 0.55, NO_ROOM),  # the baseline is nearly at the ceiling
    ],
)
def test_room_needs_a_control_that_moves_and_a_ceiling_that_is_far(control, ceiling, expected):
    scores = {"A": B + 0.01 + NOISE, "B": B, "all": control}
    assert outcome(scores, control="all", floor=0.0, ceiling=ceiling).verdict == expected


def test_nothing_is_decided_before_the_plan_is_met():
    early = outcome({"A": B + 0.3 + NOISE, "B": B}, seeds=8)
    assert early.verdict == UNDECIDED and not early.decided and "5 of 8 planned seeds" in str(early)
    alone = outcome({"A": [0.8], "B": [0.5]}, seeds=8)
    assert np.isnan(alone.difference.low) and alone.difference.value == pytest.approx(0.3)


def test_an_undecided_outcome_says_what_it_could_have_found():
    found = outcome({"A": B + 20 * NOISE, "B": B})
    assert found.verdict == UNDECIDED and f"difference of {found.detectable:.3g}" in str(found)


@pytest.mark.parametrize(("seeds", "expected"), [(5, UNDECIDED), (10, "held")])
def test_all_seeds_alike_are_no_certainty(seeds, expected):
    """Eight modes against none with each of five seeds: up to 52 % of trainings may end otherwise; of ten, 31 %."""
    scores = {"A": np.full(seeds, 8.0), "B": np.zeros(seeds)}
    found = outcome(scores, margin=1, floor=0, ceiling=8, seeds=seeds)
    assert found.verdict == expected
    assert found.difference.low == pytest.approx(8 - (1 - 0.025 ** (1 / seeds)) * 16)


def test_scores_by_patient_are_crossed():
    rng = np.random.default_rng(0)
    patients = rng.normal(0, 0.3, (1, 12))  # the difference depends on the patient, and all seeds share them
    scores = {"A": 0.5 + 0.1 + patients + rng.normal(0, 0.01, (5, 12)), "B": np.full((5, 12), 0.5)}
    found = outcome(scores)
    assert found.seeds == 5 and found.verdict == UNDECIDED
    assert outcome({name: one.mean(1) for name, one in scores.items()}).verdict == "held", "patients left out"


def test_secondary_claims_share_a_family():
    claims = [claim(name="main", primary=True), claim(name="second"), claim(name="third")]
    main, second, third = judge(claims, {"Dice": {"A": B + NOISE, "B": B}})
    assert (main.level, second.level, third.level) == (0.95, 0.975, 0.975)
    assert second.difference.high > main.difference.high
    with pytest.raises(ValueError, match="one claim is primary"):
        judge([claim(primary=True)] * 2, {"Dice": {"A": B, "B": B}})


def test_a_claim_prints_its_plan_and_survives_json():
    one = claim(control="all", floor=0.0, ceiling=1.0, paper="0.83", primary=True)
    assert Claim(**json.loads(json.dumps(one.to_dict()))) == one
    for part in ("Primary claim: A beats B", "margin 0.1: less is", "5 seeds; control: all, floor 0, ceiling 1"):
        assert part in str(one)
    assert "Dice: A as good as B" in str(claim(as_good_as=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"margin": 0}, "margin must be positive"),
        ({"seeds": 2}, "fewer than 3"),
        ({"floor": 1.0, "ceiling": 1.0}, "must lie below"),
    ],
)
def test_a_plan_that_cannot_answer_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        claim(**changes)


def test_missing_scores_are_named():
    with pytest.raises(ValueError, match="no scores of 'A'; there are those of B"):
        outcome({"B": B})
    with pytest.raises(ValueError, match="no scores of 'Dice'"):
        judge([claim()], {"AUC": {}})


def test_scores_that_are_not_paired_are_refused():
    with pytest.raises(ValueError, match=r"A has scores of shape \(1,\), B \(5,\); pair them"):
        outcome({"A": [0.8], "B": B})
