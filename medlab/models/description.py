"""A network as plain JSON, its class and its arguments, and built again from that. No other code is ever run."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medlab.errors import unknown_name_error
from medlab.models.acgan import ACDiscriminator, ACGenerator
from medlab.models.arguments import remember_arguments
from medlab.models.backbone import Backbone
from medlab.models.dcgan import DCDiscriminator, DCGenerator
from medlab.models.drinet import DRINet
from medlab.models.drinet_baselines import DRINetBaseline
from medlab.models.improved_gan import MinibatchDiscrimination, VirtualBatchNorm, WithReference
from medlab.models.lesion_cnn import LesionCNN
from medlab.models.patch_cnn import PatchCNN, WholeVolume
from medlab.models.resnet import small_resnet18
from medlab.models.ring_gan import RingDiscriminator, RingGenerator
from medlab.models.scan import SCANCritic, SCANSegmenter
from medlab.models.shallow_cnn import ShallowCNN
from medlab.models.small_cnn import SmallCNN
from medlab.models.standardize import Standardize
from medlab.models.synergic import SynergicNetwork
from medlab.models.unet import SliceBySlice, UNet
from medlab.models.wgan import WGANCritic

NETWORKS = (
    ACDiscriminator, ACGenerator, Backbone, DCDiscriminator, DCGenerator, DRINet, DRINetBaseline, LesionCNN, PatchCNN,
    MinibatchDiscrimination, RingDiscriminator, RingGenerator, SCANCritic, SCANSegmenter, ShallowCNN, SliceBySlice,
    SmallCNN, SynergicNetwork, UNet, VirtualBatchNorm, WGANCritic, WholeVolume, WithReference,
)  # fmt: skip
LAYERS = (
    nn.Dropout, nn.ELU, nn.Flatten, nn.GELU, nn.Identity, nn.LeakyReLU, nn.Linear, nn.ReLU, nn.Sigmoid, nn.SiLU, nn.Tanh
)  # fmt: skip
TYPES = {layer.__name__: layer for layer in LAYERS}
BUILDERS = {network.__name__: remember_arguments(network) for network in NETWORKS} | TYPES
BUILDERS |= {
    "Sequential": lambda layers: nn.Sequential(*layers),
    "Standardize": Standardize.from_statistics,
    "SynergicNetwork": lambda backbone, **rest: SynergicNetwork(backbone=lambda _: build(backbone), **rest),
    "small_resnet18": small_resnet18,
}


def describe(network: nn.Module) -> dict[str, Any]:
    """The network as JSON holds it: its "class", and its "arguments", networks among them described alike.

    Raises:
        ValueError: a network of another class than those in `BUILDERS`; an argument that JSON cannot hold.
    """
    name = type(network).__name__
    if built := getattr(network, "built_by", None):
        name, arguments = built
        if isinstance(network, SynergicNetwork):
            arguments = arguments | {"backbone": network.components[0].backbone}
    elif type(network) is nn.Sequential:
        arguments = {"layers": list(network)}
    elif type(network) is Standardize:
        mean, std = (part.flatten().tolist() for part in (network.mean, network.std))
        arguments = {"mean": mean, "std": std, "axes": network.mean.ndim - 2}
    elif type(network) in LAYERS:
        arguments = {key: getattr(network, key) for key in getattr(network, "__constants__", ())}
        arguments |= {"bias": network.bias is not None} if name == "Linear" else {}
    else:
        raise ValueError(
            f"{name} cannot be saved: its class is not one of medlab.models. Build the network of {', '.join(BUILDERS)}"
            ", or save its state_dict() with safetensors.torch.save_file"
        )
    return {"class": name, "arguments": {key: _encode(key, value) for key, value in arguments.items()}}


def build(description: dict) -> nn.Module:
    """The network of `describe`, with other weights.

    Raises:
        ValueError: a class that is not known here.
    """
    name = description["class"]
    if name not in BUILDERS:
        raise unknown_name_error("class of network", name, BUILDERS)
    arguments = description["arguments"]
    if name == "SynergicNetwork":  # it builds its backbones itself
        return BUILDERS[name](**arguments)
    return BUILDERS[name](**{key: _decode(value) for key, value in arguments.items()})


def _encode(name: str, value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_encode(name, each) for each in value]
    if isinstance(value, nn.Module):
        return describe(value)
    if isinstance(value, Tensor):  # its values are among the weights
        return {"shape": list(value.shape)}
    if value in LAYERS:
        return {"type": value.__name__}
    raise ValueError(f"argument {name} of a network is {value!r}, which cannot be saved; give a number or a name")


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "shape" in value:
        return torch.zeros(value["shape"])
    return TYPES[value["type"]] if "type" in value else build(value)
