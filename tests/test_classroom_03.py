"""The checks of lesson 03: right answers pass, known wrong ones are told their mistake."""

import math
import time

import numpy as np
import pytest
import torch
from test_classroom import ANSWERS, crashing, endless, odd_error, unsolved
from torch import nn
from torch.nn import functional as F

from medlab.classroom import check
from medlab.models.drinet import DenseBlock


@pytest.fixture(autouse=True)
def lenient(monkeypatch):
    monkeypatch.setenv("MEDLAB_STRICT", "0")


# The right answers, as a student would write them


def dice(mask, target):
    total = mask.sum() + target.sum()
    return 2 * (mask & target).sum() / total if total > 0 else float("nan")


def receptive_field(layers):
    field, apart = 1, 1
    for kernel, stride, dilation in layers:
        field += (kernel - 1) * dilation * apart
        apart *= stride
    return field


def dense_block(maps, layers):
    for layer in layers:
        maps = torch.cat([maps, layer(maps)], dim=1)
    return maps


RIGHT = {"dice": dice, "receptive_field": receptive_field, "dense_block": dense_block}


# Other right answers


def from_the_output(layers):
    field = 1
    for kernel, stride, dilation in reversed(layers):
        field = (field - 1) * stride + (kernel - 1) * dilation + 1
    return field


def with_a_list(maps, layers):
    made = [maps]
    for layer in layers:
        made.append(layer(torch.cat(made, 1)))
    return torch.cat(made, 1)


OTHER = [
    ("dice", lambda a, b: 2 * (a & b).sum() / (a.sum() + b.sum())),  # 0 / 0 of tensors is nan
    ("dice", lambda a, b: float(1 - (a ^ b).sum() / (a.sum() + b.sum()))),
    ("dice", lambda a, b: np.float64(dice(a, b))),
    ("receptive_field", from_the_output),
    ("receptive_field", lambda layers: np.int64(receptive_field(layers))),
    ("dense_block", with_a_list),
]


@pytest.mark.parametrize(("name", "function"), [*RIGHT.items(), *OTHER])
def test_a_right_answer_passes_also_in_strict_mode(name, function, capsys, monkeypatch):
    monkeypatch.setenv("MEDLAB_STRICT", "1")
    assert getattr(check, name)(function) is True
    assert capsys.readouterr().out == f"Exercise {name}: passed\n"


# Wrong answers, and what the check must say to them


def smooth(above, below):
    return lambda a, b: (2 * (a & b).sum() + above) / (a.sum() + b.sum() + below)


def by_slice(a, b, empty=math.nan):
    return torch.tensor([float(dice(x, y)) for x, y in zip(a, b)]).nan_to_num(empty).nanmean()


def only_where_there_is_something(a, b):
    return dice(a, b) if a.any() and b.any() else math.nan


def field(extent=lambda k, d: (k - 1) * d, grow=lambda apart, s, d: apart * s, start=1, early=False):
    """A `receptive_field` with a mistake."""

    def wrong(layers):
        side, apart = start, 1
        for kernel, stride, dilation in layers:
            side += extent(kernel, dilation) * (grow(apart, stride, dilation) if early else apart)
            apart = grow(apart, stride, dilation)
        return side

    return wrong


def block(seen=lambda made: torch.cat(made, 1), answer=lambda made: torch.cat(made, 1)):
    """A `dense_block` with a mistake."""

    def wrong(maps, layers):
        made = [maps]
        for layer in layers:
            made.append(layer(seen(made)))
        return answer(made)

    return wrong


def both(join):
    return block(join, join)


def in_place(maps, layers):
    maps *= 1.1
    return dense_block(maps, layers)


