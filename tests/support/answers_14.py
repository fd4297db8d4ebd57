"""Right and wrong answers to the exercises of lesson 14, as students would write them."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import torch
from torch import nn

from medlab.models import count_parameters, multiply_adds

# The right answers, as a student would write them


def whole_steps(seconds, rate, cost, batch):
    return int(seconds * rate / (3 * cost * batch))


def of_conv(n, c_in, c_out, side, kernel, size):
    weights = c_out * c_in * kernel**2
    numbers = n * c_in * side**2 + weights + n * c_out * side**2
    return 2 * n * side**2 * weights, size * numbers


def lower_of_two(intensity, peak, bandwidth):
    allowed = intensity * bandwidth
    return min(float(peak), float(allowed)), "memory" if allowed < peak else "compute"


RIGHT = {"steps_for_budget": [whole_steps], "conv_cost": [of_conv], "roof": [lower_of_two]}


# Other right answers


def by_floor_division(seconds, rate, cost, batch):
    one_pass = cost * batch
    return seconds * rate // (one_pass + 2 * one_pass)


def by_floor(seconds, rate, cost, batch):
    return math.floor(seconds * rate / cost / batch / 3)


def by_seconds_of_a_step(seconds, rate, cost, batch):
    step = Fraction(3 * cost * batch, rate)
    return int(Fraction(seconds) / step)


def by_divmod(seconds, rate, cost, batch):
    steps, _ = divmod(seconds * rate, 3 * cost * batch)
    return steps


def by_search(seconds, rate, cost, batch):
    """Halve an interval that holds the answer."""
    low, high = 0, seconds * rate + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle * 3 * cost * batch <= seconds * rate else (low, middle)
    return low


def by_numpy(seconds, rate, cost, batch):
    return np.int64(np.floor(np.float64(seconds) * rate / (3 * cost * batch)))


def by_tensor(seconds, rate, cost, batch):
    return torch.div(torch.tensor(seconds * rate), 3 * cost * batch, rounding_mode="floor")


def by_decimal(seconds, rate, cost, batch):
    return int(Decimal(seconds) * Decimal(rate) / Decimal(3 * cost * batch))


def by_images(seconds, rate, cost, batch):
    """First whole images, then whole batches of them: rounding down twice is rounding down once."""
    return seconds * rate // (3 * cost) // batch


def on_meta(n, c_in, c_out, side, kernel, size):
    """PyTorch counts."""
    with torch.device("meta"):
        conv = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, bias=False)
        images = torch.empty(n, c_in, side, side)
    numbers = images.numel() + conv(images).numel() + count_parameters(conv)
    return 2 * multiply_adds(conv, images), size * numbers


def by_places(n, c_in, c_out, side, kernel, size):
    operations = 0
    for _ in range(n):
        for _ in range(c_out):
            operations += side * side * c_in * kernel * kernel * 2
    given, made = n * c_in * side * side, n * c_out * side * side
    return operations, given * size + made * size + c_out * c_in * kernel * kernel * size


def as_a_list(n, c_in, c_out, side, kernel, size):
    return list(of_conv(n, c_in, c_out, side, kernel, size))


def by_shapes(n, c_in, c_out, side, kernel, size):
    shapes = [(n, c_in, side, side), (c_out, c_in, kernel, kernel), (n, c_out, side, side)]
    given, weights, made = map(math.prod, shapes)
    return 2 * made * math.prod(shapes[1][1:]), sum((given, weights, made)) * size


def as_matrix_product(n, c_in, c_out, side, kernel, size):
    """Rows are places, columns the patch under the kernel."""
    rows, inner, columns = n * side * side, c_in * kernel * kernel, c_out
    return 2 * rows * inner * columns, (rows * c_in + inner * columns + rows * columns) * size


def with_numpy_ints(n, c_in, c_out, side, kernel, size):
    values = np.array([n, c_in, c_out, side, kernel], dtype=np.int64)
    n, c_in, c_out, side, kernel = values
    return 2 * n * side**2 * c_out * c_in * kernel**2, size * (n * side**2 * (c_in + c_out) + c_in * c_out * kernel**2)


def with_tensors(n, c_in, c_out, side, kernel, size):
    weights = torch.tensor([c_out, c_in, kernel, kernel]).prod()
    images = torch.tensor([n, side, side]).prod()
    return 2 * images * weights, size * (images * (c_in + c_out) + weights)


def by_corner(intensity, peak, bandwidth):
    corner = peak / bandwidth
    if intensity < corner:
        return float(intensity * bandwidth), "memory"
    return float(peak), "compute"


def by_time(intensity, peak, bandwidth):
    """Seconds of one operation: the slower of the two."""
    arithmetic, memory = 1 / peak, 1 / (intensity * bandwidth)
    return 1 / max(arithmetic, memory), ("compute", "memory")[memory > arithmetic]


def by_numpy_minimum(intensity, peak, bandwidth):
    bounds = {"compute": peak, "memory": intensity * bandwidth}
    return np.minimum(*bounds.values()), min(bounds, key=bounds.get)


def by_sorting(intensity, peak, bandwidth):
    return sorted([(float(peak), "compute"), (float(intensity * bandwidth), "memory")])[0]


def by_clamp(intensity, peak, bandwidth):
    reached = torch.tensor(float(intensity * bandwidth), dtype=torch.float64).clamp(max=float(peak))
    return reached, "compute" if reached == peak else "memory"


def as_pair(intensity, peak, bandwidth):
    answer = [peak, "compute"]
    if bandwidth * intensity < peak:
        answer = [bandwidth * intensity, "memory"]
    return answer


def by_share(intensity, peak, bandwidth):
    share = intensity * bandwidth / peak
    return peak * min(share, 1), "memory" if share < 1 else "compute"


OTHER = [
    ("steps_for_budget", [by_floor_division]),
    ("steps_for_budget", [by_floor]),
    ("steps_for_budget", [by_seconds_of_a_step]),
    ("steps_for_budget", [by_divmod]),
    ("steps_for_budget", [by_search]),
    ("steps_for_budget", [by_numpy]),
    ("steps_for_budget", [by_tensor]),
    ("steps_for_budget", [by_decimal]),
    ("steps_for_budget", [by_images]),
    ("conv_cost", [on_meta]),
    ("conv_cost", [by_places]),
    ("conv_cost", [as_a_list]),
    ("conv_cost", [by_shapes]),
    ("conv_cost", [as_matrix_product]),
    ("conv_cost", [with_numpy_ints]),
    ("conv_cost", [with_tensors]),
    ("roof", [by_corner]),
    ("roof", [by_time]),
    ("roof", [by_numpy_minimum]),
    ("roof", [by_sorting]),
    ("roof", [by_clamp]),
    ("roof", [as_pair]),
    ("roof", [by_share]),
]


# Wrong answers, and what the check must say to them


def steps(of):
    """A `steps_for_budget` of operations, cost and batch, with a mistake."""
    return [lambda seconds, rate, cost, batch: of(seconds * rate, cost, batch)]


def counted(operations=None, moved=None):
    """A `conv_cost` with a mistake in the operations or in the bytes, each of all six numbers."""

    def wrong(*numbers):
        right = of_conv(*numbers)
        return operations(*numbers) if operations else right[0], moved(*numbers) if moved else right[1]

    return [wrong]


def roofs(of, side=lambda allowed, peak: "memory" if allowed < peak else "compute"):
    """A `roof` of intensity, peak and bandwidth, with a mistake in the number or in the side."""
    return [lambda i, peak, band: (float(of(i, peak, band)), side(i * band, peak))]


def numbers_of(n, c_in, c_out, side, kernel):
    """Numbers of the input, of the output, of the weights."""
    return n * c_in * side**2, n * c_out * side**2, c_out * c_in * kernel**2


WRONG = [
    ("steps_for_budget", steps(lambda all_of, cost, batch: all_of // (cost * batch)), "three forward passes, not one"),
    ("steps_for_budget", steps(lambda all_of, cost, batch: all_of // (2 * cost * batch)), "gradients of the weights"),
    ("steps_for_budget", steps(lambda all_of, cost, batch: all_of // (3 * cost)), "divide by the batch"),
    ("steps_for_budget", steps(lambda all_of, cost, batch: all_of // (3 * cost * batch) * batch), "these are images"),
    ("steps_for_budget", [lambda s, rate, cost, batch: rate // (3 * cost * batch)], "into one second"),
    ("steps_for_budget", steps(lambda all_of, cost, batch: round(all_of / (3 * cost * batch))), "round down"),
    ("steps_for_budget", steps(lambda all_of, cost, batch: math.ceil(all_of / (3 * cost * batch))), "not up"),
    ("steps_for_budget", steps(lambda all_of, cost, batch: all_of / (3 * cost * batch)), "whole steps"),
    ("steps_for_budget", steps(lambda all_of, cost, batch: all_of // (6 * cost * batch)), "no factor of two"),
    ("steps_for_budget", steps(lambda all_of, cost, batch: float(all_of // (3 * cost * batch))), "not int"),
    ("steps_for_budget", steps(lambda all_of, cost, batch: None), "there is no `return`"),
    ("conv_cost", [lambda *numbers: of_conv(*numbers)[0]], "two ints"),
    ("conv_cost", [lambda *numbers: None], "there is no `return`"),
    ("conv_cost", [lambda *numbers: of_conv(*numbers)[::-1]], "operations first"),
    ("conv_cost", counted(lambda *all_of: of_conv(*all_of)[0] // 2), "these are multiply-adds"),
    ("conv_cost", counted(lambda *all_of: of_conv(1, *all_of[1:])[0]), "all n images"),
    ("conv_cost", counted(lambda *all_of: of_conv(*all_of)[0] // all_of[4]), "kernel * kernel products"),
    ("conv_cost", counted(lambda *all_of: of_conv(*all_of)[0] // all_of[3]), "side * side places"),
    ("conv_cost", counted(lambda *all_of: of_conv(*all_of)[0] // all_of[1]), "all input channels"),
    ("conv_cost", counted(lambda *all_of: of_conv(*all_of)[0] // all_of[2]), "c_out kernels"),
    (
        "conv_cost",
        counted(lambda n, i, o, side, k, _: 2 * n * i * o * k**2 * max(side - k + 1, 0) ** 2),
        "padding keeps the side",
    ),
    ("conv_cost", counted(lambda *all_of: 3 * of_conv(*all_of)[0]), "the forward pass only"),
    ("conv_cost", counted(None, lambda *all_of: sum(numbers_of(*all_of[:5]))), "each takes `size` bytes"),
    ("conv_cost", counted(None, lambda *all_of: all_of[5] * sum(numbers_of(*all_of[:5])[:2])), "the weights are moved"),
    (
        "conv_cost",
        counted(None, lambda *all_of: all_of[5] * sum(numbers_of(*all_of[:5])[::2])),
        "the output is written",
    ),
    ("conv_cost", counted(None, lambda *all_of: all_of[5] * sum(numbers_of(*all_of[:5])[1:])), "the input is read"),
    ("conv_cost", counted(None, lambda *all_of: all_of[0] * of_conv(1, *all_of[1:])[1]), "they are moved once"),
    ("conv_cost", counted(None, lambda *all_of: 8 * of_conv(*all_of)[1]), "bytes, not bits"),
    ("conv_cost", counted(None, lambda *all_of: 4 * sum(numbers_of(*all_of[:5]))), "not always four"),
    ("conv_cost", counted(None, lambda *all_of: of_conv(*all_of)[1] + all_of[5] * all_of[2]), "there is no bias"),
    (
        "conv_cost",
        counted(
            None, lambda *all_of: of_conv(*all_of)[1] + all_of[5] * (all_of[4] ** 2 - 1) * numbers_of(*all_of[:5])[0]
        ),
        "however many kernels read it",
    ),
    ("roof", [lambda i, peak, band: min(peak, i * band)], "a number and a text"),
    ("roof", roofs(lambda i, peak, band: max(peak, i * band)), "the lower of the two"),
    ("roof", roofs(lambda i, peak, band: peak), "may allow less than"),
    ("roof", roofs(lambda i, peak, band: i * band), "cannot pass its peak"),
    ("roof", roofs(lambda i, peak, band: min(peak, band / i)), "times bytes a second: multiply"),
    ("roof", roofs(lambda i, peak, band: min(peak, i / band)), "multiply, do not divide"),
    ("roof", roofs(lambda i, peak, band: peak + i * band), "are not added"),
    ("roof", roofs(lambda i, peak, band: min(peak, band)), "counts bytes"),
    ("roof", roofs(lambda i, peak, band: min(peak, i * band), lambda a, peak: a < peak), "is a text"),
    (
        "roof",
        roofs(lambda i, peak, band: min(peak, i * band), lambda a, peak: "compute" if a < peak else "memory"),
        "the other side",
    ),
    (
        "roof",
        roofs(lambda i, peak, band: min(peak, i * band), lambda a, peak: "bandwidth" if a < peak else "peak"),
        'exactly "memory" or "compute"',
    ),
]
