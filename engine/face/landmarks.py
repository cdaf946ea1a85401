"""Landmarks of one face, by a small network that looks at an upright square about it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.graph import Graph, GraphSpec, TensorSpec
from engine.face.crop import Floats, cut, out_of
from engine.face.tracker import LANDMARKS

PIXELS: Final = 128
"""Side of the square that the network looks at."""
REACH: Final = 1.5
"""Side of that square over the longer side of the box about the landmarks; see `engine.face.crop.face_square`."""

SPEC: Final = GraphSpec(
    "face_landmarks",
    (TensorSpec("crop", (1, 3, PIXELS, PIXELS), low=0.0),),
    (
        TensorSpec("landmarks", (1, LANDMARKS, 3), low=0.0, high=float(PIXELS)),
        TensorSpec("presence", (1,), low=0.0),
    ),
)
"""Signature of `face_landmarks.onnx`: RGB in 0..1; landmarks in px of the crop, z towards the camera from the face's own
middle; presence is the probability that there is a face."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What the network saw in one square.

    Attributes:
        landmarks: float32[478, 3] in px of the picture, as `engine.face.tracker.Face.landmarks`.
        presence: 0..1, how surely there is a face that fills the square; below 0.5 the landmarks mean nothing.
    """

    landmarks: NDArray[np.float32]
    presence: float


class LandmarkNet:
    """Landmarks from a picture and a square about a face. Keeps nothing between calls.

    Args:
        graph: `face_landmarks.onnx`; may be shared.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def find(self, rgb: NDArray[np.uint8], matrix: Floats) -> Found:
        """The face in a square of a picture.

        Args:
            rgb: uint8[H, W, 3].
            matrix: float64[2, 3], maps the picture to `PIXELS` by `PIXELS`, the face upright: `face_square` of earlier
                landmarks with `REACH`, or `square` of a detector's box and eyes.
        """
        said = self._graph.run({"crop": as_input(cut(rgb, matrix, PIXELS)[None])})
        landmarks = out_of(np.asarray(said["landmarks"][0], np.float32), matrix)
        return Found(landmarks, float(said["presence"][0]))


def as_input(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32[N, 3, H, W] in 0..1: pictures uint8[N, H, W, 3] as the networks take them."""
    return np.multiply(crops.transpose(0, 3, 1, 2), np.float32(1 / 255), dtype=np.float32, order="C")
