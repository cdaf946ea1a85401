"""Life without cause: blinks, glances, breath, a head that is never quite still."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from engine.contract.motion import CHANNELS, GROUPS, Channel, Motion, gaze_controls
from engine.motion.eyes import Blinks, EyeStyle, Gaze, PhraseEnds, shipped
from engine.timeline import MOTION_RATE_HZ, MOTION_STEP

STEP_S: Final = 1 / MOTION_RATE_HZ
FLAGS_MOST: Final = 1000
"""Flags of speech that may wait to be asked for: 20 s; who tells more without asking loses the oldest."""


@dataclass(frozen=True, slots=True)
class IdleStyle:
    """How lively a face is.

    Attributes:
        eyes: blinks and saccades; those that ship if not given.
        head_deg: standard deviation of the resting place of yaw, pitch, roll.
        head_shift: the same of tx, ty, tz, in u.
        breath_s: mean length of a breath.
    """

    eyes: EyeStyle = field(default_factory=shipped)
    head_deg: tuple[float, float, float] = (1.5, 0.8, 0.8)
    head_shift: tuple[float, float, float] = (0.006, 0.003, 0.008)
    breath_s: float = 4.2


class IdleSource:
    """Idle life, a function of its seed and of when somebody speaks: two with equal seeds that hear alike move alike.

    Args:
        seed: equal seeds give equal life.
        style: how lively.

    Raises:
        ModelError: if the constants that ship cannot be read.
    """

    def __init__(self, seed: int = 0, style: IdleStyle | None = None) -> None:
        self._seed = seed
        self._style = style or IdleStyle()
        self.reset()

    @property
    def look_ahead(self) -> int:
        """0: what is heard acts from its instant on."""
        return 0

    def hear(self, sample: int, *, speaking: bool) -> None:
        """Whether the face speaks at an instant; to be told, in order, before motion at or after that instant is asked for.

        Without it the face is silent.
        """
        self._heard.append((sample, speaking))

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
        self._heard: deque[tuple[int, bool]] = deque(maxlen=FLAGS_MOST)
        self._phrases = PhraseEnds()
        self._next = -(-sample // MOTION_STEP) * MOTION_STEP
        self._lids = Blinks(self._style.eyes, blink)
        self._gaze = Gaze(self._style.eyes, gaze)
        self._head = _Head(self._style, head)

    def _step(self, sample: int) -> Motion:
        eyes = self._style.eyes
        if self._gaze.step() >= eyes.turn_deg:
            self._lids.bring(eyes.turn_blink)
        if self._phrases.step(speaking=self._speaks(sample)):
            self._lids.bring(eyes.phrase_end, PHRASE_BLINK_S)
        head = self._head.step(self._gaze.goal)
        controls = gaze_controls(self._gaze.left - GAZE_HOLDS * head[0], self._gaze.up - GAZE_HOLDS * head[1])
        controls["eyeBlinkLeft"], controls["eyeBlinkRight"] = self._lids.step()
        controls["browInnerUp"] = self._head.brow
        values = np.zeros(len(CHANNELS), np.float32)
        for name, value in controls.items():
            values[Channel[name]] = value
        values[Channel["yaw"] :] = head
        return Motion(sample, values, _CONFIDENCE)

    def _speaks(self, sample: int) -> bool:
        """The newest flag within the step that ends at `sample`; older ones are dropped."""
        speaking = False
        while self._heard and self._heard[0][0] <= sample:
            at, flag = self._heard.popleft()
            speaking = flag and at > sample - MOTION_STEP
        return speaking


_CONFIDENCE: Final = np.array([0 if group == "lips" else 1 for group in GROUPS], np.float32)

PHRASE_BLINK_S: Final = 0.25  # after a phrase's end was noticed, which takes 0.2 s; in all within half a second
BREATH_PITCH_DEG: Final = 0.35
BREATH_LIFT: Final = 0.006  # u
GAZE_HOLDS: Final = 0.8  # share of the head's own drift that the eyes counter, to keep looking at the camera


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
