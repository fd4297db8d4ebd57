"""Networks: one file per surveyed paper, each reads like the figure of its paper."""

from medlab.models.acgan import ACDiscriminator, ACGenerator
from medlab.models.backbone import Backbone, pretrained_backbone
from medlab.models.convolution import conv2d_unfold
from medlab.models.cost import count_parameters, multiply_adds, training_bytes
from medlab.models.dcgan import DCDiscriminator, DCGenerator
from medlab.models.drinet import DRINet, InceptionModule, UnpoolingBlock
from medlab.models.drinet_baselines import DRINetBaseline
from medlab.models.improved_gan import MinibatchDiscrimination, VirtualBatchNorm, WithReference
from medlab.models.lesion_cnn import LesionCNN
from medlab.models.patch_cnn import PatchCNN, WholeVolume
from medlab.models.pretrained import load_pretrained, pretrained_names
from medlab.models.receptive import effective_receptive_field, receptive_field_size
from medlab.models.resnet import small_resnet18
from medlab.models.ring_gan import RingDiscriminator, RingGenerator
from medlab.models.saving import ModelCard, load_model, save_model
from medlab.models.scan import SCANCritic, SCANSegmenter
from medlab.models.shallow_cnn import ShallowCNN
from medlab.models.small_cnn import SmallCNN
from medlab.models.standardize import Standardize
from medlab.models.synergic import SynergicNetwork
from medlab.models.unet import SliceBySlice, UNet
from medlab.models.wgan import WGANCritic

__all__ = [
    "ACDiscriminator",
    "ACGenerator",
    "Backbone",
    "DCDiscriminator",
    "DCGenerator",
    "DRINet",
    "DRINetBaseline",
    "InceptionModule",
    "LesionCNN",
    "MinibatchDiscrimination",
    "ModelCard",
    "PatchCNN",
    "RingDiscriminator",
    "RingGenerator",
    "SCANCritic",
    "SCANSegmenter",
    "ShallowCNN",
    "SliceBySlice",
    "SmallCNN",
    "Standardize",
    "SynergicNetwork",
    "UNet",
    "UnpoolingBlock",
    "VirtualBatchNorm",
    "WGANCritic",
    "WholeVolume",
    "WithReference",
    "conv2d_unfold",
    "count_parameters",
    "effective_receptive_field",
    "load_model",
    "load_pretrained",
    "multiply_adds",
    "pretrained_backbone",
    "pretrained_names",
    "receptive_field_size",
    "save_model",
    "small_resnet18",
    "training_bytes",
]
