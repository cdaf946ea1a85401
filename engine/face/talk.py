"""Expression without speech: of smile, frown and cheeks what stays while syllables come and go."""

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import ARKIT, CHANNELS, Channel

Floats = NDArray[np.float64]

SPOKEN: Final = np.array(
    [Channel[n] for n in ARKIT if n.startswith(("mouthSmile", "mouthFrown", "mouthDimple", "cheek", "noseSneer"))]
)
"""intp[]: channels of the expression that speech moves, too."""
WINDOW_S: Final = 0.6
"""A syllable lasts 0.2 s: of three the middle one counts."""

_EASE_S: Final = 0.15
_MOVES: Final = 0.25  # jawOpen and its like per second, at which a mouth counts as talking
_TALK_S: Final = 0.5
_JAW: Final = [Channel[n] for n in ("jawOpen", "mouthClose", "mouthFunnel", "mouthPucker")]


class SpeechFilter:
    """Takes syllables out of an expression; a median over `WINDOW_S`, then eased, as far as the mouth moves."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self._seen: deque[tuple[float, Floats]] = deque()
        self._jaw = np.zeros(len(_JAW))
        self._activity = 0.0
        self._slow = np.zeros(len(SPOKEN))

    def follow(self, values: Floats, time_s: float, passed_s: float) -> Floats:
        """float64[58]: the values to show for those of the next picture; only the channels `SPOKEN` differ."""
        spoken = values[SPOKEN]
        first = not self._seen
        self._seen.append((time_s, spoken))
        while self._seen[0][0] < time_s - WINDOW_S:
            self._seen.popleft()
        middle = np.median(np.stack([seen for _, seen in self._seen]), 0)
        self._slow = middle if first else self._slow + (1 - np.exp(-passed_s / _EASE_S)) * (middle - self._slow)
        talks = self._talks(values[_JAW], passed_s, first=first)
        out = values.copy()
        out[SPOKEN] = talks * self._slow + (1 - talks) * spoken
        return out

    def _talks(self, jaw: Floats, passed_s: float, *, first: bool) -> float:
        """0..1: how much the mouth moves as in speech, over the last half second or so."""
        speed = 0.0 if first else float(np.abs(jaw - self._jaw).sum()) / max(passed_s, 1e-3)
        self._jaw = jaw
        self._activity += (1 - np.exp(-passed_s / _TALK_S)) * (min(speed, 4 * _MOVES) - self._activity)
        return min(max(self._activity / _MOVES, 0.0), 1.0)


assert len(CHANNELS) > SPOKEN.max()
