"""A person's way to move the head, learned from a clip of a few seconds: what `--head-style CLIP` takes."""

from pathlib import Path
from typing import Final

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from engine.errors import MienError
from engine.face.follower import Follower
from engine.face.pose import lip_gap, pose_track, steadied
from engine.features.decimate import BLOCK, FACTOR, Decimator
from engine.motion.head import ENCODER, MODEL, REFERENCE_STEPS, load_style, style_from
from engine.runtime.ort import OrtGraph
from engine.timeline import MOTION_RATE_HZ, SAMPLE_RATE_HZ
from streaming.capture.file import SoundReader

Floats = NDArray[np.float32]

LONGEST_S: Final = 20.0
"""More of a clip is not looked at: a style is the mean over its parts of 3 s, and soon settles."""
LEAST_S: Final = REFERENCE_STEPS / MOTION_RATE_HZ
_LEAST_FPS: Final = 12.0


class StyleError(MienError):
    """A clip that no head style can be learned from."""


def head_style(path: Path) -> Floats:
    """float32[6, 33]: the style in a file (.npz, see `engine.motion.head.save_style`), or that of a clip of a talking person.

    Raises:
        MienError: if neither can be had; the message says why.
    """
    return load_style(path) if path.suffix.lower() == ".npz" else head_style_of(path)


def head_style_of(video: Path) -> Floats:
    """float32[6, 33]: the style of the person in a video with sound; takes seconds.

    Raises:
        StyleError: if it holds no picture, or no face for 3 s on end.
        AudioError: if it holds no sound.
        ModelError: if a network is missing.
    """
    encoder, head = OrtGraph.load(ENCODER), OrtGraph.load(MODEL)
    sound = _sound_of(video)
    landmarks, fps = _landmarks_of(video)
    first, last = _longest(np.isfinite(landmarks[:, 0, 0]))
    seen = landmarks[first:last]
    if (last - first) / fps < LEAST_S:
        raise StyleError(f"{video.name} shows a face for {(last - first) / fps:.1f} s on end; a head style needs {LEAST_S:g} s")
    pose = steadied(pose_track(seen), lip_gap(seen), fps)
    begin = round(first / fps * SAMPLE_RATE_HZ / FACTOR)
    heard = sound[begin:][: len(pose) * 320]
    if len(heard) < REFERENCE_STEPS * 320:
        raise StyleError(
            f"{video.name} has {len(heard) / 16_000:.1f} s of sound with the face; a head style needs {LEAST_S:g} s"
        )
    return style_from(encoder, head, heard, pose - pose.mean(0))


def _sound_of(video: Path) -> Floats:
    """float32[N] at 16 kHz, through the live path's own filter."""
    reader = SoundReader(video)
    try:
        sound = reader.read(round(LONGEST_S * SAMPLE_RATE_HZ))
    finally:
        reader.close()
    blocks = sound[: len(sound) // BLOCK * BLOCK].reshape(-1, BLOCK)
    low = Decimator()
    return np.concatenate([np.zeros(0, np.float32), *(low.process(block) for block in blocks)])


def _landmarks_of(video: Path) -> tuple[Floats, float]:
    """float32[F, 478, 3] px, NaN where no face was found, and the frames per second."""
    follower, rows, fps = Follower.load(), list[Floats](), 0.0
    absent = np.full((478, 3), np.nan, np.float32)
    try:
        with av.open(str(video)) as container:
            if not container.streams.video:
                raise StyleError(f"{video.name} holds no video; give a clip of a talking person")
            fps = float(container.streams.video[0].average_rate or 0)
            if not _LEAST_FPS <= fps <= 240:
                raise StyleError(f"{video.name} has {fps:g} pictures a second; a head style needs {_LEAST_FPS:g} or more")
            for frame in container.decode(video=0):
                rgb = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                face = follower.follow(rgb, len(rows) / fps).face
                rows.append(absent if face is None else face.landmarks)
                if len(rows) >= LONGEST_S * fps:
                    break
    except (av.error.FFmpegError, OSError) as error:
        if not rows:
            raise StyleError(f"{video.name} cannot be read as video: {str(error).split('; ')[0]}") from error
    if not rows:
        raise StyleError(f"{video.name} holds no picture; give a clip of a talking person")
    return np.stack(rows), fps


def _longest(found: NDArray[np.bool_]) -> tuple[int, int]:
    """First and one past the last frame of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], found, [False]]).astype(np.int8))).reshape(-1, 2)
    if not len(edges):
        return 0, 0
    first, last = edges[int(np.argmax(edges[:, 1] - edges[:, 0]))].tolist()
    return int(first), int(last)
