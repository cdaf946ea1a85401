"""A face to judge on: what controls do to the lips of one real person, by the rig that every avatar has."""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import GROUPS, Motion
from engine.rig.avatar import Avatar
from engine.rig.controls import drive
from engine.rig.shapes import build_rig
from engine.rig.topology import LIP_LOWER, LIP_LOWER_OUTER, LIP_UPPER, LIP_UPPER_OUTER, POINTS, face_triangles

LIPS: Final = np.array(sorted({*LIP_UPPER, *LIP_LOWER, *LIP_UPPER_OUTER, *LIP_LOWER_OUTER}))
"""The 40 points of MediaPipe's mesh on the outer and inner rims of the lips."""

_UPPER, _LOWER = int(np.searchsorted(LIPS, 13)), int(np.searchsorted(LIPS, 14))
_SCALE: Final = 125.0
"""px per u that the rig is built with: its smallest lengths are in px of the mesh renderer's frame."""
_SURE: Final = np.ones(len(GROUPS), np.float32)


class Face:
    """The lips of a person under controls, without head motion.

    Args:
        neutral: float32[478, 3] in u, head's own frame (see `training.data.tracks.Track`).
    """

    def __init__(self, neutral: NDArray[np.float32]) -> None:
        points = neutral[:POINTS].astype(np.float64) * _SCALE
        shapes = build_rig(points, face_triangles(), mouth_open=False).shapes
        self._avatar = _nobody(tuple(shapes))
        self._deltas = np.stack([field[LIPS] for field in shapes.values()]).astype(np.float32) / np.float32(_SCALE)
        self.rest = neutral[LIPS].astype(np.float32)
        """float32[40, 3]: the lips at rest, in u."""

    def lips(self, controls: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32[M, 40, 3] in u: places of `LIPS` under controls float32[M, 58]."""
        weights = np.array([drive(self._avatar, Motion(0, values, _SURE)).weights for values in controls])
        moved = weights.astype(np.float32) @ self._deltas.reshape(len(self._deltas), -1)
        return (self.rest + moved.reshape(len(controls), *self.rest.shape)).astype(np.float32)

    def gap(self, lips: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32[M] in u: how far the middle of the inner lips is open beyond the rest; never negative."""
        return np.maximum(opening(lips) - opening(self.rest[None]), 0)


def face_of(neutral: NDArray[np.float32]) -> Face:
    """The face of neutral landmarks; the last few are kept, for many clips are one person's."""
    return _kept(neutral.tobytes(), neutral.shape)


@lru_cache(maxsize=16)
def _kept(data: bytes, shape: tuple[int, ...]) -> Face:
    return Face(np.frombuffer(data, np.float32).reshape(shape))


def opening(lips: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[M] in u: the inner lips' distance in the middle, down the face, of lips float32[M, 40, 3]; see `Track.gap`."""
    return lips[:, _LOWER, 1] - lips[:, _UPPER, 1]


def _nobody(shapes: tuple[str, ...]) -> Avatar:
    """An avatar of nothing but names of shapes: what `engine.rig.controls.drive` asks for."""
    none = np.zeros((0, 3), np.float32)
    return Avatar(
        vertices=none,
        shapes=shapes,
        deltas=np.zeros((len(shapes), 0, 3), np.float32),
        uv=none[:, :2],
        shade=none,
        triangles=none.astype(np.int32),
        part=np.zeros(0, np.uint8),
        head_weight=np.zeros(0, np.float32),
        pivot=np.zeros(3, np.float32),
        eyes={},
        texture=np.zeros((1, 1, 4), np.uint8),
        overlays=(),
        background=np.zeros((1, 1, 3), np.uint8),
        landmarks=np.zeros((478, 3), np.float32),
        eye_distance=1.0,
        rotation_limit_deg=(0.0, 0.0, 0.0),
    )
