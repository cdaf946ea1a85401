"""The motion encoder: what a face does in a picture, as one unified feature and as four disentangled parts.

A face alignment network (Bulat and Tzimiropoulos 2017) of one hourglass ends
in a small map and a vector (section 3.1, E_mot); a head for each of lip, pose,
eye and expression follows (sections 3.2, 3.3). The published heads hold a
batch normalisation that the text does not name.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks.pdfgc.config import MotionWidths, Widths
from training.networks.pdfgc.layers import sized

_QUIET = 0.1
"""Of the weights that heatmaps begin with."""


class MotionFeatures(NamedTuple):
    """What is said of a picture."""

    unified: Tensor
    """[B, 512]: everything at once (stage 1)."""
    pose: Tensor
    """[B, 6]."""
    eye: Tensor
    """[B, 6]: 2 and 3 are gaze, the others blink."""
    expression: Tensor
    """[B, 30]."""
    lip: Tensor
    """[B, 500]."""


class ConvBlock(nn.Module):
    """Three 3x3 convolutions, each preceded by normalisation, of 1/2, 1/4 and 1/4 of the channels; all three are kept."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half, quarter = outputs // 2, outputs // 4
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, half, 3, 1, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(half), nn.Conv2d(half, quarter, 3, 1, 1, bias=False)
        self.bn3, self.conv3 = nn.BatchNorm2d(quarter), nn.Conv2d(quarter, quarter, 3, 1, 1, bias=False)
        self.downsample = None
        if inputs != outputs:
            self.downsample = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C', H, W]."""
        first = self.conv1(functional.relu(self.bn1(x)))
        second = self.conv2(functional.relu(self.bn2(first)))
        third = self.conv3(functional.relu(self.bn3(second)))
        return torch.cat((first, second, third), 1) + (x if self.downsample is None else self.downsample(x))


class Hourglass(nn.Module):
    """Halved `depth` times and back, the branch of every size added on the way. Level `depth` is the full size."""

    def __init__(self, channels: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.depth, self.dropout = depth, dropout
        for level in range(depth, 0, -1):
            self.add_module(f"b1_{level}", ConvBlock(channels, channels))
            self.add_module(f"b2_{level}", ConvBlock(channels, channels))
        self.b2_plus_1 = ConvBlock(channels, channels)
        for level in range(1, depth + 1):
            self.add_module(f"b3_{level}", ConvBlock(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to the same."""
        return self._level(x, self.depth)

    def _level(self, x: Tensor, level: int) -> Tensor:
        kept = functional.dropout(self.get_submodule(f"b1_{level}")(x), self.dropout, self.training)
        low = self.get_submodule(f"b2_{level}")(functional.max_pool2d(x, 2))
        low = self._level(low, level - 1) if level > 1 else self.b2_plus_1(low)
        low = self.get_submodule(f"b3_{level}")(low)
        size = (int(kept.shape[2]), int(kept.shape[3]))
        return kept + functional.interpolate(low, size=size, mode="bilinear", align_corners=False)


class AlignmentNetwork(nn.Module):
    """An image to heatmaps at a quarter of its size, and these to the unified motion feature."""

    def __init__(self, widths: MotionWidths, size: int) -> None:
        super().__init__()
        channels = widths.hourglass
        self.conv1 = nn.Conv2d(3, widths.stem, 7, 2, 3)
        self.bn1 = nn.BatchNorm2d(widths.stem)
        self.conv2 = ConvBlock(widths.stem, widths.middle)
        self.conv3 = ConvBlock(widths.middle, widths.middle)
        self.conv4 = ConvBlock(widths.middle, channels)
        self.m0 = Hourglass(channels, widths.depth, widths.dropout)
        self.top_m_0 = ConvBlock(channels, channels)
        self.conv_last0 = nn.Conv2d(channels, channels, 1)
        self.bn_end0 = nn.BatchNorm2d(channels)
        self.l0 = nn.Conv2d(channels, widths.heatmaps, 1)
        with torch.no_grad():  # a heatmap is nearly empty; how loud all of them are, `bn5` takes out
            for parameter in self.l0.parameters():
                parameter.mul_(_QUIET)
        self.bn5 = nn.BatchNorm2d(widths.heatmaps)
        self.conv6 = nn.Conv2d(widths.heatmaps, widths.bottleneck, 3, 2, 1)
        self.fc = nn.Linear(widths.bottleneck * (size // 8) ** 2, widths.feature)

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, S, S] to [B, 512]."""
        return self.summed_up(self.heatmaps(image))

    def heatmaps(self, image: Tensor) -> Tensor:
        """[B, 3, S, S] to [B, M, S / 4, S / 4]."""
        x = functional.relu(self.bn1(self.conv1(image)))
        x = functional.max_pool2d(self.conv2(x), 2)
        x = self.top_m_0(self.m0(self.conv4(self.conv3(x))))
        return self.l0(functional.relu(self.bn_end0(self.conv_last0(x))))

    def summed_up(self, heatmaps: Tensor) -> Tensor:
        """[B, M, S / 4, S / 4] to [B, 512]."""
        small = functional.relu(self.conv6(functional.relu(self.bn5(heatmaps))))
        return self.fc(small.flatten(1))


class MotionEncoder(nn.Module):
    """E_mot with the heads E_pose, E_eye, E_exp and E_lip."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.size = widths.encoder_size
        self.model = AlignmentNetwork(widths.motion, widths.encoder_size)
        feature, latent = widths.motion.feature, widths.latent
        self.to_mouth, self.mouth_embed = _head(feature, latent.lip)
        self.to_headpose, self.headpose_embed = _head(feature, latent.pose)
        self.to_eye, self.eye_embed = _head(feature, latent.eye)
        self.to_emo, self.emo_embed = _head(feature, latent.expression)

    def forward(self, image: Tensor) -> MotionFeatures:
        """What `image`, RGB in -1..1 [B, 3, S, S], says of a face's motion."""
        return self.features(self.heatmaps(image))

    def heatmaps(self, image: Tensor) -> Tensor:
        """[B, M, E / 4, E / 4]: what the encoder, which sees an image at `size` E, first makes of it."""
        return self.model.heatmaps(sized(image, self.size))

    def features(self, heatmaps: Tensor) -> MotionFeatures:
        """What heatmaps say of a face's motion."""
        unified = self.model.summed_up(heatmaps)
        return MotionFeatures(unified, self.pose(unified), self.eye(unified), self.expression(unified), self.lip(unified))

    def unify(self, image: Tensor) -> Tensor:
        """The unified feature [B, 512] of an image alone."""
        return self.model(sized(image, self.size))

    def pose(self, unified: Tensor) -> Tensor:
        """[B, 6] of the unified feature."""
        return self.headpose_embed(self.to_headpose(unified))

    def eye(self, unified: Tensor) -> Tensor:
        """[B, 6] of the unified feature."""
        return self.eye_embed(self.to_eye(unified))

    def expression(self, unified: Tensor) -> Tensor:
        """[B, 30] of the unified feature."""
        return self.emo_embed(self.to_emo(unified))

    def lip(self, unified: Tensor) -> Tensor:
        """[B, 500] of the unified feature; at inference the sound says it instead."""
        return self.mouth_embed(self.to_mouth(unified))


def _head(feature: int, dimension: int) -> tuple[nn.Sequential, nn.Sequential]:
    hidden = nn.Sequential(nn.Linear(feature, feature), nn.ReLU(), nn.BatchNorm1d(feature), nn.Linear(feature, feature))
    return hidden, nn.Sequential(nn.ReLU(), nn.Linear(feature, dimension))
