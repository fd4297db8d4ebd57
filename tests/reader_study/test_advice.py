"""Advice and the remote clinic: the error rates and their intervals, the simulated reader, the session, its widget."""

from itertools import count

import numpy as np
import pytest
import torch

from medlab.reader_study import RemoteClinic, advice_plot, advice_report, clinic_widget, simulated_reader
from medlab.reader_study.advice import NO_ADVICE

YES = np.array([True, False] * 20)


def clinic(n=40, **changes):
    images = torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return RemoteClinic(images, np.arange(n) % 2 == 0, **changes)


def test_errors_are_counted_by_the_advice():
    truth = np.array([True, True, False, False, True, False])
    advice = np.array([NO_ADVICE, NO_ADVICE, 0, 1, 0, NO_ADVICE])
    decisions = np.array([True, False, False, True, True, False])
    report = advice_report(truth, decisions, advice)
    assert report.cases == {"alone": 3, "right advice": 1, "wrong advice": 2}
    assert (report.alone.value, report.right_advice.value, report.wrong_advice.value) == (1 / 3, 0, 1 / 2)
    assert report.advised.value == 1 / 3 and report.benefit.value == 0
    assert report.bias.value == pytest.approx(1 / 6) and report.bias.low < 0 < report.bias.high
    assert "of 3 cases" in str(report) and "+0.17 [" in str(report)


def test_intervals_are_wilsons_and_newcombes():
    # Newcombe 1998, table II, example (a): 56/70 against 48/80, method 10
    truth = np.ones(150, bool)
    advice = np.repeat([0, NO_ADVICE], [70, 80])
    decisions = np.repeat([False, True, False, True], [56, 14, 48, 32])
    bias = advice_report(truth, decisions, advice).bias
    assert [round(number, 4) for number in bias] == [0.2, 0.0524, 0.3339]


def test_what_was_not_there_is_not_defined():
    report = advice_report(YES, YES, np.full(40, NO_ADVICE))
    assert report.alone.value == 0 and np.isnan(report.wrong_advice.value) and np.isnan(report.bias.low)
    assert "automation bias           not defined" in str(report)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((YES, YES[:3], np.zeros(40, int)), "per case"),
        ((YES * 1, YES, np.zeros(40, int)), "True or False"),
        ((YES, YES, np.full(40, 2)), "advice is 1, 0"),
        ((YES[:0], YES[:0], np.zeros(0, int)), "per case"),
    ],
)
def test_bad_answers_are_refused(given, said):
    with pytest.raises(ValueError, match=said):
        advice_report(*given)


def test_a_simulated_reader_has_the_bias_it_was_given():
    rng = np.random.default_rng(1)
    truth = rng.random(8000) < 0.5
    advice = np.where(rng.random(8000) < 0.5, NO_ADVICE, truth ^ (rng.random(8000) < 0.3))
    reader = simulated_reader(skill=0.8, trust=0.5, seed=2)
    report = advice_report(truth, np.array([reader(*case) for case in zip(truth, advice)]), advice)
    assert report.alone.low < 0.2 < report.alone.high
    assert report.bias.low < 0.5 * 0.8 < report.bias.high
    with pytest.raises(ValueError, match="trust must lie between 0 and 1"):
        simulated_reader(0.8, 1.1)


def test_reader_and_session_of_the_same_seed_draw_apart():
    first = np.random.default_rng(5).random(16)
    alone = simulated_reader(skill=0.5, trust=0.0, seed=5)
    assert [alone(True, NO_ADVICE) for _ in range(8)] != (first[1::2] < 0.5).tolist()
    bias = []
    for seed in range(40):
        session = clinic(n=200, seed=seed)
        session.decide_all(simulated_reader(skill=0.8, trust=0.5, seed=seed))
        bias.append(session.report().bias.value)
    assert np.mean(bias) == pytest.approx(0.4, abs=0.06)  # its standard error is 0.015


@pytest.mark.parametrize("wrong", [0.1, 0.3])
def test_a_session_shows_every_case_once_with_the_share_of_wrong_advice_it_promised(wrong):
    session = clinic(wrong=wrong, seed=3)
    assert sorted(session.order) == list(range(40))
    advised = session.advice != NO_ADVICE
    assert advised.sum() == 20
    assert (session.advice != session.truth[session.order])[advised].sum() == round(20 * wrong)
    assert not np.array_equal(session.order, clinic(wrong=wrong, seed=4).order)
    session.decide_all(simulated_reader(skill=1.0, trust=1.0))
    report = session.report()
    assert session.done and report.alone.value == 0 and report.bias.value == 1 and report.advised.value == wrong
    with pytest.raises(ValueError, match="all cases are decided"):
        session.decide(True)


@pytest.mark.parametrize(
    ("changes", "said"), [({"wrong": 0.0}, "wrong is a share"), ({"wrong": 1.0}, "a share"), ({"n": 3}, "at least 4")]
)
def test_a_session_that_cannot_tell_anything_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        clinic(**changes)


def test_the_widget_is_decided_by_click_and_ends_with_the_numbers():
    session = clinic(n=8, wrong=0.25, names=("normal", "large"), seed=1)
    _, status, picture, buttons, told = clinic_widget(session, clock=count().__next__).children
    no, yes = buttons.children
    assert (no.description, yes.description) == ("normal", "large")
    seen = []
    for at in range(8):
        seen.append(status.value)
        assert f"Case {at + 1} of 8" in status.value and "<img alt=" in picture.value and not told.value
        (yes if session.truth[session.order[at]] else no).click()
    assert session.done and session.report().alone.value == 0
    assert sum("advises: <b>" in text for text in seen) == 4 and "automation bias" in told.value
    assert no.disabled and "All 8 cases" in status.value
    with pytest.raises(ValueError, match="all cases are decided"):
        session.case()


def test_a_key_held_down_decides_one_case():
    session, now = clinic(n=8, wrong=0.25), [0.0]
    _, status, _, buttons, _ = clinic_widget(session, clock=lambda: now[0]).children
    for moment in (0.1, 2.0, 2.5, 2.53, 2.56, 3.1):  # too early; an answer; held down
        now[0] = moment
        buttons.children[0].click()
    assert len(session.decisions) == 1 and status.value.count("too quick") == 1
    now[0] = 4.0
    buttons.children[1].click()
    assert session.decisions == [False, True] and "too quick" not in status.value


def test_the_figure_says_the_errors_of_every_reader():
    session = clinic()
    session.decide_all(simulated_reader(0.9, 0.5))
    figure = advice_plot({"a reader": session.report()})
    assert "a reader: alone" in figure.alt and len(figure.axes[0].containers) == 4
    with pytest.raises(ValueError, match="a value for the same categories"):
        advice_plot({})
