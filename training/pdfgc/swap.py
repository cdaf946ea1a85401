"""The eye-swap composite of section 3.2: the eyes of one picture, warped into another."""

# pyright: basic
# cv2 types its images as unions

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

GROWN: Final = 1.9
"""How far the patch reaches beyond the outline of the eye: lids and their folds move with it."""
HIGHEST: Final = 0.45
"""Half of the patch's height in its widths at least: a closed eye has none of its own."""


def with_eyes_of(giver: Image, taker: Image, given: NDArray[np.float32], taken: NDArray[np.float32]) -> Image:
    """uint8[S, S, 3]: `taker` with the eyes of `giver`, its edges softened.

    Args:
        giver: uint8[S, S, 3], v_1.
        taker: uint8[S, S, 3], v_2.
        given: float32[2, E, 2], outlines of the giver's eyes in sides of the picture.
        taken: the taker's.
    """
    side, out = giver.shape[0], taker.astype(np.float32)
    for own, other in zip(given * side, taken * side, strict=True):
        matrix = _between(own, other)
        moved = cv2.warpAffine(giver, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        share = _patch(other, side)[..., None]
        out += share * (moved - out)
    return np.round(out).clip(0, 255).astype(np.uint8)


def _between(own: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    """float64[2, 3]: the similarity that lays the corners of one eye on those of another; the lids stay as they are."""
    (a, b), (c, d) = _corners(own), _corners(other)
    u, v = b - a, d - c
    scale = (u[0] * v[0] + u[1] * v[1]) / (u @ u), (u[0] * v[1] - u[1] * v[0]) / (u @ u)
    linear = np.array([[scale[0], -scale[1]], [scale[1], scale[0]]])
    return np.column_stack([linear, (c + d) / 2 - linear @ ((a + b) / 2)])


def _corners(eye: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The leftmost and the rightmost point."""
    return eye[int(np.argmin(eye[:, 0]))].astype(np.float64), eye[int(np.argmax(eye[:, 0]))].astype(np.float64)


def _patch(eye: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """float32[side, side] in 0..1: an ellipse about an eye, softly."""
    a, b = _corners(eye)
    wide = float(np.linalg.norm(b - a))
    middle, turn = (a + b) / 2, float(np.degrees(np.arctan2(b[1] - a[1], b[0] - a[0])))
    high = max(float(np.ptp(eye[:, 1])) / 2 * GROWN, HIGHEST * wide)
    mask = np.zeros((side, side), np.float32)
    axes = (round(wide / 2 * 1.3 * 16), round(high * 16))
    cv2.ellipse(mask, tuple(np.round(middle * 16).astype(int).tolist()), axes, turn, 0, 360, 1.0, -1, cv2.LINE_AA, 4)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(wide / 10, 0.5)), np.float32)
