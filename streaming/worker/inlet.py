"""Where sound of another clock becomes sound of ours.

Packets come in as they arrive; a piece of a frame at a time is taken out.
Between the two lies what the packets' jitter asks for, 60 ms at most (`Hold`).
The reader's speed follows the far clock within half a percent; larger errors
are mended by leaving out or repeating a period of the voice; what did not
arrive is concealed by its continuation and then silence; a backlog is cut, not
played late. Pure: instants are arguments.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.timeline import SAMPLE_RATE_HZ
from streaming.worker.hold import Hold, HoldLimits
from streaming.worker.resample import REACH_AFTER, REACH_BEFORE, read
from streaming.worker.splice import FADE, LONGEST, SHORTEST, Continuation, alike, cross_fade, fade_in

ROOM_S: Final = 1.0
"""The most sound ever kept; older is dropped."""
BACKLOG_S: Final = 0.100
"""A delay this much over the target is cut at once instead of being worked off."""
SPLICE_S: Final = 0.006
"""An error beyond this is mended by leaving out or repeating a period; below it, by the reader's speed."""

_PAST = LONGEST + FADE + REACH_BEFORE  # samples kept behind the reader, to repeat from
_ROOM = round(ROOM_S * SAMPLE_RATE_HZ)


@dataclass(slots=True)
class InletStats:
    """Samples since the start: what was done to the sound, and where the delay stands."""

    received: int = 0
    concealed: int = 0  # filled because nothing had arrived
    dropped: int = 0  # received and cut because too much had piled up
    removed: int = 0  # left out, a period at a time
    repeated: int = 0  # repeated, a period at a time
    pauses: int = 0
    delay_ms: float = 0.0
    target_ms: float = 0.0
    drift_ppm: float = 0.0


