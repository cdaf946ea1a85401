"""The person matte: a U-Net (Ronneberger et al. 2015) on the face detector's encoder.

Skips are added, not joined, to keep it cheap; the finest level is that of
stride 2, because the engine brings the matte to the picture's own edges. An
encoder that has learned to find faces knows where to look for their people:
from there training takes a fraction of the time.
"""

import torch
from torch import Tensor, nn

from training.networks.face_detector import WIDTHS, convolution, encoder


class MatteNetwork(nn.Module):
    """float32[N, 3, H, W] RGB 0..1 -> logits of the matte float32[N, 1, H, W]; H and W multiples of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = encoder()
        pairs = list(zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True))
        self.up = nn.ModuleList(
            nn.Sequential(convolution(low, high, size=1), nn.Upsample(scale_factor=2, mode="nearest")) for low, high in pairs
        )
        self.mix = nn.ModuleList(convolution(high, high) for _, high in pairs)
        self.out = nn.Sequential(nn.Conv2d(WIDTHS[0], 1, 3, padding=1), nn.Upsample(scale_factor=2, mode="bilinear"))

    def forward(self, picture: Tensor) -> Tensor:
        """See the class."""
        x, seen = picture - 0.5, list[Tensor]()
        for stage in self.stages:
            x = stage(x)
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
