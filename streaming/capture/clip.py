"""Films as they drive a face: their pictures with exact instants, and their sound on the same clock."""

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av
import av.error
import numpy as np
from av.stream import Disposition
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from engine.errors import MienError
from streaming.capture.file import read_all

LONGEST_S: Final = 20 * 60.0
"""Every landmark of a clip is held until its face at rest is known: 10 MB a minute at 30 fps."""
SIDE_MOST: Final = 8192
"""px; larger pictures are refused before they are decoded."""
SIDE_WATCHED: Final = 1280
"""px; larger pictures are shrunk as they are decoded."""
GIVE_UP: Final = 50
"""Failures in a row after which the rest of a file counts as gone."""
USUAL_S: Final = 0.04
"""How long a picture shows when nothing says so."""


class ClipError(MienError):
    """A clip that cannot drive a face."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """uint8[H, W, 3] as a player shows it, and the middle of the time for which it does, in seconds from the clip's start."""

    time_s: float
    rgb: NDArray[np.uint8]


class Clip:
    """A film whose instants count from its first picture.

    Attributes:
        name: of the file, to show.
        stated_s: how long it says it is; 0.0 if it does not say.
        has_sound: whether it has a sound track.

    Raises:
        ClipError: if it is no video, or too large.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name or str(path)
        self.damaged = 0
        with self._opened() as container:
            stream = _stream(container)
            if stream is None:
                raise ClipError(f"{self.name} holds no picture; give a film of a face")
            self._check_size(stream)
            self.stated_s = _stated_s(container, stream)
            if self.stated_s > LONGEST_S:
                raise ClipError(f"{self.name} lasts {self.stated_s / 60:.0f} minutes, {LONGEST_S / 60:g} are the most; cut it")
            self.has_sound = bool(container.streams.audio)
            self._pixel = float(stream.sample_aspect_ratio or 1)
            first = next(self._frames(container, stream), None)
        if first is None:
            raise ClipError(f"no picture of {self.name} can be decoded; it is damaged, or no film")
        self._start_s = first[0]

    def pictures(self) -> Iterator[Picture]:
        """Its pictures in order; what is damaged is left out, and counted in `damaged` when all have been read.

        Raises:
            ClipError: if it turns out to be longer than `LONGEST_S`.
        """
        waiting: tuple[float, Any] | None = None
        shown_s, self.damaged = USUAL_S, 0
        with self._opened() as container:
            stream = _stream(container)
            assert stream is not None, "the file has changed"
            for time_s, frame in self._frames(container, stream):
                if time_s - self._start_s > LONGEST_S:
                    raise ClipError(f"{self.name} lasts more than {LONGEST_S / 60:g} minutes; cut it")
                if waiting is not None:
                    shown_s = time_s - waiting[0]
                    yield self._picture(*waiting, shown_s)
                waiting = time_s, frame
            if waiting is not None:
                yield self._picture(*waiting, shown_s)

    def sound(self) -> NDArray[np.float32]:
        """float32[N] at 48 kHz; sample 0 is heard as the first picture appears. Empty if there is no sound.

        Raises:
            AudioError: if it cannot be read.
        """
        if not self.has_sound:
            return np.zeros(0, np.float32)
        return read_all(self._path, origin_s=self._start_s)

    def _picture(self, time_s: float, frame: Any, shown_s: float) -> Picture:
        return Picture(time_s - self._start_s + shown_s / 2, _upright(frame, self._pixel))

    @contextlib.contextmanager
    def _opened(self) -> Generator[Any]:
        try:
            container = av.open(str(self._path))
        except FileNotFoundError:
            raise ClipError(f"there is no clip {self.name}") from None
        except IsADirectoryError:
            raise ClipError(f"{self.name} is a folder; give a film of a face") from None
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise ClipError(f"{self.name} cannot be read as a film: {_why(error)}") from error
        with container:
            yield container

    def _check_size(self, stream: Any) -> None:
        width, height = stream.codec_context.width, stream.codec_context.height
        if max(width, height) > SIDE_MOST:
            raise ClipError(f"{self.name} has pictures of {width}x{height} px, {SIDE_MOST} are the most; make it smaller")

    def _frames(self, container: Any, stream: Any) -> Iterator[tuple[float, Any]]:
        """The instant on the file's clock and the frame, strictly in the order of time; damaged packets are left out."""
        last = -np.inf
        usual = 1 / float(stream.average_rate or stream.guessed_rate or 1 / USUAL_S)
        packets, failures = container.demux(stream), 0
        while failures < GIVE_UP:
            try:
                if (packet := next(packets, None)) is None:
                    return
                frames = packet.decode()
            except av.error.EOFError:
                return
            except (av.error.FFmpegError, OSError, ValueError):
                self.damaged += not failures
                failures += 1
                packets = container.demux(stream)  # one that has failed says nothing more
                continue
            failures = 0 if frames else failures
            for frame in frames:
                time_s = float(frame.time) if frame.time is not None else (last + usual if np.isfinite(last) else 0.0)
                if time_s > last:
                    yield time_s, frame
                    last = time_s


def _stream(container: Any) -> Any:
    """The first stream of moving pictures; a record's cover is none."""
    return next((stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic), None)


def _stated_s(container: Any, stream: Any) -> float:
    if stream.duration is not None and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1e6


def _upright(frame: Any, pixel: float) -> NDArray[np.uint8]:
    """uint8[H, W, 3] RGB turned and stretched as a player shows it, no side longer than `SIDE_WATCHED`.

    `pixel` is the width of a pixel over its height.
    """
    wide, high = frame.width * pixel, float(frame.height)
    k = min(SIDE_WATCHED / max(wide, high), 1.0)
    width, height = max(round(k * wide), 1), max(round(k * high), 1)
    if (width, height) == (frame.width, frame.height):
        rgb = frame.to_ndarray(format="rgb24")
    else:
        rgb = frame.reformat(width, height, "rgb24", interpolation=Interpolation.AREA).to_ndarray()
    return np.ascontiguousarray(np.rot90(np.asarray(rgb, np.uint8), round(frame.rotation / 90)))


def _why(error: Exception) -> str:
    if isinstance(error, av.error.InvalidDataError):
        return "it is no format that FFmpeg knows, or it is empty"
    return str(getattr(error, "strerror", None) or error).splitlines()[0]
