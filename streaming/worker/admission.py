"""How many sessions fit: arithmetic on what pictures were measured to cost.

A session needs five things: cores (drawing, encoding and the event loop
together), its worker's time, the event loop's, and, where a device draws, that
device's time and memory. Each has a price per picture, measured on what runs
(`Costs`), and room for so many seconds of it a second; one more session is let
in when all that run and it find room, at their full rate and size. What is
measured, and what for:

cores    CPU time of the workers' processes and of the server's. CPU time grows
         by itself where two hyperthreads share a core, so it is told again and
         again as the machine fills up; while it is less than half full, a
         picture counts no less than in the warm-up, for which all workers had
         been drawing at once.
slowdown how much longer a worker's loop was busy than it used the CPU: more
         than 1 when it had to wait for a core, for whatever ran there.
workers  the time that a worker's loop is busy: it draws one session after
         the other.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from streaming.contract import CapacityReached, SessionSettings

WORKER_SHARE: Final = 0.75
"""The part of a worker's time that sessions may take; the rest is for frames that cost more than most."""
MACHINE_SHARE: Final = 0.85
"""The part of all cores that workers and the server may take together."""
LOOP_SHARE: Final = 0.70
"""The part of the event loop's time: it is one thread, and all sound passes through it."""
DEVICE_SHARE: Final = 0.85
"""The part of a GPU's time."""
ALONE_SHARE: Final = 4.5
"""What a session may take that has the machine to itself: of five pictures four may repeat the one before (REPEATS_MOST)."""
DRAW_S: Final = 0.016
"""Assumed cost of a 512 px picture, drawn, before any was measured."""
IN_TIME: Final = 0.5
IN_TIME_MOST_S: Final = 0.005
"""By how much a picture drawn in its time costs more than one drawn right after another, as in the warm-up, and at most:
caches have been others' meanwhile. Measured on two cores: 10.4 and 7.0 ms."""
SLOWDOWN_MOST: Final = 2.0
"""Believed of contention: who sleeps or waits for a device is busy without using the CPU, too."""
ENCODE_S: Final = 0.003
"""Assumed cost of a 512 px picture, encoded, before any was measured."""
LOOP_S: Final = 0.002
"""Assumed cost of a picture and its sound in the event loop before any was measured."""

_REFERENCE_PX = 512
_WEIGHT = 0.3  # of the newest window in what is known
_CERTAIN = 100  # pictures: so many at first, and what was assumed counts no more
_AT_LEAST = 0.5  # of a picture's cost does not depend on its size: assumed until both sizes were measured


class Costs:
    """What a picture costs of one thing, in seconds, by its size in px."""

    def __init__(self, unknown_s: float = 0.0) -> None:
        self._known: dict[int, float] = {}
        self._assumed = {_REFERENCE_PX: unknown_s}

    def assume(self, size: int, seconds: float) -> None:
        """A picture of `size` costs so much as long as it has not been measured."""
        self._assumed = {size: seconds}

    def learn(self, spent_s: float, pictures: Mapping[int, int]) -> None:
        """`spent_s` were spent on these pictures, counted by size.

        Of several sizes each is as much dearer or cheaper than it was thought to be.
        """
        if spent_s <= 0 or not pictures:
            return
        thought = {size: self.of(size) for size in pictures}
        expected = sum(thought[size] * count for size, count in pictures.items())
        for size in pictures:
            found = thought[size] * spent_s / expected if expected else spent_s / sum(pictures.values())
            self._known[size] = thought[size] + self._weight(size, pictures) * (found - thought[size])

    def _weight(self, size: int, pictures: Mapping[int, int]) -> float:
        """Of what was found: a first window of few pictures holds what beginning costs, too."""
        if size in self._known:
            return _WEIGHT
        return min(1.0, sum(pictures.values()) / _CERTAIN) if any(self._assumed.values()) else 1.0

    def of(self, size: int) -> float:
        """What a picture costs by what was measured, or else assumed; of another size, what is known of the nearest."""
        return _scaled(self._known or self._assumed, size)

    def at_least_assumed(self, size: int) -> float:
        """The same, but no less than what was assumed."""
        return max(self.of(size), _scaled(self._assumed, size))


def _scaled(costs: Mapping[int, float], size: int) -> float:
    """The cost of the nearest size, rather too much than too little: larger ones by area, smaller ones by half of it."""
    nearest = min(costs, key=lambda known: abs(known - size))
    area = (size / nearest) ** 2
    return costs[nearest] * (area if area >= 1 else _AT_LEAST + (1 - _AT_LEAST) * area)


