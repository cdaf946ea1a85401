"""How much sound to keep in hand, and how fast to read it: arithmetic on arrival times alone.

Sound of a far clock arrives in packets, late by varying amounts. Call `lead`
of a packet its end on the far clock minus its arrival on ours. The largest
recent lead belongs to the packets that were not held up; added to our clock it
gives the far clock's present. The delay of a reader is that present minus the
position it has read up to. It has to exceed one packet (a sample waits for the
rest of its packet) plus the lateness of nearly all packets; more is waste. A
reader whose pieces end where packets end waits for the rest of none: up to a
packet less is enough then, and no packet is late that would not have been. As
the clocks differ, such a reader comes nearer to what it needs or farther from
it, and moves over to the next packet's end, slowly.

The reader's speed follows from the delay by a PI loop: the proportional part
closes the error, the integral part learns the difference of the clocks. The
reference simulation reads a level every 20 ms through a slow filter because
levels jump by whole packets; measuring on arrival times instead leaves nothing
to filter, so the loop may be a hundred times faster.
"""

import bisect
import math
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from engine.timeline import SAMPLE_RATE_HZ
from streaming.worker.resample import REACH_AFTER

HOLD_MIN_S: Final = 0.020
HOLD_MAX_S: Final = 0.060
MARGIN_S: Final = 0.0015  # ours: jitter is counted in whole ms, and the reader reaches a little beyond what it reads
RATE_LIMIT: Final = 0.005
"""The reader's speed stays within 1 +- this: 9 cents of pitch."""

_PROPORTIONAL = 0.6  # per second
_INTEGRAL = _PROPORTIONAL**2 / 4  # per second squared: critically damped
_LEARNT_LIMIT = 0.002  # no two clocks that work differ by more than 2000 ppm
_BUCKET_S = 2.0  # leads are remembered for one to two of these
_BINS_MS = 100
_FORGET = 0.9975  # per packet: about 8 s at 20 ms a packet
_QUANTILE = 0.99  # one loss in a hundred, recovered from the next packet, is about to count
_EVERY = 10  # packets between two looks at the quantile
_HEAVY = 1e9
_RISE_S_PER_S = 0.2
_FALL_S_PER_S = 0.002
_SLIDE_S_PER_S = 0.004  # from one packet's end to the next
_SLACK_S = 0.001  # what clocks that differ by 200 ppm come apart by meanwhile
_ROUNDABOUT_S = 0.002  # farther than to the next packet's end: what is measured anew every `_BUCKET_S` does not move a reader
_REACH_S = (REACH_AFTER + 16) / SAMPLE_RATE_HZ  # what is read reaches beyond itself, and who moves goes a little too far


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """Bounds of the delay in seconds.

    A reader whose pieces end where packets end may come up to a packet below `least` (see above). A packet longer than
    `most` is held whole all the same.
    """

    least: float = HOLD_MIN_S
    most: float = HOLD_MAX_S


