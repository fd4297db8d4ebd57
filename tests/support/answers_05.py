"""Right and wrong answers to the exercises of lesson 05, as students would write them."""

import math

import numpy as np
import torch
from scipy import ndimage
from sklearn.metrics import jaccard_score
from torch import nn
from torch.nn import functional as F

from medlab import metrics
from medlab.train import gan_losses

# The right answers, as a student would write them


def iou(mask, target):
    union = (mask | target).sum()
    return (mask & target).sum() / union if union > 0 else float("nan")


def dice_from_iou(iou):
    return 2 * iou / (1 + iou)


def critic_loss(real, fake):
    return -F.logsigmoid(real).mean() - F.logsigmoid(-fake).mean()


def segmenter_loss(fake):
    return -F.logsigmoid(fake).mean()


def width(where):
    columns = where.any(0).nonzero()
    return int(columns.max() - columns.min() + 1) if len(columns) else float("nan")


def cardiothoracic_ratio(label):
    return width(label == 3) / width((label == 1) | (label == 2))


RIGHT = {
    "iou_and_dice": [iou, dice_from_iou],
    "critic_losses": [critic_loss, segmenter_loss],
    "cardiothoracic_ratio": [cardiothoracic_ratio],
}


# Other right answers


def by_cross_entropy(real, fake):
    bce = F.binary_cross_entropy_with_logits
    return bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))


def by_sets(mask, target):
    a, b = ({tuple(place) for place in where.nonzero().tolist()} for where in (mask, target))
    return len(a & b) / len(a | b) if a or b else math.nan


def by_numpy(mask, target):
    a, b = mask.numpy(), target.numpy()
    union = np.logical_or(a, b).sum()
    return np.logical_and(a, b).sum() / union if union else np.nan


def pixel_by_pixel(mask, target):
    both = either = 0
    for a, b in zip(mask.flatten(), target.flatten()):
        both += int(a and b)
        either += int(a or b)
    return both / either if either > 0 else float("nan")


def from_areas(mask, target):
    both = (mask * target).sum().item()
    union = mask.sum().item() + target.sum().item() - both
    return both / union if union else math.nan


def from_errors(mask, target):
    right, wrong = torch.count_nonzero(mask & target), torch.count_nonzero(mask ^ target)
    return torch.nan if right + wrong == 0 else right.double() / (right + wrong)


def from_counts(iou):
    """Of 1 pixel of the union, `iou` lie in both: the areas add up to 1 + iou."""
    both, either = iou, 1.0
    return 2 * both / (both + either)


class Loss(nn.Module):
    def forward(self, real, fake):
        answers = torch.cat([real, -fake])
        weights = torch.cat([torch.full_like(real, 1 / len(real)), torch.full_like(fake, 1 / len(fake))])
        return (weights * F.softplus(-answers)).sum()


def one_by_one(real, fake):
    on_real = sum(F.softplus(-logit) for logit in real) / len(real)
    on_fake = sum(F.softplus(logit) for logit in fake) / len(fake)
    return on_real + on_fake


def by_two_classes(logits, label):
    pairs = torch.stack([torch.zeros_like(logits), logits], 1)
    return F.cross_entropy(pairs, torch.full((len(logits),), label))


def by_exponentials(logits):
    """log(1 + exp(-x)), without a large exponential."""
    return ((-logits).clamp(min=0) + torch.log1p(torch.exp(-logits.abs()))).mean()


def numpy_ratio(label):
    def extent(values):
        columns = np.where(np.isin(label.numpy(), values).any(axis=0))[0]
        return np.ptp(columns) + 1 if columns.size else np.nan

    return extent([3]) / extent([1, 2])


def looped_ratio(label):
    heart, chest = [], []
    for row in label.tolist():
        for column, value in enumerate(row):
            if value == 3:
                heart.append(column)
            elif value in (1, 2):
                chest.append(column)
    if not heart or not chest:
        return math.nan
    return (max(heart) - min(heart) + 1) / (max(chest) - min(chest) + 1)


def boxed_ratio(label):
    """The bounding boxes of the heart and of both lungs as one structure."""
    boxes = ndimage.find_objects(torch.where(label == 3, 2, (label > 0).int()).numpy(), max_label=2)
    if None in boxes:
        return float("nan")
    chest, heart = (box[1].stop - box[1].start for box in boxes)
    return heart / chest


