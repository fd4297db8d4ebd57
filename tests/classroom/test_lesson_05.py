"""The right answers of lesson 05 against the course."""

import torch
from answers_05 import cardiothoracic_ratio, critic_loss, dice_from_iou, iou, segmenter_loss


def test_the_worked_numbers():
    mask, target = torch.tensor([1, 1, 1, 0]).bool(), torch.tensor([0, 1, 1, 1]).bool()
    assert float(iou(mask, target)) == 0.5 and round(dice_from_iou(0.5), 3) == 0.667
    assert round(float(critic_loss(torch.tensor([0.0]), torch.tensor([2.0]))), 3) == 2.820
    assert round(float(segmenter_loss(torch.tensor([2.0]))), 3) == 0.127
    assert cardiothoracic_ratio(torch.tensor([[0, 1, 1, 0, 3, 3, 2, 2, 2, 0]])) == 0.25
