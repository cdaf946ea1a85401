"""How long a viewer's browser is asked to keep pictures before it shows them (the playout-delay header extension)."""

import math
from typing import Final

SHARE, SHARE_MENDED, SHARE_MOST = 0.5, 0.3, 3.5
"""Of a round trip; the rest is an uneven interval and no freeze, and all of it would be latency. Less where parities mend the
most."""
LOST_ONCE, SHARE_PER_LOST = 0.015, 60.0
"""Where more is lost than this, repetitions are, too: 2.4 round trips at 5 %."""
SMOOTH: Final = 0.1  # of each second's report
MARGIN_MS: Final = 15.0
"""What is lost is asked for when the next packet comes."""
CALM_S: Final = 10.0
"""So long after the last loss pictures are shown as they come again."""
STEP_MS: Final = 10.0
"""The extension's unit."""


class PlayoutDelay:
    """Nothing to wait for on a line that loses nothing; where packets have to be repeated, as long as that takes.

    With a least delay of 0 Chromium shows pictures as they come, and a packet
    that is lost is a gap; with more it plays them evenly.

    Args:
        least_ms: asked for on a line that loses nothing.
        most_ms: the most that a browser may come to by itself there.
    """

    def __init__(self, least_ms: int, most_ms: int) -> None:
        self._least_ms, self._most_ms = least_ms, most_ms
        self._lost_at = -math.inf
        self._waited_ms = 0.0
        self._lost = 0.0  # share of the packets, smoothed

    def report(self, fraction_lost: float) -> None:
        """The viewer's report of a second."""
        self._lost += SMOOTH * (fraction_lost - self._lost)

    def loses(self, at: float) -> bool:
        """Whether packets had to be repeated lately."""
        return at - self._lost_at <= CALM_S

    @property
    def lost(self) -> float:
        """Share of the packets, smoothed."""
        return self._lost

    def lose(self, at: float, round_trip_s: float, *, mended: bool = False) -> None:
        """A packet had to be repeated at the instant `at`. What is asked for only grows until the line is calm.

        Where most losses are `mended` without, few repetitions are worth waiting for.
        """
        if at - self._lost_at > CALM_S:
            self._waited_ms = 0.0
        self._lost_at = at
        share = (SHARE_MENDED if mended else SHARE) + SHARE_PER_LOST * max(0.0, self._lost - LOST_ONCE)
        wanted = 1000 * min(share, SHARE_MOST) * round_trip_s + MARGIN_MS
        needed = min(STEP_MS * round(wanted / STEP_MS), self._most_ms)
        self._waited_ms = max(self._waited_ms, needed)

    def at(self, instant: float) -> tuple[int, int]:
        """Least and most to ask for now, in ms."""
        waited = int(self._waited_ms) if self.loses(instant) else 0
        return max(self._least_ms, waited), self._most_ms + waited

    def encoded(self, instant: float) -> bytes:
        """The extension's three bytes: 12 bits each, in 10 ms."""
        least, most = (min(ms // int(STEP_MS), 0xFFF) for ms in self.at(instant))
        return (least << 12 | most).to_bytes(3, "big")
