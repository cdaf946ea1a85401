"""Reading video and sound files: pictures with their instants, sound as the live path hears it.

PyAV is loaded when a file is opened: training from sets that were made elsewhere needs none.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from engine.errors import MienError
from engine.features.decimate import BLOCK, Decimator
from engine.timeline import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.container import InputContainer

LOWEST_RATE_HZ: Final = 16_000
VIDEO_SUFFIXES: Final = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".mpg", ".mpeg", ".m4v")
_GAP_S: Final = 0.04
"""A jump of the sound's own clock by more than this is a hole (or an overlap), by less it is rounding."""


class Unusable(MienError):
    """A clip that is left out: `kind` is what is counted, the message is the line that is shown."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind


def pictures(path: Path) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """The instant in seconds and the picture uint8[H, W, 3] RGB of every frame, in order.

    Raises:
        Unusable: if the file cannot be decoded to its end, or holds no video.
    """
    with _opened(path) as container:
        stream = _video_of(container)
        stream.thread_type = "NONE"
        for count, frame in enumerate(container.decode(video=0)):
            time = frame.time if frame.time is not None else count / rate_of(stream)
            yield float(time), _upright(frame)


@contextmanager
def _opened(path: Path, what: str = "") -> "Iterator[InputContainer]":
    """A file to be read; what cannot be opened or decoded is `Unusable`, `what` it is of the file said before why."""
    import av
    import av.error

    try:
        with av.open(str(path)) as container:
            yield container
    except (av.error.FFmpegError, OSError) as error:
        raise Unusable("corrupt", what + str(error).split("; ")[0]) from error


def _video_of(container: "InputContainer") -> "VideoStream":
    if not container.streams.video:
        raise Unusable("no video", "the file has no video stream")
    return container.streams.video[0]


def _upright(frame: "VideoFrame") -> NDArray[np.uint8]:
    """uint8[H, W, 3] RGB turned as a player would show it: telephones store pictures lying down."""
    rgb = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    return np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90)))


def rate_of(stream: "VideoStream") -> float:
    """Pictures per second that a stream says it has."""
    rate: Fraction | None = stream.average_rate or stream.guessed_rate or stream.base_rate
    if not rate:
        raise Unusable("corrupt", "the video has no frame rate")
    return float(rate)


def frame_rate(path: Path) -> float:
    """Pictures per second of a file's video.

    Raises:
        Unusable: if the file cannot be opened, or holds no video.
    """
    with _opened(path) as container:
        return rate_of(_video_of(container))


def sound_of(path: Path, start_s: float = 0.0) -> NDArray[np.float32]:
    """float32[N] mono at 48 kHz; sample 0 is heard at `start_s` of the container's clock; holes are silence.

    Raises:
        Unusable: if there is no sound, it cannot be decoded, or its rate is below `LOWEST_RATE_HZ`.
    """
    from av import AudioResampler

    pieces: list[tuple[int, NDArray[np.float32]]] = []
    with _opened(path, "sound: ") as container:
        if not container.streams.audio:
            raise Unusable("no sound", "the file has no sound")
        rate = container.streams.audio[0].rate
        if rate < LOWEST_RATE_HZ:
            raise Unusable("low sample rate", f"sound at {rate} Hz, at least {LOWEST_RATE_HZ} Hz is needed")
        resampler, place = AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE_HZ), 0
        for frame in container.decode(audio=0):
            at = place if frame.time is None else round((frame.time - start_s) * SAMPLE_RATE_HZ)
            if not pieces or abs(at - place) > _GAP_S * SAMPLE_RATE_HZ:
                place = at
            for part in resampler.resample(frame):
                pieces.append((place, part.to_ndarray()[0]))
                place += part.samples
        pieces += [(place, part.to_ndarray()[0]) for part in resampler.resample(None)]
    return _laid_out(pieces)


def _laid_out(pieces: list[tuple[int, NDArray[np.float32]]]) -> NDArray[np.float32]:
    end = max((place + len(piece) for place, piece in pieces), default=0)
    sound = np.zeros(max(end, 0), np.float32)
    for place, piece in pieces:
        first = max(-place, 0)
        if first < len(piece):
            sound[place + first : place + len(piece)] = piece[first:]
    return sound


def decimated(sound: NDArray[np.float32], count: int) -> NDArray[np.int16]:
    """int16[count] at 16 kHz of float32[N] at 48 kHz through the live path's filter; silence where the sound ends early."""
    blocks = -(-count * 3 // BLOCK)
    padded = np.zeros(blocks * BLOCK, np.float32)
    length = min(len(sound), len(padded))
    padded[:length] = sound[:length]
    filtered = Decimator()
    low = np.concatenate([filtered.process(block) for block in padded.reshape(-1, BLOCK)] or [np.zeros(0, np.float32)])
    return np.round(np.clip(low[:count], -1, 1) * 32767).astype(np.int16)
