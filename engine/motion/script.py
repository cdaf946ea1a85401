"""Motion by hand: the API and the page's sliders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

import numpy as np

from engine.contract.motion import CHANNELS, GROUPS, Channel, Motion, gaze_controls
from engine.timeline import MOTION_STEP, SAMPLE_RATE_HZ

POSE_RANGE: Final[Mapping[str, float]] = {"yaw": 45.0, "pitch": 45.0, "roll": 45.0, "tx": 0.5, "ty": 0.5, "tz": 0.5}
"""The most, each way, that a script may ask of a pose channel."""

EASE_MS: Final = 250.0

_LOW: Final = np.array([-POSE_RANGE.get(name, 0.0) for name in CHANNELS], np.float32)
_CERTAIN: Final = np.ones(len(GROUPS), np.float32)
_HIGH: Final = np.array([POSE_RANGE.get(name, 1.0) for name in CHANNELS], np.float32)


@dataclass(frozen=True, slots=True)
class Key:
    """Part of a preset: `at_ms` after its start, ease to `controls` within `ease_ms`."""

    at_ms: float
    controls: Mapping[str, float]
    ease_ms: float = EASE_MS


def _both(name: str, value: float) -> dict[str, float]:
    return {f"{name}Left": value, f"{name}Right": value}


_NOTHING: Final[Mapping[str, float]] = {}

PRESETS: Final[Mapping[str, tuple[Key, ...]]] = {
    "neutral": (Key(0, _NOTHING, 400),),
    "smile": (Key(0, _both("mouthSmile", 0.45) | _both("cheekSquint", 0.25) | _both("eyeSquint", 0.12)),),
    "happy": (
        Key(0, _both("mouthSmile", 0.8) | _both("cheekSquint", 0.55) | _both("eyeSquint", 0.3) | _both("browOuterUp", 0.15)),
    ),
    "sad": (
        Key(0, _both("mouthFrown", 0.5) | _both("browDown", 0.1) | _both("eyeBlink", 0.12)
            | {"browInnerUp": 0.6, "mouthShrugLower": 0.25, "pitch": -4.0}, 500),
    ),
    "surprised": (Key(0, _both("browOuterUp", 0.7) | _both("eyeWide", 0.6) | {"browInnerUp": 0.7, "jawOpen": 0.22}, 150),),
    "thoughtful": (
        Key(0, gaze_controls(9, 8) | _both("browDown", 0.3) | _both("mouthPress", 0.25)
            | {"mouthLeft": 0.12, "roll": 3.0, "yaw": 4.0}, 450),
    ),
    "look_left": (Key(0, gaze_controls(18, 0) | {"yaw": 6.0}),),
    "look_right": (Key(0, gaze_controls(-18, 0) | {"yaw": -6.0}),),
    "look_up": (Key(0, gaze_controls(0, 13) | {"pitch": 4.0}),),
    "look_down": (Key(0, gaze_controls(0, -14) | {"pitch": -4.0}),),
    "nod": (
        Key(0, {"pitch": -6.0}, 200), Key(220, {"pitch": 2.0}, 220), Key(460, {"pitch": -4.0}, 220), Key(700, {"pitch": 0.0}),
    ),
    "shake": (
        Key(0, {"yaw": 7.0}, 200), Key(220, {"yaw": -7.0}, 280), Key(520, {"yaw": 5.0}, 260), Key(800, {"yaw": 0.0}, 300),
    ),
    "wink": (
        Key(0, {"eyeBlinkLeft": 1.0, "eyeSquintLeft": 0.4, "mouthSmileLeft": 0.3, "cheekSquintLeft": 0.4}, 90),
        Key(260, {"eyeBlinkLeft": 0.0, "eyeSquintLeft": 0.0, "mouthSmileLeft": 0.0, "cheekSquintLeft": 0.0}, 160),
    ),
}  # fmt: skip
"""What the page's buttons do. An expression or a look replaces the one before it; "nod", "shake" and "wink" are gestures
that leave the rest alone."""

GESTURES: Final = frozenset({"nod", "shake", "wink"})
MAX_PENDING: Final = 1024  # keys that wait for their instant; the oldest give way


class ScriptSource:
    """Channels set by hand, each eased from where it is; what was never set is 0.

    Made to be laid on top of other sources: 0 changes nothing there, so its confidence is always 1.

    Instants in the past take effect at the next step.
    """

    def __init__(self) -> None:
        self.reset()

    @property
    def look_ahead(self) -> int:
        """0: a command acts at its instant."""
        return 0

    def set(self, controls: Mapping[str, float], *, sample: int = 0, ease_ms: float = EASE_MS) -> None:
        """Ease channels to values from `sample` on; values outside a channel's range are clamped to it.

        Raises:
            ValueError: if a channel does not exist or a value is not a finite number.
        """
        for name, value in controls.items():
            if name not in Channel:
                hint = get_close_matches(name, CHANNELS, 1)
                raise ValueError(f"no channel is called {name!r}" + (f"; did you mean {hint[0]!r}?" if hint else ""))
            if not np.isfinite(value):
                raise ValueError(f"{name}: expected a finite number, got {value}")
        if not (np.isfinite(ease_ms) and ease_ms >= 0):
            raise ValueError(f"ease_ms: expected a duration, got {ease_ms}")
        self._pending.append((sample, dict(controls), ease_ms))
        self._pending.sort(key=lambda command: command[0])
        del self._pending[:-MAX_PENDING]

    def look(self, left_deg: float, up_deg: float, *, sample: int = 0, ease_ms: float = 60.0) -> None:
        """Turn both eyes by degrees to the person's left and up."""
        self.set(gaze_controls(left_deg, up_deg), sample=sample, ease_ms=ease_ms)

    def pose(
        self, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0, *, sample: int = 0, ease_ms: float = EASE_MS
    ) -> None:
        """Turn the head by degrees."""
        self.set({"yaw": yaw, "pitch": pitch, "roll": roll}, sample=sample, ease_ms=ease_ms)

    def play(self, preset: str, *, sample: int = 0, strength: float = 1.0) -> None:
        """Play one of `PRESETS`.

        Raises:
            ValueError: if there is no such preset.
        """
        if preset not in PRESETS:
            raise ValueError(f"no preset is called {preset!r}; there are {', '.join(PRESETS)}")
        if preset not in GESTURES:
            self.release(sample=sample)
        for key in PRESETS[preset]:
            controls = {name: value * strength for name, value in key.controls.items()}
            self.set(controls, sample=sample + round(key.at_ms * SAMPLE_RATE_HZ / 1000), ease_ms=key.ease_ms)

    def release(self, *, sample: int = 0, ease_ms: float = 400.0) -> None:
        """Let go of every channel: ease all back to 0."""
        self.set(dict.fromkeys(CHANNELS, 0.0), sample=sample, ease_ms=ease_ms)

    def advance(self, until_sample: int) -> Sequence[Motion]:
        """See `MotionSource`."""
        motions: list[Motion] = []
        while self._next <= until_sample:
            motions.append(self._step(self._next))
            self._next += MOTION_STEP
        return motions

    def reset(self, sample: int = 0) -> None:
        """See `MotionSource`."""
        self._next = -(-sample // MOTION_STEP) * MOTION_STEP
        self._pending: list[tuple[int, dict[str, float], float]] = []
        self._start = np.zeros(len(CHANNELS), np.float32)
        self._goal = np.zeros(len(CHANNELS), np.float32)
        self._now = np.zeros(len(CHANNELS), np.float32)
        self._phase = np.ones(len(CHANNELS), np.float32)  # 0..1 of the way from start to goal
        self._rate = np.ones(len(CHANNELS), np.float32)  # phase per step

    def _step(self, sample: int) -> Motion:
        while self._pending and self._pending[0][0] <= sample:
            _, controls, ease_ms = self._pending.pop(0)
            for name, value in controls.items():
                self._aim(Channel[name], value, ease_ms)
        self._phase = np.minimum(self._phase + self._rate, 1).astype(np.float32)
        eased = self._phase * self._phase * (3 - 2 * self._phase)
        self._now = (self._start + eased * (self._goal - self._start)).astype(np.float32)
        return Motion(sample, self._now, _CERTAIN)

    def _aim(self, channel: int, value: float, ease_ms: float) -> None:
        self._start[channel] = self._now[channel]
        self._goal[channel] = min(max(value, float(_LOW[channel])), float(_HIGH[channel]))
        self._phase[channel] = 0
        steps = ease_ms * SAMPLE_RATE_HZ / 1000 / MOTION_STEP
        self._rate[channel] = 1 / max(steps, 1)
