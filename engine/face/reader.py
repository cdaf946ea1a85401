"""From the landmarks of a followed face to the controls of a face."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import CHANNELS, GROUPS, POSE, Channel, gaze_controls
from engine.face.expression import ExpressionFit, Fitted
from engine.face.gaze import EyeContact, GazeFilter
from engine.face.nod import NodFilter
from engine.face.openings import LidReader, lids_of
from engine.face.pose import RIGID, angles, similarity
from engine.face.rest import PRESSED_S, Learning, Rest, place_of, size_px, unprojected
from engine.face.stream import Seen
from engine.face.talk import SpeechFilter
from engine.rig.topology import SIDES

Floats = NDArray[np.float64]

WEBCAM_DEG: Final = 62.0
"""Horizontal field of view of a common webcam."""

_GRACE_S: Final = 0.07
"""A face that is missing in a picture or two is still taken to be there."""
_RAMP_S: Final = 0.2
"""In which a face that is found again is trusted again."""
_SCORES: Final = (0.3, 0.7)
_SIZES_PX: Final = (12.0, 28.0)
"""Distance of the outer eye corners at which a face tells nothing, and from which it is as good as any."""
_TURNS_DEG: Final = (40.0, 62.0)
"""Turn away from the camera up to which all of a face is believed, and at which only its pose is."""
_RESIDUALS_U: Final = (0.035, 0.08)
"""What no expression explains: a hand before the face, or a tracker that is lost."""
_POSE: Final = [Channel[name] for name in POSE]
_PER_EYE: Final = ("eyeBlink", "eyeSquint", "eyeWide")
_EYE_CHANNELS: Final = {name: [Channel[name + side] for side in SIDES] for name in _PER_EYE}


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a person's face does in one picture.

    Attributes:
        values: float32[58], see `engine.contract.motion.CHANNELS`; relative to the person's neutral face, pose and gaze.
        confidence: float32[5] in 0..1, one per entry of `GROUPS`; all 0 where there is no face.
    """

    values: NDArray[np.float32]
    confidence: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class _Head:
    """A face in its picture: `points` float64[478, 3] as `unprojected`, `own` the same in the head's frame, and the pose."""

    points: Floats
    own: Floats
    rotation: Floats
    scale: float
    shift: Floats
    place: Floats


