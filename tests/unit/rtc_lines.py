"""A viewer behind a line of `benchmarks.link`, as a calculation: what is sent to it, and what it reports."""

import heapq
import random
from dataclasses import dataclass, field

from benchmarks.link import Link, course
from streaming.rtc.estimator import PROBE_PACKETS
from streaming.rtc.feedback import Feedback
from streaming.rtc.line import UNDER_RTP, Line
from streaming.rtc.packets import PAYLOAD_MAX
from streaming.rtc.sender import PACE

CEILING_BPS = 2_500_000
REPORT_S, BACK_S = 0.05, 0.025
VOICE_BYTES = 160


@dataclass
class Watched:
    """What happened: instants in seconds, bits a second of the picture, and when the line was found to have fallen steeply."""

    line: Line
    rates: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    steep: list[float] = field(default_factory=list[float])

    def between(self, begin: float, end: float) -> list[int]:
        return [rate for at, rate in self.rates if begin <= at < end]


def watch(text: str, seconds: float, *, stall: tuple[float, float] | None = None) -> Watched:
    """Send 25 pictures and 50 packets of voice a second; `stall`: every so often the receiver sees nothing for so long."""
    viewer = _Viewer(text, stall)
    step = 0
    while step / 1000 < seconds:
        viewer.tick(step, step / 1000)
        step += 1
    return viewer.seen


class _Viewer:
    def __init__(self, text: str, stall: tuple[float, float] | None) -> None:
        self.seen = Watched(Line(CEILING_BPS))
        self._stall = stall
        self._link = Link(course(text), 1)
        self._link.begin(0.0)
        self._random = random.Random(1)
        self._key = True
        self._due: list[tuple[float, int, bool]] = []
        self._under_way: list[tuple[float, int]] = []
        self._base, self._came = 0, dict[int, float]()
        self._reports: list[tuple[float, Feedback]] = []

    def tick(self, millisecond: int, at: float) -> None:
        if millisecond % 20 == 0:
            self._send(VOICE_BYTES, at, probe=False)
        if millisecond % 40 == 5:
            self._picture(at)
        while self._due and self._due[0][0] <= at:
            _, size, probe = heapq.heappop(self._due)
            self._send(size, at, probe=probe)
        while self._under_way and self._under_way[0][0] <= at:
            arrived, number = heapq.heappop(self._under_way)
            self._came[number] = arrived
        if millisecond % round(1000 * REPORT_S) == 0 and self._came:
            last = max(self._came)
            arrivals = tuple(self._came.get(number) for number in range(self._base, last + 1))
            self._reports.append((at + BACK_S, Feedback(self._base & 0xFFFF, arrivals)))
            self._base, self._came = last + 1, {}
        while self._reports and self._reports[0][0] <= at:
            if self.seen.line.hear(self._reports.pop(0)[1], at):
                self.seen.steep.append(at)
                self._key = True
        self.seen.rates.append((at, self.seen.line.picture_bps))

    def _picture(self, at: float) -> None:
        line = self.seen.line
        if at >= line.drained_at:
            size = line.picture_bps * (0.13 if self._key else 0.028 + 0.024 * self._random.random()) / 8
            self._key = False
            self._queue(size, at, PACE * line.picture_bps if line.is_thin else 1e9, probe=False)
        if (bps := line.probe(at)) is not None:
            self._queue(PROBE_PACKETS * PAYLOAD_MAX, at, bps, probe=True)

    def _queue(self, size: float, at: float, bps: float, *, probe: bool) -> None:
        packets = max(1, -(-int(size) // PAYLOAD_MAX))
        for i in range(packets):
            heapq.heappush(self._due, (at + 8 * i * size / packets / bps, int(size / packets) + 32, probe))

    def _send(self, size: int, at: float, *, probe: bool) -> None:
        number = self.seen.line.number(size, at, probe=probe)
        arrival = self._link.carry(size + UNDER_RTP - 28, at)
        if arrival is None:
            return
        if self._stall is not None:
            every, lasts = self._stall
            arrival = max(arrival, arrival // every * every + lasts)
        heapq.heappush(self._under_way, (arrival, number))
