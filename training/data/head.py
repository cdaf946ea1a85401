"""The head's movement taken out of a face: rigid fits to the stable part of it.

The motion disentangler of Rhythmic Head Motion (section 3.3): l* ~ R l + T
for landmarks l of each frame and the canonical l*, by Kabsch over 27 points
that talking does not move. Deviations: the canonical face is the speaker's
own mean, not a common one; MediaPipe's landmarks grow as the head comes
nearer, so a scale is fitted first, and tells tz.

Frames of reference: px of the picture (x right, y down, z towards the
camera), and the head's own frame in u, the distance of the outer eye corners,
with the origin between them (`engine.rig.shapes.Head` has the axes).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.rig.avatar import CAMERA
from engine.rig.shapes import head_of
from engine.rig.topology import OVAL

Floats = NDArray[np.float64]

STABLE: Final = (
    10, 109, 338, 151, 9, 168, 6, 197, 195, 5, 4, 1, 98, 2, 327, 33, 133, 362, 263,
    127, 234, 93, 356, 454, 323, 162, 389,
)  # fmt: skip
"""27 points of forehead, nose, eye corners and temples: the counterparts of the paper's."""
LEFT_CORNER, RIGHT_CORNER = 263, 33
CAMERA_U: Final = CAMERA / 125.0
"""The camera's distance in u, as the mesh renderer has it for its own portraits (u is about 125 px of its frame)."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Where the head was in each frame.

    Attributes:
        scale: float64[F], px per u.
        rotation: float64[F, 3, 3], from the head's frame to the camera's.
        shift: float64[F, 3] px, where the origin of the head's frame lies.
        residual: float64[F], RMS distance of the stable points in u.
    """

    scale: Floats
    rotation: Floats
    shift: Floats
    residual: Floats


def rigid(source: Floats, target: Floats) -> tuple[Floats, Floats, Floats]:
    """Scale [F], rotation [F, 3, 3] and shift [F, 3] that take `source` [N, 3] to `target` [F, N, 3] (Umeyama 1991)."""
    from_mean, to_mean = source.mean(0), target.mean(1)
    a, b = source - from_mean, target - to_mean[:, None]
    left, values, right = np.linalg.svd(np.einsum("fni,nj->fij", b, a))
    sign = np.ones_like(values)
    sign[:, 2] = np.sign(np.linalg.det(left @ right))
    rotation = left * sign[:, None] @ right
    scale = (values * sign).sum(1) / (a**2).sum()
    return scale, rotation, to_mean - scale[:, None] * (rotation @ from_mean)


def fit_head(reference: Floats, landmarks: NDArray[np.float32], smooth: int = 5) -> Fit:
    """Fit float64[478, 3] in the head's frame to float32[F, 478, 3] px without NaN.

    The scale is averaged over `smooth` frames (Hann): heads do not pump.
    """
    points, target = reference[list(STABLE)], landmarks[:, list(STABLE)].astype(np.float64)
    scale, rotation, shift = rigid(points, target)
    scale = smoothed(scale[:, None], smooth)[:, 0]
    shift = target.mean(1) - scale[:, None] * (rotation @ points.mean(0))
    moved = scale[:, None, None] * np.einsum("fij,nj->fni", rotation, points) + shift[:, None]
    residual = np.sqrt(((moved - target) ** 2).sum(2).mean(1)) / scale
    return Fit(scale, rotation, shift, residual)


def de_posed(landmarks: NDArray[np.float32], fit: Fit) -> Floats:
    """float64[F, 478, 3] in the head's own frame, in u."""
    centred = (landmarks - fit.shift[:, None]) / fit.scale[:, None, None]
    return np.einsum("fji,fnj->fni", fit.rotation, centred)


def pose_of(fit: Fit, neutral: Floats) -> NDArray[np.float32]:
    """float32[F, 6]: yaw, pitch, roll in degrees; tx, ty, tz in u from their mean.

    The place is that of the point about which the mesh renderer turns the
    head, so that these channels, given to it, repeat the movement.
    """
    R, size = fit.rotation, float(np.median(fit.scale))
    yaw = np.arctan2(-R[:, 2, 0], R[:, 2, 2])
    pitch = np.arcsin(np.clip(R[:, 2, 1], -1, 1))
    roll = np.arctan2(-R[:, 0, 1], R[:, 1, 1])
    place = fit.scale[:, None] * (R @ pivot_of(neutral)) + fit.shift
    across = (place - place.mean(0)) / size * (1, -1, 0)
    across[:, 2] = CAMERA_U * (1 - size / fit.scale)
    across[:, 2] -= across[:, 2].mean()
    return np.concatenate([np.degrees(np.stack([yaw, pitch, roll], 1)), across], 1).astype(np.float32)


def pivot_of(neutral: Floats) -> Floats:
    """float64[3]: the point about which `engine.enrol` lets a head turn, in the head's frame."""
    height = float(np.linalg.norm(neutral[152, :2] - neutral[10, :2]))
    width = float(np.ptp(neutral[list(OVAL), 0]))
    return neutral[[234, 454]].mean(0) + np.array([0, 0.35 * height, -0.10 * width])


def straightened(points: Floats) -> Floats:
    """float64[478, 3] turned, scaled and moved into its own head's frame."""
    head = head_of(points[:468])
    corners = points[[LEFT_CORNER, RIGHT_CORNER]]
    u = float(np.linalg.norm(corners[0] - corners[1]))
    return (points - corners.mean(0)) @ head.axes / u


def mean_face(landmarks: NDArray[np.float32], rounds: int = 3) -> Floats:
    """float64[478, 3]: the mean of faces float32[F, 478, 3] in the head's frame (generalised Procrustes over `STABLE`)."""
    face = straightened(landmarks[len(landmarks) // 2].astype(np.float64))
    for _ in range(rounds):
        face = straightened(np.median(de_posed(landmarks, fit_head(face, landmarks, 1)), axis=0))
    return face


def smoothed(values: Floats, frames: int) -> Floats:
    """Rows averaged with a Hann window of `frames` (odd) rows; ends are repeated."""
    if frames <= 1 or len(values) < 2:
        return values
    window = np.hanning(frames + 2)[1:-1]
    window /= window.sum()
    padded = np.pad(values, ((frames // 2, frames // 2), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, window, mode="valid") for column in padded.T], 1)
