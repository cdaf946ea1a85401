"""Life without cause: blinks, glances, breath, a head that is never quite still."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.contract.motion import CHANNELS, GROUPS, Channel, Motion, gaze_controls
from engine.timeline import MOTION_RATE_HZ, MOTION_STEP

STEP_S: Final = 1 / MOTION_RATE_HZ


@dataclass(frozen=True, slots=True)
class IdleStyle:
    """How lively a face is. Blink shape and doubles are medians of 69 blinks in 60 fps ARKit captures (close 83 ms, closed
    50 ms, open 117 ms and a tail, 13 % followed by another within half a second); their rate is of conversation
    (Bentivoglio et al. 1997: 17 a minute at rest, 26 in talk), as the captured emotions were acted.

    Attributes:
        blink_interval_s: median between blinks, log-normal.
        blink_spread: sigma of the logarithm.
        blink_double: probability that a second blink follows at once.
        glance: probability that a saccade leaves the camera's neighbourhood.
        fixation_s: median time on the camera, and off it.
        head_deg: standard deviation of the resting place of yaw, pitch, roll.
        head_shift: the same of tx, ty, tz, in u.
        breath_s: mean length of a breath.
    """

    blink_interval_s: float = 3.3
    blink_spread: float = 0.5
    blink_double: float = 0.12
    glance: float = 0.22
    fixation_s: tuple[float, float] = (1.1, 0.55)
    head_deg: tuple[float, float, float] = (1.5, 0.8, 0.8)
    head_shift: tuple[float, float, float] = (0.006, 0.003, 0.008)
    breath_s: float = 4.2


class IdleSource:
    """Idle life, a function of its seed alone: two with equal seeds move alike.

    Args:
        seed: equal seeds give equal life.
        style: how lively.
    """

    def __init__(self, seed: int = 0, style: IdleStyle | None = None) -> None:
        self._seed = seed
        self._style = style or IdleStyle()
        self.reset()

    @property
    def look_ahead(self) -> int:
        """0: it listens to nothing."""
        return 0

    def advance(self, until_sample: int) -> Sequence[Motion]:
        """See `MotionSource`."""
        motions: list[Motion] = []
        while self._next <= until_sample:
            motions.append(self._step(self._next))
            self._next += MOTION_STEP
        return motions

    def reset(self, sample: int = 0) -> None:
        """See `MotionSource`."""
        blink, gaze, head = np.random.default_rng(self._seed).spawn(3)
        self._next = -(-sample // MOTION_STEP) * MOTION_STEP
        self._lids = _Blinks(self._style, blink)
        self._gaze = _Gaze(self._style, gaze)
        self._head = _Head(self._style, head)

    def _step(self, sample: int) -> Motion:
        turned = self._gaze.step()
        if turned > BLINK_WITH_TURN_DEG:
            self._lids.provoke()
        head = self._head.step(self._gaze.goal)
        controls = gaze_controls(self._gaze.left - GAZE_HOLDS * head[0], self._gaze.up - GAZE_HOLDS * head[1])
        left, right, squint = self._lids.step()
        controls["eyeBlinkLeft"], controls["eyeBlinkRight"] = left, right
        controls["eyeSquintLeft"] = controls["eyeSquintRight"] = squint
        controls["browInnerUp"] = self._head.brow
        values = np.zeros(len(CHANNELS), np.float32)
        for name, value in controls.items():
            values[Channel[name]] = value
        values[Channel["yaw"] :] = head
        return Motion(sample, values, _CONFIDENCE)


_CONFIDENCE: Final = np.array([0 if group == "lips" else 1 for group in GROUPS], np.float32)

BLINK_WITH_TURN_DEG: Final = 6.0  # larger saccades bring a blink with them, half of the time
BREATH_PITCH_DEG: Final = 0.35
BREATH_LIFT: Final = 0.006  # u
GAZE_HOLDS: Final = 0.8  # share of the head's own drift that the eyes counter, to keep looking at the camera


class _Blinks:
    """Lids that close fast, stay a moment, and open slowly."""

    def __init__(self, style: IdleStyle, rng: np.random.Generator) -> None:
        self._style, self._rng = style, rng
        self._age_s = math.inf
        self._wait_s = float(rng.uniform(0.6, 2.5))
        self._draw()

    def provoke(self) -> None:
        """A large turn of the eyes may bring the next blink now."""
        if self._age_s > 1.0 and self._rng.random() < 0.5:
            self._wait_s = 0.0

    def step(self) -> tuple[float, float, float]:
        """EyeBlink of the left and right eye, eyeSquint of both."""
        self._age_s += STEP_S
        self._wait_s -= STEP_S
        if self._wait_s <= 0 and self._age_s > self._close_s + self._hold_s + self._open_s:
            self._draw()
            self._age_s = 0.0
            double = self._rng.random() < self._style.blink_double
            gap_s = self._rng.lognormal(math.log(self._style.blink_interval_s), self._style.blink_spread)
            self._wait_s = 0.3 if double else float(np.clip(gap_s, 0.9, 12.0))
        closed = self._closed(self._age_s)
        return closed, closed * self._evenness, 0.12 * closed

    def _draw(self) -> None:
        rng = self._rng
        self._close_s = float(rng.uniform(0.065, 0.095))
        self._hold_s = float(rng.uniform(0.04, 0.06))
        self._open_s = float(rng.uniform(0.1, 0.17))
        self._depth = 1.0 if rng.random() < 0.88 else float(rng.uniform(0.6, 0.85))
        self._evenness = float(rng.uniform(0.96, 1.0))

    def _closed(self, age_s: float) -> float:
        if age_s < self._close_s:
            part = age_s / self._close_s
            return self._depth * part * part * (3 - 2 * part)
        age_s -= self._close_s + self._hold_s
        if age_s <= 0:
            return self._depth
        part = min(age_s / self._open_s, 1.0)
        return self._depth * (1 - part) ** 2 * (1 + 2 * part) if part < 1 else 0.0


class _Gaze:
    """Fixations around the camera, glances away and back; degrees to the left and up.

    A saccade of A degrees lasts 21 ms + 2.2 ms A (Carpenter 1988). During a
    fixation the eyes drift a little and make microsaccades.
    """

    def __init__(self, style: IdleStyle, rng: np.random.Generator) -> None:
        self._style, self._rng = style, rng
        self.left = self.up = 0.0
        self.goal = (0.0, 0.0)
        self._from = (0.0, 0.0)
        self._age_s, self._flight_s = math.inf, 0.03
        self._wait_s = float(rng.uniform(0.4, 1.2))
        self._micro = (0.0, 0.0)

    def step(self) -> float:
        """Move on by a step; return the size in degrees of a saccade that begins now, or 0."""
        self._age_s += STEP_S
        self._wait_s -= STEP_S
        turn = self._leave() if self._wait_s <= 0 else 0.0
        part = min(self._age_s / self._flight_s, 1.0)
        part = part**3 * (10 - 15 * part + 6 * part * part)
        self._drift()
        self.left = self._from[0] + part * (self.goal[0] - self._from[0]) + self._micro[0]
        self.up = self._from[1] + part * (self.goal[1] - self._from[1]) + self._micro[1]
        return turn

    def _leave(self) -> float:
        rng = self._rng
        away = math.hypot(*self.goal) > 2.5
        glance = not away and rng.random() < self._style.glance
        spread = (7.0, 3.5) if glance else (0.9, 0.6)
        goal = (float(rng.normal(0, spread[0])), float(rng.normal(-1.0 if glance else 0.0, spread[1])))
        self._from, self.goal = (self.left - self._micro[0], self.up - self._micro[1]), goal
        turn = math.hypot(goal[0] - self._from[0], goal[1] - self._from[1])
        self._age_s, self._flight_s = 0.0, 0.021 + 0.0022 * turn
        fixation_s = rng.lognormal(math.log(self._style.fixation_s[1 if glance else 0]), 0.5)
        self._wait_s = float(np.clip(fixation_s, 0.2, 4.0))
        return turn

    def _drift(self) -> None:
        if self._rng.random() < 1.2 * STEP_S:
            self._micro = (float(self._rng.normal(0, 0.25)), float(self._rng.normal(0, 0.2)))
        else:
            self._micro = (self._micro[0] * 0.985, self._micro[1] * 0.985)


class _Head:
    """A head that rests now here, now there, moved by critically damped springs, and by breath."""

    OMEGA: Final = 2.6  # rad/s: a new resting place is reached in about 1.5 s
    FOLLOW: Final = 0.25  # share of a glance that the head goes along with

    def __init__(self, style: IdleStyle, rng: np.random.Generator) -> None:
        self._style, self._rng = style, rng
        self._spread = np.array(style.head_deg + style.head_shift)
        self._rest = np.zeros(6)
        self._place, self._speed = np.zeros(6), np.zeros(6)
        self._wait_s = float(rng.uniform(0.3, 1.0))
        self._breath, self._breath_s = 0.0, style.breath_s
        self.brow, self._brow_rest = 0.0, 0.0

    def step(self, gaze_goal: tuple[float, float]) -> list[float]:
        """yaw, pitch, roll, tx, ty, tz."""
        self._wait_s -= STEP_S
        if self._wait_s <= 0:
            self._wait_s = float(self._rng.uniform(1.2, 4.0))
            self._rest = np.clip(self._rng.normal(0, 1, 6), -2, 2) * self._spread
            self._brow_rest = float(max(self._rng.normal(0, 0.05), 0.0))
        goal = self._rest.copy()
        goal[:2] += self.FOLLOW * np.array(gaze_goal) if math.hypot(*gaze_goal) > 4 else 0.0
        self._speed += STEP_S * (self.OMEGA**2 * (goal - self._place) - 2 * self.OMEGA * self._speed)
        self._place += STEP_S * self._speed
        self.brow += 0.04 * (self._brow_rest - self.brow)
        lift = self._breathe()
        place: list[float] = self._place.tolist()
        place[1] += BREATH_PITCH_DEG * lift
        place[4] += BREATH_LIFT * lift
        return place

    def _breathe(self) -> float:
        """How far the breath is in, 0..1."""
        self._breath += STEP_S / self._breath_s
        if self._breath >= 1:
            self._breath -= 1
            self._breath_s = self._style.breath_s * float(np.clip(self._rng.normal(1, 0.12), 0.7, 1.4))
        inhaled = 0.4  # of a breath
        phase = self._breath / inhaled if self._breath < inhaled else 1 + (self._breath - inhaled) / (1 - inhaled)
        return 0.5 - 0.5 * math.cos(math.pi * phase)
