"""Does a patch look real? Several patch discriminators, each on half the size of the one before.

As in pix2pixHD and SPADE: 4x4 convolutions with spectral and instance
normalisation; their features also serve feature matching (section 3.3).
"""

import itertools

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from training.networks.pdfgc.config import DiscriminatorWidths, Widths

_KERNEL = 4
_PAD = 2


class PatchDiscriminator(nn.Module):
    """One scale."""

    def __init__(self, widths: DiscriminatorWidths) -> None:
        super().__init__()
        channels = [min(widths.channels * 2**layer, widths.most) for layer in range(widths.layers)]
        first = nn.Sequential(nn.Conv2d(3, channels[0], _KERNEL, 2, _PAD), nn.LeakyReLU(0.2))
        strides = [2] * (widths.layers - 2) + [1]
        steps = zip(itertools.pairwise(channels), strides, strict=True)
        inner = (_normalised(inputs, outputs, stride) for (inputs, outputs), stride in steps)
        self.layers = nn.ModuleList([first, *inner, nn.Conv2d(channels[-1], 1, _KERNEL, 1, _PAD)])

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features of every layer; the last are logits [B, 1, H, W], one per patch."""
        features: list[Tensor] = []
        for layer in self.layers:
            image = layer(image)
            features.append(image)
        return features


def _normalised(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    convolution = spectral_norm(nn.Conv2d(inputs, outputs, _KERNEL, stride, _PAD, bias=False))
    return nn.Sequential(convolution, nn.InstanceNorm2d(outputs), nn.LeakyReLU(0.2))


class Discriminator(nn.Module):
    """D, all scales."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(widths.discriminator) for _ in range(widths.discriminator.scales))

    def forward(self, image: Tensor) -> list[list[Tensor]]:
        """Per scale, the full size first, the features of `image` [B, 3, S, S]; the last of each are logits."""
        said: list[list[Tensor]] = []
        for index, scale in enumerate(self.scales):
            if index:
                image = functional.avg_pool2d(image, 3, 2, 1, count_include_pad=False)
            said.append(scale(image))
        return said
