"""What the benchmarks have workers play instead of the product's own studio (`WorkerOptions.studio`).

MeshClockStudio   the mesh renderer with a clock painted into its pictures
NullStudio        everything but the renderer: a grey picture that costs nothing, the zero of every comparison
NullClockStudio   the same with the clock
"""

import time
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.clock import Clock
from engine.contract import Motion, MotionSource, Renderer
from engine.media import AudioChunk, Emission, VideoFrame
from engine.motion.voice import VoiceSource
from engine.session import Session
from streaming.contract import SessionSettings
from streaming.worker import studio
from streaming.worker.mesh import MeshStudio
from streaming.worker.options import STUDIOS as PRODUCTS
from streaming.worker.studio import Performance

STUDIOS: Final = {
    ("mesh", False): PRODUCTS["mesh"],
    ("pdfgc", False): PRODUCTS["pdfgc"],
    ("mesh", True): f"{__name__}:MeshClockStudio",
    ("null", False): f"{__name__}:NullStudio",
    ("null", True): f"{__name__}:NullClockStudio",
}
"""By renderer and whether a clock is painted."""


class NullRenderer:
    """A grey picture that costs nothing: what is left is the path."""

    def __init__(self, size: int) -> None:
        self._rgb = np.full((size, size, 3), 128, np.uint8)
        self._sample = 0

    @property
    def size(self) -> int:
        """See `Renderer`."""
        return self._rgb.shape[0]

    def hear(self, sound: AudioChunk, mouth_gain: float = 1.0) -> None:
        """See `Renderer`."""

    def see(self, latents: NDArray[np.float32] | None, shares: Mapping[str, float]) -> None:
        """See `Renderer`."""

    def prepare(self, motion: Motion) -> None:
        """See `Renderer`."""
        self._sample = motion.sample

    def finish(self, outputs: Mapping[str, NDArray[np.generic]] | None) -> VideoFrame:
        """See `Renderer`."""
        return VideoFrame(self._sample, self._rgb)

    def reset(self) -> None:
        """See `Renderer`."""


class NullStudio:
    """Performances without a face."""

    scales = False

    def build(
        self, settings: SessionSettings, portrait: str, clock: studio.Clock, clip: MotionSource | None = None
    ) -> Performance:
        """See `Studio`."""
        return Performance(settings, self.renderer(settings, portrait), VoiceSource(settings.look_ahead_ms), clock, clip)

    def renderer(self, settings: SessionSettings, portrait: str) -> Renderer:
        """See `Studio`."""
        return NullRenderer(settings.size)


class NullClockStudio(NullStudio):
    """Performances without a face, with a clock."""

    def build(
        self, settings: SessionSettings, portrait: str, clock: studio.Clock, clip: MotionSource | None = None
    ) -> Performance:
        """See `Studio`."""
        return with_clock(super().build(settings, portrait, clock, clip))


class MeshClockStudio(MeshStudio):
    """The product's own performances, with a clock."""

    def build(
        self, settings: SessionSettings, portrait: str, clock: studio.Clock, clip: MotionSource | None = None
    ) -> Performance:
        """See `Studio`."""
        return with_clock(super().build(settings, portrait, clock, clip))


def with_clock(performance: Performance) -> Performance:
    """The performance, its pictures marked as they are made."""
    mark_emissions(performance.session)
    return performance


def mark_emissions(session: Session) -> None:
    """Have every emission of a session carry the clock."""
    clock, finish = Clock(), session.finish

    def marked() -> Emission:
        emission = finish()
        clock.mark(emission, time.time())
        return emission

    session.finish = marked
