"""The few points by which a page draws the face that is followed."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.rig.topology import IRIS, LID_LOWER, LID_UPPER, LIP_LOWER, LIP_LOWER_OUTER, LIP_UPPER, LIP_UPPER_OUTER, OVAL


def _ring(upper: tuple[int, ...], lower: tuple[int, ...]) -> tuple[int, ...]:
    """Both edges of an opening as one closed curve."""
    return (*upper, *lower[-2:0:-1])


CURVES: Final = (
    OVAL,
    _ring(LID_UPPER["Right"], LID_LOWER["Right"]),
    _ring(LID_UPPER["Left"], LID_LOWER["Left"]),
    _ring(LIP_UPPER_OUTER, LIP_LOWER_OUTER),
    _ring(LIP_UPPER, LIP_LOWER),
    (IRIS["Right"],),
    (IRIS["Left"],),
)
"""Landmarks of closed curves, one after another: the face, the eyes, the lips outside and inside; a single one is an iris."""

LENGTHS: Final = tuple(map(len, CURVES))
_POINTS: Final = np.array([point for curve in CURVES for point in curve])


def outline(landmarks: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """float32[sum(LENGTHS), 2]: x and y in 0..1 of a picture `width` by `height`, from landmarks float32[478, 3] in its px."""
    return (landmarks[_POINTS, :2] / (width, height)).astype(np.float32)
