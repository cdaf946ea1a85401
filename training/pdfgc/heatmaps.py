"""Where landmarks lie, as the motion encoder's heatmaps are taught to say it.

E_mot is a face alignment network (Bulat and Tzimiropoulos, How far are we from
solving the 2D & 3D face alignment problem?, 2017), and those learn heatmaps of
landmarks. The paper does not say how its own began. From nothing but the
labels at its end this network learns nothing in its first thousand steps; told
where landmarks are, it begins with the head's pose after two hundred
(docs/experiments.md).
"""

import math
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.face.finder import partners
from engine.rig.topology import IRIS

MARKED: Final = (
    IRIS["Right"], IRIS["Left"], 33, 133, 362, 263, 159, 145, 386, 374, 70, 105, 107, 336, 334, 300, 1, 4,
    61, 291, 0, 17, 13, 14, 37, 267, 84, 314, 152, 234, 454, 172, 397, 10,
    160, 158, 144, 153, 385, 387, 380, 373, 63, 66, 293, 296, 6, 98, 327, 40, 270, 91, 321, 78, 308, 82, 312, 87, 317,
    127, 356, 93, 323, 136, 365, 148, 377, 168,
)  # fmt: skip
"""Landmarks of the heatmaps: irises, lids, brows, nose, lips, outline, those that say most first.

Networks with fewer heatmaps leave out the last.
"""
FREE: Final = 0.25
"""Share of the heatmaps that are taught nothing, for what no landmark says."""
SIGMA: Final = 1.0
"""Of a landmark's spot, in pixels of the heatmap."""


class Feature(NamedTuple):
    """Landmarks that move little, and by how much more than they do their spots move.

    Attributes:
        anchor: landmarks that stay where they are; between them is what the others move about.
        points: those others.
        times: how much farther from there a spot lies than its landmark does.
        weight: of their heatmaps in the error.
    """

    anchor: tuple[int, int]
    points: tuple[int, ...]
    times: float
    weight: float


FEATURES: Final = (
    Feature((33, 133), (IRIS["Right"],), 4.0, 6.0),
    Feature((362, 263), (IRIS["Left"],), 4.0, 6.0),
    Feature((33, 133), (159, 145, 160, 158, 144, 153), 3.0, 2.0),
    Feature((362, 263), (386, 374, 385, 387, 380, 373), 3.0, 2.0),
    Feature((33, 133), (70, 105, 107, 63, 66), 2.0, 2.0),
    Feature((362, 263), (336, 334, 300, 293, 296), 2.0, 2.0),
    Feature((61, 291), (0, 17, 13, 14, 37, 267, 84, 314, 40, 270, 91, 321, 82, 312, 87, 317), 2.0, 2.0),
)
"""A gaze of 20 degrees moves an iris by half a pixel of the heatmap: what is drawn as it is, no head learns."""


def exaggerated(marks: Tensor) -> Tensor:
    """Landmarks [B, 478, 2] where the heatmaps show them: see `FEATURES`."""
    out = marks.clone()
    for feature in FEATURES:
        middle, points = marks[:, feature.anchor].mean(1, keepdim=True), list(feature.points)
        out[:, points] = middle + feature.times * (marks[:, points] - middle)
    return out


def in_mirror(marks: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[..., 478, 2] in sides of a picture, as a mirror shows them."""
    turned = marks[..., partners(), :]
    turned[..., 0] = 1 - turned[..., 0]
    return turned


def heatmaps(marks: Tensor, side: int) -> Tensor:
    """[B, M, side, side]: a spot of height 1 at each of `marks` [B, M, 2], which are in sides of the picture."""
    middles = torch.arange(side, device=marks.device) + 0.5
    along = torch.exp(-((middles - marks[..., None] * side) ** 2) / (2 * SIGMA**2))
    return along[:, :, 1, :, None] * along[:, :, 0, None, :]


def landmark_heatmaps(marks: Tensor, count: int, side: int) -> Tensor:
    """What a network of `count` heatmaps is taught of landmarks [B, 478, 2]: [B, T, side, side], the first T of its own.

    `FREE` of a network's heatmaps are taught nothing, nor are those beyond the last of `MARKED`.
    """
    return heatmaps(exaggerated(marks)[:, MARKED[: math.ceil(count * (1 - FREE))]], side)


def heatmap_error(said: Tensor, marks: Tensor) -> Tensor:
    """Squared error of heatmaps [B, M, S, S] against landmarks [B, 478, 2], as a share of that of saying nothing.

    It is the mean of the pictures' shares, `FEATURES` weighted.
    """
    wanted = landmark_heatmaps(marks, *said.shape[1:3])
    taught = wanted.shape[1]
    weights = torch.tensor([_WEIGHTS.get(mark, 1.0) for mark in MARKED[:taught]], device=said.device)[:, None, None]
    error = (weights * (said[:, :taught].float() - wanted) ** 2).mean((1, 2, 3))
    return (error / (weights * wanted**2).mean((1, 2, 3)).clamp(min=1e-6)).mean()


_WEIGHTS: Final = {point: feature.weight for feature in FEATURES for point in feature.points}
