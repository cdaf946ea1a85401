"""A tracker's own nod: a face that seems to lift or sink with every opening of its mouth."""

from typing import Final

import numpy as np

_SLOW_S: Final = 0.1
"""What changes faster goes at the rate of syllables; heads seldom do."""
_MEMORY_S: Final = 15.0
_DOUBT_U2: Final = 0.02
"""Fast movement of the lips, squared and summed, that is needed before half of the leak is believed."""
_MOST_DEG_PER_U: Final = 40.0


class NodFilter:
    """Takes out of a head's pitch what goes along with the lips (as `engine.face.pose.steadied` does for a whole clip)."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self._seen = False
        self._pitch = self._gap = 0.0
        self._along = self._power = 0.0

    def follow(self, pitch_deg: float, gap_u: float, passed_s: float) -> float:
        """The pitch in degrees of the next picture without the lips' share in it.

        Args:
            pitch_deg: as measured.
            gap_u: of the lips, from rest.
            passed_s: since the last picture.
        """
        if not self._seen:
            self._seen, self._pitch, self._gap = True, pitch_deg, gap_u
        share, kept = 1 - float(np.exp(-passed_s / _SLOW_S)), float(np.exp(-passed_s / _MEMORY_S))
        self._pitch += share * (pitch_deg - self._pitch)
        self._gap += share * (gap_u - self._gap)
        fast = gap_u - self._gap
        self._along = kept * self._along + fast * (pitch_deg - self._pitch)
        self._power = kept * self._power + fast * fast
        leak = self._along / (self._power + _DOUBT_U2)
        return pitch_deg - min(max(leak, -_MOST_DEG_PER_U), _MOST_DEG_PER_U) * gap_u
