"""Right and wrong answers to the exercises of lesson 04, as students would write them."""

import torch
from torch.nn.functional import conv2d, linear, unfold

from medlab.data.patches import extract_patches

# The right answers, as a student would write them


def triplanar(volume, center, width):
    d, h, w = (slice(c - width // 2, c - width // 2 + width) for c in center)
    depth, row, column = center
    return torch.stack([volume[depth, h, w], volume[d, row, w], volume[d, h, column]])


def dense_as_convolution(maps, weight, bias, side):
    kernels = weight.view(len(weight), maps.shape[1], side, side)
    return conv2d(maps, kernels, bias)


def dice_at(probs, target, thresholds):
    answers = []
    for threshold in thresholds:
        predicted = probs >= threshold
        answers.append(2 * (predicted & target).sum() / (predicted.sum() + target.sum()))  # 0 / 0 of tensors is nan
    return torch.stack(answers)


RIGHT = {"triplanar": triplanar, "dense_as_convolution": dense_as_convolution, "dice_at": dice_at}


# Other right answers


def by_the_library(volume, center, width):
    return extract_patches(volume[None, None], torch.tensor([[0, *center]]), "triplanar", width)[0]


def by_broadcasting(probs, target, thresholds):
    predicted = probs.flatten() >= thresholds[:, None]
    target = target.flatten()
    return 2.0 * (predicted & target).sum(1) / (predicted.sum(1) + target.sum())


def by_unfold(maps, weight, bias, side):
    n, _, height, width = maps.shape
    places = linear(unfold(maps, side).mT, weight, bias)  # (N, places, units)
    return places.mT.reshape(n, len(weight), height - side + 1, width - side + 1)


OTHER = [
    ("triplanar", by_the_library),
    ("dense_as_convolution", by_unfold),
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


def changed(kernels=lambda k: k, bias=lambda b: b, **how):
    """A `dense_as_convolution` with a mistake."""

    def wrong(maps, weight, b, side):
        return conv2d(maps, kernels(weight.view(len(weight), maps.shape[1], side, side)), bias(b), **how)

    return wrong


def channels_last(maps, weight, bias, side):
    return conv2d(maps, weight.view(len(weight), side, side, maps.shape[1]).permute(0, 3, 1, 2), bias)


def with_stride(maps, weight, bias, side):
    return changed(stride=side)(maps, weight, bias, side)


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
    ("dense_as_convolution", changed(bias=lambda b: None), "the bias is missing"),
    ("dense_as_convolution", changed(lambda k: k.flip(2, 3)), "do not flip the weights"),
    ("dense_as_convolution", changed(lambda k: k.mT), "rows and columns of the kernels are swapped"),
    ("dense_as_convolution", channels_last, "the channels first"),
    ("dense_as_convolution", lambda *given: dense_as_convolution(*given).relu(), "the ReLU comes after"),
    ("dense_as_convolution", changed(padding="same"), "without padding"),
    ("dense_as_convolution", with_stride, "not by side"),
    (
        "dense_as_convolution",
        lambda *given: dense_as_convolution(*given)[0],
        "the shape is (1, 2, 2), not",
    ),
    (
        "dense_as_convolution",
        lambda *given: dense_as_convolution(*given).numpy(),
        "returned ndarray, not a torch tensor",
    ),
    ("dense_as_convolution", lambda m, w, b, s: dense_as_convolution(m.mul_(2), w, b, s) / 2, "an operation in place"),
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