class FaceReader:
    """Reads one person's face, picture by picture; learns their neutral face, pose and gaze while it does.

    The first face seen counts as neutral at once; it is replaced by the
    median of calm pictures (lips closed, eyes open, head still) after half a
    second, one second and two; then it drifts slowly towards the person at
    rest, so that a bad start heals. Readings are relative to it. No clock:
    time is `Seen.time_s`.

    Args:
        lips_from_voice: see the attribute.
        eye_contact: see the attribute.
        field_of_view_deg: horizontal, of the camera; a webcam's if nothing else is known.

    Attributes:
        lips_from_voice: a voice moves the lips: what of smile, frown and cheeks comes and goes with syllables is left out.
        eye_contact: while the person looks at their screen the gaze is turned to the lens.
    """

    def __init__(
        self, *, lips_from_voice: bool = False, eye_contact: bool = False, field_of_view_deg: float = WEBCAM_DEG
    ) -> None:
        self.lips_from_voice, self.eye_contact = lips_from_voice, eye_contact
        self._view = np.deg2rad(field_of_view_deg)
        self._learning, self._lids = Learning(), LidReader()
        self._gaze, self._contact = GazeFilter(), EyeContact()
        self._speech, self._nod = SpeechFilter(), NodFilter()
        self.reset()

    @property
    def calibrated(self) -> float:
        """0..1: how much of the neutral face has been learned; 1 also after `take_neutral` and `calibrate`."""
        return self._learning.share

    def read(self, seen: Seen, width: int, height: int) -> Reading:
        """What the face does in the next picture, `width` by `height` px; without a face the last values and no confidence."""
        if seen.face is None:
            return self._missing(seen.time_s)
        passed_s = min(max(seen.time_s - self._time_s, 0.005), 0.25)
        self._focal_px = self._focal(width)
        points = unprojected(seen.face.landmarks, width, height, self._focal_px)
        if self._learning.add(seen.time_s, points):
            self._learn(Rest.of(self._learning.pictures(), self._focal_px))
        head, fitted = self._headed(points)
        self._values = self._measure(head, fitted, seen.time_s, passed_s)
        self._trusted = self._trust(seen, size_px(seen.face.landmarks), head, fitted)
        self._drift(head, passed_s)
        self._time_s = seen.time_s
        return Reading(self._values.astype(np.float32), self._trusted.astype(np.float32))

    def take_neutral(self) -> bool:
        """Make the mean face, pose and gaze of the last half second the neutral ones; False if no face was seen in it."""
        pictures = self._learning.pictures(PRESSED_S)
        if not len(pictures):
            return False
        self._learning.settle()
        self._learn(Rest.of(pictures, self._focal_px, calm=False))
        return True

    def calibrate(
        self,
        landmarks: NDArray[np.floating],
        width: int,
        height: int,
        *,
        neutral: NDArray[np.floating] | None = None,
    ) -> None:
        """Learn the person from pictures known beforehand, such as those of a clip, instead of while reading.

        Args:
            landmarks: float[T, 478, 3] px, of all pictures that show the face.
            width: of the pictures.
            height: likewise.
            neutral: float[478, 3] px: the face that counts as neutral, for example the picture that was enrolled; the
                median of the calm ones if there is none.
        """
        self._focal_px = self._focal(width)
        known = landmarks if neutral is None else neutral[None]
        self._learn(Rest.of(unprojected(known, width, height, self._focal_px), self._focal_px, calm=neutral is None))
        self._learning.settle()

    def reset(self) -> None:
        """Forget the person; equals new."""
        for part in (self._learning, self._lids, self._gaze, self._contact, self._speech, self._nod):
            part.reset()
        self._rest: Rest | None = None
        self._fit: ExpressionFit | None = None
        self._focal_px = 1.0
        self._values = np.zeros(len(CHANNELS))
        self._trusted = np.zeros(len(GROUPS))
        self._time_s = self._found_s = -np.inf
        self._lost = False

    def _focal(self, width: int) -> float:
        return width / 2 / float(np.tan(self._view / 2))

    def _learn(self, rest: Rest) -> None:
        self._rest, self._fit = rest, ExpressionFit(rest.face)

    def _headed(self, points: Floats) -> tuple[_Head, Fitted]:
        """The pose of the head, and what its face does in it."""
        rest, fit = self._rest, self._fit
        assert rest is not None
        assert fit is not None
        rotations, scales, shifts = similarity(points[None, RIGID], rest.face[RIGID])
        rotation, scale, shift = rotations[0], float(scales[0]), shifts[0]
        own = (points - shift) @ rotation / scale
        fitted = fit.fit(own[:468] - rest.face[:468])
        place = place_of(rotation, scale, shift, rest.face, self._focal_px)
        return _Head(points, own, rotation, scale, shift, place), fitted

    def _measure(self, head: _Head, fitted: Fitted, time_s: float, passed_s: float) -> Floats:
        """float64[58]: all channels."""
        rest = self._rest
        assert rest is not None
        values = fitted.values
        moved = head.place - rest.place
        pose = np.array([*rest.angles_deg(head.rotation), moved[0], -moved[1], moved[2]])
        opened = _gap(head.own) - _gap(rest.face)
        pose[1] = self._nod.follow(float(pose[1]), opened, passed_s)
        values[_POSE] = pose
        lids = lids_of(head.own)
        seen = rest.eyeballs.directions(head.points, head.rotation, head.scale, head.shift) - rest.gaze_deg
        open_share = self._lids.open_share(lids, rest.lids)
        facing = float(angles(head.rotation)[0])
        gaze = self._gaze.follow(seen, open_share, facing, passed_s)
        eyes = self._lids.read(lids, rest.lids, float(gaze[:, 1].mean()), time_s, passed_s)
        for name, pair in zip(_PER_EYE, eyes, strict=True):
            values[_EYE_CHANNELS[name]] = pair
        shown = self._contact.correct(gaze, pose[:2], passed_s, wanted=self.eye_contact)
        for side, (left_deg, up_deg) in zip(SIDES, shown.tolist(), strict=True):
            for name, value in gaze_controls(left_deg, up_deg).items():
                if name.endswith(side):
                    values[Channel[name]] = min(value, 1.0)
        steady = self._speech.follow(values, time_s, passed_s)
        return steady if self.lips_from_voice else values

    def _trust(self, seen: Seen, u_px: float, head: _Head, fitted: Fitted) -> Floats:
        """float64[5]: how far each group can be believed."""
        assert seen.face is not None
        if self._lost or seen.time_s - self._time_s > _RAMP_S + 0.25:
            self._found_s, self._lost = seen.time_s, False
        again = _ramp(seen.time_s - self._found_s + 0.04, 0.0, _RAMP_S)
        sure = _ramp(seen.face.score, *_SCORES) * _ramp(u_px, *_SIZES_PX) * again
        yaw, pitch, _ = angles(head.rotation)
        facing = 1 - _ramp(float(np.hypot(yaw, pitch)), *_TURNS_DEG)
        clear = 1 - _ramp(fitted.residual, *_RESIDUALS_U)
        features = sure * facing * clear
        out = np.full(len(GROUPS), features)
        out[GROUPS.index("pose")] = sure * (0.4 + 0.6 * clear)
        out[GROUPS.index("expression")] *= 0.5 + 0.5 * self.calibrated
        return out

    def _missing(self, time_s: float) -> Reading:
        """No face in this picture: the last values, believed for a picture or two more."""
        away_s = time_s - self._time_s
        self._lost = self._lost or away_s > _GRACE_S
        trusted = np.zeros(len(GROUPS)) if self._lost else self._trusted
        return Reading(self._values.astype(np.float32), trusted.astype(np.float32))

    def _drift(self, head: _Head, passed_s: float) -> None:
        """Let the neutral face follow a calm one; what was given, or is being learned, stays for now."""
        if self.calibrated < 1:
            return
        rest, jaw = self._rest, self._values[Channel["jawOpen"]]
        assert rest is not None
        blinks = self._values[_EYE_CHANNELS["eyeBlink"]].max()
        yaw, pitch, _ = self._values[_POSE[:3]]
        if jaw > 0.12 or blinks > 0.3 or np.hypot(yaw, pitch) > 20 or self._trusted.min() < 0.6:
            return
        gaze = rest.eyeballs.directions(head.points, head.rotation, head.scale, head.shift)
        self._rest = rest.drifted(head.own, head.rotation, head.place, gaze, passed_s)


def _gap(face: Floats) -> float:
    """Distance of the inner lips in u."""
    return float(np.linalg.norm(face[14] - face[13]))


def _ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high` on, straight between."""
    return min(max((value - low) / (high - low), 0.0), 1.0)
