"""What a receiver says about every packet of a connection: RTCP transport feedback.

draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1: packets of all
streams are numbered together by a header extension; the receiver tells every
50 to 250 ms which of them came, and when. aiortc takes such reports for lists
of lost packets, and refuses padded ones together with what came beside them;
so they are taken out before aiortc sees the rest.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

TRANSPORT_URI: Final = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
FEEDBACK: Final = "transport-cc"
"""How SDP's `a=rtcp-fb` calls it."""
PACKETS_MOST: Final = 8192
"""In one report: more than any peer is sent while a line of 8 s of silence lasts."""
_RTPFB, _FORMAT = 205, 15
_TICK_S: Final = 0.00025
_REFERENCE_S: Final = 0.064
_SMALL, _LARGE = 1, 2  # how a packet's delta is written; 0: it did not come


@dataclass(frozen=True, slots=True)
class Feedback:
    """One report.

    Attributes:
        base: number of the first packet it is about, 16 bits.
        arrivals: seconds on the receiver's clock at which each packet from there on came; None: it has not come. The
            clock starts anew every 12 days.
    """

    base: int
    arrivals: tuple[float | None, ...]


def split(datagram: bytes) -> tuple[list[Feedback], bytes]:
    """The reports in a compound RTCP packet, and what else is in it; damaged reports are left out. Raises nothing."""
    found: list[Feedback] = []
    rest, at = b"", 0
    while at + 4 <= len(datagram):
        first, kind, words = struct.unpack_from("!BBH", datagram, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2 or end > len(datagram):
            break
        if (kind, first & 31) == (_RTPFB, _FORMAT):
            report = _parsed(datagram[at + 4 : end])
            found += [report] if report else []
        else:
            rest += datagram[at:end]
        at = end
    return found, rest + datagram[at:]


def _parsed(body: bytes) -> Feedback | None:
    """A report from what follows its RTCP header; None if it is damaged. Padding is behind all that is read."""
    try:
        base, count = struct.unpack_from("!HH", body, 8)
        reference = int.from_bytes(body[12:15], "big", signed=True)
        if count > PACKETS_MOST:
            return None
        symbols, at = _symbols(body, 16, count)
        ticks = list(_ticks(body, at, symbols))
    except (struct.error, ValueError):
        return None
    origin = reference * _REFERENCE_S
    arrivals = tuple(None if tick is None else origin + tick * _TICK_S for tick in ticks)
    return Feedback(base, arrivals)


def _symbols(body: bytes, at: int, count: int) -> tuple[list[int], int]:
    """How each of `count` packets is written, and where their deltas begin."""
    symbols: list[int] = []
    while len(symbols) < count:
        (chunk,) = struct.unpack_from("!H", body, at)
        at += 2
        if not chunk & 0x8000:  # a run
            symbols += [chunk >> 13 & 3] * min(chunk & 0x1FFF, count - len(symbols))
            if not chunk & 0x1FFF:
                raise ValueError("a run of nothing")
        elif chunk & 0x4000:
            symbols += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            symbols += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    return symbols[:count], at


def _ticks(body: bytes, at: int, symbols: list[int]) -> Iterator[int | None]:
    tick = 0
    for symbol in symbols:
        if symbol == 0:
            yield None
            continue
        if symbol not in (_SMALL, _LARGE):
            raise ValueError("a packet came in a way that is not defined")
        (delta,) = struct.unpack_from("!B" if symbol == _SMALL else "!h", body, at)
        at += symbol  # bytes, as it happens
        tick += delta
        yield tick
