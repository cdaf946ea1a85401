"""How many bits a viewer's line bears, from what its receiver estimates (REMB)."""

import math
from dataclasses import dataclass

from streaming.rtc.encoder import BITRATE_FLOOR_BPS, VOICE_BPS

HEADROOM = 0.9  # of an estimate: the rest is for retransmission
CONGESTED = 0.95  # an estimate below this share of what is really sent is a complaint
QUEUED_S = 0.05  # a round trip so much longer than the shortest means that packets wait somewhere
SINK, SINK_S = 0.35, 0.5  # of a bitrate is left after so long at the least: an estimate may be a guess
LOSS_TOLERATED = 0.10  # RFC 8698 and libwebrtc draw the line here too
RECOVERY_PER_S = 0.15
TRYING_PER_S = 0.03  # near what the line did not bear the last time
NEAR = 0.7  # of it
EPISODE_S = 3.0  # complaints closer together than this are about one and the same excess, which the first of them names
FORGOTTEN_S = 10.0  # lines change: what one did not bear so long ago it may bear now
THIN = 0.5  # of the ceiling: below this a line is one that pictures must be portioned for
STEP = 0.05  # smaller changes are noise


@dataclass(frozen=True, slots=True)
class LineReport:
    """What is known about one viewer's line."""

    estimate_bps: int | None  # the receiver's REMB, of picture and voice together; None before the first
    sent_bps: float  # of the picture, what was really sent to it lately; 0.0: not known yet
    fraction_lost: float
    queued_s: float = 0.0  # the round trip beyond the shortest

    @property
    def limit_bps(self) -> float:
        """What a congested line should get; infinite for one that is not.

        A receiver's estimate is believed only with a sign of congestion beside
        it: it never exceeds 1.5 times what reaches it, and Chromium's stays at
        a fifth of what a free line carries for minutes.
        """
        lossy = self.fraction_lost > LOSS_TOLERATED
        limit = self.sent_bps * (1 - 0.5 * self.fraction_lost) if lossy else math.inf
        estimate = math.inf if self.estimate_bps is None else self.estimate_bps
        if (lossy or self.queued_s > QUEUED_S) and estimate < CONGESTED * (self.sent_bps + VOICE_BPS):
            limit = min(limit, HEADROOM * estimate - VOICE_BPS)
        return limit if self.sent_bps else math.inf


class BitrateControl:
    """The bitrate of a picture to a viewer: the ceiling, unless its line is congested.

    Otherwise it recovers by 15 % a second, and more slowly from near what was
    too much the last time.
    """

    def __init__(self, ceiling_bps: int) -> None:
        self._ceiling_bps = ceiling_bps
        self._updated_at: float | None = None
        self._too_much_bps, self._too_much_at = math.inf, -math.inf
        self._sinking_from_bps, self._sinking_since = float(ceiling_bps), -math.inf
        self.target_bps = ceiling_bps

    def update(self, report: LineReport, at: float) -> int:
        """The bitrate to aim at after a report that is current at the instant `at`, seconds."""
        elapsed = 0.0 if self._updated_at is None else min(at - self._updated_at, 5.0)
        self._updated_at = at
        if at - self._sinking_since >= SINK_S:
            self._sinking_from_bps, self._sinking_since = float(self.target_bps), at
        limit = max(report.limit_bps, SINK * self._sinking_from_bps)
        if limit < self.target_bps:
            if at - self._too_much_at > EPISODE_S:
                self._too_much_bps = float(self.target_bps)
            self._too_much_at = at
        elif at - self._too_much_at > FORGOTTEN_S:
            self._too_much_bps = math.inf
        wanted = limit if limit < self.target_bps else min(self._recovered(elapsed), limit)
        wanted = int(min(max(wanted, BITRATE_FLOOR_BPS), self._ceiling_bps))
        if abs(wanted - self.target_bps) > STEP * self.target_bps or wanted == self._ceiling_bps:
            self.target_bps = wanted
        elif limit == math.inf:
            self._updated_at = at - elapsed  # let the recovery add up to a step
        return self.target_bps

    def _recovered(self, elapsed: float) -> float:
        near = self.target_bps > NEAR * self._too_much_bps
        return self.target_bps * (1 + (TRYING_PER_S if near else RECOVERY_PER_S) * elapsed)
