"""Right and wrong answers to the exercises of lesson 03, as students would write them."""

import math
from functools import reduce

import numpy as np
import torch
from scipy.spatial import distance
from sklearn.metrics import f1_score
from torch import nn
from torch.nn import functional as F

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


def dense_block(features, layers):
    for layer in layers:
        features = torch.cat([features, layer(features)], dim=1)
    return features


RIGHT = {"dice": dice, "receptive_field": receptive_field, "dense_block": dense_block}


# Other right answers


def from_the_output(layers):
    field = 1
    for kernel, stride, dilation in reversed(layers):
        field = (field - 1) * stride + (kernel - 1) * dilation + 1
    return field


def pixel_by_pixel(mask, target):
    both = one = 0
    for a, b in zip(mask.flatten().tolist(), target.flatten().tolist()):
        both += a and b
        one += a != b
    return 2 * both / (2 * both + one) if both or one else float("nan")


def by_numpy(mask, target):
    a, b = mask.numpy(), target.numpy()
    if not a.any() and not b.any():
        return np.nan
    return 2 * np.logical_and(a, b).sum() / (np.count_nonzero(a) + np.count_nonzero(b))


def by_sets(mask, target):
    a, b = ({tuple(place) for place in where.nonzero().tolist()} for where in (mask, target))
    try:
        return 2 * len(a & b) / (len(a) + len(b))
    except ZeroDivisionError:
        return math.nan


def by_products(mask, target):
    a, b = mask.double().ravel(), target.double().ravel()
    return 2 * (a @ b) / (a @ a + b @ b)


def from_errors(mask, target):
    tp, fp, fn = (mask & target).sum(), (mask & ~target).sum(), (~mask & target).sum()
    return torch.where(tp + fp + fn == 0, torch.nan, 2 * tp / (2 * tp + fp + fn))


def from_iou(mask, target):
    either = torch.count_nonzero(mask | target)
    overlap = torch.count_nonzero(mask & target) / either
    return 2 * overlap / (1 + overlap)


def by_scipy(mask, target):
    if not (mask | target).any():
        return math.nan
    return 1 - distance.dice(mask.flatten().numpy(), target.flatten().numpy())


def by_cumulative_product(layers):
    if not layers:
        return 1
    kernels, strides, dilations = np.array(layers).T
    return 1 + ((kernels - 1) * dilations * np.cumprod([1, *strides[:-1]])).sum()


def by_positions(layers):
    """The first and the last input pixel that output pixel 0 depends on."""
    first = last = 0
    for kernel, stride, dilation in layers[::-1]:
        first, last = first * stride, last * stride + dilation * (kernel - 1)
    return last - first + 1


def one_inside_the_other(layers):
    if not layers:
        return 1
    kernel, stride, dilation = layers[0]
    return (one_inside_the_other(layers[1:]) - 1) * stride + dilation * (kernel - 1) + 1


def by_products_of_strides(layers):
    total = 1
    for i in range(len(layers)):
        total += (layers[i][0] - 1) * layers[i][2] * math.prod(stride for _, stride, _ in layers[:i])
    return total


def by_what_is_touched(layers):
    touched = {0}
    for kernel, stride, dilation in reversed(layers):
        touched = {place * stride + tap * dilation for place in touched for tap in range(kernel)}
    return max(touched) - min(touched) + 1


class Block(nn.Module):
    def forward(self, features, layers):
        for i in range(len(layers)):
            features = torch.hstack((features, layers[i](features)))
        return features


def the_first_and_the_rest(features, layers):
    if len(layers) == 0:
        return features
    return the_first_and_the_rest(torch.concat([features, layers[0](features)], dim=-3), layers[1:])


def into_a_larger_tensor(features, layers):
    answer = features
    for layer in layers:
        new, old = layer(answer), answer
        answer = torch.empty(len(old), old.shape[1] + new.shape[1], *old.shape[2:])
        answer[:, : old.shape[1]], answer[:, old.shape[1] :] = old, new
    return answer


def by_padding(features, layers):
    for layer in layers:
        new = layer(features)
        before, after = (0, 0, 0, 0, features.shape[1], 0), (0, 0, 0, 0, 0, new.shape[1])
        features = F.pad(features, after) + F.pad(new, before)
    return features


def with_a_list(features, layers):
    outputs = [features]
    for layer in layers:
        outputs.append(layer(torch.cat(outputs, 1)))
    return torch.cat(outputs, 1)


