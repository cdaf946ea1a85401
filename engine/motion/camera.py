"""What a camera saw of a person, as motion on the grid."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import ARKIT, CHANNELS, GROUP_OF, GROUPS, POSE, Channel, Motion
from engine.face.reader import Reading
from engine.timeline import MOTION_RATE_HZ, MOTION_STEP, SAMPLE_RATE_HZ

Floats = NDArray[np.float32]

MISSING_S: Final = 0.1
"""Without a new reading for this long the camera has nothing more to say. A compositor then eases over in 0.4 s at most."""
SLOWEST_S: Final = 0.2
"""The same for a camera that is itself slow (10 to 15 pictures a second in a dark room): three of its periods, up to this."""
BRIDGE_S: Final = 0.24
"""Look-ahead for a file, and the longest gap between its readings that is bridged."""
PREDICT_S: Final = 0.06
"""How far the head and the eyes are taken to go on as they went, after the instant of the newest reading."""

_STEP_S: Final = 1 / MOTION_RATE_HZ
_BACKLOG_S: Final = 2.0  # readings of a live camera that nobody asks for
_AGAIN_S: Final = 0.15  # time constant with which a face that is found again is caught up with
_FORGET_S: Final = 0.6  # after so long without a face there is nothing to go on from
_CATCH_S: Final = {"lips": 0.012, "expression": 0.03, "lids": 0.008, "gaze": 0.010, "pose": 0.025}
"""Time constants with which a new reading is caught up with: short for what is quick, longer than the grid for the head."""
_SLOW: Final = {"gaze": 0.4, "yaw": 12.0, "pitch": 12.0, "roll": 12.0, "tx": 0.1, "ty": 0.1, "tz": 0.1}
"""Speeds per second at which half of a movement is taken to go on; slower ones are mostly the tracker's noise."""
_FARTHEST: Final = {"gaze": 0.15, "yaw": 5.0, "pitch": 5.0, "roll": 5.0, "tx": 0.05, "ty": 0.05, "tz": 0.05}
"""By how much they are taken to go on at most: a reading that is far off is none to go on from."""
_FAST: Final = 2.5  # eyeLook* per second: a saccade, which ends as suddenly as it began
_POSE_LIMIT: Final = {"yaw": 60.0, "pitch": 45.0, "roll": 60.0, "tx": 1.5, "ty": 1.5, "tz": 1.5}

_LOW: Final[Floats] = np.array([-_POSE_LIMIT[n] if n in POSE else 0.0 for n in CHANNELS], np.float32)
_HIGH: Final[Floats] = np.array([_POSE_LIMIT.get(n, 1.0) for n in CHANNELS], np.float32)
_KEPT: Final[Floats] = np.exp(-_STEP_S / np.array([_CATCH_S[GROUPS[int(g)]] for g in GROUP_OF])).astype(np.float32)
_KEPT_AGAIN: Final = np.float32(np.exp(-_STEP_S / _AGAIN_S))


def _by_channel(table: Mapping[str, float], others: float) -> Floats:
    """float32[58]: entries by channel or, failing that, by its group."""
    return np.array([table.get(n, table.get(GROUPS[int(GROUP_OF[i])], others)) for i, n in enumerate(CHANNELS)], np.float32)


_PREDICTED: Final = _by_channel(_SLOW, np.inf)
_PREDICTED_MOST: Final = _by_channel(_FARTHEST, 0.0)
_GAZE: Final = [Channel[n] for n in ARKIT if n.startswith("eyeLook")]


@dataclass(frozen=True, slots=True, eq=False)
class _At:
    """A reading: the instant it depicts and the step from which it could be shown."""

    sample: int
    known: int
    values: Floats
    confidence: Floats


