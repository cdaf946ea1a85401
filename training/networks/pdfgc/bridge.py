"""Controls to motion latents: what lets sliders, a voice's head motion and a camera's reading drive PD-FGC's generator.

Each part of the latent is given its own controls only, so that no factor can
reach another one's part by way of the bridge.
"""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.contract.motion import CHANNELS, GROUP_OF, GROUPS
from engine.render.pdfgc.latent import EXPRESSION, EYES, LIPS, POSE

PARTS: Final = {
    "lips": (("lips",), LIPS),
    "expression": (("expression",), EXPRESSION),
    "eyes": (("lids", "gaze"), EYES),
    "pose": (("pose",), POSE),
}
"""The latent's parts in their order: groups of controls that it is made of, and its length."""


class Bridge(nn.Module):
    """Controls [B, 58] to latents [B, 500], [B, 30], [B, 6], [B, 6]: a linear map, and for each part a small network beside it.

    Args:
        hidden: units of each network.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, hidden: int = 64) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({name: Part(_channels(groups), length, hidden) for name, (groups, length) in PARTS.items()})
        self.register_buffer("centre", torch.zeros(len(CHANNELS)))
        self.register_buffer("spread", torch.ones(len(CHANNELS)))

    def scale(self, controls: Tensor, latents: Tensor) -> None:
        """Learn the scales of controls [N, 58] and latents [N, 542]; controls that never change count for nothing."""
        self.centre.copy_(controls.mean(0))
        deviation = controls.std(0)
        self.spread.copy_(torch.where(deviation > 1e-4, deviation, torch.full_like(deviation, torch.inf)))
        for part, own in zip(self.parts.values(), latents.split([length for _, length in PARTS.values()], 1), strict=True):
            assert isinstance(part, Part)
            part.scale(own)

    def forward(self, controls: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        even = (controls - self.centre) / self.spread
        return tuple(part(even) for part in self.parts.values())


class Part(nn.Module):
    """Some of the controls, brought to one scale, to one part of the latent."""

    own: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: NDArray[np.intp], length: int, hidden: int) -> None:
        super().__init__()
        self.register_buffer("own", torch.from_numpy(channels))
        self.register_buffer("mean", torch.zeros(length))
        self.register_buffer("deviation", torch.ones(length))
        self.straight = nn.Linear(len(channels), length)
        self.bent = nn.Sequential(nn.Linear(len(channels), hidden), nn.SiLU(), nn.Linear(hidden, length))

    def scale(self, latents: Tensor) -> None:
        """Learn the scale of [N, length]."""
        self.mean.copy_(latents.mean(0))
        self.deviation.copy_(latents.std(0).clamp(min=1e-6))

    def forward(self, even: Tensor) -> Tensor:
        """[B, 58] to [B, length]."""
        own = even[:, self.own]
        return self.mean + self.deviation * (self.straight(own) + self.bent(own))


class Agreed(nn.Module):
    """The bridge of networks whose latents are linear in the controls by agreement (`training.pdfgc.codes`)."""

    matrix: Tensor

    def __init__(self, matrix: NDArray[np.float32]) -> None:
        super().__init__()
        self.register_buffer("matrix", torch.from_numpy(matrix))

    def forward(self, controls: Tensor) -> tuple[Tensor, ...]:
        """[B, 58] to [B, 500], [B, 30], [B, 6], [B, 6]."""
        return (controls @ self.matrix.T).split([length for _, length in PARTS.values()], 1)


def _channels(groups: tuple[str, ...]) -> NDArray[np.intp]:
    return np.flatnonzero(np.isin(GROUP_OF, [GROUPS.index(group) for group in groups]))
