"""Squares cut out of pictures, the same way for training and for serving."""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_RIGHT_EYE: Final = 33  # outer corners
_LEFT_EYE: Final = 263


def square(x: float, y: float, side: float, pixels: int, roll: float = 0.0) -> Floats:
    """float64[2, 3]: maps a square of a picture to `pixels` by `pixels`.

    Args:
        x: centre of the square, px of the picture.
        y: likewise.
        side: of the square, px of the picture.
        pixels: side of the result.
        roll: radians by which the square is turned, > 0 clockwise; what is so turned in the picture comes out upright.
    """
    k = pixels / side
    c, s = k * math.cos(roll), k * math.sin(roll)
    return np.array([[c, s, pixels / 2 - c * x - s * y], [-s, c, pixels / 2 + s * x - c * y]])


def cut(rgb: NDArray[np.uint8], matrix: Floats, pixels: int | tuple[int, int], *, black: bool = False) -> NDArray[np.uint8]:
    """The square (or width by height) that `matrix` names, shrunk without aliasing; what lies outside repeats the edge.

    With `black` it is black instead.

    Places are continuous: 0 is the left or upper edge of the first pixel, whose middle is 0.5.
    """
    shape = (pixels, pixels) if isinstance(pixels, int) else pixels
    (a, b, x), (c, d, y) = matrix.tolist()  # plain numbers: NumPy takes longer about six of them than OpenCV about the picture
    k = math.hypot(a, b)
    if k < 0.5:  # warpAffine samples single pixels: shrink first
        times = 2 ** math.floor(-math.log2(k))
        left, right, top, bottom = _seen(rgb, matrix, shape, times)
        width, height = -(-(right - left) // times), -(-(bottom - top) // times)
        rgb = np.asarray(cv2.resize(rgb[top:bottom, left:right], (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        x, y = x + a * left + b * top, y + c * left + d * top
        across, down = (right - left) / width, (bottom - top) / height
        a, b, c, d = a * across, b * down, c * across, d * down
    centred = np.array([[a, b, x + (a + b) / 2 - 0.5], [c, d, y + (c + d) / 2 - 0.5]])  # OpenCV: 0 is a pixel's middle
    outside = cv2.BORDER_CONSTANT if black else cv2.BORDER_REPLICATE
    return np.asarray(cv2.warpAffine(rgb, centred, shape, flags=cv2.INTER_LINEAR, borderMode=outside), np.uint8)


def _seen(rgb: NDArray[np.uint8], matrix: Floats, shape: tuple[int, int], times: int) -> tuple[int, int, int, int]:
    """The part of a picture that a cut of width by height looks at: left, right, top, bottom in px."""
    (a, b, x), (c, d, y) = cv2.invertAffineTransform(matrix).tolist()
    width, height = shape
    left, right = _reach(x, a * width, b * height, rgb.shape[1], times)
    top, bottom = _reach(y, c * width, d * height, rgb.shape[0], times)
    return left, right, top, bottom


def _reach(begin: float, across: float, down: float, size: int, times: int) -> tuple[int, int]:
    """First and behind the last of `size` px in one direction, for a corner at `begin` and the others so far from it."""
    low = math.floor(begin + min(across, 0) + min(down, 0)) - 2 * times
    high = math.ceil(begin + max(across, 0) + max(down, 0)) + 2 * times
    low = min(max(low, 0), size - 1) // times * times
    high = min(max(high, low + 1), size)
    return low, min(low + max((high - low) // times, 1) * times, size)  # whole blocks: OpenCV is ten times faster


def into(points: NDArray[np.floating], matrix: Floats) -> NDArray[np.float32]:
    """float32[N, 3]: points float[N, 3] of the picture as they lie in the square; depth is scaled along."""
    flat = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return np.column_stack([flat, points[:, 2] * np.hypot(matrix[0, 0], matrix[0, 1])]).astype(np.float32)


def out_of(points: NDArray[np.floating], matrix: Floats) -> NDArray[np.float32]:
    """float32[N, 3]: undoes `into`."""
    return into(points, np.asarray(cv2.invertAffineTransform(matrix), np.float64))


def flat_out_of(points: NDArray[np.floating], matrix: Floats) -> NDArray[np.float32]:
    """float32[N, 2]: undoes `into` for points float[N, 2] without depth."""
    undone = cv2.invertAffineTransform(matrix)
    return np.asarray(points @ undone[:, :2].T + undone[:, 2], np.float32)


def roll_of(landmarks: NDArray[np.floating]) -> float:
    """Radians by which a face's float[478, 2 or 3] is tilted in the picture, > 0 clockwise; from the outer eye corners."""
    right, left = landmarks[_RIGHT_EYE].tolist(), landmarks[_LEFT_EYE].tolist()
    return math.atan2(left[1] - right[1], left[0] - right[0])


def eye_distance(landmarks: NDArray[np.floating]) -> float:
    """Distance of the outer eye corners of float[478, 3] in space, px."""
    return math.dist(landmarks[_LEFT_EYE].tolist(), landmarks[_RIGHT_EYE].tolist())


def face_square(landmarks: NDArray[np.floating], reach: float, pixels: int) -> Floats:
    """float64[2, 3]: maps the upright square about a face to `pixels` by `pixels`.

    The square is centred on the middle of the box about the landmarks of the
    face made upright; its side is `reach` times the longer side of that box.
    """
    roll = roll_of(landmarks)
    c, s = math.cos(roll), math.sin(roll)
    x, y = landmarks[:468, 0].astype(np.float64), landmarks[:468, 1].astype(np.float64)
    across, down = c * x + s * y, c * y - s * x
    left, right, top, bottom = float(across.min()), float(across.max()), float(down.min()), float(down.max())
    u, v = (left + right) / 2, (top + bottom) / 2
    return square(c * u - s * v, s * u + c * v, reach * max(right - left, bottom - top), pixels, roll)
