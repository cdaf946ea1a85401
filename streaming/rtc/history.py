"""What was sent lately, and what of it is worth sending again. Pure: instants are arguments."""

import math
from dataclasses import dataclass
from typing import Final

ROOM: Final = 512  # packets
GAP_S: Final = 0.02
"""The same packet is not repeated sooner."""
UNDER_WAY: Final = 0.75
"""Nor sooner than this much of the line's round trip, as the repetition may be under way. Not all of it: browsers ask again
a round trip after they asked, as measured by them, so that half of those who lost a repetition were refused by some ms."""
LATE_S: Final = 0.6
"""A packet so old is not repeated: its picture is past, and a key frame is sooner there."""
SHARE: Final = 0.3
"""Of a line's rate may go into repetitions: what is lost for want of room is not mended by sending more."""
SAVED_S: Final = 0.25
"""What was not repeated in so long may be made up for at once."""
MENDED_MOST: Final = 70
"""Where parities are sent, a packet so many back is not repeated but a key frame made. Chromium forgets parities that are
100 packets behind the newest; a picture of H.264 that was held up for longer then has a hole behind it that nothing fills,
and it waits for 3 s before it asks for a key frame."""
MOST_BPS: Final = 4_000_000
"""What is taken for the rate of a line that is not thin."""


@dataclass(slots=True)
class Sent:
    """A packet as it was sent; `at` is when last."""

    sequence: int
    timestamp: int
    marker: bool
    payload_type: int
    payload: bytes
    first: float
    at: float
    playout: bytes = b""  # the delay it asked for: a repetition must be what parities are of


class History:
    """The last `ROOM` packets of one stream."""

    def __init__(self) -> None:
        self._packets: list[Sent | None] = [None] * ROOM
        self._begin = self._newest = 0
        self.reach = ROOM
        """Packets that may have followed one that is repeated."""
        self._room = math.inf  # bytes that may be repeated now
        self._filled_at = 0.0

    def keep(self, packet: Sent) -> None:
        """A packet has been sent; the oldest is forgotten."""
        self._packets[packet.sequence % ROOM] = packet
        self._newest = packet.sequence
        if (packet.sequence - self._begin) & 0xFFFF >= 0x4000:
            self._begin = (packet.sequence - ROOM) & 0xFFFF

    def begin(self, sequence: int) -> None:
        """What was sent before the packet of this number, which is a key picture's first, is not needed any more."""
        self._begin = sequence

    def largest(self, count: int) -> list[Sent]:
        """So many of what it knows, the largest ones."""
        known = (packet for packet in self._packets if packet is not None)
        return sorted(known, key=lambda packet: len(packet.payload))[-count:]

    def _is_needed(self, sequence: int) -> bool:
        return (sequence - self._begin) & 0xFFFF < 0x8000

    def is_past(self, sequence: int, at: float) -> bool:
        """Whether a packet will not be repeated any more, though it is needed."""
        packet = self._packets[sequence % ROOM]
        is_known = packet is not None and packet.sequence == sequence and (self._newest - sequence) & 0xFFFF <= self.reach
        return self._is_needed(sequence) and (packet is None or not is_known or at - packet.first > LATE_S)

    def again(self, sequence: int, at: float, round_trip_s: float, line_bps: float) -> Sent | None:
        """The packet to repeat now, counted as repeated; None when it is forgotten, under way, too late or too much."""
        packet = self._packets[sequence % ROOM]
        if packet is None or not self._is_needed(sequence) or self.is_past(sequence, at):
            return None
        if at - packet.at < max(GAP_S, UNDER_WAY * round_trip_s):
            return None
        rate = SHARE * min(line_bps, MOST_BPS) / 8
        self._room = min(self._room + rate * (at - self._filled_at), rate * SAVED_S)
        self._filled_at = at
        if self._room < len(packet.payload):
            return None
        self._room -= len(packet.payload)
        packet.at = at
        return packet
