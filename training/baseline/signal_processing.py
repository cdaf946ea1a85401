"""The driver that shipped before the networks: lips by signal processing and a perceptron of 11 k constants."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import CHANNELS
from engine.motion.visemes import ARTICULATORS, VISEMES, controls_of
from engine.timeline import MOTION_STEP, SAMPLE_RATE_HZ
from training.baseline.analysis import HOP, Analyser, SoundFrame
from training.baseline.visemes import DOMINANCE, SHAPES, VisemeReader

LOOK_AHEAD_MS: Final = 40.0
"""With which its mouth is aligned with the sound."""


def mouth_controls(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[M, 58] at 50 Hz of float32[N] at 48 kHz: what the live source would say at each instant, nothing but lips.

    Step n is the motion at n 20 ms, moved by the frames that end within the
    look-ahead after it. The sound is taken to go on in silence.
    """
    analyser, mouth = Analyser(), Mouth()
    ahead = round(LOOK_AHEAD_MS * SAMPLE_RATE_HZ / 1000)
    frames = analyser.push(np.concatenate((sound, np.zeros(ahead, np.float32))))
    controls = np.zeros((len(sound) // MOTION_STEP, len(CHANNELS)), np.float32)
    done = 0
    for n, values in enumerate(controls):
        due = (n * MOTION_STEP + ahead) // HOP
        for frame in frames[done:due]:
            mouth.step(frame)
        done = due
        values[:] = controls_of(mouth.shape)
    return controls


_JAW, _CLOSE, _PRESS = (ARTICULATORS.index(name) for name in ("jaw", "close", "press"))
_MM: Final = VISEMES.index("mm")
_FIXED: Final = np.array([name in ("close", "press", "roll") for name in ARTICULATORS], np.float32)
_FREE: Final[NDArray[np.float32]] = 1 - _FIXED
_HURRIES: Final = np.array([name not in ("jaw", "pucker", "stretch") for name in ARTICULATORS], np.float32)
"""Lips hurry to meet; the jaw, which is heavy, does not, and is still a little open when they do."""

_RISE: Final = np.array([48.0, 75.0, 75.0, 42.0, 42.0, 42.0, 48.0, 48.0, 60.0], np.float32)
_FALL: Final = np.array([42.0, 60.0, 60.0, 36.0, 36.0, 36.0, 42.0, 42.0, 50.0], np.float32)
"""float32[9] rad/s, how fast each articulator follows: lips meet faster than a jaw opens."""

_PARTING: Final = np.array([ARTICULATORS.index(name) for name in ("funnel", "lower", "upper")])

CLOSES: Final = (0.35, 0.65)  # share of closing visemes between which lips go from parted to met
CLOSED_STAYS: Final = 0.75
"""Share of a closure that stays for the next frame: lips that have met part less fast than the sound does."""
HANG_FRAMES: Final = 6  # a gap this long is a stop consonant; a longer one is silence
_STEP_S: Final = np.float32(HOP / SAMPLE_RATE_HZ)


class Mouth:
    """Articulators that follow a mixture of visemes.

    The goal is the mean of the visemes' shapes, each weighted by how likely
    the sound is it and by its dominance; the jaw opens further for a louder
    syllable. The articulators follow as critically damped springs, so they
    neither jitter nor overshoot, and go exactly to rest in silence.
    """

    def __init__(self) -> None:
        self._reader = VisemeReader()
        self._quiet = HANG_FRAMES
        self._evidence = 0.0
        self._closed = 0.0
        self._speed = np.zeros(len(ARTICULATORS), np.float32)
        self.shape = np.zeros(len(ARTICULATORS), np.float32)
        """float32[9], see `ARTICULATORS`."""
        self.speech = 0.0
        """0..1: how surely this is speech."""

    def step(self, frame: SoundFrame) -> None:
        """Move on by one frame."""
        odds = self._reader.read(frame)
        sounding = _ramp(frame.above_noise_db, 5, 9) * _ramp(frame.loudness_db, -36, -28) * (1 - float(odds[0]))
        self._evidence += 0.4 * (sounding - self._evidence)
        self._quiet = 0 if self._evidence > 0.5 else self._quiet + 1
        self.speech = 1 - _ramp(self._quiet, HANG_FRAMES - 3, HANG_FRAMES)
        weight = odds * DOMINANCE
        goal = (weight @ SHAPES) / weight.sum()
        self._closed = max(_ramp(float(goal[_CLOSE]), *CLOSES), CLOSED_STAYS * self._closed)
        goal[_CLOSE] = self._closed
        goal[_PRESS] = max(float(goal[_PRESS]), float(SHAPES[_MM, _PRESS]) * self._closed)
        goal[_PARTING] *= 1 - self._closed
        effort = 0.8 + 0.35 * _ramp(frame.loudness_db, -14, 2)
        self._follow(goal * (_FIXED + effort * _FREE) * np.float32(self.speech))

    def _follow(self, goal: NDArray[np.float32]) -> None:
        away = goal - self.shape
        pull = np.where(away > 0, _RISE, _FALL) * (_STEP_S + np.float32(_STEP_S * self._closed) * _HURRIES)
        # implicit in the speed (here in change per step): stable at any pull
        self._speed = (self._speed + pull * pull * away) / (1 + pull * (2 + pull))
        self.shape = np.minimum(np.maximum(self.shape + self._speed, 0), 1)
        if not self.speech and self.shape.max() < 0.01:
            self.shape = np.zeros_like(self.shape)
            self._speed = np.zeros_like(self._speed)


def _ramp(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0)
