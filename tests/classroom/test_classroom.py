"""The checks of the exercises: right answers pass, wrong ones are told the likely mistake, nothing ever raises."""

import time

import answers_02
import answers_03
import answers_04
import answers_05
import answers_06
import answers_07
import answers_08
import answers_09
import answers_10
import answers_11
import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from torch import nn
from torch.nn import functional as F

from medlab.classroom import check


@pytest.fixture(autouse=True)
def lenient(monkeypatch):
    monkeypatch.setenv("MEDLAB_STRICT", "0")


# The right answers, as a student would write them


def window(hu, level, width):
    return ((hu - (level - width / 2)) / width).clip(0, 1)


def split_patients(patients, fraction, seed):
    ids = np.unique(patients)
    size = min(max(round(fraction * len(ids)), 1), len(ids) - 1)
    return np.isin(patients, np.random.default_rng(seed).choice(ids, size, replace=False))


def conv_shape(size, kernel, padding=0, stride=1):
    return (size + 2 * padding - kernel) // stride + 1


def conv_parameters(in_channels, out_channels, kernel):
    return out_channels * (in_channels * kernel**2 + 1)


def conv2d_unfold(images, weight, bias):
    n, _, h, w = images.shape
    o, _, _, k = weight.shape
    columns = F.unfold(images, k)
    return (weight.reshape(o, -1) @ columns + bias[:, None]).reshape(n, o, h - k + 1, w - k + 1)


def macro_f1(targets, predictions, classes):
    scores = []
    for c in range(classes):
        true = ((targets == c) & (predictions == c)).sum()
        of_class = (targets == c).sum() + (predictions == c).sum()
        scores.append(2 * true / of_class if of_class else 0.0)
    return float(np.mean(scores))


def momentum_descent(weight, curvature, rate, momentum, decay, steps):
    velocity = 0 * weight
    for _ in range(steps):
        velocity = momentum * velocity + curvature * weight + decay * weight
        weight = weight - rate * velocity
    return weight


RIGHT = {
    "window": [window],
    "split_patients": [split_patients],
    "conv_arithmetic": [conv_shape, conv_parameters],
    "conv2d_unfold": [conv2d_unfold],
    "macro_f1": [macro_f1],
    "momentum_descent": [momentum_descent],
}


def listed(function):
    """The answers to a check of several functions are a list already."""
    return function if isinstance(function, list) else [function]


# lessons whose answers have a file of their own
LATER = (
    answers_02,
    answers_03,
    answers_04,
    answers_05,
    answers_06,
    answers_07,
    answers_08,
    answers_09,
    answers_10,
    answers_11,
)
RIGHT |= {name: listed(function) for lesson in LATER for name, function in lesson.RIGHT.items()}


def with_first(name, function):
    return function if isinstance(function, list) else [function, *RIGHT[name][1:]]


# Other right answers


def draw_by_shuffling(patients, fraction, seed):
    ids = np.random.RandomState(seed).permutation(sorted(set(patients.tolist())))
    return np.isin(patients, ids[: min(max(int(fraction * len(ids) + 0.5), 1), len(ids) - 1)])


def unfold_by_views(images, weight, bias):
    k = weight.shape[-1]
    patches = images.unfold(2, k, 1).unfold(3, k, 1)
    return torch.einsum("nchwij,ocij->nohw", patches, weight) + bias[:, None, None]


def by_torch(weight, curvature, rate, momentum, decay, steps):
    weight = torch.nn.Parameter(weight.clone())
    optimizer = torch.optim.SGD([weight], rate, momentum, weight_decay=decay)
    for _ in range(steps):
        weight.grad = curvature * weight.detach()
        optimizer.step()
    return weight.detach()


OTHER = [
    ("window", [lambda hu, level, width: (hu * 1.0 - level + width / 2).clip(0, width) / width]),
    ("split_patients", [draw_by_shuffling]),
    ("conv_arithmetic", [lambda *a, **k: np.int64(conv_shape(*a, **k)), conv_parameters]),
    ("conv2d_unfold", [unfold_by_views]),
    ("momentum_descent", [by_torch]),
    ("macro_f1", [lambda t, p, c: f1_score(t, p, average="macro", labels=range(c), zero_division=0)]),
    ("macro_f1", [lambda t, p, c: torch.tensor(macro_f1(t, p, c))]),
]
OTHER += [(name, listed(function)) for lesson in LATER for name, function in lesson.OTHER]


