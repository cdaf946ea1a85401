"""The mouth network: log-mel in, articulators out, causal, with all look-aheads in one model.

A network that has heard the sound up to an instant can say where the mouth is
at that instant, or, with more certainty, where it was a little earlier. Heads
for look-aheads of 0, 40, 80 and 160 ms share one recurrent trunk: the knob
costs nothing but the choice of a row.
"""

from typing import Final

import torch
from torch import Tensor, nn

from engine.features.mel import BANDS, FRAMES_PER_STEP

LOOK_AHEADS_MS: Final = (0, 40, 80, 160)
STEP_MS: Final = 20
DELAYS: Final = tuple(ms // STEP_MS - 1 for ms in LOOK_AHEADS_MS)
"""The step that has just been heard, less the step a head speaks of: mel pair k ends at (k + 1) 20 ms, so with no
look-ahead the motion at that very instant, step k + 1, is asked for."""


ACTIVE: Final = 0.5
"""Mel values (20 dB) below the recent peak within which a step counts as sound, rather than as what lies between sounds."""
PEAK_FALLS: Final = 0.003  # per step: 6 dB a second
REMEMBERED: Final = 100.0  # steps of sound over which the usual spectrum is taken: 2 s
EXPECTED: Final = 12.0  # steps that the spectrum expected beforehand counts for
USUAL: Final = BANDS + 2


class Usual(nn.Module):
    """What a stream's sound is usually like: a causal mean of its spectrum, over what is not silence.

    Voices, microphones and levels differ by what stays the same; taken out,
    what is said remains (cepstral mean normalisation, as a stream).
    """

    def forward(self, mel: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """The mel less its usual spectrum, and the next state.

        Args:
            mel: float32[B, T, 2, 40].
            state: float32[B, 42]: the mean of each band, the peak above the floor, steps of sound so far; zeros at the start.
        """
        heard = mel.mean(2)
        loudest = heard.max(2).values + 1  # above the floor
        bands, peak, count = state[:, :BANDS], state[:, BANDS : BANDS + 1], state[:, BANDS + 1 :]
        means: list[Tensor] = []
        for step in range(mel.shape[1]):
            now = loudest[:, step : step + 1]
            peak = torch.maximum(now, peak - PEAK_FALLS)
            active = torch.sigmoid(40 * (now - peak + ACTIVE)) * torch.sigmoid(40 * (now - 0.1))
            count = torch.clamp(count + active, max=REMEMBERED)
            bands = bands + active / (count + EXPECTED) * (heard[:, step] - bands)
            means.append(bands)
        usual = torch.stack(means, 1)
        return mel - usual[:, :, None], torch.cat((bands, peak, count), 1)


class MouthNetwork(nn.Module):
    """Two layers of gated recurrent units over mel pairs, as they are and less what is usual.

    Args:
        articulators: numbers that describe a mouth; the one at `closing` is a logit (are the lips met?), the others plain.
        phones: classes of the auxiliary head.
        hidden: units per layer.
    """

    def __init__(self, articulators: int, phones: int, hidden: int = 192, dropout: float = 0.1) -> None:
        super().__init__()
        self.articulators, self.phones, self.hidden = articulators, phones, hidden
        heads = len(LOOK_AHEADS_MS)
        self.usual = Usual()
        self.embed = nn.Sequential(nn.Linear(2 * FRAMES_PER_STEP * BANDS, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self.recurrent = nn.GRU(hidden, hidden, num_layers=2, batch_first=True, dropout=dropout)
        self.norm = nn.LayerNorm(hidden)
        self.shape = nn.Linear(hidden, heads * articulators)
        self.phone = nn.Linear(hidden, heads * phones)

    def start(self, batch: int) -> tuple[Tensor, Tensor]:
        """The state of a stream's start: float32[2, B, H] and float32[B, 42], zeros."""
        like = self.norm.weight
        return like.new_zeros(2, batch, self.hidden), like.new_zeros(batch, USUAL)

    def forward(self, mel: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """What is said of each step by each head.

        Args:
            mel: float32[B, T, 2, 40], see `engine.features.mel`.
            state: see `start`; None is that of a stream's start.

        Returns:
            float32[B, T, 4, A] articulators, float32[B, T, 4, P] phone logits, the next state.
        """
        batch, steps = mel.shape[:2]
        hidden, usual = self.start(batch) if state is None else state
        with torch.no_grad():
            unusual, usual = self.usual(mel, usual)
        both = torch.cat((mel.reshape(batch, steps, -1), unusual.reshape(batch, steps, -1)), 2)
        heard, hidden = self.recurrent(self.embed(both), hidden)
        heard = self.norm(heard)
        shapes = self.shape(heard).view(batch, steps, len(LOOK_AHEADS_MS), self.articulators)
        phones = self.phone(heard).view(batch, steps, len(LOOK_AHEADS_MS), self.phones)
        return shapes, phones, (hidden, usual)


class MouthStep(nn.Module):
    """One step of a trained network as it is exported: probabilities instead of logits, the state explicit.

    Args:
        network: the trained one.
        closing: the articulator that is a logit.
        visemes: float32[P, V], 1 where a phone class belongs to a viseme.
    """

    def __init__(self, network: MouthNetwork, closing: int, visemes: Tensor) -> None:
        super().__init__()
        self.network, self.closing = network, closing
        self.visemes: Tensor
        self.register_buffer("visemes", visemes)

    def forward(self, mel: Tensor, hidden: Tensor, usual: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """float32[2, 40] and the state -> float32[4, A] in 0..1, float32[4, V] probabilities, the next state.

        Samples of a batch follow each other along the first axis (of the recurrent state: the second).
        """
        shapes, phones, state = self.network(mel.view(-1, 1, FRAMES_PER_STEP, BANDS), (hidden, usual))
        shapes, odds = shapes.flatten(0, 2), torch.softmax(phones.flatten(0, 2), -1)
        closed = torch.sigmoid(shapes[:, self.closing : self.closing + 1])
        shapes = torch.cat((shapes[:, : self.closing], closed, shapes[:, self.closing + 1 :]), 1)
        return shapes.clamp(0, 1), odds @ self.visemes, *state
