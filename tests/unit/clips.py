"""Small films for tests: grey pictures at chosen instants, a click for a sound."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

MS = 0.001


def film(
    path: Path,
    times_s: Sequence[float],
    size: tuple[int, int] = (64, 64),
    *,
    sound_at_s: float | None = None,
    click_s: float = 0.0,
    hole_s: tuple[float, float] | None = None,
    mark_corner: bool = False,
    pixel: Fraction | None = None,
    key_every: int = 12,
) -> Path:
    """Write pictures of `size` (width, height) that begin at `times_s`, picture k of grey level 20 (k + 1) modulo 240.

    The sound, if any, starts at `sound_at_s`, lasts 1 s but for a hole in it,
    and has a click `click_s` after its start.
    """
    with av.open(str(path), "w") as container:
        video: Any = _video(container, size, key_every, pixel) if times_s else None
        codec = "aac" if path.suffix == ".mp4" else "pcm_s16le"
        audio: Any = None if sound_at_s is None else container.add_stream(codec, rate=48_000, layout="mono")
        for k, time_s in enumerate(times_s):
            frame = av.VideoFrame.from_ndarray(_grey(k, *size, mark_corner=mark_corner), "rgb24")
            frame.pts, frame.time_base = round(time_s * 60_000), Fraction(1, 60_000)
            container.mux(video.encode(frame))
        for start in range(0, 48_000 if audio else 0, 960):
            if not (hole_s and hole_s[0] <= start / 48_000 < hole_s[1]):
                container.mux(audio.encode(_sound(start, sound_at_s or 0.0, click_s)))
        for stream in (video, audio):
            if stream:
                container.mux(stream.encode(None))
    return path


def _video(container: Any, size: tuple[int, int], key_every: int, pixel: Fraction | None) -> Any:
    video = container.add_stream("mpeg4", rate=25, options={"qscale": "2", "flags": "+qscale"})
    (video.width, video.height), video.gop_size = size, key_every
    video.codec_context.time_base = Fraction(1, 60_000)
    video.codec_context.max_b_frames = 0
    if pixel:
        video.codec_context.sample_aspect_ratio = pixel
    return video


def _sound(start: int, at_s: float, click_s: float) -> av.AudioFrame:
    samples = np.zeros((1, 960), np.int16)
    click = round(click_s * 48_000) - start
    if 0 <= click < 960:
        samples[0, click : click + 48] = 20_000
    frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, start + round(at_s * 48_000), Fraction(1, 48_000)
    return frame


def _grey(k: int, width: int, height: int, *, mark_corner: bool) -> np.ndarray:
    picture = np.full((height, width, 3), 20 * (k + 1) % 240, np.uint8)
    if mark_corner:
        picture[:12, :12] = 250
    return picture


def level_of(rgb: np.ndarray) -> float:
    return float(rgb.mean())
