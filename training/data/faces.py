# pyright: basic
# cv2 types its images as unions that strict mode cannot follow
"""From pictures to a face's landmarks, frame by frame: one person, followed in a square that moves slowly with the head."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.tracker import Face
from training.data.media import Unusable
from training.teacher import MediaPipeTracker, MeshStream

CROP: Final = 2.0
"""Side of the square, in sizes of the face."""
FOLLOW: Final = 0.05
"""Share of the way to the face that the square goes with each frame."""
PIXELS: Final = (256, 512)
"""The square's least and largest side as given to the tracker. Enlarging small faces further did not make them steadier."""
LOOK_EVERY_S: Final = 1.0
"""How often the whole picture is searched for faces."""
STATED_HZ: Final = (5.0, 120.0)
"""Frame rates that are believed when a file states them."""
SECOND_FACE: Final = 0.5
"""A second face counts from this share of the first one's size."""
LEAST_EYES_PX: Final = 24.0
"""Least distance of the outer eye corners; below it lips are a few pixels high."""


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """What was seen of a face in one clip.

    Attributes:
        landmarks: float32[F, 478, 3] px (see `engine.face.tracker.Face`); NaN where no face was found.
        crop: float32[F, 3]: centre x, y and side in px of the square that was searched.
        time: float64[F] s, instants of the frames on the container's clock.
        fps: frames per second.
        crowd: share of the looks at the whole picture that showed a second face.
        size: int64[2], height and width of the picture.
    """

    landmarks: NDArray[np.float32]
    crop: NDArray[np.float32]
    time: NDArray[np.float64]
    fps: float
    crowd: float
    size: NDArray[np.int64]

    def save(self, path: Path, **more: Any) -> None:
        """Write to a file, with more arrays beside; a reader sees all of it or nothing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        with part.open("wb") as file:
            arrays: dict[str, Any] = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}
            np.savez(file, **arrays, **more)
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> tuple["Faces", dict[str, NDArray[np.generic]]]:
        """What `save` wrote: the faces, and the arrays beside them."""
        with np.load(path, allow_pickle=False) as file:
            values = {name: file[name] for name in file.files}
        own = {f.name: values.pop(f.name) for f in fields(cls)}
        return cls(**{**own, "fps": float(own["fps"]), "crowd": float(own["crowd"])}), values


class Watcher:
    """Follows one face through a clip at a time; its networks are loaded once, when they are first needed."""

    @cached_property
    def _tracker(self) -> MediaPipeTracker:
        return MediaPipeTracker()

    @cached_property
    def _mesh(self) -> MeshStream:
        return MeshStream()

    def watch(self, frames: Iterator[tuple[float, NDArray[np.uint8]]], fps: float, longest_s: float) -> Faces:
        """The face in a clip, at most its first `longest_s` seconds.

        Raises:
            Unusable: if there is no face, or the clip cannot be decoded.
        """
        self._mesh.reset()
        seen, places, times, looks, square, size = [], [], [], [], None, (0, 0)
        every = max(round(LOOK_EVERY_S * float(np.clip(fps, *STATED_HZ))), 1)
        for index, (time, rgb) in enumerate(frames):
            if times and time - times[0] >= longest_s:
                break
            size = rgb.shape[:2]
            if index % every == 0 or square is None:
                found = self._tracker.detect(rgb)
                looks.append(_second(found))
                square = _square_of(found[0]) if square is None and found else square
                self._give_up_early(index, every, square, seen)
            landmarks = None if square is None else self._follow(rgb, square)
            if landmarks is not None and square is not None:
                square = _moved(square, landmarks)
            elif square is not None and len(seen) > 3 and not any(np.isfinite(x[0, 0]) for x in seen[-3:]):
                square = None  # lost: search the whole picture again
                self._mesh.reset()
            seen.append(np.full((478, 3), np.nan, np.float32) if landmarks is None else landmarks)
            places.append(np.full(3, np.nan) if square is None else square)
            times.append(time)
        if not any(np.isfinite(x[0, 0]) for x in seen):
            raise Unusable("no face", f"none in {len(seen)} frames" if seen else "no frame could be decoded")
        rate = _true_rate(np.array(times), fps)
        crop, crowd = np.array(places, np.float32), float(np.mean(looks))
        return Faces(np.array(seen), crop, np.array(times), rate, crowd, np.array(size, np.int64))

    def _give_up_early(self, index: int, every: int, square: NDArray[np.float64] | None, seen: list) -> None:
        if square is None and index >= 3 * every and not any(np.isfinite(x[0, 0]) for x in seen):
            raise Unusable("no face", f"none in the first {index} frames")

    def _follow(self, rgb: NDArray[np.uint8], square: NDArray[np.float64]) -> NDArray[np.float32] | None:
        x, y, side = square
        pixels = int(np.clip(round(side), *PIXELS))
        k = pixels / side
        matrix = np.array([[k, 0, pixels / 2 - k * x], [0, k, pixels / 2 - k * y]])
        if k < 0.5:  # warpAffine samples single pixels: shrink first
            step = 0.5 ** int(np.floor(-np.log2(k)))
            rgb = np.asarray(cv2.resize(rgb, None, fx=step, fy=step, interpolation=cv2.INTER_AREA), np.uint8)
            patch = cv2.warpAffine(rgb, np.hstack([matrix[:, :2] / step, matrix[:, 2:]]), (pixels, pixels), borderMode=1)
        else:
            patch = cv2.warpAffine(rgb, matrix, (pixels, pixels), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        landmarks = self._mesh.follow(np.asarray(patch, np.uint8))
        if landmarks is None:
            return None
        landmarks[:, :2] -= matrix[:, 2]
        return (landmarks / k).astype(np.float32)


def _true_rate(times: NDArray[np.float64], stated: float) -> float:
    """Frames per second; by the frames' instants where the file states a time base instead."""
    if len(times) < 2 or STATED_HZ[0] <= stated <= STATED_HZ[1]:
        return stated
    return float(1 / max(np.median(np.diff(times)), 1e-3))


def _second(found: Sequence[Face]) -> bool:
    return len(found) > 1 and found[1].size > SECOND_FACE * found[0].size


def _square_of(face: Face) -> NDArray[np.float64]:
    return np.array([*face.centre, face.size * CROP])


def _moved(square: NDArray[np.float64], landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    goal = _square_of(Face(landmarks, 1.0))
    far = np.abs(goal[:2] - square[:2]).max() > 0.25 * goal[2]
    return goal if far else square + FOLLOW * (goal - square)
