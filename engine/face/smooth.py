"""A face in a video without the jitter that comes from finding it anew in every picture.

The head's place and turn, and the face's shape in the head's own frame, are
smoothed apart. Each follows what is seen the closer, the farther that is from
what was expected: what moves by no more than a landmark network errs from
picture to picture is averaged over time, and what moves farther is taken as
it is seen, so that it comes late by a fraction of a picture.
"""

import math
from functools import cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.pose import EYES, RIGID, similarity
from engine.face.tracker import LANDMARKS
from engine.rig.topology import POINTS, face_triangles

Floats = NDArray[np.float64]

STILL_HZ: Final = 0.5
"""Cut-off of what does not move."""
NOISE_U: Final = (0.0006, 0.002, 0.012)
"""What a landmark errs by from picture to picture at least, before it is known, and at most; in u (outer eye corners)."""
NOISE_HZ: Final = 0.3
"""Cut-off of the estimate of that noise."""
HEAD_MOVES: Final = (0.8, 3.2)
"""Steps off what was expected, in noises, from which the head moves a little, and from which surely."""
FACE_MOVES: Final = (1.8, 5.0)
"""Likewise for a patch of skin in the head's frame."""
SPEED_HZ: Final = 1.0
"""Cut-off of the head's speed, which tells where it is expected next."""
SLOW: Final = 0.02
"""Speed in u per s, below which the head is expected to stay where it is."""
GAP_S: Final = 0.3
"""What was seen longer ago says nothing of now."""
IRIS_POINTS: Final = 5
_CALM: Final = LANDMARKS // 4  # of the patches of a face, that many hardly move even in speech
_ALMOST: Final = 0.9  # share of what is seen that is taken at most


class Smoother:
    """Smooths one face's landmarks; its output depends on the instants, not on the rate of the pictures."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """As new."""
        self._template: Floats | None = None
        self._time = -np.inf
        self._noise = NOISE_U[1]

    def smooth(self, landmarks: NDArray[np.floating], time_s: float) -> NDArray[np.float32]:
        """float32[478, 3]: the landmarks float[478, 3] in px seen at `time_s`, which only grows, without jitter."""
        seen = landmarks.astype(np.float64)
        after, self._time = time_s - self._time, time_s
        if self._template is None or not 0 < after <= GAP_S:
            return self._begin(seen)
        rotation, scale, shift = similarity(seen[None, RIGID], self._template[RIGID])
        pose = np.concatenate([_vector(rotation[0]), np.log(scale), shift[0] / self._u])
        shape = (seen - shift[0]) @ rotation[0] / scale[0]
        self._learn_noise(shape, after)
        self._follow_head(pose, after)
        self._follow_face(shape, after)
        return self._placed(self._pose, self._shape)

    def expected(self, time_s: float) -> NDArray[np.float32] | None:
        """float32[478, 3] px: where the face will be at `time_s`; None without a face that was seen just before."""
        after = time_s - self._time
        if self._template is None or not 0 <= after <= GAP_S:
            return None
        return self._placed(self._pose + after * self._speed, self._shape)

    def _begin(self, seen: Floats) -> NDArray[np.float32]:
        centre = seen[RIGID].mean(0)
        self._u = max(float(np.linalg.norm(seen[EYES[0]] - seen[EYES[1]])), 1.0)
        self._shape = (seen - centre) / self._u
        self._template = self._shape.copy()
        self._pose = np.concatenate([np.zeros(3), [np.log(self._u)], centre / self._u])
        self._speed = np.zeros(7)
        self._before = (self._shape, self._shape)
        return seen.astype(np.float32)

    def _placed(self, pose: Floats, shape: Floats) -> NDArray[np.float32]:
        return (np.exp(pose[3]) * shape @ _matrix(pose[:3]).T + pose[4:] * self._u).astype(np.float32)

    def _learn_noise(self, shape: Floats, after: float) -> None:
        """By second differences of the calmer parts of the face: of white noise their variance is six times its own."""
        older, old = self._before
        calm = np.partition(_over_patches(shape - 2 * old + older), _CALM)[_CALM]
        found = math.sqrt(calm / 6)
        self._noise += _share(NOISE_HZ, after) * (min(max(found, NOISE_U[0]), NOISE_U[2]) - self._noise)
        self._before = old, shape

    def _follow_head(self, pose: Floats, after: float) -> None:
        """Pose: a turn as a vector, the logarithm of the scale, and the place in u."""
        expected = self._pose + after * _without_slow(self._speed, SLOW)
        off = pose - expected
        moves = _ramp(np.linalg.norm(off[:6] * _AS_DISTANCE) / self._noise, HEAD_MOVES)
        taken = _share(STILL_HZ, after) + (_ALMOST - _share(STILL_HZ, after)) * moves
        before = self._pose
        self._pose = expected + taken * off
        self._pose[6] = before[6] + _share(STILL_HZ, after) * (
            pose[6] - before[6]
        )  # depth says nothing that the scale does not
        self._speed += _share(SPEED_HZ, after) * ((self._pose - before) / after - self._speed)

    def _follow_face(self, shape: Floats, after: float) -> None:
        off = shape - self._shape
        patch = np.sqrt(_over_patches(off))
        still = _share(STILL_HZ, after)
        self._shape += (still + (_ALMOST - still) * _ramp(patch / self._noise, FACE_MOVES))[:, None] * off


_AS_DISTANCE: Final = np.array([0.5, 0.5, 0.5, 0.5, 1.0, 1.0])
"""How far a face's points move, in u, with a radian of turn, with a growth by e, and with a shift by u."""


def _share(cutoff_hz: float, after: float) -> float:
    """Share of the way to a new value that a low-pass filter goes in `after` s."""
    return 1 - math.exp(-2 * math.pi * cutoff_hz * after)


def _ramp(value: float | np.floating | Floats, ends: tuple[float, float]) -> Floats:
    return np.clip((np.asarray(value, np.float64) - ends[0]) / (ends[1] - ends[0]), 0, 1)


def _without_slow(speed: Floats, slow: float) -> Floats:
    size = float(np.linalg.norm(speed[:6] * _AS_DISTANCE))
    return speed * max(0.0, 1 - slow / max(size, 1e-9))


def _vector(rotation: Floats) -> Floats:
    return cv2.Rodrigues(rotation)[0].ravel().astype(np.float64)


def _matrix(vector: Floats) -> Floats:
    return cv2.Rodrigues(vector)[0].astype(np.float64)


def _over_patches(moves: Floats) -> NDArray[np.float32]:
    """float32[478]: the mean square of moves float64[478, 3] across the picture, over the patch about each point."""
    x, y = moves[:, 0].astype(np.float32), moves[:, 1].astype(np.float32)
    return np.asarray(_patches() @ (x * x + y * y), np.float32)


@cache
def _patches() -> NDArray[np.float32]:
    """float32[478, 478]: what averages over each point and those up to two edges away; an iris is a patch of its own."""
    near = np.eye(LANDMARKS)
    triangles = face_triangles()
    for a, b in ((0, 1), (1, 2), (2, 0)):
        near[triangles[:, a], triangles[:, b]] = near[triangles[:, b], triangles[:, a]] = 1
    for first in range(POINTS, LANDMARKS, IRIS_POINTS):
        near[first : first + IRIS_POINTS, first : first + IRIS_POINTS] = 1
    near = near @ near
    return (near / near.sum(1, keepdims=True)).astype(np.float32)
