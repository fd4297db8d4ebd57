"""Synergic deep learning: several classifiers trained together, and a verifier for every pair of them.

Zhang, Xie, Wu, Xia: Medical image classification using synergic deep learning. Medical Image Analysis 54:10-19, 2019,
doi:10.1016/j.media.2019.02.010.

| part              | layers                                                      | how many   |
| ----------------- | ----------------------------------------------------------- | ---------- |
| component         | backbone, fully connected to 1024, ReLU: the deep feature   | n          |
|                   | fully connected to the classes                              | n          |
| synergic network  | two features concatenated (2048), fully connected, ReLU;    | n(n-1)/2   |
|                   | fully connected to 1: do the two images share a class?      |            |

The paper's backbone is ResNet-50 with ImageNet weights:
``lambda features: nn.Sequential(pretrained_backbone("resnet50"), nn.Linear(2048, features))``. Width and activation of
the synergic network's hidden layer are not given: the length of a feature, and ReLU, are our choice, as is the ReLU of
the feature.
"""

from collections.abc import Callable
from itertools import combinations

import torch
from torch import Tensor, nn

from medlab.models.small_cnn import SmallCNN

BOUND = 0.05  # initial weights of new fully connected layers are uniform in (-0.05, 0.05), section 3.1


class Component(nn.Module):
    """A classifier that also returns its deep feature.

    Args:
        backbone: network from images to ``(N, features)``.
        features: length of the deep feature.
        classes: number of classes.
    """

    def __init__(self, backbone: nn.Module, features: int, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = _linear(features, classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images ``(N, C, H, W)`` to the deep feature ``(N, features)`` and logits ``(N, classes)``."""
        feature = self.backbone(images).relu()
        return feature, self.classifier(feature)


class SynergicNetwork(nn.Module):
    """Classifiers with weights of their own, and a verifier (the paper's synergic network) for every pair of them.

    Args:
        components: number of classifiers; 1 is a plain classifier without verifier, the paper recommends 2 or 3.
        classes: number of classes.
        in_channels: channels of the images, for the default backbone.
        features: length of the deep feature, 1024 in the paper.
        backbone: called with `features` once per component, returns a network from images to ``(N, features)``; None
            for `SmallCNN`.

    Raises:
        ValueError: no component, fewer than two classes.
    """

    def __init__(
        self,
        components: int = 2,
        classes: int = 3,
        in_channels: int = 3,
        features: int = 1024,
        backbone: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if classes < 2:
            raise ValueError(f"SynergicNetwork needs at least 2 classes to tell pairs apart, got {classes}")
        backbone = backbone or (lambda features: SmallCNN(in_channels, features))
        self.components = nn.ModuleList(Component(backbone(features), features, classes) for _ in range(components))
        self.pairs = list(combinations(range(components), 2))
        self.verifiers = nn.ModuleList(
            nn.Sequential(_linear(2 * features, features), nn.ReLU(), _linear(features, 1)) for _ in self.pairs
        )

    def verify(self, features: list[Tensor]) -> Tensor:
        """One deep feature ``(N, F)`` per component to logits per pair ``(n(n-1)/2, N)``, above 0 for equal classes."""
        if not self.pairs:
            return features[0].new_zeros(0, len(features[0]))
        joined = (torch.cat([features[i], features[j]], 1) for i, j in self.pairs)  # (N, 2 F)
        return torch.stack([verifier(pair)[:, 0] for verifier, pair in zip(self.verifiers, joined)])

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` to logits ``(N, classes)`` of the ensemble of all components, without the verifiers.

        The ensemble averages the components' softmax. The paper sums "the last fully connected layer"
        in one place and "the predicted scores" in another; we take the scores.
        """
        log_probs = torch.stack([component(images)[1].log_softmax(1) for component in self.components])
        return log_probs.logsumexp(0) - torch.tensor(float(len(self.components))).log()


def _linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.uniform_(layer.weight, -BOUND, BOUND)
    nn.init.zeros_(layer.bias)
    return layer
