"""How many bits a viewer's line bears, from what its receiver reports."""

from dataclasses import dataclass

from streaming.rtc.encoder import BITRATE_FLOOR_BPS

HEADROOM = 0.9  # of an estimate: the rest is for sound and retransmission
CONGESTED = 0.95  # an estimate below this share of what is really sent is a complaint
LOSS_TOLERATED = 0.10  # RFC 8698 and libwebrtc draw the line here too
RECOVERY_PER_S = 0.15
STEP = 0.05  # smaller changes are noise


@dataclass(frozen=True, slots=True)
class LineReport:
    """What is known about one viewer's line."""

    estimate_bps: int | None  # the receiver's REMB, None before the first
    sent_bps: float  # what was really sent to it lately
    fraction_lost: float


class BitrateControl:
    """The encoder's bitrate: the ceiling, unless a viewer's line complains.

    A receiver's estimate never exceeds 1.5 times what reaches it, so with an
    encoder that needs less than its ceiling it says nothing about the line.
    It is a complaint only when it falls below what is being sent; without a
    complaint the bitrate recovers by 15 % a second.
    """

    def __init__(self, ceiling_bps: int) -> None:
        self._ceiling_bps = ceiling_bps
        self._updated_at: float | None = None
        self.target_bps = ceiling_bps

    def update(self, reports: list[LineReport], at: float) -> int:
        """The bitrate to aim at after reports that are current at the instant `at`, seconds."""
        elapsed = 0.0 if self._updated_at is None else min(at - self._updated_at, 5.0)
        self._updated_at = at
        limits = [limit for limit in map(_limit, reports) if limit is not None]
        wanted = min(self.target_bps, *limits) if limits else self.target_bps * (1 + RECOVERY_PER_S * elapsed)
        wanted = int(min(max(wanted, BITRATE_FLOOR_BPS), self._ceiling_bps))
        if abs(wanted - self.target_bps) > STEP * self.target_bps or wanted == self._ceiling_bps:
            self.target_bps = wanted
        elif not limits:
            self._updated_at = at - elapsed  # let the recovery add up to a step
        return self.target_bps


def _limit(report: LineReport) -> float | None:
    """What a complaining line should get; None when it does not complain."""
    limits: list[float] = []
    if report.estimate_bps is not None and report.estimate_bps < CONGESTED * report.sent_bps:
        limits.append(HEADROOM * report.estimate_bps)
    if report.fraction_lost > LOSS_TOLERATED:
        limits.append(report.sent_bps * (1 - 0.5 * report.fraction_lost))
    return min(limits, default=None)
