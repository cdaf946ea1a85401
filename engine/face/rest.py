"""A person at rest: their neutral face, pose and gaze, learned from calm pictures."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.face.gaze import Eyeballs
from engine.face.openings import lids_of
from engine.face.pose import EYES, RIGID, angles, deposed, mean_face, similarity
from engine.rig.camera import rotation as rotation_of

Floats = NDArray[np.float64]

KEPT_S: Final = 2.0
LEARN_AT_S: Final = (0.5, 1.0, 2.0)
"""Since the first picture: when what has been seen so far becomes the neutral face."""
PRESSED_S: Final = 0.5

_GAP: Final = 40
"""Percentile of the lips' gap up to which a mouth counts as closed."""
_OPEN_EYES: Final = 0.8  # of the median opening
_DRIFT_S: Final = 15.0
_DRIFT_U: Final = 0.012
"""A neutral face follows what is seen with `_DRIFT_S`, at most as if it were this far off: a median rather than a mean."""
_DRIFT_POSE_S: Final = 40.0
_DRIFT_DEG, _DRIFT_PLACE_U = 5.0, 0.15
_FACE_PITCH_DEG: Final = -7.5
"""By how much a face that looks at the camera is pitched for `engine.face.pose.frontal`; `_SHAPE_DEG`: and varies by."""
_SHAPE_DEG: Final = (4.0, 6.0)
_TOP, _CHIN = 10, 152
_EARS: Final = (234, 454)


@dataclass(frozen=True, slots=True, eq=False)
class Rest:
    """What readings are relative to.

    Attributes:
        face: float64[478, 3]: the neutral face in the head's own frame (frontal, between the eyes), in u.
        turn: float64[3, 3]: the head's rotation to the camera's frame.
        upright: float64[3, 3]: the frame in which turns are told: the camera's, but for a camera that looks up, down or
            from the side at a person who looks straight ahead.
        place: float64[3]: the neck in the camera's frame, in u.
        gaze_deg: float64[2, 2]: degrees to the person's left and up of left and right eye.
        eyeballs: see `Eyeballs`.
        lids: see `lids_of`.
    """

    face: Floats
    turn: Floats
    upright: Floats
    place: Floats
    gaze_deg: Floats
    eyeballs: Eyeballs
    lids: tuple[Floats, Floats]

    @classmethod
    def of(cls, points: Floats, focal_px: float, *, calm: bool = True) -> "Rest":
        """The median of pictures float64[T, 478, 3] (see `unprojected`); of the calm ones, or of all."""
        face = mean_face(points)
        chosen = points[_calm(points, face)] if calm else points
        face = np.median(_in_head(chosen, face), 0)
        eyeballs = Eyeballs.of(face)
        rotation, scale, shift = similarity(chosen[:, RIGID], face[RIGID])
        gaze = [eyeballs.directions(p, r, float(s), t) for p, r, s, t in zip(chosen, rotation, scale, shift, strict=True)]
        places = [place_of(r, float(s), t, face, focal_px) for r, s, t in zip(rotation, scale, shift, strict=True)]
        u, _, vt = np.linalg.svd(rotation.mean(0))
        turn = u @ vt
        return cls(face, turn, _upright(turn), np.median(places, 0), np.median(gaze, 0), eyeballs, lids_of(face))

    def angles_deg(self, rotation: Floats) -> Floats:
        """float64[3]: yaw, pitch and roll from rest of a head rotated by float64[3, 3]."""
        return angles(self.upright.T @ rotation @ self.turn.T @ self.upright)

    def drifted(self, head: Floats, turn: Floats, place: Floats, gaze_deg: Floats, passed_s: float) -> "Rest":
        """Moved a little towards what a calm picture shows.

        Args:
            head: float64[478, 3] in the head's frame.
            turn: float64[3, 3], of the head in the camera's frame.
            place: float64[3], see `place`.
            gaze_deg: float64[2, 2], see `gaze_deg`.
            passed_s: since the last picture.
        """
        share, slow = passed_s / _DRIFT_S, passed_s / _DRIFT_POSE_S
        face = self.face + share * np.clip(head - self.face, -_DRIFT_U, _DRIFT_U)
        u, _, vt = np.linalg.svd(self.turn + slow * np.clip(turn - self.turn, -np.deg2rad(_DRIFT_DEG), np.deg2rad(_DRIFT_DEG)))
        return replace(
            self,
            face=face,
            turn=u @ vt,
            place=self.place + slow * np.clip(place - self.place, -_DRIFT_PLACE_U, _DRIFT_PLACE_U),
            gaze_deg=self.gaze_deg + slow * np.clip(gaze_deg - self.gaze_deg, -_DRIFT_DEG, _DRIFT_DEG),
            lids=lids_of(face),
        )


