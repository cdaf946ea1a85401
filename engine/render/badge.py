"""The visible mark that a picture is synthetic: the letters AI on a small dark plate in the lower right corner."""

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.rig.avatar import FRAME

_HEIGHT, _WIDTH, _MARGIN, _LEAST_PX = 22, 34, 12, 14  # px of a 512 picture; the least height in px of any
_PLATE, _PLATE_OPACITY = 18.0, 0.5
_INK, _INK_OPACITY = 255.0, 0.92
_FINE: Final = 16  # the stencil is drawn this many times larger
# strokes in units of the plate's height, origin at its centre
_STROKES = (
    ((-0.45, 0.27), (-0.2, -0.27)),
    ((-0.2, -0.27), (0.05, 0.27)),
    ((-0.36, 0.1), (-0.04, 0.1)),
    ((0.36, -0.27), (0.36, 0.27)),
)
_STROKE_WIDTH = 0.1


def burn(rgb: NDArray[np.uint8]) -> None:
    """Blend the badge into a square picture uint8[size, size, 3] RGB, in place."""
    kept, added = _stencil(rgb.shape[0])
    height, width = kept.shape[:2]
    margin = round(_MARGIN * rgb.shape[0] / FRAME)
    place = rgb[-margin - height : -margin or None, -margin - width : -margin or None]
    np.right_shift(place * kept + added, 8, out=place, casting="unsafe")


@lru_cache(maxsize=8)
def _stencil(size: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """uint16[h, w, 1] each: what is kept of the picture and what is added to it, in 1/256."""
    height = max(_LEAST_PX, round(_HEIGHT * size / FRAME))
    width = round(height * _WIDTH / _HEIGHT)
    plate, ink = (np.zeros((height * _FINE, width * _FINE), np.uint8) for _ in range(2))
    radius = plate.shape[0] // 3
    corners = [(x, y) for x in (radius, plate.shape[1] - 1 - radius) for y in (radius, plate.shape[0] - 1 - radius)]
    for corner in corners:
        cv2.circle(plate, corner, radius, 255, -1)
    cv2.fillConvexPoly(
        plate, cv2.convexHull(np.argwhere(plate[:, ::4])[:, ::-1].astype(np.int32) * np.array([4, 1], np.int32)), 255
    )
    unit, middle = plate.shape[0], np.array(plate.shape[::-1]) / 2
    for stroke in _STROKES:
        a, b = ((middle + np.array(end) * unit).astype(int) for end in stroke)
        cv2.line(ink, (int(a[0]), int(a[1])), (int(b[0]), int(b[1])), 255, round(_STROKE_WIDTH * unit))
    cover, letters = (
        np.asarray(cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA), np.float32)[..., None] / 255
        for drawn in (plate, ink)
    )
    behind, front = cover * _PLATE_OPACITY * (1 - letters), letters * _INK_OPACITY
    kept = 256 * (1 - behind - front)
    return kept.astype(np.uint16), (256 * (behind * _PLATE + front * _INK) + 127).astype(np.uint16)
