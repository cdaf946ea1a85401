"""A voice moves the mouth: sound in, lips, nods and brows out."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import CHANNELS, GROUPS, Channel, Motion
from engine.features.analysis import HOP, Analyser, SoundFrame
from engine.motion.prosody import Prosody
from engine.motion.visemes import ARTICULATORS, DOMINANCE, SHAPES, VISEMES, VisemeReader
from engine.timeline import MOTION_STEP, SAMPLE_RATE_HZ

MAX_LOOK_AHEAD_MS: Final = 40.0


class VoiceSource:
    """Lips from sound by signal processing: see `Mouth`; head and brows: see `Prosody`.

    The mouth is aligned with the sound at the full look-ahead of 40 ms; with
    less it lags by what is missing. In silence, and in any steady noise, the
    lips are closed and still.

    Args:
        look_ahead_ms: 0 to 40.
        mouth_gain: how far the mouth opens, 0..2; 1 is natural.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(self, look_ahead_ms: float = MAX_LOOK_AHEAD_MS, mouth_gain: float = 1.0) -> None:
        if not 0 <= look_ahead_ms <= MAX_LOOK_AHEAD_MS:
            raise ValueError(f"the voice looks ahead by 0 to {MAX_LOOK_AHEAD_MS:g} ms, got {look_ahead_ms:g}")
        self._look_ahead = round(look_ahead_ms * SAMPLE_RATE_HZ / 1000)
        self.mouth_gain = mouth_gain
        self.reset()

    @property
    def look_ahead(self) -> int:
        """See `MotionSource`."""
        return self._look_ahead

    @property
    def mouth_gain(self) -> float:
        """How far the mouth opens; acts on all motion not yet returned. Kept over `reset`."""
        return self._gain

    @mouth_gain.setter
    def mouth_gain(self, gain: float) -> None:
        if not 0 <= gain <= 2:
            raise ValueError(f"the mouth's gain lies in 0..2, got {gain:g}")
        self._gain = gain

    def push(self, samples: NDArray[np.float32]) -> None:
        """The next sound, float32[N] at 48 kHz.

        Raises:
            ValueError: if it has another shape or dtype.
        """
        if samples.ndim != 1 or samples.dtype != np.float32:
            raise ValueError(f"expected float32[N], got {samples.dtype}{list(samples.shape)}")
        self._heard += len(samples)
        self._frames += self._analyser.push(samples)
        lost = max(len(self._frames) - MAX_WAITING, 0)
        del self._frames[:lost]
        self._done += lost

    def advance(self, until_sample: int) -> Sequence[Motion]:
        """See `MotionSource`. Without the sound for an instant the mouth rests, without confidence."""
        motions: list[Motion] = []
        while self._next <= until_sample:
            motions.append(self._step(self._next))
            self._next += MOTION_STEP
        return motions

    def reset(self, sample: int = 0) -> None:
        """See `MotionSource`; the next sample pushed is `sample`."""
        self._start = self._heard = sample
        self._next = -(-sample // MOTION_STEP) * MOTION_STEP
        self._analyser = Analyser()
        self._frames: list[SoundFrame] = []
        self._done = 0  # frames moved by, or lost, so far
        self._mouth = Mouth()
        self._prosody = Prosody()

    def _step(self, sample: int) -> Motion:
        due = max((sample + self._look_ahead - self._start) // HOP, 0)
        while self._done < due and self._frames:
            self._move(self._frames.pop(0))
            self._done += 1
        heard = self._heard >= sample + self._look_ahead
        values = np.zeros(len(CHANNELS), np.float32)
        if heard:
            self._write(values)
        return Motion(sample, values, _HEARD if heard else _DEAF)

    def _move(self, frame: SoundFrame) -> None:
        self._mouth.step(frame)
        self._prosody.step(frame, self._mouth.speech)

    def _write(self, values: NDArray[np.float32]) -> None:
        shape = np.minimum(self._mouth.shape * (_FIXED + self._gain * _FREE), 1)
        values[_TARGET] = shape[_ORIGIN]
        values[Channel["mouthClose"]] = shape[_CLOSE] * shape[_JAW]
        prosody = self._prosody
        values[Channel["yaw"]] = prosody.yaw.value
        values[Channel["pitch"]] = prosody.pitch.value
        values[Channel["roll"]] = prosody.roll.value
        values[Channel["browInnerUp"]] = 0.8 * prosody.brow.value
        values[Channel["browOuterUpLeft"]] = values[Channel["browOuterUpRight"]] = prosody.brow.value


MAX_WAITING: Final = 1000
"""Frames that may wait to be asked for: 10 s; a caller that pushes without asking loses the oldest."""

_HEARD: Final = np.array([group in ("lips", "expression", "pose") for group in GROUPS], np.float32)
_DEAF: Final = np.zeros(len(GROUPS), np.float32)

_CHANNELS_OF: Final = {
    "jaw": ("jawOpen",),
    "press": ("mouthPressLeft", "mouthPressRight"),
    "funnel": ("mouthFunnel",),
    "pucker": ("mouthPucker",),
    "stretch": ("mouthStretchLeft", "mouthStretchRight"),
    "lower": ("mouthLowerDownLeft", "mouthLowerDownRight"),
    "upper": ("mouthUpperUpLeft", "mouthUpperUpRight"),
    "roll": ("mouthRollLower",),
}
_TARGET: Final = np.array([Channel[name] for names in _CHANNELS_OF.values() for name in names])
_ORIGIN: Final = np.array([ARTICULATORS.index(a) for a, names in _CHANNELS_OF.items() for _ in names])
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
