"""Right and wrong answers to the exercises of lesson 05, as students would write them."""

import math

import numpy as np
import torch
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


def course_ratio(label):
    return metrics.cardiothoracic_ratio(label[None])[0]


OTHER = [
    ("iou_and_dice", [lambda a, b: (a & b).sum() / (a | b).sum(), dice_from_iou]),  # 0 / 0 of tensors is nan
    ("iou_and_dice", [lambda a, b: np.float64(iou(a, b)), lambda iou: 2 / (1 + 1 / iou) if iou else 0.0]),
    ("critic_losses", [by_cross_entropy, lambda fake: F.softplus(-fake).mean()]),
    ("critic_losses", [gan_losses.discriminator_bce, gan_losses.non_saturating_loss]),
    ("cardiothoracic_ratio", [course_ratio]),
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
    ("cardiothoracic_ratio", ratio(chest=lambda x: x == x), "as wide as the image"),
    (
        "cardiothoracic_ratio",
        [lambda x: width(x == 3) / (width(x == 1) + width(x == 2))],
        "leaves out what lies between them",
    ),
    ("cardiothoracic_ratio", [lambda x: always(cardiothoracic_ratio, x)], "without heart or lungs there is no ratio"),
    ("cardiothoracic_ratio", [lambda x: cardiothoracic_ratio(x) if (x == 2).any() else math.nan], "nan is for"),
]
