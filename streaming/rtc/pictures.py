"""RTP packets of a camera into coded pictures, complete and in order, as soon as they can be.

aiortc's jitter buffer gives a picture out when the first packet of the next
one comes: 33 to 40 ms late at 30 fps. Here a picture is complete when its last
packet (the marker bit) has come and none before it is missing. A missing
packet is asked for again and waited for, not for long; then pictures are held
back until the next key frame, as those between would show what is not there.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from aiortc.codecs.h264 import H264PayloadDescriptor
from aiortc.codecs.vpx import VpxPayloadDescriptor

from streaming.contract import CodedPicture, PictureCodec

REORDER_S: Final = 0.005
"""A packet missing for this long is asked for again."""
ASK_AGAIN_S: Final = 0.040
PATIENCE_S: Final = 0.120
"""A packet missing for this long is given up: a new picture is sooner here than this one."""
RESTART_PACKETS: Final = 1000
"""Numbers that jump further are those of a sender that began anew."""
HELD_MOST: Final = 512
"""Packets that may wait for one that is missing: more than a second of 1 Mb/s."""
PICTURE_MOST: Final = 900_000
"""Bytes of one coded picture; none of a size that is let in comes near."""
ASKED_MOST: Final = 64

VP8: Final = PictureCodec("vp8")
H264: Final = PictureCodec("h264")
_SPS, _IDR = 7, 5
_FU_A, _STAP_A = 28, 24


@dataclass(slots=True)
class PictureStats:
    """Counts since the stream began."""

    packets: int = 0
    pictures: int = 0
    keys: int = 0
    recovered: int = 0  # packets that came out of order or again after they had been missed
    lost: int = 0  # packets given up
    late: int = 0  # came after they had been given up, or twice
    damaged: int = 0  # payloads that are none
    held_back: int = 0  # pictures thrown away for want of a key frame


@dataclass(frozen=True, slots=True)
class _Part:
    """One packet: what it adds to its picture."""

    timestamp: int
    marker: bool
    begins: bool  # a picture, perhaps
    key: bool
    data: bytes
    damaged: bool = False


class PictureStream:
    """Packets of one codec in any order in, coded pictures in order out. Time is an argument.

    The first picture given out, and the first after a loss, is a key frame;
    `wants_key` says when one should be asked for.
    """

    def __init__(self, codec: PictureCodec) -> None:
        self.codec = codec
        self.stats = PictureStats()
        self.wants_key = True
        self._parse = _PARSERS[codec.name]
        self._held: dict[int, _Part | None] = {}  # unwrapped sequence number; None: padding
        self._next: int | None = None  # the first packet not yet in a picture, unwrapped
        self._missing: dict[int, tuple[float, float]] = {}  # since when, last asked for

    def add(self, sequence: int, timestamp: int, marker: bool, payload: bytes, at: float) -> list[CodedPicture]:
        """The pictures that this packet completes.

        `sequence` is 16 bits and `timestamp` 32 bits, as on the wire; `at` is `now()`.
        """
        self.stats.packets += 1
        if self._next is None:
            self._next = sequence
        ahead = (sequence - self._next + 0x8000 & 0xFFFF) - 0x8000
        if abs(ahead) > RESTART_PACKETS:
            self._restart(sequence)
            ahead = 0
        number = self._next + ahead
        if number < self._next or number in self._held:
            self.stats.late += 1
            return []
        if self._missing.pop(number, None) is not None:
            self.stats.recovered += 1
        self._miss_up_to(number, at)
        self._held[number] = self._parsed(timestamp, marker, payload)
        pictures = self._completed(at)
        if len(self._held) > HELD_MOST:
            self._give_up_to(max(self._held))
        return pictures

    def tick(self, at: float) -> list[CodedPicture]:
        """Give up what has been missing for too long; the pictures that are then free. Call every few ms while `waiting`."""
        overdue = [number for number, (since, _) in self._missing.items() if at - since > PATIENCE_S]
        if not overdue:
            return []
        self._give_up_to(max(overdue) + 1)
        return self._completed(at)

    @property
    def waiting(self) -> bool:
        """Whether packets are missing."""
        return bool(self._missing)

    def wanted(self, at: float) -> list[int]:
        """Sequence numbers (16 bits) to ask for again now, the oldest first; they count as asked for."""
        numbers = [n for n, (since, asked) in self._missing.items() if at - since >= REORDER_S and at - asked >= ASK_AGAIN_S]
        for number in sorted(numbers)[:ASKED_MOST]:
            self._missing[number] = (self._missing[number][0], at)
        return [number & 0xFFFF for number in sorted(numbers)[:ASKED_MOST]]

    def _restart(self, sequence: int) -> None:
        self._held.clear()
        self._missing.clear()
        self._next = sequence
        self.wants_key = True

    def _miss_up_to(self, number: int, at: float) -> None:
        """Everything between the newest packet known and this one is missing from now on."""
        assert self._next is not None
        newest = max(max(self._held, default=self._next - 1), max(self._missing, default=self._next - 1))
        for gone in range(newest + 1, number):
            self._missing[gone] = (at, float("-inf"))

    def _parsed(self, timestamp: int, marker: bool, payload: bytes) -> _Part | None:
        if not payload:
            return None  # padding
        try:
            begins, key, data = self._parse(payload)
        except (ValueError, IndexError, struct.error):
            self.stats.damaged += 1
            return _Part(timestamp, marker, begins=False, key=False, data=b"", damaged=True)
        return _Part(timestamp, marker, begins, key, data)

    def _give_up_to(self, number: int) -> None:
        """Forget every packet before `number` that is missing, and what was to follow it."""
        assert self._next is not None
        self.stats.lost += sum(gone < number for gone in self._missing)
        self._missing = {gone: times for gone, times in self._missing.items() if gone >= number}
        self._held = {held: part for held, part in self._held.items() if held >= number}
        self._next = max(self._next, number)
        self.wants_key = True

    def _completed(self, at: float) -> list[CodedPicture]:
        """Take whole pictures off the front, skipping to a key frame when one is needed."""
        assert self._next is not None
        pictures: list[CodedPicture] = []
        if self.wants_key:
            self._skip_to_key()
        while (end := self._end_of_picture()) is not None:
            parts = [part for number in range(self._next, end) if (part := self._held.pop(number)) is not None]
            self._next = end
            if (picture := self._joined(parts, at)) is not None:
                pictures.append(picture)
        return pictures

    def _skip_to_key(self) -> None:
        """If a key frame has begun among the packets held, go on with it: nothing before it is needed any more."""
        begin = next((n for n in sorted(self._held) if (part := self._held[n]) and part.begins and part.key), None)
        if begin is None:
            return
        while (before := self._held.get(begin - 1)) and before.timestamp == self._timestamp(begin):
            begin -= 1  # what else its first packets may be
        self._held = {number: part for number, part in self._held.items() if number >= begin}
        self._missing = {number: times for number, times in self._missing.items() if number > begin}
        self._next = begin

    def _timestamp(self, number: int) -> int | None:
        part = self._held[number]
        return part.timestamp if part else None

    def _end_of_picture(self) -> int | None:
        """One past the last packet of the picture at the front, or None while it is not complete."""
        assert self._next is not None
        number, stamp = self._next, None
        while number in self._held:
            part = self._held[number]
            if part is not None:
                if stamp is not None and part.timestamp != stamp:
                    return number  # a sender that sets no marker
                stamp = part.timestamp
                if part.marker:
                    return number + 1
            elif stamp is None:
                self._held.pop(number)  # nothing before a picture
                self._next = number + 1
            number += 1
        return None

    def _joined(self, parts: list[_Part], at: float) -> CodedPicture | None:
        data = b"".join(part.data for part in parts)
        key = any(part.key for part in parts)
        whole = bool(parts) and parts[0].begins and len(data) <= PICTURE_MOST and not any(part.damaged for part in parts)
        if not whole or (self.wants_key and not key):
            self.stats.held_back += 1
            self.wants_key = True
            return None
        self.wants_key = False
        self.stats.pictures += 1
        self.stats.keys += key
        return CodedPicture(self.codec, key, data, at)


def _vp8(payload: bytes) -> tuple[bool, bool, bytes]:
    """Whether a picture begins here, whether it is a key frame, its bytes (RFC 7741, 4.2 and 4.3)."""
    descriptor, data = VpxPayloadDescriptor.parse(payload)
    begins = bool(descriptor.partition_start) and descriptor.partition_id == 0
    if not data:
        raise ValueError("a VP8 payload is empty")
    return begins, begins and not data[0] & 1, data


def _h264(payload: bytes) -> tuple[bool, bool, bytes]:
    """The same (RFC 6184, 5.4 to 5.8); every unit that is whole or begins counts as a beginning."""
    descriptor, data = H264PayloadDescriptor.parse(payload)
    kind = payload[0] & 0x1F
    if kind == _FU_A:
        kinds = [payload[1] & 0x1F] if descriptor.first_fragment else []
    elif kind == _STAP_A:
        kinds = [unit[0] & 0x1F for unit in data.split(b"\0\0\0\1")[1:] if unit]
    else:
        kinds = [kind]
    return descriptor.first_fragment, _SPS in kinds or _IDR in kinds, data


_PARSERS: Final[Mapping[str, Callable[[bytes], tuple[bool, bool, bytes]]]] = {"vp8": _vp8, "h264": _h264}
