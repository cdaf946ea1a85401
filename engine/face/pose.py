"""Head pose from landmarks: a rigid fit of what neither speaks nor frowns.

The motion disentangler of Rhythmic Head Motion (section 3.3): l* is about
R l + T between each frame's landmarks and the person's own mean ones, here
with a scale per frame, which stands for the distance to the camera.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RIGID: Final = np.array(
    [6, 168, 197, 195, 5, 4, 1, 33, 133, 362, 263, 127, 356, 234, 454, 162, 389, 21, 251, 54, 284, 103, 332, 67, 297, 10]
)
"""intp[26]: landmarks on bone: nose, corners of the eyes, temples, before the ears, upper forehead."""

EYES: Final = (33, 263)
"""Outer corners of the person's right and left eye."""

DISTANCE_U: Final = 12.0
"""How far the camera is taken to stand, in u: what turns a change of scale into tz."""

_TOP, _CHIN = 10, 152  # the line between them stands upright in the canonical face, within 0.7 degrees
_SIDES: Final = ((33, 263), (133, 362), (127, 356), (234, 454), (21, 251), (54, 284))
"""Pairs of landmarks, right and left, whose connections run across the face."""


def similarity(points: NDArray[np.floating], template: NDArray[np.floating]) -> tuple[Floats, Floats, Floats]:
    """Rotation float64[T, 3, 3], scale float64[T], shift float64[T, 3] that bring a template onto point sets.

    points[t] is about scale[t] * template @ rotation[t].T + shift[t] in the least-squares sense (Umeyama 1991).

    Args:
        points: float[T, N, 3].
        template: float[N, 3].
    """
    there, here = points.mean(1, keepdims=True, dtype=np.float64), template.mean(0, dtype=np.float64)
    away, own = points - there, template - here
    u, spread, vt = np.linalg.svd(np.einsum("tni,nj->tij", away, own))
    sign = np.ones_like(spread)
    sign[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * sign[:, None]) @ vt
    scale = (spread * sign).sum(1) / (own**2).sum()
    shift = there[:, 0] - scale[:, None] * np.einsum("tij,j->ti", rotation, here)
    return rotation, scale, shift


def frontal(points: NDArray[np.floating]) -> Floats:
    """float64[478, 3]: one face's float[478, 3] turned to look straight ahead, centred between its eyes, in u.

    Ahead means: left and right as far away, forehead straight above chin, as in MediaPipe's canonical face.
    """
    right, left = np.array(_SIDES).T
    across = (points[left] - points[right]).mean(0, dtype=np.float64)
    across /= np.linalg.norm(across)
    down = (points[_CHIN] - points[_TOP]).astype(np.float64)
    down -= (down @ across) * across
    down /= np.linalg.norm(down)
    axes = np.stack([across, down, np.cross(across, down)])
    turned = (points - points[list(EYES)].mean(0)) @ axes.T
    return turned / np.linalg.norm(turned[EYES[1]] - turned[EYES[0]])


def mean_face(landmarks: NDArray[np.floating]) -> Floats:
    """float64[478, 3]: a clip's landmarks float[T, 478, 3] without poses, their mean (generalised Procrustes), `frontal`."""
    face = frontal(landmarks[len(landmarks) // 2])
    for _ in range(3):
        rotation, scale, shift = similarity(landmarks[:, RIGID], face[RIGID])
        face = frontal(deposed(landmarks, rotation, scale, shift).mean(0))
    return face


def deposed(landmarks: NDArray[np.floating], rotation: Floats, scale: Floats, shift: Floats) -> Floats:
    """float64[T, 478, 3]: landmarks in the head's own frame, in u; see `similarity`."""
    return np.einsum("tni,tij->tnj", landmarks - shift[:, None], rotation) / scale[:, None, None]


def angles(rotation: NDArray[np.floating]) -> Floats:
    """float64[..., 3]: yaw, pitch, roll in degrees of rotations float[..., 3, 3], undoing `engine.rig.camera.rotation`."""
    yaw = np.arctan2(-rotation[..., 2, 0], rotation[..., 2, 2])
    pitch = np.arcsin(np.clip(rotation[..., 2, 1], -1, 1))
    roll = np.arctan2(-rotation[..., 0, 1], rotation[..., 1, 1])
    return np.rad2deg(np.stack([yaw, pitch, roll], -1))


def pose_track(landmarks: NDArray[np.floating], face: NDArray[np.floating] | None = None) -> NDArray[np.float32]:
    """float32[T, 6]: yaw, pitch, roll in degrees; tx, ty, tz in u from the clip's mean (see `engine.contract.motion`).

    Args:
        landmarks: float[T, 478, 3] in px; x right, y down, z towards the camera.
        face: float[478, 3], the person's face as `mean_face` gives it; of these landmarks if there is none.
    """
    face = mean_face(landmarks) if face is None else face
    rotation, scale, shift = similarity(landmarks[:, RIGID], face[RIGID])
    middle = shift / scale.mean()
    away = DISTANCE_U * (1 - scale.mean() / scale)
    place = np.stack([middle[:, 0], -middle[:, 1], away], -1)
    return np.concatenate([angles(rotation), place - place.mean(0)], -1).astype(np.float32)
