"""How a head and brows go along with a voice."""

import math
from typing import Final

from training.baseline.analysis import VOICED, SoundFrame

STEP_S: Final = 0.01
NOD_DEG: Final = 2.4  # of a full accent
TILT_DEG: Final = 1.6
TURN_DEG: Final = 2.0
BROW: Final = 0.35
LIMIT_DEG: Final = 4.0


class Prosody:
    """Small nods on accents, a tilt and a turn held through a phrase, brows that rise with the pitch; at rest in silence.

    An accent is loudness over the phrase's running mean together with pitch
    over the speaker's own. Heads nod on most pitch accents and lag them by
    little (Munhall et al. 2004); all is critically damped and bounded.
    """

    def __init__(self) -> None:
        self._mean_db = -10.0
        self._mean_pitch = 0.0  # ln Hz; 0 until the first voiced frame
        self._speech = 0.0
        self._phrase = 0
        self._quiet_s = 1.0
        self._semitones = 0.0
        self._loud = 0.0
        self.pitch, self.roll, self.yaw = _Spring(9.0), _Spring(3.0), _Spring(2.2)
        self.brow = _Spring(10.0)

    def step(self, frame: SoundFrame, speech: float) -> None:
        """Move on by 10 ms; `speech` 0..1 says how surely there is some."""
        self._speech += (0.06 if speech > self._speech else 0.02) * (speech - self._speech)
        self._quiet_s = 0.0 if speech > 0.5 else self._quiet_s + STEP_S
        if self._quiet_s == 0.0 and self._speech < 0.15:
            self._phrase += 1
        self._listen(frame, speech)
        accent = min(max(0.10 * self._loud + 0.09 * self._semitones, -0.6), 1.2) * self._speech
        side = _SIDES[self._phrase % len(_SIDES)]
        self.pitch.step(_bounded(-NOD_DEG * accent + 0.8 * self._speech))
        self.roll.step(_bounded(TILT_DEG * side[0] * self._speech))
        self.yaw.step(_bounded(TURN_DEG * side[1] * self._speech + 0.5 * side[0] * accent))
        self.brow.step(BROW * min(max(0.12 * (self._semitones - 1.5) + 0.25 * accent, 0.0), 1.0) * self._speech)

    def _listen(self, frame: SoundFrame, speech: float) -> None:
        if speech > 0.5:
            self._mean_db += 0.008 * (frame.loudness_db - self._mean_db)
            self._loud += 0.12 * (min(max(frame.loudness_db - self._mean_db, -8), 10) - self._loud)
        else:
            self._loud *= 0.96
        if speech > 0.5 and frame.periodicity > VOICED + 0.1:
            pitch = math.log(frame.pitch_hz)
            self._mean_pitch = self._mean_pitch + 0.01 * (pitch - self._mean_pitch) if self._mean_pitch else pitch
            over = 12 / math.log(2) * (pitch - self._mean_pitch)
            self._semitones += 0.15 * (min(max(over, -5), 7) - self._semitones)
        else:
            self._semitones *= 0.97


_SIDES: Final = ((0.5, -0.6), (-0.7, 0.4), (0.2, 0.9), (0.9, 0.1), (-0.4, -0.9), (-0.9, 0.5), (0.6, 0.7), (0.1, -0.4))
"""Tilt and turn of successive phrases; eight, so that no rhythm shows."""


class _Spring:
    """A critically damped follower."""

    __slots__ = ("_omega", "_speed", "value")

    def __init__(self, omega: float) -> None:
        self._omega, self._speed, self.value = omega, 0.0, 0.0

    def step(self, goal: float) -> None:
        self._speed += STEP_S * self._omega * (self._omega * (goal - self.value) - 2 * self._speed)
        self.value += STEP_S * self._speed
        if abs(self.value) < 1e-4 and goal == 0:
            self.value = self._speed = 0.0


def _bounded(degrees: float) -> float:
    return min(max(degrees, -LIMIT_DEG), LIMIT_DEG)
