"""The facial expression learner Psi of Rhythmic Head Motion (Chen et al. 2020, section 3.2, A.2, Fig. 13).

From the text: the raw sound x_{t-3:t+4}, seven chunks of 0.04 s around a video
frame, is encoded into a feature vector, concatenated with the encoded 20 PCA
coefficients p_{t_M} of the reference landmarks, and decoded into 20 PCA
coefficients of the expression, to which p_{t_M} is added back. A.2 calls it
"a linear regression network".

The layers of Fig. 13 are not in the text and the code was not released. The
plainest reading is taken: the sound is encoded by the two 2-D convolutions
that the head motion learner's published code uses on the same input (1x7x640
-> 8 -> 16 channels, kernel 3, ReLU), flattened and brought to 256 by a linear
layer; the landmarks are encoded by a linear layer, and the fused feature is
decoded by one. Chunks have 640 samples (16 kHz, as in that code; the
supplement's 50 kHz would be 2000).
"""

from typing import Final, Literal

import torch
from torch import Tensor, nn

from engine.features.mel import RATE_HZ

COEFFICIENTS: Final = 20
CHUNKS: Final = 7
"""Chunks of sound seen per frame: three before its own, its own, three after it."""
CHUNK: Final = RATE_HZ // 25
"""Samples of a chunk: 40 ms."""
WINDOW: Final = CHUNKS * CHUNK
LOOK_AHEAD_MS: Final = 140.0
"""The window ends so long after the middle of the frame: four chunks, 160 ms, after the frame's beginning."""

Width = Literal["published", "narrow"]


class ExpressionLearner(nn.Module):
    """Psi: sound around a frame and reference coefficients in, coefficients of the expression out.

    Args:
        width: "published" (7.8 M weights), or "narrow" (0.18 M): strided 1-D convolutions over the raw sound in their place.
        scale: coefficients are divided by it on their way in and multiplied on their way out, one number for all, so that
            the loss weights them as landmarks do.
    """

    scale: Tensor

    def __init__(self, width: Width = "published", scale: float = 1.0) -> None:
        super().__init__()
        self.width = width
        self.register_buffer("scale", torch.tensor(float(scale)))
        self.sound = _published_encoder() if width == "published" else _narrow_encoder()
        self.landmarks = nn.Linear(COEFFICIENTS, 32)
        self.decoder = nn.Linear(256 + 32, COEFFICIENTS)

    def forward(self, sound: Tensor, reference: Tensor) -> Tensor:
        """The expression's coefficients less the reference's.

        Args:
            sound: float32[B, WINDOW], the raw sound around each frame.
            reference: float32[B, 20], coefficients of the reference landmarks.

        Returns:
            float32[B, 20]; `reference` is to be added back.
        """
        feature = self.sound(sound.view(len(sound), 1, CHUNKS, CHUNK))
        fused = torch.cat((feature, self.landmarks(reference / self.scale)), dim=1)
        return self.decoder(fused) * self.scale


def _published_encoder() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * (CHUNKS - 4) * (CHUNK - 4), 256),
    )


def _narrow_encoder() -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten(2)]
    for channels_in, channels_out, kernel, stride in ((1, 32, 64, 16), (32, 48, 8, 4), (48, 64, 8, 4), (64, 64, 4, 2)):
        layers += [nn.Conv1d(channels_in, channels_out, kernel, stride), nn.BatchNorm1d(channels_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(256))
