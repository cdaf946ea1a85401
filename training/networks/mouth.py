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


class MouthNetwork(nn.Module):
    """Two layers of gated recurrent units over mel pairs.

    Args:
        articulators: numbers that describe a mouth; the one at `closing` is a logit (are the lips met?), the others plain.
        phones: classes of the auxiliary head.
        hidden: units per layer.
    """

    def __init__(self, articulators: int, phones: int, hidden: int = 192, dropout: float = 0.1) -> None:
        super().__init__()
        self.articulators, self.phones, self.hidden = articulators, phones, hidden
        heads = len(LOOK_AHEADS_MS)
        self.embed = nn.Sequential(nn.Linear(FRAMES_PER_STEP * BANDS, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self.recurrent = nn.GRU(hidden, hidden, num_layers=2, batch_first=True, dropout=dropout)
        self.norm = nn.LayerNorm(hidden)
        self.shape = nn.Linear(hidden, heads * articulators)
        self.phone = nn.Linear(hidden, heads * phones)

    def forward(self, mel: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """What is said of each step by each head.

        Args:
            mel: float32[B, T, 2, 40], see `engine.features.mel`.
            hidden: float32[2, B, H], the state; None is that of a stream's start, zeros.

        Returns:
            float32[B, T, 4, A] articulators, float32[B, T, 4, P] phone logits, float32[2, B, H] the next state.
        """
        batch, steps = mel.shape[:2]
        heard, state = self.recurrent(self.embed(mel.reshape(batch, steps, -1)), hidden)
        heard = self.norm(heard)
        shapes = self.shape(heard).view(batch, steps, len(LOOK_AHEADS_MS), self.articulators)
        phones = self.phone(heard).view(batch, steps, len(LOOK_AHEADS_MS), self.phones)
        return shapes, phones, state


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

    def forward(self, mel: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """float32[2, 40] and float32[2, 1, H] -> float32[4, A] in 0..1, float32[4, V] probabilities, the next state."""
        shapes, phones, state = self.network(mel[None, None], hidden)
        shapes, odds = shapes[0, 0], torch.softmax(phones[0, 0], -1)
        closed = torch.sigmoid(shapes[:, self.closing : self.closing + 1])
        shapes = torch.cat((shapes[:, : self.closing], closed, shapes[:, self.closing + 1 :]), 1)
        return shapes.clamp(0, 1), odds @ self.visemes, state
