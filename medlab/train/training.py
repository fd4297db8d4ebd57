"""`Training`: all that a training has reached, in one place: what a checkpoint keeps, and what resuming restores."""

import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from medlab.data.images import ImageSet
from medlab.train.checkpoint import check_model, check_settings, load_checkpoint, model_name, save_checkpoint
from medlab.train.history import History
from medlab.train.recipe import Recipe


@dataclass(kw_only=True)
class Training:
    """The state of one network's training. Its randomness needs none: it follows from the seed and the epoch's number.

    Attributes:
        model, optimisers: they hold the weights and the momenta; players of a game are one `nn.ModuleDict`.
        history: the learning curve so far.
        settings: all that decides the result, as plain values; a checkpoint with others is refused.
        patience: as in `fit`.
        checkpoint: the file that keeps it all; None keeps nothing.
        best: weights of the best epoch so far, where there is patience.
    """

    model: nn.Module
    optimisers: list[torch.optim.Optimizer]
    history: History
    settings: dict
    patience: int | None
    checkpoint: str | Path | None
    best: dict[str, Tensor] | None = None

    def restore(self) -> None:
        """Go on from the checkpoint if it is there.

        Raises:
            ValueError: no checkpoint is named.
            CheckpointError: it is damaged, or belongs to another model, other images or other settings.
        """
        if self.checkpoint is None:
            raise ValueError("resume=True needs `checkpoint`, the file to go on from")
        if not Path(self.checkpoint).is_file():
            return
        state = load_checkpoint(self.checkpoint)
        check_model(self.checkpoint, state, self.model)
        check_settings(self.checkpoint, state, self.settings)
        self.model.load_state_dict(state["model"])
        for optimiser, kept in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        self.history, self.best = History(**state["history"]), state["best"]

    def save(self) -> None:
        """Write the checkpoint, if one is wanted.

        Raises:
            OSError: it cannot be written.
        """
        if self.checkpoint is None:
            return
        momenta = [optimiser.state_dict() for optimiser in self.optimisers]
        state = {"model": self.model.state_dict(), "optimisers": momenta, "best": self.best}
        about = {"settings": self.settings, "model_name": model_name(self.model), "history": self.history.to_dict()}
        save_checkpoint(self.checkpoint, state | about)

    def add_validation(self, scores: dict[str, float]) -> None:
        """Note an epoch's validation, and keep the weights if they are the best so far and will be asked for."""
        self.history.add_validation(scores, self.patience)
        if self.patience is not None and self.history.best_epoch == len(self.history):
            self.best = {name: value.clone() for name, value in self.model.state_dict().items()}

    def finish(self) -> History:
        """Leave the model in evaluation mode, with the best weights where there is patience; the learning curve."""
        if self.best is not None:
            self.model.load_state_dict(self.best)
        # plain layout again: safetensors and .view() ask for it
        self.model.to(memory_format=torch.contiguous_format).eval()
        return self.history


def settings_of(recipe: Recipe, train: ImageSet, val: ImageSet | None, precision: str) -> dict:
    """What decides the result of every training, as plain values: the recipe, the precision and the images."""
    sets = f"{mark(train)}, {len(val or ())} for validation"
    return {**asdict(recipe), "augment": repr(recipe.augment), "precision": precision, "data": sets}


def mark(train: ImageSet) -> str:
    """A line that tells sets of other images, sizes or patients apart, without reading them whole."""
    patients = ",".join(str(patient) for patient in train.patients.tolist())
    mark = zlib.crc32(train.images[:16].cpu().numpy().tobytes(), zlib.crc32(patients.encode()))
    return f"{train.info.name} {tuple(train.images.shape)} #{mark:08x}"