class Admission:
    """Learns costs and answers where one more session fits, or what it lacks.

    Attributes:
        drawing: CPU time of workers.
        holding: time that a worker is busy.
        encoding: CPU time of the server's process beside its event loop.
        looping: that of its event loop.
        device: time of a GPU; unknown and free where there is none.
        device_full: why no session more fits into a GPU's memory beside those that run, one line; "" as far as is known.

    Args:
        cores: of the machine.
        room: of what there is room for, as a factor; benchmarks that look for the limit leave the door open.
    """

    def __init__(self, cores: int, *, room: float = 1.0) -> None:
        self._cores = cores
        self._room = room
        self._slowdown = 1.0
        self.drawing = Costs(DRAW_S)
        self.holding = Costs(DRAW_S)
        self.encoding = Costs(ENCODE_S)
        self.looping = Costs(LOOP_S)
        self.device = Costs()
        self.device_full = ""

    def warm(self, size: int, picture_s: float) -> None:
        """A worker's warm-up has drawn pictures of `size` one after the other, beside those of the other workers."""
        if picture_s > 0:
            in_time_s = picture_s + min(IN_TIME * picture_s, IN_TIME_MOST_S)
            self.drawing.assume(size, in_time_s)
            self.holding.assume(size, in_time_s)

    def learn(self, cpu_s: float, busy_s: float, pictures: Mapping[int, int]) -> None:
        """A worker's process has taken `cpu_s` of CPU time, and its loop was busy for `busy_s`, for these pictures."""
        self.drawing.learn(cpu_s, pictures)
        self.holding.learn(busy_s, pictures)
        if pictures and cpu_s > 0:
            self._slowdown += _WEIGHT * (min(max(1.0, busy_s / cpu_s), SLOWDOWN_MOST) - self._slowdown)

    def share(self, settings: SessionSettings) -> float:
        """The part of a worker that a session takes, at its full rate and size."""
        return self.holding.of(settings.size) * settings.fps

    def choose(self, wanted: SessionSettings, workers: Sequence[Sequence[SessionSettings] | None]) -> int:
        """The least loaded worker that has room for one more session.

        A machine on which nothing runs takes one session that costs up to `ALONE_SHARE`: a face that is too slow for its
        rate shows fewer pictures, which beats none.

        Args:
            wanted: of the session that wants in.
            workers: the sessions of each worker; None for one that takes none.

        Raises:
            CapacityReached: when there is none; the message says what is lacking.
        """
        session = f"session of {wanted.size} px at {wanted.fps} fps"
        running = [taken for worker in workers for taken in worker or ()]
        loads = [(sum(map(self.share, worker)), i) for i, worker in enumerate(workers) if worker is not None]
        load, chosen = min(loads, default=(math.inf, -1))
        if not running and chosen >= 0:
            if self.share(wanted) > ALONE_SHARE * self._room:
                each_ms = 1000 * self.holding.of(wanted.size)
                raise CapacityReached(f"{each_ms:.0f} ms a picture is too slow for a {session}; ask for fewer or smaller ones")
            return chosen
        lacking = self.device_full or self._lacking([*running, wanted])
        if not lacking and (chosen < 0 or load + self.share(wanted) > WORKER_SHARE * self._room):
            lacking = "all workers are busy"
        if lacking:
            raise CapacityReached(f"no room for one more {session} beside the {len(running)} running: {lacking}")
        return chosen

    def _lacking(self, sessions: Sequence[SessionSettings]) -> str:
        """Of what there would be too little for all of these, workers apart; "" for nothing."""
        looping = sum(self.looping.of(s.size) * s.fps for s in sessions)
        encoding = sum(self.encoding.of(s.size) * s.fps for s in sessions)
        drawing = sum(self.drawing.of(s.size) * s.fps for s in sessions)
        room = self._cores * MACHINE_SHARE
        if looping + encoding + drawing < room / 2:  # most cores idle: what was measured is too kind
            drawing = sum(self.drawing.at_least_assumed(s.size) * s.fps for s in sessions)
        if (looping + encoding + drawing) * self._slowdown > room * self._room:
            return "all cores are busy"
        if looping * self._slowdown > LOOP_SHARE * self._room:
            return "the event loop is busy"
        if sum(self.device.of(s.size) * s.fps for s in sessions) > DEVICE_SHARE * self._room:
            return "the GPU's time is taken"
        return ""
