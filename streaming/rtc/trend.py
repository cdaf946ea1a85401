"""Whether packets are delayed longer and longer: the delay gradient of draft-ietf-rmcat-gcc-02, section 5.

In place of the draft's Kalman filter there is a line through the last delays
(least squares), as libwebrtc describes its newer filter. Pure: instants are
arguments, those of sending and of arrival on clocks of their own.
"""

from collections import deque
from typing import Final, Literal

BURST_S: Final = 0.005
"""Packets sent or arriving within it are one group (section 5.2): what is sent at once must wait for itself."""
WINDOW: Final = 20
"""Groups that the line goes through."""
SMOOTH: Final = 0.1
"""Of a new delay is taken into the smoothed one."""
GAIN: Final = 4.0
GROUPS_MOST: Final = 60
"""The slope is multiplied by the number of groups, up to this, and by the gain before it is compared (ms)."""
THRESHOLD_MS: Final = 12.5
THRESHOLDS_MS: Final = (6.0, 600.0)
UP, DOWN = 0.0087, 0.039
"""How fast the threshold goes after the trend, per ms (section 5.4): slowly up, sooner down."""
OUTLIER_MS: Final = 15.0
"""A trend so far beyond the threshold does not move it."""
LONGEST_MS: Final = 100.0
"""Between two updates of the threshold, for this purpose."""
OVERUSE_S: Final = 0.010
"""So long the trend is beyond the threshold before that counts."""

Signal = Literal["over", "normal", "under"]


class DelayTrend:
    """One line's: `signal` says whether it is given more than it bears."""

    def __init__(self) -> None:
        self.signal: Signal = "normal"
        self._group: tuple[float, float, float] | None = None  # sent first, sent last, arrived last
        self._before: tuple[float, float] | None = None  # of the group before: sent last, arrived last
        self._origin: float | None = None
        self._delay_ms = self._smoothed_ms = 0.0
        self._points: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self._groups = 0
        self._threshold_ms = THRESHOLD_MS
        self._updated: float | None = None
        self._over_since: float | None = None
        self._last = 0.0

    def add(self, sent: float, arrived: float) -> None:
        """One more packet that arrived, seconds; in the order in which they were sent."""
        if self._group is None:
            self._group = sent, sent, arrived
            return
        first, last, latest = self._group
        together = sent - first <= BURST_S
        hurried = arrived - latest <= BURST_S and arrived - latest < sent - last  # they waited for something together
        if together or hurried:
            self._group = first, max(sent, last), max(arrived, latest)
            return
        if self._before is not None:
            self._delayed(1000 * ((latest - self._before[1]) - (last - self._before[0])), latest)
        self._before, self._group = (last, latest), (sent, sent, arrived)

    def _delayed(self, further_ms: float, arrived: float) -> None:
        """A group was that much longer under way than the one before."""
        self._origin = arrived if self._origin is None else self._origin
        self._groups += 1
        self._delay_ms += further_ms
        self._smoothed_ms += SMOOTH * (self._delay_ms - self._smoothed_ms)
        self._points.append((1000 * (arrived - self._origin), self._smoothed_ms))
        if len(self._points) == WINDOW:
            self._judge(_slope(self._points) * min(self._groups, GROUPS_MOST) * GAIN, arrived)

    def _judge(self, trend_ms: float, at: float) -> None:
        if trend_ms > self._threshold_ms:
            self._over_since = at if self._over_since is None else self._over_since
            if at - self._over_since >= OVERUSE_S and trend_ms >= self._last:
                self.signal = "over"
        else:
            self._over_since = None
            self.signal = "under" if trend_ms < -self._threshold_ms else "normal"
        self._last = trend_ms
        self._adapt(abs(trend_ms), at)

    def _adapt(self, trend_ms: float, at: float) -> None:
        """A threshold that never moves lets streams of TCP starve this one, or sees congestion in noise."""
        elapsed_ms = 0.0 if self._updated is None else min(1000 * (at - self._updated), LONGEST_MS)
        self._updated = at
        if trend_ms > self._threshold_ms + OUTLIER_MS:
            return
        rate = UP if trend_ms > self._threshold_ms else DOWN
        wanted = self._threshold_ms + rate * (trend_ms - self._threshold_ms) * elapsed_ms
        self._threshold_ms = min(max(wanted, THRESHOLDS_MS[0]), THRESHOLDS_MS[1])


def _slope(points: deque[tuple[float, float]]) -> float:
    """Of the line with the least squared errors; 0 where all are at one instant."""
    count = len(points)
    middle = sum(x for x, _ in points) / count
    height = sum(y for _, y in points) / count
    spread = sum((x - middle) ** 2 for x, _ in points)
    return sum((x - middle) * (y - height) for x, y in points) / spread if spread else 0.0
