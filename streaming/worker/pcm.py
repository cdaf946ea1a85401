"""Sound as numbers of other kinds."""

import numpy as np
from numpy.typing import NDArray

_EASE_SAMPLES = 48  # 1 ms


def to_int16(sound: NDArray[np.float32]) -> NDArray[np.int16]:
    """Sound in -1..1 as 16-bit PCM; what is louder is clipped."""
    return np.rint(np.clip(sound, -1, 1) * 32767).astype(np.int16)


def joined(before: NDArray[np.int16], after: NDArray[np.int16]) -> NDArray[np.int16]:
    """`after` for a listener who heard `before`: the step between the two decays within milliseconds instead of clicking."""
    step = float(before[-1]) - float(after[0])
    eased = after + step * np.exp(-np.arange(len(after)) / _EASE_SAMPLES)
    return np.rint(np.clip(eased, -32768, 32767)).astype(np.int16)
