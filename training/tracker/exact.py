"""Where the landmarks of a drawn face are, and how it was really moved."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import GAZE_RANGE_DEG, POSE, Channel, Motion, gaze_controls
from engine.render.mesh import Canvas
from engine.rig.avatar import Avatar
from engine.rig.controls import GAZE_LIMIT_DEG, SHIFT_LIMIT_U, drive, ease_to_limit

FREE_DEG: Final = (45.0, 30.0, 33.0)
"""Yaw, pitch and roll up to which a freed avatar turns one to one."""
_LINEAR: Final = 0.6  # share of a limit that `ease_to_limit` leaves alone


def freed(avatar: Avatar) -> Avatar:
    """The same portrait, allowed to turn further than its looks can bear."""
    yaw, pitch, roll = (degrees / _LINEAR for degrees in FREE_DEG)
    return replace(avatar, rotation_limit_deg=(yaw, pitch, roll))


def reached(avatar: Avatar, asked: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[58]: the controls float32[58] with what the avatar's limits leave of turns, shifts and gaze."""
    out, motion = asked.copy(), motion_of(asked)
    for name, limit in zip(POSE, (*avatar.rotation_limit_deg, *(3 * [SHIFT_LIMIT_U])), strict=True):
        out[Channel[name]] = ease_to_limit(motion[name], limit)
    for side in ("Left", "Right"):
        left, up = (ease_to_limit(v, most) for v, most in zip(motion.gaze_deg(side), GAZE_LIMIT_DEG, strict=True))
        for name, value in gaze_controls(left, up).items():
            if name.endswith(side):
                out[Channel[name]] = value
    return out


def motion_of(values: NDArray[np.float32]) -> Motion:
    """The motion of controls float32[58], at sample 0."""
    return replace(Motion.of(), values=values.astype(np.float32, copy=True))


class Drawn:
    """Draws an avatar at one size, and says exactly where its landmarks are."""

    def __init__(self, avatar: Avatar, canvas: Canvas) -> None:
        self._avatar, self._canvas = avatar, canvas
        rest = self._at(np.zeros(len(Channel), np.float32))[0]
        # The portrait is drawn deeper than the teacher saw it (engine.enrol.depth); the difference, px of the picture:
        self._excess = rest[:, 2] - avatar.landmarks[:, 2] * canvas.scene.scale

    def _at(self, values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        how = drive(self._avatar, motion_of(values))
        self._canvas.draw(how)
        points = self._canvas.landmarks()
        points[:, 2] *= self._canvas.scene.scale
        return points, how.head

    def draw(self, asked: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
        """A picture under controls float32[58].

        Returns:
            uint8[size, size, 3], valid until the next call; float32[478, 3] px, whose z is as deep as the teacher sees
            faces, mean 0 over the skin; and float32[478] px, the depth that was really drawn.
        """
        points, head = self._at(asked)
        drawn = points[:, 2].copy()
        points[:, 2] -= head[2, 2] * self._excess
        points[:, 2] -= points[:468, 2].mean()
        return self._canvas.rgb, points, drawn


def gaze_deg(motion: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[N, 2, 2]: of motions float32[N, 58] as `reached`, each eye's (left, right) turn in degrees left and up."""
    out = np.empty((len(motion), 2, 2), np.float32)
    for i, side in enumerate(("Left", "Right")):
        inward, outward, up, down = (motion[:, Channel[f"eyeLook{d}{side}"]] for d in ("In", "Out", "Up", "Down"))
        out[:, i, 0] = (outward - inward) if side == "Left" else (inward - outward)
        out[:, i, 1] = up - down
    return out * np.float32(GAZE_RANGE_DEG)
