# pyright: basic
# cv2 types its images as unions that strict mode cannot follow
"""Contours of lips and lids as functions of x; valid for a face without roll."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.rig.avatar import FRAME
from engine.rig.mesh import Floats
from engine.rig.topology import LIP_LOWER, LIP_UPPER


def contour_y(landmarks: Floats, points: Sequence[int], x: Floats) -> Floats:
    """The y of a contour at each x, held constant beyond its ends."""
    p = landmarks[list(points), :2]
    order = np.argsort(p[:, 0])
    return np.interp(x, p[order, 0], p[order, 1])


def polygon_mask(polygon: Floats) -> NDArray[np.uint8]:
    """uint8[FRAME, FRAME]: 1 inside a polygon of px."""
    mask = np.zeros((FRAME, FRAME), np.uint8)
    cv2.fillPoly(mask, [np.round(polygon).astype(np.int32)], 1)
    return mask


def lip_line(crop: NDArray[np.uint8], landmarks: Floats) -> tuple[Floats, Floats]:
    """Where the dark line between closed lips runs, as x and y: the smoothed minimum of brightness near their middle."""
    x = np.arange(np.ceil(landmarks[78, 0]), np.floor(landmarks[308, 0]) + 1)
    middle = (contour_y(landmarks, LIP_UPPER, x) + contour_y(landmarks, LIP_LOWER, x)) / 2
    grey = cv2.GaussianBlur(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (0, 0), 1.0).astype(np.float32)
    offset = np.arange(-4, 4.5, 0.5)
    columns = np.repeat(x[None], len(offset), 0).astype(np.float32)
    rows = (middle[None] + offset[:, None]).astype(np.float32)
    cost = cv2.remap(grey, columns, rows, cv2.INTER_LINEAR) + 0.8 * np.abs(offset)[:, None]
    weight = np.exp(-(cost - cost.min(0)) / 4)
    shift = (weight * offset[:, None]).sum(0) / weight.sum(0)
    k = max(3, int(len(x) * 0.12))
    window = np.hanning(2 * k + 1)
    smooth = np.convolve(np.pad(shift, k, "edge"), window / window.sum(), "same")[k:-k]
    return x, middle + smooth