WRONG = [
    ("dice", lambda a, b: (a & b).sum() / (a | b).sum(), "intersection over union (IoU)"),
    ("dice", lambda a, b: (a == b).float().mean(), "this is the accuracy"),
    ("dice", lambda a, b: (a & b).sum() / (a.sum() + b.sum()), "the factor 2 is missing"),
    ("dice", lambda a, b: (a & b).sum() / a.sum(), "this is the precision"),
    ("dice", lambda a, b: (a & b).sum() / b.sum(), "this is the recall"),
    ("dice", lambda a, b: dice(~a, ~b), "the background"),
    ("dice", lambda a, b: 100 * dice(a, b), "in per cent"),
    ("dice", lambda a, b: dice(a, b) if (a | b).any() else 1.0, "two empty regions give nan, not 1"),
    ("dice", lambda a, b: dice(a, b) if (a | b).any() else 0.0, "two empty regions give nan, not 0"),
    ("dice", smooth(1e-8, 1e-8), "two empty regions give nan, not 1"),
    ("dice", smooth(0, 1e-8), "two empty regions give nan, not 0"),
    ("dice", smooth(1, 1), "a 1 is added above and below"),
    ("dice", smooth(1e-2, 1e-2), "expected: 0.33"),
    ("dice", only_where_there_is_something, "nan is for two empty regions only"),
    ("dice", by_slice, "the mean over slices"),
    ("dice", lambda a, b: by_slice(a, b, 1.0), "the mean over slices"),
    ("dice", lambda a, b: by_slice(a, b, 0.0), "the mean over slices"),
    ("dice", lambda a, b: 2 * (a & b).sum(-1) / (a.sum(-1) + b.sum(-1)), "returned Tensor, not a number"),
    ("dice", lambda a, b: dice(a[0], b[0]), "expected: 0.33"),
    ("dice", lambda a, b: dice(a.logical_not_(), b), "an operation in place; work on a copy"),
    ("receptive_field", field(grow=lambda apart, s, d: 1), "the strides are not used"),
    ("receptive_field", field(extent=lambda k, d: k - 1), "the dilations are not used"),
    ("receptive_field", field(extent=lambda k, d: k * d - 1), "not kernel * dilation"),
    ("receptive_field", field(early=True), "a stride counts for the layers after its own"),
    ("receptive_field", field(extent=lambda k, d: k, start=0, grow=lambda *_: 1), "the sum of the kernels"),
    ("receptive_field", field(extent=lambda k, d: k, start=0), "the sum of the kernels"),
    ("receptive_field", field(start=0), "off by one"),
    ("receptive_field", field(grow=lambda apart, s, d: apart * s * d), "a dilation counts for its own layer only"),
    ("receptive_field", field(grow=lambda apart, s, d: s), "only the stride of the layer just before"),
    ("receptive_field", lambda layers: receptive_field(layers[::-1]), "the last layer comes first"),
    ("receptive_field", lambda layers: float(receptive_field(layers)), "returned float, not int"),
    ("receptive_field", lambda layers: receptive_field(layers) ** 2, "expected: 5"),
    ("receptive_field", lambda layers: receptive_field(layers) if layers else 0, "expected: 1"),
    ("receptive_field", lambda layers: [receptive_field(layers)] * 2, "returned list, not a whole number"),
    ("dense_block", block(lambda made: made[-1], lambda made: made[-1]), "a plain chain"),
    ("dense_block", block(lambda made: made[-1]), "not the latest only"),
    ("dense_block", block(lambda made: made[0]), "not `maps` only"),
    ("dense_block", both(sum), "a residual block"),
    ("dense_block", block(answer=lambda made: torch.cat(made[1:], 1)), "`maps` itself is missing"),
    ("dense_block", block(answer=lambda made: made[-1]), "the last output only"),
    ("dense_block", both(lambda made: torch.cat(made[::-1], 1)), "newest first; `maps` must come first"),
    ("dense_block", both(lambda made: torch.cat([made[0], *made[:0:-1]], 1)), "the first value that differs"),
    ("dense_block", block(lambda made: torch.cat(made[::-1], 1)), "the first value that differs"),
    ("dense_block", block(answer=lambda made: torch.cat(made[::-1], 1)), "the first value that differs"),
    ("dense_block", block(lambda made: torch.cat([made[0], made[-1]][: len(made)], 1)), "the first value that differs"),
    ("dense_block", both(lambda made: torch.cat(made, 0)), "joined along axis 0"),
    ("dense_block", both(lambda made: torch.cat(made, 2)), "joined along axis 2"),
    ("dense_block", both(lambda made: torch.cat(made, -1)), "joined along axis 3"),
    ("dense_block", block(answer=torch.stack), "expected: "),
    ("dense_block", block(answer=list), "returned list, not a torch tensor"),
    ("dense_block", in_place, "an operation in place; work on a copy"),
    ("dense_block", lambda maps, layers: dense_block(maps, layers[:2]), "the shape is"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "function", "mistake"), WRONG)
