"""A studio without faces: pictures of one grey level, so that what a session shows can be told from its pixels.

Named in `WorkerOptions.studio`, so that real worker processes run it. The
portrait's file name steers it: "broken" cannot be loaded, "crash-N" fails at
frame N, "freeze-N" stops the whole worker at frame N, "slow-N" takes N ms for
every frame, "heavy-N" as long for one of 512 px, by its area, "asks-N" has a
graph say the grey N, and "poison-N" at frame N asks what makes that graph fail,
and all who ask with it; "knot-N" refers to itself and keeps N MB.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.contract import GROUPS, GraphRequest, GraphSpec, Motion, MotionSource
from engine.contract.motion import CHANNELS
from engine.errors import PortraitError
from engine.media import AudioChunk, VideoFrame
from engine.timeline import MOTION_STEP
from streaming.contract import SessionSettings
from streaming.worker.studio import Clock, Performance


class GreyRenderer:
    """Grey of the portrait's number plus 100 times jawOpen plus the degrees of yaw."""

    def __init__(self, size: int, portrait: Path) -> None:
        word, _, number = portrait.stem.partition("-")
        if word == "broken":
            raise PortraitError(f"{portrait.name} is not a portrait")
        self.size = size
        self._word, self._number = word, int(number or 0)
        self._rgb = np.zeros((size, size, 3), np.uint8)
        self._drawn = 0
        self._motion = Motion.of()
        if word == "knot":
            self._itself, self._kept = self, np.ones(self._number << 20, np.uint8)

    def hear(self, sound: AudioChunk, mouth_gain: float = 1.0) -> None:
        pass

    def see(self, latents: NDArray[np.float32] | None, shares: Mapping[str, float]) -> None:
        pass

    def prepare(self, motion: Motion) -> GraphRequest | None:
        self._motion = motion
        return None

    def finish(self, outputs: Mapping[str, NDArray[np.generic]] | None) -> VideoFrame:
        self._drawn += 1
        if self._word == "crash" and self._drawn > self._number:
            raise RuntimeError("a renderer fell over")
        if self._word == "freeze" and self._drawn > self._number:
            time.sleep(3600)
        if self._word == "slow":
            time.sleep(self._number / 1000)
        if self._word == "heavy":
            time.sleep(self._number / 1000 * (self.size / 512) ** 2)
        base = self._number if self._word == "grey" else 60
        self._rgb[:] = np.uint8(base + round(100 * self._motion["jawOpen"] + self._motion["yaw"]))
        return VideoFrame(self._motion.sample, self._rgb)

    def reset(self) -> None:
        self._motion = Motion.of()


class Saying:
    """A graph that says the grey that it is told, for up to eight at once; none is told by what is not a number."""

    spec = GraphSpec("saying", (), ())
    largest = 8

    def warm_up(self, clock: Clock) -> None:
        pass

    def split(self, count: int) -> tuple[int, ...]:
        return tuple(min(8, count - first) for first in range(0, count, 8))

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        return self.run_batch([inputs])[0]

    def run_batch(self, samples: Sequence[Mapping[str, NDArray[np.generic]]]) -> list[dict[str, NDArray[np.generic]]]:
        if any(np.isnan(np.asarray(sample["grey"], np.float32)).any() for sample in samples):
            raise RuntimeError("a graph fell over")
        return [dict(sample) for sample in samples]


SAYING = Saying()


class AskingRenderer(GreyRenderer):
    """Grey as a graph says."""

    def prepare(self, motion: Motion) -> GraphRequest:
        super().prepare(motion)
        is_bad = self._word == "poison" and self._drawn >= self._number
        return GraphRequest(SAYING, {"grey": np.array([np.nan if is_bad else self._number], np.float32)})

    def finish(self, outputs: Mapping[str, NDArray[np.generic]] | None) -> VideoFrame:
        assert outputs is not None
        self._drawn += 1
        self._rgb[:] = np.uint8(np.asarray(outputs["grey"], np.float32))
        return VideoFrame(self._motion.sample, self._rgb)


class LoudVoice:
    """jawOpen is how loud the last motion step was."""

    look_ahead = 0
    mouth_gain = 1.0

    def __init__(self) -> None:
        self.reset()

    def push(self, samples: NDArray[np.float32]) -> None:
        self._sound = np.concatenate((self._sound, samples))[-48_000:]

    def advance(self, until_sample: int) -> Sequence[Motion]:
        motions = list[Motion]()
        while self._next <= until_sample:
            values = np.zeros(len(CHANNELS), np.float32)
            level = np.sqrt(np.mean(np.square(self._sound[-MOTION_STEP:]))) if len(self._sound) else 0.0
            values[CHANNELS.index("jawOpen")] = min(1.0, self.mouth_gain * float(level))
            motions.append(Motion(self._next, values, np.ones(len(GROUPS), np.float32)))
            self._next += MOTION_STEP
        return motions

    def reset(self, sample: int = 0) -> None:
        self._next = -(-sample // MOTION_STEP) * MOTION_STEP
        self._sound = np.zeros(0, np.float32)


class FakeStudio:
    """See the module."""

    scales = True

    def build(self, settings: SessionSettings, portrait: str, clock: Clock, clip: MotionSource | None = None) -> Performance:
        return Performance(settings, self.renderer(settings, portrait), LoudVoice(), clock, clip)

    def renderer(self, settings: SessionSettings, portrait: str) -> GreyRenderer:
        asks = Path(portrait).stem.startswith(("asks", "poison"))
        return (AskingRenderer if asks else GreyRenderer)(settings.size, Path(portrait))
