"""Squares cut out of pictures, the same way for training and for serving."""

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
    c, s = k * np.cos(roll), k * np.sin(roll)
    return np.array([[c, s, pixels / 2 - c * x - s * y], [-s, c, pixels / 2 + s * x - c * y]])


def cut(rgb: NDArray[np.uint8], matrix: Floats, pixels: int | tuple[int, int], *, black: bool = False) -> NDArray[np.uint8]:
    """The square (or width by height) that `matrix` names, shrunk without aliasing; what lies outside repeats the edge.

    With `black` it is black instead.

    Places are continuous: 0 is the left or upper edge of the first pixel, whose middle is 0.5.
    """
    shape = (pixels, pixels) if isinstance(pixels, int) else pixels
    k = float(np.hypot(matrix[0, 0], matrix[0, 1]))
    if k < 0.5:  # warpAffine samples single pixels: shrink first
        times = 2 ** int(np.floor(-np.log2(k)))
        rgb, corner = _seen(rgb, matrix, shape, times)
        size = (-(-rgb.shape[1] // times), -(-rgb.shape[0] // times))
        step = size / np.array([rgb.shape[1], rgb.shape[0]])
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = np.column_stack([matrix[:, :2] / step, matrix[:, 2] + matrix[:, :2] @ corner])
    centred = np.column_stack([matrix[:, :2], matrix[:, 2] + matrix[:, :2].sum(1) / 2 - 0.5])  # OpenCV: 0 is a pixel's middle
    outside = cv2.BORDER_CONSTANT if black else cv2.BORDER_REPLICATE
    return np.asarray(cv2.warpAffine(rgb, centred, shape, flags=cv2.INTER_LINEAR, borderMode=outside), np.uint8)


def _seen(
    rgb: NDArray[np.uint8], matrix: Floats, shape: tuple[int, int], times: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The part of a picture that a cut of width by height looks at, and its upper left corner: x, y in px."""
    width, height = shape
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) - matrix[:, 2]
    seen = corners @ np.linalg.inv(matrix[:, :2]).T
    size = np.array([rgb.shape[1], rgb.shape[0]])
    low = np.clip(np.floor(seen.min(0)) - 2 * times, 0, size - 1).astype(int) // times * times
    high = np.clip(np.ceil(seen.max(0)) + 2 * times, low + 1, size).astype(int)
    high = np.minimum(low + np.maximum((high - low) // times, 1) * times, size)  # whole blocks: OpenCV is ten times faster
    return rgb[low[1] : high[1], low[0] : high[0]], low.astype(np.float64)


def into(points: NDArray[np.floating], matrix: Floats) -> NDArray[np.float32]:
    """float32[N, 3]: points float[N, 3] of the picture as they lie in the square; depth is scaled along."""
    flat = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return np.column_stack([flat, points[:, 2] * np.hypot(matrix[0, 0], matrix[0, 1])]).astype(np.float32)


def out_of(points: NDArray[np.floating], matrix: Floats) -> NDArray[np.float32]:
    """float32[N, 3]: undoes `into`."""
    return into(points, np.asarray(cv2.invertAffineTransform(matrix), np.float64))


def roll_of(landmarks: NDArray[np.floating]) -> float:
    """Radians by which a face's float[478, 2 or 3] is tilted in the picture, > 0 clockwise; from the outer eye corners."""
    across = landmarks[_LEFT_EYE, :2] - landmarks[_RIGHT_EYE, :2]
    return float(np.arctan2(across[1], across[0]))


def face_square(landmarks: NDArray[np.floating], reach: float, pixels: int) -> Floats:
    """float64[2, 3]: maps the upright square about a face to `pixels` by `pixels`.

    The square is centred on the middle of the box about the landmarks of the
    face made upright; its side is `reach` times the longer side of that box.
    """
    roll = roll_of(landmarks)
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    level = landmarks[:468, :2] @ turn.T
    low, high = level.min(0), level.max(0)
    x, y = turn.T @ ((low + high) / 2)
    return square(float(x), float(y), reach * float((high - low).max()), pixels, roll)
