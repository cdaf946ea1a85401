"""A session played into a file instead of to viewers, as fast as the machine goes."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import MotionSource
from engine.errors import MienError
from engine.media import Emission
from engine.render.badge import burn
from engine.render.colour import to_i420
from engine.timeline import SAMPLE_RATE_HZ
from streaming.contract import SessionSettings
from streaming.worker.mesh import MeshStudio
from streaming.worker.studio import Studio


def frames_of(
    settings: SessionSettings,
    portrait: Path,
    sound: NDArray[np.float32],
    controls: Mapping[str, Any],
    clip: MotionSource | None = None,
    studio: Studio | None = None,
) -> tuple[int, Iterator[Emission]]:
    """How many emissions a sound float32[N] at 48 kHz makes, and the emissions: those of a live session, with all the sound.

    Args:
        settings: of the session.
        portrait: file of the face.
        sound: what is said; the film is as long.
        controls: see `Performance.apply`.
        clip: motion in the place of a camera's; sample 0 of its clock is the sound's first.
        studio: where the session is put together; that of the mesh renderer if none is given.

    Raises:
        PortraitError: if the portrait file cannot be used.
        ModelError: if a network cannot be.
        ValueError: if a control is unknown or out of range.
    """
    performance = (studio or MeshStudio()).build(settings, str(portrait), lambda: 0.0, clip)
    performance.apply(controls)
    session = performance.session
    per_frame = session.timeline.samples_per_frame
    count = -(-len(sound) // per_frame)
    padded = np.concatenate([sound, np.zeros(count * per_frame + session.lead - len(sound), np.float32)])

    def play() -> Iterator[Emission]:
        rest = padded
        for _ in range(count):
            rest = rest[session.push(rest[: session.lead + 2 * per_frame]) :]
            yield session.tick()

    return count, play()


class Film:
    """An mp4 with H.264 picture and AAC sound; complete and renamed into place on a clean exit, removed on any other.

    Raises:
        MienError: if the file cannot be written.
    """

    def __init__(self, path: Path, settings: SessionSettings, crf: int) -> None:
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._badge = settings.badge
        self._i420 = np.empty((settings.size * 3 // 2, settings.size), np.uint8)
        try:
            self._container: Any = av.open(str(self._part), "w", format="mp4", options={"movflags": "+faststart"})
        except (av.error.FFmpegError, OSError) as error:
            raise MienError(f"cannot write {path}: {error.strerror or error}") from error
        self._picture = self._container.add_stream("libx264", rate=settings.fps, options={"crf": str(crf)})
        self._picture.width = self._picture.height = settings.size
        self._picture.pix_fmt = "yuv420p"
        self._picture.codec_context.time_base = Fraction(1, settings.fps)
        self._sound = self._container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono", bit_rate=128_000)

    def __enter__(self) -> Self:
        return self

    def add(self, emission: Emission) -> None:
        """Write one emission."""
        if self._badge:
            burn(emission.video.rgb)
        to_i420(emission.video.rgb, self._i420)
        picture = av.VideoFrame.from_ndarray(self._i420, format="yuv420p")
        picture.pts, picture.time_base = emission.index, self._picture.codec_context.time_base
        sound = av.AudioFrame.from_ndarray(emission.audio.samples[None], format="fltp", layout="mono")
        sound.sample_rate, sound.pts, sound.time_base = SAMPLE_RATE_HZ, emission.audio.start, Fraction(1, SAMPLE_RATE_HZ)
        self._write(lambda: self._container.mux(self._picture.encode(picture)))
        self._write(lambda: self._container.mux(self._sound.encode(sound)))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._write(self._finish)
                os.replace(self._part, self._path)
        finally:
            with contextlib.suppress(av.error.FFmpegError, OSError):
                self._container.close()
            self._part.unlink(missing_ok=True)

    def _finish(self) -> None:
        for stream in (self._picture, self._sound):
            self._container.mux(stream.encode(None))
        self._container.close()

    def _write(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (av.error.FFmpegError, OSError) as error:
            raise MienError(f"cannot write {self._path}: {error.strerror or error}; is the disk full?") from error
