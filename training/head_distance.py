"""How far made movements are from real ones, as distributions.

The energy score E|made - real| - E|made - made'| / 2 is least where the made
movements are distributed as the real ones are, given what both hang on: its
first term asks for likeness, its second keeps two tries apart, so that no mean
movement wins (Gneiting & Raftery 2007; for networks Gritsenko et al. 2020).
It is taken of pieces seen in several ways.
"""

from itertools import pairwise
from typing import Final

import torch
from torch import Tensor

WEIGHTS: Final = {"pose": 1.0, "speed": 1.0, "course": 0.5, "spectrum": 0.7, "spread": 0.7}
WINDOW: Final = 150
EDGES_HZ: Final = (0.3, 0.7, 1.2, 2.0, 3.2, 5.0, 8.0)


def distance(one: Tensor, two: Tensor, real: Tensor) -> tuple[Tensor, dict[str, float]]:
    """The weighted sum of energy scores, and each of them, of two tries and the real movement, all [B, T, 6]."""
    views = {"pose": _poses, "speed": _speeds, "course": _course, "spectrum": _spectrum, "spread": _spread}
    total, figures = one.new_zeros(()), dict[str, float]()
    for name, view in views.items():
        a, b, r = view(one), view(two), view(real)
        score = 0.5 * (_length(a - r) + _length(b - r) - _length(a - b))
        total = total + WEIGHTS[name] * score
        figures[name] = float(score.detach())
    return total, figures


def _length(x: Tensor) -> Tensor:
    """The mean over all pieces of [..., D]'s length, per root of D."""
    return torch.sqrt(x.pow(2).mean(-1) + 1e-6).mean()


def _pieces(x: Tensor, size: int, stride: int, every: int) -> Tensor:
    """[B, N, D]: pieces of `size` steps of [B, T, C], each `every`-th step of them."""
    return x.unfold(1, size, stride)[..., ::every].flatten(2)


def _poses(x: Tensor) -> Tensor:
    return _pieces(x, 50, 25, 5)


def _speeds(x: Tensor) -> Tensor:
    """Changes in 0.1 s over 0.6 s; in deviations, of the order of 1."""
    return _pieces(4 * (x[:, 5:] - x[:, :-5]), 30, 15, 5)


def _course(x: Tensor) -> Tensor:
    """The slow course of the whole."""
    return x[:, 10::20].flatten(1)


def _spread(x: Tensor) -> Tensor:
    """[B, 12]: logarithms of the deviation and the mean speed."""
    change = x[:, 2:] - x[:, :-2]
    deviation = torch.sqrt((x - x.mean(1, keepdim=True)).pow(2).mean(1) + 1e-4)
    return torch.cat([torch.log(deviation), torch.log(change.abs().mean(1) + 1e-3)], 1)


def _spectrum(x: Tensor) -> Tensor:
    """[B, N, 36]: logarithms of the power per band and axis, in windows of 3 s."""
    window = torch.hann_window(WINDOW, device=x.device)
    pieces = x.unfold(1, WINDOW, WINDOW // 2)  # [B, N, 6, W]
    pieces = (pieces - pieces.mean(-1, keepdim=True)) * window
    power = torch.fft.rfft(pieces).abs().pow(2) / window.pow(2).sum()
    hz = torch.fft.rfftfreq(WINDOW, 0.02, device=x.device)
    bands = [power[..., (hz >= low) & (hz < high)].mean(-1) for low, high in pairwise(EDGES_HZ)]
    return 0.5 * torch.log(torch.stack(bands, -1) + 1e-6).flatten(2)
