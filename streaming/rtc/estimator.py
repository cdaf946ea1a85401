"""How much a line bears, seen by the sender: from when each packet left and arrived.

After draft-ietf-rmcat-gcc-02: the rate falls to 0.85 of what arrives when
delays grow (section 5.5), or when much is lost (section 6), is held until they
have settled, and grows again: by 8 % a second, slowly near what was too much
the last time. Two things are added. What a burst of our own must wait for
itself is known, so packets that wait much longer, and arrive more slowly than
they were sent, tell of a line that fell before a trend can: within a picture.
And where the line may bear more, some packets are sent faster to find out
(`probe`), as libwebrtc does. Pure: instants are arguments.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from streaming.rtc.round_trip import RoundTrip
from streaming.rtc.trend import DelayTrend

LEAST_BPS: Final = 120_000
BACKOFF: Final = 0.85
GROWTH_PER_S: Final = 0.08
NEAR_BPS_PER_S: Final = 40_000
"""Growth near what was too much; the draft's half a packet in a round trip and 100 ms."""
NEAR: Final = 0.75
"""Of what arrived when it was too much: from there on carefully; beyond the reciprocal it is forgotten."""
HELD_S: Final = 0.3
"""After a fall nothing grows, and what was sent before it is no reason for another by loss."""
USED: Final = 1.5
"""An estimate does not grow beyond this many times what arrives: more has not been tried."""
WAITING_S: Final = 0.03
"""A trend counts with so long a queue, and losses from `LOSSY` on."""
LOSSY, LOST = 0.10, 0.20
"""Share of the last second's packets; from `LOST` on without a queue, too: of a tenth some lines lose at random."""
LOSS_COUNTED: Final = 20
FELL_S, SPREAD_S, FELL_PACKETS = 0.06, 0.03, 3
"""A line fell where so many packets waited so long beyond their burst's own time, and arrived so much more apart."""
RECENT_S: Final = 0.5
"""What arrived is counted over this."""
ARRIVED: Final = 1024
"""Packets, at most, whatever a receiver says about time."""
STEEP: Final = 0.5
"""A fall below this share of the estimate leaves a queue of what is worthless when it comes."""
DRAINED_S: Final = 0.3
"""Such a queue is waited for so long at most."""
PROBE_PACKETS: Final = 6
PROBE_TIMES: Final = 2.0
PROBE_SLOWER: Final = 1.15
"""A probe that takes so many times as long to arrive as to be sent has found what the line bears."""
PROBES_S: Final = (1.5, 5.0)
"""From a fall to the first probe, and the longest pause: they double while nothing is found."""
PROBE_AGAIN_S: Final = 0.4


@dataclass(slots=True)
class SentPacket:
    """A packet as it left: bytes on the line, and how long it waits for its own burst at the rate of the estimate."""

    number: int
    size: int
    sent: float
    own_s: float
    probe: bool


@dataclass(frozen=True, slots=True)
class _Arrived:
    packet: SentPacket
    at: float  # on the receiver's clock
    waited_s: float  # beyond the shortest way and its burst's own time

    @property
    def bits(self) -> int:
        return 8 * self.packet.size


