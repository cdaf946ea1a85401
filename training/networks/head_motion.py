"""The streaming head motion learner that ships: a style is the weights of its last layer.

Rhythmic Head Motion (section 3.3, A.1) gives an encoder f of a reference's
sound and motion the task to write the weights W and b of the last linear layer
of an extrapolator, which turns sound into pose. This is the same idea made
causal and light; `training.networks.head_motion_published` has theirs.
Differences:

- it hears log-mel, 20 ms at a time, through a recurrent network with its state outside;
- it is also given noise that wanders at several speeds, for one sentence can be said with many movements, and what is
  trained by squared error alone gives their mean, which stands still;
- W and b are in units of the reference's own deviation per axis;
- the pose is bounded and runs through a filter that cannot jump.
"""

from typing import Final

import numpy as np
import torch
from scipy.signal import lfilter
from torch import Tensor, nn
from torch.nn import functional

from engine.motion.head import BOUND, FEATURES, HIDDEN, KEEP, NOISES, REFERENCE_STEPS, TIMES_S

AUDIO: Final = 48
LEAST_SCALE: Final = (0.15, 0.15, 0.15, 0.004, 0.004, 0.006)
"""float[6]: a reference that moves less than this is taken to move this much."""
TAPS: Final = 64
_STEP_S: Final = 0.02


