"""Coded pictures of a camera into pixels. Only ever used in the camera process: what it is fed may be anything."""
# pyright: reportUnknownMemberType=false
# PyAV is partly untyped.

from typing import Final

import av
import av.error
import numpy as np
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from streaming.contract import PictureCodec

PIXELS_MOST: Final = 1280 * 720
"""Larger pictures are refused: a face does not need them, and each costs time that others need."""
SIDE_FOLLOWED: Final = 640
"""px of the longer side; larger pictures are shrunk before a face is looked for."""
_DECODED_MOST: Final = 4096 * 2304  # px; what libavcodec may allocate for before we have had a look
_LIVE: Final = ("vp8", "h264")


class TooLarge(Exception):
    """A picture of more than `PIXELS_MOST`; the message is one line for who owns the camera."""


class Damaged(Exception):
    """A picture that cannot be decoded."""


class Decoder:
    """Decodes one camera.

    Raises:
        Damaged: if there is no such codec.
    """

    def __init__(self, codec: PictureCodec) -> None:
        try:
            self._codec = _context(codec)
        except (av.error.FFmpegError, ValueError) as error:
            raise Damaged(f"there is no decoder for {codec.name}") from error

    def decode(self, data: bytes) -> VideoFrame | None:
        """The newest picture that `data` completes, if any.

        Raises:
            Damaged: if it cannot be decoded; a key frame mends it.
            TooLarge: if it has more than `PIXELS_MOST`.
        """
        try:
            frames = self._codec.decode(av.Packet(data))
        except (av.error.FFmpegError, ValueError, MemoryError) as error:
            raise Damaged(str(error)) from error
        if not frames:
            return None
        frame = frames[-1]
        if frame.width * frame.height > PIXELS_MOST:
            raise TooLarge(
                f"the camera's picture is {frame.width} x {frame.height}; let it send 1280 x 720 at most (640 x 480 is enough)"
            )
        return frame


def pixels(frame: VideoFrame) -> NDArray[np.uint8]:
    """uint8[H, W, 3] RGB of a decoded picture, its longer side `SIDE_FOLLOWED` px at most.

    Raises:
        Damaged: if it is too narrow, or of a kind that cannot be converted.
    """
    scale = min(1.0, SIDE_FOLLOWED / max(frame.width, frame.height))
    width, height = round(frame.width * scale), round(frame.height * scale)
    if min(width, height) < 16:
        raise Damaged(f"a picture of {frame.width} x {frame.height}")
    how = Interpolation.AREA if scale < 1 else Interpolation.FAST_BILINEAR
    try:
        return np.asarray(frame.to_ndarray(format="rgb24", width=width, height=height, interpolation=how), np.uint8)
    except (av.error.FFmpegError, ValueError) as error:
        raise Damaged(str(error)) from error


def _context(codec: PictureCodec) -> VideoCodecContext:
    context = av.CodecContext.create(codec.name, "r")
    if not isinstance(context, VideoCodecContext):
        raise ValueError(f"{codec.name} codes no pictures")
    context.options = {"max_pixels": str(_DECODED_MOST)}
    context.thread_count = 1
    if codec.width:
        context.width, context.height = codec.width, codec.height
    if codec.pixels:
        context.pix_fmt = codec.pixels
    if codec.extra:
        context.extradata = codec.extra
    if codec.name in _LIVE and not codec.extra:
        context.flags |= Flags.low_delay  # a camera's pictures come in the order in which they are shown
    return context
