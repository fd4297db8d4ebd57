"""Right and wrong answers to the exercises of lesson 04, as students would write them."""

import numpy as np
import torch
from sklearn.metrics import f1_score
from torch import nn
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


def voxel_by_voxel(volume, center, width):
    (depth, row, column), half = center, width // 2
    planes = torch.empty(3, width, width)
    for i in range(width):
        for j in range(width):
            planes[0, i, j] = volume[depth, row - half + i, column - half + j]
            planes[1, i, j] = volume[depth - half + i, row, column - half + j]
            planes[2, i, j] = volume[depth - half + i, row - half + j, column]
    return planes


def by_narrow(volume, center, width):
    planes = []
    for axis in range(3):
        plane = volume.select(axis, center[axis])
        for k, along in enumerate([one for one in range(3) if one != axis]):
            plane = plane.narrow(k, center[along] - width // 2, width)
        planes.append(plane)
    return torch.stack(planes)


def out_of_the_cube(volume, center, width):
    d, h, w = (c - width // 2 for c in center)
    cube, middle = volume[d : d + width, h : h + width, w : w + width], width // 2
    return torch.stack((cube[middle], cube[:, middle], cube[:, :, middle]))


def by_indices(volume, center, width):
    line = torch.arange(width) - width // 2
    down, across = torch.meshgrid(line, line, indexing="ij")
    still = torch.zeros_like(down)
    places = torch.stack(
        [torch.stack(one) for one in ((still, down, across), (down, still, across), (down, across, still))]
    )
    d, h, w = (places + torch.tensor(center)[:, None, None]).unbind(1)
    return volume[d, h, w]


def in_numpy(volume, center, width):
    array, around = volume.numpy(), [np.arange(c - width // 2, c - width // 2 + width) for c in center]
    planes = [np.take(array, c, axis=axis) for axis, c in enumerate(center)]
    pairs = (around[1], around[2]), (around[0], around[2]), (around[0], around[1])
    return torch.from_numpy(np.stack([plane[np.ix_(*pair)] for plane, pair in zip(planes, pairs)]))


def by_index_select(volume, center, width):
    from_, planes = [c - width // 2 for c in center], []
    for axis in range(3):
        part = volume.index_select(axis, torch.tensor([center[axis]]))
        for other in {0, 1, 2} - {axis}:
            part = part.index_select(other, torch.arange(from_[other], from_[other] + width))
        planes.append(part.squeeze(axis) if width > 1 else part.reshape(1, 1))
    return torch.stack(planes)


def place_by_place(maps, weight, bias, side):
    n, _, height, width = maps.shape
    answer = torch.empty(n, len(weight), height - side + 1, width - side + 1)
    for i in range(answer.shape[2]):
        for j in range(answer.shape[3]):
            answer[:, :, i, j] = linear(maps[:, :, i : i + side, j : j + side].flatten(1), weight, bias)
    return answer


def by_a_layer(maps, weight, bias, side):
    layer = nn.Conv2d(maps.shape[1], len(weight), side)
    with torch.no_grad():
        layer.weight.copy_(weight.reshape_as(layer.weight))
        layer.bias.copy_(bias)
        return layer(maps)


def by_windows(maps, weight, bias, side):
    windows = maps.unfold(2, side, 1).unfold(3, side, 1)  # (N, C, H', W', side, side)
    kernels = weight.unflatten(1, (-1, side, side))
    return torch.einsum("ncyxij,ucij->nuyx", windows, kernels) + bias[:, None, None]


def weight_by_weight(maps, weight, bias, side):
    """Each weight times a shifted copy of its map."""
    high, wide = maps.shape[2] - side + 1, maps.shape[3] - side + 1
    answer = bias.view(1, -1, 1, 1).repeat(len(maps), 1, high, wide)
    for k, column in enumerate(weight.T):
        channel, place = divmod(k, side * side)
        i, j = divmod(place, side)
        answer += column[:, None, None] * maps[:, channel, None, i : i + high, j : j + wide]
    return answer


def by_scipy(maps, weight, bias, side):
    from scipy.signal import correlate

    kernels = weight.numpy().reshape(len(weight), -1, side, side)
    rows = [
        [correlate(one, kernel, "valid")[0] + b for kernel, b in zip(kernels, bias.numpy())] for one in maps.numpy()
    ]
    return torch.from_numpy(np.array(rows))


def flipped_twice(maps, weight, bias, side):
    """A transposed convolution adds where a convolution gathers: it takes the kernels turned round, and is cut off."""
    kernels = weight.view(len(weight), -1, side, side).flip(2, 3).transpose(0, 1)
    return nn.functional.conv_transpose2d(maps, kernels, bias, padding=side - 1)


def by_counting(probs, target, thresholds):
    answers, target = [], target.flatten().tolist()
    for threshold in thresholds.tolist():
        called = [p >= threshold for p in probs.double().flatten().tolist()]
        both = sum(a and b for a, b in zip(called, target))
        total = sum(called) + sum(target)
        answers.append(2 * both / total if total else float("nan"))
    return torch.tensor(answers)


def by_the_iou(probs, target, thresholds):
    answers = torch.full(thresholds.shape, torch.nan)
    for k, threshold in enumerate(thresholds):
        called = probs >= threshold
        if (called | target).any():
            iou = (called & target).sum() / (called | target).sum()
            answers[k] = 2 * iou / (1 + iou)
    return answers


def by_errors(probs, target, thresholds):
    scores = []
    for threshold in thresholds:
        called = torch.ge(probs, threshold)
        hits, errors = torch.sum(called * target), torch.sum(called != target)
        scores.append(torch.true_divide(2 * hits, 2 * hits + errors))
    return torch.tensor(scores)


def by_f1(probs, target, thresholds):
    """The F1 score of the voxels."""
    flat, truth = probs.numpy().ravel(), target.numpy().ravel()
    called = [flat >= t for t in thresholds.numpy()]
    return torch.tensor([f1_score(truth, one, zero_division=np.nan) for one in called], dtype=torch.float64)


def by_matrix(probs, target, thresholds):
    called = (probs.reshape(-1)[None] >= thresholds[:, None]).float()
    truth = target.reshape(-1).float()
    return 2 * (called @ truth) / (called.sum(1) + truth.sum())


OTHER = [
    ("triplanar", by_the_library),
    ("triplanar", voxel_by_voxel),
    ("triplanar", by_narrow),
    ("triplanar", out_of_the_cube),
    ("triplanar", by_indices),
    ("triplanar", in_numpy),
    ("triplanar", by_index_select),
    ("dense_as_convolution", by_unfold),
    ("dense_as_convolution", place_by_place),
    ("dense_as_convolution", by_a_layer),
    ("dense_as_convolution", by_windows),
    ("dense_as_convolution", weight_by_weight),
    ("dense_as_convolution", by_scipy),
    ("dense_as_convolution", flipped_twice),
    ("dice_at", by_broadcasting),
    ("dice_at", lambda p, t, th: dice_at(p, t, th).double()),
    ("dice_at", by_counting),
    ("dice_at", by_the_iou),
    ("dice_at", by_errors),
    ("dice_at", by_f1),
    ("dice_at", by_matrix),
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
