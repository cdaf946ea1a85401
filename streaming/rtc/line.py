"""One viewer's line: what is sent over it is numbered, and what comes back says how much it bears.

Where the viewer reports every packet (`streaming.rtc.feedback`), the sender
estimates (`streaming.rtc.estimator`); else the viewer's own estimate and
losses count, second by second (`streaming.rtc.bitrate`).
"""

import math
from typing import Final

from streaming.rtc.bitrate import THIN, BitrateControl, LineReport
from streaming.rtc.encoder import BITRATE_FLOOR_BPS, VOICE_BPS
from streaming.rtc.estimator import LineEstimator, SentPacket
from streaming.rtc.feedback import Feedback
from streaming.rtc.packets import PAYLOAD_MAX

UNDER_RTP: Final = 28 + 16
"""Bytes of IPv4, UDP and SRTP's tag that a packet has on the line."""
HEADERS: Final = UNDER_RTP + 12 + 20
"""With RTP's own and its extensions."""
VOICE_LINE_BPS: Final = VOICE_BPS + 50 * 8 * HEADERS
PICTURE: Final = PAYLOAD_MAX / (PAYLOAD_MAX + HEADERS)
"""Of what is left beside the voice, what pictures fill."""
LOST_ONCE, SPARED, SPENT_LEAST = 0.01, 8.0, 0.4
"""Of losses beyond `LOST_ONCE` each hundredth takes so many from what pictures spend, down to `SPENT_LEAST`."""
SMOOTH: Final = 0.2  # of each report's losses
STEP: Final = 0.05
"""Smaller changes are noise."""
ROOM: Final = 4096
_TURN_S: Final = (1 << 24) * 0.064
"""After so long the receiver's clock starts anew."""


class Line:
    """What goes over it is one peer's voice and picture; `ceiling_bps` is as much as its picture ever takes."""

    def __init__(self, ceiling_bps: int) -> None:
        self.picture_bps = self._ceiling_bps = ceiling_bps
        self.drained_at = -math.inf
        """Until then nothing but the voice should be sent."""
        self._control = BitrateControl(ceiling_bps)
        self._estimator = LineEstimator(ceiling_bps / PICTURE + VOICE_LINE_BPS)
        self._sent: list[SentPacket | None] = [None] * ROOM
        self._next = 0
        self.reports = 0  # that were heard about packets
        self._arrived = 0.0
        self._lost = 0.0  # share of the packets, smoothed

    @property
    def spent_bps(self) -> int:
        """What its picture is encoded with: where packets are lost for no want of room, fewer of them are hit less often."""
        if self.is_thin:
            return self.picture_bps
        return int(self.picture_bps * max(SPENT_LEAST, 1 - SPARED * max(0.0, self._lost - LOST_ONCE)))

    @property
    def is_thin(self) -> bool:
        """Whether its picture must be portioned: pacing costs latency."""
        return self.picture_bps < THIN * self._ceiling_bps

    @property
    def thin_bps(self) -> float:
        """What its picture gets where that is little, else infinite."""
        return self.picture_bps if self.is_thin else math.inf

    def number(self, size: int, at: float, *, probe: bool = False) -> int:
        """The next packet's number, 16 bits; `size` is that of its RTP packet in bytes."""
        number, self._next = self._next, (self._next + 1) & 0xFFFF
        self._sent[number % ROOM] = self._estimator.send(number, size + UNDER_RTP, at, probe=probe)
        return number

    def hear(self, feedback: Feedback, at: float) -> bool:
        """Take the viewer's report about packets; whether what was sent before is worthless now, as it fell steeply."""
        self.reports += 1
        outcomes: list[tuple[SentPacket, float | None]] = []
        for index, arrival in enumerate(feedback.arrivals):
            number = (feedback.base + index) & 0xFFFF
            packet = self._sent[number % ROOM]
            if packet is not None and packet.number == number:
                self._sent[number % ROOM] = None
                outcomes.append((packet, None if arrival is None else self._straightened(arrival)))
        drain_s = self._estimator.hear(outcomes, at)
        bps = int((self._estimator.estimate_bps - VOICE_LINE_BPS) * PICTURE)
        self._aim(min(max(bps, BITRATE_FLOOR_BPS), self._ceiling_bps))
        if drain_s:
            self.drained_at = at + drain_s
        return drain_s > 0

    def report(self, report: LineReport, at: float) -> None:
        """Take the viewer's report of a second, or its estimate, which says nothing where it reports every packet."""
        if self.reports:
            self._lost += SMOOTH * (report.fraction_lost - self._lost)
        else:
            self.picture_bps = self._control.update(report, at)

    def probe(self, at: float) -> float | None:
        """See `LineEstimator.probe`."""
        return self._estimator.probe(at) if self.reports else None

    def _aim(self, bps: int) -> None:
        if abs(bps - self.picture_bps) > STEP * self.picture_bps or bps == self._ceiling_bps:
            self.picture_bps = bps

    def _straightened(self, arrival: float) -> float:
        """An instant of a clock that does not start anew."""
        turns = round((self._arrived - arrival) / _TURN_S) if self._arrived else 0
        self._arrived = arrival + turns * _TURN_S
        return self._arrived
