"""`Recipe`: the arguments of `fit` that decide its result, checked once, and kept in every checkpoint."""

import math
from dataclasses import dataclass

import torch
from torch import nn

from medlab.data.augment import Augment
from medlab.errors import unknown_name, whole_number

OPTIMISERS = ("adamw", "sgd", "nesterov")
SCHEDULES = ("constant", "cosine")
WARMUP = 0.05  # part of a cosine schedule in which the learning rate rises


@dataclass
class Recipe:
    """How to train; `fit` explains each of them.

    Raises:
        ValueError: a value out of its range, an unknown optimiser or schedule.
    """

    epochs: int
    batch_size: int
    lr: float
    optimiser: str
    weight_decay: float
    schedule: str
    clip: float | None
    augment: Augment | None
    patience: int | None
    seed: int

    def __post_init__(self) -> None:
        for name, least in {"epochs": 1, "batch_size": 1, "patience": 1, "seed": 0}.items():
            value = getattr(self, name)
            if value is None and name == "patience":
                continue
            setattr(self, name, whole_number(name, value, least))
        self.lr, self.weight_decay = float(self.lr), float(self.weight_decay)
        if not 0 < self.lr < math.inf:  # false for NaN too
            raise ValueError(f"lr must be positive, got {self.lr}; 1e-3 is a usual start for adamw, 1e-2 for sgd")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must not be negative, got {self.weight_decay}")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip must be positive, got {self.clip}; 1.0 is usual, None for no limit")
        if self.optimiser not in OPTIMISERS:
            raise unknown_name("optimiser", self.optimiser, OPTIMISERS)
        if self.schedule not in SCHEDULES:
            raise unknown_name("schedule", self.schedule, SCHEDULES)

    def make_optimiser(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimiser of the model's parameters, on the device where they are."""
        shared = {"lr": self.lr, "weight_decay": self.weight_decay, "fused": True}
        if self.optimiser == "adamw":
            return torch.optim.AdamW(model.parameters(), **shared)
        return torch.optim.SGD(model.parameters(), momentum=0.9, nesterov=self.optimiser == "nesterov", **shared)

    def learning_rate(self, step: int, steps: int) -> float:
        """Learning rate of step `step` (from 0) of `steps`: constant, or a cosine after a short rise."""
        if self.schedule == "constant":
            return self.lr
        warm = max(1, round(WARMUP * steps))
        if step < warm:
            return self.lr * (step + 1) / warm
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))
