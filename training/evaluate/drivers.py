"""Those who are judged: whatever turns a sound into lips."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.contract.graph import Graph
from engine.features.mel import BANDS, FRAMES_PER_STEP, RATE_HZ, mel_of
from engine.motion.mouth import Mouth
from engine.motion.visemes import controls_of
from engine.motion.voice import VoiceSource
from engine.timeline import MOTION_RATE_HZ, MOTION_STEP, SAMPLE_RATE_HZ
from training.baseline.loudness import loudness_controls, shut_controls
from training.baseline.signal_processing import LOOK_AHEAD_MS, mouth_controls
from training.evaluate.face import Face


@dataclass(frozen=True, slots=True, eq=False)
class Performance:
    """What a driver made of a sound, at 50 Hz: step n is the instant n 20 ms.

    Attributes:
        lips: float32[M, 40, 3] in u, see `training.evaluate.face.LIPS`.
        gap: float32[M] in u, beyond that of the closed mouth.
        controls: float32[M, 58], of drivers that move a rig.
    """

    lips: NDArray[np.float32]
    gap: NDArray[np.float32]
    controls: NDArray[np.float32] | None = None


class Driver(Protocol):
    """A sound in, lips out; the delay by its look-ahead is already taken out, as it is live."""

    @property
    def name(self) -> str:
        """What stands in the table."""
        ...

    @property
    def look_ahead_ms(self) -> float:
        """How far beyond an instant it hears."""
        ...

    def perform(self, sound: NDArray[np.float32], neutral: NDArray[np.float32], face: Face) -> Performance:
        """Act float32[N] at 16 kHz with the face whose neutral landmarks are float32[478, 3] in u."""
        ...


@dataclass(frozen=True, slots=True)
class RigDriver:
    """A driver that gives controls; `controls` maps float32[N] at 16 kHz to float32[M, 58] at 50 Hz."""

    name: str
    look_ahead_ms: float
    controls: Callable[[NDArray[np.float32]], NDArray[np.float32]]

    def perform(self, sound: NDArray[np.float32], neutral: NDArray[np.float32], face: Face) -> Performance:
        """See `Driver`."""
        controls = self.controls(sound)
        lips = face.lips(controls)
        return Performance(lips, face.gap(lips), controls)


def live_controls(source: VoiceSource, sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[M, 58]: what the live source says of float32[N] at 16 kHz, pushed as packets of 20 ms at 48 kHz.

    After its end the sound is taken to go on in silence.
    """
    source.reset()
    wide = upsampled(sound)
    rest = np.zeros(source.look_ahead + MOTION_STEP, np.float32)
    padded = np.concatenate((wide, rest))
    steps = len(wide) // MOTION_STEP
    motions = []
    for end in range(MOTION_STEP, len(padded) + 1, MOTION_STEP):
        source.push(padded[end - MOTION_STEP : end])
        motions += source.advance(end - source.look_ahead)
    return np.array([motion.values for motion in motions[:steps]])


def network_controls(graph: Graph, look_ahead_ms: float, sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[M, 58]: the same of the mouth network alone, fed with the features of float32[N] at 16 kHz."""
    mouth, ahead = Mouth(graph, look_ahead_ms), round(look_ahead_ms * MOTION_RATE_HZ / 1000)
    steps = len(sound) // (RATE_HZ // MOTION_RATE_HZ)
    mel = mel_of(np.pad(sound, (0, (ahead + 1) * RATE_HZ // MOTION_RATE_HZ)))
    shapes = [mouth.shape]
    for pair in mel[: (steps + ahead) * FRAMES_PER_STEP].reshape(-1, FRAMES_PER_STEP, BANDS):
        mouth.step(pair)
        shapes.append(mouth.shape)
    return controls_of(np.array(shapes[ahead : ahead + steps]))


def upsampled(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[3 N] at 48 kHz of float32[N] at 16 kHz, without delay."""
    from scipy.signal import resample_poly

    return np.asarray(resample_poly(sound, SAMPLE_RATE_HZ // RATE_HZ, 1), np.float32)


def simple_drivers() -> list[Driver]:
    """Those that nobody trains any more: signal processing, and two controls."""
    return [
        RigDriver("shut", 0, shut_controls),
        RigDriver("loudness", 30, loudness_controls),
        RigDriver("signal processing", LOOK_AHEAD_MS, lambda sound: mouth_controls(upsampled(sound))),
    ]
