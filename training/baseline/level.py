"""How loud is this speaker, and how loud is the room?"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

FLOOR_DB: Final = -72.0
"""Nothing below this counts as sound, dB relative to full scale."""

WINDOW_FRAMES: Final = 25  # per part of the window in which minima are sought: 250 ms
PARTS: Final = 8  # 2 s in all: longer than any vowel, shorter than patience with a fan that was switched on
SMOOTH: Final = 0.25  # per frame, of the power whose minimum is the noise
FILLING: Final = 5  # frames until the analysis window and the filters are full of sound
BIAS: Final = 1.6  # the minimum of a noisy estimate lies below its mean by this factor


class NoiseFloor:
    """The power of the steady background in each band, by minimum statistics (Martin 2001, simplified).

    The minimum of the smoothed power over the last 1.75 to 2 s: what never
    pauses is noise. The first 50 ms are noise until proven otherwise, so a
    microphone that opens on a fan finds the mouth shut.
    """

    def __init__(self, bands: int) -> None:
        self._smooth = np.zeros(bands, np.float32)
        self._parts = np.full((PARTS, bands), np.inf, np.float32)
        self._age = 0

    def update(self, power: NDArray[np.float32]) -> NDArray[np.float32]:
        """The noise power float32[bands], given the power of one more frame."""
        part = self._parts[self._age // WINDOW_FRAMES % PARTS]
        if self._age < FILLING:
            self._smooth = np.maximum(self._smooth, power)
        self._smooth += SMOOTH * (power - self._smooth)
        if self._age < FILLING or self._age % WINDOW_FRAMES == 0:
            part[:] = self._smooth
        else:
            np.minimum(part, self._smooth, out=part)
        self._age += 1
        return BIAS * self._parts.min(axis=0)


ATTACK: Final = 0.3  # per frame, of the way up to a louder frame
DECAY_DB: Final = 0.03  # per voiced frame below the level: 3 dB a second of speech
SPEECH_OVER_NOISE_DB: Final = 9.0
HEADROOM_DB: Final = 10.0  # a speaker is taken to be at least this much louder than the room
LOWEST_DB: Final = -58.0  # a speaker quieter than this is not heard


class SpeakerLevel:
    """The level in dB of the speaker's loud syllables; follows up at once, down slowly, and only while there is speech."""

    def __init__(self) -> None:
        self.value_db = LOWEST_DB

    def update(self, frame_db: float, noise_db: float, *, voiced: bool) -> float:
        """The level after one more frame."""
        if voiced and frame_db > noise_db + SPEECH_OVER_NOISE_DB:
            if frame_db > self.value_db:
                self.value_db += ATTACK * (frame_db - self.value_db)
            else:
                self.value_db = max(self.value_db - DECAY_DB, LOWEST_DB)
        return max(self.value_db, noise_db + HEADROOM_DB)
