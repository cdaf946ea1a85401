"""An avatar posed with plain NumPy, for tests of laws about its shape."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import Motion
from engine.enrol.people import FOLDER
from engine.rig.archive import load
from engine.rig.avatar import CAMERA, FRAME, Avatar, Drive
from engine.rig.controls import drive
from engine.rig.topology import LIP_LOWER, LIP_UPPER

PEOPLE = ("amara", "edith", "marco", "mei", "ravi", "samuel")


@cache
def person(name: str) -> Avatar:
    return load(FOLDER / f"{name}.mien")


def place(avatar: Avatar, asked: Drive) -> NDArray[np.float64]:
    """float64[V, 2]: where each vertex is drawn, px of the working frame."""
    vertices = avatar.vertices + np.tensordot(asked.weights, avatar.deltas, 1)
    for eye, turn in ((avatar.eyes["Left"], asked.left_eye), (avatar.eyes["Right"], asked.right_eye)):
        vertices[eye.first : eye.last] = (vertices[eye.first : eye.last] - eye.centre) @ turn.T + eye.centre
    from_pivot, weight = vertices - avatar.pivot, avatar.head_weight[:, None]
    posed = weight * (from_pivot @ asked.head.T + asked.shift) + (1 - weight) * from_pivot + avatar.pivot
    return FRAME / 2 + posed[:, :2].astype(np.float64) * (CAMERA / (CAMERA - posed[:, 2:]))


def posed(avatar: Avatar, **controls: float) -> NDArray[np.float64]:
    """float64[468, 2]: where the points of the face mesh are drawn."""
    asked = drive(avatar, Motion.of(0, controls))
    points = avatar.vertices[:468] + np.tensordot(asked.weights, avatar.deltas[:, :468], 1)
    turned = (points - avatar.pivot) @ asked.head.T + asked.shift + avatar.pivot
    return FRAME / 2 + turned[:, :2].astype(np.float64) * (CAMERA / (CAMERA - turned[:, 2:]))


def lip_gap(points: NDArray[np.float64]) -> float:
    """The widest gap between the rims of the lips, px; negative where they overlap everywhere."""
    upper, lower = points[list(LIP_UPPER[1:-1])], points[list(LIP_LOWER[1:-1])]
    down = points[152] - points[10]
    down = down / np.linalg.norm(down)
    return float(((lower - upper) @ down).max())