@pytest.mark.parametrize(("name", "functions"), [*RIGHT.items(), *OTHER])
def test_a_right_answer_passes_also_in_strict_mode(name, functions, capsys, monkeypatch):
    assert getattr(check, name)(*functions) is True
    monkeypatch.setenv("MEDLAB_STRICT", "1")
    assert getattr(check, name)(*functions) is True
    assert capsys.readouterr().out == f"Exercise {name}: your answer passed\n" * 2


# Wrong answers, and what the check must say to them


def in_place(hu, level, width):
    hu -= int(level - width / 2)
    return (hu / width).clip(0, 1)


def mask(draw):
    """A split whose test patients are `draw(ids, size, images)`."""

    def split(patients, fraction, seed):
        ids = np.unique(patients)
        size = min(max(round(fraction * len(ids)), 1), len(ids) - 1)
        return np.isin(patients, draw(np.random.default_rng(seed), ids, size))

    return split


def by_image(patients, fraction, seed):
    return np.random.default_rng(seed).random(len(patients)) < fraction


def until_enough_images(patients, fraction, seed):
    ids = np.random.default_rng(seed).permutation(np.unique(patients))
    images = np.cumsum([(patients == one).sum() for one in ids])
    return np.isin(patients, ids[: max(int((images < fraction * len(patients)).sum()), 1)])


class OneConvolution(nn.Module):
    def forward(self, images, weight, bias):
        layer = nn.Conv2d(*weight.shape[1::-1], weight.shape[-1])
        layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
        return layer(images)


def not_transposed(images, weight, bias):
    k, (n, _, h, w) = weight.shape[-1], images.shape
    rows = F.unfold(images, k).transpose(1, 2) @ weight.flatten(1).T + bias
    return rows.reshape(n, -1, h - k + 1, w - k + 1)


def sk(**options):
    return lambda t, p, c: float(f1_score(t, p, labels=range(c), zero_division=0, **options))


def f1_of_means(t, p, c):
    true = np.array([((t == k) & (p == k)).sum() for k in range(c)])
    precision = np.mean(true / np.maximum(np.bincount(p, minlength=c), 1))
    recall = np.mean(true / np.maximum(np.bincount(t, minlength=c), 1))
    return 2 * precision * recall / (precision + recall)


