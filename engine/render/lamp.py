# pyright: basic
"""Light: estimated from the photo, and what it does to skin that turns or bulges.

The photo's brightness over the face is fitted by albedo * (1 + b . n), n being
the surface normals (the first order of spherical harmonics: Ramamoorthi and
Hanrahan, "An efficient representation for irradiance environment maps", 2001,
eq. 12 without its second order). A vertex whose normal becomes n' is drawn
(1 + b . n') / (1 + b . n) times as bright, so the neutral pose stays the photo.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import Motion
from engine.render.kernel import kernel
from engine.rig.avatar import Avatar
from engine.rig.controls import drive

FACE, OUTER = 1, 2
STRONGEST = 0.45  # of |b|: photos hold painted and cast shadows that no normal explains
RANGE = (0.72, 1.3)  # factors of brightness
_HAIR = 0.6  # share of the effect on what surrounds the face, whose normals are guesses
_FADE = 3  # rounds of spreading the rims' exemption to their neighbours


def lamp_of(avatar: Avatar) -> NDArray[np.float32]:
    """float32[3]: b, camera frame, by a robust fit to the brightness of the face."""
    triangles = avatar.triangles[avatar.part == FACE]
    ids = np.unique(triangles)
    if len(ids) < 50:
        return np.zeros(3, np.float32)
    normals = _normals(avatar.vertices, triangles)[ids]
    grey = cv2.GaussianBlur(cv2.cvtColor(avatar.texture[..., :3], cv2.COLOR_RGB2GRAY), (0, 0), 4).astype(np.float64)
    x, y = (np.clip(np.rint(avatar.uv[ids, axis]).astype(int), 0, grey.shape[1 - axis] - 1) for axis in (0, 1))
    seen = grey[y, x] / max(float(np.median(grey[y, x])), 1.0)
    facing = normals[:, 2] > 0.1
    normals, seen = normals[facing], seen[facing]
    terms, weight = np.column_stack([np.ones(len(seen)), normals]), np.ones(len(seen))
    damping = 0.002 * len(seen) * np.diag([0.0, 1.0, 1.0, 1.0])
    fit = np.zeros(4)
    for _ in range(8):
        fit = np.linalg.solve(terms.T @ (terms * weight[:, None]) + damping, terms.T @ (seen * weight))
        off = seen - terms @ fit
        weight = 1 / (1 + (off / (1.5 * np.median(np.abs(off)) + 1e-6)) ** 2)
    b = fit[1:] / max(fit[0], 0.2)
    return (b * min(1.0, STRONGEST / max(float(np.linalg.norm(b)), 1e-6))).astype(np.float32)


def exposure(avatar: Avatar, skin: NDArray[np.int32], rim: NDArray[np.int32]) -> NDArray[np.float32]:
    """float32[V]: how far each vertex takes part: not at rims of openings, less beside the face, not on the torso."""
    share = np.zeros(len(avatar.vertices))
    share[np.unique(skin)] = _HAIR
    share[np.unique(avatar.triangles[avatar.part == FACE])] = 1
    share[rim] = 0
    share[_normals(avatar.vertices, skin)[:, 2] < 0.1] = 0
    for _ in range(_FADE):
        lowest = share[skin].min(axis=1)
        spread = share.copy()
        for corner in range(3):
            np.minimum.at(spread, skin[:, corner], 0.5 * (share[skin[:, corner]] + lowest))
        share = spread
    return (share * avatar.head_weight).astype(np.float32)


def rest_brightness(avatar: Avatar, skin: NDArray[np.int32], lamp: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[V]: 1 + b . n in the neutral pose, in which shapes that seal the lips may already be at work."""
    neutral = avatar.vertices + np.tensordot(drive(avatar, Motion.of()).weights, avatar.deltas, 1)
    return np.maximum(1 + _normals(neutral, skin) @ lamp, 0.3).astype(np.float32)


def _normals(vertices: NDArray[np.float32], triangles: NDArray[np.int32]) -> NDArray[np.float64]:
    """float64[V, 3], towards the camera in front, 0 where there is no triangle."""
    a, b, c = (vertices[triangles[:, corner]].astype(np.float64) for corner in range(3))
    across = np.cross(b - a, c - a)
    out = np.zeros((len(vertices), 3))
    for corner in range(3):
        np.add.at(out, triangles[:, corner], across)
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)


@kernel
def illuminate(posed, skin, lamp, head, head_weight, share, rest, bounds, normal, light):
    """Write `light` float32[V] from `posed` float32[V, 3], the vertices before the head turns.

    `rest` float32[V] is the brightness 1 + b . n of the neutral pose, `bounds`
    float32[2] what the factor is clamped to; `normal` float32[V, 3] is scratch.
    """
    for i in range(normal.shape[0]):
        normal[i, 0], normal[i, 1], normal[i, 2] = 0.0, 0.0, 0.0
    for k in range(skin.shape[0]):
        a, b, c = np.uint64(skin[k, 0]), np.uint64(skin[k, 1]), np.uint64(skin[k, 2])
        px, py, pz = posed[b, 0] - posed[a, 0], posed[b, 1] - posed[a, 1], posed[b, 2] - posed[a, 2]
        qx, qy, qz = posed[c, 0] - posed[a, 0], posed[c, 1] - posed[a, 1], posed[c, 2] - posed[a, 2]
        x, y, z = py * qz - pz * qy, pz * qx - px * qz, px * qy - py * qx
        for v in (a, b, c):
            normal[v, 0] += x
            normal[v, 1] += y
            normal[v, 2] += z
    # the lamp as the turned head sees it
    lx = head[0, 0] * lamp[0] + head[1, 0] * lamp[1] + head[2, 0] * lamp[2] - lamp[0]
    ly = head[0, 1] * lamp[0] + head[1, 1] * lamp[1] + head[2, 1] * lamp[2] - lamp[1]
    lz = head[0, 2] * lamp[0] + head[1, 2] * lamp[1] + head[2, 2] * lamp[2] - lamp[2]
    for i in range(share.shape[0]):
        if share[i] > 0:
            x, y, z, w = normal[i, 0], normal[i, 1], normal[i, 2], head_weight[i]
            length = np.sqrt(x * x + y * y + z * z) + 1e-9
            bright = 1 + ((lamp[0] + w * lx) * x + (lamp[1] + w * ly) * y + (lamp[2] + w * lz) * z) / length
            factor = min(max(bright / rest[i], bounds[0]), bounds[1])
            light[i] = 1 + share[i] * (factor - 1)