OTHER = [
    ("dice", lambda a, b: 2 * (a & b).sum() / (a.sum() + b.sum())),  # 0 / 0 of tensors is nan
    ("dice", lambda a, b: float(1 - (a ^ b).sum() / (a.sum() + b.sum()))),
    ("dice", lambda a, b: np.float64(dice(a, b))),
    ("dice", pixel_by_pixel),
    ("dice", by_numpy),
    ("dice", by_sets),
    ("dice", by_products),
    ("dice", from_errors),
    ("dice", from_iou),
    ("dice", by_scipy),
    ("dice", lambda a, b: f1_score(b.ravel(), a.ravel(), zero_division=math.nan)),
    ("receptive_field", from_the_output),
    ("receptive_field", lambda layers: np.int64(receptive_field(layers))),
    ("receptive_field", lambda layers: torch.tensor(receptive_field(layers))),
    ("receptive_field", by_cumulative_product),
    ("receptive_field", by_positions),
    ("receptive_field", one_inside_the_other),
    ("receptive_field", by_products_of_strides),
    ("receptive_field", by_what_is_touched),
    ("dense_block", with_a_list),
    ("dense_block", Block()),
    ("dense_block", the_first_and_the_rest),
    ("dense_block", into_a_larger_tensor),
    ("dense_block", by_padding),
    ("dense_block", lambda features, layers: reduce(lambda x, layer: torch.cat((x, layer(x)), 1), layers, features)),
]


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


def block(seen=lambda outputs: torch.cat(outputs, 1), answer=lambda outputs: torch.cat(outputs, 1)):
    """A `dense_block` with a mistake."""

    def wrong(features, layers):
        outputs = [features]
        for layer in layers:
            outputs.append(layer(seen(outputs)))
        return answer(outputs)

    return wrong


def both(join):
    return block(join, join)


def in_place(features, layers):
    features *= 1.1
    return dense_block(features, layers)


WRONG = [
    ("dice", lambda a, b: (a & b).sum() / (a | b).sum(), "intersection over union (IoU)"),
    ("dice", lambda a, b: (a == b).float().mean(), "this is the accuracy"),
    ("dice", lambda a, b: (a & b).sum() / (a.sum() + b.sum()), "the factor 2 is missing"),
    ("dice", lambda a, b: (a & b).sum() / a.sum(), "this is the precision"),
    ("dice", lambda a, b: (a & b).sum() / b.sum(), "this is the recall"),
    ("dice", lambda a, b: dice(~a, ~b), "the background"),
    ("dice", lambda a, b: 100 * dice(a, b), "in percent"),
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
    (
        "receptive_field",
        lambda layers: 1 + sum((k - 1) * d * s for k, s, d in layers),
        "each layer times its own stride",
    ),
    ("receptive_field", lambda layers: receptive_field(layers[::-1]), "the last layer comes first"),
    ("receptive_field", lambda layers: float(receptive_field(layers)), "returned float, not int"),
    ("receptive_field", lambda layers: receptive_field(layers) ** 2, "expected: 5"),
    ("receptive_field", lambda layers: receptive_field(layers) if layers else 0, "expected: 1"),
    ("receptive_field", lambda layers: [receptive_field(layers)] * 2, "returned list, not a whole number"),
    ("dense_block", block(lambda outputs: outputs[-1], lambda outputs: outputs[-1]), "a plain chain"),
    ("dense_block", block(lambda outputs: outputs[-1]), "not the latest only"),
    ("dense_block", block(lambda outputs: outputs[0]), "not `features` only"),
    ("dense_block", both(sum), "a residual block"),
    ("dense_block", block(answer=lambda outputs: torch.cat(outputs[1:], 1)), "`features` itself is missing"),
    ("dense_block", block(answer=lambda outputs: outputs[-1]), "the last output only"),
    ("dense_block", both(lambda outputs: torch.cat(outputs[::-1], 1)), "newest first; `features` must come first"),
    ("dense_block", both(lambda outputs: torch.cat([outputs[0], *outputs[:0:-1]], 1)), "the first value that differs"),
    ("dense_block", block(lambda outputs: torch.cat(outputs[::-1], 1)), "the first value that differs"),
    (
        "dense_block",
        block(answer=lambda outputs: torch.cat(outputs[::-1], 1)),
        "newest first; `features` must come first",
    ),
    (
        "dense_block",
        block(lambda outputs: torch.cat([outputs[0], outputs[-1]][: len(outputs)], 1)),
        "the first value that differs",
    ),
    ("dense_block", both(lambda outputs: torch.cat(outputs, 0)), "concatenated along axis 0"),
    ("dense_block", both(lambda outputs: torch.cat(outputs, 2)), "concatenated along axis 2"),
    ("dense_block", both(lambda outputs: torch.cat(outputs, -1)), "concatenated along axis 3"),
    ("dense_block", block(answer=torch.stack), "expected: "),
    ("dense_block", block(answer=list), "returned list, not a torch tensor"),
    ("dense_block", in_place, "an operation in place; work on a copy"),
    ("dense_block", lambda features, layers: dense_block(features, layers[:2]), "the shape is"),
]
