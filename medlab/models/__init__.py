"""Networks: one file per surveyed paper, each reads like the figure of its paper."""

from medlab.models.resnet import small_resnet18
from medlab.models.shallow_cnn import ShallowCNN
from medlab.models.small_cnn import SmallCNN
from medlab.models.standardise import Standardise

__all__ = ["ShallowCNN", "SmallCNN", "Standardise", "small_resnet18"]
