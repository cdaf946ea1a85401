"""How much of each session is drawn when a worker is too busy for all of it. Pure: instants are arguments.

A worker that misses its deadlines draws fewer pictures a second, then smaller
ones, then still portraits; the sound is never touched. What has been tried and
did not fit is tried again ever more rarely, so a machine that is too slow
settles, and one that was busy for a while is back after twice as long and 5 s.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from streaming.contract import SessionSettings, Step

JUDGED_S: Final = 0.25
"""How often `Ladder.judge` is to be asked."""
MISSES: Final = 0.10
"""Of all ticks: if more of them come without the picture that they should bring, or late, it is too many."""
DOWN_AFTER_S: Final = 1.0
"""So long misses go on before the first step down; further ones follow at every judgement until it fits."""
UP_AFTER_S: Final = 3.0
"""So long it has to be calm before a step up."""
UP_EVERY_S: Final = 0.5
"""Between two steps up, so that the load is measured in between."""
PROBATION_S: Final = 10.0
"""A step up that is followed by one down within this has failed: the next one waits twice as long, or `UP_AFTER_MOST_S`."""
UP_AFTER_MOST_S: Final = 120.0
FITS: Final = 0.85
"""Of a worker's time that sessions may take after a step up."""

STILL_EVERY_S: Final = 2.0
"""A still portrait is drawn anew this often: its face may have been changed."""

_SIZES: Final = (512, 384, 256)  # px
_RATES: Final = (5, 4, 3)  # fifths
_STILL: Final = len(_RATES) + len(_SIZES)
_BAD: Final = round(DOWN_AFTER_S / JUDGED_S)  # judgements
_CALM: Final = round(UP_EVERY_S / JUDGED_S)
_AT_REST: Final = 0.1
"""What a session costs besides its pictures (voice, motion), as a part of what it costs in full."""
_TOGETHER: Final = 4
"""Of so many sessions one moves at a time, so that a crowd takes no longer than a few."""


def step_at(level: int, settings: SessionSettings, *, scales: bool) -> Step:
    """What is drawn of a session at a level: 0 all, then 4/5 and 3/5 of the pictures, 512, 384, 256 px at most, still.

    A renderer that does not scale costs as much for a small picture: its sizes stay.
    """
    if level == _STILL:
        return replace(step_at(level - 1, settings, scales=scales), fps=0)
    fps = settings.fps * _RATES[min(level, len(_RATES) - 1)] // _RATES[0]
    sizes = _SIZES[: max(0, level - len(_RATES) + 1)] if scales else ()
    return Step(fps, min((settings.size, *sizes)))


def name_of(step: Step, settings: SessionSettings) -> str:
    """What a step is called in the figures of a server: by what was taken last."""
    if step.still:
        return "still"
    if step.size < settings.size:
        return f"{step.size} px"
    return "full" if step.fps == settings.fps else f"{step.fps * _RATES[0] // settings.fps}/{_RATES[0]}"


def is_drawn(step: Step, index: int, fps: int) -> bool:
    """Whether a session of `fps` pictures a second draws its picture `index`, evenly spread."""
    if step.still:
        return index % round(STILL_EVERY_S * fps) == 0
    return index * step.fps % fps < step.fps


@dataclass(frozen=True, slots=True)
class _Climber:
    settings: SessionSettings
    scales: bool
    level: int

    @property
    def step(self) -> Step:
        return step_at(self.level, self.settings, scales=self.scales)

    @property
    def units(self) -> float:
        """What it costs at its level, in pictures of one pixel a second."""
        return _AT_REST * self.settings.fps * self.settings.size**2 + self.step.fps * self.step.size**2


