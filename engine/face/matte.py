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

_RADIUS: Final = 2  # px of the network's picture, of the guided filter
_EPSILON: Final = 1e-4  # squared share of the scale of a colour: edges weaker than its root do not guide


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

    The fast guided filter (He and Sun, Fast guided filter, 2015) with all three
    colours for a guide (He, Sun and Tang, Guided image filtering, 2013,
    equation 19; an ear and the leaves behind it may be equally bright): the
    matte is a local linear function of the picture, fitted where it is small
    and applied where it is large.
    """
    guide = _scaled(small)
    mean_g, mean_p = _mean(guide), _mean(coarse)
    products = _mean((guide[..., :, None] * guide[..., None, :]).reshape(*guide.shape[:2], 9))
    covariance = products.reshape(*guide.shape, 3) - mean_g[..., :, None] * mean_g[..., None, :]
    across = _mean(guide * coarse[..., None]) - mean_g * mean_p[..., None]
    slope = np.linalg.solve(covariance + _EPSILON * np.eye(3, dtype=np.float32), across[..., None])[..., 0]
    offset = mean_p - (slope * mean_g).sum(2)
    size = (rgb.shape[1], rgb.shape[0])
    lifted = cv2.resize(_mean(np.dstack([slope, offset])), size, interpolation=cv2.INTER_LINEAR)
    return np.clip((lifted[..., :3] * _scaled(rgb)).sum(2) + lifted[..., 3], 0, 1)


def _scaled(rgb: NDArray[np.uint8]) -> Plane:
    return rgb.astype(np.float32) / np.float32(255)


def _mean(planes: Plane) -> Plane:
    """Of float32[H, W] or [H, W, C], over squares about each pixel."""
    return np.asarray(cv2.blur(planes, (2 * _RADIUS + 1, 2 * _RADIUS + 1)), np.float32)
