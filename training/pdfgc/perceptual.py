"""What of a picture is compared beside its pixels: edges at several sizes, or the features of a network of our own."""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

LEVELS: Final = 4


class EdgeFeatures(nn.Module):
    """Slopes and curvature of a picture at `LEVELS` sizes: nothing is learned, nothing need be had.

    It makes a generator care for lids, irises and lips, which hardly show in the mean error of pixels.
    """

    def forward(self, image: Tensor) -> list[Tensor]:
        """[B, 3, S, S] to a list of [B, 9, S', S'], the finest first; the coarser count more."""
        features: list[Tensor] = []
        for level in range(LEVELS):
            middle = image[:, :, 1:-1, 1:-1]
            across, down = image[:, :, 1:-1, 2:] - image[:, :, 1:-1, :-2], image[:, :, 2:, 1:-1] - image[:, :, :-2, 1:-1]
            around = image[:, :, 1:-1, 2:] + image[:, :, 1:-1, :-2] + image[:, :, 2:, 1:-1] + image[:, :, :-2, 1:-1]
            features.append(torch.cat([across, down, around - 4 * middle], 1))
            if level < LEVELS - 1:
                image = functional.avg_pool2d(image, 2)
        return features
