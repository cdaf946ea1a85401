# pyright: basic
# cv2 and av type what they give as unions that strict mode cannot follow
"""Side-by-side clips: the filmed person, and the same person's avatar under two drivers, with the sound."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import GROUPS, Motion
from engine.enrol.build import build_avatar
from engine.enrol.framing import frame_face
from engine.errors import MienError
from engine.face.tracker import Face
from engine.render.badge import burn
from engine.render.mesh import MeshRenderer
from engine.rig.avatar import FRAME, Avatar
from engine.timeline import MOTION_RATE_HZ, SAMPLE_RATE_HZ
from training.data.faces import CROP
from training.data.tracks import Track
from training.evaluate.drivers import upsampled

SIZE: Final = 384
"""px, side of each picture."""
NEAR: Final = 1.2
"""Side of what is shown, in sizes of the face."""
STRIP: Final = 6
"""Moments shown in the contact sheet of a clip."""
_SURE: Final = np.ones(len(GROUPS), np.float32)


class FilmError(MienError):
    """A clip that cannot be made."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A filmed clip: its pictures uint8[H, W, 3] RGB, its track, and the person's avatar."""

    pictures: list[NDArray[np.uint8]]
    track: Track
    avatar: Avatar


def source_of(video: Path, track: Track, tracker: Any, spare: Avatar, longest_s: float = 12.0) -> Source:
    """A clip and the avatar of its most neutral frame; `spare` where that frame cannot be enrolled.

    Raises:
        FilmError: if the video cannot be read.
    """
    try:
        pictures = list(_pictures(video, round(longest_s * track.fps)))
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise FilmError(f"{video} cannot be read: {error}") from error
    count = min(len(pictures), len(track.landmarks))
    try:
        framed = frame_face(pictures[_most_neutral(track, count)], tracker)
        avatar = build_avatar(framed.crop, framed.landmarks, framed.matte)
    except MienError:
        avatar = spare
    return Source(pictures[:count], track, avatar)


def _pictures(video: Path, most: int) -> Iterator[NDArray[np.uint8]]:
    with av.open(str(video)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index >= most:
                return
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def _most_neutral(track: Track, count: int) -> int:
    """The frame with closed lips, open eyes and a head that looks ahead."""
    instants = (np.arange(count) + 0.5) / track.fps * MOTION_RATE_HZ
    at = np.minimum(instants.astype(int), len(track.gap) - 1)
    blink = np.abs(track.eye[at].mean(1) - np.median(track.eye))
    turned = np.abs(track.pose[:count, :3]).sum(1) / 60
    pursed = np.abs(track.width[at] - np.linalg.norm(track.neutral[61, :2] - track.neutral[291, :2]))
    return int(np.argmin(np.maximum(track.gap[at], 0) * 4 + 2 * pursed + blink + turned + 10 * ~track.valid[:count]))


def make(path: Path, source: Source, driven: Mapping[str, NDArray[np.float32]]) -> None:
    """Write an mp4 of the real picture and one of each driver's controls float32[M, 58], and a PNG of a few moments.

    The avatars hold their heads still: it is the mouth that is shown.
    """
    panes = {name: _Avatar(source.avatar, controls) for name, controls in driven.items()}
    track, shown = source.track, []
    moments = set(_moments(track, len(source.pictures)))
    part = path.with_suffix(".part")
    with _Writer(part, track, 1 + len(panes)) as writer:
        for index, picture in enumerate(source.pictures):
            x, y, side = track.crop[index].tolist()
            row = [_labelled(_square(picture, x, y, side * NEAR / CROP), "real")]
            row += [_labelled(pane.at((index + 0.5) / track.fps), name) for name, pane in panes.items()]
            wide = np.hstack(row)
            writer.picture(wide)
            if index in moments:
                shown.append(wide)
        writer.sound(upsampled((track.sound / 32768).astype(np.float32)), len(source.pictures) / track.fps)
    os.replace(part, path)
    small = [cv2.resize(wide, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for wide in shown]
    cv2.imwrite(str(path.with_suffix(".png")), cv2.cvtColor(np.vstack(small), cv2.COLOR_RGB2BGR))


def _moments(track: Track, count: int) -> list[int]:
    """Frames to look at: evenly spaced in the order of how far the real mouth is open, each in its place."""
    gap = track.landmarks[:count, 14, 1] - track.landmarks[:count, 13, 1]
    order = np.argsort(gap)
    return sorted(int(i) for i in order[np.linspace(0, count - 1, STRIP).astype(int)])


class _Avatar:
    """The picture of an avatar at an instant."""

    def __init__(self, avatar: Avatar, controls: NDArray[np.float32]) -> None:
        self._renderer = MeshRenderer(avatar, FRAME, badge=False)
        self._controls = controls
        face = Face(avatar.landmarks, 1.0)
        self._square = np.array([*face.centre, face.size * NEAR])

    def at(self, seconds: float) -> NDArray[np.uint8]:
        place = min(seconds * MOTION_RATE_HZ, len(self._controls) - 1)
        before = int(place)
        after = min(before + 1, len(self._controls) - 1)
        values = self._controls[before] + np.float32(place - before) * (self._controls[after] - self._controls[before])
        values[-6:] = 0
        self._renderer.prepare(Motion(round(seconds * SAMPLE_RATE_HZ), values, _SURE))
        rgb = _square(self._renderer.finish().rgb, *self._square.tolist())
        burn(rgb)
        return rgb


def _square(picture: NDArray[np.uint8], x: float, y: float, side: float) -> NDArray[np.uint8]:
    """uint8[SIZE, SIZE, 3]: the square of a picture about (x, y)."""
    k = SIZE / side
    matrix = np.array([[k, 0, SIZE / 2 - k * x], [0, k, SIZE / 2 - k * y]])
    square = cv2.warpAffine(picture, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(square, np.uint8)


def _labelled(picture: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    out = np.ascontiguousarray(picture)
    for colour, width in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(out, text, (10, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, width, cv2.LINE_AA)
    return out


class _Writer:
    """An mp4 file with H.264 pictures and AAC sound."""

    def __init__(self, path: Path, track: Track, panes: int) -> None:
        self._container: Any = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        rate = Fraction(track.fps).limit_denominator(1001)
        self._video = self._container.add_stream("libx264", rate=rate, options={"crf": "20"})
        self._video.width, self._video.height, self._video.pix_fmt = SIZE * panes, SIZE, "yuv420p"
        self._audio = self._container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono", bit_rate=128_000)

    def __enter__(self) -> "_Writer":
        return self

    def picture(self, rgb: NDArray[np.uint8]) -> None:
        self._container.mux(self._video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")))

    def sound(self, sound: NDArray[np.float32], seconds: float) -> None:
        """float32[N] at 48 kHz, cut to the pictures' length."""
        step = 1024
        for start in range(0, min(len(sound), int(seconds * SAMPLE_RATE_HZ)) - step, step):
            frame = av.AudioFrame.from_ndarray(sound[None, start : start + step], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE_HZ, start, Fraction(1, SAMPLE_RATE_HZ)
            self._container.mux(self._audio.encode(frame))

    def __exit__(self, *_: object) -> None:
        for stream in (self._video, self._audio):
            self._container.mux(stream.encode(None))
        self._container.close()
