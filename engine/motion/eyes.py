"""Blinks and saccades, drawn at random as captured people's were: constants in `engine/models/eyes.json`."""

import json
import math
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.errors import ModelError
from engine.timeline import MOTION_RATE_HZ

STEP_S: Final = 1 / MOTION_RATE_HZ
MODEL: Final = Path(__file__).parents[1] / "models" / "eyes.json"
MOST_DEG: Final = 18.0
"""Glances go no further: beyond it a portrait shows that its eyes were only seen from in front."""


@dataclass(frozen=True, slots=True)
class EyeStyle:
    """How eyes move. A pair (median, spread) is log-normal, its spread the standard deviation of the logarithm.

    Attributes:
        interval_s: from one blink to the next: (median, spread).
        double: probability that the next blink follows after `double_s` instead.
        double_s: mean of that interval.
        close_s: from open lids to the deepest: (median, spread).
        hold_s: mean of the time that they stay there; exponential.
        open_s: time constant of their opening: (median, spread).
        partial: probability of a blink that does not close the eyes wholly, and how far it goes.
        partial_depth: mean depth of such a blink, 0..1.
        evenness: standard deviation by which the right lid goes less far than the left.
        turn_deg: a saccade of this size or more may bring a blink with it.
        turn_blink: probability that it does.
        phrase_end: probability that the end of a phrase brings a blink.
        saccade_deg: amplitude of a glance beyond 1.5 degrees: gamma (shape, scale).
        upright: standard deviation of a glance's direction upwards over sideways.
        home_s: fixations on the camera: (median, spread).
        away_s: fixations elsewhere: (median, spread).
        glance: probability that a fixation on the camera ends with a glance elsewhere.
    """

    interval_s: tuple[float, float]
    double: float
    double_s: float
    close_s: tuple[float, float]
    hold_s: float
    open_s: tuple[float, float]
    partial: float
    partial_depth: float
    evenness: float
    turn_deg: float
    turn_blink: float
    phrase_end: float
    saccade_deg: tuple[float, float]
    upright: float
    home_s: tuple[float, float]
    away_s: tuple[float, float]
    glance: float

    @classmethod
    def load(cls, path: Path = MODEL) -> "EyeStyle":
        """Read the constants.

        Raises:
            ModelError: if the file is missing, damaged or of another version.
        """
        try:
            values = json.loads(path.read_text("utf-8"))["style"]
            known = {field.name: _checked(values.pop(field.name), pair=field.type is not float) for field in fields(cls)}
            return cls(**known, **values)
        except OSError as error:
            raise ModelError(f"no eyes can be read at {path} ({error.strerror}): {_CURE}") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"{path} is damaged, or of another version ({error!r}): {_CURE}") from error


_CURE = "install mien anew, or fit them again (python -m training eyes)"


def _checked(value: Any, *, pair: bool) -> Any:
    parts = [float(part) for part in (value if pair else [value])]
    if len(parts) != 1 + pair or not all(math.isfinite(part) and part >= 0 for part in parts):
        raise ValueError(f"expected {1 + pair} finite numbers from 0 on, got {value}")
    return tuple(parts) if pair else parts[0]


@cache
def shipped() -> EyeStyle:
    """The constants that ship, read once."""
    return EyeStyle.load()


def _lognormal(rng: np.random.Generator, of: tuple[float, float], low: float, high: float) -> float:
    return min(max(float(rng.lognormal(math.log(of[0]), of[1])), low), high)


