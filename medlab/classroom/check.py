"""The checks of all exercises, such as ``check.window(window)`` in a notebook. Each docstring is the task.

A check prints "not attempted yet", "your answer passed" or the first case that failed, and returns whether it passed.
The cells with solutions call it with ``of="the solution"``, and it says so. It raises only in strict mode:
``check.strict()``, or MEDLAB_STRICT=1 in the environment.

``check.predict("00-organ", "Which organ?", ["heart", "lung"])`` asks for a prediction, and in a later cell
``print(check.predicted("00-organ", "heart"))`` shows it beside the result.
"""

from medlab.classroom.exercises import strict
from medlab.classroom.lesson00 import split_patients, window
from medlab.classroom.lesson01 import conv2d_unfold, conv_arithmetic, macro_f1, momentum_descent
from medlab.classroom.lesson02 import balanced_pairs, synergic_loss, synergic_size
from medlab.classroom.lesson03 import dense_block, dice, receptive_field
from medlab.classroom.lesson04 import dense_as_convolution, dice_at, triplanar
from medlab.classroom.lesson05 import cardiothoracic_ratio, critic_losses, iou_and_dice
from medlab.classroom.lesson06 import gan_losses, optimal_discriminator, psnr_rmse
from medlab.classroom.lesson07 import d_prime, mode_count, wasserstein_critic
from medlab.classroom.lesson08 import mcnemar, nested_groups, sensitivity_specificity
from medlab.classroom.lesson09 import better_than_chance, inception_score, minibatch_discrimination
from medlab.classroom.lesson10 import membership, nearer_to_training
from medlab.classroom.lesson11 import class_thresholds, temperature
from medlab.classroom.lesson12 import contrastive, what_moves
from medlab.classroom.lesson13 import compose, data_consistency, forward_noising
from medlab.classroom.lesson14 import conv_cost, roof, steps_for_budget
from medlab.classroom.predictions import predict, predicted

__all__ = [
    "balanced_pairs",
    "better_than_chance",
    "cardiothoracic_ratio",
    "class_thresholds",
    "compose",
    "contrastive",
    "conv2d_unfold",
    "conv_arithmetic",
    "conv_cost",
    "critic_losses",
    "d_prime",
    "data_consistency",
    "dense_as_convolution",
    "dense_block",
    "dice",
    "dice_at",
    "forward_noising",
    "gan_losses",
    "inception_score",
    "iou_and_dice",
    "macro_f1",
    "mcnemar",
    "membership",
    "minibatch_discrimination",
    "mode_count",
    "momentum_descent",
    "nearer_to_training",
    "nested_groups",
    "optimal_discriminator",
    "predict",
    "predicted",
    "psnr_rmse",
    "receptive_field",
    "roof",
    "sensitivity_specificity",
    "split_patients",
    "steps_for_budget",
    "strict",
    "synergic_loss",
    "synergic_size",
    "temperature",
    "triplanar",
    "wasserstein_critic",
    "what_moves",
    "window",
]
