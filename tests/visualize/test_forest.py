"""The forest plot: what is drawn where."""

import numpy as np
import pytest

from medlab.metrics import Claim, judge
from medlab.visualize import forest_plot

B = np.array([0.50, 0.52, 0.48, 0.51, 0.49])
NOISE = np.array([0.01, -0.01, 0.02, -0.02, 0.0])


def outcome(**changes):
    facts = {
        "better": "A",
        "baseline": "B",
        "metric": "Dice",
        "margin": 0.1,
        "reason": "so",
        "seeds": 5,
        "images": "none",
    }
    claim = Claim("A beats B", **facts | {"control": "all", "floor": 0.3, "ceiling": 1.0, "primary": True} | changes)
    return judge([claim], {"Dice": {"A": B + 0.2 + NOISE, "B": B, "all": B + 0.3 + NOISE}})


def drawn(fig):
    """Places of the markers, by marker."""
    return {
        line.get_marker(): line.get_xdata()[0] for line in fig.axes[0].lines if line.get_marker() in ("o", "s", "D")
    }


def test_differences_are_drawn_in_margins():
    fig = forest_plot(outcome(), {"A beats B": 0.15})
    assert drawn(fig) == pytest.approx({"o": 2.0, "s": 3.0, "D": 1.5})
    low, high = outcome()[0].difference[1:]
    spans = [line.get_xdata() for line in fig.axes[0].lines if line.get_marker() == "|"]
    assert spans[0] == pytest.approx([low / 0.1, high / 0.1])
    assert fig.axes[0].patches[0].get_x() == -1 and fig.axes[0].patches[0].get_width() == 2, "the margin is shaded"
    for part in ("A beats B: 0.2", "margin 0.1, held", "control 0.3", "this run 0.15"):
        assert part in fig.alt


def test_the_ends_of_the_score_are_marked_where_they_are_in_sight():
    texts = {text.get_text(): text.xy[0] for text in forest_plot(outcome()).axes[0].texts}
    assert texts == {}, "the ceiling is 5 margins away, the floor 2 to the left: both out of sight"
    texts = {text.get_text(): text.xy[0] for text in forest_plot(outcome(floor=0.4, ceiling=0.75)).axes[0].texts}
    assert texts == pytest.approx({"floor": -1.0, "ceiling": 2.5})


def test_of_an_error_less_is_to_the_right():
    facts = {"lower_is_better": True, "floor": 0.25, "ceiling": 0.6}
    fig = forest_plot(outcome(**facts))
    assert drawn(fig)["o"] == pytest.approx(-2.0)
    assert {text.get_text(): text.xy[0] for text in fig.axes[0].texts} == pytest.approx({"ceiling": -1.0})


def test_without_control_and_live_run_nothing_is_said_of_them():
    fig = forest_plot(outcome(control=None))
    assert set(drawn(fig)) == {"o"} and "control" not in fig.alt and "this run" not in fig.axes[0].get_title(loc="left")


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="no outcome to draw"):
        forest_plot([])
    with pytest.raises(ValueError, match="no claim 'C beats B'; there are A beats B"):
        forest_plot(outcome(), {"C beats B": 0.1})
