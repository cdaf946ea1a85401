"""The appearance encoder: who is in a picture, as one vector and one coarse map.

A ResNeXt-50 (32x4d) at the published widths; the paper's text (section 3.1)
has a ResNet-50, and neither the map, which replaces StyleGAN2's constant, nor
the classifier of identities, which only the published file has.
"""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from training.networks.pdfgc.config import AppearanceWidths, Widths
from training.networks.pdfgc.layers import Held, sized

_CLASSES = 1000
"""Of the classifier that the published file still carries from its backbone's first training."""


class AppearanceFeatures(NamedTuple):
    """What is said of a picture."""

    feature: Tensor
    """[B, 2048]."""
    map: Tensor
    """[B, 512, 7, 7]."""
    identity: Tensor
    """Logits [B, identities]; empty if the widths have none."""


class Bottleneck(nn.Module):
    """1x1, 3x3 (grouped, strided), 1x1, each normalised, added to its input."""

    def __init__(self, inputs: int, inner: int, outputs: int, stride: int, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C', H / stride, W / stride]."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class Backbone(nn.Module):
    """Stem and four stages: an image to its last map, at 1/32 of its size (less where a stage has stride 1)."""

    def __init__(self, widths: AppearanceWidths, *, published: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths.stem, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths.stem)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        before = (widths.stem, *widths.outer[:-1])
        stages = zip(before, widths.inner, widths.outer, widths.blocks, widths.strides, strict=True)
        self.layer1, self.layer2, self.layer3, self.layer4 = (_stage(*stage, widths.groups) for stage in stages)
        if published:
            self.fc = Held(weight=(_CLASSES, widths.outer[-1]), bias=(_CLASSES,))

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, S, S] to [B, 2048, S / 32, S / 32]."""
        x = self.maxpool(functional.relu(self.bn1(self.conv1(image))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


def _stage(inputs: int, inner: int, outputs: int, blocks: int, stride: int, groups: int) -> nn.Sequential:
    first = Bottleneck(inputs, inner, outputs, stride, groups)
    return nn.Sequential(first, *(Bottleneck(outputs, inner, outputs, 1, groups) for _ in range(blocks - 1)))


class AppearanceEncoder(nn.Module):
    """E_app."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        dimension, identities = widths.latent.appearance, widths.appearance.identities
        self.size, self.start = widths.encoder_size, widths.start
        self.model = Backbone(widths.appearance, published=widths.published)
        self.conv1x1 = nn.Conv2d(dimension, widths.generator.channels[0], 1)
        self.fc = nn.Linear(dimension, identities) if identities else None

    def forward(self, image: Tensor) -> AppearanceFeatures:
        """What `image`, RGB in -1..1 [B, 3, S, S], says of a person."""
        last = self.model(sized(image, self.size))
        feature = last.mean((2, 3))
        identity = feature[:, :0] if self.fc is None else self.fc(feature)
        return AppearanceFeatures(feature, sized(self.conv1x1(last), self.start), identity)