class Hold:
    """Delay, target and speed of one reader. Positions are in seconds of the far clock, instants in seconds of ours."""

    def __init__(self, limits: HoldLimits | None = None) -> None:
        self._limits = limits or HoldLimits()
        self._late = [0.0] * (_BINS_MS + 1)
        self._weight = 1.0
        self._jitter = 0.0
        self._heard = 0
        self._learnt = 0.0
        self._packet = 0.0
        self._end = 0.0
        self._enough = self._target = self._limits.least
        self.restart()

    def restart(self) -> None:
        """The stream has paused: its present is unknown until the next packet. Jitter and drift learnt so far are kept."""
        self._lead = self._older = -math.inf
        self._bucket_start = -math.inf
        self._aligned = math.nan
        self._apart = self._slid = 0.0

    @property
    def known(self) -> bool:
        """Whether a packet has come since the last restart."""
        return max(self._lead, self._older) > -math.inf

    @property
    def target(self) -> float:
        """The delay aimed at, in seconds."""
        return self._target

    @property
    def drift(self) -> float:
        """How much faster than ours a reader's clock has to run, as learnt so far (1e-6 is one ppm).

        That of the far clock, but for a reader that ends where packets end: it is in step by itself, until it moves over.
        """
        return self._learnt

    def arrive(self, end: float, length: float, at: float) -> None:
        """A packet of `length` seconds that ends at `end` has arrived."""
        lead = end - at
        if at - self._bucket_start > _BUCKET_S:
            self._older, self._lead, self._bucket_start = self._lead, lead, at
        self._lead = max(self._lead, lead)
        self._packet, self._end = max(length, self._packet * 0.99), end
        late_ms = min(int(1000 * (max(self._lead, self._older) - lead)), _BINS_MS)
        self._weight /= _FORGET  # the new weigh more, which is the same as letting the old fade
        self._late[late_ms] += self._weight
        self._heard += 1
        if self._heard % _EVERY == 0 or self._heard < _EVERY:
            self._measure_jitter()

    def present(self, at: float) -> float:
        """The far clock's reading at our instant `at`."""
        return at + max(self._lead, self._older)

    def delay(self, position: float, at: float) -> float:
        """How far behind the far clock a reader is that has read up to `position` at `at`, in seconds."""
        return self.present(at) - position

    def follow(self, error: float, elapsed: float) -> float:
        """The speed (1.0 = nominal) for the next `elapsed` seconds, for a delay that is `error` seconds too long."""
        push = _PROPORTIONAL * error + self._learnt
        if abs(push) < RATE_LIMIT:
            learnt = self._learnt + _INTEGRAL * error * elapsed
            self._learnt = min(max(learnt, -_LEARNT_LIMIT), _LEARNT_LIMIT)
        return 1 + min(max(push - self._slid / elapsed, -RATE_LIMIT), RATE_LIMIT)

    def adapt(self, at: float, piece: float) -> float:
        """Move the target towards what the jitter asks for, quickly up and slowly down; returns it.

        It is the delay at the instant `at`, at the end of a piece of `piece` seconds.
        """
        return self._aim(at, piece, piece)

    def settle(self, at: float, piece: float) -> None:
        """Take the target the jitter asks for at once: nobody is listening at this moment."""
        self._aligned = math.nan
        self._aim(at, piece, math.inf)

    def _aim(self, at: float, piece: float, elapsed: float) -> float:
        """Move the target as far as it may in `elapsed` seconds."""
        most, step = max(self._limits.most, self._packet + MARGIN_S), _step(self._packet, piece)
        needed = min(max(self._packet + self._jitter + MARGIN_S, self._limits.least), most + step)
        rise, fall = _RISE_S_PER_S * elapsed, _FALL_S_PER_S * elapsed
        self._enough = min(max(needed, self._enough - fall), self._enough + rise)
        wanted = self._align(at, step, elapsed) if step > 0 else self._unaligned()
        self._target = min(wanted, most)
        if wanted > most:
            self._slid = 0.0
        return self._target

    def _unaligned(self) -> float:
        self._aligned, self._apart, self._slid = math.nan, 0.0, 0.0
        return self._enough

    def _align(self, at: float, step: float, elapsed: float) -> float:
        """The delay of a reader that ends where packets end: the one it has, until that is not enough or too much.

        `_apart` is what the reader still is from there.
        """
        least = self._enough - step + _SLACK_S
        newest = self.present(at) - self._end + _REACH_S
        if math.isnan(self._aligned):
            self._aligned = least + (newest - least) % step
            self._apart = self._target - self._aligned
        self._aligned += math.remainder(newest - self._aligned, step)
        while self._aligned < least:
            self._aligned, self._apart = self._aligned + step, self._apart - step
        while self._aligned > least + step + _ROUNDABOUT_S:
            self._aligned, self._apart = self._aligned - step, self._apart + step
        hurried = self._apart < 0 and self._aligned < self._enough - _SLACK_S
        most = (_RISE_S_PER_S if hurried else _SLIDE_S_PER_S) * elapsed
        self._slid = -min(max(self._apart, -most), most)
        self._apart += self._slid
        return self._aligned + self._apart

    def _measure_jitter(self) -> None:
        """Note the lateness in seconds that `_QUANTILE` of the packets stay within."""
        if self._weight > _HEAVY:
            self._late = [weight / self._weight for weight in self._late]
            self._weight = 1.0
        self._jitter = bisect.bisect_left(list(accumulate(self._late)), _QUANTILE * sum(self._late)) / 1000


def _step(packet: float, piece: float) -> float:
    """How far apart the delays are with which pieces end where packets end; 0.0 when only some of them can."""
    short, long = sorted((packet, piece))
    return short if short > 0 and abs(math.remainder(long, short)) < 1e-4 else 0.0
