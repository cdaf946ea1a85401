"""Finding faces in any picture, by a small network that sees all of it at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.contract.graph import Graph, GraphSpec, TensorSpec

WIDTH, HEIGHT, STRIDE = 256, 192, 8
_CELLS: Final = (HEIGHT // STRIDE, WIDTH // STRIDE)

SPEC: Final = GraphSpec(
    "face_detect",
    (TensorSpec("picture", (1, 3, HEIGHT, WIDTH), low=0.0),),
    (
        TensorSpec("heat", (1, 1, *_CELLS), low=0.0),
        TensorSpec("box", (1, 3, *_CELLS)),
        TensorSpec("eyes", (1, 4, *_CELLS)),
    ),
)
"""Signature of `face_detect.onnx`.

heat: 0..1, how surely a face is centred in this cell.
box: the face's centre, x and y in cells from the middle of the cell, and the natural logarithm of side / `UNIT`.
eyes: outer corners of the right and of the left eye, x and y in sides from the face's centre.
"""

UNIT: Final = 64.0
"""px of the network's picture: side of a face whose logarithm is 0."""
THRESHOLD: Final = 0.4
"""Heat from which on a cell is a face."""
SMALLEST: Final = 80.0
"""px of the picture: faces that are looked for, by default."""

_FINEST: Final = 28.0  # px of the network's picture: a face so large is seen, if all of it is there
_COARSEST: Final = 120.0  # px likewise: what is larger in a tile is seen better where the picture is shrunk more
_OVERLAP: Final = 80  # px likewise: tiles share so much that each face not seen in a coarser level lies in one of them
_APART: Final = 0.5  # sides of the larger face: nearer centres than this are one face


@dataclass(frozen=True, slots=True)
class Detection:
    """A face in a picture: the upright square about its landmarks, `engine.face.crop.face_square` with a reach of 1.

    Attributes:
        x: centre of the square, px of the picture.
        y: likewise.
        side: of the square, px of the picture.
        roll: radians by which the face is tilted, > 0 clockwise.
        score: 0..1.
    """

    x: float
    y: float
    side: float
    roll: float
    score: float


@dataclass(frozen=True, slots=True)
class _View:
    """A part of a picture as the network sees it: `scale` px of the network a px of the picture, from (left, top)."""

    left: int
    top: int
    scale: float
    largest: float


class Detector:
    """Faces of a picture by `face_detect.onnx`; keeps nothing between calls.

    Args:
        graph: of `SPEC`.
        threshold: heat from which on a cell is a face.
    """

    def __init__(self, graph: Graph, threshold: float = THRESHOLD) -> None:
        self._graph = graph
        self._threshold = threshold

    def detect(self, rgb: NDArray[np.uint8], smallest: float = SMALLEST) -> Sequence[Detection]:
        """All faces of a picture uint8[H, W, 3], the largest first.

        One run of the network sees the whole picture, shrunk to fit. Where
        that makes faces of `smallest` px too small for it, tiles follow.
        """
        found: list[Detection] = []
        for view in _views(rgb.shape[1], rgb.shape[0], smallest):
            outputs = self._graph.run({"picture": _shrunk(rgb, view)})
            found += _decode(outputs["heat"], outputs["box"], outputs["eyes"], view, self._threshold)
        return sorted(_distinct(found), key=lambda face: face.side, reverse=True)


def _decode(
    heat: NDArray[np.generic], box: NDArray[np.generic], eyes: NDArray[np.generic], view: _View, threshold: float
) -> list[Detection]:
    """Faces at the peaks of the heat, in px of the picture."""
    plane = np.asarray(heat, np.float32)[0, 0]
    peaks = (plane >= threshold) & (plane >= np.asarray(cv2.dilate(plane, np.ones((3, 3), np.uint8))))
    found: list[Detection] = []
    for row, column in np.argwhere(peaks):
        dx, dy, log_side = (float(value) for value in np.asarray(box)[0, :, row, column])
        right_x, right_y, left_x, left_y = (float(value) for value in np.asarray(eyes)[0, :, row, column])
        side = UNIT * float(np.exp(log_side))
        if side > view.largest:
            continue
        x, y = STRIDE * (column + 0.5 + dx), STRIDE * (row + 0.5 + dy)
        roll = float(np.arctan2(left_y - right_y, left_x - right_x))
        score = float(plane[row, column])
        found.append(Detection(x / view.scale + view.left, y / view.scale + view.top, side / view.scale, roll, score))
    return found


def _views(width: int, height: int, smallest: float) -> Iterator[_View]:
    """The whole picture, then ever finer tiles until `smallest` px are `_FINEST` px of the network."""
    scale = min(WIDTH / width, HEIGHT / height)
    yield _View(0, 0, scale, np.inf)
    finest = _FINEST / smallest
    while scale < finest:
        scale = min(2 * scale, finest)
        for top in _starts(height, HEIGHT, scale):
            for left in _starts(width, WIDTH, scale):
                yield _View(left, top, scale, _COARSEST)


def _starts(length: int, tile: int, scale: float) -> list[int]:
    """Where tiles begin along an axis of the picture, evenly and with `_OVERLAP`."""
    last = length - tile / scale
    if last <= 0:
        return [0]
    count = int(np.ceil(last * scale / (tile - _OVERLAP))) + 1
    return [round(last * i / (count - 1)) for i in range(count)]


def _shrunk(rgb: NDArray[np.uint8], view: _View) -> NDArray[np.float32]:
    """float32[1, 3, HEIGHT, WIDTH] 0..1: what lies under a view; black beyond the picture."""
    part = rgb[view.top : view.top + round(HEIGHT / view.scale), view.left : view.left + round(WIDTH / view.scale)]
    size = (min(round(part.shape[1] * view.scale), WIDTH), min(round(part.shape[0] * view.scale), HEIGHT))
    way = cv2.INTER_AREA if view.scale < 1 else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(part, (max(size[0], 1), max(size[1], 1)), interpolation=way), np.uint8)
    picture = np.zeros((1, 3, HEIGHT, WIDTH), np.float32)
    np.multiply(small.transpose(2, 0, 1), np.float32(1 / 255), out=picture[0, :, : small.shape[0], : small.shape[1]])
    return picture


def _distinct(faces: list[Detection]) -> list[Detection]:
    """The faces without second sightings: the surer one is kept."""
    kept: list[Detection] = []
    for face in sorted(faces, key=lambda face: face.score, reverse=True):
        if all(np.hypot(face.x - other.x, face.y - other.y) > _APART * max(face.side, other.side) for other in kept):
            kept.append(face)
    return kept