class Ladder:
    """The steps of one worker's sessions, never more than one level apart.

    Who came last steps down first, and up last. A session that is alone is
    never stilled: nobody would gain by it.
    """

    def __init__(self) -> None:
        self._climbers: dict[int, _Climber] = {}  # by key, in the order they came
        self._window: deque[tuple[int, int]] = deque(maxlen=2 * _BAD)  # (ticks, missed) between judgements
        self._loads: deque[float] = deque(maxlen=_BAD)
        self._ticks = self._missed = 0
        self._patience_s = UP_AFTER_S
        self._busy_at = self._down_at = self._tried_at = -math.inf

    def join(self, key: int, settings: SessionSettings, *, scales: bool) -> Step:
        """A session has begun; it starts where the best of the others are."""
        level = min((other.level for other in self._climbers.values()), default=0)
        self._climbers[key] = climber = _Climber(settings, scales, level)
        return climber.step

    def leave(self, key: int) -> dict[int, Step]:
        """A session has ended. Returns who steps where: one that is alone now is no still portrait."""
        self._climbers.pop(key, None)
        last = max((climber.level for climber in self._climbers.values()), default=0)
        return self._move(-1) if last > self._lowest else {}

    def note(self, *, missed: bool) -> None:
        """A session was ticked: without what its step promises, or in time."""
        self._ticks += 1
        self._missed += missed

    def judge(self, at: float, load: float, *, loading: bool = False) -> dict[int, Step]:
        """Who steps where, by what was noted since the last time.

        Args:
            at: the instant, seconds; `JUDGED_S` after the last one.
            load: the part of the time since then that the worker was busy, 0..1.
            loading: a session is being opened, or a smaller renderer built, which takes time itself: nobody moves.
        """
        self._window.append((self._ticks, self._missed))
        self._loads.append(load)
        self._ticks = self._missed = 0
        if _share(self._window) > MISSES:
            self._busy_at = at
        if at - self._tried_at > PROBATION_S and self._tried_at > -math.inf:
            self._patience_s, self._tried_at = UP_AFTER_S, -math.inf
        if loading:
            self._forget()
            return {}
        return self._down(at) if self._is_overloaded(at) else self._up(at)

    @property
    def _lowest(self) -> int:
        """The last level there is for the sessions at hand."""
        return _STILL if len(self._climbers) > 1 else _STILL - 1

    @property
    def _moves(self) -> int:
        return max(1, len(self._climbers) // _TOGETHER)

    def _is_overloaded(self, at: float) -> bool:
        """For long enough, or not mended by the step just taken."""
        newest = _share([self._window[-1]])
        if at - self._down_at <= DOWN_AFTER_S:
            return newest > 2 * MISSES
        bad = sum(missed > 0 for _, missed in self._window)
        return newest > 0 and bad >= _BAD and _share(self._window) > MISSES

    def _down(self, at: float) -> dict[int, Step]:
        if at - self._tried_at <= PROBATION_S:
            self._patience_s, self._tried_at = min(2 * self._patience_s, UP_AFTER_MOST_S), -math.inf
        changed: dict[int, Step] = {}
        for _ in range(self._moves):
            changed |= self._move(1)
        if changed:
            self._down_at = at
            self._forget()
        return changed

    def _up(self, at: float) -> dict[int, Step]:
        changed: dict[int, Step] = {}
        if at - max(self._busy_at, self._down_at) > self._patience_s and len(self._loads) >= _CALM:
            load, taken = sum(self._loads) / len(self._loads), self._units()
            for _ in range(self._moves):
                changed |= self._move(-1, most=taken * FITS / max(load, 1e-3))
        if changed:
            self._tried_at = at
            self._forget()
        return changed

    def _move(self, by: int, most: float = math.inf) -> dict[int, Step]:
        """One session a level down (1) or up (-1), unless all would then take more than `most`; returns its step.

        Sessions that are drawn no differently on their next level move on the way, as that changes nothing.
        """
        while (climber := self._next(by)) is not None:
            moved = replace(climber, level=climber.level + by)
            if self._units() - climber.units + moved.units > most:
                return {}
            key = next(key for key, other in self._climbers.items() if other is climber)
            self._climbers[key] = moved
            if moved.step != climber.step:
                return {key: moved.step}
        return {}

    def _next(self, by: int) -> _Climber | None:
        """Who moves: the least degraded down, the most degraded up."""
        climbers = list(self._climbers.values())
        if not climbers:
            return None
        end = (min if by > 0 else max)(climber.level for climber in climbers)
        if end == (self._lowest if by > 0 else 0):
            return None
        there = [climber for climber in climbers if climber.level == end]
        return there[-1] if by > 0 else there[0]

    def _units(self) -> float:
        return sum(climber.units for climber in self._climbers.values())

    def _forget(self) -> None:
        """What was measured before a move says nothing about after it."""
        self._window.clear()
        self._loads.clear()


def _share(buckets: Sequence[tuple[int, int]]) -> float:
    """Of the ticks in all buckets, how many were missed."""
    return sum(missed for _, missed in buckets) / max(1, sum(ticks for ticks, _ in buckets))