class Blinks:
    """Lids that close fast, stay a moment, and open slowly.

    They close as a smooth step and open as exp(-(t / tau)^1.5), which is the median blink of the captures to 0.02.
    """

    def __init__(self, style: EyeStyle, rng: np.random.Generator) -> None:
        self._style, self._rng = style, rng
        self._age_s = math.inf
        self._wait_s = float(rng.uniform(0.6, 2.5))
        self._draw()

    def bring(self, probability: float, within_s: float = 0.0) -> None:
        """Something (a turn, the end of a phrase) may bring the next blink now, or at an instant within so much time."""
        wait_s = float(self._rng.uniform(0, within_s))
        if self._rng.random() < probability and self._age_s > REST_S and self._wait_s > wait_s:
            self._wait_s = wait_s

    def step(self) -> tuple[float, float]:
        """EyeBlink of the left and the right eye."""
        self._age_s += STEP_S
        self._wait_s -= STEP_S
        if self._wait_s <= 0 and self._age_s > self._close_s + self._hold_s + 2 * self._tau_s:
            self._draw()
            self._age_s = 0.0
            double = self._rng.random() < self._style.double
            gap_s = _lognormal(self._rng, self._style.interval_s, REST_S, 20.0)
            self._wait_s = self._style.double_s * float(self._rng.uniform(0.8, 1.2)) if double else gap_s
        closed = self._depth * self._level(self._age_s)
        return closed, closed * self._evenness

    def _draw(self) -> None:
        rng, style = self._rng, self._style
        self._close_s = _lognormal(rng, style.close_s, 0.05, 0.16)
        self._hold_s = min(float(rng.exponential(style.hold_s)), 0.12)
        self._tau_s = _lognormal(rng, style.open_s, 0.035, 0.16)
        shallow = float(rng.uniform(-0.15, 0.15)) + style.partial_depth
        self._depth = shallow if rng.random() < style.partial else 1.0
        self._evenness = 1 - min(abs(float(rng.normal(0, style.evenness))), 0.2)

    def _level(self, age_s: float) -> float:
        if age_s < self._close_s:
            part = age_s / self._close_s
            return part * part * (3 - 2 * part)
        late_s = max(age_s - self._close_s - self._hold_s, 0.0)
        level = math.exp(-((late_s / self._tau_s) ** 1.5))
        return level if level > 0.004 else 0.0


REST_S: Final = 0.6
"""Lids are left in peace for so long after a blink began, unless it is a double one."""


class PhraseEnds:
    """Tells when somebody who spoke has fallen silent, from one flag a step."""

    PHRASE_S: Final = 0.4
    PAUSE_S: Final = 0.2  # shorter silences are stops and breaths within a phrase

    def __init__(self) -> None:
        self._spoken_s = self._silent_s = 0.0

    def step(self, *, speaking: bool) -> bool:
        """Whether a phrase is over, as it turns out now."""
        if speaking:
            self._spoken_s, self._silent_s = self._spoken_s + STEP_S, 0.0
            return False
        self._silent_s += STEP_S
        if self._silent_s < self.PAUSE_S - STEP_S / 2:
            return False
        over = self._spoken_s > self.PHRASE_S
        self._spoken_s = 0.0
        return over


class Gaze:
    """Fixations around the camera, glances away and back; degrees to the left and up.

    A saccade of A degrees lasts 21 ms + 2.2 ms A (Carpenter 1988; captures are smoothed too much to tell). During a
    fixation the eyes drift a little and make microsaccades.
    """

    def __init__(self, style: EyeStyle, rng: np.random.Generator) -> None:
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
        rng, style = self._rng, self._style
        away = math.hypot(*self.goal) > HOME_DEG
        glance = not away and rng.random() < style.glance
        goal = self._glance() if glance else (float(rng.normal(0, 0.6)), float(rng.normal(0, 0.4)))
        self._from, self.goal = (self.left - self._micro[0], self.up - self._micro[1]), goal
        turn = math.hypot(goal[0] - self._from[0], goal[1] - self._from[1])
        self._age_s, self._flight_s = 0.0, 0.021 + 0.0022 * turn
        self._wait_s = _lognormal(rng, style.away_s if glance else style.home_s, 0.12, 5.0)
        return turn

    def _glance(self) -> tuple[float, float]:
        shape, scale = self._style.saccade_deg
        turn = min(1.5 + float(self._rng.gamma(shape, scale)), MOST_DEG)
        sideways, upright = self._rng.normal(0, (1, self._style.upright))
        length = math.hypot(sideways, upright) or 1.0
        return turn * float(sideways) / length, turn * float(upright) / length

    def _drift(self) -> None:
        if self._rng.random() < 1.2 * STEP_S:
            self._micro = (float(self._rng.normal(0, 0.25)), float(self._rng.normal(0, 0.2)))
        else:
            self._micro = (self._micro[0] * 0.985, self._micro[1] * 0.985)


HOME_DEG: Final = 2.5
"""Nearer than this to the camera the eyes look at it."""