def ratio_from_both_ends(label):
    def side(where):
        columns = where.sum(0) > 0
        if not columns.any():
            return torch.nan
        left, right = columns.int().argmax(), columns.flip(0).int().argmax()
        return len(columns) - left - right

    return side(label == 3) / side((label == 1) + (label == 2))


def ratio_by_columns(label):
    columns = torch.arange(label.shape[1]).expand_as(label)
    heart, chest = columns[label == 3], columns[torch.isin(label, torch.tensor([1, 2]))]
    if heart.numel() == 0 or chest.numel() == 0:
        return torch.tensor(torch.nan)
    return (heart.max() - heart.min() + 1) / (chest.amax() - chest.amin() + 1)


def course_ratio(label):
    return metrics.cardiothoracic_ratio(label[None])[0]


OTHER = [
    ("iou_and_dice", [lambda a, b: (a & b).sum() / (a | b).sum(), dice_from_iou]),  # 0 / 0 of tensors is nan
    ("iou_and_dice", [lambda a, b: np.float64(iou(a, b)), lambda iou: 2 / (1 + 1 / iou) if iou else 0.0]),
    ("iou_and_dice", [by_sets, from_counts]),
    ("iou_and_dice", [by_numpy, lambda iou: np.float64(2 * iou) / np.float64(1 + iou)]),
    ("iou_and_dice", [pixel_by_pixel, lambda iou: torch.tensor(2 * iou / (1 + iou))]),
    ("iou_and_dice", [from_areas, lambda iou: iou / (0.5 + iou / 2)]),
    ("iou_and_dice", [from_errors, lambda iou: 2 - 2 / (1 + iou)]),
    (
        "iou_and_dice",
        [lambda a, b: jaccard_score(b.ravel(), a.ravel()) if (a | b).any() else math.nan, dice_from_iou],
    ),
    ("critic_losses", [Loss(), by_exponentials]),
    ("critic_losses", [one_by_one, lambda fake: one_by_one(fake, torch.full_like(fake, -math.inf))]),
    (
        "critic_losses",
        [lambda real, fake: by_two_classes(real, 1) + by_two_classes(fake, 0), lambda fake: by_two_classes(fake, 1)],
    ),
    (
        "critic_losses",
        [
            lambda real, fake: F.soft_margin_loss(real, torch.ones_like(real)) + by_exponentials(-fake),
            lambda fake: torch.logaddexp(torch.zeros_like(fake), -fake).mean(),
        ],
    ),
    (
        "critic_losses",
        [
            lambda real, fake: -(nn.LogSigmoid()(real).mean() + (F.logsigmoid(fake) - fake).mean()),
            lambda fake: nn.BCEWithLogitsLoss()(fake.double(), torch.ones_like(fake).double()),
        ],
    ),
    ("critic_losses", [by_cross_entropy, lambda fake: F.softplus(-fake).mean()]),
    ("critic_losses", [gan_losses.discriminator_bce, gan_losses.non_saturating_loss]),
    ("cardiothoracic_ratio", [course_ratio]),
    ("cardiothoracic_ratio", [numpy_ratio]),
    ("cardiothoracic_ratio", [looped_ratio]),
    ("cardiothoracic_ratio", [boxed_ratio]),
    ("cardiothoracic_ratio", [ratio_from_both_ends]),
    ("cardiothoracic_ratio", [ratio_by_columns]),
]


# Wrong answers, and what the check must say to them


def losses(critic=critic_loss, fooling=segmenter_loss):
    return [critic, fooling]


def ratio(of=width, heart=lambda x: x == 3, chest=lambda x: (x == 1) | (x == 2)):
    """A `cardiothoracic_ratio` with a mistake."""

    def wrong(label):
        if not heart(label).any() or not chest(label).any():
            return math.nan
        return of(heart(label)) / of(chest(label))

    return [wrong]


def columns_of_heart(label):
    if not (label == 3).any() or not ((label == 1) | (label == 2)).any():
        return math.nan
    return int((label == 3).any(0).sum()) / width((label == 1) | (label == 2))


def one_too_few(where):
    columns = where.any(0).nonzero()
    return float(columns.max() - columns.min())


def always(function, label):
    return function(label) if (label == 3).any() and ((label == 1) | (label == 2)).any() else 0.0


