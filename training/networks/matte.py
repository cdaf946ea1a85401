"""The person matte: a U-Net (Ronneberger et al. 2015) whose skips are added, not joined, to keep it cheap."""

from typing import Final

import torch
from torch import Tensor, nn

from training.networks.face_detector import Residual, convolution

WIDTHS: Final = (8, 16, 32, 48, 64, 80)
"""Channels at strides 1, 2, 4, 8, 16 and 32."""
BLOCKS: Final = (0, 0, 1, 1, 1, 1)


class MatteNetwork(nn.Module):
    """float32[N, 3, H, W] RGB 0..1 -> logits of the matte float32[N, 1, H, W]; H and W multiples of 32."""

    def __init__(self) -> None:
        super().__init__()
        inputs, down = 3, list[nn.Module]()
        for level, (width, blocks) in enumerate(zip(WIDTHS, BLOCKS, strict=True)):
            stride = 2 if level else 1
            down.append(nn.Sequential(convolution(inputs, width, stride), *(Residual(width) for _ in range(blocks))))
            inputs = width
        self.down = nn.ModuleList(down)
        pairs = list(zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True))
        self.up = nn.ModuleList(
            nn.Sequential(convolution(low, high, size=1), nn.Upsample(scale_factor=2, mode="bilinear")) for low, high in pairs
        )
        self.mix = nn.ModuleList(convolution(high, high) for _, high in pairs)
        self.out = nn.Conv2d(WIDTHS[0], 1, 3, padding=1)

    def forward(self, picture: Tensor) -> Tensor:
        """See the class."""
        x, seen = picture - 0.5, list[Tensor]()
        for down in self.down:
            x = down(x)
            seen.append(x)
        for up, mix, skip in zip(self.up, self.mix, seen[-2::-1], strict=True):
            x = mix(up(x) + skip)
        return self.out(x)


class MatteStep(nn.Module):
    """The matte as the engine runs it: a probability."""

    def __init__(self, network: MatteNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor) -> Tensor:
        """See `engine.face.matte.SPEC`."""
        return torch.sigmoid(self.network(picture))