class LineEstimator:
    """One line's: `estimate_bps` is what it bears, headers and everything counted, at most `most_bps`."""

    def __init__(self, most_bps: float) -> None:
        self._most_bps = most_bps
        self.estimate_bps = most_bps
        self._trend, self._way = DelayTrend(), RoundTrip()
        self._own_s, self._sent_at = 0.0, -math.inf
        self._arrived: deque[_Arrived] = deque(maxlen=ARRIVED)
        self._outcomes: deque[tuple[float, bool]] = deque()  # when sent, whether lost
        self._too_much_bps: float | None = None
        self._fell_at = self._heard_at = -math.inf
        self._probing_bps: float | None = None
        self._probe: list[_Arrived] = []
        self._probe_at, self._pause_s = math.inf, PROBES_S[0]

    @property
    def queued_s(self) -> float:
        """What waited on the line, as of the last packet that arrived."""
        return self._arrived[-1].waited_s if self._arrived else 0.0

    def send(self, number: int, size: int, at: float, *, probe: bool = False) -> SentPacket:
        """A packet of `size` bytes on the line leaves."""
        self._own_s = max(0.0, self._own_s - (at - self._sent_at)) + 8 * size / self.estimate_bps
        self._sent_at = at
        return SentPacket(number, size, at, self._own_s, probe)

    def hear(self, outcomes: Sequence[tuple[SentPacket, float | None]], at: float) -> float:
        """What became of packets, in the order in which they were sent: when they arrived, or None.

        Returns for how long nothing should be sent, so that the line's queue drains: 0.0 but where it fell steeply.
        """
        for packet, arrived in outcomes:
            if packet.sent > self._fell_at:
                self._outcomes.append((packet.sent, arrived is None))
            if arrived is not None:
                self._arrive(packet, arrived)
        while self._outcomes and self._outcomes[-1][0] - self._outcomes[0][0] > 1.0:
            self._outcomes.popleft()
        elapsed, self._heard_at = min(max(at - self._heard_at, 0.0), 1.0), at
        bearable = self._bearable(at)
        if bearable < self.estimate_bps:
            return self._fall(bearable, at)
        self._judge_probe(at)
        if self._trend.signal == "normal" and at - self._fell_at > HELD_S:
            self._grow(elapsed)
        return 0.0

    def probe(self, at: float) -> float | None:
        """The rate at which `PROBE_PACKETS` more should be sent now, to see whether they arrive as fast; mostly None."""
        if at < self._probe_at or self.estimate_bps >= self._most_bps:
            return None
        self._pause_s = min(2 * self._pause_s, PROBES_S[1])
        self._probe_at = at + self._pause_s
        self._probe.clear()
        self._probing_bps = min(PROBE_TIMES * self.estimate_bps, 1.1 * self._most_bps)
        return self._probing_bps

    # private

    def _arrive(self, packet: SentPacket, at: float) -> None:
        self._way.add(at - packet.sent, packet.sent)
        arrived = _Arrived(packet, at, max(0.0, self._way.queued_s - packet.own_s))
        self._arrived.append(arrived)
        while at - self._arrived[0].at > RECENT_S:
            self._arrived.popleft()
        if packet.probe:
            self._probe.append(arrived)
        else:
            self._trend.add(packet.sent, at)

    def _received_bps(self) -> float:
        """Over the last half second; 0 while too little came to tell."""
        if len(self._arrived) < 2:
            return 0.0
        return _rate(list(self._arrived)) if self._arrived[-1].at - self._arrived[0].at > RECENT_S / 5 else 0.0

    def _bearable(self, at: float) -> float:
        """What a line that is given too much should get; infinite for one that is not."""
        if (fell := self._fallen_to()) is not None:
            return BACKOFF * fell
        received = self._received_bps()
        if not received:
            return math.inf
        lost = sum(lost for _, lost in self._outcomes) / max(len(self._outcomes), 1)
        lossy = len(self._outcomes) >= LOSS_COUNTED and lost > LOSSY
        queued = self.queued_s > WAITING_S
        if queued and (lossy or self._trend.signal == "over"):
            return BACKOFF * received
        if lossy and lost > LOST and at - self._fell_at > HELD_S:
            return received
        return math.inf

    def _fallen_to(self) -> float | None:
        """The rate of the newest packets, where they waited for each other longer than for their own burst."""
        late: list[_Arrived] = []
        for arrived in reversed(self._arrived):
            if arrived.waited_s < FELL_S:
                break
            late.insert(0, arrived)
        if len(late) < FELL_PACKETS:
            return None
        spread = (late[-1].at - late[0].at) - (late[-1].packet.sent - late[0].packet.sent)
        return _rate(late) if spread >= SPREAD_S else None

    def _fall(self, bearable: float, at: float) -> float:
        before, self.estimate_bps = self.estimate_bps, max(bearable, LEAST_BPS)
        self._too_much_bps = self.estimate_bps / BACKOFF
        self._fell_at, self._probing_bps = at, None
        self._outcomes.clear()
        steep = self.estimate_bps < STEEP * before
        self._pause_s = PROBES_S[0] if steep else self._pause_s
        self._probe_at = at + self._pause_s
        if not steep or self.queued_s < WAITING_S:
            return 0.0
        last = self._arrived[-1].packet
        under_way = max(0.0, (self._sent_at - last.sent)) * before / self.estimate_bps
        self._own_s = 0.0
        return min(self.queued_s + under_way, DRAINED_S)

    def _grow(self, elapsed: float) -> None:
        known = self._too_much_bps
        if known is not None and self.estimate_bps > known / NEAR:
            self._too_much_bps = known = None
        if known is not None and self.estimate_bps > NEAR * known:
            wanted = self.estimate_bps + NEAR_BPS_PER_S * elapsed
        else:
            wanted = self.estimate_bps * (1 + GROWTH_PER_S) ** elapsed
        tried = max(self.estimate_bps, USED * self._received_bps())
        self.estimate_bps = min(wanted, tried, self._most_bps)

    def _judge_probe(self, at: float) -> None:
        """Most of a probe's packets came: about as fast as they and those between them were sent, or as fast as the line is."""
        if self._probing_bps is None or len(self._probe) < PROBE_PACKETS - 1:
            return
        first, last = self._probe[0], self._probe[-1]
        bits = sum(one.bits for one in self._arrived if first.packet.sent < one.packet.sent <= last.packet.sent)
        sent_s, arrived_s = last.packet.sent - first.packet.sent, last.at - first.at
        found = min(bits / max(sent_s, arrived_s, 0.001), self._probing_bps)
        bearable = found if arrived_s < PROBE_SLOWER * sent_s else BACKOFF * found
        if bearable > self.estimate_bps:
            self.estimate_bps = min(bearable, self._most_bps)
            self._too_much_bps, self._pause_s = None, PROBES_S[0]
            self._probe_at = at + PROBE_AGAIN_S
        self._probing_bps = None


def _rate(arrived: Sequence[_Arrived]) -> float:
    """Bits a second between the first and the last; infinite where they came at once."""
    span = max(one.at for one in arrived) - arrived[0].at
    return sum(one.bits for one in arrived[1:]) / span if span > 0 else math.inf
