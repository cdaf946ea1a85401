"""A bad line, as a calculation: which datagrams arrive, and when. No clock and no socket; instants are seconds, as arguments.

A datagram is lost or not by a Gilbert-Elliott chain of two states (Gilbert 1960; everything is lost in the bad one),
waits behind those before it where the line has a rate, and is then delayed. Nothing overtakes anything unless
`reorder` says so.
"""

import heapq
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Final, Generic, TypeVar

import numpy as np

HEADERS: Final = 28
"""Bytes of IPv4 and UDP that the line carries with every datagram."""
OVERTAKEN_S: Final = 0.030
"""How long a datagram that others are to overtake is held back."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Conditions:
    """What one direction of a line is like.

    Attributes:
        loss: percent of the datagrams that are lost.
        burst: how many are lost in a row on average; 0: each on its own.
        delay: ms.
        jitter: ms at most of further delay, uniformly; order is kept, so a late one holds up those behind it.
        reorder: percent of the datagrams that those behind overtake.
        rate: kb/s, headers counted; 0: any.
        queue: ms of sound and picture that wait for their turn at most; what comes then is lost.
        dark: nothing passes.
    """

    loss: float = 0.0
    burst: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    reorder: float = 0.0
    rate: float = 0.0
    queue: float = 250.0
    dark: bool = False

    def __post_init__(self) -> None:
        if not all(0 <= getattr(self, field.name) < math.inf for field in fields(self)):
            raise ValueError("a line's figures are numbers from 0 on")
        if self.loss > 90 or self.reorder > 90:
            raise ValueError("loss and reorder are at most 90 percent; dark=1 loses everything")
        shortest = max(1.0, self.loss / (100 - self.loss))
        if 0 < self.burst < shortest:
            raise ValueError(f"a loss of {self.loss:g} percent comes in bursts of {shortest:.2g} or more")

    @property
    def _lost(self) -> float:
        return self.loss / 100

    @property
    def left(self) -> float:
        """How probably the next datagram gets through after one that was lost."""
        return 1 / self.burst if self.burst else 1 - self._lost

    @property
    def _entered(self) -> float:
        return self._lost / (1 - self._lost) * self.left

    def loses_next(self, *, lost: bool) -> float:
        """How probably the next datagram is lost, after one that was lost or was not."""
        return 1 - self.left if lost else self._entered


@dataclass(frozen=True, slots=True)
class Course:
    """The conditions of a line over time: from each instant on, in seconds from its beginning; the first is 0."""

    steps: tuple[tuple[float, Conditions], ...] = ((0.0, Conditions()),)

    @classmethod
    def parse(cls, text: str) -> "Course":
        """`"rate=2000,delay=25; @10 rate=300; @20 rate=2000"`: what is not said again stays as it was.

        Raises:
            ValueError: with one line that says what is wrong.
        """
        steps: list[tuple[float, Conditions]] = [(0.0, Conditions())]
        for part in text.split(";"):
            at, conditions = _step(part.strip(), steps[-1][1])
            if at == 0 and len(steps) == 1:
                steps[0] = (0.0, conditions)
            elif at <= steps[-1][0]:
                raise ValueError(f"the steps of a line come in order, but @{at:g} follows @{steps[-1][0]:g}")
            else:
                steps.append((at, conditions))
        return cls(tuple(steps))

    def at(self, instant: float) -> Conditions:
        """The conditions at an instant; before the beginning they are those of the beginning."""
        return next((conditions for begin, conditions in reversed(self.steps) if instant >= begin), self.steps[0][1])

    @property
    def last_step_s(self) -> float:
        """When conditions change for the last time."""
        return self.steps[-1][0]

    def dark_spans(self) -> list[tuple[float, float]]:
        """When the line goes dark and when it is light again, one pair each."""
        ends = [*(begin for begin, _ in self.steps[1:]), math.inf]
        return [(begin, end) for (begin, conditions), end in zip(self.steps, ends, strict=True) if conditions.dark]


def _step(text: str, before: Conditions) -> tuple[float, Conditions]:
    at = 0.0
    if text.startswith("@"):
        instant, _, text = text[1:].partition(" ")
        at = _number("@", instant)
    changed = before
    known = {field.name for field in fields(Conditions)}
    for word in filter(None, (word.strip() for word in text.split(","))):
        name, _, value = word.partition("=")
        if name not in known:
            raise ValueError(f"a line has no {name!r}; it has {', '.join(sorted(known))}, and presets {', '.join(PRESETS)}")
        number = _number(name, value)
        changed = replace(changed, **{name: bool(number) if name == "dark" else number})
    return at, changed


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} of a line is a number, got {text!r}") from None


PRESETS: Final[Mapping[str, str]] = {
    "clean": "",
    "1%": "loss=1,delay=25",
    "5%": "loss=5,delay=25",
    "10%": "loss=10,delay=25",
    "bursts": "loss=3,burst=4,delay=25,jitter=15",
    "rate-step": "rate=2000,delay=25; @10 rate=300; @30 rate=2000",
    "blackhole-2": "delay=25; @10 dark=1; @12 dark=0",
    "blackhole-8": "delay=25; @10 dark=1; @18 dark=0",
    "blackhole-40": "delay=25; @10 dark=1; @50 dark=0",
}
"""Lines that have a name. Delays are one way; both directions are alike and lose on their own."""


def course(text: str) -> Course:
    """The course of a preset, or the one that is spelled out.

    Raises:
        ValueError: see `Course.parse`.
    """
    return Course.parse(PRESETS.get(text, text))


class Link:
    """One direction of a line. Datagrams go in in the order in which they are sent, `at` never falling.

    Until `begin` says when its course begins, the line is as at the beginning.
    """

    def __init__(self, course: Course, seed: int) -> None:
        self._course = course
        self._zero = math.inf
        self._random = np.random.default_rng(seed)
        self._lost = False
        self._free_at = -math.inf  # when what waits has been sent
        self._last_arrival = -math.inf

    def begin(self, at: float) -> None:
        """Let the course begin at the instant `at`."""
        self._zero = at

    def carry(self, size: int, at: float) -> float | None:
        """When a datagram of `size` bytes, sent at the instant `at`, arrives; None: never."""
        now = self._course.at(at - self._zero)
        chance, further, order = self._random.random(3)  # always three: what one is used for moves no other
        self._lost = bool(chance < now.loses_next(lost=self._lost))
        if now.dark or self._lost:
            return None
        sent = self._sent(size, at, now)
        if sent is None:
            return None
        arrival = sent + (now.delay + now.jitter * further) / 1000
        if order < now.reorder / 100:
            return arrival + OVERTAKEN_S
        self._last_arrival = max(arrival, self._last_arrival)
        return self._last_arrival

    def _sent(self, size: int, at: float, now: Conditions) -> float | None:
        """When its last bit leaves; None when too much waits."""
        if not now.rate:
            return at
        begins = max(at, self._free_at)
        if (begins - at) * 1000 > now.queue:
            return None
        self._free_at = begins + (size + HEADERS) * 8 / (now.rate * 1000)
        return self._free_at


class Transit(Generic[Item]):
    """What is on its way over one direction of a line: put in when it is sent, taken out when it arrives."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._under_way: list[tuple[float, int, Item]] = []
        self._order = itertools.count()

    def put(self, item: Item, size: int, at: float) -> bool:
        """Send an item of `size` bytes; false when it is lost."""
        arrival = self._link.carry(size, at)
        if arrival is not None:
            heapq.heappush(self._under_way, (arrival, next(self._order), item))
        return arrival is not None

    @property
    def due(self) -> float | None:
        """When the next item arrives; None while nothing is under way."""
        return self._under_way[0][0] if self._under_way else None

    def take(self, at: float) -> list[Item]:
        """The items that have arrived by the instant `at`, in order of their arrival."""
        arrived: list[Item] = []
        while self._under_way and self._under_way[0][0] <= at:
            arrived.append(heapq.heappop(self._under_way)[2])
        return arrived
