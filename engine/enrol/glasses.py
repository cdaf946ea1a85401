# pyright: basic
# cv2 types its images as unions that strict mode cannot follow
"""Does the person wear glasses? Frames are thin lines across the bridge of the nose and beside or below the eyes."""

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.rig.mesh import Floats

CERTAIN = 0.03
"""Product of two line responses above which frames are there. Of nine photographed glasses it finds the six with
strong frames, in 43 photos without it sees one pair that is none; thin rims are missed and do no harm."""
WIDTHS_U = (0.025, 0.040, 0.060)  # widths of frames looked for
SATURATED = 0.25


def wears_glasses(crop: NDArray[np.uint8], landmarks: Floats) -> bool:
    """Whether frames are seen in uint8[FRAME, FRAME, 3] RGB with landmarks in px."""
    u = float(np.linalg.norm(landmarks[33, :2] - landmarks[263, :2]))
    grey = cv2.GaussianBlur(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 0.010 * u + 0.3)

    def response(centre: Floats, left: float, right: float, top: float, bottom: float) -> float:
        x = np.linspace(left, right, 21) * u + centre[0]
        y = np.linspace(top, bottom, int((bottom - top) * 200) + 1) * u + centre[1]
        columns, rows = (q.astype(np.float32) for q in np.meshgrid(x, y))
        patch = np.log(cv2.remap(grey, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) + 12)
        return max(_line(patch, round(width * 200)) for width in WIDTHS_U)

    bridge = response(landmarks[[133, 362], :2].mean(0), -0.10, 0.10, -0.20, 0.26)
    temples = max(response(landmarks[33, :2], -0.28, -0.10, -0.16, 0.16), response(landmarks[263, :2], 0.10, 0.28, -0.16, 0.16))
    below = np.mean([response(landmarks[p, :2], -0.09, 0.09, 0.10, 0.40) for p in (145, 374)])
    return min(bridge, SATURATED) * min(max(float(below), temples), SATURATED) > CERTAIN


def _line(patch: NDArray[np.float32], width: int) -> float:
    """How clearly a dark or a bright line crosses a patch of log brightness from side to side."""
    middle, over, under = patch[width:-width], patch[: -2 * width], patch[2 * width :]
    best = 0.0
    for contrast in (np.minimum(over, under) - middle, middle - np.maximum(over, under)):
        loose = cv2.dilate(cv2.blur(contrast, (1, 3)), np.ones((5, 1), np.uint8))
        best = max(best, float(np.percentile(loose, 30, axis=1).max()))
    return best