def test_a_wrong_answer_is_told_its_mistake(name, function, mistake, capsys, monkeypatch):
    assert getattr(check, name)(function) is False
    text = capsys.readouterr().out
    assert text.startswith(f"Exercise {name}: not right yet\n  case:     ") and mistake in text
    assert "\n  got:      " in text and "\n  expected: " in text and "0x" not in text
    monkeypatch.setenv("MEDLAB_STRICT", "1")
    with pytest.raises(AssertionError) as raised:
        getattr(check, name)(function)
    assert str(raised.value) + "\n" == text


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", RIGHT)
def test_a_check_never_raises_and_knows_an_unsolved_one(name, capsys):
    assert getattr(check, name)(unsolved) is False
    assert capsys.readouterr().out == f"Exercise {name}: not attempted yet\n"
    for function in (crashing, endless, odd_error, None, *(lambda *a, answer=answer: answer for answer in ANSWERS)):
        assert getattr(check, name)(function) is False
        assert capsys.readouterr().out.startswith(f"Exercise {name}: not right yet")


@pytest.mark.parametrize("name", RIGHT)
def test_a_check_is_quick_states_its_task_and_leaves_the_random_generators_alone(name):
    torch.manual_seed(0)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    start = time.process_time()
    assert getattr(check, name)(RIGHT[name])
    assert time.process_time() - start < 2
    assert np.array_equal(before[0], np.random.get_state()[1]) and torch.equal(before[1], torch.get_rng_state())
    assert getattr(check, name).__doc__.startswith("Write ")


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([], 1),
        ([(3, 1, 1), (3, 1, 1)], 5),
        ([(3, 1, 1), (2, 2, 1), (3, 1, 1)], 8),
        ([(3, 1, 2)], 5),
        ([(7, 2, 1), (2, 2, 1), (3, 1, 2), (2, 3, 1), (3, 1, 1)], 53),
    ],
)
def test_the_receptive_field_is_what_a_network_sees(layers, expected):
    images = torch.zeros(1, 1, 200, 1, requires_grad=True)
    maps = images
    for kernel, stride, dilation in layers:
        maps = F.conv2d(maps, torch.ones(1, 1, kernel, 1), stride=(stride, 1), dilation=(dilation, 1))
    maps[0, 0, maps.shape[2] // 2, 0].backward()
    seen = images.grad[0, 0, :, 0].nonzero()
    assert receptive_field(layers) == int(seen.max() - seen.min()) + 1 == expected


def test_the_worked_numbers_and_the_courses_own_block():
    mask = torch.tensor([[1, 1, 0], [0, 0, 0], [0, 0, 0]]).bool()
    target = torch.tensor([[0, 1, 0], [0, 1, 0], [0, 1, 1]]).bool()
    assert float(dice(mask, target)) == pytest.approx(1 / 3)
    summing = [lambda maps: maps.sum(1, keepdim=True)] * 3
    assert dense_block(torch.ones(1, 1, 1, 1), summing).ravel().tolist() == [1, 1, 2, 4]
    own, maps = DenseBlock(in_channels=2, growth=3).eval(), torch.randn(1, 2, 4, 4)
    own.mix = nn.Identity()
    assert torch.allclose(dense_block(maps, own.layers), own(maps))
