"""Forward error correction of a picture's packets: the parity packets of RFC 5109 (ULPFEC), carried in RED (RFC 2198).

A lost packet is then there with the last one of its picture, not a round trip
later. Browsers offer it for every codec; where they accept, they wait less for
repetitions, too.
"""

from collections.abc import Sequence
from struct import pack, unpack_from
from typing import Final

RED, ULPFEC = "red", "ulpfec"
"""Their names in SDP."""
MASK_BITS: Final = 16
_FIXED: Final = 12  # bytes of an RTP header before its extensions
_RECOVERED: Final = 0x3F  # of its first byte: padding, extension, sources


def parities(packets: Sequence[bytes], count: int) -> list[bytes]:
    """What mends a picture: the payloads of up to `count` parity packets, each of which can restore one lost packet.

    `packets` are whole RTP packets with consecutive numbers, as a receiver has them without RED and with what is
    written late (instant and number of sending) zero; each parity is of every `count`-th of them. Of more than
    `MASK_BITS` packets each run is mended by itself.
    """
    made: list[bytes] = []
    for begin in range(0, len(packets), MASK_BITS):
        run = packets[begin : begin + MASK_BITS]
        made += [_parity(run, range(first, len(run), count)) for first in range(min(count, len(run)))]
    return made


def _parity(run: Sequence[bytes], covered: range) -> bytes:
    chosen = [run[index] for index in covered]
    longest = max(map(len, chosen)) - _FIXED
    first = second = stamp = length = body = 0
    for packet in chosen:
        first, second = first ^ packet[0], second ^ packet[1]
        stamp ^= unpack_from("!L", packet, 4)[0]
        length ^= len(packet) - _FIXED
        body ^= int.from_bytes(packet[_FIXED:].ljust(longest, b"\0"), "big")
    (base,) = unpack_from("!H", run[0], 2)
    mask = sum(1 << MASK_BITS - 1 - index for index in covered)
    header = pack("!BBHLHHH", first & _RECOVERED, second, base, stamp, length, longest, mask)
    return header + body.to_bytes(longest, "big")
