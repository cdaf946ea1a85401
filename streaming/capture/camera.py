"""The camera of this machine, or a film or stream in its place, through PyAV: its pictures as they are coded."""

import asyncio
import logging
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import av
import av.error

from engine.errors import MienError
from streaming.capture.ahead import Ahead
from streaming.capture.file import short_name
from streaming.contract import CodedPicture, PictureCodec, now

log = logging.getLogger(__name__)

OPEN_TIMEOUT_S: Final = 10.0
READ_TIMEOUT_S: Final = 5.0
BEHIND_S: Final = 0.5
"""A film this far behind real time starts a new count instead of being hurried through."""
PACKET_MOST: Final = 900_000
"""Bytes of one picture: a raw one of 640x480 has 614,400."""
_WISHES: Final[Mapping[str, Sequence[Mapping[str, str]]]] = {
    "": ({},),
    "v4l2": (
        {"input_format": "mjpeg", "video_size": "640x480", "framerate": "30"},
        {"video_size": "640x480"},
        {},
    ),
    "avfoundation": ({"video_size": "640x480", "framerate": "30", "pixel_format": "uyvy422"}, {"framerate": "30"}, {}),
    "dshow": ({"video_size": "640x480", "framerate": "30"}, {}),
}
"""What a device is asked for, the best first: a device that has it not refuses to open."""
_RAW: Final = "rawvideo"

Push = Callable[[CodedPicture], object]
Piece = tuple[float | None, CodedPicture]
"""A picture and its time in seconds as the film says."""


class CameraError(MienError):
    """A camera, or a film in its place, cannot be used."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where pictures come from: what FFmpeg opens, and as which kind of device ("" for a file or stream)."""

    url: str
    device: str
    name: str  # to show


def find(wanted: str, platform: str = sys.platform) -> Place:
    """The place that `--camera` names: a device by number, name or path, a film, or an address. "" is the first device.

    Raises:
        CameraError: if this system needs a name and there is none.
    """
    if "://" in wanted:
        return Place(wanted, "", short_name(wanted))
    if platform.startswith("linux"):
        path = f"/dev/video{wanted or 0}" if re.fullmatch(r"\d*", wanted) else wanted
        return Place(path, "v4l2" if path.startswith("/dev/") else "", short_name(path))
    if wanted and Path(wanted).exists():
        return Place(wanted, "", short_name(wanted))
    if platform == "darwin":
        return Place(f"{wanted or 0}:none", "avfoundation", f"camera {wanted or 0}")
    if not wanted:
        raise CameraError(
            'give the camera\'s name: --camera "Integrated Camera"; Windows lists them as Cameras in its settings'
        )
    return Place(f"video={wanted}", "dshow", wanted)


class PictureReader:
    """Reads coded pictures from a place; close it when done.

    Raises:
        CameraError: if it cannot be opened or has no pictures.
    """

    def __init__(self, place: Place) -> None:
        self.name = place.name
        self.live = bool(place.device) or "://" in place.url
        self._container = _opened(place)
        if not self._container.streams.video:
            self._container.close()
            raise CameraError(f"{self.name} has no pictures; give a camera, or a film of a face")
        self._stream = self._container.streams.video[0]
        self._codec = _codec(self._stream.codec_context)
        self._packets = self._container.demux(self._stream)

    def read(self) -> Piece | None:
        """The next picture; None at the end.

        Raises:
            CameraError: if the device has gone, or a stream breaks off.
        """
        while True:
            try:
                packet = next(self._packets, None)
            except (av.error.FFmpegError, OSError, ValueError) as error:
                raise CameraError(f"{self.name} has ended: {_why(error)}; is it still connected?") from error
            if packet is None or (packet.size == 0 and packet.dts is None):
                return None
            if packet.size > PACKET_MOST:
                raise CameraError(f"the pictures of {self.name} are too large as they come; let it send 640 x 480")
            if packet.size:
                at = packet.dts if packet.dts is not None else packet.pts
                time_s = None if at is None else float(at * packet.time_base)
                return time_s, CodedPicture(self._codec, bool(packet.is_keyframe), bytes(packet), now())

    def close(self) -> None:
        """Let go of the device or file."""
        self._container.close()


class CameraFeed:
    """A camera that gives its pictures as they come; a film does in real time, again and again."""

    def __init__(self, wanted: str) -> None:
        self._place = find(wanted)
        self.name = self._place.name

    def check(self) -> None:
        """Open it once, to say at the start what is wrong.

        Raises:
            CameraError: if it cannot be used.
        """
        PictureReader(self._place).close()

    async def feed(self, push: Push) -> None:
        """Push pictures as they come, until cancelled.

        Raises:
            CameraError: if it cannot be opened, or has gone.
        """
        while True:
            async with Ahead(partial(PictureReader, self._place), PictureReader.read) as ahead:
                if not await _play(ahead, push):
                    raise CameraError(f"{self.name} has ended; is it still connected?")


async def _play(ahead: Ahead[PictureReader, Piece | None], push: Push) -> bool:
    """Push all pictures of a reader; whether it may be played again."""
    reader, anchor, count = ahead.source, None, 0
    while (got := await ahead.next()) is not None:
        time_s, picture = got
        count += 1
        if not reader.live:
            due_s = time_s if time_s is not None else count / 25
            anchor = now() - due_s if anchor is None or now() - anchor - due_s > BEHIND_S else anchor
            await asyncio.sleep(max(0.0, anchor + due_s - now()))
            picture = CodedPicture(picture.codec, picture.key, picture.data, now())
        push(picture)
    if not count:
        raise CameraError(f"{reader.name} holds no picture")
    return not reader.live


def _opened(place: Place) -> Any:
    refusal: Exception | None = None
    for wishes in _WISHES[place.device]:
        try:
            timeout = (OPEN_TIMEOUT_S, READ_TIMEOUT_S)
            return av.open(place.url, format=place.device or None, options=dict(wishes), timeout=timeout)
        except FileNotFoundError:
            raise CameraError(_missing(place)) from None
        except PermissionError:
            cure = "sudo usermod -aG video $USER, then log in again" if place.device == "v4l2" else "allow it in the settings"
            raise CameraError(f"{place.name} may not be opened: {cure}") from None
        except IsADirectoryError:
            raise CameraError(f"{place.name} is a folder; give a film of a face") from None
        except ValueError as error:  # among them av.error's for a device that has not what was asked for
            refusal = error
        except (av.error.FFmpegError, OSError) as error:
            refusal = error
    assert refusal is not None
    if getattr(refusal, "errno", None) == 16:
        raise CameraError(f"{place.name} is used by another program; close that first")
    raise CameraError(f"{place.name} cannot be read as pictures: {_why(refusal)}") from refusal


def _missing(place: Place) -> str:
    if not place.device:
        return f"there is no film {place.name}"
    there = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*"))) if place.device == "v4l2" else ""
    return f"there is no camera {place.name}; " + (f"there are: {there}" if there else "connect one, or use the browser's")


def _codec(context: Any) -> PictureCodec:
    extra = bytes(context.extradata or b"")
    if context.name == _RAW:
        return PictureCodec(str(context.name), context.width, context.height, str(context.pix_fmt or ""), extra)
    return PictureCodec(str(context.name), extra=extra)


def _why(error: Exception) -> str:
    if isinstance(error, av.error.InvalidDataError):
        return "it is no film that FFmpeg knows, or it is damaged"
    return str(getattr(error, "strerror", None) or error).splitlines()[0]
