"""What a mouth in speech is described by."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import CHANNELS, Channel

VISEMES: Final = ("sil", "mm", "ff", "aa", "eh", "ee", "oh", "oo", "sh", "ss", "dd", "kk", "rr")
"""What lips can tell apart: silence; m b p; f v; a; e; i; o; u w; sh ch; s z; t d n l th; k g ng h; r."""

ARTICULATORS: Final = ("jaw", "close", "press", "funnel", "pucker", "stretch", "lower", "upper", "roll")
"""jawOpen, the share of it that mouthClose takes back, mouthPress, mouthFunnel, mouthPucker, mouthStretch, mouthLowerDown,
mouthUpperUp, mouthRollLower."""

CHANNELS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "jaw": ("jawOpen",),
    "press": ("mouthPressLeft", "mouthPressRight"),
    "funnel": ("mouthFunnel",),
    "pucker": ("mouthPucker",),
    "stretch": ("mouthStretchLeft", "mouthStretchRight"),
    "lower": ("mouthLowerDownLeft", "mouthLowerDownRight"),
    "upper": ("mouthUpperUpLeft", "mouthUpperUpRight"),
    "roll": ("mouthRollLower",),
}
"""The controls that an articulator moves; `close` is the share of jawOpen that mouthClose takes back."""


def controls_of(articulators: NDArray[np.floating]) -> NDArray[np.float32]:
    """float32[..., 58], the controls of a motion that floating[..., 9] articulators ask for; see `engine.contract.motion`."""
    controls = np.zeros((*articulators.shape[:-1], len(CHANNELS)), np.float32)
    controls[..., _TARGET] = articulators[..., _ORIGIN]
    controls[..., Channel["mouthClose"]] = articulators[..., _CLOSE] * articulators[..., _JAW]
    return controls


_TARGET: Final = np.array([Channel[name] for names in CHANNELS_OF.values() for name in names])
_ORIGIN: Final = np.array([ARTICULATORS.index(a) for a, names in CHANNELS_OF.items() for _ in names])
_JAW, _CLOSE = (ARTICULATORS.index(name) for name in ("jaw", "close"))
