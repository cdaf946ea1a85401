"""Lips, refined: a second, finer look at the mouth."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.graph import Graph, GraphSpec, TensorSpec
from engine.face.crop import Floats, cut, eye_distance, flat_out_of, roll_of, square
from engine.face.landmarks import as_input
from engine.rig.topology import LIP_LOWER, LIP_LOWER_OUTER, LIP_UPPER, LIP_UPPER_OUTER

WIDTH: Final = 80
HEIGHT: Final = 64
REACH: Final = 1.0
"""Width of the crop over the distance of the outer eye corners in space."""

LIP_POINTS: Final = np.array(
    [
        *LIP_UPPER, *LIP_LOWER[1:-1], *LIP_UPPER_OUTER, *LIP_LOWER_OUTER[1:-1],
        184, 74, 73, 72, 11, 302, 303, 304, 408, 76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306,
        183, 42, 41, 38, 12, 268, 271, 272, 407, 62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292,
    ]
)  # fmt: skip
"""intp[80]: landmarks of the lips in the network's order: inner and outer contour, then the two rings between them."""
_ABOUT: Final = [61, 291, 0, 17]  # corners, and the outer contour's middle above and below

SPEC: Final = GraphSpec(
    "face_lips",
    (TensorSpec("crop", (1, 3, HEIGHT, WIDTH), low=0.0),),
    (TensorSpec("points", (1, len(LIP_POINTS), 2), low=0.0, high=float(WIDTH)),),
)
"""Signature of `face_lips.onnx`: RGB in 0..1; points in px of the crop."""


class LipNet:
    """Lip points by a closer look. Keeps nothing between calls.

    Args:
        graph: `face_lips.onnx`; may be shared.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def refine(self, rgb: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32[478, 3]: landmarks float32[478, 3] px of a picture uint8[H, W, 3], x and y of `LIP_POINTS` put right."""
        matrix = lip_square(landmarks)
        points = self._graph.run({"crop": as_input(cut(rgb, matrix, (WIDTH, HEIGHT))[None])})["points"][0]
        refined = landmarks.copy()
        refined[LIP_POINTS, :2] = flat_out_of(np.asarray(points, np.float32), matrix)
        return refined


def lip_square(landmarks: NDArray[np.floating]) -> Floats:
    """float64[2, 3]: maps a picture to the crop about the mouth, upright as the face is."""
    width = REACH * eye_distance(landmarks)
    x, y = landmarks[_ABOUT, :2].mean(0, dtype=np.float64)
    matrix = square(float(x), float(y), width, WIDTH, roll_of(landmarks))
    matrix[1, 2] -= (WIDTH - HEIGHT) / 2
    return matrix
