"""Where the eyes look, from the irises and a model of the person's eyeballs.

An eyeball is a sphere behind the lids, as the rig builds it
(`engine.enrol.eyes`); the iris lies on it. Its centre is carried along by the
head, so that what is left of the iris's movement is the eye's own. The
tracker's depth of an iris is not used: the sphere gives it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.rig.topology import IRIS, LID_LOWER, LID_UPPER, SIDES

Floats = NDArray[np.float64]

RADIUS: Final = 0.47
"""Of the eyeball, in widths of the eye: the rig's, so that an avatar's iris goes as far as the person's."""
_DEEPER: Final = 0.12
"""Of the radius: how much deeper than the lids ask for the eyeball lies, as in the rig."""
_CORNERS: Final = [362, 263, 33, 133]
_MOST: Final = 0.85
"""Sine of the largest turn."""
_SIDE_ON_DEG: Final = (22.0, 42.0)
"""Turn of the head from which the farther eye counts less, and at which it does not count at all."""
_VERGENCE_DEG: Final = (-4.0, 12.0)
"""By how much the right eye may be turned further to the person's left than the left one."""
_STILL_DEG: Final = 2.5
"""Movements smaller than this are mostly noise while an eye rests on something; larger ones are followed at once."""
_STILL_S: Final = 0.09


@dataclass(frozen=True, slots=True, eq=False)
class Eyeballs:
    """A person's eyes, left before right.

    Attributes:
        centre: float64[2, 3] in the head's frame, in u.
        radius: float64[2] in u.
        corners: float64[4, 3]: the eyes' corners, two each, likewise.
    """

    centre: Floats
    radius: Floats
    corners: Floats

    @classmethod
    def of(cls, face: Floats) -> "Eyeballs":
        """The eyes of a neutral face float64[478, 3] in the head's frame."""
        centres: list[Floats] = []
        radii: list[float] = []
        for side in SIDES:
            rim = face[[*LID_UPPER[side], *LID_LOWER[side][1:-1]]]
            corners = rim[[0, 8]]
            radius = RADIUS * float(np.linalg.norm(corners[1] - corners[0]))
            x, y = 0.5 * (rim[:, :2].mean(0) + corners[:, :2].mean(0))
            reach = np.hypot(rim[:, 0] - x, rim[:, 1] - y)
            z = np.percentile(rim[:, 2] - np.sqrt(np.maximum(radius**2 - reach**2, 0)), 10) - _DEEPER * radius
            centres.append(np.array([x, y, z]))
            radii.append(radius)
        return cls(np.array(centres), np.array(radii), face[_CORNERS])

    def directions(self, points: Floats, rotation: Floats, scale: float, shift: Floats) -> Floats:
        """float64[2, 2]: degrees to the person's left and up, relative to straight ahead of the head.

        Args:
            points: float64[478, 3] in the camera's frame, px; depths of the irises do not matter.
            rotation: float64[3, 3] of the head, see `engine.face.pose.similarity`.
            scale: px per u.
            shift: float64[3] px.
        """
        irises = points[[IRIS[side] for side in SIDES], :2]
        centre = scale * self.centre @ rotation.T + shift
        # how deep eyes lie in the face is guessed; where their corners are is seen
        centre += (points[_CORNERS] - scale * self.corners @ rotation.T - shift).reshape(2, 2, 3).mean(1)
        away = (irises - centre[:, :2]) / (scale * self.radius)[:, None]
        length = np.hypot(away[:, 0], away[:, 1])
        away *= np.minimum(1.0, _MOST / np.maximum(length, 1e-9))[:, None]
        towards = np.sqrt(1 - (away**2).sum(1))
        own = np.column_stack([away, towards]) @ rotation
        return np.rad2deg(np.column_stack([np.arcsin(np.clip(own[:, 0], -1, 1)), np.arctan2(-own[:, 1], own[:, 2])]))


class GazeFilter:
    """Steadies the gaze: held while lids are shut, one for both eyes where one is hidden, still while it rests."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget where the eyes looked."""
        self._shown: Floats | None = None

    def follow(self, seen_deg: Floats, open_share: Floats, yaw_deg: float, passed_s: float) -> Floats:
        """float64[2, 2]: degrees to the person's left and up of left and right eye.

        Args:
            seen_deg: float64[2, 2], the same as measured.
            open_share: float64[2]: 0 shut, 1 as open as at rest.
            yaw_deg: how far the head is turned, relative to the camera.
            passed_s: since the last picture.
        """
        trust = np.clip((open_share - 0.35) / 0.3, 0, 1) * _in_view(yaw_deg)
        if trust.max() < 1e-3:
            return np.zeros((2, 2)) if self._shown is None else self._shown
        mean = (trust[:, None] * seen_deg).sum(0) / trust.sum()
        both = min(float(trust.min() / trust.max()), 1.0)
        vergence = float(np.clip(seen_deg[1, 0] - seen_deg[0, 0], *_VERGENCE_DEG)) * both
        wanted = np.array([[mean[0] - vergence / 2, mean[1]], [mean[0] + vergence / 2, mean[1]]])
        if self._shown is None:
            self._shown = wanted
            return wanted
        far = float(np.hypot(*(wanted - self._shown).mean(0))) / _STILL_DEG
        slow = 1 - np.exp(-passed_s / _STILL_S)
        share = min(slow + (1 - slow) * min(far, 1.0) ** 2, 1.0) * min(float(trust.max()) * 1.5, 1.0)
        self._shown = wanted = self._shown + share * (wanted - self._shown)
        return wanted


def _in_view(yaw_deg: float) -> Floats:
    """float64[2]: how far left and right eye can be believed at a turn of the head; the nearer one always."""
    near, far = _SIDE_ON_DEG
    share = float(np.clip((far - abs(yaw_deg)) / (far - near), 0, 1))
    return np.array([share if yaw_deg > 0 else 1.0, share if yaw_deg < 0 else 1.0])


class EyeContact:
    """Turns the gaze to the lens while the person looks at their screen.

    Looking at the screen is a cone about a direction that is learned: where
    head and eyes together point most of the time. Within the inner cone the
    gaze is put on the lens, beyond the outer one it is left as it is.
    """

    INNER_DEG: Final = 9.0
    OUTER_DEG: Final = 18.0
    _EASE_S: Final = 0.12
    _LEARN_DEG_S: Final = 0.8
    _LEARN_LIMIT_DEG: Final = 14.0

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget where the screen is."""
        self._screen = np.zeros(2)
        self._share = 0.0

    def correct(self, gaze_deg: Floats, head_deg: Floats, passed_s: float, *, wanted: bool) -> Floats:
        """float64[2, 2]: the gaze to show.

        Args:
            gaze_deg: float64[2, 2], of the eyes in the head.
            head_deg: float64[2], yaw and pitch of the head from neutral.
            passed_s: since the last picture.
            wanted: whether to correct; the screen is learned in any case.
        """
        looks = gaze_deg.mean(0) + head_deg
        away = looks - self._screen
        off = float(np.hypot(away[0], away[1]))
        if off < self._LEARN_LIMIT_DEG:
            self._screen = self._screen + away / max(off, 1.0) * min(self._LEARN_DEG_S * passed_s, off)
        t = min(max((self.OUTER_DEG - off) / (self.OUTER_DEG - self.INNER_DEG), 0.0), 1.0)
        share = t * t * (3 - 2 * t) if wanted else 0.0
        self._share += (1 - float(np.exp(-passed_s / self._EASE_S))) * (share - self._share)
        return gaze_deg + self._share * (-head_deg - gaze_deg)