class Learning:
    """The last pictures of a person, and when to make something of them."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all pictures."""
        self._seen: deque[tuple[float, Floats]] = deque()
        self._began: float | None = None
        self._steps = 0

    @property
    def share(self) -> float:
        """0..1: how much of the neutral face is known."""
        return self._steps / (len(LEARN_AT_S) + 1)

    def settle(self) -> None:
        """Learn no more by itself."""
        self._steps = len(LEARN_AT_S) + 1

    def add(self, time_s: float, points: Floats) -> bool:
        """Take a picture float64[478, 3] (see `unprojected`); True if it is time to learn from `pictures`."""
        self._began = time_s if self._began is None else self._began
        self._seen.append((time_s, points))
        while self._seen[0][0] < time_s - KEPT_S:
            self._seen.popleft()
        if self._steps <= len(LEARN_AT_S) and (self._steps == 0 or time_s - self._began >= LEARN_AT_S[self._steps - 1]):
            self._steps += 1
            return True
        return False

    def pictures(self, within_s: float = KEPT_S) -> Floats:
        """float64[T, 478, 3]: those of the last seconds; none if the last is older than that."""
        last = self._seen[-1][0] if self._seen else 0.0
        chosen: Sequence[Floats] = [points for at, points in self._seen if at >= last - within_s]
        return np.stack(chosen) if chosen else np.zeros((0, 478, 3))


def unprojected(landmarks: NDArray[np.floating], width: int, height: int, focal_px: float) -> Floats:
    """float64[..., 478, 3] px: landmarks as a camera without perspective would see them, from the picture's middle.

    A webcam sees a face away from the middle turned, and a near nose large:
    both go away. Depth counts from the bones of the face.
    """
    points = np.array(landmarks, np.float64)
    points[..., 2] -= points[..., RIGID, 2].mean(-1, keepdims=True)
    points[..., :2] = (points[..., :2] - (width / 2, height / 2)) * (1 - points[..., 2:] / focal_px)
    return points


def place_of(rotation: Floats, scale: float, shift: Floats, face: Floats, focal_px: float) -> Floats:
    """float64[3] u: where the point in the neck is about which an enrolled head turns; z from the lens, negative."""
    down, back = 0.35 * np.linalg.norm(face[_CHIN] - face[_TOP]), 0.10 * np.ptp(face[:468, 0])
    neck = face[list(_EARS)].mean(0) + np.array([0, down, -back])
    return rotation @ neck + np.array([shift[0], shift[1], shift[2] - focal_px]) / scale


def _upright(turn: Floats) -> Floats:
    """float64[3, 3]: see `Rest.upright`. What may be the shape of the face, or no more than it, does not count."""
    off = angles(turn)[:2] - (0.0, _FACE_PITCH_DEG)
    yaw, pitch = np.sign(off) * np.maximum(np.abs(off) - _SHAPE_DEG, 0)
    return rotation_of(float(yaw), float(pitch), 0.0).astype(np.float64)


def _in_head(points: Floats, face: Floats) -> Floats:
    rotation, scale, shift = similarity(points[:, RIGID], face[RIGID])
    return deposed(points, rotation, scale, shift)


def _calm(points: Floats, face: Floats) -> NDArray[np.bool_]:
    """bool[T]: the pictures that show the lips as closed as they get, the eyes open and the head as it usually is."""
    rotation, scale, shift = similarity(points[:, RIGID], face[RIGID])
    head = deposed(points, rotation, scale, shift)
    gap = head[:, 14, 1] - head[:, 13, 1]
    opening = lids_of(head)[0].mean(-1)
    turn = np.linalg.norm(rotation - np.median(rotation, 0), axis=(1, 2))
    calm = (gap <= np.percentile(gap, _GAP) + 1e-9) & (opening >= _OPEN_EYES * np.median(opening))
    still = calm & (turn <= np.median(turn[calm]) + 1e-9) if calm.any() else calm
    return still if still.any() else np.ones(len(points), bool)


def size_px(landmarks: NDArray[np.floating]) -> float:
    """Outer eye corners' distance in px, depth included."""
    return float(np.linalg.norm(landmarks[EYES[1]] - landmarks[EYES[0]]))
