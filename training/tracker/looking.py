"""What the teacher sees in a still or a clip: faces cut upright, with landmarks, and parts without a face."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.crop import cut, face_square, into, out_of, square
from engine.face.tracker import Face
from training.data.media import Unusable, pictures
from training.teacher import MediaPipeTracker
from training.tracker.data import CROP, FACELESS, REACH

STILL_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp")
_SMALLEST: Final = 48.0  # px; a smaller face holds too little for the teacher to be exact
_LOOK: Final = 512  # px, side of the crop for the teacher's second look, ...
_LOOK_REACH: Final = 2.3  # ... in sizes of the face, as enrolment frames it
_NEAR: Final = 0.1  # of the crop: how far the second look's landmarks may lie from the first's
_PARTS: Final = 5  # parts without a face of one still, at most
_TOUCHING: Final = 0.04  # share of a part that the box about the landmarks may cover


@dataclass(slots=True)
class Sights:
    """What was seen in one file; arrays as in `Shard`, N faces; `whole` are landmarks in the full picture.

    Attributes:
        size: width and height of the pictures in px.
        faceless: parts of a still without a face.
        dropped: pictures without a usable face, by reason; coarse: faces that only the first look found.
    """

    crops: list[NDArray[np.uint8]] = field(default_factory=list)
    landmarks: list[NDArray[np.float32]] = field(default_factory=list)
    whole: list[NDArray[np.float32]] = field(default_factory=list)
    score: list[float] = field(default_factory=list)
    frame: list[int] = field(default_factory=list)
    matte: list[NDArray[np.uint8]] = field(default_factory=list)
    faceless: list[NDArray[np.uint8]] = field(default_factory=list)
    size: tuple[int, int] = (0, 0)
    dropped: dict[str, int] = field(default_factory=dict)
    coarse: int = 0

    def drop(self, reason: str) -> None:
        """One more picture is left out."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


@cache
def teacher() -> MediaPipeTracker:
    """The teacher of this process."""
    cv2.setNumThreads(1)
    return MediaPipeTracker()


def look_at_still(path: Path, rng: np.random.Generator) -> Sights:
    """The one face of a photo, its matte, and parts of the photo without it.

    Raises:
        Unusable: if the file is no picture.
    """
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise Unusable("corrupt", "no picture")
    rgb = np.ascontiguousarray(bgr[..., ::-1], np.uint8)
    sights = Sights(size=(rgb.shape[1], rgb.shape[0]))
    faces = teacher().detect(rgb)
    if len(faces) > 1:
        sights.drop("several faces")
        return sights
    if _take(sights, rgb, faces, -1):
        matrix = face_square(sights.whole[0], REACH, CROP)
        matte = teacher().matte(cut(rgb, matrix, CROP))
        sights.matte.append(np.round(matte * 255).astype(np.uint8))
        sights.faceless.extend(_parts_without(rgb, sights.whole[0], rng))
    return sights


def look_at_clip(path: Path, *, every: int, count: int = 0) -> Sights:
    """The largest face in every `every`-th frame of a clip, or (`count` > 0) in so many frames spread over it.

    Raises:
        Unusable: if the file cannot be decoded.
    """
    total = sum(1 for _ in pictures(path)) if count else 0
    spread = set(np.linspace(0, total - 1, count).round().astype(int).tolist())
    sights = Sights()
    for number, (_, rgb) in enumerate(pictures(path)):
        if number not in spread if count else number % every:
            continue
        sights.size = (rgb.shape[1], rgb.shape[0])
        _take(sights, rgb, teacher().detect(rgb), number)
    return sights


def _take(sights: Sights, rgb: NDArray[np.uint8], faces: Sequence[Face], frame: int) -> bool:
    if not faces:
        sights.drop("no face")
        return False
    first = faces[0]
    if first.size < _SMALLEST:
        sights.drop("small face")
        return False
    whole, refined = second_look(rgb, first)
    sights.coarse += not refined
    matrix = face_square(whole, REACH, CROP)
    sights.crops.append(cut(rgb, matrix, CROP))
    sights.landmarks.append(into(whole, matrix))
    sights.whole.append(whole)
    sights.score.append(first.score)
    sights.frame.append(frame)
    return True


def second_look(rgb: NDArray[np.uint8], first: Face) -> tuple[NDArray[np.float32], bool]:
    """float32[478, 3] px of the picture as the teacher sees them in the upright crop, and whether it saw them there."""
    matrix = face_square(first.landmarks, _LOOK_REACH, _LOOK)
    there = into(first.landmarks, matrix)
    seen = [face.landmarks for face in teacher().detect(cut(rgb, matrix, _LOOK))]
    far = [float(np.abs(points[:, :2] - there[:, :2]).mean()) for points in seen]
    if not far or min(far) > _NEAR * _LOOK:
        return first.landmarks, False
    return out_of(seen[int(np.argmin(far))], matrix), True


def _parts_without(
    rgb: NDArray[np.uint8], landmarks: NDArray[np.float32], rng: np.random.Generator
) -> Iterator[NDArray[np.uint8]]:
    """uint8[160, 160, 3] each: squares of a photo that the face does not reach into; many near it (hair, ears, neck)."""
    height, width = rgb.shape[:2]
    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    size, found = float((high - low).max()), 0
    for _ in range(60):
        side = size * float(np.exp(rng.uniform(np.log(0.2), np.log(1.6))))
        x, y = rng.uniform(side * 0.4, width - side * 0.4), rng.uniform(side * 0.4, height - side * 0.4)
        over = np.minimum(high, (x + side / 2, y + side / 2)) - np.maximum(low, (x - side / 2, y - side / 2))
        covered = float(np.prod(np.maximum(over, 0)))
        if side > max(width, height) or covered > _TOUCHING * side * side or covered > 0.1 * size * size:
            continue
        yield cut(rgb, square(float(x), float(y), side, FACELESS, float(rng.normal(0, 0.15))), FACELESS)
        found += 1
        if found == _PARTS:
            return
