"""Sound from any file or stream that PyAV reads, as mono float32 at 48 kHz."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import av
import av.error
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from engine.errors import AudioError
from engine.timeline import SAMPLE_RATE_HZ
from streaming.capture.ahead import Ahead
from streaming.capture.judge import Judge
from streaming.contract import now

log = logging.getLogger(__name__)

PACKET: Final = 960
"""Samples pushed at a time when live: 20 ms."""
BATCH: Final = 4800
"""Samples decoded at a time: 100 ms."""
BEHIND_S: Final = 0.5
"""A source this far behind real time (a stream that stood still) starts a new count instead of being hurried through."""
HOLE_S: Final = 0.04
"""Where instants count: a jump of a file's own clock by more than this is a hole (or an overlap), by less it is rounding."""
OPEN_TIMEOUT_S: Final = 10.0
READ_TIMEOUT_S: Final = 10.0
LONGEST_S: Final = 3 * 3600.0
"""`read_all` refuses more than this, so that an endless stream does not fill the memory."""

Push = Callable[[NDArray[np.float32], float], None]


class SoundReader:
    """Reads a file or stream from its beginning; close it when done.

    Args:
        source: file or address.
        origin_s: the instant of the file's own clock that becomes sample 0; holes are then silence, and all that is
            read stays where it belongs. None: sample 0 is the first that there is, and what follows is strung together.

    Raises:
        AudioError: if it cannot be opened or holds no sound.
    """

    def __init__(self, source: str | Path, *, origin_s: float | None = None) -> None:
        self.name = short_name(source)
        self._place = None if origin_s is None else _Place(origin_s)
        self._container = self._open(str(source))
        if not self._container.streams.audio:
            self._container.close()
            raise AudioError(f"{self.name} holds no sound; give a file or stream with an audio track")
        self._frames = self._decode()
        self._held = np.zeros(0, np.float32)

    def read(self, count: int) -> NDArray[np.float32]:
        """The next float32[count] at 48 kHz; fewer at the end, none after it.

        Raises:
            AudioError: if a stream breaks off.
        """
        while len(self._held) < count:
            try:
                frame = next(self._frames, None)
            except (av.error.FFmpegError, OSError, ValueError) as error:
                raise AudioError(f"{self.name} broke off: {_why(error)}") from error
            if frame is None:
                break
            self._held = np.concatenate((self._held, frame))
        taken, self._held = self._held[:count], self._held[count:]
        return taken

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()

    def _open(self, source: str) -> Any:
        try:
            return av.open(source, timeout=(OPEN_TIMEOUT_S, READ_TIMEOUT_S))
        except FileNotFoundError:
            raise AudioError(f"there is no sound file {self.name}") from None
        except IsADirectoryError:
            raise AudioError(f"{self.name} is a folder; give a sound file") from None
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise AudioError(f"{self.name} cannot be read as sound: {_why(error)}") from error

    def _decode(self) -> Iterator[NDArray[np.float32]]:
        resampler = AudioResampler(format="fltp", rate=SAMPLE_RATE_HZ)  # its own mixing to mono adds 3 dB
        broken = 0
        for packet in self._container.demux(audio=0):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                broken += 1  # a damaged packet is a gap, not the end
                continue
            for frame in frames:
                sounds = map(_mono, resampler.resample(frame))
                yield from sounds if self._place is None else self._place.put(frame.time, sounds)
        with contextlib.suppress(av.error.FFmpegError, ValueError):  # nothing was ever resampled
            yield from map(_mono, resampler.resample(None))
        if broken:
            log.warning("%s has %d damaged packets, which were left out", self.name, broken)


