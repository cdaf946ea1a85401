"""Brows that rise with the pitch and with what is stressed."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.features.voicing import WINDOW, voicing

STEP_S: Final = 0.02
HIGHEST: Final = 0.35
"""As far as brows rise in speech, of browOuterUp."""
VOICED: Final = 0.65
"""Periodicity from which a pitch is believed."""
QUIETEST: Final = 1e-8
_OMEGA: Final = 10.0  # rad/s


class Brows:
    """How far the brows are raised, 20 ms at a time.

    An accent is loudness over the phrase's running mean together with pitch
    over the speaker's own; brows go along with most of them (Cavé et al.
    1996). A critically damped follower, at rest in silence.
    """

    def __init__(self) -> None:
        self._sound = np.zeros(WINDOW, np.float32)
        self._mean_db: float | None = None
        self._mean_pitch: float | None = None  # ln Hz
        self._loud_db = self._semitones = 0.0
        self._speech = self._speed = 0.0
        self.raised = 0.0
        """0..`HIGHEST`."""

    def step(self, sound: NDArray[np.float32], speech: float) -> None:
        """Move on by 20 ms: float32[320] at 16 kHz; `speech` 0..1 says how surely there is some."""
        self._sound[: -len(sound)] = self._sound[len(sound) :]
        self._sound[-len(sound) :] = sound
        self._speech += (0.11 if speech > self._speech else 0.04) * (speech - self._speech)
        if speech > 0.5:
            self._listen(10 * math.log10(float(np.dot(sound, sound)) / len(sound) + QUIETEST))
        else:
            self._loud_db *= 0.92
            self._semitones *= 0.94
        stress = min(max(0.10 * self._loud_db + 0.09 * self._semitones, -0.6), 1.2)
        goal = HIGHEST * min(max(0.12 * (self._semitones - 1.5) + 0.25 * stress, 0.0), 1.0) * self._speech
        self._speed += STEP_S * _OMEGA * (_OMEGA * (goal - self.raised) - 2 * self._speed)
        self.raised = max(self.raised + STEP_S * self._speed, 0.0)
        if self.raised < 1e-4 and goal == 0:
            self.raised = self._speed = 0.0

    def _listen(self, level_db: float) -> None:
        mean = level_db if self._mean_db is None else self._mean_db
        self._mean_db = mean + 0.016 * (level_db - mean)
        self._loud_db += 0.23 * (min(max(level_db - self._mean_db, -8), 10) - self._loud_db)
        periodicity, pitch_hz = voicing(self._sound)
        if periodicity < VOICED:
            self._semitones *= 0.94
            return
        pitch = math.log(pitch_hz)
        mean = pitch if self._mean_pitch is None else self._mean_pitch
        self._mean_pitch = mean + 0.02 * (pitch - mean)
        over = 12 / math.log(2) * (pitch - self._mean_pitch)
        self._semitones += 0.28 * (min(max(over, -5), 7) - self._semitones)