class CameraSource:
    """Readings of a camera, or of a clip, as motion: `push` what `FaceReader` returns, `advance` to get motion.

    A live camera is shown at its newest: the motion at an instant is that of
    the last reading up to it; head and eyes go on for at most `PREDICT_S` as
    they went. Each reading is caught up with over a step or two, so that the
    camera's period does not show on the grid.

    The instants of a file are known beforehand: between two readings motion
    is interpolated. Push what lies up to `look_ahead` beyond an instant
    before asking for it.

    When readings stop coming, or say that they see nothing, the last values
    are held and the confidence falls to 0 within `MISSING_S`; when they come
    back, motion goes on from the values held.

    Laws: see `engine.contract.motion.MotionSource`, where a reading counts as input at the instant it depicts.

    Args:
        timed: readings come from a file: exact instants, known ahead.
    """

    def __init__(self, *, timed: bool = False) -> None:
        self._timed = timed
        self.reset()

    @property
    def look_ahead(self) -> int:
        """Samples by which readings must be ahead of the motion: 0 for a live camera, `BRIDGE_S` for a file."""
        return round(BRIDGE_S * SAMPLE_RATE_HZ) if self._timed else 0

    def push(self, reading: Reading, sample: int) -> None:
        """Take a reading of the picture that was taken at `sample` of the media clock.

        What is older than a reading already taken, or is not finite, is left
        out; values outside a channel's range are clamped to it.
        """
        values, confidence = reading.values, reading.confidence
        if sample <= self._newest or not (np.isfinite(values).all() and np.isfinite(confidence).all()):
            return
        self._newest = sample
        clamped = np.clip(values, _LOW, _HIGH).astype(np.float32)
        known = max(-(-sample // MOTION_STEP) * MOTION_STEP, self._next)
        self._coming.append(_At(sample, known, clamped, np.clip(confidence, 0, 1).astype(np.float32)))
        if not self._timed:
            while self._coming[0].sample < sample - _BACKLOG_S * SAMPLE_RATE_HZ:
                self._coming.popleft()

    def advance(self, until_sample: int) -> list[Motion]:
        """See `MotionSource.advance`."""
        motions: list[Motion] = []
        while self._next <= until_sample:
            motions.append(self._step(self._next))
            self._next += MOTION_STEP
        return motions

    def reset(self, sample: int = 0) -> None:
        """See `MotionSource.reset`."""
        self._next = -(-sample // MOTION_STEP) * MOTION_STEP
        self._newest = sample - 1
        self._coming: deque[_At] = deque()
        self._last: _At | None = None
        self._speed = np.zeros(len(CHANNELS), np.float32)
        self._period = 0.0
        self._shown = np.zeros(len(CHANNELS), np.float32)
        self._behind = np.zeros(len(CHANNELS), np.float32)
        self._kept = _KEPT
        self._absent = np.inf  # seconds without a face

    def _step(self, now: int) -> Motion:
        while self._coming and self._coming[0].sample <= now:
            self._take(self._coming.popleft())
        values, confidence = self._bridged(now) if self._timed else self._newest_at(now)
        if confidence.any():
            if self._absent > 0:
                self._find_again(values)
            self._absent = 0.0
            self._behind *= self._kept
            if self._kept is not _KEPT and float(np.abs(self._behind).max()) < 1e-3:
                self._kept = _KEPT
            self._shown = np.clip(values + self._behind, _LOW, _HIGH).astype(np.float32)
        else:
            self._absent += _STEP_S
        return Motion(now, self._shown.copy(), confidence)

    def _take(self, new: _At) -> None:
        """Make a reading the last one; what is shown goes on from where it was."""
        old, self._last = self._last, new
        if self._timed or old is None:
            return
        span_s = (new.sample - old.sample) / SAMPLE_RATE_HZ
        interval_s = (new.known - old.known) / SAMPLE_RATE_HZ
        if interval_s < SLOWEST_S:
            self._period += 0.2 * (interval_s - self._period)
        before = self._predicted(old, new.known)
        if span_s < SLOWEST_S:
            self._speed += 0.5 * ((new.values - old.values) / np.float32(span_s) - self._speed)
        else:
            self._speed[:] = 0
        self._behind += before - self._predicted(new, new.known)

    def _predicted(self, at: _At, now: int) -> Floats:
        """float32[58]: where the newest reading leads to by `now`."""
        size = np.abs(self._speed)
        speed = self._speed * size / (size + _PREDICTED)
        speed[_GAZE] *= size[_GAZE] < _FAST
        ahead_s = min((now - at.sample) / SAMPLE_RATE_HZ, PREDICT_S)
        return at.values + np.clip(speed * ahead_s, -_PREDICTED_MOST, _PREDICTED_MOST).astype(np.float32)

    def _newest_at(self, now: int) -> tuple[Floats, Floats]:
        """Values and confidence of a live camera at a step."""
        last = self._last
        if last is None:
            return self._shown, np.zeros(len(GROUPS), np.float32)
        patience_s = min(max(1.6 * self._period, MISSING_S), SLOWEST_S)
        if now - last.known > patience_s * SAMPLE_RATE_HZ:
            return self._shown, np.zeros(len(GROUPS), np.float32)
        return self._predicted(last, now), last.confidence

    def _bridged(self, now: int) -> tuple[Floats, Floats]:
        """Values and confidence of a file at a step."""
        last, bridge, near = self._last, BRIDGE_S * SAMPLE_RATE_HZ, MISSING_S * SAMPLE_RATE_HZ
        coming = self._coming[0] if self._coming and self._coming[0].sample <= now + bridge else None
        if last and coming and coming.sample - last.sample <= bridge:
            w = (now - last.sample) / (coming.sample - last.sample)
            values = last.values + w * (coming.values - last.values)
            return values.astype(np.float32), (last.confidence + w * (coming.confidence - last.confidence)).astype(np.float32)
        if last and now - last.sample <= near:
            return last.values, last.confidence
        if coming and coming.sample - now <= near:
            return coming.values, coming.confidence
        return self._shown, np.zeros(len(GROUPS), np.float32)

    def _find_again(self, values: Floats) -> None:
        """Go on from the values held, if they are not too old."""
        if self._absent > _FORGET_S:
            self._behind, self._kept = np.zeros(len(CHANNELS), np.float32), _KEPT
        else:
            self._behind = self._shown - values
            self._kept = np.full(len(CHANNELS), _KEPT_AGAIN, np.float32)
