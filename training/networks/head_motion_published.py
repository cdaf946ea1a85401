"""Rhythmic Head Motion's head motion learner as published (section 3.3, A.1, figure 12): 50.7 M weights.

    h[tau+1..T] = Phi(f(h[1..tau], x[1..tau]), x[tau+1..T])

f writes the weights W (6 x 256) and b (6) of the linear layer that ends the
extrapolator. Widths, which the text leaves open, are those whose count is the
published one. Sound is at 16 kHz (the text has 50 kHz; 46.9 of the 50.7 M
weights are one layer, whose size tells the rate). Poses are our own six
channels, normalised by the training set's mean and deviation, instead of a
rotation vector and a shift in px.
"""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

FPS: Final = 25
SAMPLES: Final = 640
"""Samples of sound per frame: 40 ms at 16 kHz."""
NEIGHBOURS: Final = 3
"""A frame hears x[t-3 .. t+3]: it looks 120 ms ahead, and 160 ms with its own."""
FEATURES: Final = 256
_FLAT: Final = 16 * 3 * 636


class Hearing(nn.Module):
    """Raw sound to a feature per frame."""

    def __init__(self) -> None:
        super().__init__()
        self.chunks = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU())
        self.frames = nn.Sequential(
            nn.Conv1d(_FLAT, 512, 3, padding=1), nn.BatchNorm1d(512), nn.LeakyReLU(0.3), nn.Conv1d(512, FEATURES, 3, padding=1)
        )

    def forward(self, sound: Tensor) -> Tensor:
        """[B, 256, T] of stacked sound [B, T, 7, 640]."""
        batch, frames = sound.shape[:2]
        chunks = self.chunks(sound.flatten(0, 1)[:, None]).flatten(1)
        return self.frames(chunks.view(batch, frames, -1).transpose(1, 2))


class Encoder(nn.Module):
    """The paper's f, on features of the sound: they are heard by the same layers as the extrapolator's."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.first = nn.Linear(6, 128)
        self.norm = nn.BatchNorm1d(128)
        self.second = nn.Linear(128, 256)
        self.time = nn.Sequential(
            nn.Conv1d(512, 512, 5, 2), nn.BatchNorm1d(512), nn.LeakyReLU(0.3), nn.Dropout(dropout),
            nn.Conv1d(512, 512, 5, 2), nn.BatchNorm1d(512), nn.LeakyReLU(0.3),
        )  # fmt: skip
        self.weights = nn.Linear(512, 6 * (FEATURES + 1))

    def forward(self, heard: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
        """W [B, 6, 256] and b [B, 6] of features [B, 256, tau] and poses [B, tau, 6]."""
        moved = self.second(functional.leaky_relu(self.norm(self.first(pose).transpose(1, 2)), 0.3).transpose(1, 2))
        reference = self.time(torch.cat([heard, moved.transpose(1, 2)], 1)).mean(2)
        written = self.weights(reference)
        return written[:, : 6 * FEATURES].view(-1, 6, FEATURES), written[:, 6 * FEATURES :]


class HeadMotionLearner(nn.Module):
    """Phi."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.hearing = Hearing()
        self.encoder = Encoder(dropout)

    def forward(self, reference_sound: Tensor, reference_pose: Tensor, sound: Tensor) -> Tensor:
        """Poses [B, T, 6], normalised, of stacked sound [B, T, 7, 640].

        Args:
            reference_sound: [B, tau, 7, 640]; tau at least 13.
            reference_pose: [B, tau, 6], normalised.
            sound: see above.
        """
        weights, bias = self.encoder(self.hearing(reference_sound), reference_pose)
        return torch.einsum("bct,bkc->btk", self.hearing(sound), weights) + bias[:, None]


def stacked(sound: Tensor) -> Tensor:
    """[B, T, 7, 640]: what each frame hears of sound [B, 640 T]; silence beyond the ends."""
    frames = sound.view(len(sound), -1, SAMPLES)
    padded = functional.pad(frames, (0, 0, NEIGHBOURS, NEIGHBOURS))
    return padded.unfold(1, 2 * NEIGHBOURS + 1, 1).transpose(2, 3)
