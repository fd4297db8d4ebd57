"""The checks of the exercises: right answers pass, wrong ones are told the likely mistake, nothing ever raises."""

import time

import numpy as np
import pytest
import torch
from answers import LESSONS, OTHER, RIGHT, WRONG, with_first
from answers_00 import window
from answers_01 import conv_parameters, conv_shape, macro_f1
from sklearn.metrics import f1_score

from medlab.classroom import check


@pytest.fixture(autouse=True)
def lenient(monkeypatch):
    monkeypatch.setenv("MEDLAB_STRICT", "0")


@pytest.mark.parametrize(("name", "functions"), [*RIGHT.items(), *OTHER])
def test_a_right_answer_passes_also_in_strict_mode(name, functions, capsys, monkeypatch):
    assert getattr(check, name)(*functions) is True
    monkeypatch.setenv("MEDLAB_STRICT", "1")
    assert getattr(check, name)(*functions) is True
    assert capsys.readouterr().out == f"Exercise {name}: your answer passed\n" * 2


def test_right_answers_are_written_in_twenty_other_ways_for_each_lesson():
    assert [number for number, lesson in LESSONS.items() if len(lesson.OTHER) < 20] == []


@pytest.mark.filterwarnings("ignore")  # what wrong answers divide by
@pytest.mark.parametrize(("name", "function", "mistake"), WRONG)
def test_the_likely_mistake_of_a_wrong_answer_is_reported(name, function, mistake, capsys, monkeypatch):
    function_check = getattr(check, name)
    assert function_check(*with_first(name, function)) is False
    text = capsys.readouterr().out
    assert text.startswith(f"Exercise {name}: your answer is not right yet\n  case:     ") and mistake in text
    assert "\n  got:      " in text and "\n  expected: " in text and "0x" not in text
    monkeypatch.setenv("MEDLAB_STRICT", "1")
    if "np.random" not in mistake and "alone" not in mistake:  # the answer of an unseeded draw is never the same
        with pytest.raises(AssertionError) as raised:
            function_check(*with_first(name, function))
        assert str(raised.value) + "\n" == text


@pytest.mark.parametrize(
    ("parameters", "mistake"),
    [
        (lambda i, o, k: o * i * k * k, "the biases are missing"),
        (lambda i, o, k: o * i * k * k + 1, "not one in all"),
        (lambda i, o, k: o * i * k + o, "the kernel is a square"),
        (lambda i, o, k: o * k * k + o, "all input channels"),
        (lambda i, o, k: 800, "expected: 65"),
    ],
)
def test_the_second_function_is_checked_too(parameters, mistake, capsys):
    assert check.conv_arithmetic(conv_shape, parameters) is False
    text = capsys.readouterr().out
    assert "case:     conv_parameters(" in text and mistake in text


# Whatever else a student's function may do


def unsolved(*args, **kwargs):
    raise NotImplementedError


def crashing(*args, **kwargs):
    return {}["lung"]


def endless(*args, **kwargs):
    return endless(*args, **kwargs)


class Odd:
    def __repr__(self):
        raise RuntimeError("no")

    __eq__ = __array__ = __len__ = __float__ = __repr__


class OddError(Exception):
    __str__ = Odd.__repr__


def odd_error(*args, **kwargs):
    raise OddError


def leave(*args, **kwargs):
    raise SystemExit(0)


ANSWERS = [None, "26", {}, Odd(), float("nan"), True, 10**400, torch.zeros(0), np.array([None, {}]), window, Odd, 1j]
ANSWERS += [np.array(["a"]), torch.zeros(1, 1, 2, 3).to_sparse(), np.zeros((3, 0)), torch.tensor(1 + 2j), np.array(1j)]


@pytest.mark.parametrize("name", RIGHT)
def test_unsolved_is_not_attempted_and_fails_only_in_strict_mode(name, capsys, monkeypatch):
    assert getattr(check, name)(*[unsolved] * len(RIGHT[name])) is False
    assert capsys.readouterr().out == f"Exercise {name}: not attempted yet\n"
    monkeypatch.setenv("MEDLAB_STRICT", "1")
    with pytest.raises(AssertionError, match=f"^Exercise {name}: not attempted yet$"):
        getattr(check, name)(*[unsolved] * len(RIGHT[name]))