class Inlet:
    """One session's sound on its way in: `push` float32 mono at about 48 kHz, `pull` pieces of exactly 48 kHz."""

    def __init__(self, limits: HoldLimits | None = None) -> None:
        self._hold = Hold(limits)
        self._data = np.zeros(_ROOM + 2 * _PAST, np.float32)
        self._base = -_PAST  # position of _data[0]
        self._fill = _PAST
        self._reader = 0.0
        self._past = np.zeros(LONGEST + FADE, np.float32)  # the last sound given out
        self._conceal: Continuation | None = None
        self._dry = True
        self._pulled = 0
        self._packets: deque[tuple[int, float]] = deque(maxlen=256)  # (end, arrived)
        self._reads: deque[tuple[int, float]] = deque(maxlen=64)  # (end given out, position read up to)
        self.stats = InletStats()

    @property
    def pulled(self) -> int:
        """Samples given out so far."""
        return self._pulled

    @property
    def dry(self) -> bool:
        """Whether nothing is coming: silence is given out."""
        return self._dry

    def push(self, samples: NDArray[np.float32], arrived: float) -> None:
        """Take sound of any length whose last packet arrived at the instant `arrived`."""
        samples = samples[-_ROOM:]
        self._make_room(len(samples))
        self._data[self._fill : self._fill + len(samples)] = samples
        self._fill += len(samples)
        self.stats.received += len(samples)
        self._packets.append((self._end, arrived))
        self._hold.arrive(self._end / SAMPLE_RATE_HZ, len(samples) / SAMPLE_RATE_HZ, arrived)

    def pull(self, count: int, due: float) -> tuple[NDArray[np.float32], int]:
        """float32[count] for the piece that is due at `due`, and how many samples of it had not arrived."""
        elapsed = count / SAMPLE_RATE_HZ
        sound, missing = (self._start if self._dry else self._go_on)(count, due, elapsed)
        self._pulled += count
        self._reads.append((self._pulled, self._reader if missing < count else np.nan))
        self._past = np.concatenate((self._past, sound))[-len(self._past) :]
        self.stats.concealed += missing
        self._note(due)
        return sound, missing

    def arrived(self, sample: int) -> float:
        """When the sound given out as number `sample` (from 0) arrived, or 0.0 when it never did or is long gone."""
        for end, position in self._reads:
            if sample < end:
                wanted = position - (end - sample)
                return next((at for stop, at in self._packets if stop > wanted), 0.0)  # never for NaN
        return 0.0

    def clear(self) -> None:
        """Barge-in: forget all sound in hand."""
        self._drop_to(float(self._end))
        self._pause()
        self._past[:] = 0
        self._conceal = None

    @property
    def _end(self) -> int:
        return self._base + self._fill

    def _start(self, count: int, due: float, elapsed: float) -> tuple[NDArray[np.float32], int]:
        """Begin again after silence, as soon as the target's worth of sound is in hand."""
        silence = np.zeros(count, np.float32)
        if not self._hold.known:
            return silence, count
        self._hold.settle(due, elapsed)
        begin = (self._hold.present(due) - self._hold.target) * SAMPLE_RATE_HZ - count
        wait = max(0, int(np.ceil(self._reader - begin)))
        if wait > count - FADE:
            return silence, count
        self._drop_to(begin + wait)
        self._dry = False
        speed = 1 + self._hold.drift
        given = np.concatenate((silence[:wait], fade_in(self._take(count - wait, speed))))
        sound, missing = self._complete(given, count)
        return sound, missing + wait

    def _go_on(self, count: int, due: float, elapsed: float) -> tuple[NDArray[np.float32], int]:
        target = self._hold.adapt(due, elapsed)
        error = self._hold.delay(self._reader / SAMPLE_RATE_HZ + elapsed, due) - target
        if error > BACKLOG_S:
            before = self._take(FADE, 1.0)
            self._drop_to(self._reader + error * SAMPLE_RATE_HZ - len(before))
            sound = cross_fade(before, self._take(count, 1 + self._hold.drift))
        elif abs(error) > SPLICE_S:
            sound = self._splice(count, error, elapsed)
        else:
            sound = self._take(count, self._hold.follow(error, elapsed))
        return self._complete(sound, count)

    def _complete(self, sound: NDArray[np.float32], count: int) -> tuple[NDArray[np.float32], int]:
        """Lead over from a concealed gap, and fill up what has not arrived."""
        if self._conceal is not None and len(sound):
            sound = cross_fade(self._conceal.next(min(FADE, len(sound))), sound)
            self._conceal = None
        missing = count - len(sound)
        if missing == 0:
            return sound, 0
        if self._conceal is None:
            self._conceal = Continuation(np.concatenate((self._past, sound)))
        filled = np.concatenate((sound, self._conceal.next(missing)))
        if self._conceal.silent:
            self._conceal = None
            self._pause()
        return filled, missing

    def _splice(self, count: int, error: float, elapsed: float) -> NDArray[np.float32]:
        """Read on with one period left out (error > 0) or repeated, cross-faded where the voice resembles itself."""
        limit = min(LONGEST, int(abs(error) * SAMPLE_RATE_HZ))
        here = int(self._reader) - self._base
        pattern = self._data[here : here + FADE]
        first = here + SHORTEST if error > 0 else here - limit
        region = self._data[first : first + limit - SHORTEST + FADE]
        speed = self._hold.follow(error, elapsed)
        if here + max(count, FADE) + (limit if error > 0 else 0) > self._fill - 2 * REACH_AFTER:
            return self._take(count, speed)  # too little in hand to choose from
        jump = first + alike(pattern, region) - here
        reader = self._reader
        before = self._take(FADE, speed)
        self._reader = reader + jump
        if jump > 0:
            self.stats.removed += jump
        else:
            self.stats.repeated -= jump
        return cross_fade(before, self._take(count, speed))

    def _take(self, count: int, speed: float) -> NDArray[np.float32]:
        """Up to `count` samples from the reader on at `speed`; moves the reader."""
        in_hand = self._end - REACH_AFTER - self._reader
        count = min(count, max(0, int(in_hand / speed)))
        if count < (1 if self._conceal is None else FADE):  # a gap ends only where there is enough to lead over
            return np.zeros(0, np.float32)
        sound = read(self._data[: self._fill], self._reader - self._base, speed, count)
        self._reader += count * speed
        return sound

    def _drop_to(self, position: float) -> None:
        position = min(max(position, self._reader), float(self._end))
        self.stats.dropped += round(position - self._reader)
        self._reader = position

    def _pause(self) -> None:
        self._dry = True
        self._reader = float(self._end)
        self._hold.restart()
        self.stats.pauses += 1

    def _make_room(self, count: int) -> None:
        """Move what is still needed to the front of the memory; drop the oldest beyond `ROOM_S`."""
        if self._fill + count <= len(self._data):
            return
        self._drop_to(max(self._reader, float(self._end + count - _ROOM)))
        gone = int(self._reader) - _PAST - self._base
        self._data[: self._fill - gone] = self._data[gone : self._fill].copy()
        self._base += gone
        self._fill -= gone

    def _note(self, due: float) -> None:
        stats = self.stats
        stats.target_ms = 1000 * self._hold.target
        stats.drift_ppm = 1e6 * self._hold.drift
        stats.delay_ms = 0.0 if self._dry else 1000 * self._hold.delay(self._reader / SAMPLE_RATE_HZ, due)
