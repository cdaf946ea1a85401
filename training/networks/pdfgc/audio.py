"""The audio encoder: a fifth of a second of mel to the lip feature at its middle (section 3.2, E_aud).

A residual network of 34 layers with squeeze and excitation, and self-attentive
pooling over time, as used to recognise speakers.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.features.pdfgc import BANDS
from training.networks.pdfgc.config import AudioWidths, Widths

_REDUCTION = 8


class AudioFeatures(NamedTuple):
    """What is said of a mel window."""

    feature: Tensor
    """[B, 512]."""
    lip: Tensor
    """[B, 500]."""


class SqueezeExcitation(nn.Module):
    """Channels weighed by what they hold on average."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // _REDUCTION
        self.fc = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to the same."""
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]


class Block(nn.Module):
    """Two 3x3 convolutions; the first is rectified before it is normalised."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.se = SqueezeExcitation(outputs)
        self.downsample = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C', H / stride, W / stride]."""
        y = self.bn1(functional.relu(self.conv1(x)))
        y = self.se(self.bn2(self.conv2(y)))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class SpeechNetwork(nn.Module):
    """A mel window to a vector."""

    def __init__(self, widths: AudioWidths) -> None:
        super().__init__()
        first, last = widths.filters[0], widths.filters[-1]
        self.conv1, self.bn1 = nn.Conv2d(1, first, 3, 1, 1), nn.BatchNorm2d(first)
        stages = zip((first, *widths.filters[:-1]), widths.filters, widths.blocks, (1, 2, 2, 2), strict=True)
        self.layer1, self.layer2, self.layer3, self.layer4 = (_stage(*stage) for stage in stages)
        flat = last * BANDS // 8
        self.attention = nn.Sequential(
            nn.Conv1d(flat, widths.attention, 1), nn.ReLU(), nn.BatchNorm1d(widths.attention),
            nn.Conv1d(widths.attention, flat, 1), nn.Softmax(dim=2),
        )  # fmt: skip
        self.fc = nn.Linear(flat, widths.feature)

    def forward(self, mel: Tensor) -> Tensor:
        """[B, 1, 80, 20] to [B, 512]."""
        x = self.bn1(functional.relu(self.conv1(mel)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = x.flatten(1, 2)
        return self.fc(torch.sum(x * self.attention(x), 2))


def _stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    return nn.Sequential(Block(inputs, outputs, stride), *(Block(outputs, outputs, 1) for _ in range(blocks - 1)))


class AudioEncoder(nn.Module):
    """E_aud."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.model = SpeechNetwork(widths.audio)
        self.mouth_embed = nn.Sequential(nn.ReLU(), nn.Linear(widths.audio.feature, widths.latent.lip))

    def forward(self, mel: Tensor) -> AudioFeatures:
        """What `mel`, [B, 1, 80, 20] in 0..1 (`engine.features.pdfgc`), says of the lips."""
        feature = self.model(mel)
        return AudioFeatures(feature, self.mouth_embed(feature))
