"""Fakes of the engine's parts that obey the same laws as the real ones."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.contract import Graph, GraphRequest, Motion
from engine.media import AudioChunk, VideoFrame
from engine.timeline import MOTION_STEP


class LoudnessVoice:
    """Opens the jaw by the mean magnitude of the sound in [t, t + look_ahead)."""

    def __init__(self, look_ahead: int = 2 * MOTION_STEP) -> None:
        self.look_ahead = look_ahead
        self.reset()

    def reset(self, sample: int = 0) -> None:
        self._start = sample
        self._next = -(-sample // MOTION_STEP) * MOTION_STEP
        self._sound = np.zeros(0, np.float32)

    def push(self, samples: NDArray[np.float32]) -> None:
        self._sound = np.concatenate([self._sound, samples])

    def advance(self, until_sample: int) -> Sequence[Motion]:
        motions: list[Motion] = []
        while self._next <= until_sample:
            begin = self._next - self._start
            window = self._sound[begin : begin + self.look_ahead]
            heard = len(window) == self.look_ahead
            jaw = float(np.abs(window).mean()) if heard else 0.0
            motions.append(Motion.of(self._next, {"jawOpen": jaw}, 1.0 if heard else 0.0))
            self._next += MOTION_STEP
        return motions


class DirectMixer:
    """Passes one source on: the last motion at or before the instant asked for."""

    def __init__(self, source: LoudnessVoice) -> None:
        self._source = source
        self._last = Motion.of()

    def at(self, sample: int, live: int | None = None) -> Motion:
        for motion in self._source.advance(sample):
            self._last = motion
        return self._last


class GreyRenderer:
    """A picture as bright as the jaw is open; with `graph` it asks for one to compute the brightness."""

    def __init__(self, size: int = 8, graph: Graph | None = None) -> None:
        self.size = size
        self.drawn = 0
        self._graph = graph
        self.reset()

    def reset(self) -> None:
        self._motion = Motion.of()

    def hear(self, sound: AudioChunk, mouth_gain: float = 1.0) -> None:
        pass

    def see(self, latents: NDArray[np.float32] | None, shares: Mapping[str, float]) -> None:
        pass

    def prepare(self, motion: Motion) -> GraphRequest | None:
        self._motion = motion
        jaw = np.array([motion["jawOpen"]], np.float32)
        return GraphRequest(self._graph, {"jaw": jaw}) if self._graph else None

    def finish(self, outputs: Mapping[str, NDArray[np.generic]] | None) -> VideoFrame | GraphRequest:
        self.drawn += 1
        value = float(outputs["jaw"][0]) if outputs else self._motion["jawOpen"]
        rgb = np.full((self.size, self.size, 3), round(255 * min(value, 1.0)), np.uint8)
        return VideoFrame(self._motion.sample, rgb)
