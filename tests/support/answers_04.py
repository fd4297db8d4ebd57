"""Right and wrong answers to the exercises of lesson 04, as students would write them."""

import torch

from medlab.data.patches import extract_patches

# The right answers, as a student would write them


def triplanar(volume, center, width):
    d, h, w = (slice(c - width // 2, c - width // 2 + width) for c in center)
    depth, row, column = center
    return torch.stack([volume[depth, h, w], volume[d, row, w], volume[d, h, column]])


def dense_parameters(width, kernel, channels, units, axes=2, streams=1):
    side = width - 2 * (kernel - 1)
    return streams * channels * side**axes * units + units


def dice_at(probs, target, thresholds):
    answers = []
    for threshold in thresholds:
        predicted = probs >= threshold
        answers.append(2 * (predicted & target).sum() / (predicted.sum() + target.sum()))  # 0 / 0 of tensors is nan
    return torch.stack(answers)


RIGHT = {"triplanar": triplanar, "dense_parameters": dense_parameters, "dice_at": dice_at}


# Other right answers


def by_the_library(volume, center, width):
    return extract_patches(volume[None, None], torch.tensor([[0, *center]]), "triplanar", width)[0]


def by_broadcasting(probs, target, thresholds):
    predicted = probs.flatten() >= thresholds[:, None]
    target = target.flatten()
    return 2.0 * (predicted & target).sum(1) / (predicted.sum(1) + target.sum())


OTHER = [
    ("triplanar", by_the_library),
    ("dense_parameters", lambda w, k, m, u, axes=2, streams=1: u * (1 + streams * m * (w - k - k + 2) ** axes)),
    ("dice_at", by_broadcasting),
    ("dice_at", lambda p, t, th: dice_at(p, t, th).double()),
]


# Wrong answers, and what the check must say to them


def planes(order=(0, 1, 2), shift=lambda width: 0, transpose=False):
    """A `triplanar` with a mistake."""

    def wrong(volume, center, width):
        planes = triplanar(volume, [c + shift(width) for c in center], width)[list(order)]
        return planes.mT if transpose else planes

    return wrong


def stack(volume, center, width):
    d, h, w = center
    return torch.cat([triplanar(volume, (d + step, h, w), width)[:1] for step in (-1, 0, 1)])


def center_from_the_left(volume, center, width):
    low = [c - (width - 1) // 2 for c in center]
    (d, h, w), (depth, row, column) = (slice(a, a + width) for a in low), center
    return torch.stack([volume[depth, h, w], volume[d, row, w], volume[d, h, column]])


def one_convolution(width, kernel, channels, units, axes=2, streams=1):
    return streams * channels * (width - kernel + 1) ** axes * units + units


def right(**fixed):
    """`dense_parameters` that ignores what it is given."""
    return lambda w, k, m, u, **more: dense_parameters(w, k, m, u, **more | fixed)


def counted(change):
    return lambda w, k, m, u, axes=2, streams=1: change(dense_parameters(w, k, m, u, axes, streams), u, streams)


def as_called(p, t, th, score):
    return torch.stack([score(p >= one, t) for one in th])


WRONG = [
    ("triplanar", planes(order=(2, 1, 0)), "the planes come in another order"),
    ("triplanar", planes(order=(0, 0, 0)), "the first plane three times"),
    ("triplanar", planes(transpose=True), "rows and columns of the planes are swapped"),
    ("triplanar", planes(shift=lambda width: -(width % 2)), "off by one"),
    ("triplanar", planes(shift=lambda width: 1 - width % 2), "the center is voxel number width // 2: of four"),
    ("triplanar", stack, "the stacked view"),
    ("triplanar", center_from_the_left, "the first value that differs"),
    ("triplanar", lambda v, c, w: triplanar(v, c, w).numpy(), "returned ndarray, not a torch tensor"),
    ("triplanar", lambda v, c, w: triplanar(v, c, w)[None], "the shape is (1, 3, 2, 2), not (3, 2, 2)"),
    ("triplanar", lambda v, c, w: triplanar(v, c, w - 1), "the shape is"),
    ("triplanar", lambda v, c, w: triplanar(v.mul_(2), c, w) / 2, "an operation in place; work on a copy"),
    ("dense_parameters", counted(lambda n, u, s: n - u), "the biases are missing"),
    ("dense_parameters", counted(lambda n, u, s: n - u + 1), "not one in all"),
    ("dense_parameters", counted(lambda n, u, s: n + (s - 1) * u), "once per stream"),
    ("dense_parameters", one_convolution, "only one convolution"),
    ("dense_parameters", lambda w, k, *more, **given: dense_parameters(w, k + 1, *more, **given), "takes away k - 1"),
    ("dense_parameters", lambda w, k, *more, **given: dense_parameters(w, 1, *more, **given), "without padding"),
    ("dense_parameters", right(axes=2), "`axes` is not used"),
    ("dense_parameters", right(streams=1), "`streams` is not used"),
    (
        "dense_parameters",
        lambda w, k, m, *more, **given: dense_parameters(w, k, 1, *more, **given),
        "`channels` is not used",
    ),
    ("dense_parameters", lambda *a, **k: float(dense_parameters(*a, **k)), "returned float, not int"),
    ("dense_parameters", lambda *a, **k: 147, "expected: 12801000"),
    ("dense_parameters", counted(lambda n, u, s: n + (n > 10**6)), "expected: 12801000"),  # one of millions too many
    ("dice_at", lambda p, t, th: by_broadcasting(p - 1e-6, t, th), "use >=, not >"),
    ("dice_at", lambda p, t, th: dice_at(p, t, 0 * th + 0.5), "`thresholds` is not used"),
    ("dice_at", lambda p, t, th: dice_at(-p, t, -th), "high, not low"),
    ("dice_at", lambda p, t, th: as_called(p, t, th, lambda c, t: (c == t).float().mean()), "this is the accuracy"),
    ("dice_at", lambda p, t, th: as_called(p, t, th, lambda c, t: (c & t).sum() / (c | t).sum()), "(IoU)"),
    ("dice_at", lambda p, t, th: (2 * (p * t).sum() / (p.sum() + t.sum())).expand(len(th)), "the soft Dice"),
    ("dice_at", lambda p, t, th: dice_at(p, t, th).nan_to_num(0), "two empty regions give nan, not 0"),
    ("dice_at", lambda p, t, th: dice_at(p, t, th).nan_to_num(1), "two empty regions give nan, not 1"),
    ("dice_at", lambda p, t, th: dice_at(p, t, th.sort().values), "as given, not sorted"),
    ("dice_at", lambda p, t, th: dice_at(p, t, th[:1]), "the shape is (1,), not (2,)"),
    ("dice_at", lambda p, t, th: dice_at(p, t, th).max(), "the shape is (), not (2,)"),
    ("dice_at", lambda p, t, th: dice_at(p, t, th).tolist(), "returned list, not a torch tensor"),
]
