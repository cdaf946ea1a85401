# pyright: basic
"""Vertices: shapes, eyes, head rotation and projection, one pass each (numba)."""

import numpy as np
from numpy.typing import NDArray

from engine.render.kernel import kernel
from engine.rig.avatar import CAMERA, FRAME


@kernel
def deform(
    rest, start, touched, displacement, weights, eye_vertex, eye_split, eye_centre, eye_rotation,
    head_weight, head, shift, pivot, scale, posed, screen, grid, near,
):  # fmt: skip
    """Move all vertices and project them.

    Shapes are sparse: shape k displaces `touched[start[k]:start[k + 1]]`.
    Writes `posed` float32[V, 3] (camera frame, before the head turns) and
    `screen` float32[V, 3]: x, y in pixels of the picture (pixel centres at
    whole numbers), z in px of the working frame, towards the camera; also
    `grid` int32[V, 2], x and y in 1/256 px, and `near` float32[V], z.
    """
    for i in range(rest.shape[0]):
        posed[i, 0], posed[i, 1], posed[i, 2] = rest[i, 0], rest[i, 1], rest[i, 2]
    for k in range(weights.shape[0]):
        weight = weights[k]
        if weight != 0:
            for j in range(start[k], start[k + 1]):
                i = touched[j]
                posed[i, 0] += weight * displacement[j, 0]
                posed[i, 1] += weight * displacement[j, 1]
                posed[i, 2] += weight * displacement[j, 2]
    for j in range(eye_vertex.shape[0]):
        i, e = eye_vertex[j], 0 if j < eye_split else 1
        x, y, z = posed[i, 0] - eye_centre[e, 0], posed[i, 1] - eye_centre[e, 1], posed[i, 2] - eye_centre[e, 2]
        for axis in range(3):
            turned = eye_rotation[e, axis, 0] * x + eye_rotation[e, axis, 1] * y + eye_rotation[e, axis, 2] * z
            posed[i, axis] = turned + eye_centre[e, axis]
    centre = 0.5 * FRAME
    for i in range(rest.shape[0]):
        x, y, z, w = posed[i, 0], posed[i, 1], posed[i, 2], head_weight[i]
        if w > 0:
            a, b, c = x - pivot[0], y - pivot[1], z - pivot[2]
            x += w * (head[0, 0] * a + head[0, 1] * b + head[0, 2] * c + shift[0] - a)
            y += w * (head[1, 0] * a + head[1, 1] * b + head[1, 2] * c + shift[1] - b)
            z += w * (head[2, 0] * a + head[2, 1] * b + head[2, 2] * c + shift[2] - c)
        perspective = CAMERA / (CAMERA - z)
        screen[i, 0] = (centre + x * perspective + 0.5) * scale - 0.5
        screen[i, 1] = (centre + y * perspective + 0.5) * scale - 0.5
        screen[i, 2] = z
        grid[i, 0] = int(np.floor(screen[i, 0] * 256.0 + 0.5))
        grid[i, 1] = int(np.floor(screen[i, 1] * 256.0 + 0.5))
        near[i] = z


def sparse_shapes(
    deltas: NDArray[np.float32], least_px: float = 0.002
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Dense deltas float32[K, V, 3] as (start int32[K + 1], touched int32[N], displacement float32[N, 3]).

    Displacements shorter than `least_px` of the working frame are dropped.
    """
    moved = np.abs(deltas).max(axis=2) >= least_px
    start = np.concatenate([[0], np.cumsum(moved.sum(axis=1))]).astype(np.int32)
    return start, np.nonzero(moved)[1].astype(np.int32), np.ascontiguousarray(deltas[moved], np.float32)
