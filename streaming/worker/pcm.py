"""Sound as numbers of other kinds."""

import numpy as np
from numpy.typing import NDArray


def to_int16(sound: NDArray[np.float32]) -> NDArray[np.int16]:
    """Sound in -1..1 as 16-bit PCM; what is louder is clipped."""
    return np.rint(np.clip(sound, -1, 1) * 32767).astype(np.int16)
