"""The generator: StyleGAN2 (Karras et al. 2020) that starts from an appearance map and is modulated by the whole latent.

There is no mapping network: the latent is the style of every layer (section
3.4; the published file still carries the mapping network and the constant).
Activations are modulated instead of weights, which is the same sum in another
order and needs no convolution with weights of its own per sample.
"""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks.pdfgc.config import Widths
from training.networks.pdfgc.layers import Held

_SLOPE = 0.2
_EPSILON = 1e-8
_MAPPING_LAYERS = 8


class Modulation(nn.Module):
    """The style of one layer: linear, weights of unit variance scaled at run time, biases of one."""

    def __init__(self, latent: int, channels: int) -> None:
        super().__init__()
        self.scale = 1 / math.sqrt(latent)
        self.weight = nn.Parameter(torch.randn(channels, latent))
        self.bias = nn.Parameter(torch.ones(channels))

    def forward(self, latent: Tensor) -> Tensor:
        """[B, Z] to [B, C]."""
        return functional.linear(latent * self.scale, self.weight, self.bias)


class Blur(nn.Module):
    """The binomial filter 1 3 3 1 in both directions, of sum 4: what a signal needs after its samples were spread by 2."""

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.kernel: Tensor
        self.register_buffer("kernel", torch.outer(taps, taps) / 16)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, 2H + 1, 2W + 1], the result of a transposed convolution, to [B, C, 2H, 2W]."""
        return functional.conv2d(x, self._filters(x), padding=1, groups=x.shape[1])

    def _filters(self, x: Tensor) -> Tensor:
        return self.kernel.to(x.dtype).expand(x.shape[1], 1, 4, 4)


class Double(Blur):
    """Twice the size by the same filter, zeros beyond the edge."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C, 2H, 2W]."""
        return functional.conv_transpose2d(x, self._filters(x), stride=2, padding=1, groups=x.shape[1])