class HeadMotion(nn.Module):
    """Sound and noise to pose, under a style."""

    bound: Tensor
    taps: Tensor
    wander: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.listen = nn.Linear(80, AUDIO)
        self.memory = nn.GRU(AUDIO + NOISES, HIDDEN, batch_first=True)
        self.feature = nn.Linear(HIDDEN + NOISES, FEATURES)
        self.register_buffer("wander", torch.stack(wander_constants()), persistent=False)
        self.register_buffer("bound", torch.tensor(BOUND), persistent=False)
        taps = (1 - KEEP) ** 2 * torch.arange(1, TAPS + 1) * KEEP ** torch.arange(TAPS)
        self.register_buffer("taps", taps.flip(0)[None, None], persistent=False)

    def forward(self, mel: Tensor, drift: Tensor, style: Tensor) -> Tensor:
        """Pose [B, T, 6] from rest, of mel [B, 2 T, 40], `wandering` noise [B, T, NOISES] and a style [B, 6, FEATURES + 1]."""
        goal, _ = self._goal(mel.flatten(1).view(len(mel), -1, 80), drift, style, None)
        flat = goal.transpose(1, 2).reshape(-1, 1, goal.shape[1])
        smooth = functional.conv1d(
            functional.pad(flat, (TAPS - 1, 0)), self.taps
        )  # the filter of `step`, cut where nothing is left of it
        return smooth.view(len(mel), 6, -1).transpose(1, 2)

    def _goal(self, mel: Tensor, drift: Tensor, style: Tensor, hidden: Tensor | None) -> tuple[Tensor, Tensor]:
        after: Tensor
        heard = torch.cat([functional.relu(self.listen(mel)), drift], -1)
        # nn.GRU itself looks at sizes in Python, which an exporter's trace cannot follow
        start = heard.new_zeros(1, len(heard), HIDDEN) if hidden is None else hidden
        memory, after = torch.gru(heard, start, list(self.memory.parameters()), True, 1, 0.0, False, False, True)
        feature = torch.tanh(self.feature(torch.cat([memory, drift], -1)))
        pose = feature @ style[..., :-1].transpose(1, 2) + style[..., -1][:, None]
        return self.bound * torch.tanh(pose / self.bound), after

    def step(
        self, mel: Tensor, noise: Tensor, style: Tensor, hidden: Tensor, drift: Tensor, smooth: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One step of 20 ms: pose [1, 6] and the next hidden, drift and smooth. More samples lie where the 1 is.

        Args:
            mel: [1, 2, 40].
            noise: [1, NOISES], standard normal.
            style: [1, 6, FEATURES + 1].
            hidden: [1, 1, HIDDEN] of the recurrent network.
            drift: [1, 2, NOISES], both filters of the wandering noise.
            smooth: [1, 2, 6], both halves of the filter.
        """
        keep, fresh, share = self.wander.unbind()
        rough = keep * drift[:, 0] + fresh * noise
        wander = keep * drift[:, 1] + share * rough
        goal, hidden = self._goal(mel.reshape(-1, 1, 80), wander[:, None], style, hidden)
        first = KEEP * smooth[:, 0] + (1 - KEEP) * goal[:, 0]
        second = KEEP * smooth[:, 1] + (1 - KEEP) * first
        return second, hidden, torch.stack([rough, wander], 1), torch.stack([first, second], 1)


class StyleEncoder(nn.Module):
    """The paper's f: a reference of 3 s to the weights of the last layer."""

    least: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.listen = nn.Linear(80, 32)
        self.convolutions = nn.Sequential(
            nn.Conv1d(32 + 12, 64, 5, 2), nn.LeakyReLU(0.3),
            nn.Conv1d(64, 64, 5, 2), nn.LeakyReLU(0.3),
            nn.Conv1d(64, 96, 5, 2), nn.LeakyReLU(0.3),
        )  # fmt: skip
        self.weights = nn.Sequential(
            nn.Linear(96 + 12, 128), nn.LeakyReLU(0.3), nn.Dropout(0.1), nn.Linear(128, 6 * (FEATURES + 1))
        )
        self.register_buffer("least", torch.tensor(LEAST_SCALE), persistent=False)

    def forward(self, mel: Tensor, pose: Tensor) -> Tensor:
        """Style [B, 6, FEATURES + 1] of mel [B, 300, 40] and pose [B, 150, 6]."""
        scale = self.scale(pose)
        own = (pose - pose.mean(1, keepdim=True)) / scale[:, None]
        before = torch.cat([own[:, :1], own[:, :-1]], 1)
        speed = (own - before) * 10
        heard = functional.relu(self.listen(mel.reshape(-1, REFERENCE_STEPS, 80)))
        rows = torch.cat([heard, own, speed], -1).transpose(1, 2)
        told = torch.cat([self.convolutions(rows).mean(2), torch.log(scale), torch.log(speed.pow(2).mean(1) + 1e-3)], -1)
        return self.weights(told).view(-1, 6, FEATURES + 1) * scale[..., None]

    def scale(self, pose: Tensor) -> Tensor:
        """[B, 6]: deviation of a reference [B, T, 6]."""
        return torch.sqrt((pose - pose.mean(1, keepdim=True)).pow(2).mean(1) + self.least**2)


class Discriminator(nn.Module):
    """The paper's D: real or made, told by mean and deviation of a sequence and of its differences; a logit."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Linear(24, 1)

    def forward(self, pose: Tensor) -> Tensor:
        """[B] of [B, T, 6]."""
        return self.score(statistics(pose))[:, 0]


def statistics(pose: Tensor) -> Tensor:
    """[B, 24]: mean and standard deviation of [B, T, 6], the same of its differences."""
    change = pose[:, 1:] - pose[:, :-1]
    parts = [pose.mean(1), _deviation(pose), change.mean(1), _deviation(change)]
    return torch.cat(parts, 1)


def _deviation(x: Tensor) -> Tensor:
    return torch.sqrt((x - x.mean(1, keepdim=True)).pow(2).mean(1) + 1e-8)


def wander_constants() -> tuple[Tensor, Tensor, Tensor]:
    """[NOISES] each: what of the noise stays from step to step, and the shares of what comes into its two filters.

    white -> keep, fresh -> keep, share -> of deviation 1, falling by 12 dB an octave: hands that push a head are not rough.
    """
    keep = torch.exp(-_STEP_S / torch.tensor(TIMES_S))
    return keep, torch.sqrt(1 - keep**2), (1 - keep**2) / torch.sqrt(1 + keep**2)


def wandering_noise(batch: int, steps: int) -> Tensor:
    """[B, T, NOISES] of deviation 1, as `HeadMotion.step` makes it from white noise, already under way for 10 s."""
    warm = 500
    return wandered(torch.randn(batch, steps + warm, NOISES))[:, warm:]


def wandered(white: Tensor) -> Tensor:
    """[B, T, NOISES] of white noise [B, T, NOISES], as `HeadMotion.step` makes it from its start on."""
    keep, fresh, share = wander_constants()
    columns = [
        lfilter([s * f], [1, -2 * k, k * k], white[..., n].numpy(), axis=1)
        for n, (k, f, s) in enumerate(zip(keep.tolist(), fresh.tolist(), share.tolist(), strict=True))
    ]
    return torch.from_numpy(np.stack(columns, -1).astype(np.float32))
