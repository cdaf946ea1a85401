"""Lengths on a de-posed face: the lips' gap, the mouth's width, the eyes' opening, the eyes' turn."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.rig.topology import IRIS, LID_LOWER, LID_UPPER, SIDES, Side

Points = NDArray[Any]
"""floating[..., 478 or 468, 3] in the head's own frame, in u."""
Floats = NDArray[np.float64]

UPPER_MIDDLE, LOWER_MIDDLE = 13, 14
CORNERS: Final = (61, 291)
GAZE_RADIUS_U: Final = (0.115, 0.095)
"""How far an iris is seen to go as the eye turns sideways and up, over the sine of the angle.

An eyeball's radius is 0.135 u (12 mm where outer eye corners are 89 mm apart). The tracker sees less: measured on
renders with known gaze, and on people who look at the camera while they turn their heads.
"""


def gap_of(points: Points) -> Floats:
    """float64[...]: the inner lips' distance in the middle, down the face; negative where they overlap."""
    return np.asarray(points[..., LOWER_MIDDLE, 1] - points[..., UPPER_MIDDLE, 1], np.float64)


def width_of(points: Points) -> Floats:
    """float64[...]: the distance of the mouth's corners."""
    return np.linalg.norm(points[..., CORNERS[1], :2] - points[..., CORNERS[0], :2], axis=-1).astype(np.float64)


def eyes_of(points: Points) -> Floats:
    """float64[..., 2]: mean opening over the width of the left and of the right eye."""
    return np.stack([_opening(points, side) for side in SIDES], -1)


def _opening(points: Points, side: Side) -> Floats:
    upper, lower = points[..., LID_UPPER[side][3:6], :2], points[..., LID_LOWER[side][3:6], :2]
    width = np.linalg.norm(points[..., LID_UPPER[side][0], :2] - points[..., LID_UPPER[side][-1], :2], axis=-1)
    return np.asarray(np.linalg.norm(upper - lower, axis=-1).mean(-1) / width, np.float64)


def irises_of(points: Points) -> Floats:
    """float64[..., 2]: both irises' mean place between the corners of their eyes, in u: to the person's left, up."""
    offsets = []
    for side in SIDES:
        corners = points[..., (LID_UPPER[side][0], LID_UPPER[side][-1]), :2].mean(-2)
        offsets.append(points[..., IRIS[side], :2] - corners)
    return np.asarray(np.mean(offsets, axis=0), np.float64) * (1, -1)
