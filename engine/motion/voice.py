"""A voice moves the face: sound in; lips, head and brows out."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.graph import Graph
from engine.contract.motion import CHANNELS, GROUPS, Channel, Motion
from engine.features.decimate import BLOCK, Decimator, sane
from engine.features.mel import BANDS, FRAMES_PER_STEP, MelStream
from engine.motion.brows import Brows
from engine.motion.head import MODELS, HeadMotion
from engine.motion.mouth import LOOK_AHEADS_MS, Mouth
from engine.motion.visemes import ARTICULATORS, controls_of
from engine.runtime.ort import OrtGraph
from engine.timeline import MOTION_STEP, SAMPLE_RATE_HZ

__all__ = ["LOOK_AHEADS_MS", "LOOK_AHEAD_MS", "MODELS", "VoiceSource"]

LOOK_AHEAD_MS: Final = 80


class VoiceSource:
    """Lips from sound (see `Mouth`), the head (`HeadMotion`) and `Brows`.

    In silence, and in any steady noise, the lips are closed and still.

    Args:
        look_ahead_ms: one of `LOOK_AHEADS_MS`.
        mouth_gain: how far the mouth opens, 0..2; 1 is natural.
        head_style: float32[6, 33], how this person's head moves (`engine.motion.head`); None for the usual way.
        seed: of the head: two with equal seeds move alike.
        graph: the mouth network; None for the one that ships.

    Raises:
        ValueError: if an argument is out of its range.
        ModelError: if a network that ships is missing or damaged.
    """

    def __init__(
        self,
        look_ahead_ms: float = LOOK_AHEAD_MS,
        mouth_gain: float = 1.0,
        *,
        head_style: NDArray[np.float32] | None = None,
        seed: int = 0,
        graph: Graph | None = None,
    ) -> None:
        self._mouth = Mouth(graph or OrtGraph.load(MODELS / "voice.onnx"), look_ahead_ms)
        self._head = HeadMotion.load(head_style, seed)
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
        self._ears.push(samples)

    def advance(self, until_sample: int) -> Sequence[Motion]:
        """See `MotionSource`. Without the sound for an instant the mouth rests, without confidence."""
        motions: list[Motion] = []
        while self._next <= until_sample:
            motions.append(self._step(self._next))
            self._next += MOTION_STEP
        return motions

    def reset(self, sample: int = 0) -> None:
        """See `MotionSource`; the next sample pushed is `sample`."""
        self._heard = sample
        self._next = -(-sample // MOTION_STEP) * MOTION_STEP
        self._ears = _Ears(sample)
        self._brows = Brows()
        self._mouth.reset()
        self._head.reset()
        self._pose = np.zeros(6, np.float32)

    def _step(self, sample: int) -> Motion:
        for sound, mel in self._ears.until(sample + self._look_ahead):
            self._mouth.step(mel)
            self._pose = self._head.step(mel, self._mouth.speech)
            self._brows.step(sound, self._mouth.speech)
        if self._heard < sample + self._look_ahead:
            return Motion(sample, np.zeros(len(CHANNELS), np.float32), _DEAF)
        return Motion(sample, self._values(), _HEARD)

    def _values(self) -> NDArray[np.float32]:
        values = controls_of(np.minimum(self._mouth.shape * (_FIXED + self._gain * _FREE), 1))
        values[Channel["yaw"] :] = self._pose
        brow = self._brows.raised
        values[Channel["browInnerUp"]] = 0.8 * brow
        values[Channel["browOuterUpLeft"]] = values[Channel["browOuterUpRight"]] = brow
        return values


MAX_WAITING: Final = 500
"""Steps of sound that may wait to be asked for: 10 s; a caller that pushes without asking loses the oldest."""

_HEARD: Final = np.array([group in ("lips", "expression", "pose") for group in GROUPS], np.float32)
_DEAF: Final = np.zeros(len(GROUPS), np.float32)

_FIXED: Final = np.array([name in ("close", "press", "roll") for name in ARTICULATORS], np.float32)
_FREE: Final[NDArray[np.float32]] = 1 - _FIXED

Step = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Sound float32[320] at 16 kHz and its mel float32[2, 40]."""


class _Ears:
    """Sound as the networks hear it, in steps of 20 ms of the media clock.

    Sound that begins off the grid of motion steps is taken to follow silence.
    """

    def __init__(self, sample: int) -> None:
        self._decimator, self._mel = Decimator(), MelStream()
        self._rest = np.zeros(sample % MOTION_STEP, np.float32)
        self._done = sample // MOTION_STEP  # steps given out or lost
        self._waiting: list[Step] = []

    def push(self, samples: NDArray[np.float32]) -> None:
        sound = np.concatenate((self._rest, samples))
        whole = len(sound) // MOTION_STEP * MOTION_STEP
        self._rest = sound[whole:].copy()
        self._waiting += [self._hear(sound[start : start + MOTION_STEP]) for start in range(0, whole, MOTION_STEP)]
        lost = max(len(self._waiting) - MAX_WAITING, 0)
        del self._waiting[:lost]
        self._done += lost

    def until(self, sample: int) -> list[Step]:
        """The steps that end at or before `sample` and were not given out."""
        due = min(max(sample // MOTION_STEP - self._done, 0), len(self._waiting))
        steps, self._waiting = self._waiting[:due], self._waiting[due:]
        self._done += due
        return steps

    def _hear(self, step: NDArray[np.float32]) -> Step:
        sound = np.concatenate([self._decimator.process(block) for block in sane(step).reshape(-1, BLOCK)])
        return sound, self._mel.push(sound).reshape(FRAMES_PER_STEP, BANDS)
