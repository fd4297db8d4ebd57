"""Training: one call for one process or many, repeatable and resumable."""

from medlab.train.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from medlab.train.devices import pick_device, pick_precision, seed_everything
from medlab.train.evaluate import predict
from medlab.train.fit import fit
from medlab.train.gan import fit_gan
from medlab.train.gan_losses import FeatureMatching, OneSidedSmoothing, SemiSupervised
from medlab.train.losses import dice_cross_entropy
from medlab.train.sampling import sample
from medlab.train.scan import fit_scan
from medlab.train.state import History
from medlab.train.synergic import fit_synergic

__all__ = [
    "CheckpointError",
    "FeatureMatching",
    "History",
    "OneSidedSmoothing",
    "SemiSupervised",
    "dice_cross_entropy",
    "fit",
    "fit_gan",
    "fit_scan",
    "fit_synergic",
    "load_checkpoint",
    "pick_device",
    "pick_precision",
    "predict",
    "sample",
    "save_checkpoint",
    "seed_everything",
]
