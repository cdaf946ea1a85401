"""Head pose from landmarks: a rigid fit of what neither speaks nor frowns.

The motion disentangler of Rhythmic Head Motion (section 3.3): l* is about
R l + T between each frame's landmarks and the person's own mean ones, here
with a scale per frame, which stands for the distance to the camera.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.timeline import MOTION_RATE_HZ

Floats = NDArray[np.float64]

RIGID: Final = np.array(
    [6, 168, 197, 195, 5, 4, 1, 33, 133, 362, 263, 127, 356, 234, 454, 162, 389, 21, 251, 54, 284, 103, 332, 67, 297, 10]
)
"""intp[26]: landmarks on bone: nose, corners of the eyes, temples, before the ears, upper forehead."""

EYES: Final = (33, 263)
"""Outer corners of the person's right and left eye."""

DISTANCE_U: Final = 12.0
"""How far the camera is taken to stand, in u: what turns a change of scale into tz."""

SMOOTH_S: Final = 0.32
"""Width of the Hann window that tracks are smoothed with (the public code of the paper smooths by one, too): beyond 3 Hz
a tracker's noise on a small face outweighs its movement."""

_TOP, _CHIN = 10, 152  # the line between them stands upright in the canonical face, within 0.7 degrees
_LIPS = (13, 14)
_EARS = (234, 454)
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
    u, spread, vt = np.linalg.svd(away.transpose(0, 2, 1) @ own)
    sign = np.ones_like(spread)
    sign[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * sign[:, None]) @ vt
    scale = (spread * sign).sum(1) / (own**2).sum()
    shift = there[:, 0] - scale[:, None] * (rotation @ here)
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

    The place is that of the point in the neck about which an enrolled head turns.

    Args:
        landmarks: float[T, 478, 3] in px; x right, y down, z towards the camera.
        face: float[478, 3], the person's face as `mean_face` gives it; of these landmarks if there is none.
    """
    face = mean_face(landmarks) if face is None else face
    rotation, scale, shift = similarity(landmarks[:, RIGID], face[RIGID])
    down, back = 0.35 * np.linalg.norm(face[_CHIN] - face[_TOP]), 0.10 * np.ptp(face[:468, 0])
    neck = face[list(_EARS)].mean(0) + np.array([0, down, -back])
    middle = (scale[:, None] * (rotation @ neck) + shift) / np.median(scale)
    away = DISTANCE_U * (1 - np.median(scale) / scale)
    place = np.stack([middle[:, 0], -middle[:, 1], away], -1)
    return np.concatenate([angles(rotation), place - place.mean(0)], -1).astype(np.float32)


def lip_gap(landmarks: NDArray[np.floating]) -> NDArray[np.float32]:
    """float32[T]: distance of the inner lips of float[T, 478, 3], in u."""
    eyes = np.linalg.norm(landmarks[:, EYES[0]] - landmarks[:, EYES[1]], axis=1)
    return (np.linalg.norm(landmarks[:, _LIPS[0]] - landmarks[:, _LIPS[1]], axis=1) / eyes).astype(np.float32)


def steadied(pose: NDArray[np.floating], gap: NDArray[np.floating], fps: float) -> NDArray[np.float32]:
    """float32[M, 6] at n 20 ms: a track without the tracker's own movements.

    MediaPipe's face nods a little with every opening of the mouth (correlation
    0.8 beyond 2.5 Hz in recordings of a still head), so what goes along with
    the lips at syllable rate is taken out; then all is smoothed.

    Args:
        pose: float[T, 6], frame i at (i + 0.5) / fps.
        gap: float[T], see `lip_gap`.
        fps: frames per second.
    """
    time: Floats = (np.arange(len(pose), dtype=np.float64) + 0.5) / fps
    both = np.concatenate([pose, gap[:, None]], 1).astype(np.float64)
    fast = both - _smoothed(both, time, time, 2 * SMOOTH_S)
    leak = fast[:, 6] @ fast[:, :6] / (fast[:, 6] @ fast[:, 6] + 1e-4)
    instants: Floats = np.arange(int(len(pose) / fps * MOTION_RATE_HZ), dtype=np.float64) / MOTION_RATE_HZ
    return _smoothed(pose - leak * (gap - np.median(gap))[:, None], time, instants, SMOOTH_S).astype(np.float32)


def _smoothed(values: NDArray[np.floating], time: Floats, instants: Floats, width_s: float) -> Floats:
    """float64[M, C]: float[T, C] at times, averaged with a Hann window about each instant; ends are cut short."""
    away = np.clip((instants[:, None] - time) / width_s, -0.5, 0.5)
    weight: Floats = np.cos(np.pi * away) ** 2 + 1e-9
    return weight @ values / weight.sum(1, keepdims=True)
