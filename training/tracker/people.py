# pyright: basic
# cv2 types its images as unions
"""Where the detector's people come from: crops of the shards, and whole photos and frames, shrunk and kept in memory."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.splits import Split
from training.tracker.crowd import Person, target_of
from training.tracker.data import Balanced, Pictures, Shard

Draw = Callable[[np.random.Generator], Person]

FACE: Final = 170.0  # px: faces of whole pictures are shrunk to this
LONGEST: Final = 560.0  # px: longer side that a whole picture is shrunk to
FRAMES: Final = 8  # of each clip, whole; one if its folder has many clips
MANY: Final = 50


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """A whole photo or frame: uint8[H, W, 3] RGB and float32[478, 3] px of it, of the picture's row in `Pictures`."""

    rgb: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    row: int


def draws_of(folder: Path, split: Split, frames: int = FRAMES) -> list[Draw]:
    """Ways to draw a person from what `prepare-faces` made; each person equally often within a shard."""
    wholes = list(whole_pictures(Pictures.load(folder / "pictures.npz"), split, frames))
    draws: list[Draw] = [_whole_drawer([Person(whole.rgb, whole.landmarks) for whole in wholes])] if wholes else []
    for name in ("stills", "frames", "renders"):
        if (folder / name / "split.npy").exists():
            shard = Shard.load(folder / name)
            if len(rows := shard.rows(split)):
                draws.append(_drawer(shard, Balanced(shard.people, rows)))
    return draws


def _drawer(shard: Shard, balanced: Balanced) -> Draw:
    def draw(rng: np.random.Generator) -> Person:
        row = int(balanced.draw(rng, 1)[0])
        alpha = None if shard.matte is None else np.array(shard.matte[row])
        return Person(np.array(shard.crops[row]), shard.landmarks[row], alpha)

    return draw


def _whole_drawer(people: list[Person]) -> Draw:
    def draw(rng: np.random.Generator) -> Person:
        return people[int(rng.integers(len(people)))]

    return draw


def whole_pictures(
    pictures: Pictures, split: Split, frames: int, face: float = FACE, longest: float = LONGEST
) -> Iterator[Whole]:
    """Whole pictures of a split, shrunk until the face is `face` px or the picture `longest`; of each clip `frames` frames."""
    rows = sorted(
        map(int, np.flatnonzero(pictures.split == split)), key=lambda row: (str(pictures.path[row]), int(pictures.frame[row]))
    )
    clips = Counter(Path(path).parent for path in np.unique(pictures.path[pictures.frame >= 0]))
    for path, group in groupby(rows, key=lambda row: str(pictures.path[row])):
        own, count = list(group), 1 if clips[Path(path).parent] > MANY else frames
        chosen = (
            own
            if pictures.frame[own[0]] < 0
            else [own[i] for i in np.linspace(0, len(own) - 1, min(count, len(own))).astype(int)]
        )
        for row, rgb in zip(chosen, _read(path, [int(pictures.frame[row]) for row in chosen]), strict=False):
            landmarks = pictures.landmarks[row]
            scale = min(face / float(target_of(landmarks)[2]), longest / max(rgb.shape[:2]), 1.0)
            small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
            yield Whole(np.asarray(small, np.uint8), (landmarks * scale).astype(np.float32), row)


def _read(path: str, frames: list[int]) -> Iterator[NDArray[np.uint8]]:
    """The photo, or the frames of a film in their order."""
    if frames[0] < 0:
        yield np.asarray(cv2.imread(path, cv2.IMREAD_COLOR), np.uint8)[:, :, ::-1].copy()
        return
    film, wanted = cv2.VideoCapture(path), set(frames)
    for number in range(max(frames) + 1):
        if not film.grab():
            return
        if number in wanted:
            yield np.asarray(film.retrieve()[1], np.uint8)[:, :, ::-1].copy()
