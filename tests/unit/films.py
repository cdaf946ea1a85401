"""Pictures with a bright bar on grey, coded as cameras code them."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import PictureType
from numpy.typing import NDArray

WIDTH, HEIGHT = 160, 96
ENCODERS = {"vp8": "libvpx", "h264": "libx264"}
RED, GREEN, BLUE = (np.full((HEIGHT, WIDTH, 3), colour, np.uint8) for colour in ([255, 0, 0], [0, 255, 0], [0, 0, 255]))
BLACK = np.zeros((HEIGHT, WIDTH, 3), np.uint8)


def bar(at: float, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """uint8[height, width, 3]: grey, with a bar at `at` of its width."""
    rgb = np.full((height, width, 3), 90, np.uint8)
    left = round(at * width)
    rgb[:, max(left - 4, 0) : left + 4] = 250
    return rgb


def coded(pictures: Iterable[NDArray[np.uint8]], codec: str = "vp8", keys: Sequence[int] = (0,)) -> list[bytes]:
    """Each picture as a packet; those in `keys` are key frames."""
    context, packets = None, list[bytes]()
    for index, rgb in enumerate(pictures):
        if context is None:
            context = av.CodecContext.create(ENCODERS[codec], "w")
            context.width, context.height, context.pix_fmt = rgb.shape[1], rgb.shape[0], "yuv420p"  # type: ignore[attr-defined]
            context.bit_rate, context.time_base = 500_000, Fraction(1, 30)
            realtime = {"deadline": "realtime", "cpu-used": "-8", "lag-in-frames": "0"}
            context.options = realtime if codec == "vp8" else {"preset": "ultrafast", "tune": "zerolatency"}
        frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
        frame.pts = index
        if index in keys:
            frame.pict_type = PictureType.I
        packets += [bytes(packet) for packet in context.encode(frame)]  # type: ignore[attr-defined]
    return packets


def film(file: Path, pictures: Iterable[NDArray[np.uint8]], fps: int = 25) -> Path:
    """A film of these pictures."""
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", fps, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for rgb in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
        container.mux(stream.encode(None))
    return file