WRONG = [
    ("window", lambda hu, level, width: (hu - level + width / 2) / width, "not clipped"),
    ("window", lambda hu, level, width: ((hu - level) / width).clip(0, 1), "the middle of the window"),
    ("window", lambda hu, level, width: window(hu, level, 2 * width), "`width` is the whole window"),
    ("window", lambda hu, level, width: hu.clip(level - width / 2, level + width / 2), "not scaled to 0..1"),
    ("window", lambda hu, level, width: 1 - window(hu, level, width), "inverted"),
    ("window", lambda hu, level, width: (hu - hu.min()) / (hu.max() - hu.min()), "the range of this image"),
    (
        "window",
        lambda hu, level, width: window(hu, level, width).astype(np.uint8),
        "first value that differs is at [2]",
    ),
    ("window", lambda hu, level, width: window(hu, level, width).ravel(), "the shape is"),
    ("window", lambda hu, level, width: window(np.asarray(hu), level, width), "returned ndarray, not a torch tensor"),
    ("window", lambda hu, level, width: [0, 0, 0.25, 0.5, 0.75, 1, 1], "returned list, not a NumPy array"),
    ("window", lambda hu, level, width: np.array([0, 0, 0.25, 0.5, 0.75, 1, 1]), "not a torch tensor"),
    ("window", lambda hu, level, width: None, "there is no `return`"),
    ("window", in_place, "an operation in place; work on a copy"),
    ("split_patients", by_image, "draw among np.unique(patients)"),
    ("split_patients", until_enough_images, "`fraction` is of the patients, not of the images"),
    (
        "split_patients",
        mask(lambda rng, ids, n: rng.choice(ids, len(ids) - n, replace=False)),
        "looks like the training",
    ),
    ("split_patients", mask(lambda rng, ids, n: ids[:n]), "`seed` is not used"),
    ("split_patients", mask(lambda rng, ids, n: np.random.choice(ids, n, replace=False)), "depend on `seed` alone"),
    ("split_patients", mask(lambda rng, ids, n: rng.choice(ids, max(n - 1, 1), replace=False)), "rounded"),
    ("split_patients", mask(lambda rng, ids, n: ids), "never all"),
    ("split_patients", lambda *a, **k: np.flatnonzero(split_patients(*a, **k)), "np.isin(patients, drawn) is a mask"),
    ("split_patients", lambda *a, **k: None, "there is no `return`"),
    ("split_patients", lambda p, f, seed: np.unique(p) < np.unique(p)[1], "one per image"),
    ("conv_arithmetic", lambda n, k, padding=0, stride=1: (n + 2 * padding - k) // stride, "off by one"),
    ("conv_arithmetic", lambda n, k, padding=0, stride=1: (n + 2 * padding - k) / stride + 1, "divide with //"),
    (
        "conv_arithmetic",
        lambda n, k, padding=0, stride=1: -(-(n + 2 * padding - k) // stride) + 1,
        "round down, not up",
    ),
    ("conv_arithmetic", lambda n, k, padding=0, stride=1: float(conv_shape(n, k, padding, stride)), "float, not int"),
    ("conv_arithmetic", lambda n, k, padding=0, stride=1: conv_shape(n, k, 0, stride), "`padding` is not used"),
    ("conv_arithmetic", lambda n, k, padding=0, stride=1: conv_shape(n, k, padding), "`stride` is not used"),
    ("conv_arithmetic", lambda n, k, padding=0, stride=1: (n + padding - k) // stride + 1, "on both sides"),
    ("conv_arithmetic", lambda n, k, padding=0, stride=1: 26, "expected: 13"),
    ("conv2d_unfold", lambda i, w, b: conv2d_unfold(i, w, 0 * b), "the bias is missing"),
    ("conv2d_unfold", lambda i, w, b: conv2d_unfold(i, w.flip(2, 3), b), "the kernel is flipped"),
    ("conv2d_unfold", lambda i, w, b: conv2d_unfold(i, w.mT, b), "columns of the kernel are swapped"),
    ("conv2d_unfold", lambda i, w, b: conv2d_unfold(i, w, b).mT, "columns of the output are swapped"),
    ("conv2d_unfold", lambda i, w, b: conv2d_unfold(i, w, b).flatten(2), "not yet laid out as an image"),
    ("conv2d_unfold", not_transposed, "before the reshape"),
    ("conv2d_unfold", F.conv2d, "use unfold and a matrix product"),
    ("conv2d_unfold", OneConvolution(), "use unfold and a matrix product"),
    ("conv2d_unfold", lambda i, w, b: torch.conv2d(i, w) + b[:, None, None], "use unfold and a matrix product"),
    ("momentum_descent", lambda w, g, r, m, d, n: momentum_descent(w, g, r, 0, d, n), "the velocity forgets"),
    ("momentum_descent", lambda w, g, r, m, d, n: momentum_descent(w, g, r, m, 0, n), "the weight decay is missing"),
    ("momentum_descent", lambda w, g, r, m, d, n: momentum_descent(w, g, -r, m, d, n), "uphill"),
    ("momentum_descent", lambda w, g, r, m, d, n: momentum_descent(w, g, r * (1 - m), m, d, n), "not times (1"),
    ("momentum_descent", lambda w, g, r, m, d, n: momentum_descent(w, 1, r, m, d, n), "derivative is curvature"),
    ("momentum_descent", lambda w, g, r, m, d, n: momentum_descent(w, g, r, m, d, n - 1), "one step is missing"),
    ("macro_f1", lambda t, p, c: float((t == p).mean()), "this is the accuracy"),
    ("macro_f1", sk(average="micro"), "this is the accuracy (and micro F1)"),
    ("macro_f1", sk(average="weighted"), "this is weighted F1"),
    ("macro_f1", f1_of_means, "F1 of the mean precision and the mean recall"),
    ("macro_f1", lambda t, p, c: macro_f1(t, p, len(np.unique(t))), "no image"),
    ("macro_f1", lambda t, p, c: f1_score(t, p, average=None, labels=range(c)), "returned ndarray, not a number"),
    ("macro_f1", lambda t, p, c: 100 * macro_f1(t, p, c), "in percent"),
    ("macro_f1", lambda t, p, c: np.nan, "divided by 0"),
    *(wrong for lesson in LATER for wrong in lesson.WRONG),
]


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
