"""The face detector: a picture in; a heat map of faces, their squares and eyes out, at a stride of 8 px.

After CenterNet (Zhou et al., Objects as points, 2019): a face is a peak, so
no anchors and no suppression of overlapping boxes are needed. Plain 3x3
convolutions throughout: on a CPU they take less time a weight than
depthwise ones.
"""

from typing import Final

import torch
from torch import Tensor, nn

WIDTHS: Final = (16, 32, 48, 64, 96)
"""Channels at strides 2, 4, 8, 16 and 32."""
BLOCKS: Final = (0, 0, 1, 2, 1)
PRIOR: Final = -4.0
"""Where the heat's logits begin: faces are rare."""


def convolution(inputs: int, outputs: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    """Two convolutions about which the input is passed on."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one = convolution(width, width)
        self.two = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """float32[N, C, H, W] -> the same."""
        return torch.relu(x + self.two(self.one(x)))


def encoder() -> nn.ModuleList:
    """Stages that each halve the picture."""
    inputs, stages = 3, list[nn.Module]()
    for width, blocks in zip(WIDTHS, BLOCKS, strict=True):
        stages.append(nn.Sequential(convolution(inputs, width, 2), *(Residual(width) for _ in range(blocks))))
        inputs = width
    return nn.ModuleList(stages)


class FaceDetector(nn.Module):
    """float32[N, 3, H, W] RGB 0..1 -> logits of heat [N, 1, h, w], box [N, 3, h, w], eyes [N, 4, h, w]; h is H / 8.

    What they mean: `engine.face.detector.SPEC`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stages = encoder()
        self.up = nn.ModuleList(
            nn.Sequential(convolution(low, high, size=1), nn.Upsample(scale_factor=2, mode="nearest"))
            for low, high in ((WIDTHS[4], WIDTHS[3]), (WIDTHS[3], WIDTHS[2]))
        )
        self.mix = nn.ModuleList(convolution(width, width) for width in (WIDTHS[3], WIDTHS[2]))
        self.head = convolution(WIDTHS[2], WIDTHS[2])
        self.out = nn.Conv2d(WIDTHS[2], 8, 1)
        with torch.no_grad():
            self.out.weight.mul_(0.2)
            self.out.bias.copy_(torch.tensor([PRIOR, 0, 0, 0, -0.27, -0.13, 0.27, -0.13]))  # type: ignore[union-attr]

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        x, seen = picture - 0.5, list[Tensor]()
        for stage in self.stages:
            x = stage(x)
            seen.append(x)
        for up, mix, level in zip(self.up, self.mix, (3, 2), strict=True):
            x = mix(up(x) + seen[level])
        said = self.out(self.head(x))
        return said[:, :1], said[:, 1:4], said[:, 4:]


class DetectorStep(nn.Module):
    """The detector as the engine runs it: heat as a probability."""

    def __init__(self, network: FaceDetector) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `engine.face.detector.SPEC`."""
        heat, box, eyes = self.network(picture)
        return torch.sigmoid(heat), box, eyes
