"""How much of each pixel is a person, by a small network; made exact along the picture's own edges."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.contract.graph import Graph, GraphSpec, TensorSpec

SIDE: Final = 256

SPEC: Final = GraphSpec(
    "face_matte",
    (TensorSpec("picture", (1, 3, SIDE, SIDE), low=0.0),),
    (TensorSpec("matte", (1, 1, SIDE, SIDE), low=0.0),),
)
"""Signature of `face_matte.onnx`."""

Plane = NDArray[np.float32]

_RADIUS: Final = 4  # px of the network's picture, of the guided filter
_EPSILON: Final = 1e-3  # squared share of the grey scale: edges weaker than its root do not guide


class Matting:
    """Person mattes by `face_matte.onnx`; keeps nothing between calls. Meant for head and shoulders, as enrolment cuts them.

    Args:
        graph: of `SPEC`.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def matte(self, rgb: NDArray[np.uint8]) -> Plane:
        """float32[H, W] in 0..1: how much of each pixel of uint8[H, W, 3] is a person."""
        height, width = rgb.shape[:2]
        scale = SIDE / max(height, width)
        inner = (max(round(width * scale), 1), max(round(height * scale), 1))
        small = np.asarray(cv2.resize(rgb, inner, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), np.uint8)
        padded = cv2.copyMakeBorder(small, 0, SIDE - inner[1], 0, SIDE - inner[0], cv2.BORDER_REPLICATE)
        picture = np.ascontiguousarray(np.asarray(padded).transpose(2, 0, 1)[None], np.float32) / np.float32(255)
        coarse = np.asarray(self._graph.run({"picture": picture})["matte"], np.float32)[0, 0, : inner[1], : inner[0]]
        return refine(rgb, small, coarse)


def refine(rgb: NDArray[np.uint8], small: NDArray[np.uint8], coarse: Plane) -> Plane:
    """float32[H, W]: `coarse` float32[h, w] of the shrunk picture `small` brought to the full picture's edges.

    The fast guided filter (He and Sun, Fast guided filter, 2015) with a grey
    guide: the matte is a local linear function of the picture, fitted where it
    is small and applied where it is large.
    """
    guide = _grey(small)
    mean_g, mean_p = _mean(guide), _mean(coarse)
    slope = np.asarray((_mean(guide * coarse) - mean_g * mean_p) / (_mean(guide * guide) - mean_g**2 + _EPSILON), np.float32)
    size = (rgb.shape[1], rgb.shape[0])
    lifted, offset = (
        np.asarray(cv2.resize(_mean(plane), size, interpolation=cv2.INTER_LINEAR), np.float32)
        for plane in (slope, np.asarray(mean_p - slope * mean_g, np.float32))
    )
    return np.clip(lifted * _grey(rgb) + offset, 0, 1)


def _grey(rgb: NDArray[np.uint8]) -> Plane:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32) / np.float32(255)


def _mean(plane: Plane) -> Plane:
    return np.asarray(cv2.blur(plane, (2 * _RADIUS + 1, 2 * _RADIUS + 1)), np.float32)