class ModulatedConvolution(nn.Module):
    """A convolution whose input channels are scaled by a style, and its outputs back to unit variance (equations 1 to 3).

    Args:
        up: double the size.
        demodulate: scale the outputs back.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, latent: int, *, up: bool = False, demodulate: bool = True
    ) -> None:
        super().__init__()
        self.scale, self.kernel, self.demodulate = 1 / math.sqrt(inputs * kernel**2), kernel, demodulate
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, kernel, kernel))
        self.modulation = Modulation(latent, inputs)
        self.blur = Blur() if up else None
        self.power: Tensor | None
        self.register_buffer("power", None, persistent=False)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """[B, C, H, W] and [B, C] to [B, C', H, W], of twice the size if `up`."""
        weight, style = self.weight[0].to(x.dtype), style.to(x.dtype) * self.scale
        y = x * style[:, :, None, None]
        if self.blur is None:
            y = functional.conv2d(y, weight, padding=self.kernel // 2)
        else:
            y = self.blur(functional.conv_transpose2d(y, weight.transpose(0, 1), stride=2))
        return y * self._normaliser(style).to(y.dtype)[:, :, None, None] if self.demodulate else y

    def freeze(self) -> None:
        """See `Generator.freeze`."""
        self.power = self._power().detach()

    def _power(self) -> Tensor:
        return self.weight[0].float().square().sum((2, 3))

    def _normaliser(self, style: Tensor) -> Tensor:
        power = self._power() if self.power is None else self.power.float()
        return torch.rsqrt(functional.linear(style.float().square(), power) + _EPSILON)


class Noise(nn.Module):
    """A map of noise, added with one learned strength."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, noise: Tensor | None) -> Tensor:
        """`x` [B, C, H, W] with `noise` [B or 1, 1, H, W], or fresh noise if that is None."""
        if noise is None:
            noise = torch.randn(x.shape[0], 1, *x.shape[2:], dtype=x.dtype, device=x.device)
        return x + (self.weight * noise).to(x.dtype)


class Activation(nn.Module):
    """Bias and leaky rectifier that keeps the variance."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to the same."""
        return functional.leaky_relu(x + self.bias.to(x.dtype), _SLOPE) * math.sqrt(2)


class StyledConvolution(nn.Module):
    """Modulated 3x3 convolution, noise, bias, activation."""

    def __init__(self, inputs: int, outputs: int, latent: int, *, up: bool, noise: bool) -> None:
        super().__init__()
        self.conv = ModulatedConvolution(inputs, outputs, 3, latent, up=up)
        self.noise = Noise() if noise else None
        self.activate = Activation(outputs)

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None) -> Tensor:
        """[B, C, H, W], [B, C] and a map of noise (None: fresh) to [B, C', H, W]."""
        y = self.conv(x, style)
        return self.activate(y if self.noise is None else self.noise(y, noise))


class ToRgb(nn.Module):
    """A level's share of the picture, added to those before."""

    def __init__(self, inputs: int, latent: int, *, first: bool = False) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.upsample = None if first else Double()
        self.conv = ModulatedConvolution(inputs, 3, 1, latent, demodulate=False)

    def forward(self, x: Tensor, style: Tensor, before: Tensor | None) -> Tensor:
        """[B, C, H, W], [B, C] and the picture so far [B, 3, H / 2, W / 2] to [B, 3, H, W]."""
        rgb = self.conv(x, style) + self.bias.to(x.dtype)
        return rgb if self.upsample is None or before is None else rgb + self.upsample(before)


class Generator(nn.Module):
    """G.

    Args:
        widths: see `Widths`; levels left off (`Widths.at`) leave the others' weights as they are.
        latent: dimension of the latent, if it is not that of the widths (stage 1: appearance and unified motion).
    """

    def __init__(self, widths: Widths, latent: int | None = None) -> None:
        super().__init__()
        z, channels, noise = latent or widths.latent.total, widths.generator.channels, widths.generator.noise
        if widths.published:
            shapes = {"weight": (z, z), "bias": (z,)}
            self.style = nn.ModuleDict({str(layer + 1): Held(**shapes) for layer in range(_MAPPING_LAYERS)})
            self.input = Held(input=(1, channels[0], widths.start, widths.start))
        self.conv1 = StyledConvolution(channels[0], channels[0], z, up=False, noise=noise)
        self.to_rgb1 = ToRgb(channels[0], z, first=True)
        self.convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
        for before, after in itertools.pairwise(channels):
            self.convs.append(StyledConvolution(before, after, z, up=True, noise=noise))
            self.convs.append(StyledConvolution(after, after, z, up=False, noise=noise))
            self.to_rgbs.append(ToRgb(after, z))
        self.noises = _noise_maps(widths) if noise else None

    def forward(self, latent: Tensor, start: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """A picture.

        Args:
            latent: [B, Z], in the order of `LatentWidths`.
            start: the appearance map [B, C, 7, 7].
            noise: a map [B or 1, 1, H, W] per 3x3 convolution (`frozen_noise`); None draws fresh ones.

        Returns:
            RGB in -1..1, [B, 3, S, S].
        """
        return self.synthesise([modulation(latent) for modulation in self.modulations()], start, noise)

    def synthesise(self, styles: Sequence[Tensor], start: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """See `forward`; `styles` are [B, C], what each of `modulations` makes of the latent."""
        maps: Sequence[Tensor | None] = noise or [None] * (len(self.convs) + 1)
        of_rgbs = styles[2 + len(self.convs) :]
        x = self.conv1(start, styles[0], maps[0])
        rgb = self.to_rgb1(x, styles[1], None)
        for index, convolution in enumerate(self.convs):
            x = convolution(x, styles[2 + index], maps[1 + index])
            if index % 2:
                rgb = self.to_rgbs[index // 2](x, of_rgbs[index // 2], rgb)
        return torch.tanh(rgb)

    def modulations(self) -> list[Modulation]:
        """Of the first convolution and its share of the picture, then of all other convolutions, then of their shares."""
        return [module for module in self.modules() if isinstance(module, Modulation)]

    def freeze(self) -> None:
        """Sum up once what only depends on the weights, before they are used many times; they must not change any more."""
        for module in self.modules():
            if isinstance(module, ModulatedConvolution) and module.demodulate:
                module.freeze()

    def frozen_noise(self) -> list[Tensor] | None:
        """The maps of noise that travel with the weights; None if the widths have no noise."""
        return None if self.noises is None else list(self.noises.buffers())


def _noise_maps(widths: Widths) -> Held:
    sides = [widths.start << ((layer + 1) // 2) for layer in range(2 * len(widths.generator.channels) - 1)]
    maps = Held(**{f"noise_{layer}": (1, 1, side, side) for layer, side in enumerate(sides)})
    for noise in maps.buffers():
        noise.normal_()
    return maps
