"""Lids and irises, refined: a second, finer look at both eyes."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.graph import Graph, GraphSpec, TensorSpec
from engine.face.crop import Floats, cut, eye_distance, flat_out_of, roll_of, square
from engine.face.landmarks import as_input
from engine.rig.topology import LID_LOWER, LID_UPPER, mirror_of

WIDTH: Final = 64
HEIGHT: Final = 48
REACH: Final = 0.62
"""Width of an eye's crop over the distance of the outer eye corners in space: twice the width of an eye."""

_RIGHT_LIDS: Final = (*LID_UPPER["Right"], *LID_LOWER["Right"][-2:0:-1])
_RIGHT: Final = (*_RIGHT_LIDS, 468, 469, 470, 471, 472)
_LEFT: Final = (*(int(mirror_of()[p]) for p in _RIGHT_LIDS), 473, 476, 475, 474, 477)
EYE_POINTS: Final = np.array([_RIGHT, _LEFT])
"""intp[2, 21]: landmarks of the right and the left eye in the network's order: 16 about the lids, from the outer corner along
the upper lid, then the iris: centre, nasal, upper, temporal, lower."""
_CORNERS: Final = ((33, 133), (263, 362))  # outer, inner

SPEC: Final = GraphSpec(
    "face_eyes",
    (TensorSpec("crops", (2, 3, HEIGHT, WIDTH), low=0.0),),
    (TensorSpec("points", (2, EYE_POINTS.shape[1], 2), low=0.0, high=float(WIDTH)),),
)
"""Signature of `face_eyes.onnx`: RGB in 0..1 of the right eye and of the left one mirrored; points in px of these crops."""


class EyeNet:
    """Lid and iris points by a closer look. Keeps nothing between calls.

    Args:
        graph: `face_eyes.onnx`; may be shared.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def refine(self, rgb: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32[478, 3]: landmarks float32[478, 3] px of a picture uint8[H, W, 3], x and y of `EYE_POINTS` put right."""
        matrices = eye_squares(landmarks)
        crops = np.stack([cut(rgb, matrix, (WIDTH, HEIGHT)) for matrix in matrices])
        points = np.asarray(self._graph.run({"crops": as_input(crops)})["points"], np.float32)
        refined = landmarks.copy()
        for own, found, matrix in zip(EYE_POINTS, points, matrices, strict=True):
            refined[own, :2] = flat_out_of(found, matrix)
        return refined


def eye_squares(landmarks: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """float64[2, 3] each: map a picture to the crops of the right eye and of the left one, mirrored; upright as the face is."""
    right, left = (_square(landmarks, corners) for corners in _CORNERS)
    return right, np.array([[-1.0], [1.0]]) * left + np.array([[0, 0, WIDTH], [0, 0, 0]])


def _square(landmarks: NDArray[np.floating], corners: tuple[int, int]) -> Floats:
    outer, inner = (landmarks[corner].tolist() for corner in corners)
    width = REACH * eye_distance(landmarks)
    matrix = square((outer[0] + inner[0]) / 2, (outer[1] + inner[1]) / 2, width, WIDTH, roll_of(landmarks))
    matrix[1, 2] -= (WIDTH - HEIGHT) / 2
    return matrix
