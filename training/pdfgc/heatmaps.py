"""Where landmarks lie, as the motion encoder's heatmaps are taught to say it.

E_mot is a face alignment network (Bulat and Tzimiropoulos, How far are we from
solving the 2D & 3D face alignment problem?, 2017), and those learn heatmaps of
landmarks. The paper does not say how its own began. From nothing but the
labels at its end this network learns nothing in its first thousand steps; told
where landmarks are, it begins with the head's pose after two hundred
(docs/experiments.md).
"""

from typing import Final

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
SIGMA: Final = 1.0
"""Of a landmark's spot, in pixels of the heatmap."""


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


def heatmap_error(said: Tensor, marks: Tensor) -> Tensor:
    """Squared error of heatmaps [B, M, S, S] against landmarks [B, 478, 2], as a share of that of saying nothing.

    It is the mean of the pictures' shares. Heatmaps beyond the last of `MARKED` are free.
    """
    taught = MARKED[: said.shape[1]]
    wanted = heatmaps(marks[:, taught], said.shape[-1])
    error = ((said[:, : len(taught)].float() - wanted) ** 2).mean((1, 2, 3))
    return (error / (wanted**2).mean((1, 2, 3)).clamp(min=1e-6)).mean()
