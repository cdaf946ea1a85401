"""The face mesh: MediaPipe's 468 points by name, their triangles and their mirror partners.

The triangles and mirror partners are numbers of our own making, computed once
and stored in `facemesh.npz`: triangles are the 3-cliques of MediaPipe's edge
list without those inside a lip or lid ring and without the two 3-cycles that
are no faces, (49, 64, 129) and (279, 294, 358), oriented by a flood fill; a
mirror partner is the point at the mirrored place of the canonical face.

"Left" and "Right" are the person's own. Contours run from image left to image
right (the person's right to left).
"""

from functools import cache
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.intp]  # not from engine.rig.mesh: that needs SciPy, which serving has not
Side = Literal["Left", "Right"]
SIDES: Final[tuple[Side, Side]] = ("Left", "Right")

POINTS: Final = 468
"""Points of the mesh; landmarks 468..477 are the irises."""

OVAL: Final = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136,
    172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
LIP_UPPER: Final = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LIP_LOWER: Final = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
LIP_UPPER_OUTER: Final = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
LIP_LOWER_OUTER: Final = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
LID_UPPER: Final[dict[Side, tuple[int, ...]]] = {
    "Right": (33, 246, 161, 160, 159, 158, 157, 173, 133),
    "Left": (362, 398, 384, 385, 386, 387, 388, 466, 263),
}
LID_LOWER: Final[dict[Side, tuple[int, ...]]] = {
    "Right": (33, 7, 163, 144, 145, 153, 154, 155, 133),
    "Left": (362, 382, 381, 380, 374, 373, 390, 249, 263),
}
IRIS: Final[dict[Side, int]] = {"Right": 468, "Left": 473}
"""Iris centre; the next four landmarks are its ring."""
BROW: Final[dict[Side, tuple[int, ...]]] = {
    "Right": (70, 63, 105, 66, 107, 55, 65, 52, 53, 46),
    "Left": (300, 293, 334, 296, 336, 285, 295, 282, 283, 276),
}


@cache
def _tables() -> tuple[Ints, Ints]:
    with np.load(Path(__file__).with_name("facemesh.npz"), allow_pickle=False) as data:
        return data["triangles"].astype(np.intp), data["mirror"].astype(np.intp)


def face_triangles() -> NDArray[np.intp]:
    """intp[852, 3]: triangles with holes for mouth and eyes, clockwise on the screen (y down)."""
    return _tables()[0].copy()


def mirror_of() -> NDArray[np.intp]:
    """intp[468]: each point's partner on the other half of the face; a mid-line point is its own."""
    return _tables()[1].copy()
