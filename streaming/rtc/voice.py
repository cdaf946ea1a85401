"""RTP packets of a microphone into sound, on arrival.

aiortc's jitter buffer prefetches four packets and never lets go of what a loss
has added: 99 ms at best, 299 ms from the first loss on. Here a packet is
decoded when it comes; only one that arrives out of order waits, for its
predecessor, and not for long. The adaptive hold against jitter is the
worker's, once, next to the clock that consumes the sound.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# PyAV and aiortc are partly untyped.

from dataclasses import dataclass

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.error import FFmpegError
from numpy.typing import NDArray

from engine.timeline import SAMPLE_RATE_HZ

PATIENCE_PACKETS = 2  # this many successors declare a packet lost
PATIENCE_S = 0.03  # so does this time
RESTART_PACKETS = 1000  # numbers that jump further are those of a sender that began anew
CONCEAL_MAX = SAMPLE_RATE_HZ * 60 // 1000  # samples: after 60 ms invention is worse than silence
FILL_MAX = SAMPLE_RATE_HZ * 120 // 1000  # samples: a longer gap was a pause, and a pause has passed in real time too
_FADE = SAMPLE_RATE_HZ * 25 // 10_000  # samples of cross-fade, 2.5 ms
_LAG_MIN, _LAG_MAX = SAMPLE_RATE_HZ // 400, SAMPLE_RATE_HZ // 70  # samples: pitch of 400..70 Hz
_WINDOW = SAMPLE_RATE_HZ // 100  # samples compared when looking for the pitch, 10 ms


@dataclass(slots=True)
class VoiceStats:
    """Counts since the stream began."""

    packets: int = 0
    lost: int = 0
    late: int = 0  # came after they had been given up, or twice
    reordered: int = 0
    damaged: int = 0  # could not be decoded
    concealed: int = 0  # samples invented
    pauses: int = 0


class OpusStream:
    """Opus packets in any order in, mono float32 sound at 48 kHz in order out.

    What comes out keeps the sender's time line: a lost packet's place is
    concealed, a short gap between packets (discontinuous transmission) is
    silence. A gap of more than 120 ms is not filled: the listener has heard
    that silence already. Packets may last 10 to 60 ms, mono or stereo.
    """

    def __init__(self) -> None:
        self.stats = VoiceStats()
        self._codec = _decoder()
        self._waiting: dict[int, tuple[int, bytes]] = {}  # unwrapped sequence number -> timestamp, payload
        self._next: int | None = None  # unwrapped sequence number
        self._due = 0  # timestamp at which the next sample belongs, modulo 2**32
        self._tail = np.zeros(_LAG_MAX + _WINDOW, np.float32)  # the last sound given out
        self._lead: NDArray[np.float32] | None = None  # how the invented sound would have gone on

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
        if len(self._waiting) > PATIENCE_PACKETS:
            sound.append(self.give_up())
        return _joined(sound)

    def give_up(self) -> NDArray[np.float32]:
        """Take the packet that is waited for as lost; the sound that is then free."""
        if not self._waiting:
            return _NOTHING
        assert self._next is not None
        first = min(self._waiting)
        self.stats.lost += first - self._next
        concealed = self._concealed(_signed(self._waiting[first][0] - self._due))
        self._next = first
        return _joined([concealed, *self._released()])

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
            sound.append(self._given(self._led_over(self._decoded(payload))))
        return sound

    def _decoded(self, payload: bytes) -> NDArray[np.float32]:
        try:
            frames = self._codec.decode(av.Packet(payload)) if payload else []
        except FFmpegError:
            self.stats.damaged += 1
            return _NOTHING
        return _joined([_samples(frame) for frame in frames])

    def _given(self, sound: NDArray[np.float32]) -> NDArray[np.float32]:
        self._due = (self._due + len(sound)) & 0xFFFFFFFF
        if len(sound):
            self._tail = np.concatenate((self._tail, sound))[-len(self._tail) :]
        return sound

    def _concealed(self, gap: int) -> NDArray[np.float32]:
        """Up to 60 ms of the voice going on at its last pitch, fading, then silence; `gap` samples in all."""
        if not 0 < gap <= FILL_MAX:
            return _NOTHING
        self.stats.concealed += gap
        count = gap + _FADE
        period = self._tail[-_pitch_lag(self._tail) :]
        fade = np.maximum(1 - np.arange(count, dtype=np.float32) / CONCEAL_MAX, 0)
        invented = np.resize(period, count) * fade
        self._lead = invented[gap:]
        return self._given(invented[:gap])

    def _led_over(self, decoded: NDArray[np.float32]) -> NDArray[np.float32]:
        """The sound after a gap, cross-faded with what was invented for it."""
        lead, self._lead = self._lead, None
        if lead is not None and len(decoded) >= _FADE:
            ramp = np.linspace(0, 1, _FADE, dtype=np.float32)
            decoded[:_FADE] = decoded[:_FADE] * ramp + lead * (1 - ramp)
        return decoded


_NOTHING = np.zeros(0, np.float32)


def _decoder() -> AudioCodecContext:
    codec = av.CodecContext.create("libopus", "r")
    codec.sample_rate = SAMPLE_RATE_HZ
    codec.layout = "mono"  # libopus itself folds a stereo packet
    return codec


def _samples(frame: av.AudioFrame) -> NDArray[np.float32]:
    data = frame.to_ndarray()[0]
    return data.astype(np.float32) / 32768 if data.dtype == np.int16 else data.astype(np.float32)


def _joined(sound: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return sound[0] if len(sound) == 1 else np.concatenate(sound) if sound else _NOTHING


def _signed(difference: int) -> int:
    """A difference of 32-bit timestamps as the nearest signed number."""
    return (difference + 0x80000000 & 0xFFFFFFFF) - 0x80000000


def _pitch_lag(tail: NDArray[np.float32]) -> int:
    """The lag at which the last 10 ms repeat best: the peak of the normalised cross-correlation (ITU-T G.711 App. I)."""
    target = tail[-_WINDOW:]
    if not target.any():
        return _WINDOW
    products = np.correlate(tail[:-_LAG_MIN], target)[::-1]  # lag = _LAG_MIN + position
    windows = np.lib.stride_tricks.sliding_window_view(tail[:-_LAG_MIN], _WINDOW)[::-1]
    energies = np.einsum("ij,ij->i", windows, windows)
    return _LAG_MIN + int(np.argmax(products / np.sqrt(energies + 1e-9)))
