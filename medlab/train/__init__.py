"""Training: one call for one process or many, repeatable and resumable."""

from medlab.train.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from medlab.train.devices import pick_device, pick_precision, seed_everything
from medlab.train.evaluate import predict
from medlab.train.fit import fit
from medlab.train.gan import fit_class_gans, fit_gan
from medlab.train.gan_losses import (
    AuxiliaryClassifier,
    Batch,
    FeatureMatching,
    GANLoss,
    GradientPenalty,
    NonSaturating,
    OneSidedSmoothing,
    Saturating,
    SemiSupervised,
    Wasserstein,
    discriminator_bce,
    feature_matching_loss,
    non_saturating_loss,
    real_logit,
)
from medlab.train.historical_averaging import HistoricalAveraging
from medlab.train.losses import dice_cross_entropy
from medlab.train.predict_command import predict_files
from medlab.train.quick import QuickRecipe, quick_recipe
from medlab.train.sampling import sample, synthetic_images
from medlab.train.scan import fit_scan
from medlab.train.state import History
from medlab.train.synergic import fit_synergic, sample_pairs

__all__ = [
    "AuxiliaryClassifier",
    "Batch",
    "CheckpointError",
    "FeatureMatching",
    "GANLoss",
    "GradientPenalty",
    "HistoricalAveraging",
    "History",
    "NonSaturating",
    "OneSidedSmoothing",
    "QuickRecipe",
    "Saturating",
    "SemiSupervised",
    "Wasserstein",
    "dice_cross_entropy",
    "discriminator_bce",
    "feature_matching_loss",
    "fit",
    "fit_class_gans",
    "fit_gan",
    "fit_scan",
    "fit_synergic",
    "load_checkpoint",
    "non_saturating_loss",
    "pick_device",
    "pick_precision",
    "predict",
    "predict_files",
    "quick_recipe",
    "real_logit",
    "sample",
    "sample_pairs",
    "save_checkpoint",
    "seed_everything",
    "synthetic_images",
]
