"""Small films with known truth: a built-in portrait moved by known controls, written with PyAV."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import CHANNELS, Channel, Motion, gaze_controls
from engine.enrol.people import FOLDER
from engine.render.mesh import MeshRenderer
from engine.rig.archive import load

FPS = 25
Floats = NDArray[np.float32]


def talking(frames: int = 75) -> Floats:
    """float32[frames, 58]: a mouth that opens and shuts, two blinks, a turning head, roving eyes."""
    t = (np.arange(frames) + 0.5) / FPS
    controls = np.zeros((frames, len(CHANNELS)), np.float32)
    controls[:, Channel["jawOpen"]] = 0.55 * np.maximum(np.sin(2 * np.pi * 1.3 * t), 0)
    for side in ("Left", "Right"):
        controls[:, Channel[f"eyeBlink{side}"]] = sum(np.maximum(1 - np.abs(t - at) / 0.14, 0) ** 0.5 for at in (0.9, 2.3))
    controls[:, Channel["yaw"]] = 8 * np.sin(2 * np.pi * 0.5 * t)
    controls[:, Channel["pitch"]] = 5 * np.sin(2 * np.pi * 0.7 * t + 1)
    controls[:, Channel["roll"]] = 5 * np.sin(2 * np.pi * 0.4 * t + 2)
    controls[:, Channel["tx"]] = 0.15 * np.sin(2 * np.pi * 0.6 * t)
    controls[:, Channel["ty"]] = 0.12 * np.sin(2 * np.pi * 0.45 * t + 1)
    for row, x in zip(controls, 14 * np.sin(2 * np.pi * 0.35 * t), strict=True):
        for name, value in gaze_controls(float(x), 0.0).items():
            row[Channel[name]] = value
    return controls


def drawn(controls: Floats, person: str = "mei", size: int = 256) -> tuple[list[NDArray[np.uint8]], NDArray[np.float32]]:
    """The pictures uint8[size, size, 3], and where the landmarks are in them, float32[F, 478, 3] px."""
    renderer = MeshRenderer(load(FOLDER / f"{person}.mien"), size)
    pictures, landmarks = [], []
    for row in controls:
        renderer.prepare(Motion(0, row, np.ones(5, np.float32)))
        pictures.append(renderer.finish().rgb.copy())
        landmarks.append(renderer.landmarks())
    return pictures, np.array(landmarks)


def write_film(
    path: Path, pictures: list[NDArray[np.uint8]], sound: Floats | None, rate_hz: int = 48_000, late_s: float = 0.0
) -> None:
    """A film of pictures at `FPS` and mono sound float32[N], which begins `late_s` after the first picture."""
    exact = path.suffix == ".mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS)
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt, video.options = "yuv420p", {"crf": "14", "preset": "ultrafast"}
        audio = None if sound is None else container.add_stream("pcm_s16le" if exact else "aac", rate=rate_hz, layout="mono")
        for picture in pictures:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(video.encode())
        if audio is not None and sound is not None:
            for start in range(0, len(sound), 1024):
                block = (sound[start : start + 1024] * 32767).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(block[None], "s16", "mono")
                frame.rate, frame.time_base, frame.pts = rate_hz, Fraction(1, rate_hz), start + round(late_s * rate_hz)
                container.mux(audio.encode(frame))
            container.mux(audio.encode())


def tone(seconds: float, rate_hz: int = 48_000) -> Floats:
    """A quiet 300 Hz tone."""
    return (0.2 * np.sin(2 * np.pi * 300 * np.arange(int(seconds * rate_hz)) / rate_hz)).astype(np.float32)
