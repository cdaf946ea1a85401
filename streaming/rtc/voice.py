"""RTP packets of a microphone into sound, on arrival.

aiortc's jitter buffer prefetches four packets and never lets go of what a loss
has added: 99 ms at best, 299 ms from the first loss on. Here a packet is
decoded when it comes; only one that arrives out of order waits, for its
predecessor, and not for long. The adaptive hold against jitter is the
worker's, once, next to the clock that consumes the sound.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.timeline import SAMPLE_RATE_HZ
from streaming.rtc.opus import STEP, OpusDecoder, OpusError, length, repeats

PATIENCE_PACKETS = 2  # this many successors declare a packet lost
PATIENCE_S = 0.01  # so does this time
RESTART_PACKETS = 1000  # numbers that jump further are those of a sender that began anew
FILL_MAX = SAMPLE_RATE_HZ * 120 // 1000  # samples: a longer gap was a pause, and a pause has passed in real time too


@dataclass(slots=True)
class VoiceStats:
    """Counts since the stream began."""

    packets: int = 0
    lost: int = 0
    late: int = 0  # came after they had been given up, or twice
    reordered: int = 0
    damaged: int = 0  # could not be decoded
    recovered: int = 0  # samples of lost packets that the packets after them repeat
    concealed: int = 0  # samples invented
    pauses: int = 0


class OpusStream:
    """Opus packets in any order in, mono float32 sound at 48 kHz in order out.

    What comes out keeps the sender's time line: a lost packet is taken from the
    next one where that repeats it, else concealed; a short gap between packets
    (discontinuous transmission) is silence. A gap of more than 120 ms is not
    filled: the listener has heard that silence already. Packets may last 10 to
    60 ms, mono or stereo.
    """

    def __init__(self) -> None:
        self.stats = VoiceStats()
        self._decoder = OpusDecoder()
        self._waiting: dict[int, tuple[int, bytes]] = {}  # unwrapped sequence number -> timestamp, payload
        self._next: int | None = None  # unwrapped sequence number
        self._due = 0  # timestamp at which the next sample belongs, modulo 2**32

    @property
    def waiting(self) -> bool:
        """Whether packets wait for a predecessor: call `give_up` when they have waited `PATIENCE_S`."""
        return bool(self._waiting)

    def add(self, sequence: int, timestamp: int, payload: bytes) -> NDArray[np.float32]:
        """The sound, float32[N], that this packet sets free; often its own 20 ms, sometimes none.

        `sequence` is 16 bits and `timestamp` 32 bits, as on the wire.
        """
        self.stats.packets += 1
        if self._next is None:
            self._next, self._due = sequence, timestamp
        ahead = (sequence - self._next + 0x8000 & 0xFFFF) - 0x8000
        if abs(ahead) > RESTART_PACKETS:
            self._restart(sequence, timestamp)
            ahead = 0
        unwrapped = self._next + ahead
        if unwrapped < self._next or unwrapped in self._waiting:
            self.stats.late += 1
            return _NOTHING
        self._waiting[unwrapped] = timestamp, payload
        self.stats.reordered += unwrapped < max(self._waiting)
        sound = self._released()
        if len(self._waiting) > PATIENCE_PACKETS or self._repeated:
            sound.append(self.give_up())
        return _joined(sound)

    def give_up(self) -> NDArray[np.float32]:
        """Take the packet that is waited for as lost; the sound that is then free."""
        if not self._waiting:
            return _NOTHING
        assert self._next is not None
        first = min(self._waiting)
        self.stats.lost += first - self._next
        timestamp, following = self._waiting[first]
        filled = self._filled(_signed(timestamp - self._due), following)
        self._next = first
        return _joined([filled, *self._released()])

    @property
    def _repeated(self) -> bool:
        """Whether all that is missing is in the packet after it, so that there is nothing to wait for."""
        following = self._waiting.get(self._next + 1) if self._next is not None else None
        return following is not None and repeats(following[1])

    def _restart(self, sequence: int, timestamp: int) -> None:
        self._waiting.clear()
        self._next, self._due = sequence, timestamp
        self.stats.pauses += 1

    def _released(self) -> list[NDArray[np.float32]]:
        assert self._next is not None
        sound: list[NDArray[np.float32]] = []
        while self._next in self._waiting:
            timestamp, payload = self._waiting.pop(self._next)
            self._next += 1
            gap = _signed(timestamp - self._due)
            if 0 < gap <= FILL_MAX:
                sound.append(self._given(np.zeros(gap, np.float32)))
            elif gap:
                self.stats.pauses += 1
            self._due = timestamp
            sound.append(self._given(self._decoded(payload)))
        return sound

    def _decoded(self, payload: bytes) -> NDArray[np.float32]:
        try:
            return self._decoder.decode(payload) if payload else _NOTHING
        except OpusError:
            self.stats.damaged += 1
            return _NOTHING

    def _given(self, sound: NDArray[np.float32]) -> NDArray[np.float32]:
        self._due = (self._due + len(sound)) & 0xFFFFFFFF
        return sound

    def _filled(self, gap: int, following: bytes) -> NDArray[np.float32]:
        """The `gap` samples before the packet `following`."""
        gap -= gap % STEP  # a true gap has no rest
        if not 0 < gap <= FILL_MAX:
            return _NOTHING
        try:
            recovered = min(length(following), gap) if repeats(following) else 0
            sound = self._decoder.recover(following, gap)
        except OpusError:  # counted when its own turn comes
            recovered, sound = 0, self._decoder.conceal(gap)
        self.stats.recovered += recovered
        self.stats.concealed += gap - recovered
        return self._given(sound)


_NOTHING = np.zeros(0, np.float32)


def _joined(sound: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return sound[0] if len(sound) == 1 else np.concatenate(sound) if sound else _NOTHING


def _signed(difference: int) -> int:
    """A difference of 32-bit timestamps as the nearest signed number."""
    return (difference + 0x80000000 & 0xFFFFFFFF) - 0x80000000
