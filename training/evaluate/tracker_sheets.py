# pyright: basic
# cv2 types its images as unions
"""Pictures of what the tracker found, to look at."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.finder import Finder
from engine.face.tracker import Face
from training.evaluate.tracker_against import nearest, test_stills
from training.evaluate.tracker_wild import SPOILERS
from training.tracker.data import Pictures

Image = NDArray[np.uint8]
Picture = tuple[str, Image, Sequence[Face]]
"""Title, picture, faces found in it."""

_TILE: Final = 220  # px
_ACROSS: Final = 9


def marked(seen: Pictures, finder: Finder, count: int) -> Iterator[Picture]:
    """Held-out people's photos with what was found."""
    for name, rgb, truth in test_stills(seen, count):
        face = nearest(truth, finder.detect(rgb))
        yield name[:24], rgb, [] if face is None else [face]


def spoilt(stills: Sequence[tuple[str, Image, NDArray[np.float32]]], finder: Finder) -> Iterator[Picture]:
    """Three photos spoilt in each way, with what was found."""
    for i, (name, spoil) in enumerate(SPOILERS.items()):
        for _, photo, truth in stills[i % 2 : i % 2 + 3]:
            rgb, _ = spoil(photo, truth, np.random.default_rng(i))
            yield name, np.ascontiguousarray(rgb), finder.detect(np.ascontiguousarray(rgb))


def sheet(path: Path, pictures: Iterable[Picture]) -> None:
    """Write pictures with the landmarks found, titled, in rows."""
    tiles = [_tile(*picture) for picture in pictures]
    tiles += [np.zeros((_TILE, _TILE, 3), np.uint8)] * (-len(tiles) % _ACROSS)
    rows = [np.hstack(tiles[i : i + _ACROSS]) for i in range(0, len(tiles), _ACROSS)]
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])


def _tile(title: str, rgb: Image, faces: Sequence[Face]) -> Image:
    """The part about the largest face, or all of the picture where there is none."""
    height, width = rgb.shape[:2]
    x, y, side = (*faces[0].centre, 1.5 * faces[0].size) if faces else (width / 2, height / 2, max(width, height))
    k = _TILE / side
    matrix = np.array([[k, 0, _TILE / 2 - k * x], [0, k, _TILE / 2 - k * y]])
    tile = np.array(cv2.warpAffine(rgb, matrix, (_TILE, _TILE), flags=cv2.INTER_AREA), np.uint8)
    for face in faces:
        for px, py in face.landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]:
            cv2.circle(tile, (round(16 * float(px)), round(16 * float(py))), 14, (60, 255, 60), -1, cv2.LINE_AA, 4)
    tile[:16] //= 3
    cv2.putText(tile, title, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (250, 250, 250), 1, cv2.LINE_AA)
    return tile