class _Place:
    """Keeps sound at its instants: what is missing is silence, what comes twice or before the origin is dropped."""

    def __init__(self, origin_s: float) -> None:
        self._origin_s = origin_s
        self._due: int | None = None  # where the next sample that comes belongs
        self._done = 0  # samples given out

    def put(self, time_s: float | None, sounds: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Sound that follows, of a frame that says when it begins."""
        if time_s is not None:
            at = round((time_s - self._origin_s) * SAMPLE_RATE_HZ)
            if self._due is None or abs(at - self._due) > HOLE_S * SAMPLE_RATE_HZ:
                self._due = at
        due = self._due or 0
        if (hole := due - self._done) > 0:
            if hole > LONGEST_S * SAMPLE_RATE_HZ:
                raise ValueError(f"a hole of {hole / SAMPLE_RATE_HZ:.0f} s")
            self._done += hole
            yield np.zeros(hole, np.float32)
        for sound in sounds:
            kept = sound[max(self._done - due, 0) :]
            due += len(sound)
            self._done += len(kept)
            yield kept
        self._due = due


def read_all(source: str | Path, *, origin_s: float | None = None) -> NDArray[np.float32]:
    """The whole sound float32[N] of a file. What is odd about it (silence, clipping) is logged as a warning.

    Args:
        source: file or address.
        origin_s: see `SoundReader`.

    Raises:
        AudioError: if it cannot be read, is empty, or longer than `LONGEST_S`.
    """
    reader = SoundReader(source, origin_s=origin_s)
    judge = Judge(reader.name)
    parts: list[NDArray[np.float32]] = []
    try:
        while len(part := reader.read(SAMPLE_RATE_HZ)):
            judge.hear(part)
            parts.append(part)
            if len(parts) > LONGEST_S:
                raise AudioError(f"{reader.name} is longer than {LONGEST_S / 3600:g} hours; cut it first")
    finally:
        reader.close()
    if not parts:
        raise AudioError(f"{reader.name} holds no sound: its audio track is empty")
    for warning in judge.warnings():
        log.warning(warning)
    return np.concatenate(parts)


class FileVoice:
    """A file or stream that speaks in real time, once or again and again."""

    def __init__(self, source: str | Path, *, loop: bool = False) -> None:
        self._source = source
        self._loop = loop

    async def feed(self, push: Push) -> None:
        """Push its sound packet by packet until it ends.

        Raises:
            AudioError: if it cannot be read or breaks off.
        """
        clock = _Pace()
        while True:
            async with Ahead(partial(SoundReader, self._source), lambda reader: reader.read(BATCH)) as ahead:
                judge = Judge(ahead.source.name)
                while len(sound := await ahead.next()):
                    for packet in _packets(sound):
                        judge.hear(packet)
                        await clock.wait(len(packet))
                        push(packet, now())
            if not judge.heard:
                raise AudioError(f"{ahead.source.name} holds no sound: its audio track is empty")
            for warning in judge.warnings():
                log.warning(warning)
            if not self._loop:
                return


class _Pace:
    """Real time, counted from the first packet."""

    def __init__(self) -> None:
        self._anchor = now()
        self._passed = 0

    async def wait(self, samples: int) -> None:
        """Wait until these samples would have been spoken."""
        self._passed += samples
        due = self._anchor + self._passed / SAMPLE_RATE_HZ
        if now() - due > BEHIND_S:
            self._anchor += now() - due
        await asyncio.sleep(max(0.0, due - now()))


def _packets(sound: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Pieces of `PACKET` samples, the last one shorter."""
    return (sound[start : start + PACKET] for start in range(0, len(sound), PACKET))


def _mono(frame: Any) -> NDArray[np.float32]:
    channels: NDArray[np.float32] = frame.to_ndarray()
    return channels.mean(axis=0, dtype=np.float32)


def short_name(source: str | Path) -> str:
    """The name to show: a file's last part, an address without its query (it may hold a password)."""
    text = str(source)
    return text.split("?")[0].rsplit("@", 1)[-1] if "://" in text else Path(text).name or text


def _why(error: Exception) -> str:
    if isinstance(error, av.error.InvalidDataError):
        return "it is no sound format that FFmpeg knows, or it is empty"
    return str(getattr(error, "strerror", None) or error).splitlines()[0]