WRONG = [
    ("iou_and_dice", [lambda a, b: 2 * (a & b).sum() / (a.sum() + b.sum()), dice_from_iou], "this is the Dice"),
    ("iou_and_dice", [lambda a, b: (a & b).sum() / (a.sum() + b.sum()), dice_from_iou], "count once"),
    ("iou_and_dice", [lambda a, b: (a == b).float().mean(), dice_from_iou], "this is the accuracy"),
    ("iou_and_dice", [lambda a, b: (a & b).sum() / b.sum(), dice_from_iou], "this is the recall"),
    ("iou_and_dice", [lambda a, b: (a & b).sum() / a.sum(), dice_from_iou], "this is the precision"),
    ("iou_and_dice", [lambda a, b: 100 * iou(a, b), dice_from_iou], "in percent"),
    ("iou_and_dice", [lambda a, b: ((a & b).sum() + 1) / ((a | b).sum() + 1), dice_from_iou], "a 1 is added"),
    ("iou_and_dice", [lambda a, b: iou(a, b) if (a | b).any() else 1.0, dice_from_iou], "two empty regions give nan"),
    ("iou_and_dice", [lambda a, b: iou(a, b) if (a & b).any() else math.nan, dice_from_iou], "two empty regions only"),
    ("iou_and_dice", [iou, lambda iou: iou / (2 - iou)], "the way back"),
    ("iou_and_dice", [iou, lambda iou: 2 * iou], "1 would become 2"),
    ("iou_and_dice", [iou, lambda iou: iou], "Dice is not the IoU"),
    ("iou_and_dice", [iou, lambda iou: iou / (1 + iou)], "the factor 2 is missing"),
    ("critic_losses", losses(lambda t, m: critic_loss(m, t)), "expected: "),
    ("critic_losses", losses(lambda t, m: critic_loss(-t, -m)), "1 and 0 are swapped"),
    ("critic_losses", losses(lambda t, m: -critic_loss(t, m)), "this rewards wrong answers"),
    ("critic_losses", losses(lambda t, m: segmenter_loss(t)), "the masks of the segmenter are left out"),
    ("critic_losses", losses(lambda t, m: critic_loss(t, m) / 2), "the half of it"),
    (
        "critic_losses",
        losses(lambda t, m: segmenter_loss(t) + segmenter_loss(m)),
        "both kinds are labeled real",
    ),
    ("critic_losses", losses(lambda t, m: -t.sigmoid().log().mean() - (1 - m.sigmoid()).log().mean()), "sigmoid(60)"),
    ("critic_losses", losses(lambda t, m: critic_loss(t, m).item()), "returned float, not a torch tensor"),
    ("critic_losses", losses(fooling=lambda m: -F.logsigmoid(-m).mean()), "this is the critic's term"),
    ("critic_losses", losses(fooling=lambda m: F.logsigmoid(-m).mean()), "the saturating form"),
    ("critic_losses", losses(fooling=lambda m: -segmenter_loss(m)), "rewards masks that are recognized"),
    ("critic_losses", losses(fooling=lambda m: -F.logsigmoid(m).sum()), "the sum; take the mean"),
    ("critic_losses", losses(fooling=lambda m: segmenter_loss(m.detach())), "cut the gradient to the segmenter"),
    ("cardiothoracic_ratio", [lambda x: 1 / cardiothoracic_ratio(x)], "upside down"),
    ("cardiothoracic_ratio", ratio(one_too_few), "one too few"),
    ("cardiothoracic_ratio", ratio(lambda where: int(where.sum())), "areas, not widths"),
    ("cardiothoracic_ratio", ratio(lambda where: width(where.T)), "heights, not widths"),
    ("cardiothoracic_ratio", ratio(lambda where: int(where.any(0).sum())), "leaves out what lies between them"),
    ("cardiothoracic_ratio", ratio(lambda where: int(where.sum(1).max())), "the widest row"),
    ("cardiothoracic_ratio", [columns_of_heart], "a stray pixel counts"),
    ("cardiothoracic_ratio", ratio(chest=lambda x: x == x), "as wide as the image"),
    (
        "cardiothoracic_ratio",
        [lambda x: width(x == 3) / (width(x == 1) + width(x == 2))],
        "leaves out what lies between them",
    ),
    ("cardiothoracic_ratio", [lambda x: always(cardiothoracic_ratio, x)], "without heart or lungs there is no ratio"),
    ("cardiothoracic_ratio", [lambda x: cardiothoracic_ratio(x) if (x == 2).any() else math.nan], "nan is for"),
]