def test_a_check_says_whose_answer_it_judged(capsys):
    def solved(hu, level, width):
        return window(hu, level, width)

    given = [(solved, {"of": "the solution"}), (solved, {}), (crashing, {"of": "the solution"}), (window, {})]
    for function, whose in given:
        check.window(function, **whose)
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Exercise")]
    assert [line.removeprefix("Exercise window: ") for line in said] == [
        "the solution passed",
        "the solution passed",  # its cell has run, and then the cell above it once more
        "the solution is not right yet",
        "your answer passed",
    ]


def test_half_solved_says_which_half(capsys):
    assert not check.conv_arithmetic(conv_shape, unsolved)
    assert "conv_shape is right, conv_parameters not attempted yet" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", RIGHT)
def test_a_check_never_raises(name, capsys, monkeypatch):
    for function in (crashing, endless, odd_error, leave, None, 3, Odd, lambda: 1, np.zeros(3)):
        assert getattr(check, name)(*with_first(name, function)) is False
    text = capsys.readouterr().out
    assert "KeyError: 'lung', at line " in text and 'return {}["lung"]' in text
    for part in (
        "RecursionError: ",
        "OddError: <OddError that",
        "SystemExit: 0",
        "TypeError: ",
        "expected: a function",
    ):
        assert part in text
    for answer in ANSWERS:
        functions = with_first(name, lambda *a, answer=answer, **k: answer)
        assert getattr(check, name)(*functions) is False
        with (
            monkeypatch.context() as strict,
            pytest.raises(AssertionError, match=f"^Exercise {name}: your answer is not right yet"),
        ):
            strict.setenv("MEDLAB_STRICT", "1")
            getattr(check, name)(*functions)
    assert "there is no `return`" in capsys.readouterr().out
    assert getattr(check, name)() is False
    assert f"give it {len(RIGHT[name])} function(s): check.{name}(" in capsys.readouterr().out


def test_not_implemented_in_the_middle_is_an_error_and_a_reason_is_told(capsys):
    def half(size, kernel, padding=0, stride=1):
        if stride > 1:
            raise NotImplementedError("stride")
        return conv_shape(size, kernel, padding)

    check.conv_arithmetic(half, conv_parameters)
    assert "NotImplementedError: stride" in capsys.readouterr().out
    check.window(lambda hu, level, width: half(hu, 1, stride=2))
    assert "not attempted yet (stride)" in capsys.readouterr().out


def test_an_interrupt_gets_through():
    def stopped(*args):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check.window(stopped)


def test_strict_switches_the_environment_variable():
    check.strict()
    with pytest.raises(AssertionError, match="not attempted yet"):
        check.window(unsolved)
    check.strict(False)
    assert check.window(unsolved) is False


def test_a_check_is_quick_and_leaves_the_random_generators_alone():
    np.random.seed(0)
    torch.manual_seed(0)
    states = np.random.get_state()[1].copy(), torch.get_rng_state()
    for name, functions in RIGHT.items():
        start = time.process_time()
        assert getattr(check, name)(*functions)
        assert time.process_time() - start < 2, name
    assert np.array_equal(states[0], np.random.get_state()[1]) and torch.equal(states[1], torch.get_rng_state())


def test_the_task_of_macro_f1_is_what_scikit_learn_means():
    rng = np.random.default_rng(1)
    for classes in (2, 4, 9):
        targets, predictions = rng.integers(0, classes, (2, 12))
        expected = f1_score(targets, predictions, average="macro", labels=range(classes), zero_division=0)
        assert macro_f1(targets, predictions, classes) == pytest.approx(expected)
    assert macro_f1(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 2) == pytest.approx(0.733, abs=5e-4)
    assert (conv_shape(32, 7), conv_parameters(1, 16, 7)) == (26, 800)


def test_every_check_states_its_task():
    for name in set(check.__all__) - {"predict", "predicted", "strict"}:
        assert name in RIGHT and getattr(check, name).__doc__.startswith("Write ")
