"""Latents by agreement: what the factors of a synthetic motion are called in the latent space.

In pre-training the heads learn to say what was drawn in these terms, and the
generator learns to draw it, so that each factor has a place of its own before
stages 1 to 3 go on without labels. The agreement is linear, 0 is the face at
rest, and it keeps what the public code fixes: pose is six numbers, eye dims 2
and 3 are gaze, the other four the lids.

    lips        the controls of the mouth, spread over 500 dims by cosines
    expression  brows, cheeks, nose, smile, frown and dimples, likewise over 30
    eyes        blink left, blink right | gaze to the left, up | open left, open right
    pose        yaw, pitch, roll, tx, ty, tz
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import CHANNELS, GAZE_RANGE_DEG, GROUP_OF, GROUPS, POSE, Channel

Floats = NDArray[np.float32]

LIPS, EXPRESSION, EYES, HEAD = 500, 30, 6, 6
TURN_DEG: Final = 5.0
"""One unit of the pose's angles; the units make the factors about equally loud in the generator's modulation."""
SHIFT_U: Final = 0.05
GAZE_DEG: Final = 5.0
LID: Final = 0.2
EXPRESSED: Final = 0.2
ARTICULATED: Final = 0.25


def spread(channels: int, dims: int) -> NDArray[np.float64]:
    """float64[dims, channels]: orthogonal cosines (DCT-II without its constant), each of mean square 1 / channels."""
    k, n = np.arange(1, channels + 1), np.arange(dims)[:, None]
    return np.sqrt(2 / channels) * np.cos(np.pi * (2 * n + 1) * k / (2 * dims))


def code_matrix() -> Floats:
    """float32[542, 58]: maps controls to [lips 500 | expression 30 | eyes 6 | pose 6]."""
    matrix = np.zeros((LIPS + EXPRESSION + EYES + HEAD, len(CHANNELS)))
    mouth, face = (np.flatnonzero(GROUPS.index(name) == GROUP_OF) for name in ("lips", "expression"))
    matrix[:LIPS, mouth] = spread(len(mouth), LIPS) / ARTICULATED
    matrix[LIPS : LIPS + EXPRESSION, face] = spread(len(face), EXPRESSION) / EXPRESSED
    eyes = matrix[LIPS + EXPRESSION : -HEAD]
    for i, side in enumerate(("Left", "Right")):
        eyes[i, Channel[f"eyeBlink{side}"]] = 1 / LID
        eyes[4 + i, Channel[f"eyeWide{side}"]], eyes[4 + i, Channel[f"eyeSquint{side}"]] = 1 / LID, -1 / LID
        outward = 1 if side == "Left" else -1
        half = GAZE_RANGE_DEG / GAZE_DEG / 2
        eyes[2, Channel[f"eyeLookOut{side}"]], eyes[2, Channel[f"eyeLookIn{side}"]] = outward * half, -outward * half
        eyes[3, Channel[f"eyeLookUp{side}"]], eyes[3, Channel[f"eyeLookDown{side}"]] = half, -half
    units = [TURN_DEG] * 3 + [SHIFT_U] * 3
    for i, (name, unit) in enumerate(zip(POSE, units, strict=True)):
        matrix[i - HEAD, Channel[name]] = 1 / unit
    return matrix.astype(np.float32)
