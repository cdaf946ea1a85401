"""How PD-FGC frames a face: three points at fixed places of a square, and the part of that square that its networks see.

Facts of the public code (its data is aligned as PC-AVS's): the centres of both
eyes and of the lips, averaged over a clip, are laid on (87, 59), (137, 59) and
(112, 120) of a 224 px square by a similarity; each picture of the clip is then
only moved, so that its lips stay where they belong; outside is black. The
networks see columns 16..208 and rows 0..192 of that square, as 224 px again.

Places are continuous (see `engine.face.crop`), so all of it holds for any
number of pixels: framings are given in sides of the square.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.crop import Floats, cut

SIDE: Final = 224
"""px: the square of the official networks."""

RIGHT_EYE: Final = (33, 160, 158, 133, 153, 144)
"""The 478 landmarks nearest to points 36..41 of the 68 that the three points are defined by: the person's right eye."""
LEFT_EYE: Final = (362, 385, 387, 263, 373, 380)
"""Likewise 42..47."""
INNER_LIPS: Final = (78, 81, 13, 311, 308, 402, 14, 178)
"""Likewise 60..67."""

ALIGNED: Final[Floats] = np.array([(87, 59), (137, 59), (112, 120)]) / SIDE
"""float64[3, 2]: where right eye, left eye and lips lie in the aligned square, in its sides."""
CROPPED: Final[Floats] = (ALIGNED * SIDE - (16, 0)) / 192
"""float64[3, 2]: the same in the part of it that the networks see."""

FOLLOWS: Final = 0.8
"""Share of a picture's own shift in the smoothed one; the rest is that of the picture before."""

LEARNS_S: Final = 10.0
"""A live face is averaged over all of its time up to this, and then over about this much of it."""
ZOOM: Final = 1.25
"""A live face may look larger or smaller than on average by this; turned or tipped as far as it can be followed, it looks
smaller by 1.2."""
ANEW_S: Final = 2.0
"""After so long without a face its average begins anew."""


def three_points(landmarks: NDArray[np.floating]) -> Floats:
    """float64[..., 3, 2]: centres of the right eye, the left eye and the lips of faces float[..., 478, 2 or 3]."""
    flat = np.asarray(landmarks[..., :2], np.float64)
    return np.stack([flat[..., list(part), :].mean(-2) for part in (RIGHT_EYE, LEFT_EYE, INNER_LIPS)], axis=-2)


def similarity(points: Floats, size: int = SIDE, framing: Floats = CROPPED) -> Floats:
    """float64[2, 3]: the turn, scale and shift that lay three points float64[3, 2] on a framing, in least squares.

    Args:
        points: px of the picture; of a whole clip, or of a portrait at rest.
        size: side of the result in px.
        framing: where they belong, in sides of the result.
    """
    goal = framing * size
    middle, aim = points.mean(0), goal.mean(0)
    p, g = points - middle, goal - aim
    c = float((p * g).sum() / (p * p).sum())
    s = float((p[:, 0] * g[:, 1] - p[:, 1] * g[:, 0]).sum() / (p * p).sum())
    matrix = np.array([[c, -s], [s, c]])
    return np.column_stack([matrix, aim - matrix @ middle])


class Aligner:
    """The pictures of one clip, one after the other.

    Args:
        points: float64[3, 2], `three_points` averaged over the clip; live, over the time in which the face came to rest.
        size: side of the result in px.
        framing: see `similarity`.
    """

    def __init__(self, points: Floats, size: int = SIDE, framing: Floats = CROPPED) -> None:
        self._matrix = similarity(points, size, framing)
        self._lips = framing[2] * size
        self._shift: Floats | None = None

    def reset(self) -> None:
        """Forget the pictures seen; the clip's average stays."""
        self._shift = None

    def next(self, landmarks: NDArray[np.floating]) -> Floats:
        """float64[2, 3]: maps the next picture, with these landmarks float[478, 2 or 3], to the square."""
        lips = three_points(landmarks)[2]
        shift = self._lips - self._matrix[:, :2] @ lips - self._matrix[:, 2]
        if self._shift is not None:
            shift = (1 - FOLLOWS) * self._shift + FOLLOWS * shift
        self._shift = shift
        return np.column_stack([self._matrix[:, :2], self._matrix[:, 2] + shift])


class LiveAligner:
    """Pictures of a live face, whose average is not known beforehand but learned as it goes.

    Of the average only turn and size matter, as each picture is moved by itself. Whoever leans in is larger for a while,
    as in a clip; whoever sits elsewhere is soon framed as before. Of a face that neither turns nor grows the pictures are
    framed as by `Aligner`.

    Args:
        size: side of the result in px.
        framing: see `similarity`.
    """

    def __init__(self, size: int = SIDE, framing: Floats = CROPPED) -> None:
        self._size, self._framing = size, framing
        self._time_s = -np.inf

    def next(self, landmarks: NDArray[np.floating], time_s: float) -> Floats:
        """float64[2, 3]: maps the picture of `time_s`, with these landmarks float[478, 2 or 3], to the square."""
        points = three_points(landmarks)
        lips, about = points[2], points - points[2]
        passed_s, self._time_s = time_s - self._time_s, time_s
        if passed_s > ANEW_S:
            self._mean, self._lips, self._learned_s, passed_s = about, lips, _PICTURE_S, 0.0
        self._learned_s = min(self._learned_s + passed_s, LEARNS_S)
        self._mean = self._mean + passed_s / self._learned_s * (about - self._mean)
        times = _extent(about) / _extent(self._mean)
        self._mean = self._mean * np.clip(1, times / ZOOM, times * ZOOM)
        self._lips = (1 - FOLLOWS) * self._lips + FOLLOWS * lips
        turn = similarity(self._mean, self._size, self._framing)[:, :2]
        return np.column_stack([turn, self._framing[2] * self._size - turn @ self._lips])


_PICTURE_S: Final = 0.04  # what the first picture counts for


def _extent(points: Floats) -> float:
    """How far points float64[3, 2] are from their middle."""
    return float(np.linalg.norm(points - points.mean(0)))


def align_clip(landmarks: NDArray[np.floating], size: int = SIDE, framing: Floats = CROPPED) -> Floats:
    """float64[T, 2, 3]: maps each picture of a clip, with landmarks float[T, 478, 2 or 3], to the square."""
    aligner = Aligner(three_points(landmarks).mean(0), size, framing)
    return np.stack([aligner.next(face) for face in landmarks])


def aligned(rgb: NDArray[np.uint8], matrix: Floats, size: int = SIDE) -> NDArray[np.uint8]:
    """uint8[size, size, 3]: a picture uint8[H, W, 3] through one of the matrices above; what lies outside is black."""
    return cut(rgb, matrix, size, black=True)


def sub_crop(rgb: NDArray[np.uint8], size: int = SIDE) -> NDArray[np.uint8]:
    """uint8[size, size, 3]: what the networks see of an aligned picture uint8[H, W, 3], as the public code cuts it.

    A picture that is not aligned yet is better taken through `CROPPED` at once.
    """
    whole = np.asarray(cv2.resize(rgb, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
    left, side = round(size * 16 / SIDE), round(size * 192 / SIDE)
    return np.asarray(cv2.resize(whole[:side, left : left + side], (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)


def as_input(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32[N, 3, H, W] in -1..1: pictures uint8[N, H, W, 3] as the networks take them."""
    return np.ascontiguousarray(rgb.transpose(0, 3, 1, 2), np.float32) / np.float32(255) * 2 - 1
